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
    environment::Environment,
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
        for stale in [layout.ready(), layout.signer_ready(), layout.orchestrator_ready()] {
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
        let removed = files::remove(&layout.ready()).and(files::remove(&layout.orchestrator_ready()));
        let stopped = signer.stop().await;
        output.progress("stopped");
        outcome.and(removed).and(stopped)
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
        name_signer(&layout.orchestrator_config(), addresses.orchestrator_listener)?;
        let arguments = arguments(&layout.orchestrator_config());
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

fn arguments(config: &Path) -> Vec<OsString> {
    vec!["serve".into(), "--config".into(), config.into()]
}

/// Writes the signer's address of this run into the orchestrator's configuration.
fn name_signer(path: &Path, address: SocketAddr) -> Result<()> {
    let config = with_signer(&files::read_text(path)?, address);
    files::write(
        path,
        config.map_err(|why| Failure::file(path, "understand", why))?.as_bytes(),
    )
}

fn with_signer(text: &str, address: SocketAddr) -> std::result::Result<String, String> {
    let mut config: toml::Table = text.parse().map_err(|error: toml::de::Error| error.to_string())?;
    let signer = config
        .get_mut("signer")
        .and_then(toml::Value::as_table_mut)
        .ok_or("it has no `[signer]`")?;
    signer.insert("address".to_owned(), format!("https://{address}").into());
    toml::to_string(&config).map_err(|error| error.to_string())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_signers_address_changes() {
        let before =
            "listen = \"127.0.0.1:0\"\n\n[signer]\naddress = \"https://127.0.0.1:0\"\nserver_name = \"localhost\"\n";
        let after = with_signer(before, "127.0.0.1:4711".parse().unwrap()).unwrap();
        assert_eq!(after, before.replace("https://127.0.0.1:0", "https://127.0.0.1:4711"));
        for bad in ["", "signer = 1\n", "[signer"] {
            with_signer(bad, "127.0.0.1:1".parse().unwrap()).unwrap_err();
        }
    }
}
