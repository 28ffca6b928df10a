//! The fee ceiling that a request is held to: its own, raised by what its initiator or an officer said since.

use std::collections::BTreeMap;

use countersign_approval::{Body, FeeCeiling, Replace, Verified};
use countersign_types::{StatementDigest, Tag, Timestamp};

use crate::{Case, Reason, Seen, asking::Asking};

/// What the replacements of a fee ceiling amount to. It is never lower than the request's own.
pub(crate) struct Replacements {
    ceiling: FeeCeiling,
    discounted: BTreeMap<StatementDigest, Reason>,
}

impl Replacements {
    /// Goes through the statements in the order of first sight; other kinds are passed over.
    pub(crate) fn of(case: &Case<'_>, asking: &Asking<'_>) -> Self {
        let mut replaced = Self {
            ceiling: case.request.fee_ceiling.clone(),
            discounted: BTreeMap::new(),
        };
        for seen in case.statements {
            replaced.hear(asking, seen);
        }
        replaced
    }

    /// The most that a fee may be.
    pub(crate) fn ceiling(&self) -> &FeeCeiling {
        &self.ceiling
    }

    /// Why a replacement does not count.
    pub(crate) fn discount(&self, statement: StatementDigest) -> Option<&Reason> {
        self.discounted.get(&statement)
    }

    fn hear(&mut self, asking: &Asking<'_>, seen: &Seen) {
        let Ok(verified) = &seen.verified else { return };
        let Body::Replace(replace) = &verified.statement().body else {
            return;
        };
        match self.refusal(asking, (verified, replace), seen.first_seen_at) {
            Some(reason) => drop(self.discounted.insert(seen.digest, reason)),
            None => self.ceiling = replace.fee_ceiling.clone(),
        }
    }

    /// A replacement that was valid at its first sight stays: what was signed under it must not become too expensive later.
    fn refusal(
        &self,
        asking: &Asking<'_>,
        (verified, replace): (&Verified, &Replace),
        first_seen_at: Timestamp,
    ) -> Option<Reason> {
        let person = verified.signer();
        if let Err(reason) = asking.certify(verified, replace.withdrawal, first_seen_at) {
            return Some(reason);
        }
        let (found, known) = (&replace.fee_ceiling, &self.ceiling);
        if found.asset != known.asset || found.amount <= known.amount {
            let message = format!(
                "`{person}` asks for a fee ceiling of {} {}; it is {} {} already",
                found.amount, found.asset, known.amount, known.asset
            );
            return Some(Reason::new(Tag::ReplaceNotRaised, message));
        }
        None
    }
}
