//! `invariants`: what must hold of every withdrawal. They decide nothing; `countersign policy prove` checks them.

use countersign_policy::{
    Obligations,
    analysis::{Invariant, Promise},
};

use super::{
    Rules,
    limits::Asked,
    raw::{RawInvariant, RawObligations, RawThen},
};
use crate::problem::Problem;

impl Rules<'_> {
    pub(super) fn invariant(&mut self, path: &str, raw: &RawInvariant) -> Option<Invariant> {
        let before = self.reader.errors.len();
        let id = self.id(path, &raw.id);
        let when = raw.when.as_ref().map(|when| self.when(path, when)).unwrap_or_default();
        let then = self.promise(&format!("{path}.then"), &raw.then);
        self.made(path, before, Invariant::new(id?, when, then?))
    }

    fn promise(&mut self, path: &str, raw: &RawThen) -> Option<Promise> {
        match raw {
            RawThen::Word(word) if word == "deny" => Some(Promise::Deny),
            RawThen::Word(word) => {
                let word = word.chars().take(64).collect();
                let allowed = "`deny`, or `approvals`, `time-lock` and `attestations` to ask for";
                self.fail(path, Problem::BadWord { word, allowed });
                None
            }
            RawThen::Asked(asked) => Some(Promise::Asks(self.promised(path, asked))),
        }
    }

    fn promised(&mut self, path: &str, raw: &RawObligations) -> Obligations {
        let asked = Asked {
            approvals: raw.approvals.as_ref(),
            time_lock: raw.time_lock.as_ref(),
            attestations: raw.attestations.as_ref(),
        };
        self.obligations(path, &asked)
    }
}
