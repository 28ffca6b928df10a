//! The backend against a real PKCS#11 module. Each test runs in a process of its own with a token directory of its own:
//! modules are global to a process, and SoftHSM finds its tokens through an environment variable.

#![allow(clippy::disallowed_methods, reason = "an I/O shell")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::wildcard_enum_match_arm,
    reason = "tests fail by panicking"
)]

mod fixture;
mod keys;
mod sessions;
mod setup;
