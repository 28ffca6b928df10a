//! `countersign policy test`: does a bundle decide what its tests say?

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use clap::Args;
use countersign_bundle::{BreakerCase, Case, LoadErrors};
use countersign_types::Tag;
use serde::Serialize;

use super::load;
use crate::{
    failure::{Failure, Result},
    files,
    output::Output,
};

/// Decides the transactions of test files under a bundle and compares each decision with what the test expects; and what breakers
/// freeze with what tests of them expect.
#[derive(Debug, Args)]
#[command(after_help = "JSON: {tests}; a test that does not hold makes the command fail and is named")]
pub(crate) struct Test {
    /// The bundle's folder, with or without manifest.json.
    #[arg(value_name = "BUNDLE_DIR")]
    files: PathBuf,
    /// The test files (`schema: countersign.policy-tests/1`). Default: every `*.yaml` in the folder `tests` of the bundle's.
    #[arg(value_name = "TEST_FILE")]
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
        let paths = match self.tests.is_empty() {
            true => beside(&self.files)?,
            false => self.tests,
        };
        for path in &paths {
            let name = path.display().to_string();
            let bytes = files::read(path)?;
            let refused = |errors: LoadErrors| Failure::does_not_load(format!("`{name}` does not load"), &errors);
            let cases = Case::load(&name, &bytes, &bundle).map_err(refused)?;
            let breakers = BreakerCase::load(&name, &bytes, &bundle).map_err(refused)?;
            count = count.saturating_add(cases.len()).saturating_add(breakers.len());
            for verdict in cases.iter().map(|case| case.run(&bundle)) {
                let told = |difference| format!("{name}:{}: {}: {difference}", verdict.line, verdict.name);
                differences.extend(verdict.difference.clone().map(told));
            }
            for case in &breakers {
                let told = |difference| format!("{name}:{}: {}: {difference}", case.line(), case.name());
                differences.extend(case.difference(&bundle).map(told));
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

/// The test files of a bundle's folder, by name.
fn beside(bundle: &Path) -> Result<Vec<PathBuf>> {
    let folder = bundle.join("tests");
    let unreadable = |error: io::Error| Failure::file(&folder, "list", error);
    let mut found = Vec::new();
    for file in fs::read_dir(&folder).map_err(unreadable)? {
        let path = file.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            found.push(path);
        }
    }
    // Nothing tested is not everything that holds.
    if found.is_empty() {
        return Err(Failure::file(&folder, "find tests in", "it has no `*.yaml`"));
    }
    found.sort_unstable();
    Ok(found)
}
