//! What a chain family makes of bytes: effects, conflict keys and signing payloads.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    ChainId, Destination, Effect, KeyId, PayloadDigest, Scheme, TransactionDigest, WalletId, caip::string_conversions,
};

/// The most effects of one transaction: a disperse of a whole payout batch, and still linear to evaluate.
pub const MAX_EFFECTS: usize = 4_096;
/// The most signatures of one transaction (inputs of a consolidation).
pub const MAX_SIGNING_PAYLOADS: usize = 1_024;

/// What makes two transactions mutually exclusive on chain.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ConflictKey {
    /// EVM: account, chain and nonce.
    AccountNonce {
        /// The sending account on its chain.
        account: Destination,
        /// The nonce.
        nonce: u64,
    },
    /// Bitcoin: an outpoint.
    Outpoint {
        /// The network.
        chain: ChainId,
        /// The transaction id, in internal byte order.
        txid: [u8; 32],
        /// The output index.
        index: u32,
    },
    /// Solana: a durable nonce account at one value.
    NonceAccount {
        /// The nonce account.
        account: Destination,
        /// The stored nonce.
        value: [u8; 32],
    },
}

impl fmt::Display for ConflictKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
        match self {
            Self::AccountNonce { account, nonce } => write!(f, "account-nonce {account} {nonce}"),
            Self::Outpoint { chain, txid, index } => write!(f, "outpoint {chain} {} {index}", hex(txid)),
            Self::NonceAccount { account, value } => write!(f, "nonce-account {account} {}", hex(value)),
        }
    }
}

/// A text that is not [`ConflictKey`]'s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a conflict key is written `account-nonce …`, `outpoint …` or `nonce-account …` (docs/formats.md)")]
pub struct ConflictKeyError;

impl ConflictKey {
    /// The network on which it excludes.
    pub fn chain(&self) -> &ChainId {
        match self {
            Self::AccountNonce { account, .. } | Self::NonceAccount { account, .. } => account.chain(),
            Self::Outpoint { chain, .. } => chain,
        }
    }
}

impl FromStr for ConflictKey {
    type Err = ConflictKeyError;
    fn from_str(text: &str) -> Result<Self, ConflictKeyError> {
        let words: Vec<&str> = text.split(' ').collect();
        let key = match words.as_slice() {
            ["account-nonce", account, nonce] => Self::AccountNonce {
                account: account.parse().map_err(|_| ConflictKeyError)?,
                nonce: nonce.parse().map_err(|_| ConflictKeyError)?,
            },
            ["outpoint", chain, txid, index] => Self::Outpoint {
                chain: chain.parse().map_err(|_| ConflictKeyError)?,
                txid: parse_hex32(txid)?,
                index: index.parse().map_err(|_| ConflictKeyError)?,
            },
            ["nonce-account", account, value] => Self::NonceAccount {
                account: account.parse().map_err(|_| ConflictKeyError)?,
                value: parse_hex32(value)?,
            },
            _ => return Err(ConflictKeyError),
        };
        // One key has one text: whatever else the parsers accepted is refused.
        if key.to_string() == text {
            Ok(key)
        } else {
            Err(ConflictKeyError)
        }
    }
}
string_conversions!(ConflictKey: ConflictKeyError);

fn parse_hex32(text: &str) -> Result<[u8; 32], ConflictKeyError> {
    let bytes = data_encoding::HEXLOWER.decode(text.as_bytes()).ok();
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or(ConflictKeyError)
}

/// The bytes that a token signs, typed by scheme, so that a digest can never be signed as a message.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SigningBytes {
    /// A 32-byte digest for ECDSA over secp256k1.
    EcdsaPrehash([u8; 32]),
    /// A 32-byte digest for BIP 340.
    SchnorrPrehash([u8; 32]),
    /// A whole message for Ed25519.
    Ed25519Message(Vec<u8>),
}

impl SigningBytes {
    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        match self {
            Self::EcdsaPrehash(_) => Scheme::Ecdsa,
            Self::SchnorrPrehash(_) => Scheme::Schnorr,
            Self::Ed25519Message(_) => Scheme::Ed25519,
        }
    }

    /// The bytes handed to the token.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::EcdsaPrehash(digest) | Self::SchnorrPrehash(digest) => digest,
            Self::Ed25519Message(message) => message,
        }
    }
}

/// What a token returned: unverified, ECDSA not yet low-S. Nothing is released before it was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RawSignature {
    /// r ‖ s, 32 bytes each, big-endian.
    Ecdsa([u8; 64]),
    /// BIP 340.
    Schnorr([u8; 64]),
    /// RFC 8032.
    Ed25519([u8; 64]),
}

impl RawSignature {
    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        match self {
            Self::Ecdsa(_) => Scheme::Ecdsa,
            Self::Schnorr(_) => Scheme::Schnorr,
            Self::Ed25519(_) => Scheme::Ed25519,
        }
    }

    /// The 64 bytes.
    pub fn as_bytes(&self) -> &[u8; 64] {
        match self {
            Self::Ecdsa(bytes) | Self::Schnorr(bytes) | Self::Ed25519(bytes) => bytes,
        }
    }
}

