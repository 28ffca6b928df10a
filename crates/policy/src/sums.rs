//! The sums that amounts are compared by, so that a split payment meets the tiers of the whole.

use countersign_types::{Amount, AssetId, Destination, Effect, SubjectId};
use smallvec::SmallVec;

use crate::facts::{EffectFact, Facts};

/// A sum; `None` once it is over 256 bits, which is an unknown amount.
pub(crate) type Sum = Option<Amount>;

pub(crate) fn add(sum: Sum, amount: Sum) -> Sum {
    sum.and_then(|sum| sum.checked_add(amount?))
}

/// Up to so many keys are looked at one after the other: whether two of them are equal is found out sooner than their order.
const FEW: usize = 8;

/// Sums by key, in order of key. Sorted rows, because a transaction has few keys and each is looked up a few times; most
/// often there is one, and it needs no memory of its own.
#[derive(Debug)]
pub(crate) struct SumsBy<K>(SmallVec<[(K, Sum); 1]>);

impl<K: Ord> SumsBy<K> {
    /// Adds up the rows of each key.
    pub(crate) fn of(rows: impl IntoIterator<Item = (K, Sum)>) -> Self {
        let mut sums = SmallVec::new();
        // One by one: what is collected is moved once more.
        for row in rows {
            sums.push(row);
        }
        if sums.len() > 1 {
            add_up(&mut sums);
        }
        Self(sums)
    }

    /// The sum of a key; nothing where there is no row.
    pub(crate) fn sum(&self, key: &K) -> Sum {
        let row = if self.0.len() <= FEW {
            self.0.iter().find(|(held, _)| held == key)
        } else {
            let at = self.0.binary_search_by(|(held, _)| held.cmp(key)).ok();
            at.and_then(|at| self.0.get(at))
        };
        row.map_or(Some(Amount::ZERO), |(_, sum)| *sum)
    }

    /// Without the keys whose sum is known to be nothing.
    pub(crate) fn without_zeros(mut self) -> Self {
        self.0.retain(|(_, sum)| *sum != Some(Amount::ZERO));
        self
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &(K, Sum)> {
        self.0.iter()
    }
}

/// Apart, because few transactions have more than one row.
#[inline(never)]
fn add_up<K: Ord>(rows: &mut SmallVec<[(K, Sum); 1]>) {
    rows.sort_by(|(a, _), (b, _)| a.cmp(b));
    rows.dedup_by(|(key, amount), (held, sum)| {
        let is_same = key == held;
        if is_same {
            *sum = add(*sum, *amount);
        }
        is_same
    });
}

impl<K> IntoIterator for SumsBy<K> {
    type Item = (K, Sum);
    type IntoIter = smallvec::IntoIter<[(K, Sum); 1]>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// Sums of one transaction. Where no sum has more than one part, there are none, and each amount stands for itself.
#[derive(Debug)]
pub(crate) struct Sums<'a>(Option<Split<'a>>);

/// By asset, and below it by destination and by subject.
#[derive(Debug)]
struct Split<'a> {
    to_destination: SumsBy<(&'a AssetId, &'a Destination)>,
    /// Of transfers. One whose subject is unknown may be anybody's.
    for_subject: SumsBy<(&'a AssetId, Option<&'a SubjectId>)>,
    /// Of transfers. Empty where every subject is known: nobody asks.
    for_all: SumsBy<&'a AssetId>,
}

impl<'a> Sums<'a> {
    pub(crate) fn of(facts: &'a Facts<'a>) -> Self {
        let seen = facts.effects.iter().filter(|fact| !fact.effect.is_own_change());
        // Every part of every sum goes somewhere: a payment and its fee are the usual transaction, and have one part.
        let is_split = seen
            .clone()
            .filter(|fact| fact.effect.destination().is_some())
            .nth(1)
            .is_some();
        if !is_split {
            return Self(None);
        }
        let to_destination = seen.clone().filter_map(|fact| {
            let key = (fact.effect.asset()?, fact.effect.destination()?);
            Some((key, Some(fact.effect.amount()?)))
        });
        let transfers = seen.filter_map(|fact| match fact.effect {
            Effect::Transfer { asset, amount, .. } => Some(((asset, fact.subject), Some(*amount))),
            Effect::Internal { .. }
            | Effect::Fee { .. }
            | Effect::Allowance { .. }
            | Effect::AuthorityChange { .. }
            | Effect::CodeChange { .. }
            | Effect::DelayedAuthorization { .. }
            | Effect::ContractCall { .. }
            | Effect::Opaque { .. }
            | Effect::PersonalMessage { .. } => None,
        });
        let for_subject = SumsBy::of(transfers);
        let has_unknown = for_subject.iter().any(|((_, subject), _)| subject.is_none());
        let for_all = for_subject.iter().filter(|_| has_unknown);
        Self(Some(Split {
            to_destination: SumsBy::of(to_destination),
            for_all: SumsBy::of(for_all.map(|((asset, _), sum)| (*asset, *sum))),
            for_subject,
        }))
    }

    /// The amount that rules compare for one effect: the larger of what the transaction moves to its destination and
    /// for its subject. `None` is unknown.
    pub(crate) fn amount_of(&self, fact: &EffectFact<'a>) -> Sum {
        let own = fact.effect.amount()?;
        let asset = fact.effect.asset()?;
        let Some(split) = &self.0 else {
            return Some(own);
        };
        let to_destination = match fact.effect.destination() {
            Some(destination) => split.to_destination.sum(&(asset, destination))?,
            None => own,
        };
        if !matches!(fact.effect, Effect::Transfer { .. }) {
            return Some(to_destination);
        }
        let for_subject = match fact.subject {
            Some(_) => add(
                split.for_subject.sum(&(asset, fact.subject)),
                split.for_subject.sum(&(asset, None)),
            ),
            None => split.for_all.sum(&asset),
        }?;
        Some(to_destination.max(for_subject))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

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

    proptest! {
        /// Few keys or many: the same as adding up one row after the other.
        #[test]
        fn rows_of_a_key_are_one_sum(rows in prop::collection::vec((0_u8..24, 0_u64..9), 0..60)) {
            let amount = |units: u64| Some(Amount::from_base_units(units));
            let sums = SumsBy::of(rows.iter().map(|(key, units)| (*key, amount(*units))));
            let mut expected: BTreeMap<u8, u64> = BTreeMap::new();
            for (key, units) in &rows {
                *expected.entry(*key).or_default() += units;
            }
            for key in 0..24 {
                prop_assert_eq!(sums.sum(&key), amount(expected.get(&key).copied().unwrap_or_default()));
            }
            prop_assert_eq!(sums.iter().count(), expected.len());
            let more = expected.iter().filter(|(_, units)| **units > 0).map(|(key, units)| (*key, amount(*units)));
            prop_assert!(sums.without_zeros().into_iter().eq(more));
        }

        #[test]
        fn an_unknown_row_makes_its_key_unknown(rows in prop::collection::vec((0_u8..3, 0_u64..9), 0..6), at in 0_u8..3) {
            let known = rows.iter().map(|(key, units)| (*key, Some(Amount::from_base_units(*units))));
            let sums = SumsBy::of(known.chain([(at, None)]));
            for key in 0..3 {
                prop_assert_eq!(sums.sum(&key).is_none(), key == at);
            }
        }
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
