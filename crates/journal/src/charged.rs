//! What one lineage has been charged on one counter, and how that stands in the counter's two sums.
//!
//! At most one attempt of a lineage can confirm, so a lineage counts once, at its largest charge: what has aged is in
//! `cum` at the moment it aged, the rest is in `pend` and counts in every window. An attempt that landed and failed, or ended by a foreign
//! spend, is beside that: the lineage may pay after all, or once more.

use std::collections::BTreeMap;

use countersign_types::{Amount, Timestamp};

use crate::{error::StepError, sql::Row};

/// Where the spend of an attempt stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Authorized, perhaps signed: counts in every window.
    Outstanding,
    /// Leaves windows as time passes.
    Aged(Timestamp),
    /// Landed and did nothing but pay its fee, or ended by a foreign spend: leaves windows as time passes, beside what later attempts of its
    /// lineage are charged.
    Failed(Timestamp),
    /// Given back.
    Released,
}

impl Stage {
    /// From the columns of a spend.
    pub(crate) fn of(row: &Row) -> Result<Self, StepError> {
        let aged_at = row.optional_number("aged_at")?.map(Timestamp::from_unix_millis);
        let has_failed = row.optional_number("failed")? == Some(1);
        Ok(match (aged_at, row.optional_number("released_at")?) {
            (Some(at), _) if has_failed => Self::Failed(at),
            (Some(at), _) => Self::Aged(at),
            (None, Some(_)) => Self::Released,
            (None, None) => Self::Outstanding,
        })
    }
}

/// A charge that aged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Aging {
    pub(crate) at: Timestamp,
    /// Whether it counts by itself instead of as an alternative.
    pub(crate) has_failed: bool,
    pub(crate) amount: Amount,
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

    /// The part in `cum`; `None` over 256 bits.
    pub(crate) fn aged(&self) -> Option<Amount> {
        self.failed()?
            .checked_add(self.largest(|stage| matches!(stage, Stage::Aged(_))))
    }

    /// The part in `pend`.
    pub(crate) fn held(&self) -> Amount {
        let aged = self.largest(|stage| matches!(stage, Stage::Aged(_)));
        self.standing().checked_sub(aged).unwrap_or(Amount::ZERO)
    }

    /// What a further attempt would only be an alternative to: the largest charge of those that may land or did.
    pub(crate) fn standing(&self) -> Amount {
        self.largest(|stage| matches!(stage, Stage::Outstanding | Stage::Aged(_)))
    }

    /// What such attempts were charged: each that landed was another transaction, and which of several a foreign spend was nobody can tell.
    fn failed(&self) -> Option<Amount> {
        let failed = self.0.values().filter(|(_, stage)| matches!(stage, Stage::Failed(_)));
        failed
            .map(|(amount, _)| *amount)
            .try_fold(Amount::ZERO, Amount::checked_add)
    }

    /// What aged, and when.
    pub(crate) fn agings(&self) -> impl Iterator<Item = Aging> {
        self.0.values().filter_map(|(amount, stage)| {
            let (at, has_failed) = match stage {
                Stage::Aged(at) => (*at, false),
                Stage::Failed(at) => (*at, true),
                Stage::Outstanding | Stage::Released => return None,
            };
            Some(Aging {
                at,
                has_failed,
                amount: *amount,
            })
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
        const FAILED: Stage = Stage::Failed(Timestamp::from_unix_millis(7));
        let table: [(Charges, u64, u64); 11] = [
            (&[], 0, 0),
            (&[(5, Stage::Outstanding)], 0, 5),
            (&[(5, Stage::Outstanding), (8, Stage::Outstanding)], 0, 8),
            (&[(5, AGED)], 5, 0),
            (&[(5, AGED), (8, Stage::Outstanding)], 5, 3),
            (&[(8, AGED), (5, Stage::Outstanding)], 8, 0),
            (&[(5, AGED), (8, AGED)], 8, 0),
            (&[(8, Stage::Released), (5, Stage::Outstanding)], 0, 5),
            (&[(8, FAILED)], 8, 0),
            (&[(8, FAILED), (5, FAILED), (7, Stage::Outstanding)], 13, 7),
            (&[(8, FAILED), (9, Stage::Released), (7, AGED)], 15, 0),
        ];
        for (charges, in_cum, in_pend) in table {
            let all = charged(charges);
            assert_eq!(all.aged(), Some(in_cum.into()), "{charges:?}");
            assert_eq!(all.held(), in_pend.into(), "{charges:?}");
        }
    }
}
