//! Who asked for a withdrawal, and who may take it back or let it cost more.

use countersign_approval::{Header, Roster, Verified};
use countersign_types::{GenesisHash, PrincipalId, Tag, Timestamp, WithdrawalId};

use crate::{Case, Reason, review::timeless};

/// A withdrawal and its initiator, under the roster in force.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asking<'a> {
    pub(crate) deployment: GenesisHash,
    pub(crate) epoch: u64,
    pub(crate) withdrawal: WithdrawalId,
    pub(crate) initiator: &'a PrincipalId,
    pub(crate) roster: &'a Roster,
    /// The roster at first sight.
    first: &'a Roster,
}

/// Whether somebody may cancel what an initiator asked for, or let it cost more.
pub fn may_take_back(person: &PrincipalId, initiator: &PrincipalId, roster: &Roster) -> bool {
    is_initiating(person, initiator, roster) || roster.is_officer(person)
}

fn is_initiating(person: &PrincipalId, initiator: &PrincipalId, roster: &Roster) -> bool {
    person == initiator || roster.initiating_people(initiator).contains(person)
}

impl<'a> Asking<'a> {
    pub(crate) fn of(case: &Case<'a>, withdrawal: WithdrawalId) -> Self {
        Self {
            deployment: case.deployment,
            epoch: case.ledger.epoch,
            withdrawal,
            initiator: case.verified.signer(),
            roster: case.active.roster(),
            first: case.first.roster(),
        }
    }

    /// Whether somebody initiated the withdrawal, or is among the people who operate the service that did, or who did when it was first
    /// seen: another duty meanwhile makes nobody a second person.
    pub(crate) fn is_initiating(&self, person: &PrincipalId) -> bool {
        [self.roster, self.first]
            .into_iter()
            .any(|roster| is_initiating(person, self.initiator, roster))
    }

    /// A statement that was valid at its first sight, is about the withdrawal, and is by its initiator or an officer.
    pub(crate) fn certify(
        &self,
        verified: &Verified,
        about: WithdrawalId,
        first_seen_at: Timestamp,
    ) -> Result<(), Reason> {
        self.header(verified, first_seen_at)?;
        let person = verified.signer();
        if about != self.withdrawal {
            return Err(self.other_withdrawal(person));
        }
        if !may_take_back(person, self.initiator, self.roster) {
            let message = format!("`{person}` is neither the initiator nor an officer");
            return Err(Reason::new(Tag::StatementNotPermitted, message));
        }
        Ok(())
    }

    pub(crate) fn header(&self, verified: &Verified, at: Timestamp) -> Result<(), Reason> {
        let header: &Header = &verified.statement().header;
        let certified = header.certify(self.deployment, self.epoch, at);
        certified.map_err(|error| Reason::new(error.tag(), format!("`{}`: {}", verified.signer(), timeless(&error))))
    }

    pub(crate) fn other_withdrawal(&self, person: &PrincipalId) -> Reason {
        let message = format!("a statement of `{person}` is not about {}", self.withdrawal);
        Reason::new(Tag::ApprovalOtherWithdrawal, message)
    }
}
