//! `cargo xtask mutants`: what cargo-mutants changes in the crates that decide, and no test notices.
//!
//! Two passes, or it would take a night: the first runs the quick test programs against every mutant, the second all of
//! them against what is left. Whatever survives both must be explained in `docs/mutants.md`, or this command fails.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use crate::shell;

const VERSION: &str = "27.1.0";
/// Where every survivor is explained.
const REPORT: &str = "docs/mutants.md";
/// Compiling anew is most of what a mutant costs, and dependencies are compiled once: a little optimisation of them halves
/// the tests, and debug information is for nobody.
const CARGO_ARGUMENTS: [&str; 3] = [
    "--config=profile.dev.debug=0",
    "--config=profile.dev.package.\"*\".opt-level=1",
    "--config=profile.dev.package.countersign-types.opt-level=1",
];
/// What a mutant may take: several times what all tests of a package take on a busy machine. A mutant that loops ends here.
const TIMEOUT_SECONDS: &str = "300";
/// cargo-mutants' word for "some survived" and for "some timed out": no failures of the run.
const SURVIVORS: [i32; 2] = [2, 3];

/// A crate whose every mutant is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Package {
    name: &'static str,
    /// `cargo test` arguments of the first pass; what takes seconds is left to the second.
    quick: &'static [&'static str],
}

const PACKAGES: [Package; 2] = [
    Package {
        name: "countersign-approval",
        quick: &["--lib", "--tests", "--", "--skip", "ssh_keygen"],
    },
    Package {
        name: "countersign-policy",
        quick: &[
            "--lib",
            "--",
            "--skip",
            "no_pair_of_a_small_world",
            "--skip",
            "what_is_too_much_is_refused",
        ],
    },
];

/// Runs both passes on the named packages, or on all.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let packages = chosen(arguments)?;
    let root = shell::repo_root()?;
    install(&root)?;
    let mut unexplained = Vec::new();
    for package in packages {
        let output = root.join("target/mutants").join(package.name);
        pass(&root, package, &output, package.quick, false)?;
        pass(&root, package, &output, &["--lib", "--tests"], true)?;
        let report = fs::read_to_string(root.join(REPORT)).with_context(|| format!("could not read {REPORT}"))?;
        unexplained.extend(
            survivors(&output)?
                .into_iter()
                .filter(|line| !is_explained(line, &report)),
        );
    }
    if !unexplained.is_empty() {
        bail!(
            "{REPORT} does not explain these survivors:\n  {}",
            unexplained.join("\n  ")
        );
    }
    Ok(())
}

fn chosen(arguments: &[String]) -> Result<Vec<Package>> {
    if arguments.is_empty() {
        return Ok(PACKAGES.to_vec());
    }
    let of = |name: &String| PACKAGES.into_iter().find(|package| package.name == name);
    let found = arguments.iter().map(|name| {
        let known = PACKAGES.map(|package| package.name).join("` and `");
        of(name).with_context(|| format!("`cargo xtask mutants` knows `{known}`, but got `{name}`"))
    });
    found.collect()
}

/// Compiles cargo-mutants under `.tools/` when it is missing, without optimisation: it only starts cargo.
fn install(root: &Path) -> Result<()> {
    if find(root).is_some() {
        return Ok(());
    }
    println!("installing cargo-mutants {VERSION} under .tools/: it is compiled here, some minutes");
    let mut install = shell::cargo(root);
    install
        .args([
            "install",
            "--quiet",
            "--locked",
            "--debug",
            &format!("cargo-mutants@{VERSION}"),
            "--root",
        ])
        .arg(shell::tools_dir(root));
    shell::run(&mut install)
}

fn find(root: &Path) -> Option<PathBuf> {
    let ours = shell::tools_dir(root).join("bin/cargo-mutants");
    if ours.is_file() {
        return Some(ours);
    }
    shell::is_installed("cargo-mutants").then(|| PathBuf::from("cargo-mutants"))
}

/// One pass over a copy of the tree. `is_rerun`: what an earlier pass caught is not tried again.
fn pass(root: &Path, package: Package, output: &Path, tests: &[&str], is_rerun: bool) -> Result<()> {
    fs::create_dir_all(output).with_context(|| format!("could not make `{}`", output.display()))?;
    let program = find(root).unwrap_or_else(|| PathBuf::from("cargo-mutants"));
    let mut mutants = std::process::Command::new(program);
    mutants.current_dir(root).args(["mutants", "--package", package.name]);
    mutants.args(["--timeout", TIMEOUT_SECONDS, "--output"]).arg(output);
    mutants.args(CARGO_ARGUMENTS.map(|argument| format!("--cargo-arg={argument}")));
    if is_rerun {
        mutants.arg("--iterate");
    }
    mutants.arg("--").args(tests);
    // Property tests without a number of their own: a mutant that survives them is tried with all of them.
    if !is_rerun {
        mutants.env("PROPTEST_CASES", "16");
    }
    println!("$ {}", shell::shown(&mutants));
    let status = mutants.status().context("could not start cargo-mutants")?;
    let is_done = status.success() || status.code().is_some_and(|code| SURVIVORS.contains(&code));
    if !is_done {
        bail!("cargo-mutants failed ({status})");
    }
    Ok(())
}

/// What the last pass did not catch, one mutant a line.
fn survivors(output: &Path) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for name in ["missed.txt", "timeout.txt"] {
        let file = output.join("mutants.out").join(name);
        let text = fs::read_to_string(&file).with_context(|| format!("could not read `{}`", file.display()))?;
        lines.extend(text.lines().map(str::to_owned));
    }
    Ok(lines)
}

/// Whether the report has a row for the mutant: its file and what was changed, whatever the line is today.
fn is_explained(mutant: &str, report: &str) -> bool {
    let mut parts = mutant.splitn(4, ':');
    let (Some(file), Some(_line), Some(_column), Some(change)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    // As a cell of a table, where a bar would end it.
    let change = change.trim().replace('|', r"\|");
    report.contains(&format!("| `{file}` | `{change}` |"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_chosen_by_name() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert_eq!(chosen(&[]).unwrap(), PACKAGES);
        assert_eq!(chosen(&words(&["countersign-policy"])).unwrap(), [PACKAGES[1]]);
        let error = chosen(&words(&["countersign-signer"])).unwrap_err().to_string();
        assert!(
            error.contains("`countersign-approval` and `countersign-policy`"),
            "{error}"
        );
    }

    #[test]
    fn a_survivor_is_explained_wherever_its_line_is_today() {
        let report = "| `crates/a/src/b.rs` | `replace > with >= in of` | both are never equal |";
        assert!(is_explained("crates/a/src/b.rs:10:4: replace > with >= in of", report));
        assert!(!is_explained("crates/a/src/b.rs:10:4: replace > with == in of", report));
        assert!(!is_explained("crates/a/src/c.rs:10:4: replace > with >= in of", report));
        assert!(!is_explained("", report));
        let bars = r"| `b.rs` | `replace \|\| with && in of` | why |";
        assert!(is_explained("b.rs:1:2: replace || with && in of", bars));
    }
}
