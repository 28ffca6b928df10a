//! A strict reader of PSBT version 0 (BIP 174).
//!
//! Stricter than the standard where the standard leaves a choice: the keys of a map ascend, lengths are minimal,
//! nothing follows the last map, and what is read encodes to the same bytes again. Only fields of an unsigned PSBT are
//! known; every other field is reported as [`Unknown`], never dropped.

use bitcoin::{
    Script, Transaction, TxOut,
    consensus::{deserialize, serialize},
};
use countersign_types::{MAX_SIGNING_PAYLOADS, Tag};

/// The largest PSBT that is read: a consolidation with its previous transactions.
pub const MAX_PSBT_BYTES: usize = 1024 * 1024;
/// The largest unsigned transaction inside; Bitcoin Core relays no larger one (400 000 weight units). It also bounds
/// the legacy signature hashes, whose work grows with inputs times size.
pub const MAX_UNSIGNED_BYTES: usize = 100_000;
/// The most fields of one map: a derivation for each key of a multisig script, and as much again.
const MAX_FIELDS: usize = 64;
/// `psbt` and a separator.
const MAGIC: [u8; 5] = *b"psbt\xff";

/// The types of the fields that are read.
mod kind {
    pub(super) const GLOBAL_UNSIGNED_TX: u8 = 0x00;
    pub(super) const GLOBAL_VERSION: u8 = 0xfb;
    pub(super) const IN_PREVIOUS_TX: u8 = 0x00;
    pub(super) const IN_WITNESS_UTXO: u8 = 0x01;
    pub(super) const IN_PARTIAL_SIG: u8 = 0x02;
    pub(super) const IN_SIGHASH_TYPE: u8 = 0x03;
    pub(super) const IN_REDEEM_SCRIPT: u8 = 0x04;
    pub(super) const IN_WITNESS_SCRIPT: u8 = 0x05;
    pub(super) const IN_BIP32: u8 = 0x06;
    pub(super) const IN_FINAL_SCRIPT_SIG: u8 = 0x07;
    pub(super) const IN_FINAL_WITNESS: u8 = 0x08;
    pub(super) const IN_TAP_KEY_SIG: u8 = 0x13;
    pub(super) const IN_TAP_SCRIPT_SIG: u8 = 0x14;
    pub(super) const OUT_REDEEM_SCRIPT: u8 = 0x00;
    pub(super) const OUT_WITNESS_SCRIPT: u8 = 0x01;
    pub(super) const OUT_BIP32: u8 = 0x02;
}

/// Which map of a PSBT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The first map.
    Global,
    /// The map of the input with this index.
    Input(usize),
    /// The map of the output with this index.
    Output(usize),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Global => f.write_str("the global map"),
            Self::Input(index) => write!(f, "input {index}"),
            Self::Output(index) => write!(f, "output {index}"),
        }
    }
}

