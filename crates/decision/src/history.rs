//! What was signed before, added up for the limits of a bundle that was not in force: a back-test's stand-in for the journal.
//!
//! A withdrawal counts once, as it was signed last, and ages from the decision that it was first signed under. The journal counts longer where
//! charges age from mining, so a back-test may call a withdrawal allowed that would have had to wait for that.

use std::collections::{BTreeMap, BTreeSet};

use countersign_bundle::Bundle;
use countersign_policy::{CounterUsage, LimitTrace, Usage, Window};
use countersign_types::{Amount, CounterId, RuleId, Timestamp};

use crate::{ReceiptError, Spend, receipt_error::broken};

/// Running sums by counter.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// By counter, in order of time: when something was charged, and the sum of everything until then. `None` is over 256 bits.
    sums: BTreeMap<CounterId, Vec<(Timestamp, Option<Amount>)>>,
    /// Limits that could not say what they would have counted: what they hold is not known any more.
    unknown: BTreeSet<RuleId>,
    latest: Option<Timestamp>,
}

impl History {
    /// Adds what was signed. Decisions come in order; one that does not counts from the moment of the one before it.
    pub(crate) fn add(&mut self, spend: &Spend, bundle: &Bundle, at: Timestamp) -> Result<(), ReceiptError> {
        let at = self.latest.map_or(at, |latest| latest.max(at));
        self.latest = Some(at);
        let (charges, unknown) = spend.counted(bundle, at).map_err(|error| broken(error.to_string()))?;
        self.unknown.extend(unknown);
        for charge in charges {
            let sums = self.sums.entry(charge.counter).or_default();
            let before = sums.last().map_or(Some(Amount::ZERO), |(_, sum)| *sum);
            sums.push((at, before.and_then(|before| before.checked_add(charge.amount))));
        }
        Ok(())
    }

    /// What the counters of an evaluation's limits stood at.
    pub(crate) fn usage<'l>(&self, limits: impl Iterator<Item = &'l LimitTrace>, now: Timestamp) -> Usage {
        let mut counters: BTreeMap<CounterId, CounterUsage> = BTreeMap::new();
        for limit in limits.filter(|limit| !self.unknown.contains(&limit.rule)) {
            let (Some(counter), Some(window)) = (limit.counter, &limit.window) else {
                continue;
            };
            if let Some(sum) = self.sum(counter, window, now) {
                let usage = counters.entry(counter).or_default();
                usage.windows.insert(window.clone(), sum);
            }
        }
        Usage::new(counters)
    }

    fn sum(&self, counter: CounterId, window: &Window, now: Timestamp) -> Option<Amount> {
        let outside = window.last_outside(now)?;
        let sums = self.sums.get(&counter).map_or(&[][..], Vec::as_slice);
        let until = |at: usize| {
            at.checked_sub(1)
                .and_then(|last| sums.get(last))
                .map_or(Some(Amount::ZERO), |(_, sum)| *sum)
        };
        let before = sums.partition_point(|(at, _)| *at <= outside);
        until(sums.len())?.checked_sub(until(before)?)
    }
}
