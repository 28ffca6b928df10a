//! A past decision taken again under another bundle: what a candidate would have done.

use countersign_bundle::Bundle;
use countersign_policy::{Evaluation, Obligations, Outcome as PolicyOutcome, Policy, Usage, Wants};
use countersign_types::{EffectKind, Tag, WithdrawalId};

use crate::{Decision, Outcome, Reason, Receipt, ReceiptError, history::History, receipt::opened};

/// A past withdrawal, decided then and now.
#[derive(Debug, Clone, PartialEq)]
pub struct Replay {
    /// The withdrawal.
    pub withdrawal: WithdrawalId,
    /// What was asked for then, by the bundle in force and the one at first sight together. It was allowed.
    pub then: Obligations,
    /// What the candidate's policy decides, or why it is not even asked (no such wallet, initiator or network).
    pub now: Result<Evaluation, Vec<Reason>>,
    /// Whether the candidate looks at what nobody wrote down, because no policy looked at it then: what is unknown is held against a
    /// withdrawal, and may have been otherwise.
    pub is_unrecorded: bool,
}

/// How a withdrawal would end otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// As it did.
    Same,
    /// It would be denied.
    Denied,
    /// The candidate counts or asks for what the log did not record.
    NotKnown,
    /// It would take more.
    AsksMore,
    /// It would take less.
    AsksLess,
}

impl Replay {
    /// How the withdrawal would end otherwise.
    pub fn change(&self) -> Change {
        let evaluation = match &self.now {
            _ if self.is_unrecorded => return Change::NotKnown,
            Ok(evaluation) => evaluation,
            Err(_) => return Change::Denied,
        };
        match &evaluation.outcome {
            PolicyOutcome::Deny => {
                let is_known = |tag: Tag| !matches!(tag, Tag::LimitUsageUnknown | Tag::LimitUnknownAmount);
                if evaluation.reasons.iter().any(|reason| is_known(reason.tag)) {
                    Change::Denied
                } else {
                    Change::NotKnown
                }
            }
            PolicyOutcome::Allow(asked) if *asked == self.then => Change::Same,
            PolicyOutcome::Allow(asked) if self.then.covers(asked) => Change::AsksLess,
            PolicyOutcome::Allow(_) => Change::AsksMore,
        }
    }
}

/// Past withdrawals decided again under a candidate, one after the other.
///
/// The facts are those that the log recorded, and the statements those that were there. Where a whole log is decided again, what the
/// candidate's limits add up and no decision recorded is added up from what was signed before: as the journal does when a
/// bundle comes into force, and for withdrawals that the candidate would have denied as well, because they were signed.
#[derive(Debug)]
pub struct Backtest<'a> {
    genesis_bytes: &'a [u8],
    candidate: &'a Bundle,
    history: Option<History>,
}

impl<'a> Backtest<'a> {
    /// Of receipts by themselves: what windows held beyond what was recorded is not known.
    pub fn of_receipts(genesis_bytes: &'a [u8], candidate: &'a Bundle) -> Self {
        Self {
            genesis_bytes,
            candidate,
            history: None,
        }
    }

    /// Of all that a log has signatures of, in the order in which it was decided.
    pub fn of_log(genesis_bytes: &'a [u8], candidate: &'a Bundle) -> Self {
        Self {
            history: Some(History::default()),
            ..Self::of_receipts(genesis_bytes, candidate)
        }
    }

    /// Verifies a receipt and decides its withdrawal again. `None` where nothing was ever allowed, so that there are no bytes to
    /// decide about.
    pub fn replay(&mut self, receipt: &[u8]) -> Result<Option<Replay>, ReceiptError> {
        let verifier = opened(receipt, self.genesis_bytes)?;
        let receipt = verifier.verify()?;
        let Some(mut decided) = verifier.decide_under(self.candidate, Usage::default())? else {
            return Ok(None);
        };
        if let (Some(history), Ok(decision)) = (&self.history, &decided) {
            let more = history.usage(
                decision.trace.iter().flat_map(|trace| &trace.limits),
                decision.entry.decided_at,
            );
            decided = verifier.decide_under(self.candidate, more)?.unwrap_or(decided);
        }
        if let (Some(history), Some(spend), Some(entry)) = (&mut self.history, &receipt.spend, &receipt.decision) {
            let since = verifier.first_signed_at()?.unwrap_or(entry.decided_at);
            history.add(spend, self.candidate, since)?;
        }
        let mut then = Obligations::default();
        for evaluation in &receipt.trace {
            if let PolicyOutcome::Allow(asked) = &evaluation.outcome {
                then.join(asked);
            }
        }
        let (now, is_unrecorded) = match decided {
            Ok(decision) => {
                let policy = self.candidate.policy();
                let is_unrecorded = looks_further(policy.wants(), &receipt, &decision)
                    && !is_forbidden(policy, |wants| looks_further(wants, &receipt, &decision), &decision);
                policy_alone(decision, is_unrecorded)
            }
            Err(error) => (Err(vec![Reason::new(error.tag(), error.to_string())]), false),
        };
        Ok(Some(Replay {
            withdrawal: receipt.withdrawal,
            then,
            now,
            is_unrecorded,
        }))
    }
}

/// Whether a forbid denies it that does not `look further`: that is certain, whatever else is not known.
fn is_forbidden(policy: &Policy, look_further: impl Fn(&Wants) -> bool, decision: &Decision) -> bool {
    let reasons = decision.trace.iter().flat_map(|trace| &trace.reasons);
    let forbids = reasons.filter(|reason| reason.tag == Tag::ForbidMatched);
    let mut looked = forbids.filter_map(|reason| Wants::of_forbid(policy, reason.rule.as_ref()?));
    looked.any(|wants| !look_further(&wants))
}

/// Whether a policy looks at what the log lacks of a withdrawal because nobody looked then. What was looked at and unknown is unknown again.
fn looks_further(wants: &Wants, receipt: &Receipt, decision: &Decision) -> bool {
    let effects = decision.trace.iter().flat_map(|trace| &trace.effects);
    let pays = effects.map(|effect| effect.kind).any(|kind| match kind {
        EffectKind::Fee | EffectKind::Internal => false,
        EffectKind::Transfer
        | EffectKind::Allowance
        | EffectKind::AuthorityChange
        | EffectKind::CodeChange
        | EffectKind::DelayedAuthorization
        | EffectKind::ContractCall
        | EffectKind::Opaque
        | EffectKind::PersonalMessage => true,
    });
    let has_history = decision.entry.ledger.destinations.is_some();
    let then = &receipt.wants;
    !wants.currencies.is_subset(&then.currencies)
        || pays && ((wants.history || wants.ages) && !has_history || !wants.books.is_subset(&then.books))
}

/// The policy's own answer, and whether it is not known: what people still have to do about it is no matter of the policy.
fn policy_alone(decision: Decision, is_unrecorded: bool) -> (Result<Evaluation, Vec<Reason>>, bool) {
    if let Some(evaluation) = decision.trace.into_iter().next() {
        return (Ok(evaluation), is_unrecorded);
    }
    match decision.outcome {
        Outcome::Denied { reasons, .. } | Outcome::Malformed { reasons } => (Err(reasons), false),
        // It waits for what nobody had observed then.
        Outcome::Pending { reasons, .. } => (Err(reasons), true),
        // Nothing is allowed without a policy.
        Outcome::Allowed => (Err(Vec::new()), false),
    }
}
