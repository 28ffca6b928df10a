//! `countersign policy prove`: whether the invariants of a policy hold, or a withdrawal that breaks one.

use std::{fmt, path::PathBuf};

use clap::Args;
use serde::Serialize;

use super::{
    analysed::{Effort, Judged},
    load,
};
use crate::{
    failure::{Exit, Result},
    files,
    output::Output,
};

/// Proves the invariants of policy.yaml, or shows a withdrawal that breaks one. The exit code is 3 unless all are proven, and
/// where there are none: nothing claimed is nothing proven.
#[derive(Debug, Args)]
#[command(
    after_help = "JSON: {invariants: [{id, line, column, conclusion, doubt, counterexample: {withdrawal, decision, test}}]}; \
                  conclusion is holds, violated or undecided; test is a file for `countersign policy test`"
)]
pub(crate) struct Prove {
    /// The bundle's folder, with or without manifest.json.
    #[arg(value_name = "BUNDLE_DIR")]
    files: PathBuf,
    /// Writes each counterexample as a policy test into this folder, as `<invariant>.yaml`.
    #[arg(long, value_name = "DIR")]
    tests: Option<PathBuf>,
    #[command(flatten)]
    effort: Effort,
}

/// The result.
#[derive(Debug, Serialize)]
struct Proved {
    invariants: Vec<Judged>,
}

impl Prove {
    pub(crate) fn run(self, output: Output) -> Result<Exit> {
        let (bundle, _) = load(&self.files)?;
        output.progress("looking at every region of the policy");
        let invariants = Judged::all(&bundle, self.effort.budget());
        if let Some(folder) = &self.tests {
            files::create_folder(folder)?;
            for judged in &invariants {
                if let Some(test) = judged.test() {
                    files::write(&folder.join(format!("{}.yaml", judged.id())), test.as_bytes())?;
                }
            }
        }
        // All of none would be proven, and a pipeline would stay green where somebody removed the section.
        let is_proven = !invariants.is_empty() && invariants.iter().all(Judged::holds);
        output.report(&Proved { invariants })?;
        Ok(if is_proven { Exit::Done } else { Exit::Denied })
    }
}

impl fmt::Display for Proved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.invariants.is_empty() {
            return f.write_str("nothing is proven: policy.yaml claims nothing. Write what must hold of every withdrawal into its section `invariants:`");
        }
        for (n, judged) in self.invariants.iter().enumerate() {
            let separator = if n == 0 { "" } else { "\n" };
            write!(f, "{separator}{judged}")?;
        }
        Ok(())
    }
}