/// Why bytes are no unsigned PSBT.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PsbtError {
    /// Over [`MAX_PSBT_BYTES`].
    #[error("the PSBT has {0} bytes; at most {MAX_PSBT_BYTES} are accepted")]
    TooLarge(usize),
    /// Does not start with `psbt` and `0xff`.
    #[error("the bytes do not start like a PSBT (in binary form, not base64)")]
    BadMagic,
    /// A map, key or value runs over the end.
    #[error("the PSBT ends too early")]
    Truncated,
    /// A length with a shorter encoding.
    #[error("a length in the PSBT is not in its shortest form")]
    NotMinimal,
    /// Keys of one map that do not ascend, or one key twice.
    #[error("the keys of {0} are not in ascending order, or one is there twice")]
    Unordered(Place),
    /// More fields than a map may have.
    #[error("{0} has more than {MAX_FIELDS} fields")]
    TooManyFields(Place),
    /// Bytes behind the last map.
    #[error("there is more behind the last map of the PSBT")]
    TrailingBytes,
    /// PSBT version 2 or one that does not exist.
    #[error("PSBT version {0} is not supported; use version 0")]
    UnsupportedVersion(u32),
    /// No transaction in the global map.
    #[error("the PSBT has no unsigned transaction")]
    NoTransaction,
    /// The unsigned transaction or a previous one does not decode, or in another encoding.
    #[error("the transaction in {0} does not decode to the same bytes")]
    BadTransaction(Place),
    /// Over [`MAX_UNSIGNED_BYTES`].
    #[error("the unsigned transaction has {0} bytes; at most {MAX_UNSIGNED_BYTES} are accepted")]
    TransactionTooLarge(usize),
    /// No input or output, or too many inputs.
    #[error("a transaction has 1 to {MAX_SIGNING_PAYLOADS} inputs and at least one output")]
    BadCounts,
    /// Signatures where none may be yet.
    #[error("{0} already carries a signature")]
    AlreadySigned(Place),
    /// A witness in a previous transaction: its id does not commit to it.
    #[error("the previous transaction of {0} carries witnesses; write it without, as its id is computed")]
    PreviousWithWitness(Place),
    /// A field whose key or value is not of its form.
    #[error("field 0x{kind:02x} of {place} is not of its form")]
    BadField {
        /// Its map.
        place: Place,
        /// Its type.
        kind: u8,
    },
}

impl PsbtError {
    /// The stable reason.
    pub fn tag(&self) -> Tag {
        match self {
            Self::TooLarge(_) | Self::TransactionTooLarge(_) => Tag::TransactionTooLarge,
            Self::NotMinimal | Self::Unordered(_) | Self::PreviousWithWitness(_) => Tag::TransactionNotCanonical,
            Self::UnsupportedVersion(_) => Tag::TransactionUnsupportedType,
            Self::BadMagic
            | Self::Truncated
            | Self::TooManyFields(_)
            | Self::TrailingBytes
            | Self::NoTransaction
            | Self::BadTransaction(_)
            | Self::BadCounts
            | Self::AlreadySigned(_)
            | Self::BadField { .. } => Tag::TransactionMalformed,
        }
    }
}

/// A field that is not known here: what it asks a signer to do is not known either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unknown<'a> {
    pub(crate) place: Place,
    pub(crate) key: &'a [u8],
    pub(crate) value: &'a [u8],
}

/// The known fields of an input.
#[derive(Debug, Clone, Default)]
pub(crate) struct InputFields<'a> {
    pub(crate) previous: Option<Transaction>,
    pub(crate) witness_utxo: Option<TxOut>,
    pub(crate) sighash_type: Option<u32>,
    pub(crate) redeem_script: Option<&'a Script>,
    pub(crate) witness_script: Option<&'a Script>,
}

/// The known fields of an output.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct OutputFields<'a> {
    pub(crate) redeem_script: Option<&'a Script>,
    pub(crate) witness_script: Option<&'a Script>,
}

/// An unsigned PSBT: as many input and output fields as its transaction has inputs and outputs.
#[derive(Debug, Clone)]
pub(crate) struct Psbt<'a> {
    pub(crate) tx: Transaction,
    pub(crate) inputs: Vec<InputFields<'a>>,
    pub(crate) outputs: Vec<OutputFields<'a>>,
    pub(crate) unknown: Vec<Unknown<'a>>,
}

impl<'a> Psbt<'a> {
    /// Reads all of `bytes`.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, PsbtError> {
        if bytes.len() > MAX_PSBT_BYTES {
            return Err(PsbtError::TooLarge(bytes.len()));
        }
        let mut reader = Reader(bytes.strip_prefix(&MAGIC).ok_or(PsbtError::BadMagic)?);
        let mut unknown = Vec::new();
        let tx = read_global(&reader.map(Place::Global)?, &mut unknown)?;
        let mut inputs = Vec::with_capacity(tx.input.len());
        for index in 0..tx.input.len() {
            let place = Place::Input(index);
            inputs.push(read_input(place, &reader.map(place)?, &mut unknown)?);
        }
        let mut outputs = Vec::with_capacity(tx.output.len());
        for index in 0..tx.output.len() {
            let place = Place::Output(index);
            outputs.push(read_output(place, &reader.map(place)?, &mut unknown)?);
        }
        if !reader.0.is_empty() {
            return Err(PsbtError::TrailingBytes);
        }
        Ok(Self {
            tx,
            inputs,
            outputs,
            unknown,
        })
    }
}

