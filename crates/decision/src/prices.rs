//! A price from what several sources quote.

use std::collections::BTreeMap;

use countersign_policy::Price;
use countersign_types::{Amount, AssetId, Currency, PrincipalId};

/// What sources quote now, each with its number.
pub(crate) type Quotes<'a> = BTreeMap<Quoted<'a>, Quotations<'a>>;

pub(crate) type Quoted<'a> = (&'a AssetId, Currency);

pub(crate) type Quotations<'a> = BTreeMap<&'a PrincipalId, (u64, Price)>;

/// The highest quote that enough others stand close below: a source that is far off, high or low, is not heard, and no one of
/// them can lower the price.
pub(crate) fn agreed(mut quoted: Vec<Price>, threshold: usize, spread: u32) -> Option<Price> {
    const WHOLE: u32 = 10_000;
    quoted.sort_unstable();
    let factor = |basis_points: u32| Amount::from_base_units(u64::from(basis_points));
    let is_close = |low: Price, high: Price| {
        let bound = low.atto().checked_mul(factor(WHOLE.saturating_add(spread)));
        let high = high.atto().checked_mul(factor(WHOLE));
        high.zip(bound).is_some_and(|(high, bound)| high <= bound)
    };
    let groups = quoted.windows(threshold.max(1)).rev();
    let mut agreeing = groups.filter_map(|group| {
        let (low, high) = (group.first()?, group.last()?);
        is_close(*low, *high).then_some(*high)
    });
    agreeing.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_the_highest_that_enough_sources_are_close_to() {
        let price = |quoted: &[u64], threshold, spread| {
            let quoted = quoted.iter().map(|atto| Price::from_atto((*atto).into())).collect();
            agreed(quoted, threshold, spread).map(|price| price.atto().to_string())
        };
        let table: [(&[u64], usize, u32, Option<&str>); 12] = [
            (&[], 1, 200, None),
            (&[1_000], 1, 0, Some("1000")),
            (&[1_000], 2, 200, None),
            (&[1_000, 1_020], 2, 200, Some("1020")),
            (&[1_000, 1_021], 2, 200, None),
            (&[1_020, 1_000], 2, 200, Some("1020")),
            (&[1_000, 1_000], 2, 0, Some("1000")),
            // One far off is not heard, wherever it is.
            (&[1_000, 1_010, 5_000], 2, 200, Some("1010")),
            (&[1, 1_000, 1_010], 2, 200, Some("1010")),
            (&[1_000, 1_015, 1_030], 2, 200, Some("1030")),
            (&[1_000, 1_015, 1_030], 3, 200, None),
            // Two pairs: the dearer one.
            (&[1_000, 1_001, 2_000, 2_001], 2, 200, Some("2001")),
        ];
        for (quoted, threshold, spread, expected) in table {
            assert_eq!(
                price(quoted, threshold, spread).as_deref(),
                expected,
                "{quoted:?} {threshold}"
            );
        }
        let huge = vec![Price::from_atto(Amount::MAX); 2];
        assert_eq!(
            agreed(huge, 2, 200),
            None,
            "what cannot be compared agrees with nothing"
        );
    }
}
