//! How much each may say about one withdrawal. What spoke for the payment and was replaced since takes no room, or a lineage would run out
//! of it for what its next attempt needs.

use std::collections::{BTreeMap, BTreeSet};

use countersign_approval::{Kind, Verified};
use countersign_decision::{is_passing, outdated};
use countersign_types::{PrincipalId, StatementDigest};

use crate::{
    statements::whose_matter,
    words::{Matter, is_removal},
};

/// How many statements of one person about one withdrawal leave room for another of this kind. One person cannot make a
/// decision's entry outgrow the log, and whoever has approved too often can still reject and cancel.
pub(crate) fn room(kind: Kind) -> u64 {
    match kind {
        Kind::Approval | Kind::Activation => 4,
        Kind::Rejection => 8,
        Kind::Cancel => 12,
        // Of `MAX_OBSERVATIONS` for all observers: one alone does not use them up.
        Kind::Observation => 16,
        // As for cancels: whoever has approved too often can still raise a ceiling, and nobody does so without end.
        Kind::Replace => 12,
        // Of `MAX_ATTESTATIONS` for all services: the payments of a batch, and quotes that went stale while it waited.
        Kind::Price => 16,
        Kind::Screening | Kind::AddressBook => 48,
        // For each admin: once for every word of hers for a successor of the bundle in force (`MAX_PROPOSALS`, four words each), so that no
        // quorum wears an officer out.
        Kind::Veto => 64,
        // An admin thaws a freeze once at a time, and again after that word has expired.
        Kind::Thaw => 64,
        // Both are filed under names of their own.
        Kind::Request | Kind::Freeze => 0,
    }
}

/// How many statements of its signer leave room for this one. What a service says against a payment has room of its own, behind
/// everything that whoever collects attestations can have journaled before.
pub(crate) fn room_for(verified: &Verified) -> u64 {
    let room = room(verified.envelope().kind());
    match is_removal(verified) {
        true => room.saturating_add(16),
        false => room,
    }
}

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
