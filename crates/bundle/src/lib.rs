//! The bundle: YAML files and a manifest, loaded strictly into typed policy, roster, wallets, networks and assets.
//!
//! Promises: a [`Bundle`] is what its manifest says, byte for byte; every name in it refers to something in it; every
//! quorum that its policy asks for can be reached without the initiator; amounts have the decimals of their asset; each
//! error has a file, a line and a column, and all that can be found at once are reported together.
//! Refuses: whatever YAML leaves open. Duplicate keys, unknown fields, keys without a value, aliases, tags, floats,
//! quoted or underscored numbers, second documents, invisible characters. This is the only crate that reads YAML.

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

mod amount;
mod assets;
mod bundle;
mod caps;
mod cases;
mod change;
mod confusable;
mod descriptors;
mod destinations;
mod duties;
mod error;
mod key_tables;
mod lints;
mod manifest;
mod networks;
mod places;
mod policy;
mod problem;
mod reach;
mod registry_error;
mod roster;
mod setting;
mod wallets;
mod write;
mod yaml;

pub use bundle::{Bundle, DestinationEntry, KnownDestination, KnownFrom};
pub use cases::{BreakerCase, Case, Verdict};
pub use change::{Change, Class, Finding, classify};
pub use error::{LoadError, LoadErrors, MAX_LOAD_ERRORS};
pub use lints::{Lint, LintKind, Lints, Severity};
pub use manifest::{
    Component, FORMAT, MANIFEST_PATH, MAX_BUNDLE_BYTES, MAX_FILE_BYTES, MAX_FILES, MAX_KEY_TABLE_BYTES, Manifest,
    ManifestError, ManifestFile,
};
pub use problem::Problem;
pub use write::{write_roster, write_wallets};
