//! What breakers and foreign spends make of a decision before it is written.

use std::collections::BTreeSet;

use countersign_decision::{Decision, Seen};
use countersign_types::{ParsedTransaction, Timestamp};

use crate::{
    LedgerView,
    breakers::{Adds, Tripped, Trips, frozen, heard, rejections},
    ruling::{Bench, signed_attempt},
    watch::{ForeignSpend, unclaimed},
};

/// What is to be frozen and marked.
#[derive(Default)]
pub(crate) struct Alarm {
    pub(crate) trips: Trips,
    /// Names to be marked as rejections.
    pub(crate) rejections: BTreeSet<String>,
}

impl Bench {
    /// What breakers make of a decision, where it is one that will be written.
    pub(crate) fn alarm(
        &self,
        (view, now): (&LedgerView, Timestamp),
        statements: &[Seen],
        decision: &Decision,
    ) -> Alarm {
        let (prepared, record) = (&self.prepared, view.withdrawal.as_ref());
        if record.is_none() && !self.is_admissible(view, now, decision) {
            return Alarm::default();
        }
        let is_signed = record.is_some_and(|record| signed_attempt(record, prepared).is_some());
        let is_authorized = decision.entry.authorization.is_some() && self.reusable(record, decision, now).is_none();
        // What was said of the payment, and has run out by now, is no attack on what takes its place.
        let heard = match decision.cancels {
            true => BTreeSet::new(),
            false => {
                let attempts = record.iter().flat_map(|record| &record.attempts);
                let was_signed = attempts.into_iter().any(|attempt| attempt.signed.is_some());
                heard(prepared.bundle.roster(), statements, was_signed, now)
            }
        };
        // Marks that are there already are not made again: asking again writes nothing.
        let known = view.marks.get(&rejections(prepared.suspect().withdrawal));
        let is_new = |name: &String| known.is_none_or(|known| !known.contains_key(name));
        let rejections: BTreeSet<String> = heard.into_iter().filter(is_new).collect();
        let adds = Adds {
            rejections: rejections.clone(),
            paid: (is_authorized && !is_signed).then(|| prepared.paid()),
        };
        let mut trips = prepared.suspect().tripped((view, now), &adds, &mut frozen(view));
        trips.freezes.extend(self.foreign_spends(view, decision));
        Alarm { trips, rejections }
    }

    /// What a quorum saw somebody else spend of what the bytes use up freezes, whoever brought the observations. The keys of
    /// other withdrawals are theirs to judge: their own transactions spend them.
    fn foreign_spends(&self, view: &LedgerView, decision: &Decision) -> Vec<Tripped> {
        let prepared = &self.prepared;
        let keys = prepared.reading.parsed().map(ParsedTransaction::conflict_keys);
        let keys = keys.unwrap_or_default();
        let spends = decision.foreign.iter().filter(|(key, _)| keys.contains(key));
        let spends = spends.filter_map(|(key, txid)| {
            let wallet = match view.conflict_owners.get(key) {
                Some(owner) if *owner == prepared.decoded.digest => Some(prepared.request.wallet.clone()),
                Some(_) => None,
                None => unclaimed(&prepared.bundle, key),
            };
            Some(ForeignSpend::new(wallet?, key, txid))
        });
        let is_new = |spend: &ForeignSpend| !view.made.contains(&spend.id());
        spends
            .filter(is_new)
            .map(|spend| Tripped::by_foreign_spend(&spend))
            .collect()
    }
}
