//! Tests of breakers: what is counted, and what that freezes. Decisions know nothing of breakers, so these stand by themselves.

use std::collections::BTreeSet;

use countersign_policy::{Breaker, Trip};

use super::{CasesFile, document, twice};
use crate::{Bundle, LoadErrors, error::Found, policy::read_trip, problem::Problem};

/// A test of breakers.
#[derive(Debug, Clone)]
pub struct BreakerCase {
    name: String,
    line: u32,
    counted: Trip,
    /// Each as `<breaker> <what it freezes>`.
    expected: BTreeSet<String>,
}

impl BreakerCase {
    /// Reads those of a file of policy tests. `file` is what errors call it.
    pub fn load(file: &str, bytes: &[u8], bundle: &Bundle) -> Result<Vec<Self>, LoadErrors> {
        let mut found = Found::default();
        let Some(doc) = document(file, bytes, &mut found) else {
            return Err(found.fail());
        };
        let CasesFile { breakers, .. } = &doc.raw;
        let known: BTreeSet<String> = bundle.policy().breakers().flat_map(frozen).collect();
        let (mut cases, mut names) = (Vec::new(), BTreeSet::new());
        for (n, raw) in breakers.iter().enumerate() {
            let path = format!("breakers[{n}]");
            if !names.insert(&raw.name) {
                found.push(doc.value(&format!("{path}.name"), twice(&raw.name)));
            }
            // What no breaker could ever freeze is a slip of the pen, not an expectation.
            for (n, text) in raw.expect.iter().enumerate().filter(|(_, text)| !known.contains(*text)) {
                let id = text.chars().take(128).collect();
                let hint = "write the id of a breaker of policy.yaml and one of what it freezes";
                let problem = Problem::Unknown {
                    what: "breaker",
                    id,
                    hint,
                };
                found.push(doc.value(&format!("{path}.expect[{n}]"), problem));
            }
            match read_trip(&format!("{path}.counted"), &raw.counted, &doc.places) {
                Ok(counted) => cases.push(Self {
                    name: raw.name.clone(),
                    line: doc.places.value(&format!("{path}.name")).0,
                    counted,
                    expected: raw.expect.iter().cloned().collect(),
                }),
                Err((path, problem)) => found.push(doc.value(&path, problem)),
            }
        }
        found.conclude()?;
        Ok(cases)
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it stands in its file.
    pub fn line(&self) -> u32 {
        self.line
    }

    /// What is frozen, each as `<breaker> <what it freezes>`.
    pub fn frozen(&self, bundle: &Bundle) -> BTreeSet<String> {
        let breakers = bundle.policy().breakers();
        let reached = breakers.filter(|breaker| breaker.trip().is_reached_by(self.counted));
        reached.flat_map(frozen).collect()
    }

    /// What was expected and what is found, if they differ.
    pub fn difference(&self, bundle: &Bundle) -> Option<String> {
        let found = self.frozen(bundle);
        (found != self.expected).then(|| format!("expected {}, found {}", told(&self.expected), told(&found)))
    }
}

fn frozen(breaker: &Breaker) -> impl Iterator<Item = String> {
    let freezes = breaker.freezes().iter();
    freezes.map(|frozen| format!("{} {frozen}", breaker.id()))
}

fn told(frozen: &BTreeSet<String>) -> String {
    let frozen: Vec<&str> = frozen.iter().map(String::as_str).collect();
    match frozen.is_empty() {
        true => "no freeze".to_owned(),
        false => format!("freezes by {}", frozen.join(", ")),
    }
}
