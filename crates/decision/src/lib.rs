//! From statements and bytes to a decision, purely: signer and auditors run the same code.
//!
//! Promises: [`decide`] is a function of its [`Case`]; the decision entry that it returns is recomputed bit for bit from a
//! receipt. Refuses: anything that it was not given. What is unknown is a denial.

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

mod acknowledgement;
mod asking;
mod attested;
mod binding;
mod cancel;
mod case;
mod chain;
mod decide;
mod entry;
mod explain;
mod freeze;
mod freeze_list;
mod history;
mod lineage;
mod matter;
mod observed;
mod prices;
mod proposal;
mod reading;
mod receipt;
mod receipt_attempts;
mod receipt_bundles;
mod receipt_entries;
mod receipt_error;
mod receipt_file;
mod replace;
mod replay;
mod review;
mod said;
mod spend;
#[cfg(feature = "testing")]
pub mod testing;

pub use acknowledgement::{Acknowledgement, AcknowledgementError};
pub use asking::may_take_back;
pub use attested::MAX_ATTESTATIONS;
pub use cancel::{pays_nobody, takes_the_place};
pub use case::{Case, Decision, Outcome, Seen};
pub use chain::{
    ActivatedBundle, Authority, BundleChain, Candidate, ChainError, SeenStatement, Step, certify_next, certify_owner,
};
pub use decide::{ATTEMPTS_PER_CANCEL, MAX_ATTEMPTS, MAX_CANCEL_ATTEMPTS, MAX_OBSERVATIONS, MAX_STATEMENTS, decide};
pub use entry::{
    ActivationEntry, AttemptFact, AuthorizationRecord, ConsideredStatement, DecisionEntry, DestinationsRecord, Entry,
    EntryError, FailedScreening, GenesisEntry, LedgerFacts, OutcomeKind, Reason, SeatCount, SignatureEntry,
    StatementEntry,
};
pub use explain::explain;
pub use freeze::{FreezeCause, FreezeEntry, FreezeFact, MAX_FREEZES, ThawEntry, stopped_by};
pub use freeze_list::{FreezeList, ListedFreeze};
pub use lineage::Fate;
pub use matter::{unspent, usage_queries};
pub use observed::{Observatory, Observed, is_about};
pub use proposal::{Objection, Opening, Outlook, Proposal, ProposalError, Word};
pub use reading::Reading;
pub use receipt::Receipt;
pub use receipt_error::ReceiptError;
pub use receipt_file::{MAX_RECEIPT_BYTES, ProvenEntry, ReceiptFile, ReceiptStatement, SignedFile};
pub use replay::{Backtest, Change, Replay};
pub use said::{is_passing, is_wanted, matter, outdated, screening_matter, speaks_for, spoke_for};
pub use spend::{MAX_SPEND_BYTES, Past, Spend, SpendError};
