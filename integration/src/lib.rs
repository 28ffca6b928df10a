//! Whole deployments of real processes, for black-box tests and the load generator.
//!
//! Promises: a [`Deployment`] is what `countersign init` makes, in a folder and on ports of its own; its processes are the
//! binaries of this build; everything is killed and removed when it is dropped.
//! Refuses: to reach into a process. Everything goes through gRPC, the command line and files, as it would from outside.

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

mod binaries;
mod deployment;
mod keys;
mod process;
mod relay;
mod statements;

pub use binaries::{Binaries, workspace_root};
pub use deployment::{Backend, Deployment, SignerAddresses};
pub use process::{Process, Started};
pub use relay::Relay;
pub use statements::{Person, header, header_between, now_secs, random_nonce, service_key};
