//! The test programs that cargo builds, run side by side: many wait for other processes, and one after the other leaves half of the
//! machine idle.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
use std::{fs, thread};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::shell;

/// More at once would only wait for memory.
const MAX_AT_ONCE: usize = 4;

/// A test program, and what cargo would call it with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Program {
    file: PathBuf,
    /// Its source, as cargo shows it.
    source: String,
    /// The folder of its package: tests run there.
    package: PathBuf,
}

/// The part of cargo's messages that we read.
#[derive(Deserialize)]
struct Message {
    reason: String,
    manifest_path: Option<PathBuf>,
    target: Option<Target>,
    profile: Option<Profile>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    src_path: PathBuf,
}

#[derive(Deserialize)]
struct Profile {
    test: bool,
}

/// Builds every test program of the workspace.
pub(crate) fn build(root: &Path) -> Result<Vec<Program>> {
    let mut command = shell::cargo(root);
    command.args(["test", "--workspace", "--locked", "--no-run"]);
    command.arg("--message-format=json-render-diagnostics");
    println!("$ {}", shell::shown(&command));
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.context("could not start cargo")?;
    anyhow::ensure!(output.status.success(), "the tests did not build ({})", output.status);
    let text = String::from_utf8(output.stdout).context("cargo printed bytes that are not UTF-8")?;
    let programs = text.lines().map(|line| program(root, line));
    let programs: Vec<Program> = programs.filter_map(Result::transpose).collect::<Result<_>>()?;
    anyhow::ensure!(!programs.is_empty(), "cargo built no test program");
    Ok(programs)
}

/// What a message of cargo's says of a test program; `None` where it is about something else.
fn program(root: &Path, line: &str) -> Result<Option<Program>> {
    let message: Message = serde_json::from_str(line).with_context(|| format!("cargo said `{line}`"))?;
    let is_test = message.profile.is_some_and(|profile| profile.test);
    let (Some(file), Some(manifest), Some(target)) = (message.executable, message.manifest_path, message.target) else {
        return Ok(None);
    };
    if message.reason != "compiler-artifact" || !is_test {
        return Ok(None);
    }
    let package = manifest.parent().context("a manifest is in no folder")?.to_path_buf();
    let source = target.src_path.strip_prefix(root).unwrap_or(&target.src_path);
    Ok(Some(Program {
        file,
        source: source.display().to_string(),
        package,
    }))
}

/// Runs them all, whatever fails, and gives each to `ended` with what it printed as soon as it ends.
pub(crate) fn run(
    programs: Vec<Program>,
    prepare: impl Fn(&mut Command) + Sync,
    ended: impl FnMut(&Ended) + Send,
) -> Result<()> {
    let at_once = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let waiting = Mutex::new(VecDeque::from(programs));
    let ended = Mutex::new(ended);
    let work = || -> Result<()> {
        loop {
            let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(program) = next else { return Ok(()) };
            println!("     Started {}", program.source);
            let one = run_one(&program, &prepare)?;
            let mut ended = ended.lock().unwrap_or_else(PoisonError::into_inner);
            (*ended)(&one);
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..at_once.min(MAX_AT_ONCE)).map(|_| scope.spawn(work)).collect();
        let mut outcome = Ok(());
        for worker in workers {
            let done = worker
                .join()
                .unwrap_or_else(|_| Err(anyhow::anyhow!("a worker panicked")));
            outcome = outcome.and(done);
        }
        outcome
    })
}

/// How a program ended.
pub(crate) struct Ended {
    pub(crate) source: String,
    pub(crate) seconds: f64,
    pub(crate) status: ExitStatus,
    /// Its output and its errors, in the order in which they came.
    pub(crate) said: String,
}

fn run_one(program: &Program, prepare: &impl Fn(&mut Command)) -> Result<Ended> {
    let log = program.file.with_extension("log");
    let named = || format!("`{}`", log.display());
    let output = fs::File::create(&log).with_context(named)?;
    let errors = output.try_clone().with_context(named)?;
    let mut command = Command::new(&program.file);
    command
        .current_dir(&program.package)
        .env("CARGO_MANIFEST_DIR", &program.package);
    command.stdin(Stdio::null()).stdout(output).stderr(errors);
    prepare(&mut command);
    let start = Instant::now();
    let status = command.status();
    let status = status.with_context(|| format!("could not start `{}`", program.file.display()))?;
    let said = fs::read(&log).with_context(named)?;
    Ok(Ended {
        source: program.source.clone(),
        seconds: start.elapsed().as_secs_f64(),
        status,
        said: String::from_utf8_lossy(&said).into_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_programs_are_told_from_what_else_cargo_builds() {
        let artifact = |test: bool, executable: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","package_id":"x","manifest_path":"/r/crates/a/Cargo.toml",
                "target":{{"name":"a","src_path":"/r/crates/a/src/lib.rs"}},"profile":{{"test":{test}}},"executable":{executable}}}"#
            )
        };
        let found = program(Path::new("/r"), &artifact(true, r#""/r/target/a-1""#)).unwrap();
        let expected = Program {
            file: "/r/target/a-1".into(),
            source: "crates/a/src/lib.rs".to_owned(),
            package: "/r/crates/a".into(),
        };
        assert_eq!(found, Some(expected));
        for other in [
            artifact(false, r#""/r/target/a""#),
            artifact(true, "null"),
            r#"{"reason":"build-finished","success":true}"#.to_owned(),
        ] {
            assert_eq!(program(Path::new("/r"), &other).unwrap(), None, "{other}");
        }
        program(Path::new("/r"), "no JSON").unwrap_err();
    }

    #[test]
    fn each_runs_in_its_package_and_all_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let script = |name: &str, text: &str| {
            let file = folder.path().join(name);
            fs::write(&file, format!("#!/bin/sh\n{text}\n")).unwrap();
            let mut mode = fs::metadata(&file).unwrap().permissions();
            std::os::unix::fs::PermissionsExt::set_mode(&mut mode, 0o755);
            fs::set_permissions(&file, mode).unwrap();
            Program {
                file,
                source: name.to_owned(),
                package: folder.path().to_path_buf(),
            }
        };
        let programs = vec![
            script("fails", "echo out; echo err >&2; exit 3"),
            script("passes", "pwd; echo $CARGO_MANIFEST_DIR $GIVEN"),
        ];
        let mut all = Vec::new();
        let keep = |one: &Ended| all.push((one.source.clone(), one.status.code(), one.said.clone()));
        let give = |command: &mut Command| {
            command.env("GIVEN", "given");
        };
        run(programs, give, keep).unwrap();
        all.sort();
        let here = folder.path().canonicalize().unwrap();
        let here = here.display();
        let expected = [
            ("fails".to_owned(), Some(3), "out\nerr\n".to_owned()),
            (
                "passes".to_owned(),
                Some(0),
                format!("{here}\n{} given\n", folder.path().display()),
            ),
        ];
        assert_eq!(all, expected);
    }
}
