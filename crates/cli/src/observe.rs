//! `countersign observe`: for observers, services with a node of their own that say what a chain has.
//!
//! The facts come from the observer's own node and nowhere else: whoever signs what a file from outside claims is no
//! second voice.

mod report;
mod sign;
mod submit;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use countersign_types::PrincipalId;

use crate::{failure::Result, output::Output};

#[derive(Debug, Subcommand)]
pub(crate) enum Observe {
    Sign(sign::Sign),
    Submit(submit::Submit),
    Report(report::Report),
}

impl Observe {
    pub(crate) async fn run(self, output: Output) -> Result<()> {
        match self {
            Self::Sign(sign) => sign.run(output),
            Self::Submit(submit) => submit.run(output).await,
            Self::Report(report) => report.run(output).await,
        }
    }
}

/// Who observes, and where.
#[derive(Debug, Args)]
struct Post {
    /// The environment.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// The observer, a service of the roster.
    #[arg(long = "as", value_name = "OBSERVER")]
    observer: PrincipalId,
}
