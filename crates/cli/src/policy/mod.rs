//! `countersign policy`: does a bundle hold together, does it decide what its tests say, what does it promise, and why?

mod analysed;
mod check;
mod explain;
mod prove;
mod simulate;
mod test;

use std::path::Path;

use clap::Subcommand;
use countersign_bundle::{Bundle, MANIFEST_PATH, Manifest, Severity};
use countersign_policy::analysis::Budget;
use countersign_types::Tag;

pub(crate) use self::{
    analysed::Effort,
    explain::outcome,
    simulate::{Simulated, simulate},
};
use self::{analysed::Judged, check::Check, explain::Explain, prove::Prove, simulate::Simulate, test::Test};
use crate::{
    bundle_files,
    failure::{Exit, Failure, Mistake, Result},
    output::Output,
};

/// Check, prove, test, explain and simulate policies.
#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    Check(Check),
    Prove(Prove),
    Test(Test),
    Explain(Explain),
    Simulate(Simulate),
}

impl Policy {
    pub(crate) fn run(self, output: Output) -> Result<Exit> {
        match self {
            Self::Check(check) => check.run(output),
            Self::Prove(prove) => prove.run(output),
            Self::Test(test) => test.run(output).map(|()| Exit::Done),
            Self::Explain(explain) => explain.run(output).map(|()| Exit::Done),
            Self::Simulate(simulate) => simulate.run(output).map(|()| Exit::Done),
        }
    }
}

/// Refuses what must not be signed for: a lint that is an error, an invariant that is not proven, a test beside the bundle that fails.
pub(crate) fn certify(folder: &Path, bundle: &Bundle, budget: Budget) -> Result<()> {
    let (mut told, mut mistakes) = (Vec::new(), Vec::new());
    for lint in bundle.lint(budget).findings {
        if lint.kind.severity() == Severity::Error {
            let place = (lint.line, lint.column);
            mistakes.push(Mistake::new(lint.file, place, Tag::PolicyNotProven, &lint.message));
            told.push(lint.to_string());
        }
    }
    for judged in Judged::all(bundle, budget) {
        if !judged.holds() {
            mistakes.push(judged.mistake());
            told.push(judged.to_string());
        }
    }
    if !told.is_empty() {
        let why = format!("the bundle must not be proposed like this:\n{}", told.join("\n"));
        return Err(Failure::denied(Tag::PolicyNotProven, why).listing(mistakes));
    }
    match test::beside(folder)? {
        tests if tests.is_empty() => Ok(()),
        tests => test::run(bundle, &tests).map(drop),
    }
}

/// The bundle of a folder, and whether it came with a manifest.
fn load(folder: &Path) -> Result<(Bundle, bool)> {
    let mut contents = bundle_files::read(folder)?;
    let has_manifest = contents.contains_key(MANIFEST_PATH);
    if !has_manifest {
        let manifest = Manifest::build(1, None, &contents);
        let manifest =
            manifest.map_err(|error| Failure::no_manifest(format!("`{}` does not load", folder.display()), &error))?;
        contents.insert(MANIFEST_PATH.to_owned(), manifest.to_bytes());
    }
    let bundle = Bundle::load(&contents).map_err(|errors| {
        let failure = Failure::does_not_load(format!("`{}` does not load", folder.display()), &errors);
        if errors.tag() != Tag::BundleDigestMismatch {
            return failure;
        }
        failure.advise(
            "if you edited the files, remove manifest.json from your copy: `bundle propose` writes the next one; if they were sent \
             to you, get files and manifest again from whoever proposed them",
        )
    })?;
    Ok((bundle, has_manifest))
}
