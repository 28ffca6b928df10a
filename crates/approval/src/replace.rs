//! The replacement of a fee ceiling: a stuck transaction may cost more, and nothing else of it changes.

use countersign_types::WithdrawalId;
use serde::{Deserialize, Serialize};

use crate::{FeeCeiling, review::certify_reason, statement::Bounded};

/// A replace statement's body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replace {
    /// The withdrawal.
    pub withdrawal: WithdrawalId,
    /// The most that the fee of any attempt may be from now on. It counts only where it is higher than the ceiling so far.
    pub fee_ceiling: FeeCeiling,
    /// Why, for people: one line of at most 512 printable ASCII characters.
    pub reason: String,
}

impl Bounded for Replace {
    fn certify(&self) -> Result<(), String> {
        certify_reason(&self.reason)
    }
}
