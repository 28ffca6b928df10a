//! `cargo xtask test`: everything CI runs, in order, stopping at the first failure.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::install::{self, Tools};
use crate::{fuzz, programs, shell, tidy};

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let install = match arguments {
        [] => true,
        [flag] if flag == "--no-install" => false,
        [other, ..] => bail!("`cargo xtask test` takes only --no-install, but got `{other}`"),
    };
    let root = shell::repo_root()?;
    let mut report = Report::default();
    let outcome = steps(&root, install, &mut report);
    report.print();
    let counts = outcome?;
    println!("\n{counts}");
    Ok(())
}

/// `cargo xtask tools`: what `test` does first, for those who then run tests by hand.
pub(crate) fn tools() -> Result<()> {
    let root = shell::repo_root()?;
    install::install_for_tests(&root)?;
    say_what_was_found(Tools::find(&root));
    Ok(())
}

fn steps(root: &Path, install: bool, report: &mut Report) -> Result<Counts> {
    let installing = install.then(Installing::start).transpose()?;
    report.step("format", "cargo fmt --all", || {
        shell::run(shell::cargo(root).args(["fmt", "--all", "--check"]))
    })?;
    let lint = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ];
    report.step("clippy", &format!("cargo {}", lint.join(" ")), || {
        shell::run(shell::cargo(root).args(lint))
    })?;
    report.step("tidy", "cargo xtask tidy", || tidy::check(root))?;
    let tools = report.step("tools", "cargo xtask tools", || match installing {
        // It says what it found.
        Some(installing) => installing.finish().map(|()| Tools::find(root)),
        None => Ok(say_what_was_found(Tools::find(root))),
    })?;
    report.step("fuzz", "cargo xtask fuzz --seconds 2", || fuzz::smoke(root))?;
    report.step("test", &by_hand(&tools), || cargo_test(root, &tools))
}

/// `cargo xtask tools` beside the first steps, which need nothing of it: it waits for registries, and they for the compiler.
struct Installing(JoinHandle<std::io::Result<Output>>);

impl Installing {
    fn start() -> Result<Self> {
        let this = std::env::current_exe().context("could not find this program")?;
        println!("installing tools beside the next steps (`cargo xtask tools`)");
        let mut command = Command::new(this);
        command.arg("tools").stdin(Stdio::null());
        Ok(Self(std::thread::spawn(move || command.output())))
    }

    /// Waits for it, and passes on what it said.
    fn finish(self) -> Result<()> {
        let Ok(ended) = self.0.join() else {
            bail!("the thread that waits for the tools died");
        };
        let ended = ended.context("could not start `cargo xtask tools`")?;
        print!("{}", String::from_utf8_lossy(&ended.stdout));
        eprint!("{}", String::from_utf8_lossy(&ended.stderr));
        if !ended.status.success() {
            bail!("installing the tools failed ({})", ended.status);
        }
        Ok(())
    }
}

fn say_what_was_found(tools: Tools) -> Tools {
    for (variable, path) in tools.variables() {
        println!("{variable}={}", path.display());
    }
    for tool in tools.missing() {
        println!(
            "{} is not set and nothing was found: {}, and will say so",
            tool.variable, tool.why
        );
    }
    tools
}

fn by_hand(tools: &Tools) -> String {
    let variables = tools
        .variables()
        .into_iter()
        .map(|(name, path)| format!("{name}={} ", path.display()));
    format!("{}cargo test --workspace --locked", variables.collect::<String>())
}

