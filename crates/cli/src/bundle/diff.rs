//! `countersign bundle diff`: what a change does.

use std::path::PathBuf;

use clap::Args;
use countersign_bundle::{MANIFEST_PATH, Manifest};
use countersign_types::PrincipalId;

use super::{Asking, Differences, Looking, loaded, read_next};
use crate::{
    bundle_files,
    failure::{Failure, Result},
    output::Output,
};

/// Compare a bundle with the one in force, or with another folder: what tightens, what loosens, and why; what changed in the
/// files; withdrawals for which the new policy is looser; and with --past what was signed and would end otherwise.
#[derive(Debug, Args)]
#[command(
    after_help = "JSON: {class, findings: [{file, subject, direction, why}], files: [{path, lines}], witnesses: [{withdrawal, then, now, test}], undecided: [findings that no withdrawal shows], ran_out, past: what `policy simulate` reports, or null}; class is tightening, loosening, both or none"
)]
pub(crate) struct Diff {
    /// The bundle's files.
    #[arg(long, value_name = "BUNDLE_DIR")]
    files: PathBuf,
    /// Another folder to compare with, without asking anybody.
    #[arg(long, value_name = "BUNDLE_DIR", conflicts_with_all = ["dir", "person"])]
    from: Option<PathBuf>,
    /// The environment.
    #[arg(long, value_name = "DIR", requires = "person")]
    dir: Option<PathBuf>,
    /// Whose certificate connects.
    #[arg(long = "as", value_name = "PERSON", requires = "dir")]
    person: Option<PrincipalId>,
    #[command(flatten)]
    looking: Looking,
    /// The genesis file that you pinned, for --past; the environment's if not given.
    #[arg(long, value_name = "GENESIS", requires = "past")]
    trust_root: Option<PathBuf>,
}

impl Diff {
    pub(super) async fn run(self, output: Output) -> Result<()> {
        let budget = self.looking.effort.budget();
        let (mut differences, next, genesis) = match (self.from, self.dir, self.person) {
            (Some(from), None, None) => {
                let next = first(&self.files)?;
                (Differences::of(&first(&from)?, &next, budget), next, None)
            }
            (None, Some(dir), Some(person)) => {
                let (layout, trust) = Asking { dir, person }.trust().await?;
                let (next, _) = read_next(&self.files, &trust)?;
                (
                    Differences::of(trust.active()?, &next, budget),
                    next,
                    Some(layout.genesis()),
                )
            }
            (_, _, _) => {
                let message =
                    "say what to compare with: `--from BUNDLE_DIR`, or `--dir DIR --as PERSON` for the bundle in force";
                return Err(Failure::usage(message));
            }
        };
        differences.past = match self.trust_root.or(genesis) {
            Some(genesis) => self.looking.back(&next, &genesis, output)?,
            None if self.looking.past.is_empty() => None,
            None => {
                return Err(Failure::usage(
                    "--past needs the genesis that you pinned: `--trust-root GENESIS`",
                ));
            }
        };
        output.report(&differences)
    }
}

/// A folder by itself. Versions are no part of a comparison, so any will do.
fn first(folder: &std::path::Path) -> Result<countersign_bundle::Bundle> {
    let mut contents = bundle_files::read(folder)?;
    contents.remove(MANIFEST_PATH);
    let manifest = Manifest::build(1, None, &contents);
    let manifest =
        manifest.map_err(|error| Failure::no_manifest(format!("`{}` does not load", folder.display()), &error))?;
    contents.insert(MANIFEST_PATH.to_owned(), manifest.to_bytes());
    loaded(&contents)
}
