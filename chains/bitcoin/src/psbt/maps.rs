//! What the fields of each map mean, by PSBT version.

use bitcoin::{
    Script, Transaction, TxOut, Txid,
    consensus::{deserialize, serialize},
    hashes::Hash as _,
    taproot::TapNodeHash,
    transaction::Version,
};
use countersign_types::MAX_SIGNING_PAYLOADS;

use super::{
    InputFields, MAX_OUTPUTS, MAX_UNSIGNED_BYTES, OutputFields, Place, PsbtError, Unknown,
    field::{Field, kind},
};

/// BIP 65: lock times below are block heights, the others Unix times.
const FIRST_LOCK_TIME_IN_SECONDS: u32 = 500_000_000;

/// The versions there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PsbtVersion {
    V0,
    V2,
}

/// What the global map says of the transaction.
#[derive(Debug)]
pub(super) enum Header<'a> {
    /// All of it.
    V0(Transaction),
    /// All but its inputs and outputs, which stand in their own maps.
    V2(Frame<'a>),
}

/// A transaction's frame in version 2.
#[derive(Debug)]
pub(super) struct Frame<'a> {
    pub(super) version: Version,
    /// The lock time where no input requires one.
    pub(super) fallback: Option<LockField<'a>>,
    inputs: usize,
    outputs: usize,
}

/// A lock time, and the field that says it.
#[derive(Debug, Clone, Copy)]
pub(super) struct LockField<'a> {
    pub(super) at: u32,
    pub(super) field: Field<'a>,
}

impl Header<'_> {
    pub(super) fn version(&self) -> PsbtVersion {
        match self {
            Self::V0(_) => PsbtVersion::V0,
            Self::V2(_) => PsbtVersion::V2,
        }
    }

    /// How many input and output maps follow.
    pub(super) fn counts(&self) -> (usize, usize) {
        match self {
            Self::V0(tx) => (tx.input.len(), tx.output.len()),
            Self::V2(frame) => (frame.inputs, frame.outputs),
        }
    }
}

/// What an input's map says of the transaction in version 2; nothing in version 0.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SpendFields<'a> {
    pub(super) txid: Option<Txid>,
    pub(super) index: Option<u32>,
    pub(super) sequence: Option<u32>,
    pub(super) time: Option<LockField<'a>>,
    pub(super) height: Option<LockField<'a>>,
}

/// What an output's map says of the transaction in version 2; nothing in version 0.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PayFields<'a> {
    pub(super) sat: Option<u64>,
    pub(super) script: Option<&'a Script>,
}

pub(super) fn read_global<'a>(fields: &[Field<'a>], unknown: &mut Vec<Unknown<'a>>) -> Result<Header<'a>, PsbtError> {
    let version = fields.iter().find(|field| field.kind == kind::GLOBAL_VERSION);
    match version.map_or(Ok(0), Field::number)? {
        0 => read_global_v0(fields, unknown).map(Header::V0),
        2 => read_global_v2(fields, unknown).map(Header::V2),
        other => Err(PsbtError::UnsupportedVersion(other)),
    }
}

fn read_global_v0<'a>(fields: &[Field<'a>], unknown: &mut Vec<Unknown<'a>>) -> Result<Transaction, PsbtError> {
    let mut tx = None;
    for field in fields {
        match field.kind {
            kind::GLOBAL_UNSIGNED_TX => tx = Some(read_unsigned(field.plain()?)?),
            kind::GLOBAL_TX_VERSION
            | kind::GLOBAL_FALLBACK_LOCK_TIME
            | kind::GLOBAL_INPUT_COUNT
            | kind::GLOBAL_OUTPUT_COUNT
            | kind::GLOBAL_TX_MODIFIABLE => return Err(field.other_version()),
            kind::GLOBAL_VERSION => drop(field.number()?),
            kind::GLOBAL_XPUB => field.xpub_claim()?,
            _ => unknown.push(field.unknown()),
        }
    }
    tx.ok_or(PsbtError::NoTransaction)
}

