//! `forbid`: denies. Nothing overrides it.

use countersign_types::RuleId;

use super::{RuleKind, Seen, may_match};
use crate::{
    PolicyError,
    condition::{Condition, Conditions},
};

/// Denies every transaction with an effect, or with a sum, for which its conditions may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forbid {
    id: RuleId,
    conditions: Conditions,
}

impl Forbid {
    /// A forbid needs a condition.
    pub fn new(id: RuleId, conditions: Vec<Condition>) -> Result<Self, PolicyError> {
        let conditions = Conditions::new(&id, RuleKind::Forbid, conditions)?;
        if conditions.is_empty() {
            return Err(PolicyError::ForbidWithoutCondition { rule: id });
        }
        Ok(Self { id, conditions })
    }

    /// The id.
    pub fn id(&self) -> &RuleId {
        &self.id
    }

    /// The conditions.
    pub fn conditions(&self) -> &Conditions {
        &self.conditions
    }

    pub(crate) fn may_match(&self, seen: &[Seen<'_>]) -> bool {
        may_match(&self.conditions, seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Tiers, To,
        rule::select,
        testing::{World, fee, opaque, rule, transfer},
    };
    use countersign_types::Tier;

    #[test]
    fn a_forbid_has_a_condition() {
        let error = PolicyError::ForbidWithoutCondition { rule: rule("f") };
        assert_eq!(Forbid::new(rule("f"), vec![]), Err(error));
    }

    #[test]
    fn matches_what_may_be_forbidden() {
        let forbid = Forbid::new(rule("f"), vec![Condition::To(To::Unlisted)]).unwrap();
        let matched = |world: &World| {
            let facts = world.facts();
            let seen = Seen::all(&facts);
            let matched = || select(forbid.conditions(), &seen).map(|(effect, _)| effect.index);
            forbid.may_match(&seen).then(|| matched().collect::<Vec<_>>())
        };
        assert_eq!(matched(&World::with(&[transfer("eth", 1, "a"), fee(1)])), None);
        assert_eq!(
            matched(&World::with(&[fee(1), transfer("eth", 1, "stranger")])),
            Some(vec![1])
        );
        assert_eq!(
            matched(&World::with(&[opaque()])),
            Some(vec![0]),
            "an unknown destination"
        );
    }

    #[test]
    fn an_unknown_fact_does_not_disarm_it() {
        let cold = Condition::Tiers(Tiers([Tier::Cold].into_iter().collect()));
        let forbid = Forbid::new(rule("f"), vec![cold]).unwrap();
        let hot = World::with(&[fee(1)]);
        let unknown = World {
            tier: None,
            ..World::with(&[fee(1)])
        };
        assert!(!forbid.may_match(&Seen::all(&hot.facts())));
        assert!(forbid.may_match(&Seen::all(&unknown.facts())));
    }
}
