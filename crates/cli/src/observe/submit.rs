//! `countersign observe submit`: brings a signed observation to a withdrawal.

use std::{fmt, path::PathBuf};

use clap::Args;
use countersign_approval::Envelope;
use countersign_types::{StatementDigest, WithdrawalId};
use serde::Serialize;

use super::Post;
use crate::{
    connect,
    environment::Environment,
    failure::{Failure, Result},
    files,
    output::Output,
};

/// Bring an observation to a withdrawal that waits for its facts; the signer is then asked about it again.
///
/// May be repeated, and for several withdrawals. It is durable at the orchestrator; whether it counts, and whether enough observers
/// say the same, the signer decides: `countersign withdraw show` tells.
#[derive(Debug, Args)]
#[command(after_help = "JSON: {withdrawal, statement}")]
pub(crate) struct Submit {
    /// The withdrawal (wd_…).
    id: WithdrawalId,
    /// What `observe sign` wrote.
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
        write!(f, "observation  {}\nstored for   {}", self.statement, self.withdrawal)
    }
}

impl Submit {
    pub(super) async fn run(self, output: Output) -> Result<()> {
        let layout = Environment::open(&self.post.dir)?.layout();
        let envelope = Envelope::parse(&files::read(&self.file)?).map_err(|error| {
            let file = self.file.display();
            Failure::refused(error.tag(), format!("`{file}` is no statement: {error}"))
        })?;
        let client = connect::orchestrator(&layout, self.post.observer.as_str()).await?;
        let sent = client.send_observation(&self.id, &envelope).await;
        output.report(&Submitted {
            withdrawal: self.id,
            statement: sent.map_err(|error| Failure::answered("orchestrator", &error))?,
        })
    }
}
