//! `countersign policy check`: does a bundle hold together, and does it say what its author meant?

use std::{fmt, path::PathBuf};

use clap::Args;
use countersign_bundle::{Lint, Severity};
use serde::Serialize;

use super::{
    analysed::{Effort, Judged},
    load,
};
use crate::{
    failure::{Exit, Result},
    output::Output,
};

/// Reads a bundle, says what is wrong with file, line and column, lints its rules, proves its invariants, and prints its
/// digests. The exit code is 3 if a lint is an error, an invariant is not proven or the search ran out of steps.
#[derive(Debug, Args)]
#[command(
    after_help = "JSON: {version, bundle, policy, has_manifest, lints, ran_out, invariants}; without a manifest the bundle is \
                  checked as version 1; ran_out: rules that decide nothing were not looked for to the end"
)]
pub(crate) struct Check {
    /// The bundle's folder, with or without manifest.json.
    #[arg(value_name = "BUNDLE_DIR")]
    files: PathBuf,
    #[command(flatten)]
    effort: Effort,
}

/// The result; `bundle` is that of a version 1 where there is no manifest.
#[derive(Debug, Serialize)]
struct Checked {
    version: u64,
    bundle: String,
    policy: String,
    has_manifest: bool,
    lints: Vec<Linted>,
    ran_out: bool,
    invariants: Vec<Judged>,
}

/// A lint: `{"severity","tag","file","line","column","message"}`.
#[derive(Debug, Serialize)]
struct Linted {
    severity: &'static str,
    tag: &'static str,
    file: &'static str,
    line: u32,
    column: u32,
    message: String,
    #[serde(skip)]
    text: String,
}

impl From<&Lint> for Linted {
    fn from(lint: &Lint) -> Self {
        Self {
            severity: lint.kind.severity().as_str(),
            tag: lint.kind.tag(),
            file: lint.file,
            line: lint.line,
            column: lint.column,
            message: lint.message.clone(),
            text: lint.to_string(),
        }
    }
}

impl Check {
    pub(crate) fn run(self, output: Output) -> Result<Exit> {
        let (bundle, has_manifest) = load(&self.files)?;
        let budget = self.effort.budget();
        output.progress("looking at every region of the policy");
        let lints = bundle.lint(budget);
        let invariants = Judged::all(&bundle, budget);
        let has_error = lints
            .findings
            .iter()
            .any(|lint| lint.kind.severity() == Severity::Error);
        let is_proven = invariants.iter().all(Judged::holds) && !lints.ran_out;
        output.report(&Checked {
            version: bundle.version(),
            bundle: bundle.digest().to_string(),
            policy: bundle.policy_digest().to_string(),
            has_manifest,
            lints: lints.findings.iter().map(Linted::from).collect(),
            ran_out: lints.ran_out,
            invariants,
        })?;
        Ok(if has_error || !is_proven {
            Exit::Denied
        } else {
            Exit::Done
        })
    }
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let note = if self.has_manifest {
            ""
        } else {
            " (without a manifest: checked as version 1)"
        };
        writeln!(f, "the bundle holds together")?;
        writeln!(f, "version  {}{note}", self.version)?;
        writeln!(f, "bundle   {}", self.bundle)?;
        write!(f, "policy   {}", self.policy)?;
        for lint in &self.lints {
            write!(f, "\n{}", lint.text)?;
        }
        if self.ran_out {
            write!(
                f,
                "\nrules that decide nothing were not looked for to the end: the search ran out of steps; give it more with `--steps`"
            )?;
        }
        for judged in &self.invariants {
            write!(f, "\n{judged}")?;
        }
        Ok(())
    }
}
