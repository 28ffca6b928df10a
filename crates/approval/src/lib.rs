//! Signed statements: everything that a person or a service decides (DESIGN.md §4).
//!
//! Promises: a [`Verified`] exists only for an envelope whose signature holds under a key that the roster lists, with the
//! scheme that the roster's record fixes; a [`Quorum`] is never empty and never lowered; a person fills one seat.
//! Refuses: unknown fields, other namespaces, certificates, security-key signatures without user presence, weak keys.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::wildcard_enum_match_arm,
        reason = "tests fail by panicking"
    )
)]

mod attestation;
mod envelope;
mod error;
mod freeze;
mod genesis;
mod governance;
mod key;
mod kind;
mod observation;
mod price_sources;
mod quorum;
mod replace;
mod request;
mod review;
mod roster;
mod seats;
mod sign;
mod sshsig;
mod statement;
mod verify;

pub use attestation::{Attestation, BookEntry, BookState, Quote, Screening, ScreeningResult};
pub use countersign_types::TemplateKind;
pub use envelope::{Envelope, MAX_ENVELOPE_BYTES};
pub use error::StatementError;
pub use freeze::{Freeze, FreezeScope, FreezeScopeError, Thaw};
pub use genesis::{Environment, Genesis, GenesisError, GenesisFile};
pub use governance::{Activation, ActivationError, Cancel, Veto, certify_activation, certify_subject};
pub use key::{Fingerprint, KeyError, KeyRecord};
pub use kind::Kind;
pub use observation::{MAX_FACTS, Observation, ObservedFact, ObservedOutcome};
pub use price_sources::{BadSpread, PriceSourceRecord, PriceSources, Spread};
pub use quorum::{MAX_QUORUM_MEMBERS, Quorum, QuorumError};
pub use replace::Replace;
pub use request::{MAX_ATTRIBUTES, MAX_PAYMENTS, MAX_REQUEST_EFFECTS, Payment, Request, TransactionBinding};
pub use review::{Approval, ApprovalItem, FeeCeiling, MAX_ITEMS, Rejection, RejectionItem};
pub use roster::{
    AdminsRecord, DEFAULT_THAW_DELAY, GroupRecord, InitiatorRecord, KeyDirectory, MAX_TIME_LOCK, ObserverRecord,
    PersonRecord, QuorumRecord, Roster, RosterError, RosterFile, ServiceRecord,
};
pub use seats::{Seating, fill_seats};
pub use sign::{Ed25519Signer, SealError, SshSigner, StatementSigner, seal};
pub use statement::{Body, FIRST_EPOCH, Header, Statement};
pub use verify::{Verified, verify};
