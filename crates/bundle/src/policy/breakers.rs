//! `breakers`: what makes the signer freeze by itself.

use std::collections::BTreeSet;

use countersign_policy::{Breaker, Frozen, Trip};
use countersign_types::Duration;

use super::{
    Rules,
    limits::listed_twice,
    raw::{RawBreaker, RawTrip},
};
use crate::error::Problem;

/// The largest count: what is never reached protects nobody.
const MAX_COUNT: u64 = 1_000_000;

impl Rules<'_> {
    pub(super) fn breaker(&mut self, path: &str, raw: &RawBreaker) -> Option<Breaker> {
        let before = self.reader.errors.len();
        let id = self.id(path, &raw.id);
        let trip = self.trip(&format!("{path}.when"), &raw.when);
        let mut freezes = BTreeSet::new();
        for (n, word) in raw.freeze.iter().enumerate() {
            let frozen = Frozen::ALL.into_iter().find(|frozen| frozen.as_str() == word);
            let is_new = frozen.ok_or(Problem::BadBreaker).map(|frozen| freezes.insert(frozen));
            if let Some(problem) = listed_twice(is_new, word) {
                self.fail(&format!("{path}.freeze[{n}]"), problem);
            }
        }
        self.made(path, before, Breaker::new(id?, trip?, freezes))
    }

    /// Exactly one count; with a time where it is about a burst.
    fn trip(&mut self, path: &str, raw: &RawTrip) -> Option<Trip> {
        let within = match raw.within.as_deref().map(str::parse::<Duration>).transpose() {
            Ok(within) => within,
            Err(error) => {
                self.fail(&format!("{path}.within"), error);
                return None;
            }
        };
        let counts = (raw.rejections_on_lineage, raw.new_destinations, raw.networks, within);
        let (name, number) = match counts {
            (Some(number), None, None, None) => ("rejections-on-lineage", number),
            (None, Some(number), None, Some(_)) => ("new-destinations", number),
            (None, None, Some(number), Some(_)) => ("networks", number),
            _ => {
                self.fail(path, Problem::BadBreaker);
                return None;
            }
        };
        let path = format!("{path}.{name}");
        let count = self.reader.doc.places.number(&path, number, (1, MAX_COUNT));
        let count = count.map_err(|problem| self.fail(&path, problem)).ok()?;
        let count = u32::try_from(count).ok()?;
        Some(match (name, within) {
            ("new-destinations", Some(within)) => Trip::NewDestinations(count, within),
            ("networks", Some(within)) => Trip::Networks(count, within),
            (_, _) => Trip::RejectionsOnLineage(count),
        })
    }
}
