//! Destinations that look like others which the bundle knows (address poisoning). A warning is never a decision: the policy
//! decides about the whole address.

use std::{collections::BTreeSet, fmt};

use countersign_bundle::Bundle;
use countersign_types::{Destination, Effect};
use serde::Serialize;

/// More than a person reads; the first one is reason enough to stop.
const MAX_LOOKALIKES: usize = 32;

/// `{"destination","resembles","known_as"}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Lookalike {
    destination: Destination,
    resembles: Destination,
    known_as: String,
}

impl fmt::Display for Lookalike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            destination,
            resembles,
            known_as,
        } = self;
        write!(f, "{destination} begins and ends like {known_as}, which is {resembles}")
    }
}

/// The lookalikes among the destinations of effects.
pub(crate) fn among(effects: &[Effect], bundle: &Bundle) -> Vec<Lookalike> {
    let destinations: BTreeSet<&Destination> = effects.iter().filter_map(Effect::destination).collect();
    let found = destinations.into_iter().flat_map(|destination| {
        let lookalike = |known: countersign_bundle::KnownDestination<'_>| Lookalike {
            destination: destination.clone(),
            known_as: known.source.to_string(),
            resembles: known.destination,
        };
        bundle.lookalikes(destination).map(lookalike)
    });
    found.take(MAX_LOOKALIKES).collect()
}
