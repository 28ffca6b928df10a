//! Why rules do not make a policy. Every error names the rule; the bundle adds the place in the file.

use countersign_types::{RuleId, Tag};

use crate::{ConditionKind, MAX_BREAKER_WINDOW, MAX_RULES, RuleKind};

/// Why rules do not make a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Two rules, of whatever kind, with one id.
    #[error("rule id `{rule}` is used twice: a tag must name one rule")]
    DuplicateRule {
        /// The id.
        rule: RuleId,
    },
    /// More than [`MAX_RULES`].
    #[error("the policy has {found} rules; at most {MAX_RULES} are accepted")]
    TooManyRules {
        /// How many.
        found: usize,
    },
    /// A set that nothing is a member of: the rule could never match, in silence.
    #[error("rule `{rule}` has an empty `{condition}`: name at least one, or leave it out")]
    EmptyCondition {
        /// The rule.
        rule: RuleId,
        /// The empty condition.
        condition: ConditionKind,
    },
    /// The same condition twice.
    #[error("rule `{rule}` has `{condition}` twice")]
    RepeatedCondition {
        /// The rule.
        rule: RuleId,
        /// The repeated condition.
        condition: ConditionKind,
    },
    /// A condition that would turn the rule's monotonicity around (a maximum that forbids, a minimum that permits).
    #[error("`{condition}` has no place in a {kind}, as in rule `{rule}`")]
    MisplacedCondition {
        /// The rule.
        rule: RuleId,
        /// Its kind.
        kind: RuleKind,
        /// The condition.
        condition: ConditionKind,
    },
    /// A permit that does not say which effects it covers.
    #[error("permit `{rule}` names no effects: what is not named is not permitted")]
    PermitWithoutEffects {
        /// The rule.
        rule: RuleId,
    },
    /// A forbid that matches everything.
    #[error("forbid `{rule}` has no condition: it would forbid every transaction")]
    ForbidWithoutCondition {
        /// The rule.
        rule: RuleId,
    },
    /// A require that asks for nothing.
    #[error("require `{rule}` asks for nothing: give it approvals, a time-lock or attestations")]
    EmptyRequire {
        /// The rule.
        rule: RuleId,
    },
    /// A breaker without an effect.
    #[error("breaker `{rule}` freezes nothing: name at least one of all, wallet, network, initiator, tenant")]
    BreakerWithoutFreeze {
        /// The rule.
        rule: RuleId,
    },
    /// A breaker that is always or never tripped.
    #[error("breaker `{rule}` needs a count of at least 1, and a `within` of 1s to {MAX_BREAKER_WINDOW}")]
    BadTrip {
        /// The rule.
        rule: RuleId,
    },
    /// A bound of zero.
    #[error("rule `{rule}` has a bound of zero in `{condition}`: use a forbid to allow nothing")]
    ZeroBound {
        /// The rule.
        rule: RuleId,
        /// Where.
        condition: ConditionKind,
    },
    /// A bound in money among amounts.
    #[error("limit `{rule}` mixes amounts and money: write one limit for each")]
    MixedUnits {
        /// The rule.
        rule: RuleId,
    },
    /// A soft bound that is never reached first, or asks for nothing.
    #[error("limit `{rule}`: `soft` must be below `hard`, in the same unit, and `over-soft` must ask for something")]
    UselessSoft {
        /// The rule.
        rule: RuleId,
    },
    /// Transactions have no asset.
    #[error(
        "limit `{rule}` counts transactions or destinations, and neither has an asset: leave `asset` out of `scope`"
    )]
    CountByAsset {
        /// The rule.
        rule: RuleId,
    },
}

impl PolicyError {
    /// The stable tag.
    pub fn tag(&self) -> Tag {
        match self {
            Self::DuplicateRule { .. } | Self::RepeatedCondition { .. } => Tag::BundleListedTwice,
            Self::TooManyRules { .. } => Tag::BundleTooMany,
            Self::ZeroBound { .. } => Tag::BundleZeroBound,
            Self::EmptyCondition { .. }
            | Self::MisplacedCondition { .. }
            | Self::PermitWithoutEffects { .. }
            | Self::ForbidWithoutCondition { .. }
            | Self::EmptyRequire { .. }
            | Self::BreakerWithoutFreeze { .. }
            | Self::BadTrip { .. }
            | Self::MixedUnits { .. }
            | Self::UselessSoft { .. }
            | Self::CountByAsset { .. } => Tag::BundleBadRule,
        }
    }

    /// The rule, where one is at fault.
    pub fn rule(&self) -> Option<&RuleId> {
        match self {
            Self::DuplicateRule { rule }
            | Self::EmptyCondition { rule, .. }
            | Self::RepeatedCondition { rule, .. }
            | Self::MisplacedCondition { rule, .. }
            | Self::PermitWithoutEffects { rule }
            | Self::ForbidWithoutCondition { rule }
            | Self::EmptyRequire { rule }
            | Self::BreakerWithoutFreeze { rule }
            | Self::BadTrip { rule }
            | Self::ZeroBound { rule, .. }
            | Self::MixedUnits { rule }
            | Self::UselessSoft { rule }
            | Self::CountByAsset { rule } => Some(rule),
            Self::TooManyRules { .. } => None,
        }
    }

    /// The condition, where one is at fault.
    pub fn condition(&self) -> Option<ConditionKind> {
        match self {
            Self::EmptyCondition { condition, .. }
            | Self::RepeatedCondition { condition, .. }
            | Self::MisplacedCondition { condition, .. }
            | Self::ZeroBound { condition, .. } => Some(*condition),
            Self::DuplicateRule { .. }
            | Self::TooManyRules { .. }
            | Self::PermitWithoutEffects { .. }
            | Self::ForbidWithoutCondition { .. }
            | Self::EmptyRequire { .. }
            | Self::BreakerWithoutFreeze { .. }
            | Self::BadTrip { .. }
            | Self::MixedUnits { .. }
            | Self::CountByAsset { .. } => None,
            Self::UselessSoft { .. } => Some(ConditionKind::Soft),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever shows an error points at the rule and the key.
    #[test]
    fn an_error_names_the_rule_and_the_condition() {
        let rule: RuleId = "r".parse().unwrap();
        let condition = ConditionKind::Wallets;
        let table = [
            (
                PolicyError::EmptyCondition {
                    rule: rule.clone(),
                    condition,
                },
                Some(&rule),
                Some(condition),
            ),
            (
                PolicyError::UselessSoft { rule: rule.clone() },
                Some(&rule),
                Some(ConditionKind::Soft),
            ),
            (PolicyError::DuplicateRule { rule: rule.clone() }, Some(&rule), None),
            (PolicyError::TooManyRules { found: 513 }, None, None),
        ];
        for (error, rule, condition) in table {
            assert_eq!((error.rule(), error.condition()), (rule, condition), "{error}");
        }
    }
}
