//! A strict reader of PSBT versions 0 (BIP 174) and 2 (BIP 370), with the taproot fields of BIP 371.
//!
//! Stricter than the standards where they leave a choice: the keys of a map ascend, lengths are minimal, nothing
//! follows the last map, and what is read encodes to the same bytes again. Only fields of an unsigned PSBT are known;
//! every other field is reported as [`Unknown`], never dropped. A PSBT of version 2 becomes the unsigned transaction
//! that its fields describe, so that whatever comes after reading knows no versions.

mod build;
mod error;
mod field;
mod maps;
mod reader;

use bitcoin::{Script, Transaction, TxOut, XOnlyPublicKey, taproot::TapNodeHash};
use countersign_types::MAX_EFFECTS;

pub use error::{Place, PsbtError};
use maps::{Header, read_global, read_input, read_output};
use reader::Reader;

/// The largest PSBT that is read: a consolidation with its previous transactions.
pub const MAX_PSBT_BYTES: usize = 1024 * 1024;
/// The largest unsigned transaction inside; Bitcoin Core relays no larger one (400 000 weight units). It also bounds
/// the legacy signature hashes, whose work grows with inputs times size.
pub const MAX_UNSIGNED_BYTES: usize = 100_000;
/// The most outputs: each is an effect, and the fee is one more. In version 2 nothing else bounds how many maps are read.
const MAX_OUTPUTS: usize = MAX_EFFECTS - 1;
/// The most fields of one map: a derivation for each key of a multisig script, and as much again.
const MAX_FIELDS: usize = 64;
/// `psbt` and a separator.
const MAGIC: [u8; 5] = *b"psbt\xff";

/// A field that is not known here, or that says something about the transaction which the transaction does not do:
/// what it asks a signer to do is not known either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unknown<'a> {
    pub(crate) place: Place,
    pub(crate) key: &'a [u8],
    pub(crate) value: &'a [u8],
}

/// What a taproot output key is said to be made of (BIP 341): a key, and the root of a tree of scripts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct TapClaim {
    pub(crate) internal_key: Option<XOnlyPublicKey>,
    pub(crate) merkle_root: Option<TapNodeHash>,
}

/// The known fields of an input.
#[derive(Debug, Clone, Default)]
pub(crate) struct InputFields<'a> {
    pub(crate) previous: Option<Transaction>,
    pub(crate) witness_utxo: Option<TxOut>,
    pub(crate) sighash_type: Option<u32>,
    pub(crate) redeem_script: Option<&'a Script>,
    pub(crate) witness_script: Option<&'a Script>,
    pub(crate) taproot: TapClaim,
}

/// The known fields of an output.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct OutputFields<'a> {
    pub(crate) redeem_script: Option<&'a Script>,
    pub(crate) witness_script: Option<&'a Script>,
    /// Of an output without a tree of scripts.
    pub(crate) internal_key: Option<XOnlyPublicKey>,
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
        let header = read_global(&reader.map(Place::Global)?, &mut unknown)?;
        let version = header.version();
        let (input_count, output_count) = header.counts();
        let (mut inputs, mut spends) = (Vec::new(), Vec::new());
        for index in 0..input_count {
            let fields = reader.map(Place::Input(index))?;
            let (input, spend) = read_input(version, &fields, &mut unknown)?;
            inputs.push(input);
            spends.push(spend);
        }
        let (mut outputs, mut pays) = (Vec::new(), Vec::new());
        for index in 0..output_count {
            let fields = reader.map(Place::Output(index))?;
            let (output, pay) = read_output(version, &fields, &mut unknown)?;
            outputs.push(output);
            pays.push(pay);
        }
        if !reader.0.is_empty() {
            return Err(PsbtError::TrailingBytes);
        }
        let tx = match header {
            Header::V0(tx) => tx,
            Header::V2(frame) => build::transaction(&frame, &spends, &pays, &mut unknown)?,
        };
        Ok(Self {
            tx,
            inputs,
            outputs,
            unknown,
        })
    }
}
