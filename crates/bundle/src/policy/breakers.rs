//! `breakers`: what makes the signer freeze by itself.

use std::collections::BTreeSet;

use countersign_policy::{Breaker, Frozen, Trip};
use countersign_types::Duration;

use super::{
    Rules,
    limits::listed_twice,
    raw::{RawBreaker, RawTrip},
};
use crate::{places::Places, problem::Problem};

/// The largest count: what is never reached protects nobody.
const MAX_COUNT: u64 = 1_000_000;
/// As many marks of a withdrawal as a decision reads.
const MAX_REJECTIONS: u64 = 64;

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

    fn trip(&mut self, path: &str, raw: &RawTrip) -> Option<Trip> {
        let trip = read_trip(path, raw, &self.reader.doc.places);
        trip.map_err(|(path, problem)| self.fail(&path, problem)).ok()
    }
}

/// Exactly one count; with a time where it is about a burst.
pub(crate) fn read_trip(path: &str, raw: &RawTrip, places: &Places) -> Result<Trip, (String, Problem)> {
    let within = raw.within.as_deref().map(str::parse::<Duration>).transpose();
    let within = within.map_err(|error| (format!("{path}.within"), error.into()))?;
    let count = |name: &str, number: u64| {
        let path = format!("{path}.{name}");
        let max = if name == "rejections-on-lineage" {
            MAX_REJECTIONS
        } else {
            MAX_COUNT
        };
        let count = places.number(&path, number, (1, max));
        let count = count.and_then(|count| u32::try_from(count).map_err(|_| Problem::BadBreaker));
        count.map_err(|problem| (path, problem))
    };
    match (raw.rejections_on_lineage, raw.new_destinations, raw.networks, within) {
        (Some(number), None, None, None) => count("rejections-on-lineage", number).map(Trip::RejectionsOnLineage),
        (None, Some(number), None, Some(within)) => {
            count("new-destinations", number).map(|count| Trip::NewDestinations(count, within))
        }
        (None, None, Some(number), Some(within)) => {
            count("networks", number).map(|count| Trip::Networks(count, within))
        }
        _ => Err((path.to_owned(), Problem::BadBreaker)),
    }
}
