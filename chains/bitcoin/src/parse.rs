//! From a PSBT to effects, conflict keys and signing payloads.

use std::collections::BTreeSet;

use bitcoin::{OutPoint, absolute::LockTime, hashes::Hash as _, transaction::Version};
use countersign_types::{
    ConflictKey, ParsedTransaction, ParsedTransactionError, ParsedTransactionParts, SigningPayload, Tag, TemplateKind,
    TransactionDigest, WalletId,
};

use crate::{
    Account, AddressError, BitcoinNetwork, Known, PsbtError,
    effects::derive_effects,
    fee::signed_vbytes,
    psbt::Psbt,
    sighash::{Digest, digests},
    spend::{Spend, prove_spends},
};

/// The largest signed transaction, in virtual bytes: Bitcoin Core relays no larger one (400 000 weight units). Every legacy
/// signature hash goes over the whole transaction, and this keeps what they all read below 24 MB.
pub const MAX_SIGNED_VBYTES: u64 = 100_000;

/// Why bytes are not accepted as an unsigned transaction of a wallet on a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The bytes are no unsigned PSBT.
    #[error(transparent)]
    Psbt(#[from] PsbtError),
    /// A transaction version that nodes do not relay.
    #[error("transaction version {0} is not supported; use 1, 2 or 3")]
    UnsupportedVersion(i32),
    /// One outpoint is spent twice.
    #[error("the transaction spends one output twice")]
    DuplicateOutpoint,
    /// The output of a coinbase's input: nothing.
    #[error("input {input} spends no output")]
    NullOutpoint {
        /// Its index.
        input: usize,
    },
    /// The amount of an input is only claimed.
    #[error("input {input} needs its full previous transaction: its amount is proven by nothing else")]
    MissingPrevious {
        /// Its index.
        input: usize,
    },
    /// Another transaction than the one that is spent, or one without that output.
    #[error("the previous transaction of input {input} is not the one that it spends")]
    WrongPrevious {
        /// Its index.
        input: usize,
    },
    /// The claimed output is not the one in the previous transaction.
    #[error("the claimed output of input {input} differs from the one in its previous transaction")]
    FalseUtxo {
        /// Its index.
        input: usize,
    },
    /// A redeem or witness script that the spent output does not commit to.
    #[error("a script shown for input {input} is not the one that the spent output commits to")]
    FalseScript {
        /// Its index.
        input: usize,
    },
    /// A redeem or witness script that the output does not commit to.
    #[error("a script shown for output {output} is not the one that it commits to")]
    FalseOutputScript {
        /// Its index.
        output: usize,
    },
    /// Nothing that the wallet's keys spend alone.
    #[error("input {input} spends an output that is not the wallet's, or not in a supported form")]
    ForeignInput {
        /// Its index.
        input: usize,
    },
    /// A signature that would leave parts of the transaction open.
    #[error("input {input} asks for signature hash type {found}; only ALL (and DEFAULT for taproot) is signed")]
    SighashType {
        /// Its index.
        input: usize,
        /// What it asks for.
        found: u32,
    },
    /// Over [`MAX_SIGNED_VBYTES`].
    #[error("the signed transaction would have {found} virtual bytes; at most {MAX_SIGNED_VBYTES} are accepted")]
    SignedTooLarge {
        /// The virtual size with signatures of the greatest length.
        found: u64,
    },
    /// The signature hash of an input is not defined.
    #[error("input {input} has no signature hash")]
    NoSighash {
        /// Its index.
        input: usize,
    },
    /// An output that nodes do not relay.
    #[error("output {output} is dust: {found} base units")]
    Dust {
        /// Its index.
        output: usize,
        /// Its amount.
        found: u64,
    },
    /// Coins for a script that has no address.
    #[error(
        "output {output} pays {found} base units to a script without an address, which no list, limit or approver could name; only an output of 0 has such a script"
    )]
    CoinsWithoutAddress {
        /// Its index.
        output: usize,
        /// Its amount.
        found: u64,
    },
    /// A recipient that is refused.
    #[error(transparent)]
    Recipient(#[from] AddressError),
    /// More leaves than comes in.
    #[error("the outputs ({outputs}) are more than the inputs ({inputs})")]
    OutputsOverInputs {
        /// The sum of the inputs, in base units.
        inputs: u64,
        /// The sum of the outputs.
        outputs: u64,
    },
    /// More than the network's record allows.
    #[error("the fee is {found} base units; at most {max} is accepted on this network")]
    FeeTooHigh {
        /// Inputs minus outputs.
        found: u64,
        /// The network's bound.
        max: u64,
    },
    /// More than the network's record allows for the size of the transaction.
    #[error(
        "the fee is {found} base units for {vbytes} virtual bytes; at most {max} each are accepted on this network"
    )]
    FeeRateTooHigh {
        /// Inputs minus outputs.
        found: u64,
        /// The virtual size of the signed transaction.
        vbytes: u64,
        /// The network's bound.
        max: u64,
    },
    /// More than the network's record allows for what is spent.
    #[error(
        "the fee is {found} base units of {inputs} that are spent; at most {max} percent are accepted on this network"
    )]
    FeeShareTooHigh {
        /// Inputs minus outputs.
        found: u64,
        /// The sum of the inputs.
        inputs: u64,
        /// The network's bound.
        max: u64,
    },
    /// An amount, or a sum of amounts, that no valid block can have.
    #[error("an output or a sum of outputs is {found} base units; the network's consensus knows no more than {max}")]
    OverMaxMoney {
        /// The first amount or running sum over it.
        found: u64,
        /// The network's `MAX_MONEY`.
        max: u64,
    },
    /// Amounts over 64 bits.
    #[error("the amounts are over 64 bits")]
    AmountOverflow,
    /// The parse is not whole.
    #[error(transparent)]
    Whole(#[from] ParsedTransactionError),
}

