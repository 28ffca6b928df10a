//! What breakers make of a decision before it is written.

use std::collections::BTreeSet;

use countersign_decision::{Decision, Seen};
use countersign_types::Timestamp;

use crate::{
    LedgerView,
    admission::{Admitted, nonce_is_free},
    breakers::{Adds, Tripped, heard, rejections},
    ruling::{Bench, signed_attempt},
};

/// What breakers make of a decision.
#[derive(Default)]
pub(crate) struct Alarm {
    pub(crate) tripped: Vec<Tripped>,
    /// Names to be marked as rejections.
    pub(crate) rejections: BTreeSet<String>,
}

impl Bench {
    /// What breakers make of a decision, where it is one that will be written.
    pub(crate) fn alarm(
        &self,
        (view, now): (&LedgerView, Timestamp),
        admitted: &Admitted<'_>,
        statements: &[Seen],
        decision: &Decision,
    ) -> Alarm {
        let (prepared, record) = (&self.prepared, view.withdrawal.as_ref());
        let is_new = || nonce_is_free(view, &prepared.verified) && self.is_admissible(view, now, decision);
        if record.is_none() && !is_new() {
            return Alarm::default();
        }
        let is_signed = record.is_some_and(|record| signed_attempt(record, prepared).is_some());
        let is_authorized = decision.entry.authorization.is_some() && self.standing(record, decision, now).is_none();
        let heard = heard(prepared.bundle.roster(), &admitted.statements, statements, decision);
        // Marks that are there already are not made again: asking again writes nothing.
        let known = view.marks.get(&rejections(prepared.suspect().withdrawal));
        let is_new = |name: &String| known.is_none_or(|known| !known.contains_key(name));
        let rejections: BTreeSet<String> = heard.into_iter().filter(is_new).collect();
        let adds = Adds {
            rejections: rejections.clone(),
            paid: (is_authorized && !is_signed).then(|| prepared.paid()),
        };
        Alarm {
            tripped: prepared.suspect().tripped(view, &adds, now),
            rejections,
        }
    }
}
