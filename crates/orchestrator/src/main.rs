//! `countersign-orchestrator serve --config FILE`.

#![allow(clippy::disallowed_methods, reason = "an I/O shell")]

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use countersign_orchestrator::{config::Config, serve};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// The withdrawal service of Countersign: API, queue and life cycle. Holds no keys and no policy.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves the API until SIGTERM or SIGINT. Prints one JSON line, `{"event":"ready","listen":"…"}`, when it answers.
    Serve {
        /// The TOML configuration file.
        #[arg(long)]
        config: PathBuf,
        /// The signer's address, `https://host:port`, in place of the configured one.
        #[arg(long)]
        signer: Option<String>,
    },
}

fn main() -> anyhow::Result<()> {
    let Command::Serve { config, signer } = Arguments::parse().command;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .json()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let mut config = Config::read(&config)?;
    if let Some(address) = signer {
        config.signer.address = address;
    }
    runtime.block_on(run(&config))
}

async fn run(config: &Config) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
    let running = serve::start(config).await?;
    let ready = serde_json::json!({"event": "ready", "listen": running.address.to_string()});
    if let Some(path) = &config.ready_file {
        write_ready(path, &format!("{ready}\n")).with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    writeln!(std::io::stdout(), "{ready}").context("cannot write to standard output")?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    running.run(stop).await?;
    Ok(())
}

/// Written beside and renamed, so that whoever waits for the file never reads half of it.
fn write_ready(path: &Path, text: &str) -> std::io::Result<()> {
    let beside = path.with_extension("new");
    std::fs::write(&beside, text)?;
    std::fs::rename(&beside, path)
}