fn read_global_v2<'a>(fields: &[Field<'a>], unknown: &mut Vec<Unknown<'a>>) -> Result<Frame<'a>, PsbtError> {
    let (mut version, mut fallback, mut inputs, mut outputs) = (None, None, None, None);
    for field in fields {
        match field.kind {
            kind::GLOBAL_UNSIGNED_TX => return Err(field.other_version()),
            kind::GLOBAL_TX_VERSION => version = Some(Version(field.array().map(i32::from_le_bytes)?)),
            kind::GLOBAL_FALLBACK_LOCK_TIME => fallback = Some(lock_field(field)?),
            kind::GLOBAL_INPUT_COUNT => inputs = Some(field.count()?),
            kind::GLOBAL_OUTPUT_COUNT => outputs = Some(field.count()?),
            kind::GLOBAL_TX_MODIFIABLE => match field.array()? {
                [0] => {}
                [flags] => return Err(PsbtError::Modifiable(flags)),
            },
            kind::GLOBAL_VERSION => drop(field.number()?),
            kind::GLOBAL_XPUB => field.xpub_claim()?,
            _ => unknown.push(field.unknown()),
        }
    }
    let missing = |kind| {
        let place = Place::Global;
        PsbtError::MissingField { place, kind }
    };
    let frame = Frame {
        version: version.ok_or_else(|| missing(kind::GLOBAL_TX_VERSION))?,
        fallback,
        inputs: inputs.ok_or_else(|| missing(kind::GLOBAL_INPUT_COUNT))?,
        outputs: outputs.ok_or_else(|| missing(kind::GLOBAL_OUTPUT_COUNT))?,
    };
    certify_counts(frame.inputs, frame.outputs)?;
    Ok(frame)
}

fn lock_field<'a>(field: &Field<'a>) -> Result<LockField<'a>, PsbtError> {
    let at = field.number()?;
    Ok(LockField { at, field: *field })
}

fn certify_counts(inputs: usize, outputs: usize) -> Result<(), PsbtError> {
    match (1..=MAX_SIGNING_PAYLOADS).contains(&inputs) && (1..=MAX_OUTPUTS).contains(&outputs) {
        true => Ok(()),
        false => Err(PsbtError::BadCounts),
    }
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
    certify_counts(tx.input.len(), tx.output.len())?;
    Ok(tx)
}

fn read_transaction(place: Place, bytes: &[u8]) -> Result<Transaction, PsbtError> {
    let tx: Transaction = deserialize(bytes).map_err(|_| PsbtError::BadTransaction(place))?;
    if serialize(&tx) != bytes {
        return Err(PsbtError::BadTransaction(place));
    }
    Ok(tx)
}

pub(super) fn read_input<'a>(
    version: PsbtVersion,
    fields: &[Field<'a>],
    unknown: &mut Vec<Unknown<'a>>,
) -> Result<(InputFields<'a>, SpendFields<'a>), PsbtError> {
    let mut input = InputFields::default();
    let mut spend = SpendFields::default();
    for field in fields {
        match field.kind {
            kind::IN_PREVIOUS_TX => input.previous = Some(read_previous(field)?),
            kind::IN_WITNESS_UTXO => {
                let spent: TxOut = deserialize(field.plain()?).map_err(|_| field.bad())?;
                input.witness_utxo = Some(spent);
            }
            kind::IN_SIGHASH_TYPE => input.sighash_type = Some(field.number()?),
            kind::IN_REDEEM_SCRIPT => input.redeem_script = Some(field.script()?),
            kind::IN_WITNESS_SCRIPT => input.witness_script = Some(field.script()?),
            kind::IN_BIP32 => field.claim()?,
            kind::IN_PREVIOUS_TXID
            | kind::IN_OUTPUT_INDEX
            | kind::IN_SEQUENCE
            | kind::IN_REQUIRED_TIME
            | kind::IN_REQUIRED_HEIGHT => match version {
                PsbtVersion::V0 => return Err(field.other_version()),
                PsbtVersion::V2 => spend.read(field)?,
            },
            kind::IN_PARTIAL_SIG
            | kind::IN_FINAL_SCRIPT_SIG
            | kind::IN_FINAL_WITNESS
            | kind::IN_TAP_KEY_SIG
            | kind::IN_TAP_SCRIPT_SIG => return Err(PsbtError::AlreadySigned(field.place)),
            kind::IN_TAP_BIP32 => field.tap_claim()?,
            kind::IN_TAP_INTERNAL_KEY => input.taproot.internal_key = Some(field.x_only()?),
            kind::IN_TAP_MERKLE_ROOT => {
                input.taproot.merkle_root = Some(TapNodeHash::from_byte_array(field.array()?));
            }
            kind::IN_TAP_LEAF_SCRIPT => {
                field.certify_leaf()?;
                unknown.push(field.unknown());
            }
            _ => unknown.push(field.unknown()),
        }
    }
    Ok((input, spend))
}

