//! Which statements count (POLICY.md step 8).

use std::collections::{BTreeMap, BTreeSet};

use countersign_approval::{
    Approval, Body, Cancel, FeeCeiling, Rejection, Seating, StatementError, Verified, fill_seats,
};
use countersign_policy::Obligations;
use countersign_types::{EffectsText, GroupId, PolicyDigest, PrincipalId, Tag, Timestamp};

use crate::{
    ConsideredStatement, Observatory, Reason, Seen, asking::Asking, attested::Witnesses, replace::Replacements,
};

/// What approvals must be about to count.
pub(crate) struct Review<'a> {
    pub(crate) asking: Asking<'a>,
    pub(crate) now: Timestamp,
    /// Whether the bytes are a cancel attempt: what was said against the payment does not stop them.
    pub(crate) cancels: bool,
    pub(crate) effects: &'a EffectsText,
    pub(crate) replaced: &'a Replacements,
    /// The most that the fee of the bytes may be.
    pub(crate) ceiling: &'a FeeCeiling,
    pub(crate) policy: PolicyDigest,
    pub(crate) obligations: &'a Obligations,
    pub(crate) observatory: Observatory<'a>,
    pub(crate) witnesses: Witnesses<'a>,
}

/// What the statements amount to.
pub(crate) struct Reviewed {
    pub(crate) seating: Seating,
    /// When the last seat was filled; the request's first sight where no seat is asked for.
    pub(crate) completed_at: Option<Timestamp>,
    pub(crate) considered: Vec<ConsideredStatement>,
    /// A rejection or cancel that ends the withdrawal.
    pub(crate) ended: Vec<Reason>,
    /// Why statements did not count.
    pub(crate) discounted: Vec<Reason>,
}

/// What one statement says about this withdrawal.
enum Voice {
    Approves(PrincipalId),
    Rejects(PrincipalId, String),
    Cancels(PrincipalId),
    /// Says nothing for or against it: its facts were taken in already.
    Observes,
    /// Raises the fee ceiling: it was raised already.
    Replaces,
}

impl<'a> Review<'a> {
    /// Goes through the statements in the order of first sight.
    pub(crate) fn review(&self, statements: &'a [Seen], first_seen_at: Timestamp) -> Reviewed {
        let required = self.obligations.seats();
        let mut approvers: BTreeMap<PrincipalId, Timestamp> = BTreeMap::new();
        let mut reviewed = Reviewed {
            seating: self.seat(&required, &BTreeSet::new()),
            completed_at: None,
            considered: Vec::new(),
            ended: Vec::new(),
            discounted: Vec::new(),
        };
        for seen in statements {
            let discounted = match self.hear(seen) {
                Ok(Voice::Approves(person)) if approvers.contains_key(&person) => Err(Reason::new(
                    Tag::ApprovalSamePerson,
                    format!("`{person}` already approved; a person fills one seat"),
                )),
                Ok(Voice::Approves(person)) => {
                    approvers.insert(person, seen.first_seen_at);
                    Ok(())
                }
                Ok(Voice::Rejects(..) | Voice::Cancels(_)) if self.cancels => Ok(()),
                Ok(Voice::Rejects(person, reason)) => {
                    let message = format!("`{person}` rejected the withdrawal: {reason}");
                    reviewed.ended.push(Reason::new(Tag::ApprovalRejected, message));
                    Ok(())
                }
                Ok(Voice::Cancels(person)) => {
                    let message = format!("`{person}` cancelled the withdrawal");
                    reviewed.ended.push(Reason::new(Tag::WithdrawalCancelled, message));
                    Ok(())
                }
                Ok(Voice::Observes | Voice::Replaces) => Ok(()),
                Err(reason) => Err(reason),
            };
            reviewed.considered.push(ConsideredStatement {
                statement: seen.digest,
                first_seen_at: seen.first_seen_at,
                discounted: discounted.as_ref().err().map(|reason| reason.tag),
            });
            reviewed.discounted.extend(discounted.err());
        }
        (reviewed.seating, reviewed.completed_at) = self.complete(&required, &approvers, first_seen_at);
        reviewed
    }

    /// Seats people in the order of first sight and notes when the last seat was filled: a time-lock counts from there.
    fn complete(
        &self,
        required: &BTreeMap<GroupId, u32>,
        approvers: &BTreeMap<PrincipalId, Timestamp>,
        first_seen_at: Timestamp,
    ) -> (Seating, Option<Timestamp>) {
        let mut by_time: Vec<(&Timestamp, &PrincipalId)> = approvers.iter().map(|(person, at)| (at, person)).collect();
        by_time.sort_unstable();
        let mut people = BTreeSet::new();
        let mut seating = self.seat(required, &people);
        let mut completed_at = seating.is_complete().then_some(first_seen_at);
        for (at, person) in by_time {
            people.insert(person.clone());
            seating = self.seat(required, &people);
            if completed_at.is_none() && seating.is_complete() {
                // Approvals may come ahead of the withdrawal: no wait starts before there is something to look at.
                completed_at = Some(first_seen_at.max(*at));
            }
        }
        (seating, completed_at)
    }

    fn seat(&self, required: &BTreeMap<GroupId, u32>, people: &BTreeSet<PrincipalId>) -> Seating {
        fill_seats(required, people, |group, person| {
            self.asking
                .roster
                .group(group)
                .is_some_and(|members| members.contains(person))
        })
    }

