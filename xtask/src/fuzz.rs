//! `cargo xtask fuzz`: coverage-guided fuzzing of everything that reads bytes from outside, on the pinned toolchain.
//!
//! libFuzzer needs two things of the compiler: counters on edges, which is a pass that the stable compiler takes, and a
//! sanitizer, which only unsafe code would need, and there is none. The flags hold for the targets alone (`--target` keeps
//! them away from build scripts), in a target folder of their own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::shell;

/// A target's time when nothing else is said.
const DEFAULT_SECONDS: u32 = 60;
/// Enough to run every seed and some thousand changes of them.
const SMOKE_SECONDS: u32 = 2;
/// No input of this size takes longer, or a bound is missing.
const TIMEOUT_SECONDS: u32 = 10;
/// The same for memory.
const MAX_MEMORY_MB: u32 = 1_024;
/// How much of a failed target's output is repeated.
const TAIL_LINES: usize = 40;
/// Edge counters, and the operands of comparisons to guess from.
const RUSTFLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
struct Options {
    seconds: u32,
    /// Cargo's profile: `release`, or `smoke`, which compiles faster and runs slower.
    profile: &'static str,
    /// Empty: all of them.
    targets: Vec<String>,
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Self> {
        let mut options = Self {
            seconds: DEFAULT_SECONDS,
            profile: "release",
            targets: Vec::new(),
        };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            if argument == "--seconds" {
                let seconds = rest.next().context("`--seconds` needs a number")?;
                options.seconds = seconds.parse().with_context(|| format!("`{seconds}` is no number"))?;
            } else if argument.starts_with('-') {
                bail!("`cargo xtask fuzz` takes --seconds N and names of targets, but got `{argument}`");
            } else {
                options.targets.push(argument.clone());
            }
        }
        Ok(options)
    }
}

/// Builds the targets and runs each for a while; new inputs that reach further stay in `target/fuzz/corpus`.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let options = Options::parse(arguments)?;
    fuzz(&shell::repo_root()?, &options)
}

/// A moment of each, for CI.
pub(crate) fn smoke(root: &Path) -> Result<()> {
    let mut format = shell::cargo(root);
    format.args(["fmt", "--check", "--manifest-path", "fuzz/Cargo.toml"]);
    shell::run(&mut format)?;
    let options = Options {
        seconds: SMOKE_SECONDS,
        profile: "smoke",
        targets: Vec::new(),
    };
    fuzz(root, &options)
}

fn fuzz(root: &Path, options: &Options) -> Result<()> {
    let all = targets(root)?;
    if let Some(unknown) = options.targets.iter().find(|name| !all.contains(name)) {
        bail!("there is no target `{unknown}`; there are: {}", all.join(", "));
    }
    let programs = build(root, options.profile)?;
    let chosen = all
        .iter()
        .filter(|name| options.targets.is_empty() || options.targets.contains(name));
    for name in chosen {
        run_target(root, &programs.join(name), name, options.seconds)?;
    }
    Ok(())
}

/// The names of the files in `fuzz/fuzz_targets`.
fn targets(root: &Path) -> Result<Vec<String>> {
    let folder = root.join("fuzz/fuzz_targets");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("could not read `{}`", folder.display()))? {
        let path = entry?.path();
        names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

/// Builds all targets; the folder that they are in.
fn build(root: &Path, profile: &str) -> Result<PathBuf> {
    let host = host(root)?;
    let target_dir = root.join("target/fuzz");
    let mut build = shell::cargo(root);
    // Not `--locked`: what the crates under test depend on is the root's business, and its lock file is checked there.
    build.args(["build", "--profile", profile, "--manifest-path", "fuzz/Cargo.toml"]);
    build.args(["--target", &host]).arg("--target-dir").arg(&target_dir);
    build.env_remove("CARGO_ENCODED_RUSTFLAGS").env("RUSTFLAGS", RUSTFLAGS);
    shell::run(&mut build)?;
    Ok(target_dir.join(host).join(profile))
}

/// The compiler's own target.
fn host(root: &Path) -> Result<String> {
    let output = Command::new("rustc").arg("-vV").current_dir(root).output();
    let output = output.context("could not run `rustc -vV`")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("`rustc -vV` names no host")?.to_owned())
}

