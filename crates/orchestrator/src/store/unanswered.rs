//! What whoever waits is told while the signer gives no answer.

use countersign_proto::{fields, signer::v1::Pending, v1};
use countersign_types::Tag;
use prost::Message as _;

use super::{StoreError, apply::Batch};
use crate::states::{Event, State};

impl Batch<'_> {
    /// The signer gave no answer about a withdrawal that waits for one: its state stays, and when it is asked again too. The reason is in
    /// words of ours, which stay the same: asked again in vain, nothing is written.
    pub(super) async fn unanswered(&mut self, seq: i64, tag: Tag) -> Result<(), StoreError> {
        let current = self.current_at(seq).await?;
        let is_waiting = current.state.is_open() || current.state == State::Replacing;
        if !is_waiting {
            return Ok(());
        }
        let standing = Pending::decode(current.standing.as_slice()).map_err(|_| StoreError::Corrupt("standing"))?;
        let standing = standing_while(tag, standing).encode_to_vec();
        if standing == current.standing {
            return Ok(());
        }
        let next = current.after(Event::Unavailable)?;
        self.advance(&current, next, &standing, current.due_at_ms).await
    }
}

/// What the last decision said stays true, as far as anybody knows; but keys are used only where it was to allow.
fn standing_while(tag: Tag, last: Pending) -> Pending {
    let reason = fields::reason(tag, None, tag.meaning());
    let is_allowed = matches!(tag, Tag::BackendUnavailable | Tag::BackendBadSignature);
    let mut standing = match is_allowed {
        true => Pending::default(),
        false => last,
    };
    standing.reasons.retain(is_decided);
    standing.reasons.insert(0, reason);
    standing
}

/// Whether a reason is one of a decision, and not of a call without an answer.
fn is_decided(reason: &v1::Reason) -> bool {
    fields::tag_of_reason(reason).is_none_or(Tag::is_answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_said_once_and_before_what_was_decided() {
        let reason = |tag| fields::reason(tag, None, "m");
        let last = Pending {
            missing: vec![v1::MissingApprovals::default()],
            not_before_ms: 7,
            reasons: vec![
                reason(Tag::JournalInDoubt),
                reason(Tag::ApprovalMissing),
                reason(Tag::CallerRateLimited),
            ],
        };
        let tags =
            |standing: &Pending| -> Vec<String> { standing.reasons.iter().map(|reason| reason.tag.clone()).collect() };
        let silent = standing_while(Tag::SignerUnavailable, last.clone());
        assert_eq!(tags(&silent), ["signer/unavailable", "approval/missing"]);
        assert_eq!((silent.missing.len(), silent.not_before_ms), (1, 7));
        assert_eq!(standing_while(Tag::SignerUnavailable, silent.clone()), silent);
        for tag in [Tag::BackendUnavailable, Tag::BackendBadSignature] {
            let failing = standing_while(tag, silent.clone());
            assert_eq!((tags(&failing), failing.missing.len()), (vec![tag.to_string()], 0));
        }
    }
}
