//! What the oracle tests of all families share: finding a judge, talking to it, and the list of disagreements.

#![allow(dead_code, unused_imports, reason = "each test program uses its part")]

mod disagreements;
mod judge;
mod world;

use std::{env, path::PathBuf};

use countersign_integration::workspace_root;

pub(crate) use disagreements::Disagreements;
pub(crate) use judge::Judge;
pub(crate) use world::{World, public_key, sign_ecdsa};

/// A tool that `cargo xtask tools` installs.
pub(crate) struct Tool {
    variable: &'static str,
    /// Below the root of the repository.
    installed: &'static str,
}

pub(crate) const NODE_MODULES: Tool = Tool {
    variable: "COUNTERSIGN_NODE_MODULES",
    installed: ".tools/npm/node_modules",
};
pub(crate) const PYTHON: Tool = Tool {
    variable: "COUNTERSIGN_PYTHON",
    installed: ".tools/python/bin/python",
};
pub(crate) const CORE_VECTORS: Tool = Tool {
    variable: "COUNTERSIGN_CORE_VECTORS",
    installed: ".tools/vectors/crates/libbitcoinkernel-sys-0.4.1/bitcoin/src/test/data",
};

impl Tool {
    /// The one that is named, which must be there, or the one that is installed. `cargo xtask test` names all of them, so
    /// nothing is skipped in CI.
    pub(crate) fn find(&self) -> Option<PathBuf> {
        let variable = self.variable;
        if let Some(named) = env::var_os(variable).filter(|named| !named.is_empty()) {
            let path = PathBuf::from(named);
            assert!(
                path.exists(),
                "{variable} names `{}`, which is not there",
                path.display()
            );
            return Some(path);
        }
        let path = workspace_root().join(self.installed);
        if path.exists() {
            return Some(path);
        }
        eprintln!("SKIPPED: nothing for {variable} is here; `cargo xtask tools` installs it");
        None
    }
}
