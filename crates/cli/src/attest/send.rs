//! `countersign attest submit` and `record`: brings a signed attestation to a withdrawal, or to the signer itself.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use clap::Args;
use countersign_approval::Envelope;
use countersign_decision::Acknowledgement;
use countersign_types::{StatementDigest, UtcSeconds, WithdrawalId};
use serde::Serialize;

use super::Post;
use crate::{
    connect,
    environment::Environment,
    failure::{Failure, Result},
    files,
    output::Output,
    trust,
};

/// Bring an attestation to a withdrawal that waits for it; the signer is then asked about it again.
///
/// May be repeated, and for several withdrawals. It is durable at the orchestrator; whether it counts the signer decides:
/// `countersign withdraw show` tells.
#[derive(Debug, Args)]
#[command(after_help = "JSON: {withdrawal, statement}")]
pub(crate) struct Submit {
    /// The withdrawal (wd_…).
    id: WithdrawalId,
    /// What `attest price`, `screening` or `address-book` wrote.
    file: PathBuf,
    #[command(flatten)]
    post: Post,
}

/// Tell the signer itself, on its own listener: a removal from an address book, a failed screening, or an entry whose cool-off
/// begins.
///
/// "In force" is said only when the signer's acknowledgement verifies under the log key of the genesis.
#[derive(Debug, Args)]
#[command(after_help = "JSON: {statement, in_force_since}")]
pub(crate) struct Record {
    /// What `attest screening` or `address-book` wrote.
    file: PathBuf,
    #[command(flatten)]
    post: Post,
}

/// The result: `{"withdrawal","statement"}`.
#[derive(Debug, Serialize)]
struct Submitted {
    withdrawal: WithdrawalId,
    statement: StatementDigest,
}

impl fmt::Display for Submitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "attestation  {}\nstored for   {}", self.statement, self.withdrawal)
    }
}

/// The result: `{"statement","in_force_since"}`.
#[derive(Debug, Serialize)]
struct Recorded {
    statement: StatementDigest,
    in_force_since: UtcSeconds,
}

impl fmt::Display for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "attestation  {}", self.statement)?;
        let since = self.in_force_since;
        write!(f, "in force     since {since} (acknowledged under the log key)")
    }
}

fn read(file: &Path) -> Result<Envelope> {
    Envelope::parse(&files::read(file)?).map_err(|error| {
        let file = file.display();
        Failure::refused(error.tag(), format!("`{file}` is no statement: {error}"))
    })
}

impl Submit {
    pub(super) async fn run(self, output: Output) -> Result<()> {
        let layout = Environment::open(&self.post.dir)?.layout();
        let envelope = read(&self.file)?;
        let client = connect::orchestrator(&layout, self.post.attester.as_str()).await?;
        let sent = client.send_attestation(&self.id, &envelope).await;
        output.report(&Submitted {
            withdrawal: self.id,
            statement: sent.map_err(|error| Failure::answered("orchestrator", &error))?,
        })
    }
}

impl Record {
    pub(super) async fn run(self, output: Output) -> Result<()> {
        let environment = Environment::open(&self.post.dir)?;
        let (layout, genesis) = (environment.layout(), environment.genesis()?);
        let envelope = read(&self.file)?;
        let people = connect::people(&layout, self.post.attester.as_str()).await?;
        let answer = people.submit_statement(&envelope).await;
        let answer = answer.map_err(|error| Failure::answered("signer", &error))?;
        let (key, statement) = (trust::log_key(&genesis)?, envelope.statement_digest());
        let in_force_since = Acknowledgement::verify(&answer, &key, genesis.hash(), statement)
            .map_err(|error| Failure::unverified(error.tag(), format!("the signer's answer: {error}")))?;
        output.report(&Recorded {
            statement,
            in_force_since,
        })
    }
}
