//! Child processes: run to their end, timed through `/proc`, asked to end.

use std::{
    fs,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep};

/// A process ends its calls and closes its database.
const STOP_WITHIN: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(5);
/// USER_HZ, which `/proc` counts in, is 100 on every architecture that we build for.
const MILLIS_PER_TICK: u64 = 10;
/// Of `utime` and `stime`, which stand behind each other, counted from behind the name (proc(5): fields 14 and 15).
const USER_TIME: usize = 11;

/// Runs a command to its end and returns what it printed; an error has what it said.
pub(crate) fn run(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("cannot run {command:?}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{command:?} failed ({}): {}", output.status, said.trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("{command:?} printed bytes that are not UTF-8"))
}

/// The CPU time of all threads of a process so far, those that ended included; in ticks of 10 ms.
pub(crate) fn cpu_of(pid: u32) -> Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read `{path}`"))?;
    let ticks = parse_ticks(&text).with_context(|| format!("`{path}` is not understood"))?;
    Ok(Duration::from_millis(ticks.saturating_mul(MILLIS_PER_TICK)))
}

/// SIGTERM, and waits. The process stays a zombie of its parent until that collects it.
pub(crate) async fn end(pid: u32) -> Result<()> {
    let target = i32::try_from(pid).ok().and_then(Pid::from_raw);
    kill_process(target.context("a process id out of range")?, Signal::TERM)?;
    let begun = Instant::now();
    while !has_ended(&fs::read_to_string(format!("/proc/{pid}/stat"))?) {
        if begun.elapsed() > STOP_WITHIN {
            bail!("process {pid} does not end");
        }
        sleep(POLL).await;
    }
    Ok(())
}

/// The fields behind the name, which may hold spaces and brackets.
fn fields(stat: &str) -> impl Iterator<Item = &str> {
    stat.rsplit_once(')')
        .map(|(_, fields)| fields)
        .unwrap_or_default()
        .split_whitespace()
}

fn has_ended(stat: &str) -> bool {
    fields(stat).next() == Some("Z")
}

fn parse_ticks(stat: &str) -> Option<u64> {
    let mut times = fields(stat).skip(USER_TIME);
    let user: u64 = times.next()?.parse().ok()?;
    let system: u64 = times.next()?.parse().ok()?;
    Some(user.saturating_add(system))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_found_behind_any_name() {
        let rest = "S 1 1 1 0 -1 4194560 2713 0 0 0 41 23 0 0 20 0 8 0 99 1 2 3";
        for name in ["(signer)", "(a b)", "(1) 2 (3)"] {
            assert_eq!(parse_ticks(&format!("17 {name} {rest}")), Some(64), "{name}");
        }
        for bad in [
            "",
            "17 (signer",
            "17 (signer) S 1 1",
            "17 (signer) S 1 1 1 0 -1 4194560 2713 0 0 0 x 23",
        ] {
            assert_eq!(parse_ticks(bad), None, "{bad}");
        }
        cpu_of(std::process::id()).unwrap();
    }

    #[test]
    fn a_command_that_fails_says_why() {
        assert_eq!(run(Command::new("echo").arg("well")).unwrap(), "well\n");
        let error = run(Command::new("sh").args(["-c", "echo broken >&2; exit 3"]))
            .unwrap_err()
            .to_string();
        assert!(error.contains("broken") && error.contains("exit status: 3"), "{error}");
    }

    #[tokio::test]
    async fn a_process_that_was_asked_has_ended() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        end(child.id()).await.unwrap();
        assert!(!child.wait().unwrap().success(), "the signal ended it");
    }
}
