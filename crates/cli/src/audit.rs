//! `countersign audit`: receipts verified offline, and the log copied and verified.

mod export;
mod verify;

use clap::Subcommand;

pub(crate) use self::{
    export::{ExportedLog, is_export},
    verify::Proven,
};
use crate::{failure::Result, output::Output};

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    Export(export::Export),
    Verify(verify::Verify),
}

impl Audit {
    pub(crate) async fn run(self, output: Output) -> Result<()> {
        match self {
            Self::Export(export) => export.run(output).await,
            Self::Verify(verify) => verify.run(output),
        }
    }
}