impl<'a> SpendFields<'a> {
    fn read(&mut self, field: &Field<'a>) -> Result<(), PsbtError> {
        match field.kind {
            kind::IN_PREVIOUS_TXID => self.txid = Some(Txid::from_byte_array(field.array()?)),
            kind::IN_OUTPUT_INDEX => self.index = Some(field.number()?),
            kind::IN_SEQUENCE => self.sequence = Some(field.number()?),
            kind::IN_REQUIRED_TIME => {
                let lock = lock_field(field)?;
                if lock.at < FIRST_LOCK_TIME_IN_SECONDS {
                    return Err(field.bad());
                }
                self.time = Some(lock);
            }
            kind::IN_REQUIRED_HEIGHT => {
                let lock = lock_field(field)?;
                if lock.at == 0 || lock.at >= FIRST_LOCK_TIME_IN_SECONDS {
                    return Err(field.bad());
                }
                self.height = Some(lock);
            }
            _ => return Err(field.bad()),
        }
        Ok(())
    }
}

/// A previous transaction is there to be hashed to the id that the input spends. That id leaves witnesses out, so a
/// PSBT that carries some has bytes that nothing commits to.
fn read_previous(field: &Field<'_>) -> Result<Transaction, PsbtError> {
    let tx = read_transaction(field.place, field.plain()?)?;
    if tx.input.iter().any(|input| !input.witness.is_empty()) {
        return Err(PsbtError::PreviousWithWitness(field.place));
    }
    Ok(tx)
}

pub(super) fn read_output<'a>(
    version: PsbtVersion,
    fields: &[Field<'a>],
    unknown: &mut Vec<Unknown<'a>>,
) -> Result<(OutputFields<'a>, PayFields<'a>), PsbtError> {
    let mut output = OutputFields::default();
    let mut pay = PayFields::default();
    // With a tree of scripts, which is not read, an internal key says nothing that could be checked.
    let has_tree = fields.iter().any(|field| field.kind == kind::OUT_TAP_TREE);
    for field in fields {
        match field.kind {
            kind::OUT_REDEEM_SCRIPT => output.redeem_script = Some(field.script()?),
            kind::OUT_WITNESS_SCRIPT => output.witness_script = Some(field.script()?),
            kind::OUT_BIP32 => field.claim()?,
            kind::OUT_AMOUNT | kind::OUT_SCRIPT if version == PsbtVersion::V0 => return Err(field.other_version()),
            kind::OUT_AMOUNT => pay.sat = Some(field.array().map(u64::from_le_bytes)?),
            kind::OUT_SCRIPT => pay.script = Some(field.script()?),
            kind::OUT_TAP_INTERNAL_KEY => {
                let internal_key = field.x_only()?;
                match has_tree {
                    true => unknown.push(field.unknown()),
                    false => output.internal_key = Some(internal_key),
                }
            }
            kind::OUT_TAP_BIP32 => field.tap_claim()?,
            _ => unknown.push(field.unknown()),
        }
    }
    Ok((output, pay))
}