/// One field: the whole key and its value.
#[derive(Debug, Clone, Copy)]
struct Field<'a> {
    kind: u8,
    key: &'a [u8],
    value: &'a [u8],
}

impl<'a> Field<'a> {
    fn bad(&self, place: Place) -> PsbtError {
        PsbtError::BadField { place, kind: self.kind }
    }

    /// The value of a field whose key is its type alone.
    fn plain(&self, place: Place) -> Result<&'a [u8], PsbtError> {
        match self.key {
            [_] => Ok(self.value),
            _ => Err(self.bad(place)),
        }
    }

    fn script(&self, place: Place) -> Result<&'a Script, PsbtError> {
        self.plain(place).map(Script::from_bytes)
    }

    fn number(&self, place: Place) -> Result<u32, PsbtError> {
        let bytes: [u8; 4] = self.plain(place)?.try_into().map_err(|_| self.bad(place))?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn unknown(&self, place: Place) -> Unknown<'a> {
        Unknown {
            place,
            key: self.key,
            value: self.value,
        }
    }

    /// A claimed derivation (BIP 32): a compressed key, a fingerprint and a path. Its form is checked and nothing more:
    /// keys are matched against the bundle, and what a derivation claims is never believed.
    fn claim(&self, place: Place) -> Result<(), PsbtError> {
        let is_key = self.key.len() == 34 && matches!(self.key.get(1), Some(0x02 | 0x03));
        let is_path = !self.value.is_empty() && self.value.len().is_multiple_of(4);
        (is_key && is_path).then_some(()).ok_or_else(|| self.bad(place))
    }
}

fn read_global<'a>(fields: &[Field<'a>], unknown: &mut Vec<Unknown<'a>>) -> Result<Transaction, PsbtError> {
    let place = Place::Global;
    let mut tx = None;
    for field in fields {
        match field.kind {
            kind::GLOBAL_UNSIGNED_TX => tx = Some(read_unsigned(field.plain(place)?)?),
            kind::GLOBAL_VERSION => match field.number(place)? {
                0 => {}
                version => return Err(PsbtError::UnsupportedVersion(version)),
            },
            _ => unknown.push(field.unknown(place)),
        }
    }
    tx.ok_or(PsbtError::NoTransaction)
}

fn read_unsigned(bytes: &[u8]) -> Result<Transaction, PsbtError> {
    if bytes.len() > MAX_UNSIGNED_BYTES {
        return Err(PsbtError::TransactionTooLarge(bytes.len()));
    }
    let tx = read_transaction(Place::Global, bytes)?;
    let is_signed = |input: &bitcoin::TxIn| !input.script_sig.is_empty() || !input.witness.is_empty();
    if tx.input.iter().any(is_signed) {
        return Err(PsbtError::AlreadySigned(Place::Global));
    }
    if tx.input.is_empty() || tx.input.len() > MAX_SIGNING_PAYLOADS || tx.output.is_empty() {
        return Err(PsbtError::BadCounts);
    }
    Ok(tx)
}

fn read_transaction(place: Place, bytes: &[u8]) -> Result<Transaction, PsbtError> {
    let tx: Transaction = deserialize(bytes).map_err(|_| PsbtError::BadTransaction(place))?;
    if serialize(&tx) != bytes {
        return Err(PsbtError::BadTransaction(place));
    }
    Ok(tx)
}

