//! What limits ask for above their soft maximum. Whether a withdrawal is above it depends on what was spent before, which only the signer's
//! journal knows, so an approver is told that it may be asked, and an approval for it is handed in.

use std::fmt;

use countersign_approval::{Envelope, Roster, verify};
use countersign_bundle::Bundle;
use countersign_decision::Decision;
use countersign_policy::RuleKind;
use countersign_types::{GroupId, RuleId};
use serde::Serialize;

/// The seats that one limit asks for above its soft maximum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct OverSoft {
    limit: RuleId,
    group: GroupId,
    required: u32,
}

impl fmt::Display for OverSoft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} once limit `{}` is over its soft maximum, which only the signer knows",
            self.group, self.required, self.limit
        )
    }
}

/// What limits that the transaction is charged to may ask for, and do not ask for here already.
pub(super) fn may_be_asked(decision: &Decision, bundle: &Bundle) -> Vec<OverSoft> {
    let charged = |id: &RuleId| {
        let mut limits = decision.trace.iter().flat_map(|evaluation| &evaluation.limits);
        limits.any(|limit| limit.rule == *id)
    };
    let limits = bundle.policy().asking().filter(|asking| asking.kind == RuleKind::Limit);
    let concerned = limits.filter(|limit| charged(limit.id));
    let seats = concerned.flat_map(|limit| {
        let seats = limit.obligations.seats().into_iter();
        seats.map(|(group, required)| OverSoft {
            limit: limit.id.clone(),
            group,
            required,
        })
    });
    let open = |seat: &OverSoft| {
        let here = decision.entry.seats.get(&seat.group);
        here.is_none_or(|here| here.required < seat.required)
    };
    seats.filter(open).collect()
}

/// Whether one of those seats may be the signer's of the approval.
pub(super) fn may_fill(seats: &[OverSoft], own: &Envelope, roster: &Roster) -> bool {
    verify(own, roster).is_ok_and(|verified| {
        let groups = roster.groups_of(verified.signer());
        seats.iter().any(|seat| groups.contains(&seat.group))
    })
}
