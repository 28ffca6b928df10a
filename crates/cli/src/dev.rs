//! `countersign dev`: signer and orchestrator in the foreground.

use std::{
    ffi::OsString,
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use clap::Args;
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    connect::{OrchestratorReady, SignerReady},
    environment::{Environment, Layout},
    failure::{Failure, Result},
    files,
    output::Output,
    process::{Children, Program, Service},
};

/// Run the signer and the orchestrator of an environment in the foreground.
///
/// Prints one report when both answer, and writes it to run/ready.json. Their log lines go to standard error, each behind
/// the name of its process. Ctrl-C (or SIGTERM) stops both. Nothing is restarted: when one ends, the other is stopped too.
#[derive(Debug, Args)]
#[command(after_help = "JSON: {event, orchestrator, people_listener}, when both answer")]
pub(crate) struct Dev {
    /// The environment.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
}

/// The report: `{"event":"ready","orchestrator","people_listener"}`.
#[derive(Debug, Serialize)]
struct Ready {
    event: &'static str,
    orchestrator: SocketAddr,
    people_listener: SocketAddr,
}

impl fmt::Display for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "ready\norchestrator     https://{}\nsigner, people   https://{}\nCtrl-C stops both",
            self.orchestrator, self.people_listener
        )
    }
}

/// What both processes are started from.
struct Start {
    children: Children,
    environment: Environment,
}

impl Dev {
    pub(crate) async fn run(self, output: Output) -> Result<()> {
        let environment = Environment::open(&self.dir)?;
        let layout = environment.layout();
        // What an earlier run left behind when it was killed would name other ports.
        for stale in ready_files(&layout) {
            files::remove(&stale)?;
        }
        let mut stop = Stop::listen()?;
        let start = Start {
            children: Children::new(layout.clone(), environment.backend()),
            environment,
        };
        let (mut signer, addresses) = tokio::select! {
            started = start.signer() => started?,
            () = stop.asked() => return Ok(()),
        };
        let outcome = start.serve(&mut signer, addresses, &mut stop, output).await;
        let stopped = signer.stop().await;
        let removed: Result<()> = ready_files(&layout).iter().try_for_each(|path| files::remove(path));
        output.progress("stopped");
        outcome.and(stopped).and(removed)
    }
}

impl Start {
    async fn signer(&self) -> Result<(Service, SignerReady)> {
        let layout = self.environment.layout();
        let arguments = arguments(&layout.signer_config());
        let mut signer = self.children.serve(Program::Signer, &arguments)?;
        signer.print_log();
        let addresses = signer.ready().await?;
        Ok((signer, addresses))
    }

    /// Runs the orchestrator beside the signer until one ends or somebody asks to stop. The orchestrator stops first: it
    /// is the one that calls the other.
    async fn serve(&self, signer: &mut Service, addresses: SignerReady, stop: &mut Stop, output: Output) -> Result<()> {
        let layout = self.environment.layout();
        let mut arguments = arguments(&layout.orchestrator_config());
        arguments.extend([
            "--signer".into(),
            format!("https://{}", addresses.orchestrator_listener).into(),
        ]);
        let mut orchestrator = self.children.serve(Program::Orchestrator, &arguments)?;
        orchestrator.print_log();
        let ready = tokio::select! {
            ready = orchestrator.ready::<OrchestratorReady>() => ready,
            () = stop.asked() => return orchestrator.stop().await,
        };
        let announced = ready.and_then(|ready| {
            let report = Ready {
                event: "ready",
                orchestrator: ready.listen,
                people_listener: addresses.people_listener,
            };
            files::write_json(&layout.orchestrator_ready(), &ready)?;
            files::write_json(&layout.ready(), &report)?;
            output.report(&report)
        });
        let outcome = match announced {
            Ok(()) => tokio::select! {
                () = stop.asked() => Ok(()),
                failure = signer.ended() => Err(failure),
                failure = orchestrator.ended() => Err(failure),
            },
            Err(failure) => Err(failure),
        };
        outcome.and(orchestrator.stop().await)
    }
}

fn ready_files(layout: &Layout) -> [PathBuf; 3] {
    [layout.ready(), layout.signer_ready(), layout.orchestrator_ready()]
}

fn arguments(config: &Path) -> Vec<OsString> {
    vec!["serve".into(), "--config".into(), config.into()]
}

/// Ctrl-C and SIGTERM.
struct Stop {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Stop {
    fn listen() -> Result<Self> {
        let listen = |kind| signal(kind).map_err(|error| Failure::failed(format!("cannot listen for Ctrl-C: {error}")));
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
