//! `cargo xtask tidy`: the rules of this repository that the compiler does not know.
//!
//! Each check is a function from what was read (the files, cargo's metadata, the pure crates' trees) to violations,
//! so each is tested on a few lines in memory. Every violation is printed with its place and what to do about it.

mod direction;
mod graph;
mod hosts;
mod licences;
mod links;
mod manifests;
mod outside;
mod proto;
mod purity;
mod rust_source;
mod style;
mod tags;
mod tree;

use std::path::Path;

use anyhow::{Result, bail};

use crate::shell;
use graph::Graph;
use tree::Tree;

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    crate::no_arguments("tidy", arguments)?;
    check(&shell::repo_root()?)
}

/// Where a rule is broken, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Violation {
    file: String,
    line: usize,
    message: String,
}

impl Violation {
    fn new(file: &str, line: usize, message: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line,
            message: message.into(),
        }
    }
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.message)
    }
}

/// Runs every check and prints every violation.
pub(crate) fn check(root: &Path) -> Result<()> {
    let tree = Tree::load(root)?;
    let graph = Graph::load(root)?;
    let deny = outside::Rules::load(root)?;
    let checks: [(&str, Vec<Violation>); 12] = [
        ("dependency direction", direction::check(&graph, &tree)),
        ("purity", purity::check(&graph, &tree, &purity::trees(root, &graph)?)),
        ("bans and sources", outside::check(&graph, &deny)),
        ("licences", licences::check(&licences::shipped(root)?, &deny.licences)),
        ("manifests", manifests::check(&tree)),
        ("file sizes", style::sizes(&tree)),
        ("exceptions and leftovers", style::leftovers(&tree)),
        ("registry hosts", hosts::check(&tree)),
        ("tags", tags::check(&tree)),
        ("proto enums", proto::check(&tree)),
        ("links", links::check(&tree)),
        ("first-party list", direction::unlisted(&graph)),
    ];
    let mut found = 0_usize;
    for (name, mut violations) in checks {
        violations.sort();
        println!(
            "tidy: {name}: {}",
            if violations.is_empty() {
                "ok".to_owned()
            } else {
                format!("{} found", violations.len())
            }
        );
        for violation in &violations {
            println!("  {violation}");
        }
        found = found.saturating_add(violations.len());
    }
    if found > 0 {
        bail!("tidy found {found} violations");
    }
    Ok(())
}