fn read_input<'a>(
    place: Place,
    fields: &[Field<'a>],
    unknown: &mut Vec<Unknown<'a>>,
) -> Result<InputFields<'a>, PsbtError> {
    let mut input = InputFields::default();
    for field in fields {
        match field.kind {
            kind::IN_PREVIOUS_TX => input.previous = Some(read_previous(place, field.plain(place)?)?),
            kind::IN_WITNESS_UTXO => {
                let spent: TxOut = deserialize(field.plain(place)?).map_err(|_| field.bad(place))?;
                input.witness_utxo = Some(spent);
            }
            kind::IN_SIGHASH_TYPE => input.sighash_type = Some(field.number(place)?),
            kind::IN_REDEEM_SCRIPT => input.redeem_script = Some(field.script(place)?),
            kind::IN_WITNESS_SCRIPT => input.witness_script = Some(field.script(place)?),
            kind::IN_BIP32 => field.claim(place)?,
            kind::IN_PARTIAL_SIG
            | kind::IN_FINAL_SCRIPT_SIG
            | kind::IN_FINAL_WITNESS
            | kind::IN_TAP_KEY_SIG
            | kind::IN_TAP_SCRIPT_SIG => return Err(PsbtError::AlreadySigned(place)),
            _ => unknown.push(field.unknown(place)),
        }
    }
    Ok(input)
}

/// A previous transaction is there to be hashed to the id that the input spends. That id leaves witnesses out, so a
/// PSBT that carries some has bytes that nothing commits to.
fn read_previous(place: Place, bytes: &[u8]) -> Result<Transaction, PsbtError> {
    let tx = read_transaction(place, bytes)?;
    if tx.input.iter().any(|input| !input.witness.is_empty()) {
        return Err(PsbtError::PreviousWithWitness(place));
    }
    Ok(tx)
}

fn read_output<'a>(
    place: Place,
    fields: &[Field<'a>],
    unknown: &mut Vec<Unknown<'a>>,
) -> Result<OutputFields<'a>, PsbtError> {
    let mut output = OutputFields::default();
    for field in fields {
        match field.kind {
            kind::OUT_REDEEM_SCRIPT => output.redeem_script = Some(field.script(place)?),
            kind::OUT_WITNESS_SCRIPT => output.witness_script = Some(field.script(place)?),
            kind::OUT_BIP32 => field.claim(place)?,
            _ => unknown.push(field.unknown(place)),
        }
    }
    Ok(output)
}

/// What has not been read yet.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], PsbtError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(PsbtError::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    fn number<const N: usize>(&mut self) -> Result<u64, PsbtError> {
        let mut bytes = [0; 8];
        for (to, from) in bytes.iter_mut().zip(self.take(N)?) {
            *to = *from;
        }
        Ok(u64::from_le_bytes(bytes))
    }

    /// Bitcoin's variable-length integer, in its shortest form only.
    fn compact_size(&mut self) -> Result<usize, PsbtError> {
        let (number, least) = match self.number::<1>()? {
            0xfd => (self.number::<2>()?, 0xfd),
            0xfe => (self.number::<4>()?, 0x1_0000),
            0xff => (self.number::<8>()?, 0x1_0000_0000),
            small => (small, 0),
        };
        if number < least {
            return Err(PsbtError::NotMinimal);
        }
        // A number that no `usize` holds is also over the end.
        usize::try_from(number).map_err(|_| PsbtError::Truncated)
    }

    fn bytes(&mut self) -> Result<&'a [u8], PsbtError> {
        let count = self.compact_size()?;
        self.take(count)
    }

    /// Fields up to the zero that ends a map, keys strictly ascending: unique, and one order for one content.
    fn map(&mut self, place: Place) -> Result<Vec<Field<'a>>, PsbtError> {
        let mut fields: Vec<Field<'a>> = Vec::new();
        loop {
            let key = self.bytes()?;
            let Some(kind) = key.first().copied() else {
                return Ok(fields);
            };
            if fields.last().is_some_and(|last| last.key >= key) {
                return Err(PsbtError::Unordered(place));
            }
            if fields.len() >= MAX_FIELDS {
                return Err(PsbtError::TooManyFields(place));
            }
            let value = self.bytes()?;
            fields.push(Field { kind, key, value });
        }
    }
}