impl ParseError {
    /// The stable reason.
    pub fn tag(&self) -> Tag {
        match self {
            Self::Psbt(error) => error.tag(),
            Self::UnsupportedVersion(_) | Self::SighashType { .. } => Tag::TransactionUnsupportedType,
            Self::SignedTooLarge { .. } => Tag::TransactionTooLarge,
            Self::Recipient(error) => error.tag(),
            Self::CoinsWithoutAddress { .. } => Tag::TransactionBadDestination,
            Self::DuplicateOutpoint
            | Self::NullOutpoint { .. }
            | Self::MissingPrevious { .. }
            | Self::WrongPrevious { .. }
            | Self::FalseUtxo { .. }
            | Self::FalseScript { .. }
            | Self::FalseOutputScript { .. }
            | Self::ForeignInput { .. }
            | Self::NoSighash { .. }
            | Self::Dust { .. }
            | Self::OutputsOverInputs { .. }
            | Self::FeeTooHigh { .. }
            | Self::FeeRateTooHigh { .. }
            | Self::FeeShareTooHigh { .. }
            | Self::OverMaxMoney { .. }
            | Self::AmountOverflow
            | Self::Whole(_) => Tag::TransactionMalformed,
        }
    }
}

/// Who signs, and where.
#[derive(Debug, Clone, Copy)]
pub struct Sender<'a> {
    /// The network.
    pub network: &'a BitcoinNetwork,
    /// The wallet.
    pub wallet: &'a WalletId,
    /// The wallet's keys on the network.
    pub account: &'a Account,
}

/// Parses an unsigned PSBT of `sender` whole.
pub fn parse(unsigned: &[u8], sender: &Sender<'_>, known: &Known<'_>) -> Result<ParsedTransaction, ParseError> {
    let read = read_for(unsigned, sender)?;
    let payload = |digest: &Digest| SigningPayload::new(digest.key.id, digest.bytes.clone());
    Ok(ParsedTransaction::new(ParsedTransactionParts {
        network: sender.network.chain().clone(),
        wallet: sender.wallet.clone(),
        transaction: TransactionDigest::of(unsigned),
        effects: derive_effects(&read.psbt, &read.spends, sender, known)?,
        conflict_keys: conflict_keys(&read.spends, sender),
        signing_payloads: read.digests.iter().flatten().map(payload).collect(),
        template: template(&read.psbt),
        fee_units: signed_vbytes(&read.psbt.tx, &read.spends),
    })?)
}

/// Version, lock time and relative lock times have their plain values: the request's template leaves them no room.
fn template(psbt: &Psbt<'_>) -> Option<TemplateKind> {
    let tx = &psbt.tx;
    let is_plain = tx.version == Version::TWO && tx.lock_time == LockTime::ZERO;
    let has_delay = tx.input.iter().any(|input| input.sequence.is_relative_lock_time());
    (is_plain && !has_delay).then_some(TemplateKind::BitcoinInputsAndFee)
}

/// A PSBT, what its inputs spend, and what is signed for each of them.
pub(crate) struct Read<'a> {
    pub(crate) psbt: Psbt<'a>,
    pub(crate) spends: Vec<Spend>,
    pub(crate) digests: Vec<Vec<Digest>>,
}

pub(crate) fn read_for<'a>(unsigned: &'a [u8], sender: &Sender<'_>) -> Result<Read<'a>, ParseError> {
    let psbt = Psbt::read(unsigned)?;
    let Version(version) = psbt.tx.version;
    if !(1..=3).contains(&version) {
        return Err(ParseError::UnsupportedVersion(version));
    }
    certify_outpoints(&psbt)?;
    let spends = prove_spends(&psbt, sender)?;
    let found = signed_vbytes(&psbt.tx, &spends).ok_or(ParseError::AmountOverflow)?;
    if found > MAX_SIGNED_VBYTES {
        return Err(ParseError::SignedTooLarge { found });
    }
    let digests = digests(&psbt.tx, &spends)?;
    Ok(Read { psbt, spends, digests })
}

fn certify_outpoints(psbt: &Psbt<'_>) -> Result<(), ParseError> {
    let mut seen = BTreeSet::new();
    for (index, input) in psbt.tx.input.iter().enumerate() {
        if input.previous_output == OutPoint::null() {
            return Err(ParseError::NullOutpoint { input: index });
        }
        if !seen.insert(input.previous_output) {
            return Err(ParseError::DuplicateOutpoint);
        }
    }
    Ok(())
}

/// Every outpoint. Ascending, so that the anchor (the first) does not depend on the order of the inputs.
fn conflict_keys(spends: &[Spend], sender: &Sender<'_>) -> Vec<ConflictKey> {
    let key = |spend: &Spend| ConflictKey::Outpoint {
        chain: sender.network.chain().clone(),
        txid: spend.outpoint.txid.to_byte_array(),
        index: spend.outpoint.vout,
    };
    let keys: BTreeSet<ConflictKey> = spends.iter().map(key).collect();
    keys.into_iter().collect()
}
