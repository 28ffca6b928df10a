//! Which key of a wallet's key table spends a script.

use std::{collections::BTreeSet, fmt};

use bitcoin::{Script, hashes::Hash as _};
use countersign_types::{KeyTable, PublicKey, ScriptForm};

use crate::{
    AccountError,
    account::{KeyScript, OwnKey, parse_key},
    address::{p2wpkh, program_of},
};

/// The hash that a script commits to, and the index of the key behind it.
type Entry = ([u8; 20], u32);

/// A key table with the hashes of its scripts, each list ascending.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct TableIndex {
    table: KeyTable,
    /// HASH160 of the key: P2PKH and P2WPKH.
    by_key_hash: Vec<Entry>,
    /// HASH160 of the P2WPKH script: P2SH-P2WPKH.
    by_nested_hash: Vec<Entry>,
}

/// Not millions of hashes.
impl fmt::Debug for TableIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TableIndex({:?})", self.table)
    }
}

impl TableIndex {
    /// Checks that every key is a point of the curve, and hashes for the forms that the wallet uses.
    pub(crate) fn derive(table: &KeyTable, forms: &BTreeSet<ScriptForm>) -> Result<Self, AccountError> {
        let (mut by_key_hash, mut by_nested_hash) = (Vec::new(), Vec::new());
        let is_hashed = forms.contains(&ScriptForm::P2pkh) || forms.contains(&ScriptForm::P2wpkh);
        let is_nested = forms.contains(&ScriptForm::P2shP2wpkh);
        for (index, key) in (0..).zip(table.keys()) {
            let point = parse_key(&PublicKey::Secp256k1(*key))?.point;
            if is_hashed {
                by_key_hash.push((point.wpubkey_hash().to_byte_array(), index));
            }
            if is_nested {
                let nested = p2wpkh(point.wpubkey_hash()).script_hash();
                by_nested_hash.push((nested.to_byte_array(), index));
            }
        }
        by_key_hash.sort_unstable();
        by_nested_hash.sort_unstable();
        by_key_hash.shrink_to_fit();
        by_nested_hash.shrink_to_fit();
        Ok(Self {
            table: table.clone(),
            by_key_hash,
            by_nested_hash,
        })
    }

    /// The key that spends a script alone in one of the forms, and how.
    pub(crate) fn owner(&self, script: &Script, forms: &BTreeSet<ScriptForm>) -> Option<(KeyScript, OwnKey)> {
        let program = program_of(script)?;
        let (form, found) = match () {
            () if script.is_p2pkh() => (KeyScript::P2pkh, self.find(&self.by_key_hash, program)),
            () if script.is_p2wpkh() => (KeyScript::P2wpkh, self.find(&self.by_key_hash, program)),
            () if script.is_p2sh() => (KeyScript::P2shP2wpkh, self.find(&self.by_nested_hash, program)),
            () if script.is_p2tr() => (KeyScript::P2tr, self.table.key_of_x(program.try_into().ok()?)),
            () => return None,
        };
        let key = parse_key(&found?).ok()?;
        forms.contains(&form.form()).then_some((form, key))
    }

    /// The key with an encoding.
    pub(crate) fn key(&self, encoded: &[u8; 33]) -> Option<OwnKey> {
        let key = PublicKey::Secp256k1(*encoded);
        self.table.contains(&key).then(|| parse_key(&key).ok()).flatten()
    }

    fn find(&self, entries: &[Entry], hash: &[u8]) -> Option<PublicKey> {
        let at = entries.binary_search_by(|(found, _)| found.as_slice().cmp(hash)).ok()?;
        let (_, index) = entries.get(at)?;
        let key = self.table.keys().get(usize::try_from(*index).ok()?)?;
        Some(PublicKey::Secp256k1(*key))
    }
}
