//! `countersign bundle rollback`: an older version's files as the next version.

use std::path::PathBuf;

use clap::Args;
use countersign_policy::analysis::Budget;

use super::{Asking, Proposal, certify_environment, files_of, next_version};
use crate::{
    bundle_files,
    failure::{Failure, Result},
    files,
    output::Output,
};

/// Propose the files of an older version again, as the next one. Nothing goes back: whoever activates it signs a new bundle.
#[derive(Debug, Args)]
#[command(after_help = "JSON: what `bundle propose` reports")]
pub(crate) struct Rollback {
    #[command(flatten)]
    asking: Asking,
    /// The version whose files are wanted.
    #[arg(long, value_name = "VERSION")]
    to: u64,
    /// An empty or new folder for the files.
    #[arg(long, value_name = "BUNDLE_DIR")]
    files: PathBuf,
}

impl Rollback {
    pub(super) async fn run(self, output: Output) -> Result<()> {
        let (_, trust) = self.asking.trust().await?;
        if self.files.exists() && !bundle_files::read(&self.files)?.is_empty() {
            let message = format!("`{}` holds a bundle already", self.files.display());
            return Err(Failure::usage(message).advise("name a new folder"));
        }
        let (next, contents) = next_version(files_of(trust.chain(), self.to)?, trust.in_force())?;
        certify_environment(&trust, &next)?;
        files::create_folder(&self.files)?;
        bundle_files::write(&self.files, &contents)?;
        output.report(&Proposal::of(trust.active()?, &next, Budget::DEFAULT))
    }
}
