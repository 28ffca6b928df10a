//! `cargo xtask bench`: release builds, then the benchmarks of the integration crate.

use anyhow::Result;

use crate::{install, shell};

const PROCESSES: [&str; 3] = ["countersign-signerd", "countersign-orchestrator", "countersign-cli"];

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let root = shell::repo_root()?;
    let mut build = shell::cargo(&root);
    build.args(["build", "--locked", "--release"]);
    for package in PROCESSES {
        build.args(["-p", package]);
    }
    shell::run(&mut build)?;

    let mut bench = shell::cargo(&root);
    bench.args([
        "run",
        "--locked",
        "--release",
        "-p",
        "countersign-integration",
        "--bin",
        "bench",
        "--",
    ]);
    bench.args(arguments).envs(install::Tools::find(&root).variables());
    shell::run(&mut bench)
}
