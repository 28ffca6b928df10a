//! What the analysis says of a bundle: invariants with their counterexamples, for people and as JSON.

use std::fmt;

use clap::Args;
use countersign_bundle::Bundle;
use countersign_policy::{
    Evaluation,
    analysis::{Budget, Conclusion, Doubt, Invariant, Promise, prove},
};
use countersign_types::{RuleId, Tag};
use serde::Serialize;

use crate::failure::Mistake;

/// How many steps a search takes where nobody says.
const STEPS: u64 = 4_000_000;

/// How long an analysis may look.
#[derive(Debug, Args)]
pub(crate) struct Effort {
    /// The most steps of each search; one that runs out says so and claims nothing.
    #[arg(long, value_name = "N", default_value_t = STEPS)]
    steps: u64,
}

impl Default for Effort {
    fn default() -> Self {
        Self { steps: STEPS }
    }
}

impl Effort {
    pub(crate) fn budget(&self) -> Budget {
        Budget::new(self.steps)
    }
}

/// An invariant and what is known of it.
#[derive(Debug, Serialize)]
pub(crate) struct Judged {
    id: RuleId,
    line: u32,
    column: u32,
    conclusion: &'static str,
    /// Why nothing is claimed.
    #[serde(skip_serializing_if = "Option::is_none")]
    doubt: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    counterexample: Option<Counterexample>,
}

/// A withdrawal that breaks an invariant.
#[derive(Debug, Serialize)]
pub(crate) struct Counterexample {
    /// For people.
    withdrawal: String,
    /// The whole trace.
    decision: Evaluation,
    /// A file for `countersign policy test`.
    test: String,
}

impl Judged {
    /// Proves each invariant of a bundle.
    pub(crate) fn all(bundle: &Bundle, budget: Budget) -> Vec<Self> {
        let setting = bundle.setting();
        let judge = |invariant: &Invariant| Self::of(bundle, invariant, prove(invariant, &setting, budget));
        bundle.invariants().iter().map(judge).collect()
    }

    fn of(bundle: &Bundle, invariant: &Invariant, conclusion: Conclusion) -> Self {
        let id = invariant.id().clone();
        let (line, column) = bundle.rule_place(&id).unwrap_or((1, 1));
        let (conclusion, doubt, counterexample) = match conclusion {
            Conclusion::Holds => ("holds", None, None),
            Conclusion::Undecided(doubt) => ("undecided", Some(why(doubt)), None),
            Conclusion::Violated(found) => {
                let (withdrawal, decision) = *found;
                let promised = match invariant.then() {
                    Promise::Deny => "denied",
                    Promise::Asks(_) => "asked for more",
                };
                let name = format!("{id} is broken: this should be {promised}");
                let counterexample = Counterexample {
                    test: bundle.case_yaml(&name, &withdrawal, &decision),
                    withdrawal: withdrawal.told(bundle.registry().assets()).to_string(),
                    decision,
                };
                ("violated", None, Some(counterexample))
            }
        };
        Self {
            id,
            line,
            column,
            conclusion,
            doubt,
            counterexample,
        }
    }

    pub(crate) fn holds(&self) -> bool {
        self.conclusion == "holds"
    }

    pub(crate) fn id(&self) -> &RuleId {
        &self.id
    }

    /// What is wrong with the bundle where it does not hold.
    pub(crate) fn mistake(&self) -> Mistake {
        let why = self.doubt.map(|doubt| format!(": {doubt}")).unwrap_or_default();
        let message = format!("invariant `{}` is {}{why}", self.id, self.conclusion);
        Mistake::new("policy.yaml", (self.line, self.column), Tag::PolicyNotProven, message)
    }

    pub(crate) fn test(&self) -> Option<&str> {
        self.counterexample.as_ref().map(|found| found.test.as_str())
    }
}

fn why(doubt: Doubt) -> &'static str {
    match doubt {
        Doubt::RanOut => "the search ran out of steps: give it more, or name fewer things in the rules",
        Doubt::Batches => {
            "no single payment breaks it, but larger transactions may add up to it: let one rule with a total at most as \
             high ask for it"
        }
        Doubt::FeeShares => "only fees beside transfers that were not found could break it",
    }
}

impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "policy.yaml:{}:{}: {} {}",
            self.line, self.column, self.id, self.conclusion
        )?;
        if let Some(doubt) = self.doubt {
            write!(f, ": {doubt}")?;
        }
        if let Some(found) = &self.counterexample {
            for line in found.withdrawal.lines() {
                write!(f, "\n    {line}")?;
            }
            write!(f, "\n    is decided: {}", super::explain::outcome(&found.decision))?;
        }
        Ok(())
    }
}
