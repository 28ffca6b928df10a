//! `countersign attest`: for attesters, services that quote prices, screen payments or keep an address book.

mod send;
mod sign;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use countersign_types::PrincipalId;

use crate::{failure::Result, output::Output};

#[derive(Debug, Subcommand)]
pub(crate) enum Attest {
    Price(sign::Price),
    Screening(sign::Screened),
    AddressBook(sign::Entry),
    Submit(send::Submit),
    Record(send::Record),
}

impl Attest {
    pub(crate) async fn run(self, output: Output) -> Result<()> {
        match self {
            Self::Price(price) => price.run(output),
            Self::Screening(screened) => screened.run(output),
            Self::AddressBook(entry) => entry.run(output),
            Self::Submit(submit) => submit.run(output).await,
            Self::Record(record) => record.run(output).await,
        }
    }
}

/// Who attests, and where.
#[derive(Debug, Args)]
struct Post {
    /// The environment.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// The attester, a service of the roster.
    #[arg(long = "as", value_name = "ATTESTER")]
    attester: PrincipalId,
}
