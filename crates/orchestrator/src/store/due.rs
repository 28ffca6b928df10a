//! When the signer is asked about a withdrawal again.

use std::ops::RangeInclusive;

use countersign_proto::{fields, signer::v1::Pending};
use countersign_types::Tag;
use prost::Message as _;

use super::{
    Outcome, StoreError,
    apply::{Batch, Current},
};
use crate::states::State;

/// The shortest time after which a withdrawal whose time-lock seems to have run out is tried again: the clocks differ.
const MIN_LOCK_DELAY_MS: i64 = 1_000;
/// How long a withdrawal behind a gap of nonces waits before the signer is asked again (milliseconds).
const GAP_DELAY_MS: RangeInclusive<i64> = 1_000..=60_000;
/// How long a frozen withdrawal waits before the signer is asked again (milliseconds). A freeze may hold thousands for days: they must
/// not keep the signer busy, and they must not come all at once when it is over.
const FREEZE_DELAY_MS: RangeInclusive<i64> = 1_000..=300_000;

/// A quarter of a time that has passed, within bounds: an early end is noticed soon, and a late one costs few calls.
fn quarter(passed_ms: i64, bounds: &RangeInclusive<i64>) -> i64 {
    passed_ms.div_euclid(4).clamp(*bounds.start(), *bounds.end())
}

fn says(standing: &Pending, tag: Tag) -> bool {
    let mut reasons = standing.reasons.iter();
    reasons.any(|reason| fields::tag_of_reason(reason) == Some(tag))
}

impl Batch<'_> {
    /// An open withdrawal is looked at again when its time-lock runs out, when the nonce before its own may be signed, or when a
    /// freeze may be over, and at the latest when it expires. A replacement too. What outlives its request waits for the rest alone.
    pub(super) fn due_after(&self, current: &Current, next: State, outcome: &Outcome) -> Option<i64> {
        let standing = &outcome.standing;
        let soon = self.now_ms.saturating_add(MIN_LOCK_DELAY_MS);
        match next {
            State::Denied | State::Cancelled | State::Expired | State::Signed => return None,
            State::Received
            | State::PendingApproval
            | State::Refused
            | State::Malformed
            | State::Frozen
            | State::Replacing => {}
        }
        // At expiry itself the outcome is `Expired`; an earlier answer that arrives late is looked at once more.
        let expiry = (!outcome.outlives_request).then(|| current.expires_at_ms.max(soon));
        let unlocked = Some(standing.not_before_ms).filter(|at| *at > 0).map(|at| at.max(soon));
        // Approvals that are still missing wake it by themselves, and then it waits again.
        let is_behind_gap = says(standing, Tag::ConflictKeyGap) && !says(standing, Tag::ApprovalMissing);
        let behind_gap = is_behind_gap.then(|| self.due_behind_gap(current));
        let thawed = says(standing, Tag::FreezeActive).then(|| self.due_frozen(current, next, standing));
        [expiry, unlocked, behind_gap, thawed].into_iter().flatten().min()
    }

    /// Whether it is the latest attempt, and the signer's last word on it was a no that another time may be a yes.
    pub(super) async fn was_refused(&mut self, current: &Current, number: u32) -> Result<bool, StoreError> {
        let is_answered = match current.state {
            State::Refused | State::Malformed | State::Signed => true,
            State::Received
            | State::PendingApproval
            | State::Frozen
            | State::Replacing
            | State::Denied
            | State::Cancelled
            | State::Expired => false,
        };
        if !is_answered || number < current.attempts {
            return Ok(false);
        }
        Ok(!self.is_signed(current.seq, number).await?)
    }

    /// A quarter of its age from now.
    fn due_behind_gap(&self, current: &Current) -> i64 {
        let age_ms = self.now_ms.saturating_sub(current.created_at_ms);
        self.now_ms.saturating_add(quarter(age_ms, &GAP_DELAY_MS))
    }

    /// Up to a quarter from now of the time for which these freezes have held it, and no less than half of that.
    fn due_frozen(&self, current: &Current, next: State, standing: &Pending) -> i64 {
        let is_held_already = next == current.state && standing.encode_to_vec() == current.standing;
        let held_ms = match is_held_already {
            true => self.now_ms.saturating_sub(current.updated_at_ms),
            false => 0,
        };
        let most = quarter(held_ms, &FREEZE_DELAY_MS);
        let delay_ms = rand::random_range(most.div_euclid(2)..=most);
        self.now_ms.saturating_add(delay_ms)
    }
}
