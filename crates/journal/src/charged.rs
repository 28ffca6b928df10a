//! What one lineage has been charged on one counter, and how that stands in the counter's two sums.
//!
//! At most one attempt of a lineage can confirm, so a lineage counts once, at its largest charge: what has aged is in
//! `cum` at the moment it aged, the rest is in `pend` and counts in every window.

use std::collections::BTreeMap;

use countersign_types::{Amount, Timestamp};

/// Where the spend of an attempt stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Authorized, perhaps signed: counts in every window.
    Outstanding,
    /// Leaves windows as time passes.
    Aged(Timestamp),
    /// Given back.
    Released,
}

impl Stage {
    /// From the two columns.
    pub(crate) fn of(aged_at: Option<i64>, released_at: Option<i64>) -> Self {
        match (aged_at, released_at) {
            (Some(at), _) => Self::Aged(Timestamp::from_unix_millis(at)),
            (None, Some(_)) => Self::Released,
            (None, None) => Self::Outstanding,
        }
    }
}

/// A lineage's charges on one counter, by attempt.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Charged(BTreeMap<u32, (Amount, Stage)>);

impl Charged {
    /// Sets an attempt's charge.
    pub(crate) fn set(&mut self, number: u32, amount: Amount, stage: Stage) {
        self.0.insert(number, (amount, stage));
    }

    /// An attempt's charge.
    pub(crate) fn amount(&self, number: u32) -> Option<Amount> {
        self.0.get(&number).map(|(amount, _)| *amount)
    }

    /// Moves an attempt on.
    pub(crate) fn advance(&mut self, number: u32, to: Stage) {
        if let Some((_, stage)) = self.0.get_mut(&number) {
            *stage = to;
        }
    }

    /// The part in `cum`.
    pub(crate) fn aged(&self) -> Amount {
        self.largest(|stage| matches!(stage, Stage::Aged(_)))
    }

    /// The part in `pend`.
    pub(crate) fn held(&self) -> Amount {
        self.total().checked_sub(self.aged()).unwrap_or(Amount::ZERO)
    }

    /// Both: the lineage's largest charge.
    pub(crate) fn total(&self) -> Amount {
        self.largest(|stage| stage != Stage::Released)
    }

    /// The moments at which something aged, with its charge.
    pub(crate) fn agings(&self) -> impl Iterator<Item = (Timestamp, Amount)> {
        self.0.values().filter_map(|(amount, stage)| match stage {
            Stage::Aged(at) => Some((*at, *amount)),
            Stage::Outstanding | Stage::Released => None,
        })
    }

    fn largest(&self, counts: impl Fn(Stage) -> bool) -> Amount {
        let counted = self.0.values().filter(|(_, stage)| counts(*stage));
        counted.map(|(amount, _)| *amount).max().unwrap_or(Amount::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn charged(charges: &[(u64, Stage)]) -> Charged {
        let mut all = Charged::default();
        for (number, (amount, stage)) in (1..).zip(charges) {
            all.set(number, Amount::from_base_units(*amount), *stage);
        }
        all
    }

    #[test]
    fn a_lineage_counts_once_at_its_largest_charge() {
        type Charges = &'static [(u64, Stage)];
        const AGED: Stage = Stage::Aged(Timestamp::from_unix_millis(7));
        let table: [(Charges, u64, u64); 8] = [
            (&[], 0, 0),
            (&[(5, Stage::Outstanding)], 0, 5),
            (&[(5, Stage::Outstanding), (8, Stage::Outstanding)], 0, 8),
            (&[(5, AGED)], 5, 0),
            (&[(5, AGED), (8, Stage::Outstanding)], 5, 3),
            (&[(8, AGED), (5, Stage::Outstanding)], 8, 0),
            (&[(5, AGED), (8, AGED)], 8, 0),
            (&[(8, Stage::Released), (5, Stage::Outstanding)], 0, 5),
        ];
        for (charges, in_cum, in_pend) in table {
            let all = charged(charges);
            assert_eq!(all.aged(), in_cum.into(), "{charges:?}");
            assert_eq!(all.held(), in_pend.into(), "{charges:?}");
            assert_eq!(all.total(), (in_cum + in_pend).into(), "{charges:?}");
        }
    }
}
