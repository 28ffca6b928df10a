//! Bitcoin transactions before judges that are not ours: Bitcoin Core's vectors and its script interpreter, and the two
//! libraries that wallets of the web sign with. Where they and we disagree, `docs/oracles.md` has the row.

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

#[path = "../oracle/mod.rs"]
mod oracle;

mod digests;
mod peers;
mod shapes;
mod site;
