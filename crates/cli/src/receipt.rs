//! `countersign receipt`: fetch one withdrawal's receipt from the signer, verify it, keep it.

use std::{fmt, path::PathBuf};

use clap::Args;
use countersign_types::{Tag, WithdrawalId};
use serde::Serialize;

use crate::{
    audit::Proven,
    connect,
    environment::Environment,
    failure::{Failure, Result},
    files,
    output::Output,
};

/// Fetch the receipt of a withdrawal from the signer's own listener and verify it under the environment's genesis. A
/// receipt that does not verify is not written.
#[derive(Debug, Args)]
#[command(after_help = "JSON: {file, receipt}; the receipt as in `audit verify`")]
pub(crate) struct Fetch {
    /// The withdrawal (wd_…).
    id: WithdrawalId,
    /// The environment.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Where the receipt is written.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Whose certificate connects: the auditor's, or a person's.
    #[arg(long = "as", value_name = "NAME", default_value = "auditor")]
    name: countersign_types::PrincipalId,
}

/// The result: `{"file","receipt":{…}}`, the receipt as in `audit verify`.
#[derive(Debug, Serialize)]
struct Fetched {
    file: PathBuf,
    receipt: Proven,
}

impl fmt::Display for Fetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "verified     {}", self.receipt.withdrawal())?;
        write!(f, "written      {}", self.file.display())
    }
}

impl Fetch {
    pub(crate) async fn run(self, output: Output) -> Result<()> {
        let layout = Environment::open(&self.dir)?.layout();
        let people = connect::people(&layout, self.name.as_str()).await?;
        let bytes = people.receipt(&self.id).await;
        let bytes = bytes.map_err(|error| Failure::answered("signer", &error))?;
        let receipt = Proven::verify(&bytes, &files::read(&layout.genesis())?)?;
        if receipt.withdrawal() != self.id {
            let why = format!("the signer sent the receipt of {}", receipt.withdrawal());
            return Err(Failure::unverified(Tag::ReceiptInvalid, why));
        }
        files::write(&self.out, &bytes)?;
        output.report(&Fetched {
            file: self.out,
            receipt,
        })
    }
}
