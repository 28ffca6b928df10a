//! A no among the statements of a withdrawal. The decision hears it last, and does not come so far where a price is missing or policy denies
//! for now: who approves is told of it all the same.

use countersign_approval::Body;
use countersign_decision::{Observatory, Seen};
use countersign_types::{Tag, WithdrawalId};

use crate::{
    failure::{Failure, Result},
    output::harmless,
};

/// Refuses what a member of an approval group rejected.
pub(super) fn refuse(statements: &[Seen], id: WithdrawalId, at: &Observatory<'_>) -> Result<()> {
    for verified in statements.iter().filter_map(|seen| seen.verified.as_ref().ok()) {
        let Body::Rejection(rejection) = &verified.statement().body else {
            continue;
        };
        let header = &verified.statement().header;
        let counts = header.certify(at.deployment, at.epoch, at.now).is_ok()
            && !at.roster.groups_of(verified.signer()).is_empty();
        let item = rejection.items.iter().find(|item| item.withdrawal == id && counts);
        if let Some(item) = item {
            let why = format!(
                "`{}` rejected the withdrawal: {}",
                verified.signer(),
                harmless(&item.reason)
            );
            return Err(Failure::refused(Tag::ApprovalRejected, why));
        }
    }
    Ok(())
}
