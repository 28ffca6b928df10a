//! What services have said about a withdrawal so far, and how much of it takes room: what spoke for the payment and was replaced since
//! takes none, or a lineage would run out of room for what its next attempt needs.

use std::collections::{BTreeMap, BTreeSet};

use countersign_approval::Verified;
use countersign_decision::{is_passing, outdated};
use countersign_types::{PrincipalId, StatementDigest};

use crate::{prepare::whose_matter, words::Matter};

/// The most statements of one service that are journaled for a withdrawal, those included that it replaced since. A lineage has so many
/// attempts, and a service so many statements that stand at a time.
pub(crate) const MAX_SPOKEN: u64 = 512;

/// The attestations that are journaled for one withdrawal.
#[derive(Debug, Default)]
pub(crate) struct Spoken {
    /// How many there are.
    total: usize,
    /// Those that speak for the payment and verify, each with its number.
    passing: BTreeMap<StatementDigest, (Matter, u64)>,
    /// Those of them that another one of these has replaced.
    over: BTreeSet<StatementDigest>,
}

impl Spoken {
    /// Of those that verify; `total` counts the others, too.
    pub(crate) fn of<'a>(verified: impl Iterator<Item = &'a Verified> + Clone, total: usize) -> Self {
        let over = outdated(verified.clone());
        let numbered = verified.filter(|verified| is_passing(verified));
        let numbered = numbered.filter_map(|verified| {
            let said = whose_matter(verified)?;
            Some((verified.digest(), said))
        });
        Self {
            total,
            passing: numbered.collect(),
            over,
        }
    }

    /// How many there are, whether or not they take room.
    pub(crate) fn total(&self) -> usize {
        self.total
    }

    /// Whether one spoke for the payment and was replaced since: in the journal, or by what is said now with a `later` number.
    pub(crate) fn is_over(&self, digest: &StatementDigest, later: impl Fn(&Matter) -> Option<u64>) -> bool {
        let is_replaced = |(about, sequence): &(Matter, u64)| later(about).is_some_and(|later| *sequence < later);
        self.over.contains(digest) || self.passing.get(digest).is_some_and(is_replaced)
    }

    /// How many take room.
    pub(crate) fn standing(&self, later: impl Fn(&Matter) -> Option<u64>) -> usize {
        let over = self.passing.keys().filter(|digest| self.is_over(digest, &later));
        self.total.saturating_sub(over.count())
    }

    /// How many of one service take none.
    pub(crate) fn over_of(&self, service: &PrincipalId, later: impl Fn(&Matter) -> Option<u64>) -> u64 {
        let own = self.passing.iter().filter(|(_, ((by, _), _))| by == service);
        let over = own.filter(|(digest, _)| self.is_over(digest, &later));
        u64::try_from(over.count()).unwrap_or(u64::MAX)
    }
}

/// The number of what a statement says on a matter, where it is about that.
pub(crate) fn later_by(verified: &Verified) -> impl Fn(&Matter) -> Option<u64> {
    let own = whose_matter(verified);
    move |about| {
        own.as_ref()
            .filter(|(matter, _)| matter == about)
            .map(|(_, sequence)| *sequence)
    }
}
