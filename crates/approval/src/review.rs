//! Approvals and rejections: what approvers say about withdrawals.

use std::collections::BTreeSet;

use countersign_types::{Amount, AssetId, EffectsText, PolicyDigest, WithdrawalId};
use serde::{Deserialize, Serialize};

use crate::statement::{Bounded, is_line};

/// The most withdrawals in one statement.
pub const MAX_ITEMS: usize = 100;
/// The longest reason of a rejection or cancel.
const MAX_REASON_BYTES: usize = 512;

/// The most that a fee may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeeCeiling {
    /// The network's fee asset (CAIP-19).
    pub asset: AssetId,
    /// In base units.
    pub amount: Amount,
}

/// An approval statement's body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// 1 to [`MAX_ITEMS`], each withdrawal once.
    pub items: Vec<ApprovalItem>,
}

/// One approved withdrawal: everything that the approver agreed to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalItem {
    /// The withdrawal.
    pub withdrawal: WithdrawalId,
    /// Its effects as text, decoded by the approver's own program.
    pub effects: EffectsText,
    /// The most that its fee may be.
    pub fee_ceiling: FeeCeiling,
    /// The policy that the approver saw in force.
    pub policy: PolicyDigest,
}

/// A rejection statement's body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rejection {
    /// 1 to [`MAX_ITEMS`], each withdrawal once.
    pub items: Vec<RejectionItem>,
}

/// One rejected withdrawal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RejectionItem {
    /// The withdrawal.
    pub withdrawal: WithdrawalId,
    /// Why, for people: one line of at most 512 printable ASCII characters.
    pub reason: String,
}

pub(crate) fn certify_reason(reason: &str) -> Result<(), String> {
    if !is_line(reason, MAX_REASON_BYTES) {
        return Err(format!(
            "a reason is one line of at most {MAX_REASON_BYTES} printable ASCII characters"
        ));
    }
    Ok(())
}

fn certify_items(withdrawals: impl ExactSizeIterator<Item = WithdrawalId>) -> Result<(), String> {
    let count = withdrawals.len();
    if !(1..=MAX_ITEMS).contains(&count) {
        return Err(format!("`items` has {count} items; 1 to {MAX_ITEMS} are accepted"));
    }
    let mut seen = BTreeSet::new();
    for withdrawal in withdrawals {
        if !seen.insert(withdrawal) {
            return Err(format!("withdrawal `{withdrawal}` stands twice"));
        }
    }
    Ok(())
}

impl Bounded for Approval {
    fn certify(&self) -> Result<(), String> {
        certify_items(self.items.iter().map(|item| item.withdrawal))
    }
}

impl Bounded for Rejection {
    fn certify(&self) -> Result<(), String> {
        self.items.iter().try_for_each(|item| certify_reason(&item.reason))?;
        certify_items(self.items.iter().map(|item| item.withdrawal))
    }
}
