//! One field of a map, and the forms that keys and values have.

use bitcoin::{Script, XOnlyPublicKey};

use super::{Place, PsbtError, Unknown, reader::Reader};

/// The types of the fields that are read.
pub(super) mod kind {
    pub(in super::super) const GLOBAL_UNSIGNED_TX: u8 = 0x00;
    pub(in super::super) const GLOBAL_XPUB: u8 = 0x01;
    pub(in super::super) const GLOBAL_TX_VERSION: u8 = 0x02;
    pub(in super::super) const GLOBAL_FALLBACK_LOCK_TIME: u8 = 0x03;
    pub(in super::super) const GLOBAL_INPUT_COUNT: u8 = 0x04;
    pub(in super::super) const GLOBAL_OUTPUT_COUNT: u8 = 0x05;
    pub(in super::super) const GLOBAL_TX_MODIFIABLE: u8 = 0x06;
    pub(in super::super) const GLOBAL_VERSION: u8 = 0xfb;
    pub(in super::super) const IN_PREVIOUS_TX: u8 = 0x00;
    pub(in super::super) const IN_WITNESS_UTXO: u8 = 0x01;
    pub(in super::super) const IN_PARTIAL_SIG: u8 = 0x02;
    pub(in super::super) const IN_SIGHASH_TYPE: u8 = 0x03;
    pub(in super::super) const IN_REDEEM_SCRIPT: u8 = 0x04;
    pub(in super::super) const IN_WITNESS_SCRIPT: u8 = 0x05;
    pub(in super::super) const IN_BIP32: u8 = 0x06;
    pub(in super::super) const IN_FINAL_SCRIPT_SIG: u8 = 0x07;
    pub(in super::super) const IN_FINAL_WITNESS: u8 = 0x08;
    pub(in super::super) const IN_PREVIOUS_TXID: u8 = 0x0e;
    pub(in super::super) const IN_OUTPUT_INDEX: u8 = 0x0f;
    pub(in super::super) const IN_SEQUENCE: u8 = 0x10;
    pub(in super::super) const IN_REQUIRED_TIME: u8 = 0x11;
    pub(in super::super) const IN_REQUIRED_HEIGHT: u8 = 0x12;
    pub(in super::super) const IN_TAP_KEY_SIG: u8 = 0x13;
    pub(in super::super) const IN_TAP_SCRIPT_SIG: u8 = 0x14;
    pub(in super::super) const IN_TAP_LEAF_SCRIPT: u8 = 0x15;
    pub(in super::super) const IN_TAP_BIP32: u8 = 0x16;
    pub(in super::super) const IN_TAP_INTERNAL_KEY: u8 = 0x17;
    pub(in super::super) const IN_TAP_MERKLE_ROOT: u8 = 0x18;
    pub(in super::super) const OUT_REDEEM_SCRIPT: u8 = 0x00;
    pub(in super::super) const OUT_WITNESS_SCRIPT: u8 = 0x01;
    pub(in super::super) const OUT_BIP32: u8 = 0x02;
    pub(in super::super) const OUT_AMOUNT: u8 = 0x03;
    pub(in super::super) const OUT_SCRIPT: u8 = 0x04;
    pub(in super::super) const OUT_TAP_INTERNAL_KEY: u8 = 0x05;
    pub(in super::super) const OUT_TAP_TREE: u8 = 0x06;
    pub(in super::super) const OUT_TAP_BIP32: u8 = 0x07;
}

/// A type byte, a leaf version with the parity, an internal key: a control block without a path (BIP 341).
const SHORTEST_CONTROL_KEY: usize = 1 + 33;
/// BIP 32's serialized extended key, without a checksum.
const XPUB_BYTES: usize = 78;
/// BIP 341's deepest tree.
const MAX_TAP_DEPTH: usize = 128;

