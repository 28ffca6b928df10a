//! `permit`: covers effects. It carries no approvals, so that the weakest matching permit never sets a quorum.

use countersign_types::RuleId;

use super::{RuleKind, Seen, select};
use crate::{
    PolicyError, TotalMax,
    condition::{Condition, ConditionKind, Conditions, Totals},
};

/// Covers every effect for which all its conditions are known to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permit {
    id: RuleId,
    conditions: Conditions,
}

impl Permit {
    /// A permit must say which kinds of effect it covers.
    pub fn new(id: RuleId, conditions: Vec<Condition>) -> Result<Self, PolicyError> {
        let conditions = Conditions::new(&id, RuleKind::Permit, conditions)?;
        if !conditions
            .iter()
            .any(|condition| condition.kind() == ConditionKind::Effects)
        {
            return Err(PolicyError::PermitWithoutEffects { rule: id });
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

    /// What it covers of a transaction.
    #[inline]
    pub(crate) fn coverage<'p, 'a>(&'p self, seen: &[Seen<'a>]) -> Coverage<'p, 'a> {
        let max = self.conditions.total_max();
        let max = max.and_then(|max| Some((max, self.totals(seen)?)));
        Coverage { permit: self, max }
    }

    // Apart: most permits bound no sum.
    #[inline(never)]
    fn totals<'a>(&self, seen: &[Seen<'a>]) -> Option<Totals<'a>> {
        let values = seen.first()?.view.facts.values();
        // The sum takes in what may be selected, so an unknown fact can only make it larger.
        let selected = select(&self.conditions, seen).map(|(effect, _)| effect.fact());
        Some(Totals::of(selected, values))
    }
}

/// What a permit covers of a transaction.
pub(crate) struct Coverage<'p, 'a> {
    permit: &'p Permit,
    /// The bound of the sum, and the sum.
    max: Option<(&'p TotalMax, Totals<'a>)>,
}

impl<'a> Coverage<'_, 'a> {
    /// Whether the effect is known to meet every condition.
    pub(crate) fn has(&self, effect: &Seen<'a>) -> bool {
        self.permit.conditions.matches(&effect.view).is_certain()
            && (self.max.as_ref()).is_none_or(|(max, totals)| is_within(max, totals, effect))
    }
}

// Apart, like the sums.
#[inline(never)]
fn is_within<'a>(max: &TotalMax, totals: &Totals<'a>, effect: &Seen<'a>) -> bool {
    let values = effect.view.facts.values();
    max.matches(effect.view.asset(), totals, values).is_certain()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Effects, TotalMax,
        testing::{World, bounds, fee, rule, transfer},
    };
    use countersign_types::EffectKind;

    fn effects(kinds: &[EffectKind]) -> Condition {
        Condition::Effects(Effects(kinds.iter().copied().collect()))
    }

    fn covered(permit: &Permit, world: &World) -> Vec<u32> {
        let facts = world.facts();
        let seen = Seen::all(&facts);
        let coverage = permit.coverage(&seen);
        let covered = seen.iter().filter(|effect| coverage.has(effect));
        covered.map(|effect| effect.index).collect()
    }

    #[test]
    fn a_permit_names_effects() {
        assert_eq!(
            Permit::new(rule("p"), vec![]),
            Err(PolicyError::PermitWithoutEffects { rule: rule("p") })
        );
    }

    #[test]
    fn covers_what_its_conditions_hold_for() {
        let permit = Permit::new(rule("p"), vec![effects(&[EffectKind::Transfer])]).unwrap();
        assert_eq!(covered(&permit, &World::with(&[fee(1), transfer("eth", 1, "a")])), [1]);
    }

    #[test]
    fn the_total_counts_what_the_permit_selects_and_nothing_else() {
        let max = Condition::TotalMax(TotalMax(bounds(&[("eth", 10)])));
        let permit = Permit::new(rule("p"), vec![effects(&[EffectKind::Transfer]), max]).unwrap();
        let within = World::with(&[transfer("eth", 6, "a"), transfer("eth", 4, "b"), fee(9)]);
        assert_eq!(covered(&permit, &within), [0, 1]);
        let over = World::with(&[transfer("eth", 6, "a"), transfer("eth", 5, "b")]);
        assert_eq!(covered(&permit, &over), Vec::<u32>::new());
    }
}