/// A raw signed transaction, every signature verified, and the id it has on chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedTransaction {
    /// The bytes to broadcast.
    pub bytes: Vec<u8>,
    /// The transaction id as explorers of the network write it.
    pub txid: String,
}

/// One signature that a transaction needs: which key, over what.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SigningPayload {
    key: KeyId,
    bytes: SigningBytes,
}

impl SigningPayload {
    /// A payload that a family derived from the parse.
    pub fn new(key: KeyId, bytes: SigningBytes) -> Self {
        Self { key, bytes }
    }

    /// The wallet key that signs.
    pub fn key(&self) -> KeyId {
        self.key
    }

    /// What is signed.
    pub fn bytes(&self) -> &SigningBytes {
        &self.bytes
    }

    /// The identity of this payload: key, scheme and bytes.
    pub fn digest(&self) -> PayloadDigest {
        let scheme: &[u8] = match self.bytes.scheme() {
            Scheme::Ecdsa => b"ecdsa\n",
            Scheme::Schnorr => b"schnorr\n",
            Scheme::Ed25519 => b"ed25519\n",
        };
        PayloadDigest::of(&[self.key.as_bytes(), scheme, self.bytes.as_bytes()].concat())
    }
}

/// What a request's template leaves open (DESIGN.md §4), and nothing else. Everything else of the bytes is an effect or has
/// its one plain value: a parse says which template its bytes are one of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TemplateKind {
    /// EVM: nonce, gas limit and fee fields. No access list and no authorizations.
    EvmNonceAndFee,
    /// Bitcoin: inputs, own change and fee. Version 2, no lock time, no relative lock time.
    BitcoinInputsAndFee,
    /// Solana: blockhash and priority fee.
    SolanaBlockhashAndFee,
}

/// Why a parse is not whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParsedTransactionError {
    /// More effects than [`MAX_EFFECTS`].
    #[error("the transaction has {0} effects; at most {MAX_EFFECTS} are accepted")]
    TooManyEffects(usize),
    /// No signing payload, or more than [`MAX_SIGNING_PAYLOADS`].
    #[error("the transaction needs {0} signatures; 1 to {MAX_SIGNING_PAYLOADS} are accepted")]
    BadPayloadCount(usize),
    /// Not exactly one fee.
    #[error("the transaction has {0} fee effects; exactly one is required")]
    BadFeeCount(usize),
}

/// The parts of a [`ParsedTransaction`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedTransactionParts {
    /// The network that the bytes are for.
    pub network: ChainId,
    /// The wallet that signs.
    pub wallet: WalletId,
    /// The digest of the unsigned bytes.
    pub transaction: TransactionDigest,
    /// Everything the transaction does, in the transaction's order; exactly one of them is the fee.
    pub effects: Vec<Effect>,
    /// What excludes other transactions; the first is the lineage's anchor candidate.
    pub conflict_keys: Vec<ConflictKey>,
    /// The signatures it needs.
    pub signing_payloads: Vec<SigningPayload>,
    /// The template that the bytes are one of; `None` where more varies than a template leaves open.
    pub template: Option<TemplateKind>,
    /// What the fee is paid for: units of gas (EVM), virtual bytes of the signed transaction (Bitcoin). `None` where the
    /// fee has no single rate: Solana's is for signatures, compute units and rent together, EIP-4844's for two kinds of gas.
    pub fee_units: Option<u64>,
}

/// A transaction that a chain family parsed whole, re-encoded and compared byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedTransaction(ParsedTransactionParts);

impl ParsedTransaction {
    /// Checks the bounds that hold for every family.
    pub fn new(parts: ParsedTransactionParts) -> Result<Self, ParsedTransactionError> {
        if parts.effects.len() > MAX_EFFECTS {
            return Err(ParsedTransactionError::TooManyEffects(parts.effects.len()));
        }
        let payloads = parts.signing_payloads.len();
        if payloads == 0 || payloads > MAX_SIGNING_PAYLOADS {
            return Err(ParsedTransactionError::BadPayloadCount(payloads));
        }
        match parts
            .effects
            .iter()
            .filter(|effect| matches!(effect, Effect::Fee { .. }))
            .count()
        {
            1 => Ok(Self(parts)),
            fees => Err(ParsedTransactionError::BadFeeCount(fees)),
        }
    }

    /// The network that the bytes are for.
    pub fn network(&self) -> &ChainId {
        &self.0.network
    }
    /// The wallet that signs.
    pub fn wallet(&self) -> &WalletId {
        &self.0.wallet
    }
    /// The digest of the unsigned bytes.
    pub fn transaction(&self) -> TransactionDigest {
        self.0.transaction
    }
    /// Everything the transaction does.
    pub fn effects(&self) -> &[Effect] {
        &self.0.effects
    }
    /// What excludes other transactions.
    pub fn conflict_keys(&self) -> &[ConflictKey] {
        &self.0.conflict_keys
    }
    /// The signatures it needs.
    pub fn signing_payloads(&self) -> &[SigningPayload] {
        &self.0.signing_payloads
    }
    /// The template that the bytes are one of.
    pub fn template(&self) -> Option<TemplateKind> {
        self.0.template
    }
    /// The units that the fee is paid for, where it has one rate.
    pub fn fee_units(&self) -> Option<u64> {
        self.0.fee_units
    }
}
