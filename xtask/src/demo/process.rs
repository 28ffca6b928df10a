//! Processes that are always ended, and Ctrl-C as a question that we ask.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use signal_hook::consts::{SIGINT, SIGTERM};

const POLL: Duration = Duration::from_millis(100);

/// Long enough for a signer to close its journal and its token sessions.
const END_WITHIN: Duration = Duration::from_secs(5);

/// Whether somebody asked us to stop. A signal ends nothing by itself, so that what we started is ended by us.
pub(super) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    pub(super) fn catch() -> Result<Self> {
        let asked = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&asked)).context("could not listen for Ctrl-C")?;
        }
        Ok(Self(asked))
    }

    #[cfg(test)]
    pub(super) fn never() -> Self {
        Self(Arc::new(AtomicBool::new(false)))
    }

    pub(super) fn check(&self) -> Result<()> {
        if self.0.load(Ordering::SeqCst) {
            bail!("interrupted");
        }
        Ok(())
    }
}

/// A process in the background with everything it starts; ended when dropped.
pub(super) struct Background {
    child: Child,
    log: PathBuf,
}

impl Background {
    /// Starts it in a process group of its own, which is how we end what it started too.
    pub(super) fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let file = File::create(log).with_context(|| format!("could not create `{}`", log.display()))?;
        let errors = file
            .try_clone()
            .with_context(|| format!("could not write `{}` twice", log.display()))?;
        let child = command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(errors)
            .spawn();
        let child = child.with_context(|| format!("could not start `{}`", crate::shell::shown(command)))?;
        Ok(Self {
            child,
            log: log.to_owned(),
        })
    }

    /// Waits until the file is there.
    pub(super) fn wait_for(&mut self, file: &Path, within: Duration, interrupt: &Interrupt) -> Result<()> {
        let start = Instant::now();
        while !file.exists() {
            interrupt.check()?;
            if let Some(status) = self
                .child
                .try_wait()
                .context("could not ask for the state of the services")?
            {
                bail!("the services ended ({status}) before they were ready:\n{}", self.said());
            }
            if start.elapsed() > within {
                bail!(
                    "the services were not ready after {} s:\n{}",
                    within.as_secs(),
                    self.said()
                );
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_else(|error| format!("(`{}`: {error})", self.log.display()))
    }

    /// Asks the whole group to end, waits, then makes it.
    fn end(&mut self) {
        self.signal("TERM");
        let start = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && start.elapsed() < END_WITHIN {
            std::thread::sleep(POLL);
        }
        self.signal("KILL");
        drop(self.child.kill());
        drop(self.child.wait());
    }

    /// Through the shell, whose `kill` is built in: a group is out of reach of `Child::kill`.
    fn signal(&self, name: &str) {
        let command = format!("kill -s {name} -- -{}", self.child.id());
        drop(Command::new("sh").args(["-c", &command]).stderr(Stdio::null()).status());
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.end();
    }
}

/// Runs the command, prints what it says as it says it, and returns its exit code with all of it.
pub(super) fn run_and_echo(command: &mut Command) -> Result<(Option<i32>, String)> {
    let shown = crate::shell::shown(command);
    let (reader, writer) = std::io::pipe().context("could not make a pipe")?;
    let errors = writer.try_clone().context("could not make a pipe")?;
    let spawned = command.stdin(Stdio::null()).stdout(writer).stderr(errors).spawn();
    let mut child = spawned.with_context(|| format!("could not start `{shown}`"))?;
    command.stdout(Stdio::null()).stderr(Stdio::null()); // closes our ends, or the pipe would never end
    let mut said = String::new();
    for line in BufReader::new(reader).lines() {
        let line = line.with_context(|| format!("could not read what `{shown}` printed"))?;
        println!("{line}");
        said.push_str(&line);
        said.push('\n');
    }
    let status = child.wait().with_context(|| format!("could not wait for `{shown}`"))?;
    Ok((status.code(), said))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn output_and_errors_come_in_their_order() {
        let said = run_and_echo(&mut shell("echo one; echo two >&2; echo three; exit 4")).unwrap();
        assert_eq!(said, (Some(4), "one\ntwo\nthree\n".to_owned()));
    }

    #[test]
    fn what_a_background_process_started_ends_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let pid_file = folder.path().join("pid");
        let script = format!(
            "sleep 300 & echo $! > {0}.part; mv {0}.part {0}; wait",
            pid_file.display()
        );
        let mut background = Background::start(&mut shell(&script), &folder.path().join("log")).unwrap();
        background
            .wait_for(&pid_file, Duration::from_secs(10), &Interrupt::never())
            .unwrap();
        let pid = std::fs::read_to_string(&pid_file).unwrap();
        drop(background);
        // It was told to end; that it has is the scheduler's to say.
        let is_gone = || {
            let state = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
            state.map_or(true, |state| state.contains(") Z "))
        };
        let mut looks = (0..250).map(|_| {
            std::thread::sleep(Duration::from_millis(20));
            is_gone()
        });
        assert!(looks.any(|is_gone| is_gone), "the grandchild is still running");
    }

    #[test]
    fn a_signal_is_a_question_that_is_answered_at_the_next_step() {
        let interrupt = Interrupt::catch().unwrap();
        interrupt.check().unwrap();
        signal_hook::low_level::raise(SIGTERM).unwrap();
        assert_eq!(interrupt.check().unwrap_err().to_string(), "interrupted");
    }

    #[test]
    fn services_that_end_early_show_what_they_said() {
        let folder = tempfile::tempdir().unwrap();
        let mut background = Background::start(&mut shell("echo no journal"), &folder.path().join("log")).unwrap();
        let error = background.wait_for(
            &folder.path().join("never"),
            Duration::from_secs(10),
            &Interrupt::never(),
        );
        assert!(error.unwrap_err().to_string().contains("no journal"));
    }
}
