//! `cargo xtask deny`: cargo-deny on bans, licences and sources.
//!
//! Apart from `test` because installing it means compiling it. `tidy` keeps the same `deny.toml` without it.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::shell;

const VERSION: &str = "0.20.2";

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    crate::no_arguments("deny", arguments)?;
    let root = shell::repo_root()?;
    if find(&root).is_none() {
        println!("installing cargo-deny {VERSION} under .tools/: it is compiled here, which takes minutes");
        let mut install = shell::cargo(&root);
        install
            .args(["install", "--locked", &format!("cargo-deny@{VERSION}"), "--root"])
            .arg(shell::tools_dir(&root));
        shell::run(&mut install)?;
    }
    check(&root)
}

/// The cargo-deny that `test` may use without installing anything.
pub(crate) fn find(root: &Path) -> Option<PathBuf> {
    let ours = shell::tools_dir(root).join("bin/cargo-deny");
    if ours.is_file() {
        return Some(ours);
    }
    shell::is_installed("cargo-deny").then(|| PathBuf::from("cargo-deny"))
}

pub(crate) fn check(root: &Path) -> Result<()> {
    let program = find(root).unwrap_or_else(|| PathBuf::from("cargo-deny"));
    let mut deny = std::process::Command::new(program);
    deny.current_dir(root).args([
        "--locked",
        "--log-level",
        "error",
        "check",
        "bans",
        "licenses",
        "sources",
    ]);
    shell::run(&mut deny)
}
