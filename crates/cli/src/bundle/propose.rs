//! `countersign bundle propose`: files become the next version.

use std::path::PathBuf;

use clap::Args;
use countersign_bundle::MANIFEST_PATH;

use super::{Asking, First, Looking, Proposal, certify_environment, read_next};
use crate::{failure::Result, files, output::Output, policy};

/// Make the files of a folder the next version: check them, write their manifest.json, and say what would change.
///
/// The manifest names the bundle in force as its predecessor, or none where the deployment has no bundle yet. It is written again when another one came into force.
#[derive(Debug, Args)]
#[command(
    after_help = "JSON: {version, bundle, previous, needs: {officer, admins, time_lock}}, and what `bundle diff` reports; of the first bundle nothing is compared, and previous is null"
)]
pub(crate) struct Propose {
    #[command(flatten)]
    asking: Asking,
    /// The bundle's files.
    #[arg(long, value_name = "BUNDLE_DIR")]
    files: PathBuf,
    #[command(flatten)]
    looking: Looking,
}

impl Propose {
    pub(super) async fn run(self, output: Output) -> Result<()> {
        let (layout, trust) = self.asking.trust().await?;
        let (next, contents) = read_next(&self.files, &trust)?;
        certify_environment(&trust, &next)?;
        let budget = self.looking.effort.budget();
        policy::certify(&self.files, &next, budget)?;
        if let Some(manifest) = contents.get(MANIFEST_PATH) {
            files::write(&self.files.join(MANIFEST_PATH), manifest)?;
        }
        let Some(in_force) = trust.in_force() else {
            return output.report(&First::of(&trust.genesis, &next));
        };
        let mut proposal = Proposal::of(in_force, &next, budget);
        proposal.differences.past = self.looking.back(&next, &layout.genesis(), output)?;
        output.report(&proposal)
    }
}
