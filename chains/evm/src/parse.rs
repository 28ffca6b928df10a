//! From unsigned bytes to effects, conflict key and signing payload.

use alloy_rlp::Error as RlpError;
use countersign_types::{
    ChainId, ConflictKey, Effect, ParsedTransaction, ParsedTransactionError, ParsedTransactionParts, SigningBytes,
    SigningPayload, Tag, TemplateKind, TransactionDigest, WalletId,
};

use crate::{
    Account, AddressError, EvmNetwork, Known, MAX_ACCESS_LIST_ENTRIES, MAX_AUTHORIZATIONS, MAX_BLOBS,
    MAX_TRANSACTION_BYTES,
    authorization::{Delegation, recover_delegations},
    effects::derive_effects,
    message::{Signable, TypedDataError, no_fee},
    transaction::Unsigned,
};

/// Why bytes are not accepted as an unsigned transaction of a wallet on a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// No bytes at all.
    #[error("the transaction is empty")]
    Empty,
    /// Over [`MAX_TRANSACTION_BYTES`].
    #[error("the transaction has {found} bytes; at most {MAX_TRANSACTION_BYTES} are accepted")]
    TooLarge {
        /// The number of bytes.
        found: usize,
    },
    /// Neither a type byte (EIP-2718) nor a list.
    #[error("the bytes start with neither a transaction type nor a list")]
    NotATransaction,
    /// A field is missing, too long or of the wrong kind.
    #[error("the transaction is not valid RLP: {0}")]
    Rlp(RlpError),
    /// A number or length that has a shorter encoding.
    #[error("the transaction is not minimal RLP: {0}")]
    NotMinimal(RlpError),
    /// More than the fields of an unsigned transaction.
    #[error("there is more behind the last field of the unsigned transaction")]
    TrailingBytes,
    /// A type other than EIP-2930, EIP-1559, EIP-4844 and EIP-7702.
    #[error("transaction type `0x{0:02x}` is not supported; use EIP-1559 (`0x02`) or legacy with a chain id")]
    UnsupportedType(u8),
    /// Legacy without chain id: its signature would be valid on every network.
    #[error("a legacy transaction needs its chain id (EIP-155): nine fields, not six")]
    UnprotectedLegacy,
    /// The last two of the nine legacy fields are not zero.
    #[error("the transaction is already signed; the unsigned form ends in chain id, 0, 0")]
    AlreadySigned,
    /// More addresses and storage keys than [`MAX_ACCESS_LIST_ENTRIES`].
    #[error("the access list has {found} addresses and keys; at most {MAX_ACCESS_LIST_ENTRIES} are accepted")]
    AccessListTooLong {
        /// Addresses and storage keys together.
        found: usize,
    },
    /// EIP-7702 without what it is for.
    #[error("an EIP-7702 transaction needs an authorization")]
    NoAuthorization,
    /// More authorizations than [`MAX_AUTHORIZATIONS`].
    #[error("the transaction has {found} authorizations; at most {MAX_AUTHORIZATIONS} are accepted")]
    TooManyAuthorizations {
        /// The number of authorizations.
        found: usize,
    },
    /// An authorization for another network, or for all of them (chain id 0).
    #[error("authorization {index} is not for chain `{network}` alone")]
    AuthorizationWrongChain {
        /// Which one, counted from 0.
        index: usize,
        /// The network that the transaction is for.
        network: ChainId,
    },
    /// An authorization that nobody can have signed, or that no network would apply.
    #[error("authorization {index} carries no valid low-s signature, or the last possible nonce")]
    BadAuthorization {
        /// Which one, counted from 0.
        index: usize,
    },
    /// EIP-4844 without what it is for.
    #[error("an EIP-4844 transaction needs a blob")]
    NoBlob,
    /// More blobs than [`MAX_BLOBS`].
    #[error("the transaction has {found} blobs; at most {MAX_BLOBS} are accepted")]
    TooManyBlobs {
        /// The number of blobs.
        found: usize,
    },
    /// A versioned hash of another version than EIP-4844's.
    #[error("versioned hash {index} does not start with 0x01 (EIP-4844)")]
    BadBlobVersion {
        /// Which one, counted from 0.
        index: usize,
    },
    /// Starts as EIP-191 does, and is no personal message.
    #[error("a message starts with byte 0x19 and `Ethereum Signed Message:` and a line end (EIP-191, version `E`)")]
    NotAPersonalMessage,
    /// The length in front of a personal message is not the message's.
    #[error("the length in front of the message is not the decimal length of what follows")]
    PersonalMessageLength,
    /// The bytes are another encoding of the fields.
    #[error("decoding and encoding the transaction again gives other bytes")]
    NotCanonical,
    /// The chain id of the bytes is not the network's.
    #[error("the transaction is for chain id {found}; the network is `{network}`")]
    WrongChain {
        /// The network it was submitted for.
        network: ChainId,
        /// The chain id of the bytes.
        found: u64,
    },
    /// A tip above the whole price.
    #[error("the priority fee is over the maximum fee")]
    PriorityFeeOverMax,
    /// EIP-2681: the highest nonce that can be used is 2⁶⁴ − 2.
    #[error("the nonce is over the last one that an account can use (EIP-2681)")]
    NonceExhausted,
    /// More gas than the network's record allows.
    #[error("the gas limit is {found}; at most {max} is accepted on this network")]
    GasLimitTooHigh {
        /// The gas limit of the bytes.
        found: u64,
        /// The network's bound.
        max: u64,
    },
    /// Gas limit times price is over 256 bits.
    #[error("the fee is over 256 bits")]
    FeeOverflow,
    /// Typed data (EIP-712) that is not canonical, not whole, or not for this network and a contract.
    #[error(transparent)]
    TypedData(#[from] TypedDataError),
    /// A recipient that is refused.
    #[error(transparent)]
    Recipient(#[from] AddressError),
    /// The recipient of a token transfer is the token's own contract.
    #[error("the tokens would go to the token's own contract, which cannot send them on")]
    TokenToItself,
    /// The parse is not whole.
    #[error(transparent)]
    Whole(#[from] ParsedTransactionError),
}

impl ParseError {
    /// The stable reason.
    pub fn tag(&self) -> Tag {
        match self {
            Self::Empty
            | Self::NotATransaction
            | Self::Rlp(_)
            | Self::TrailingBytes
            | Self::AlreadySigned
            | Self::AccessListTooLong { .. }
            | Self::NoAuthorization
            | Self::TooManyAuthorizations { .. }
            | Self::BadAuthorization { .. }
            | Self::NoBlob
            | Self::TooManyBlobs { .. }
            | Self::BadBlobVersion { .. }
            | Self::NotAPersonalMessage
            | Self::PersonalMessageLength
            | Self::PriorityFeeOverMax
            | Self::NonceExhausted
            | Self::GasLimitTooHigh { .. }
            | Self::FeeOverflow
            | Self::Whole(_) => Tag::TransactionMalformed,
            Self::TooLarge { .. } => Tag::TransactionTooLarge,
            Self::NotMinimal(_) | Self::NotCanonical => Tag::TransactionNotCanonical,
            Self::UnsupportedType(_) | Self::UnprotectedLegacy => Tag::TransactionUnsupportedType,
            Self::WrongChain { .. } | Self::AuthorizationWrongChain { .. } => Tag::TransactionWrongChain,
            Self::TypedData(error) => error.tag(),
            Self::Recipient(error) => error.tag(),
            Self::TokenToItself => Tag::TransactionBadDestination,
        }
    }
}

impl From<RlpError> for ParseError {
    fn from(error: RlpError) -> Self {
        match error {
            RlpError::LeadingZero | RlpError::NonCanonicalSingleByte | RlpError::NonCanonicalSize => {
                Self::NotMinimal(error)
            }
            RlpError::Overflow
            | RlpError::InputTooShort
            | RlpError::UnexpectedLength
            | RlpError::UnexpectedString
            | RlpError::UnexpectedList
            | RlpError::ListLengthMismatch { .. }
            | RlpError::Custom(_) => Self::Rlp(error),
        }
    }
}

/// Who signs, and where.
#[derive(Debug, Clone, Copy)]
pub struct Sender<'a> {
    /// The network.
    pub network: &'a EvmNetwork,
    /// The wallet.
    pub wallet: &'a WalletId,
    /// The wallet's account.
    pub account: &'a Account,
}

/// Parses an unsigned transaction or message of `sender` whole.
pub fn parse(unsigned: &[u8], sender: &Sender<'_>, known: &Known<'_>) -> Result<ParsedTransaction, ParseError> {
    let signable = Signable::decode_for(unsigned, sender.network)?;
    let Outcome {
        effects,
        conflict_keys,
        template,
        fee_units,
    } = derive(unsigned, &signable, sender, known)?;
    let payload = SigningBytes::EcdsaPrehash(signable.signing_hash().0);
    Ok(ParsedTransaction::new(ParsedTransactionParts {
        network: sender.network.chain().clone(),
        wallet: sender.wallet.clone(),
        transaction: TransactionDigest::of(unsigned),
        effects,
        conflict_keys,
        signing_payloads: vec![SigningPayload::new(sender.account.key(), payload)],
        template,
        fee_units,
    })?)
}

/// What follows from what the bytes are.
struct Outcome {
    effects: Vec<Effect>,
    conflict_keys: Vec<ConflictKey>,
    template: Option<TemplateKind>,
    fee_units: Option<u64>,
}

fn derive(
    unsigned: &[u8],
    signable: &Signable<'_>,
    sender: &Sender<'_>,
    known: &Known<'_>,
) -> Result<Outcome, ParseError> {
    let of_message = |effects| Outcome {
        effects,
        conflict_keys: Vec::new(),
        template: None,
        fee_units: None,
    };
    Ok(match signable {
        Signable::Transaction(tx, _) => {
            let delegations = recover_delegations(tx, sender)?;
            Outcome {
                effects: derive_effects(tx, &delegations, sender, known)?,
                conflict_keys: conflict_keys(tx, &delegations, sender, known)?,
                template: template(tx),
                fee_units: Some(tx.gas_limit()).filter(|_| tx.blob_gas().0 == 0),
            }
        }
        Signable::Personal(message) => of_message(vec![message.effect(), no_fee(sender.network)]),
        Signable::TypedData(data, _) => of_message(data.effects(unsigned, sender, known)?),
    })
}

/// An access list and authorizations are neither effects in full nor what a template leaves open, and neither is a blob.
fn template(tx: &Unsigned) -> Option<TemplateKind> {
    let is_plain = tx.access_list().is_empty() && tx.authorizations().is_empty() && tx.blob_hashes().is_empty();
    is_plain.then_some(TemplateKind::EvmNonceAndFee)
}

/// The sender's nonce, which is the anchor, and the nonces that own accounts lose to authorizations.
fn conflict_keys(
    tx: &Unsigned,
    delegations: &[Delegation],
    sender: &Sender<'_>,
    known: &Known<'_>,
) -> Result<Vec<ConflictKey>, ParseError> {
    let mut keys = vec![ConflictKey::AccountNonce {
        account: sender.account.destination(sender.network.chain())?,
        nonce: tx.nonce(),
    }];
    for delegation in delegations {
        let key = delegation.conflict_key(sender, known)?;
        keys.extend(key.filter(|key| !keys.contains(key)));
    }
    Ok(keys)
}

/// Holds a transaction against what the network's record says.
pub(crate) fn certify_transaction(tx: &Unsigned, network: &EvmNetwork) -> Result<(), ParseError> {
    let found = tx.chain_id().ok_or(ParseError::UnprotectedLegacy)?;
    if found != network.chain_id() {
        let network = network.chain().clone();
        return Err(ParseError::WrongChain { network, found });
    }
    if tx.nonce() == u64::MAX {
        return Err(ParseError::NonceExhausted);
    }
    let (found, max) = (tx.gas_limit(), network.max_gas_limit());
    if found > max {
        return Err(ParseError::GasLimitTooHigh { found, max });
    }
    Ok(())
}
