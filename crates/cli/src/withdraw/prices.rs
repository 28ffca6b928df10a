//! What a transaction costs that is to take the place of a signed one on an EVM network: nodes ask for more of both prices.

use countersign_chains::evm::GasPrice;
use countersign_client::Withdrawal;

use super::amounts;
use crate::failure::Result;

/// Wei in a gwei.
const GWEI: u128 = 1_000_000_000;

/// The bytes that are signed, and what they may cost.
fn signed(known: &Withdrawal) -> impl Iterator<Item = (&[u8], GasPrice)> {
    let signed = known.attempts.iter().filter(|attempt| attempt.signed.is_some());
    signed.filter_map(|attempt| {
        let bytes = attempt.unsigned_transaction.as_slice();
        Some((bytes, GasPrice::of(bytes)?))
    })
}

/// The least prices, tip included and tip alone, that outbid them all; `None` where there are none.
fn outbidding(prices: impl Iterator<Item = GasPrice>) -> Option<(u128, u128)> {
    let least = prices.map(GasPrice::outbid);
    least.reduce(|(price, tip), (other_price, other_tip)| (price.max(other_price), tip.max(other_tip)))
}

/// The tip where nobody names one: what outbids the signed ones, not under the usual one and not over the whole price. What has that price
/// already is this one, asked for again.
pub(super) fn tip(known: &Withdrawal, usual: &str, max_fee: &str) -> Result<String> {
    let max_fee = amounts::parse_gwei(max_fee)?;
    let is_cheaper = |price: &GasPrice| price.max_and_tip().0 < max_fee;
    let least = outbidding(signed(known).map(|(_, price)| price).filter(is_cheaper));
    let tip = least.map_or(0, |(_, tip)| tip).max(amounts::parse_gwei(usual)?);
    Ok(in_gwei(tip.min(max_fee)))
}

/// What to say of bytes that nodes do not take in the place of what is signed, under the same nonce.
pub(super) fn too_low(known: &Withdrawal, unsigned: &[u8]) -> Option<String> {
    let (price, tip) = GasPrice::of(unsigned)?.max_and_tip();
    let others = signed(known).filter(|(bytes, _)| *bytes != unsigned);
    let (least_price, least_tip) = outbidding(others.map(|(_, price)| price))?;
    let is_enough = price >= least_price && tip >= least_tip;
    (!is_enough).then(|| {
        format!(
            "note: nodes that have what is signed take this in its place from {} on, {} of it tip",
            in_gwei(least_price),
            in_gwei(least_tip)
        )
    })
}

/// As it is written: `1.1 gwei`.
fn in_gwei(wei: u128) -> String {
    let (whole, rest) = (wei.div_euclid(GWEI), wei.rem_euclid(GWEI));
    let number = match rest {
        0 => whole.to_string(),
        rest => format!("{whole}.{rest:09}").trim_end_matches('0').to_owned(),
    };
    format!("{number} gwei")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::withdraw::decoded::tests::Bench;

    #[test]
    fn a_price_is_written_as_it_is_read() {
        for (wei, text) in [
            (0, "0 gwei"),
            (1, "0.000000001 gwei"),
            (GWEI, "1 gwei"),
            (1_100_000_000, "1.1 gwei"),
            (120_000_000_001, "120.000000001 gwei"),
        ] {
            assert_eq!(in_gwei(wei), text);
            assert_eq!(amounts::parse_gwei(text).unwrap(), wei);
        }
    }

    #[test]
    fn a_tenth_more_of_both_is_the_least_that_takes_the_place_of_what_is_signed() {
        let bench = Bench::new();
        let priced = |max_fee: u128, tip: u128| {
            bench.priced(GasPrice::Eip1559 {
                max_fee_per_gas: max_fee,
                max_priority_fee_per_gas: tip,
            })
        };
        let (first, second) = (priced(30 * GWEI, GWEI), priced(33 * GWEI, 1_100_000_001));
        let mut known = bench.withdrawal(&[(&first, false), (&second, false)]);
        let least = |known: &Withdrawal| outbidding(signed(known).map(|(_, price)| price));
        assert_eq!(least(&known), Some((36_300_000_000, 1_210_000_002)), "rounded up");
        assert_eq!(tip(&known, "1 gwei", "60 gwei").unwrap(), "1.210000002 gwei");
        assert_eq!(tip(&known, "2 gwei", "60 gwei").unwrap(), "2 gwei");
        assert_eq!(
            tip(&known, "40 gwei", "35 gwei").unwrap(),
            "35 gwei",
            "not over the price"
        );
        assert_eq!(
            tip(&known, "1 gwei", "33 gwei").unwrap(),
            "1.1 gwei",
            "the second one, asked for again"
        );
        assert_eq!(too_low(&known, &second), None);
        for (max_fee, tip, is_low) in [
            (36_300_000_000, 1_210_000_002, false),
            (36_299_999_999, 1_210_000_002, true),
            (60 * GWEI, 1_210_000_001, true),
        ] {
            assert_eq!(
                too_low(&known, &priced(max_fee, tip)).is_some(),
                is_low,
                "{max_fee} {tip}"
            );
        }
        assert_eq!(too_low(&known, b"a PSBT, say"), None);
        known.attempts.pop();
        assert_eq!(least(&known), Some((33 * GWEI, 1_100_000_000)));
        known.attempts[0].signed = None;
        assert_eq!(least(&known), None, "nothing that a node could have");
        assert_eq!(tip(&known, "1 gwei", "60 gwei").unwrap(), "1 gwei");
        let legacy = bench.withdrawal(&[(&bench.payment(), false)]);
        assert_eq!(least(&legacy), Some((2, 2)));
    }
}
