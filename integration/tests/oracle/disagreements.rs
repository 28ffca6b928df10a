//! Every disagreement between an oracle and us is a row of `docs/oracles.md`, with how often it comes up and why.

use std::{collections::BTreeMap, fs};

use countersign_integration::workspace_root;

/// What was found against one oracle, and must equal the rows that name it.
pub(crate) struct Disagreements {
    oracle: String,
    /// How often each reason came up, and the first case.
    found: BTreeMap<String, (usize, String)>,
}

impl Disagreements {
    /// None yet. The rows of an oracle start with its name in backticks.
    pub(crate) fn with(oracle: &str) -> Self {
        Self {
            oracle: oracle.to_owned(),
            found: BTreeMap::new(),
        }
    }

    /// One more case, told apart by its reason: the name of our error, where we refused.
    pub(crate) fn note(&mut self, reason: &str, case: &str) {
        let (count, _) = self.found.entry(reason.to_owned()).or_insert((0, case.to_owned()));
        *count += 1;
    }

    /// Fails on a disagreement without a row, on a row without a disagreement, and on another count.
    pub(crate) fn settle(self) {
        let text = fs::read_to_string(workspace_root().join("docs/oracles.md")).unwrap();
        let listed: BTreeMap<String, usize> = text.lines().filter_map(|line| row(&self.oracle, line)).collect();
        let count = |(reason, (count, _)): (&String, &(usize, String))| (reason.clone(), *count);
        let found: BTreeMap<String, usize> = self.found.iter().map(count).collect();
        assert_eq!(
            found, listed,
            "found with `{}`, and what docs/oracles.md lists; first cases: {:?}",
            self.oracle, self.found
        );
    }
}

/// `` | `oracle` | `reason` | count | why | ``
fn row(oracle: &str, line: &str) -> Option<(String, usize)> {
    let mut cells = line.strip_prefix("| ")?.split(" | ");
    if cells.next()? != format!("`{oracle}`") {
        return None;
    }
    let reason = cells.next()?.trim_matches('`').to_owned();
    let count = cells.next()?.replace(' ', "").parse();
    let why = cells.next().unwrap_or_default();
    assert!(why.len() > 10, "docs/oracles.md says no why: {line}");
    Some((reason, count.unwrap_or_else(|error| panic!("{error}: {line}"))))
}
