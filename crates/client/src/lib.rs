//! The Rust client for pipelines, bots, tests and the command line.
//!
//! Promises: every connection is mutual TLS; every call has an end; calls that may be repeated are repeated a bounded number
//! of times; refusals carry their tag; what a server says about identity (a withdrawal's id, a statement's digest) is
//! compared with what was sent.
//! Refuses: to believe anything else. What comes back is advice, and signatures are verified elsewhere.

#![allow(clippy::disallowed_methods, reason = "an I/O shell")]
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

mod call;
mod endpoint;
mod error;
mod orchestrator;
mod people;
mod withdrawal;

pub use endpoint::Endpoint;
pub use error::ClientError;
pub use orchestrator::{ApprovalTask, Changes, Client, ListPage, PendingPage, Until};
pub use people::{Activated, BundlesPage, Entries, PeopleClient};
pub use withdrawal::{Attempt, Reason, State, Withdrawal};

pub use countersign_proto::{
    signer::v1::{ActivatedBundle, BundleFile, SeenStatement},
    v1::{Entry, MissingApprovals, PendingApproval},
};
