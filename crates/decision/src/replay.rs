//! A past decision taken again under another bundle: what a candidate would have done.

use countersign_bundle::Bundle;
use countersign_policy::{Evaluation, Obligations, Outcome as PolicyOutcome};
use countersign_types::{Tag, WithdrawalId};

use crate::{Decision, Outcome, Reason, Receipt, ReceiptError, receipt::opened};

/// A past withdrawal, decided then and now.
#[derive(Debug, Clone, PartialEq)]
pub struct Replay {
    /// The withdrawal.
    pub withdrawal: WithdrawalId,
    /// What was asked for then, by the bundle in force and the one at first sight together. It was allowed.
    pub then: Obligations,
    /// What the candidate's policy decides, or why it is not even asked (no such wallet, initiator or network).
    pub now: Result<Evaluation, Vec<Reason>>,
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
        let Ok(evaluation) = &self.now else {
            return Change::Denied;
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

impl Receipt {
    /// Verifies a receipt and decides its withdrawal again under a candidate, with the facts that the log recorded and the
    /// statements that were there. `None` where nothing was ever allowed, so that there are no bytes to decide about.
    pub fn replay(bytes: &[u8], genesis_bytes: &[u8], candidate: &Bundle) -> Result<Option<Replay>, ReceiptError> {
        let verifier = opened(bytes, genesis_bytes)?;
        let receipt = verifier.verify()?;
        let Some(decision) = verifier.decide_under(candidate)? else {
            return Ok(None);
        };
        let mut then = Obligations::default();
        for evaluation in &receipt.trace {
            if let PolicyOutcome::Allow(asked) = &evaluation.outcome {
                then.join(asked);
            }
        }
        Ok(Some(Replay {
            withdrawal: receipt.withdrawal,
            then,
            now: decided(decision),
        }))
    }
}

/// The policy's own answer: what people still have to do about it is no matter of the policy.
fn decided(decision: Decision) -> Result<Evaluation, Vec<Reason>> {
    if let Some(evaluation) = decision.trace.into_iter().next() {
        return Ok(evaluation);
    }
    match decision.outcome {
        Outcome::Denied { reasons, .. } | Outcome::Malformed { reasons } | Outcome::Pending { reasons, .. } => {
            Err(reasons)
        }
        // Nothing is allowed without a policy.
        Outcome::Allowed => Err(Vec::new()),
    }
}
