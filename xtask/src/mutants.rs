//! `cargo xtask mutants`: what cargo-mutants changes in the crates that decide, and no test notices.
//!
//! Two passes, or it would take a night: the first runs the quick test programs against every mutant, the second all of
//! them against what is left. Whatever survives both must be explained in `docs/mutants.md`, or this command fails.
//! `--since COMMIT` tries what changed since then, `--shard K/N` one part of N.

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
    /// What the first pass runs; what takes seconds is left to the second.
    quick: Tests,
}

/// Some of a package's tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tests {
    /// Cargo's choice of test programs. Only these are compiled: what is compiled is most of what a mutant costs.
    programs: &'static [&'static str],
    /// Parts of the names of tests that are left out.
    skipped: &'static [&'static str],
}

const ALL_TESTS: Tests = Tests {
    programs: &["--lib", "--tests"],
    skipped: &[],
};

const PACKAGES: [Package; 2] = [
    Package {
        name: "countersign-approval",
        quick: Tests {
            programs: &["--lib", "--tests"],
            skipped: &["ssh_keygen"],
        },
    },
    Package {
        name: "countersign-policy",
        quick: Tests {
            programs: &["--lib"],
            skipped: &["no_pair_of_a_small_world", "what_is_too_much_is_refused"],
        },
    },
];

/// What is asked for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Chosen {
    packages: Vec<Package>,
    /// Only what changed since this commit.
    since: Option<String>,
    /// Only one part of several, as cargo-mutants numbers them: from `0/4` to `3/4`.
    shard: Option<String>,
}

/// Runs both passes on the named packages, or on all.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let chosen = chosen(arguments)?;
    let root = shell::repo_root()?;
    install(&root)?;
    let mut unexplained = Vec::new();
    for package in &chosen.packages {
        let output = root.join("target/mutants").join(package.name);
        let Some(part) = part(&root, &chosen, *package, &output)? else {
            println!("{}: nothing changed", package.name);
            continue;
        };
        pass(&root, *package, &output, (package.quick, &part), false)?;
        pass(&root, *package, &output, (ALL_TESTS, &part), true)?;
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

fn chosen(arguments: &[String]) -> Result<Chosen> {
    let mut chosen = Chosen::default();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut value = || {
            arguments
                .next()
                .cloned()
                .with_context(|| format!("`{argument}` needs a value"))
        };
        match argument.as_str() {
            "--since" => chosen.since = Some(value()?),
            "--shard" => chosen.shard = Some(value()?),
            name => chosen.packages.push(package(name)?),
        }
    }
    if chosen.packages.is_empty() {
        chosen.packages = PACKAGES.to_vec();
    }
    Ok(chosen)
}

fn package(name: &str) -> Result<Package> {
    let found = PACKAGES.into_iter().find(|package| package.name == name);
    found.with_context(|| {
        let known = PACKAGES.map(|package| package.name).join("` and `");
        format!("`cargo xtask mutants` knows `{known}`, `--since COMMIT` and `--shard K/N`, but got `{name}`")
    })
}

/// The arguments that leave out what is not asked for; `None` where nothing is left.
fn part(root: &Path, chosen: &Chosen, package: Package, output: &Path) -> Result<Option<Vec<String>>> {
    fs::create_dir_all(output).with_context(|| format!("could not make `{}`", output.display()))?;
    let mut part = Vec::new();
    if let Some(shard) = &chosen.shard {
        part.extend(["--shard".to_owned(), shard.clone()]);
    }
    let Some(since) = &chosen.since else {
        return Ok(Some(part));
    };
    let folder = format!("crates/{}", package.name.trim_start_matches("countersign-"));
    let mut diff = std::process::Command::new("git");
    let diff = shell::output(diff.current_dir(root).args(["diff", since, "--", &folder]))?;
    if diff.is_empty() {
        return Ok(None);
    }
    let file = output.join("since.diff");
    fs::write(&file, &diff).with_context(|| format!("could not write `{}`", file.display()))?;
    part.extend(["--in-diff".to_owned(), file.display().to_string()]);
    Ok(Some(part))
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

/// One pass over a copy of the tree, of some tests over some mutants. `is_rerun`: what an earlier pass caught is not tried again.
fn pass(root: &Path, package: Package, output: &Path, (tests, part): (Tests, &[String]), is_rerun: bool) -> Result<()> {
    let program = find(root).unwrap_or_else(|| PathBuf::from("cargo-mutants"));
    let mut mutants = std::process::Command::new(program);
    mutants.current_dir(root).args(["mutants", "--package", package.name]);
    mutants.args(["--timeout", TIMEOUT_SECONDS, "--output"]).arg(output);
    // Of the arguments to cargo those behind `--` reach the run alone, not the build in front of it.
    let to_cargo = CARGO_ARGUMENTS.iter().chain(tests.programs);
    mutants.args(to_cargo.map(|argument| format!("--cargo-arg={argument}")));
    mutants.args(part);
    if is_rerun {
        mutants.arg("--iterate");
    }
    mutants.args(["--", "--"]);
    mutants.args(tests.skipped.iter().flat_map(|name| ["--skip", name]));
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
        assert_eq!(chosen(&[]).unwrap().packages, PACKAGES);
        let policy = chosen(&words(&["--since", "main~3", "countersign-policy", "--shard", "0/4"])).unwrap();
        let expected = Chosen {
            packages: vec![PACKAGES[1]],
            since: Some("main~3".to_owned()),
            shard: Some("0/4".to_owned()),
        };
        assert_eq!(policy, expected);
        assert!(chosen(&words(&["--since"])).is_err());
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
