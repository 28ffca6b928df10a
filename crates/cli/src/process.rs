//! The signer and the orchestrator as child processes. They are found beside this executable, and nowhere else.

use std::{
    collections::VecDeque,
    ffi::OsString,
    path::PathBuf,
    process::Stdio,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde::de::DeserializeOwned;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader},
    process::{Child, Command},
    sync::mpsc,
    time,
};

use crate::{
    environment::{Backend, Layout},
    failure::{Failure, Result},
};

/// A signer that opens its token and replays a journal needs seconds, not minutes.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// Time to close a journal and its token sessions.
const STOP_WITHIN: Duration = Duration::from_secs(10);
/// What a process said last may still be on its way when it has ended.
const LAST_WORDS: Duration = Duration::from_millis(50);

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

    /// Starts a process that serves.
    pub(crate) fn serve(&self, program: Program, arguments: &[OsString]) -> Result<Service> {
        Service::spawn(self.command(program, arguments)?, program)
    }
}

fn shown(arguments: &[OsString]) -> String {
    let words: Vec<_> = arguments.iter().map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}

/// What a process says, line by line: the last ones are kept, for when it ends early, and all are printed on request.
#[derive(Debug, Clone, Default)]
struct Log {
    last: Arc<Mutex<VecDeque<String>>>,
    is_printed: Arc<AtomicBool>,
}

impl Log {
    const KEPT_LINES: usize = 20;

    /// Follows a stream to its end; the ready line is announced where somebody waits for one.
    fn follow(
        &self,
        from: impl AsyncRead + Send + Unpin + 'static,
        name: &'static str,
        announce: Option<mpsc::Sender<String>>,
    ) {
        let log = self.clone();
        tokio::spawn(async move {
            let mut lines = BufReader::new(from).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let announce = announce.as_ref().filter(|_| is_ready_line(&line));
                if let Some(announce) = announce {
                    // A second ready line, or one that nobody waits for any more, is only a log line.
                    announce.try_send(line.clone()).unwrap_or_default();
                }
                log.note(format!("{name}: {line}"));
            }
        });
    }

    fn note(&self, line: String) {
        if self.is_printed.load(Ordering::Relaxed) {
            crate::output::log_line(&line);
        }
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() >= Self::KEPT_LINES {
            last.pop_front();
        }
        last.push_back(line);
    }

    fn print(&self) {
        self.is_printed.store(true, Ordering::Relaxed);
    }

    /// The last lines, unless they were printed when they were said.
    fn said(&self) -> String {
        if self.is_printed.load(Ordering::Relaxed) {
            return String::new();
        }
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.iter().fold(String::new(), |said, line| said + "\n" + line)
    }
}

/// `{"event":"ready",…}`
fn is_ready_line(line: &str) -> bool {
    let event = serde_json::from_str::<serde_json::Value>(line).ok();
    event.is_some_and(|event| event.get("event").and_then(serde_json::Value::as_str) == Some("ready"))
}

/// A process that serves; killed when dropped, stopped politely by [`Service::stop`].
pub(crate) struct Service {
    program: Program,
    child: Child,
    ready: mpsc::Receiver<String>,
    log: Log,
}

impl Service {
    fn spawn(mut command: Command, program: Program) -> Result<Self> {
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.map_err(|error| Failure::failed(format!("cannot run {}: {error}", program.name())))?;
        let log = Log::default();
        let (announce, ready) = mpsc::channel(1);
        if let Some(out) = child.stdout.take() {
            log.follow(out, program.name(), Some(announce));
        }
        if let Some(errors) = child.stderr.take() {
            log.follow(errors, program.name(), None);
        }
        Ok(Self {
            program,
            child,
            ready,
            log,
        })
    }

    /// Prints what it says from now on, each line behind its name.
    pub(crate) fn print_log(&self) {
        self.log.print();
    }

    /// What its ready line says, once it is there.
    pub(crate) async fn ready<T: DeserializeOwned>(&mut self) -> Result<T> {
        let name = self.program.name();
        match time::timeout(READY_WITHIN, self.ready.recv()).await {
            Ok(Some(line)) => serde_json::from_str(&line)
                .map_err(|error| Failure::failed(format!("{name}: its ready line is not understood: {error}"))),
            // Its output has ended, and so has it, or it will in a moment.
            Ok(None) => Err(self.ended().await.within("not ready")),
            Err(_) => {
                let (secs, said) = (READY_WITHIN.as_secs(), self.log.said());
                Err(Failure::failed(format!("{name} was not ready after {secs} s{said}")))
            }
        }
    }

    /// Returns when it ends by itself, which it should not.
    pub(crate) async fn ended(&mut self) -> Failure {
        let status = self.child.wait().await;
        time::sleep(LAST_WORDS).await;
        match status {
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
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_ready_event_is_a_ready_line() {
        assert!(is_ready_line(r#"{"event":"ready","listen":"127.0.0.1:1"}"#));
        for other in [
            "",
            "ready",
            r#"{"event":"opened"}"#,
            r#"{"message":"ready"}"#,
            r#"["event","ready"]"#,
        ] {
            assert!(!is_ready_line(other), "{other}");
        }
    }

    #[tokio::test]
    async fn the_ready_line_is_announced_once_and_the_last_lines_are_kept() {
        let said: String = (0..30).map(|n| format!("line {n}\n")).collect();
        let text = format!("{said}{{\"event\":\"ready\"}}\n{{\"event\":\"ready\"}}\nend\n");
        let (log, (announce, mut ready)) = (Log::default(), mpsc::channel(1));
        log.follow(std::io::Cursor::new(text.into_bytes()), "x", Some(announce));
        assert_eq!(ready.recv().await.as_deref(), Some("{\"event\":\"ready\"}"));
        while ready.recv().await.is_some() {}
        let kept = log.said();
        assert_eq!(kept.lines().filter(|line| !line.is_empty()).count(), Log::KEPT_LINES);
        assert!(kept.ends_with("x: end") && !kept.contains("line 1\n"), "{kept}");
    }

    #[tokio::test]
    async fn a_process_that_ends_early_says_its_last_words() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo no journal >&2; exit 7"]);
        let mut service = Service::spawn(command, Program::Signer).unwrap();
        let failure = service.ready::<serde_json::Value>().await.unwrap_err();
        assert!(
            failure.message().contains("no journal") && failure.message().contains('7'),
            "{failure}"
        );
    }

    #[tokio::test]
    async fn stop_asks_before_it_kills() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("asked");
        let script = format!(
            "trap 'echo x > {}; exit 0' TERM; echo '{{\"event\":\"ready\"}}'; while :; do sleep 0.05; done",
            mark.display()
        );
        let mut command = Command::new("sh");
        command.args(["-c", &script]);
        let mut service = Service::spawn(command, Program::Signer).unwrap();
        service.ready::<serde_json::Value>().await.unwrap();
        service.stop().await.unwrap();
        assert!(mark.is_file());
    }
}
