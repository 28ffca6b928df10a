//! EVM transactions and messages before judges that are not ours: published vectors, the executable specification of
//! Ethereum, and a node. Where they and we disagree, `docs/oracles.md` has the row.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "tests fail by panicking"
)]

#[path = "../anvil/node.rs"]
#[allow(dead_code, reason = "this program uses a part of it")]
mod node;
#[path = "../oracle/mod.rs"]
mod oracle;

mod drafts;
mod mined;
mod mutants;
mod site;
mod typed_data;
mod vectors;
