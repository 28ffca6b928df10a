//! `countersign policy test`: does a bundle decide what its tests say?

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use clap::Args;
use countersign_bundle::{BreakerCase, Bundle, Case, LoadErrors};
use countersign_types::Tag;
use serde::Serialize;

use super::load;
use crate::{
    failure::{Failure, Mistake, Result},
    files,
    output::Output,
};

/// Decides the transactions of test files under a bundle and compares each decision with what the test expects; and what breakers
/// freeze with what tests of them expect.
#[derive(Debug, Args)]
#[command(
    after_help = "JSON: {tests}; a test that does not hold makes the command fail (exit 3) and is one of `error.errors`"
)]
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
        let paths = match self.tests.is_empty() {
            true => beside(&self.files)?,
            false => self.tests,
        };
        // Nothing tested is not everything that holds.
        if paths.is_empty() {
            let folder = self.files.join("tests");
            return Err(Failure::file(&folder, "find tests in", "there is no `*.yaml`"));
        }
        output.report(&Tested {
            tests: run(&bundle, &paths)?,
        })
    }
}

/// Runs the tests of these files, and says how many there are; or which of them do not hold.
pub(super) fn run(bundle: &Bundle, paths: &[PathBuf]) -> Result<usize> {
    let mut count: usize = 0;
    let (mut told, mut mistakes) = (Vec::new(), Vec::new());
    for path in paths {
        let file = path.display().to_string();
        let bytes = files::read(path)?;
        let refused = |errors: LoadErrors| Failure::does_not_load(format!("`{file}` does not load"), &errors);
        let cases = Case::load(&file, &bytes, bundle).map_err(refused)?;
        let breakers = BreakerCase::load(&file, &bytes, bundle).map_err(refused)?;
        count = count.saturating_add(cases.len()).saturating_add(breakers.len());
        let mut tell = |line, name: &str, difference: Option<String>| {
            if let Some(difference) = difference {
                told.push(format!("{file}:{line}: {name}: {difference}"));
                let message = format!("{name}: {difference}");
                mistakes.push(Mistake::new(&file, (line, 1), Tag::PolicyTestFailed, message));
            }
        };
        for verdict in cases.iter().map(|case| case.run(bundle)) {
            tell(verdict.line, &verdict.name, verdict.difference.clone());
        }
        for case in &breakers {
            tell(case.line(), case.name(), case.difference(bundle));
        }
    }
    if told.is_empty() {
        return Ok(count);
    }
    let why = format!("{} of {count} tests fail:\n{}", told.len(), told.join("\n"));
    Err(Failure::denied(Tag::PolicyTestFailed, why).listing(mistakes))
}

/// The test files of a bundle's folder, by name; none where it has no folder of tests.
pub(super) fn beside(bundle: &Path) -> Result<Vec<PathBuf>> {
    let folder = bundle.join("tests");
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let unreadable = |error: io::Error| Failure::file(&folder, "list", error);
    let mut found = Vec::new();
    for file in fs::read_dir(&folder).map_err(unreadable)? {
        let path = file.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            found.push(path);
        }
    }
    found.sort_unstable();
    Ok(found)
}
