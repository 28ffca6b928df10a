//! The vocabulary of Countersign: identifiers, amounts, CAIP identifiers, effects, digests and time.
//!
//! Promises: a value of a type in this crate is well-formed (fields are private, construction parses), text forms are
//! canonical (parsing and printing round-trip byte for byte), and nothing here reads a clock, a file or the environment.
//! Refuses: lenient input. Upper-case hex, leading zeros, signs, exponents and surrounding space are errors.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        reason = "tests fail by panicking"
    )
)]

mod amount;
mod attestation;
mod caip;
mod destination;
mod digest;
mod effect;
mod effects_text;
mod facts;
mod ids;
mod key;
mod key_table;
mod money;
mod registry;
mod tag;
mod time;
mod transaction;
mod wallet;

pub use amount::{Amount, AmountError, Decimals};
pub use attestation::AttestationKind;
pub use caip::{AssetId, CaipError, ChainId};
pub use destination::{Destination, DestinationError};
pub use digest::{
    AuthorizationId, BundleDigest, CounterDigest, CounterId, DigestError, EffectsDigest, EntryDigest, FileDigest,
    FreezeId, GenesisHash, PayloadDigest, PolicyDigest, RequestDigest, StatementDigest, TransactionDigest,
};
pub use effect::{AuthorityScope, CodeChangeKind, Effect, EffectKind, OpaqueKind, Selector};
pub use effects_text::{EffectsText, EffectsTextError, MAX_EFFECTS_TEXT_BYTES};
pub use facts::{ChainFacts, FactKey, LookupTable, MAX_TABLE_ADDRESSES, NonceAccount};
pub use ids::{
    AssetSymbol, AttributeName, AttributeValue, GroupId, IdError, ListId, PaymentReference, PrincipalId, Reference,
    RuleId, StatementNonce, SubjectId, TenantId, WalletId, WithdrawalId,
};
pub use key::{Algorithm, KeyError, KeyId, PublicKey, Scheme};
pub use key_table::{KeyTable, KeyTableError, MAX_TABLE_KEYS, TABLE_RECORD_BYTES};
pub use money::{Currency, MONEY_DECIMALS, PRICE_DECIMALS, Price, UnknownCurrency};
pub use registry::{AssetQuirk, AssetRecord, AssetRegistry, RegistryError};
pub use tag::{Class, Tag, UnknownTag};
pub use time::{Duration, TimeError, Timestamp, UtcSeconds, Validity};
pub use transaction::{
    ConflictKey, ConflictKeyError, MAX_EFFECTS, MAX_SIGNING_PAYLOADS, ParsedTransaction, ParsedTransactionError,
    ParsedTransactionParts, RawSignature, SignedTransaction, SigningBytes, SigningPayload, TemplateKind,
};
pub use wallet::{AgesFrom, ScriptForm, Tier, UnknownForm, WalletNetwork, WalletRecord, WalletRegistry};
