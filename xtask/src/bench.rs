//! `cargo xtask bench`: release builds, then the load generator of the integration crate (docs/benchmarks.md). `cargo xtask
//! bench ledger`: the journal alone. `cargo xtask bench parsers`: the parsers alone. `cargo xtask bench policy`: the policy engine
//! beside two general ones.

use std::path::Path;

use anyhow::Result;

use crate::{install, shell};

const PROCESSES: [&str; 3] = ["countersign-signerd", "countersign-orchestrator", "countersign-cli"];

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let root = shell::repo_root()?;
    match arguments.split_first() {
        Some((what, rest)) if what == "ledger" => ledger(&root, rest),
        Some((what, rest)) if what == "parsers" => parsers(&root, rest),
        Some((what, rest)) if what == "policy" => policy(&root, rest),
        Some(_) | None => withdrawals(&root, arguments),
    }
}

fn parsers(root: &Path, arguments: &[String]) -> Result<()> {
    crate::no_arguments("bench parsers", arguments)?;
    let mut bench = shell::cargo(root);
    shell::run(bench.args(["bench", "--locked", "-p", "countersign-chains", "--bench", "parsers"]))
}

/// A workspace of its own: the other engines are no dependencies of the product.
fn policy(root: &Path, arguments: &[String]) -> Result<()> {
    crate::no_arguments("bench policy", arguments)?;
    let mut bench = shell::cargo(root);
    bench.args([
        "run",
        "--locked",
        "--release",
        "--manifest-path",
        "bench-policy/Cargo.toml",
    ]);
    shell::run(bench.args(["--target-dir", "target/bench-policy"]))
}

fn withdrawals(root: &Path, arguments: &[String]) -> Result<()> {
    let mut build = shell::cargo(root);
    build.args(["build", "--locked", "--release"]);
    for package in PROCESSES {
        build.args(["-p", package]);
    }
    shell::run(&mut build)?;
    // The ceiling beside which the token's backend is measured.
    let mut example = shell::cargo(root);
    example.args(["build", "--locked", "--release", "-p", "countersign-backend-pkcs11"]);
    shell::run(example.args(["--example", "raw_sign"]))?;

    let mut bench = shell::cargo(root);
    bench.args(["run", "--locked", "--release", "-p", "countersign-integration"]);
    bench.args(["--bin", "bench", "--"]).args(arguments);
    bench.envs(install::Tools::find(root).variables());
    if std::env::var_os("TMPDIR").is_none() {
        // `/tmp` is memory on many machines, and memory syncs at once: measure the disk that cargo builds on.
        let folder = root.join("target/tmp");
        std::fs::create_dir_all(&folder)?;
        bench.env("TMPDIR", folder);
    }
    shell::run(&mut bench)
}

/// The journal on both databases beside a bare loop, in one program.
fn ledger(root: &Path, arguments: &[String]) -> Result<()> {
    let mut bench = shell::cargo(root);
    bench.args(["run", "--locked", "--release", "-p", "countersign-journal"]);
    bench.args(["--example", "ledger", "--"]).args(arguments);
    let folder = root.join("target/tmp");
    std::fs::create_dir_all(&folder)?;
    if std::env::var_os("TMPDIR").is_none() {
        bench.env("TMPDIR", folder);
    }
    shell::run(&mut bench)
}
