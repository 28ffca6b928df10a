//! From unsigned bytes to effects, conflict keys and signing payload.

use countersign_types::{
    ParsedTransaction, ParsedTransactionError, ParsedTransactionParts, SigningBytes, SigningPayload, Tag,
    TransactionDigest, WalletId,
};

use crate::{
    Account, Address, AddressError, Known, MAX_MESSAGE_BYTES, SolanaNetwork,
    call::Call,
    effects::{Scene, derive_effects},
    facts::accounts,
    message::Message,
    system::conflict_keys,
    template::template,
};

/// Why bytes are not accepted as a message of a wallet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// No bytes at all.
    #[error("the message is empty")]
    Empty,
    /// Over [`MAX_MESSAGE_BYTES`].
    #[error("the message has {found} bytes; at most {MAX_MESSAGE_BYTES} fit into a packet with one signature")]
    TooLarge {
        /// The number of bytes.
        found: usize,
    },
    /// The bytes end before the message does.
    #[error("the message ends early")]
    Truncated,
    /// More than a message.
    #[error("there is more behind the end of the message")]
    TrailingBytes,
    /// A length that has a shorter encoding, or none.
    #[error("a length is not written in its shortest form (compact-u16)")]
    NotMinimal,
    /// The bytes are another encoding of the fields.
    #[error("decoding and encoding the message again gives other bytes")]
    NotCanonical,
    /// A version other than legacy and 0.
    #[error("message version {0} is not supported; use legacy or 0")]
    UnsupportedVersion(u8),
    /// No writable signer, or more signers and read-only accounts than accounts.
    #[error("the header's counts do not fit the accounts")]
    BadHeader,
    /// The same key twice, written out or loaded from an attested lookup table.
    #[error("an account is listed twice, or loaded from a lookup table beside being listed")]
    DuplicateAccount,
    /// A lookup of nothing, or the same table twice.
    #[error("an address lookup is empty or names a table again")]
    BadLookup,
    /// More accounts than one byte can name.
    #[error("the message has {0} accounts; at most 256 can be named")]
    TooManyAccounts(usize),
    /// An account that no instruction names: it would be neither an effect nor open to change.
    #[error("an account is listed or looked up, and no instruction names it")]
    UnusedAccount,
    /// An instruction names an account that is not there, or its program is the fee payer or looked up.
    #[error("an instruction names an account that it cannot have")]
    BadIndex,
    /// The fee is paid by somebody else.
    #[error("the fee payer is `{0}`, not the wallet")]
    WrongFeePayer(Address),
    /// Others must sign too.
    #[error("the message needs {0} signatures; the wallet gives exactly one")]
    ForeignSigner(u8),
    /// Nothing but a fee.
    #[error("the message does nothing but pay its fee")]
    NoEffects,
    /// A compute budget instruction that is none, or with accounts.
    #[error("a compute budget instruction cannot be read, so the fee is unknown")]
    BadComputeBudget,
    /// The same compute budget instruction twice.
    #[error("a compute budget instruction stands there twice")]
    DuplicateComputeBudget,
    /// A durable nonce is advanced elsewhere than in the first instruction.
    #[error("a durable nonce is advanced by the first instruction only")]
    NonceNotFirst,
    /// An advance of a durable nonce with other accounts or data than it must have.
    #[error("the advance of the durable nonce is not whole")]
    BadNonce,
    /// A durable nonce under somebody else's authority.
    #[error("the durable nonce is not the wallet's own")]
    ForeignNonce,
    /// The message is built on another value than observers saw in its nonce account.
    #[error(
        "the message is not built on the value that the nonce account `{nonce}` stores at height {height}; build it again on that \
         value"
    )]
    StaleNonce {
        /// The nonce account.
        nonce: Address,
        /// The height of the attestation.
        height: u64,
    },
    /// An address that is refused.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The parse is not whole.
    #[error(transparent)]
    Whole(#[from] ParsedTransactionError),
}

impl ParseError {
    /// The stable reason.
    pub fn tag(&self) -> Tag {
        match self {
            Self::Empty
            | Self::Truncated
            | Self::TrailingBytes
            | Self::BadHeader
            | Self::DuplicateAccount
            | Self::BadLookup
            | Self::TooManyAccounts(_)
            | Self::UnusedAccount
            | Self::BadIndex
            | Self::WrongFeePayer(_)
            | Self::ForeignSigner(_)
            | Self::NoEffects
            | Self::BadComputeBudget
            | Self::DuplicateComputeBudget
            | Self::NonceNotFirst
            | Self::BadNonce
            | Self::ForeignNonce
            | Self::Whole(_) => Tag::TransactionMalformed,
            Self::TooLarge { .. } => Tag::TransactionTooLarge,
            Self::NotMinimal | Self::NotCanonical => Tag::TransactionNotCanonical,
            Self::UnsupportedVersion(_) => Tag::TransactionUnsupportedType,
            Self::StaleNonce { .. } => Tag::TransactionStaleNonce,
            Self::Address(error) => error.tag(),
        }
    }
}

/// Who signs, and where.
#[derive(Debug, Clone, Copy)]
pub struct Sender<'a> {
    /// The network.
    pub network: &'a SolanaNetwork,
    /// The wallet.
    pub wallet: &'a WalletId,
    /// The wallet's account.
    pub account: &'a Account,
}

/// Parses an unsigned message of `sender` whole.
pub fn parse(unsigned: &[u8], sender: &Sender<'_>, known: &Known<'_>) -> Result<ParsedTransaction, ParseError> {
    let message = decode_for(unsigned, sender.account)?;
    let chain = sender.network.chain();
    let accounts = accounts(&message, chain, known.facts)?;
    let calls = Call::all(&message, &accounts)?;
    let scene = Scene::new(&calls, sender, known);
    // What is signed is the encoding of what was read, and decoding made sure that these bytes are it.
    let payload = SigningBytes::Ed25519Message(unsigned.to_vec());
    Ok(ParsedTransaction::new(ParsedTransactionParts {
        network: chain.clone(),
        wallet: sender.wallet.clone(),
        transaction: TransactionDigest::of(unsigned),
        effects: derive_effects(&message, &calls, &scene)?,
        conflict_keys: conflict_keys(&message, &calls, sender, known)?,
        signing_payloads: vec![SigningPayload::new(sender.account.key(), payload)],
        template: template(&scene, &calls),
        fee_units: None,
    })?)
}

/// Decodes bytes and holds their one signer against the wallet.
pub(crate) fn decode_for(unsigned: &[u8], account: &Account) -> Result<Message, ParseError> {
    let message = Message::decode(unsigned)?;
    match message.keys.first() {
        Some(payer) if *payer == account.address() => {}
        Some(payer) => return Err(ParseError::WrongFeePayer(*payer)),
        None => return Err(ParseError::BadHeader),
    }
    match message.header.required_signatures {
        1 => Ok(message),
        required => Err(ParseError::ForeignSigner(required)),
    }
}
