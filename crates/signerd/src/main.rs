//! `countersign-signer`: sets a signer up and runs it.

use std::{
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::anyhow;
use clap::{Args, Parser, Subcommand, ValueEnum};
use countersign_signerd::{commands, config::Config, logs, serve::Process};
use countersign_types::Algorithm;
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

/// The signer: verifies, decides, journals, signs. Nothing here takes a secret as an argument.
#[derive(Debug, Parser)]
#[command(name = "countersign-signer", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make the log key, whose public half the genesis pins.
    LogKey(At),
    /// For development: initialize the token or keystore.
    TokenInit(At),
    /// Generate a key inside the token or keystore.
    Keygen(Keygen),
    /// Pin the trust root and make the journal.
    Init(Init),
    /// Pin the trust root and join the journal that other signers share, with an anchor copied from one of them.
    Join(Init),
    /// Run.
    Serve(At),
}

#[derive(Debug, Args)]
struct At {
    /// The configuration file (TOML).
    #[arg(long)]
    config: PathBuf,
}

#[derive(Debug, Args)]
struct Keygen {
    #[command(flatten)]
    at: At,
    /// A name for people, 1 to 32 printable ASCII characters.
    #[arg(long)]
    label: String,
    /// The curve.
    #[arg(long, value_enum)]
    algorithm: Curve,
}

#[derive(Debug, Args)]
struct Init {
    #[command(flatten)]
    at: At,
    /// The genesis file, obtained and compared out of band.
    #[arg(long)]
    trust_root: PathBuf,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Curve {
    Secp256k1,
    Ed25519,
}

impl From<Curve> for Algorithm {
    fn from(curve: Curve) -> Self {
        match curve {
            Curve::Secp256k1 => Self::Secp256k1,
            Curve::Ed25519 => Self::Ed25519,
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments.command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where standard error is gone as well, the exit code has to do.
            drop(writeln!(io::stderr(), "countersign-signer: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::LogKey(at) => print(&commands::log_key(&at.read()?)?),
        Command::TokenInit(at) => print(&commands::token_init(&at.read()?)?),
        Command::Keygen(Keygen { at, label, algorithm }) => {
            print(&commands::keygen(&at.read()?, &label, algorithm.into())?)
        }
        Command::Init(Init { at, trust_root }) => print(&commands::init(&at.read()?, &trust_root).await?),
        Command::Join(Init { at, trust_root }) => print(&commands::join(&at.read()?, &trust_root).await?),
        Command::Serve(at) => serve(at.read()?).await,
    }
}

impl At {
    fn read(&self) -> anyhow::Result<Config> {
        let config = Config::read(&self.config)?;
        logs::start(config.backend.is_development());
        Ok(config)
    }
}

fn print(value: &impl Serialize) -> anyhow::Result<()> {
    let line = serde_json::to_string(value)?;
    writeln!(io::stdout(), "{line}").map_err(|error| anyhow!("cannot write to standard output: {error}"))
}

async fn serve(config: Config) -> anyhow::Result<()> {
    // Before anything is opened: a stop that comes early is not lost.
    let deaf = |error| anyhow!("cannot listen for signals: {error}");
    let mut terminate = signal(SignalKind::terminate()).map_err(deaf)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(deaf)?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    Process::start(config).await?.run(stop).await?;
    Ok(())
}
