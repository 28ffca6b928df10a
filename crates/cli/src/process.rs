//! The signer and the orchestrator as child processes. They are found beside this executable, and nowhere else.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde::de::DeserializeOwned;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader},
    process::{Child, Command},
    time,
};

use crate::{
    environment::{Backend, Layout},
    failure::{Failure, Result},
    files,
};

/// A signer that opens its token and replays a journal needs seconds, not minutes.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// Time to close a journal and its token sessions.
const STOP_WITHIN: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(50);

/// One of our other binaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    Signer,
    Orchestrator,
}

impl Program {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Signer => "countersign-signer",
            Self::Orchestrator => "countersign-orchestrator",
        }
    }

    fn path(self) -> Result<PathBuf> {
        let own = std::env::current_exe();
        let own = own.map_err(|error| Failure::failed(format!("cannot find this executable: {error}")))?;
        let path = own.with_file_name(self.name());
        if path.is_file() {
            return Ok(path);
        }
        Err(Failure::failed(format!("`{}` is missing", path.display())).advise(
            "build all three: cargo build -p countersign-cli -p countersign-signerd -p countersign-orchestrator",
        ))
    }
}

/// How children of one environment are started.
#[derive(Debug, Clone)]
pub(crate) struct Children {
    layout: Layout,
    backend: Backend,
}

impl Children {
    pub(crate) fn new(layout: Layout, backend: Backend) -> Self {
        Self { layout, backend }
    }

    fn command(&self, program: Program, arguments: &[OsString]) -> Result<Command> {
        let mut command = Command::new(program.path()?);
        command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
        if self.backend == Backend::Pkcs11 && program == Program::Signer {
            command.env("SOFTHSM2_CONF", self.layout.softhsm_config());
        }
        Ok(command)
    }

    /// Runs a command to its end and returns the JSON that it printed.
    pub(crate) async fn run<T: DeserializeOwned>(&self, program: Program, arguments: &[OsString]) -> Result<T> {
        let text = self.run_silent(program, arguments).await?;
        let failed = |error| {
            Failure::failed(format!(
                "{} {}: no such JSON: {error}",
                program.name(),
                shown(arguments)
            ))
        };
        serde_json::from_str(text.trim()).map_err(failed)
    }

    /// Runs a command to its end and returns what it printed.
    pub(crate) async fn run_silent(&self, program: Program, arguments: &[OsString]) -> Result<String> {
        let output = self.command(program, arguments)?.output().await;
        let output = output.map_err(|error| Failure::failed(format!("cannot run {}: {error}", program.name())))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let what = format!("{} {} ({})", program.name(), shown(arguments), output.status);
        Err(Failure::failed(format!("{what}: {}", said.trim())))
    }

    /// Starts a process that serves; `ready` is the file that it writes when it does.
    pub(crate) fn serve(&self, program: Program, arguments: &[OsString], ready: &Path) -> Result<Service> {
        files::remove(ready)?;
        let mut command = self.command(program, arguments)?;
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.map_err(|error| Failure::failed(format!("cannot run {}: {error}", program.name())))?;
        let log = Log::default();
        if let Some(out) = child.stdout.take() {
            log.follow(out, program.name());
        }
        if let Some(errors) = child.stderr.take() {
            log.follow(errors, program.name());
        }
        Ok(Service {
            program,
            child,
            ready: ready.to_owned(),
            log,
        })
    }
}

fn shown(arguments: &[OsString]) -> String {
    let words: Vec<_> = arguments.iter().map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}

/// What a process says, line by line: the last ones are kept, for when it ends early, and all are printed on request.
#[derive(Debug, Clone, Default)]
struct Log {
    last: std::sync::Arc<std::sync::Mutex<std::collections::VecDeque<String>>>,
    is_printed: std::sync::Arc<std::sync::atomic::AtomicBool>,
}

impl Log {
    const KEPT_LINES: usize = 20;

    fn follow(&self, from: impl AsyncRead + Send + Unpin + 'static, name: &'static str) {
        let log = self.clone();
        tokio::spawn(async move {
            let mut lines = BufReader::new(from).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                log.note(format!("{name}: {line}"));
            }
        });
    }

    fn note(&self, line: String) {
        if self.is_printed.load(std::sync::atomic::Ordering::Relaxed) {
            crate::output::log_line(&line);
        }
        let mut last = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if last.len() >= Self::KEPT_LINES {
            last.pop_front();
        }
        last.push_back(line);
    }

    fn print(&self) {
        self.is_printed.store(true, std::sync::atomic::Ordering::Relaxed);
    }

    fn said(&self) -> String {
        let last = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        last.iter().fold(String::new(), |said, line| said + "\n" + line)
    }
}

/// A process that serves; killed when dropped, stopped politely by [`Service::stop`].
pub(crate) struct Service {
    program: Program,
    child: Child,
    ready: PathBuf,
    log: Log,
}

impl Service {
    /// Prints what it says from now on, each line behind its name.
    pub(crate) fn print_log(&self) {
        self.log.print();
    }

    /// What its ready file says, once it is there.
    pub(crate) async fn ready<T: DeserializeOwned>(&mut self) -> Result<T> {
        let start = Instant::now();
        while !self.ready.is_file() {
            if let Ok(Some(status)) = self.child.try_wait() {
                time::sleep(POLL).await; // its last words are still on their way
                let said = self.log.said();
                return Err(Failure::failed(format!(
                    "{} ended ({status}) before it was ready{said}",
                    self.program.name()
                )));
            }
            if start.elapsed() > READY_WITHIN {
                let secs = READY_WITHIN.as_secs();
                let said = self.log.said();
                return Err(Failure::failed(format!(
                    "{} was not ready after {secs} s{said}",
                    self.program.name()
                )));
            }
            time::sleep(POLL).await;
        }
        files::read_json(&self.ready)
    }

    /// Returns when it ends by itself, which it should not.
    pub(crate) async fn ended(&mut self) -> Failure {
        match self.child.wait().await {
            Ok(status) => Failure::failed(format!("{} ended ({status}){}", self.program.name(), self.log.said())),
            Err(error) => Failure::failed(format!("{}: {error}", self.program.name())),
        }
    }

    /// Asks it to end, waits, and only then kills it.
    pub(crate) async fn stop(mut self) -> Result<()> {
        let pid = self
            .child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // It may have ended in this moment; waiting tells.
            kill_process(pid, Signal::TERM).unwrap_or_default();
        }
        if time::timeout(STOP_WITHIN, self.child.wait()).await.is_err() {
            let killed = self.child.kill().await;
            killed.map_err(|error| Failure::failed(format!("cannot stop {}: {error}", self.program.name())))?;
        }
        files::remove(&self.ready)
    }
}
