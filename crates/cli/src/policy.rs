//! `countersign policy check`: does a bundle hold together?

use std::{
    fmt,
    path::{Path, PathBuf},
};

use clap::Args;
use countersign_bundle::{Bundle, MANIFEST_PATH, Manifest};
use serde::Serialize;

use crate::{
    bundle_files,
    failure::{Failure, Result},
    output::Output,
};

/// Reads a bundle, says what is wrong with file, line and column, and prints its digests.
#[derive(Debug, Args)]
#[command(
    after_help = "JSON: {version, bundle, policy, has_manifest}; without a manifest the bundle is checked as version 1"
)]
pub(crate) struct Check {
    /// The bundle's folder, with or without manifest.json.
    #[arg(value_name = "BUNDLE_DIR")]
    files: PathBuf,
}

/// The result: `{"version","bundle","policy","has_manifest"}`; `bundle` is that of a version 1 where there is no manifest.
#[derive(Debug, Serialize)]
struct Checked {
    version: u64,
    bundle: String,
    policy: String,
    has_manifest: bool,
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let note = if self.has_manifest {
            ""
        } else {
            " (without a manifest: checked as version 1)"
        };
        write!(
            f,
            "the bundle holds together\nversion  {}{note}\nbundle   {}\npolicy   {}",
            self.version, self.bundle, self.policy
        )
    }
}

impl Check {
    pub(crate) fn run(self, output: Output) -> Result<()> {
        output.report(&check(&self.files)?)
    }
}

fn check(folder: &Path) -> Result<Checked> {
    let mut contents = bundle_files::read(folder)?;
    let has_manifest = contents.contains_key(MANIFEST_PATH);
    if !has_manifest {
        let manifest = Manifest::build(1, None, &contents);
        let manifest = manifest.map_err(|error| Failure::refused(error.tag(), error))?;
        contents.insert(MANIFEST_PATH.to_owned(), manifest.to_bytes());
    }
    let bundle = Bundle::load(&contents)
        .map_err(|errors| Failure::refused(errors.tag(), format!("`{}` does not load:\n{errors}", folder.display())))?;
    Ok(Checked {
        version: bundle.version(),
        bundle: bundle.digest().to_string(),
        policy: bundle.policy_digest().to_string(),
        has_manifest,
    })
}
