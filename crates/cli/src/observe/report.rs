//! `countersign observe report`: tells the signer that somebody else spent what is ours.

use std::{fmt, path::PathBuf};

use clap::Args;
use countersign_approval::Envelope;
use countersign_types::{PrincipalId, StatementDigest, UtcSeconds};
use serde::Serialize;

use crate::{
    acknowledged::Both,
    environment::Environment,
    failure::{Failure, Result},
    files,
    output::Output,
};

/// Report a foreign spend: an observation of a nonce or outpoint of ours that was used up by a transaction which the signer did
/// not sign. Once as many observers as the roster asks for have said so, the signer freezes the wallet by itself.
///
/// It goes past the orchestrator to the signer's listener for people. A person brings it; the observer signed it.
#[derive(Debug, Args)]
#[command(after_help = "JSON: {statement, acknowledged_at}; `freeze list` tells whether the wallet is frozen")]
pub(crate) struct Report {
    /// What `observe sign` wrote.
    file: PathBuf,
    /// The environment.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Who brings it: whose certificate connects.
    #[arg(long = "as", value_name = "PERSON")]
    person: PrincipalId,
}

/// The result: `{"statement","acknowledged_at"}`.
#[derive(Debug, Serialize)]
struct Reported {
    statement: StatementDigest,
    /// When the signer first journaled it, under the log key's signature.
    acknowledged_at: UtcSeconds,
}

impl fmt::Display for Reported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "observation  {}", self.statement)?;
        write!(f, "acknowledged {} (under the log key)", self.acknowledged_at)
    }
}

impl Report {
    pub(super) async fn run(self, output: Output) -> Result<()> {
        let environment = Environment::open(&self.dir)?;
        let (layout, genesis) = (environment.layout(), environment.genesis()?);
        let envelope = Envelope::parse(&files::read(&self.file)?).map_err(|error| {
            let file = self.file.display();
            Failure::refused(error.tag(), format!("`{file}` is no statement: {error}"))
        })?;
        let both = Both {
            layout: &layout,
            genesis: &genesis,
            person: &self.person,
        };
        output.report(&Reported {
            statement: envelope.statement_digest(),
            acknowledged_at: both.submit(&envelope).await?,
        })
    }
}
