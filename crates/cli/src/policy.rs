//! `countersign policy check`: does a bundle hold together? `countersign policy test`: does it decide what its tests say?

use std::{
    fmt,
    path::{Path, PathBuf},
};

use clap::Args;
use countersign_bundle::{Bundle, Case, MANIFEST_PATH, Manifest};
use countersign_types::Tag;
use serde::Serialize;

use crate::{
    bundle_files,
    failure::{Failure, Result},
    files,
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

/// Decides the transactions of test files under a bundle and compares each decision with what the test expects.
#[derive(Debug, Args)]
#[command(after_help = "JSON: {tests}; a test that does not hold makes the command fail and is named")]
pub(crate) struct Test {
    /// The bundle's folder, with or without manifest.json.
    #[arg(value_name = "BUNDLE_DIR")]
    files: PathBuf,
    /// The test files (`schema: countersign.policy-tests/1`).
    #[arg(value_name = "TEST_FILE", required = true)]
    tests: Vec<PathBuf>,
}

/// The result: how many tests were run, all of which held.
#[derive(Debug, Serialize)]
struct Tested {
    tests: usize,
}

impl fmt::Display for Tested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tests hold", self.tests)
    }
}

impl Test {
    pub(crate) fn run(self, output: Output) -> Result<()> {
        let (bundle, _) = load(&self.files)?;
        let mut differences = Vec::new();
        let mut count: usize = 0;
        for path in &self.tests {
            let name = path.display().to_string();
            let cases = Case::load(&name, &files::read(path)?, &bundle);
            let cases =
                cases.map_err(|errors| Failure::refused(errors.tag(), format!("`{name}` does not load:\n{errors}")))?;
            count = count.saturating_add(cases.len());
            for verdict in cases.iter().map(|case| case.run(&bundle)) {
                let told = |difference| format!("{name}:{}: {}: {difference}", verdict.line, verdict.name);
                differences.extend(verdict.difference.clone().map(told));
            }
        }
        if differences.is_empty() {
            return output.report(&Tested { tests: count });
        }
        let (failed, told) = (differences.len(), differences.join("\n"));
        Err(Failure::refused(
            Tag::PolicyTestFailed,
            format!("{failed} of {count} tests fail:\n{told}"),
        ))
    }
}

fn check(folder: &Path) -> Result<Checked> {
    let (bundle, has_manifest) = load(folder)?;
    Ok(Checked {
        version: bundle.version(),
        bundle: bundle.digest().to_string(),
        policy: bundle.policy_digest().to_string(),
        has_manifest,
    })
}

/// The bundle of a folder, and whether it came with a manifest.
fn load(folder: &Path) -> Result<(Bundle, bool)> {
    let mut contents = bundle_files::read(folder)?;
    let has_manifest = contents.contains_key(MANIFEST_PATH);
    if !has_manifest {
        let manifest = Manifest::build(1, None, &contents);
        let manifest = manifest.map_err(|error| Failure::refused(error.tag(), error))?;
        contents.insert(MANIFEST_PATH.to_owned(), manifest.to_bytes());
    }
    let bundle = Bundle::load(&contents)
        .map_err(|errors| Failure::refused(errors.tag(), format!("`{}` does not load:\n{errors}", folder.display())))?;
    Ok((bundle, has_manifest))
}
