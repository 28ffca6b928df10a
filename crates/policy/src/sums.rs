//! The sums that amounts are compared by, so that a split payment meets the tiers of the whole.

use std::collections::BTreeMap;

use countersign_types::{Amount, AssetId, Destination, Effect, SubjectId};

use crate::facts::{EffectFact, Facts};

/// A sum; `None` once it is over 256 bits, which is an unknown amount.
pub(crate) type Sum = Option<Amount>;

pub(crate) fn add(sum: Sum, amount: Sum) -> Sum {
    sum.and_then(|sum| sum.checked_add(amount?))
}

/// Sums of one transaction by asset, and below it by destination and by subject.
#[derive(Debug, Default)]
pub(crate) struct Sums<'a> {
    to_destination: BTreeMap<(&'a AssetId, &'a Destination), Sum>,
    for_subject: BTreeMap<(&'a AssetId, &'a SubjectId), Sum>,
    /// Transfers whose subject is unknown: each may be anybody's.
    for_anybody: BTreeMap<&'a AssetId, Sum>,
    all_transfers: BTreeMap<&'a AssetId, Sum>,
}

impl<'a> Sums<'a> {
    pub(crate) fn of(facts: &Facts<'a>) -> Self {
        let mut sums = Self::default();
        for fact in facts.effects.iter().filter(|fact| !fact.effect.is_own_change()) {
            sums.count(fact);
        }
        sums
    }

    fn count(&mut self, fact: &EffectFact<'a>) {
        let (Some(asset), Some(amount)) = (fact.effect.asset(), fact.effect.amount()) else {
            return;
        };
        let grow = |sum: &mut Sum| *sum = add(*sum, Some(amount));
        let zero = Some(Amount::ZERO);
        if let Some(destination) = fact.effect.destination() {
            grow(self.to_destination.entry((asset, destination)).or_insert(zero));
        }
        if matches!(fact.effect, Effect::Transfer { .. }) {
            grow(self.all_transfers.entry(asset).or_insert(zero));
            match fact.subject {
                Some(subject) => grow(self.for_subject.entry((asset, subject)).or_insert(zero)),
                None => grow(self.for_anybody.entry(asset).or_insert(zero)),
            }
        }
    }

    /// The amount that rules compare for one effect: the larger of what the transaction moves to its destination and
    /// for its subject. `None` is unknown.
    pub(crate) fn amount_of(&self, fact: &EffectFact<'_>) -> Sum {
        let own = fact.effect.amount()?;
        let asset = fact.effect.asset()?;
        let to_destination = match fact.effect.destination() {
            Some(destination) => self
                .to_destination
                .get(&(asset, destination))
                .copied()
                .unwrap_or(Some(own))?,
            None => own,
        };
        if !matches!(fact.effect, Effect::Transfer { .. }) {
            return Some(to_destination);
        }
        let zero = Some(Amount::ZERO);
        let for_subject = match fact.subject {
            Some(subject) => add(
                self.for_subject.get(&(asset, subject)).copied().unwrap_or(zero),
                self.for_anybody.get(asset).copied().unwrap_or(zero),
            ),
            None => self.all_transfers.get(asset).copied().unwrap_or(zero),
        }?;
        Some(to_destination.max(for_subject))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, transfer};

    /// The compared amounts of transfers given as (amount, destination, subject).
    fn amounts(transfers: &[(u64, &str, Option<&str>)]) -> Vec<Sum> {
        let effects = transfers
            .iter()
            .map(|(amount, to, subject)| (transfer("eth", *amount, to), subject.map(|s| s.parse().unwrap())))
            .collect();
        let world = World {
            effects,
            ..World::default()
        };
        let facts = world.facts();
        let sums = Sums::of(&facts);
        facts.effects.iter().map(|fact| sums.amount_of(fact)).collect()
    }

    fn units(amounts: &[u64]) -> Vec<Sum> {
        amounts
            .iter()
            .map(|units| Some(Amount::from_base_units(*units)))
            .collect()
    }

    #[test]
    fn effects_to_one_destination_are_one_amount() {
        let split = amounts(&[(3, "a", Some("x")), (4, "a", Some("y")), (5, "b", Some("z"))]);
        assert_eq!(split, units(&[7, 7, 5]));
    }

    #[test]
    fn effects_for_one_subject_are_one_amount() {
        assert_eq!(amounts(&[(3, "a", Some("x")), (4, "b", Some("x"))]), units(&[7, 7]));
    }

    #[test]
    fn an_unknown_subject_counts_to_everybody() {
        assert_eq!(amounts(&[(3, "a", Some("x")), (4, "b", None)]), units(&[7, 7]));
        assert_eq!(
            amounts(&[(3, "a", Some("x")), (4, "b", Some("y")), (5, "c", None)]),
            units(&[8, 9, 12])
        );
    }

    #[test]
    fn a_sum_over_256_bits_is_unknown() {
        let max = Effect::Transfer {
            asset: crate::testing::asset("eth"),
            amount: Amount::MAX,
            destination: crate::testing::destination("a"),
        };
        let world = World::with(&[max, transfer("eth", 1, "a")]);
        let facts = world.facts();
        let sums = Sums::of(&facts);
        assert!(facts.effects.iter().all(|fact| sums.amount_of(fact).is_none()));
    }
}
