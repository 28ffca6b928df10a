//! `cargo xtask deny`: cargo-deny on bans, licences and sources.
//!
//! Installing it means compiling it for minutes, so `test` does without: `tidy` keeps the same `deny.toml`.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::shell;

const VERSION: &str = "0.20.2";

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    crate::no_arguments("deny", arguments)?;
    let root = shell::repo_root()?;
    install(&root)?;
    check(&root)
}

/// Compiles cargo-deny under `.tools/` when it is missing, without optimisation: it runs for a second, and optimised it takes
/// 160 s to compile on two cores.
fn install(root: &Path) -> Result<()> {
    if find(root).is_some() {
        return Ok(());
    }
    println!(
        "installing cargo-deny {VERSION} under .tools/ (licences, bans, sources): it is compiled here, some minutes"
    );
    let mut install = shell::cargo(root);
    install
        .args([
            "install",
            "--quiet",
            "--locked",
            "--debug",
            &format!("cargo-deny@{VERSION}"),
            "--root",
        ])
        .arg(shell::tools_dir(root));
    shell::run(&mut install)
}

fn find(root: &Path) -> Option<PathBuf> {
    let ours = shell::tools_dir(root).join("bin/cargo-deny");
    if ours.is_file() {
        return Some(ours);
    }
    shell::is_installed("cargo-deny").then(|| PathBuf::from("cargo-deny"))
}

fn check(root: &Path) -> Result<()> {
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