/// One field: the whole key and its value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field<'a> {
    pub(super) place: Place,
    pub(super) kind: u8,
    pub(super) key: &'a [u8],
    pub(super) value: &'a [u8],
}

impl<'a> Field<'a> {
    pub(super) fn bad(&self) -> PsbtError {
        let Self { place, kind, .. } = *self;
        PsbtError::BadField { place, kind }
    }

    pub(super) fn other_version(&self) -> PsbtError {
        let Self { place, kind, .. } = *self;
        PsbtError::OtherVersion { place, kind }
    }

    /// The value of a field whose key is its type alone.
    pub(super) fn plain(&self) -> Result<&'a [u8], PsbtError> {
        match self.key {
            [_] => Ok(self.value),
            _ => Err(self.bad()),
        }
    }

    pub(super) fn script(&self) -> Result<&'a Script, PsbtError> {
        self.plain().map(Script::from_bytes)
    }

    pub(super) fn array<const N: usize>(&self) -> Result<[u8; N], PsbtError> {
        self.plain()?.try_into().map_err(|_| self.bad())
    }

    pub(super) fn number(&self) -> Result<u32, PsbtError> {
        self.array().map(u32::from_le_bytes)
    }

    /// A whole value that is one variable-length integer.
    pub(super) fn count(&self) -> Result<usize, PsbtError> {
        let mut reader = Reader(self.plain()?);
        let count = reader.compact_size()?;
        reader.0.is_empty().then_some(count).ok_or_else(|| self.bad())
    }

    pub(super) fn x_only(&self) -> Result<XOnlyPublicKey, PsbtError> {
        XOnlyPublicKey::from_slice(self.plain()?).map_err(|_| self.bad())
    }

    pub(super) fn unknown(&self) -> Unknown<'a> {
        Unknown {
            place: self.place,
            key: self.key,
            value: self.value,
        }
    }

    /// A claimed derivation (BIP 32): a compressed key, a fingerprint and a path. Its form is checked and nothing more:
    /// keys are matched against the bundle, and what a derivation claims is never believed.
    pub(super) fn claim(&self) -> Result<(), PsbtError> {
        let is_key = self.key.len() == 34 && matches!(self.key.get(1), Some(0x02 | 0x03));
        self.certify(is_key && is_origin(self.value))
    }

    /// A claimed extended key (BIP 32), with as many steps as its depth says (BIP 174).
    pub(super) fn xpub_claim(&self) -> Result<(), PsbtError> {
        // Behind the type four bytes of version, then the depth.
        let depth = self.key.get(5).copied().map_or(0, usize::from);
        let is_key = self.key.len() == 1 + XPUB_BYTES;
        self.certify(is_key && self.value.len().checked_div(4) == depth.checked_add(1) && is_origin(self.value))
    }

    /// The same with an x-only key and the hashes of the leaves in which it stands (BIP 371).
    pub(super) fn tap_claim(&self) -> Result<(), PsbtError> {
        let mut reader = Reader(self.value);
        let hashes = reader.compact_size()?.checked_mul(32).ok_or(PsbtError::Truncated)?;
        reader.take(hashes)?;
        self.certify(self.key.len() == 33 && is_origin(reader.0))
    }

    /// A script of a tree under its control block (BIP 371). It is no field that is known; its form is BIP 371's.
    pub(super) fn certify_leaf(&self) -> Result<(), PsbtError> {
        let path = self.key.len().checked_sub(SHORTEST_CONTROL_KEY);
        let is_path = path.is_some_and(|len| len.is_multiple_of(32) && len <= 32 * MAX_TAP_DEPTH);
        self.certify(is_path && !self.value.is_empty())
    }

    fn certify(&self, is_of_its_form: bool) -> Result<(), PsbtError> {
        is_of_its_form.then_some(()).ok_or_else(|| self.bad())
    }
}

/// A fingerprint of four bytes and steps of four bytes each.
fn is_origin(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.len().is_multiple_of(4)
}
