//! How much each may say about one withdrawal. What spoke for the payment and was replaced since takes no room, or a lineage would run out
//! of it for what its next attempt needs.

use std::collections::BTreeMap;

use countersign_approval::{Kind, Verified};
use countersign_decision::{outdated, speaks_for};
use countersign_types::{PrincipalId, StatementDigest};

use crate::{
    statements::{Heard, is_attestation, whose_matter},
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

/// The most statements of one service that are journaled for a withdrawal while they speak for it, those included that it replaced since:
/// a batch of 30 payments, each screened again for each of 64 attempts.
pub(crate) const MAX_SPOKEN: u64 = 2_048;

/// The attestations that are journaled for one withdrawal.
#[derive(Debug, Default)]
pub(crate) struct Spoken {
    /// How many there are.
    total: usize,
    /// Those that speak for the payment, each with its number and whose it is.
    passing: BTreeMap<StatementDigest, (Matter, u64)>,
    /// Those that spoke for it and are over, whose they are: another of these has replaced them, or they verify no more.
    over: BTreeMap<StatementDigest, PrincipalId>,
}

impl Spoken {
    pub(crate) fn of(heard: &[Heard]) -> Self {
        let verified = heard.iter().filter_map(|heard| heard.seen.verified.as_ref().ok());
        let outdated = outdated(verified.clone());
        let numbered = verified.filter(|verified| speaks_for(verified) && !outdated.contains(&verified.digest()));
        let numbered = numbered.filter_map(|verified| Some((verified.digest(), whose_matter(verified)?)));
        let is_over = |heard: &&Heard| heard.has_lapsed || outdated.contains(&heard.seen.digest);
        let over = heard.iter().filter(is_over);
        Self {
            total: heard.iter().filter(|heard| is_attestation(heard.kind)).count(),
            passing: numbered.collect(),
            over: over.map(|heard| (heard.seen.digest, heard.signer.clone())).collect(),
        }
    }

    /// How many there are, whether or not they take room.
    pub(crate) fn total(&self) -> usize {
        self.total
    }

    /// Whether one spoke for the payment and is over: it was so in the journal, or is by what is said now with a `later` number.
    pub(crate) fn is_over(&self, digest: &StatementDigest, later: impl Fn(&Matter) -> Option<u64>) -> bool {
        self.over.contains_key(digest) || self.passing.get(digest).is_some_and(|said| is_replaced(said, later))
    }

    /// How many take room.
    pub(crate) fn standing(&self, later: impl Fn(&Matter) -> Option<u64>) -> usize {
        let replaced = self.passing.values().filter(|said| is_replaced(said, &later));
        let over = self.over.len().saturating_add(replaced.count());
        self.total.saturating_sub(over)
    }

    /// How many of one service take none.
    pub(crate) fn over_of(&self, service: &PrincipalId, later: impl Fn(&Matter) -> Option<u64>) -> u64 {
        let over = self.over.values().filter(|by| *by == service);
        let own = self.passing.values().filter(|((by, _), _)| by == service);
        let replaced = own.filter(|said| is_replaced(said, &later));
        u64::try_from(over.count().saturating_add(replaced.count())).unwrap_or(u64::MAX)
    }
}

fn is_replaced((about, sequence): &(Matter, u64), later: impl Fn(&Matter) -> Option<u64>) -> bool {
    later(about).is_some_and(|later| *sequence < later)
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