/// What `cargo test` runs, the programs side by side and then the doctests; what each prints is passed on and the closing lines are
/// added up. The three programs of the product are built first: black-box tests run them, and cargo does not rebuild what no test of
/// theirs needs.
fn cargo_test(root: &Path, tools: &Tools) -> Result<Counts> {
    shell::run(shell::cargo(root).args(["build", "--workspace", "--bins", "--locked"]))?;
    let binaries = shell::debug_folder(root)?;
    let prepare = |command: &mut Command| {
        command.envs(tools.variables()).env("COUNTERSIGN_BINARIES", &binaries);
    };
    let (mut counts, mut failed) = (Counts::default(), Vec::new());
    programs::run(programs::build(root)?, prepare, |ended| {
        println!("     Running {} ({:.1} s)\n{}", ended.source, ended.seconds, ended.said);
        counts.add(&ended.said);
        if !ended.status.success() {
            println!("     FAILED  {} ({})", ended.source, ended.status);
            failed.push(ended.source.clone());
        }
    })?;
    let mut doctests = shell::cargo(root);
    doctests
        .args(["test", "--workspace", "--locked", "--doc"])
        .stdin(Stdio::null());
    println!("$ {}", shell::shown(&doctests));
    if let Err(error) = stream(doctests, &mut counts) {
        failed.push(format!("{error:#}"));
    }
    if !failed.is_empty() {
        bail!("{} failed; {counts}", failed.join(", "));
    }
    Ok(counts)
}

fn stream(mut command: Command, counts: &mut Counts) -> Result<()> {
    let shown = shell::shown(&command);
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("could not start `{shown}`"))?;
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines() {
            let line = line.with_context(|| format!("could not read what `{shown}` printed"))?;
            println!("{line}");
            counts.add(&line);
        }
    }
    let status = child.wait().with_context(|| format!("could not wait for `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` failed ({status})");
    }
    Ok(())
}

/// The sum of the `test result:` lines of all test programs.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Counts {
    fn add(&mut self, output: &str) {
        output.lines().for_each(|line| self.add_line(line));
    }

    fn add_line(&mut self, line: &str) {
        let Some(result) = line.strip_prefix("test result: ") else {
            return;
        };
        let Some((_, numbers)) = result.split_once(". ") else {
            return;
        };
        for field in numbers.split("; ") {
            let Some((number, name)) = field.split_once(' ') else {
                continue;
            };
            let Ok(number) = number.parse::<u64>() else { continue };
            match name {
                "passed" => self.passed = self.passed.saturating_add(number),
                "failed" => self.failed = self.failed.saturating_add(number),
                "ignored" => self.ignored = self.ignored.saturating_add(number),
                _ => {}
            }
        }
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} passed, {} failed, {} skipped",
            self.passed, self.failed, self.ignored
        )
    }
}

/// Which step took how long.
#[derive(Default)]
struct Report {
    lines: Vec<(String, Duration, bool)>,
}

impl Report {
    fn step<T>(&mut self, name: &str, again: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        println!("\n=== {name} ===");
        let start = Instant::now();
        let outcome = work();
        self.lines.push((name.to_owned(), start.elapsed(), outcome.is_ok()));
        outcome.with_context(|| format!("{name} failed; to run just that again: {again}"))
    }

    fn print(&self) {
        println!("\n=== timings ===");
        for (name, time, ok) in &self.lines {
            println!(
                "{name:<12} {:>8.1} s  {}",
                time.as_secs_f64(),
                if *ok { "ok" } else { "FAILED" }
            );
        }
        let total: Duration = self.lines.iter().map(|(_, time, _)| *time).sum();
        println!("{:<12} {:>8.1} s", "total", total.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_are_added_up() {
        let mut counts = Counts::default();
        counts.add(
            "running 3 tests\n\
             test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
             test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s\n",
        );
        assert_eq!(
            counts,
            Counts {
                passed: 7,
                failed: 2,
                ignored: 1
            }
        );
        assert_eq!(counts.to_string(), "7 passed, 2 failed, 1 skipped");
    }

    #[test]
    fn a_failed_step_says_how_to_run_it_again() {
        let mut report = Report::default();
        let error = report
            .step("lint", "cargo lint", || -> Result<()> { bail!("two warnings") })
            .unwrap_err();
        assert_eq!(
            format!("{error:#}"),
            "lint failed; to run just that again: cargo lint: two warnings"
        );
        assert!(!report.lines[0].2);
    }

    #[test]
    fn the_exit_code_decides() {
        let mut failing = Command::new("sh");
        failing.args(["-c", "echo 'test result: ok. 1 passed; 0 failed'; exit 1"]);
        let mut counts = Counts::default();
        stream(failing, &mut counts).unwrap_err();
        assert_eq!(counts.passed, 1);
    }
}