fn run_target(root: &Path, program: &Path, name: &str, seconds: u32) -> Result<()> {
    let [corpus, artifacts] = ["corpus", "artifacts"].map(|kind| root.join("target/fuzz").join(kind).join(name));
    for folder in [&corpus, &artifacts] {
        fs::create_dir_all(folder).with_context(|| format!("could not create `{}`", folder.display()))?;
    }
    let log = artifacts.join("log");
    let written = fs::File::create(&log).with_context(|| format!("could not write `{}`", log.display()))?;
    let mut command = Command::new(program);
    command.arg(&corpus).arg(root.join("fuzz/seeds").join(name));
    command.arg(format!("-max_total_time={seconds}"));
    command.arg(format!("-timeout={TIMEOUT_SECONDS}"));
    command.arg(format!("-rss_limit_mb={MAX_MEMORY_MB}"));
    command.arg(format!("-artifact_prefix={}/", artifacts.display()));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(written);
    let status = command
        .status()
        .with_context(|| format!("could not run `{}`", program.display()))?;
    let text = fs::read(&log).with_context(|| format!("could not read `{}`", log.display()))?;
    let text = String::from_utf8_lossy(&text);
    if !status.success() {
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines.get(lines.len().saturating_sub(TAIL_LINES)..).unwrap_or_default();
        bail!(
            "target `{name}` found something ({status}); all of it is in `{}`\n{}",
            log.display(),
            tail.join("\n")
        );
    }
    println!("{name:<14} {}", summary(&text));
    Ok(())
}

/// What libFuzzer says last, in a line: runs, edges covered, inputs kept.
fn summary(log: &str) -> String {
    let runs = log.lines().rfind(|line| line.starts_with("Done ")).unwrap_or("no end");
    let status = log.lines().rfind(|line| line.contains(" cov: "));
    let field = |name: &str| {
        let words = status?.split_once(name)?.1;
        words.split_whitespace().next()
    };
    match (field(" cov: "), field(" corp: ")) {
        (Some(edges), Some(inputs)) => format!("{runs}; {edges} edges, {inputs} inputs"),
        (None, _) | (_, None) => runs.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(words: &[&str]) -> Result<Options> {
        Options::parse(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn time_and_targets_are_chosen() {
        let of = |seconds, targets: &[&str]| Options {
            seconds,
            profile: "release",
            targets: targets.iter().map(|name| (*name).to_owned()).collect(),
        };
        assert_eq!(options(&[]).unwrap(), of(DEFAULT_SECONDS, &[]));
        assert_eq!(
            options(&["evm", "--seconds", "600", "bitcoin"]).unwrap(),
            of(600, &["evm", "bitcoin"])
        );
        for bad in [&["--seconds"][..], &["--seconds", "long"], &["--second", "1"]] {
            options(bad).unwrap_err();
        }
    }

    #[test]
    fn the_last_words_are_summed_up() {
        let log = "INFO: seed\n#12\tINITED cov: 9 ft: 9 corp: 3/1b exec/s: 0 rss: 40Mb\n\
                   #99\tNEW    cov: 120 ft: 300 corp: 17/2Kb lim: 4 exec/s: 0 rss: 40Mb\nDone 5000 runs in 2 second(s)\n";
        assert_eq!(summary(log), "Done 5000 runs in 2 second(s); 120 edges, 17/2Kb inputs");
        assert_eq!(summary("nothing"), "no end");
    }

    #[test]
    fn every_target_has_seeds_and_is_built() {
        let root = shell::repo_root().unwrap();
        let manifest = fs::read_to_string(root.join("fuzz/Cargo.toml")).unwrap();
        for name in targets(&root).unwrap() {
            assert!(
                manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")),
                "{name} is not in fuzz/Cargo.toml"
            );
            let seeds = fs::read_dir(root.join("fuzz/seeds").join(&name)).map(Iterator::count);
            assert!(seeds.is_ok_and(|count| count > 0), "{name} has no seeds");
        }
    }
}