    fn hear(&self, seen: &'a Seen) -> Result<Voice, Reason> {
        let verified = seen
            .verified
            .as_ref()
            .map_err(|error| Reason::new(error.tag(), timeless(error)))?;
        match &verified.statement().body {
            Body::Approval(approval) => self.hear_approval(verified, approval),
            Body::Rejection(rejection) => self.hear_rejection(verified, rejection, seen.first_seen_at),
            Body::Cancel(cancel) => self.hear_cancel(verified, cancel, seen.first_seen_at),
            Body::Observation(observation) => {
                let header = &verified.statement().header;
                let discount = self.observatory.discount(seen, header, observation);
                discount.map_or(Ok(Voice::Observes), Err)
            }
            Body::Replace(_) => {
                let discount = self.replaced.discount(seen.digest).cloned();
                discount.map_or(Ok(Voice::Replaces), Err)
            }
            Body::Price(_) | Body::Screening(_) | Body::AddressBook(_) => {
                self.witnesses.discount(seen).map_or(Ok(Voice::Observes), Err)
            }
            Body::Request(_) | Body::Activation(_) | Body::Freeze(_) | Body::Thaw(_) | Body::Veto(_) => {
                Err(Reason::new(
                    Tag::StatementNotPermitted,
                    format!(
                        "a statement of kind `{}` says nothing about a withdrawal",
                        verified.envelope().kind()
                    ),
                ))
            }
        }
    }

    /// An approval counts if it is about exactly this, still valid, and by somebody who may.
    fn hear_approval(&self, verified: &Verified, approval: &Approval) -> Result<Voice, Reason> {
        self.asking.header(verified, self.now)?;
        let person = verified.signer();
        let item = approval
            .items
            .iter()
            .find(|item| item.withdrawal == self.asking.withdrawal);
        let item = item.ok_or_else(|| self.asking.other_withdrawal(person))?;
        if item.effects != *self.effects {
            let message = format!("`{person}` approved other effects than the bytes have");
            return Err(Reason::new(Tag::ApprovalEffectsMismatch, message));
        }
        if item.fee_ceiling != *self.ceiling {
            let message = format!("`{person}` approved a fee ceiling of {}", item.fee_ceiling.amount);
            return Err(Reason::new(Tag::ApprovalFeeCeilingMismatch, message));
        }
        if item.policy != self.policy {
            let message = format!(
                "`{person}` approved under policy {}, in force is {}",
                item.policy, self.policy
            );
            return Err(Reason::new(Tag::ApprovalPolicyMismatch, message));
        }
        if self.asking.is_initiating(person) {
            let message = format!(
                "`{person}` initiated the withdrawal or operates `{}`",
                self.asking.initiator
            );
            return Err(Reason::new(Tag::ApprovalByInitiator, message));
        }
        self.member(person)?;
        Ok(Voice::Approves(person.clone()))
    }

    /// A rejection that was valid at its first sight stays: it does not expire into an approval. Every approval group is heard,
    /// asked or not: what is asked follows prices, the hour and what was signed before, and the orchestrator chooses when to ask
    /// (docs/adr/0035).
    fn hear_rejection(&self, verified: &Verified, rejection: &Rejection, at: Timestamp) -> Result<Voice, Reason> {
        self.asking.header(verified, at)?;
        let person = verified.signer();
        let item = rejection
            .items
            .iter()
            .find(|item| item.withdrawal == self.asking.withdrawal);
        let item = item.ok_or_else(|| self.asking.other_withdrawal(person))?;
        if self.asking.roster.groups_of(person).is_empty() {
            let message = format!("`{person}` is not a member of an approval group");
            return Err(Reason::new(Tag::ApprovalNotMember, message));
        }
        Ok(Voice::Rejects(person.clone(), item.reason.clone()))
    }

    fn hear_cancel(&self, verified: &Verified, cancel: &Cancel, at: Timestamp) -> Result<Voice, Reason> {
        self.asking.certify(verified, cancel.withdrawal, at)?;
        Ok(Voice::Cancels(verified.signer().clone()))
    }

    /// A member of a required group, as of now.
    fn member(&self, person: &PrincipalId) -> Result<(), Reason> {
        let groups = self.asking.roster.groups_of(person);
        if self.obligations.approvals().any(|(group, _)| groups.contains(group)) {
            return Ok(());
        }
        Err(Reason::new(
            Tag::ApprovalNotMember,
            format!("`{person}` is not a member of a required group"),
        ))
    }
}

/// An error without the moment of its decision: a reason that changes with every second would make every decision news,
/// and replaying one request would grow the log without bound.
pub(crate) fn timeless(error: &StatementError) -> String {
    match error {
        StatementError::NotYetValid { issued_at, .. } => format!("the statement is not valid before {issued_at}"),
        StatementError::Expired { expires_at, .. } => format!("the statement expired at {expires_at}"),
        StatementError::TooLarge(_)
        | StatementError::Envelope(_)
        | StatementError::UnknownKind(_)
        | StatementError::Payload { .. }
        | StatementError::UnknownKey(_)
        | StatementError::BadSignature { .. }
        | StatementError::NoTouch(_)
        | StatementError::WrongDeployment { .. }
        | StatementError::WrongEpoch { .. } => error.to_string(),
    }
}
