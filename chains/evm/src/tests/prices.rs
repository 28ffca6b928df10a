//! What bytes offer for gas, and what outbids them.

use alloy_consensus::SignableTransaction as _;

use super::{
    fixtures::{eip1559_with, eip2930, eip4844_with, eip7702_with, legacy_with},
    messages::personal,
};
use crate::GasPrice;

#[test]
fn every_type_says_its_price_and_its_tip() {
    let two = |max_fee_per_gas, max_priority_fee_per_gas| {
        Some(GasPrice::Eip1559 {
            max_fee_per_gas,
            max_priority_fee_per_gas,
        })
    };
    let one = |gas_price| Some(GasPrice::Legacy { gas_price });
    let mut access = eip2930();
    access.gas_price = 9;
    for (unsigned, expected) in [
        (legacy_with(|tx| tx.gas_price = 7), one(7)),
        (access.encoded_for_signing(), one(9)),
        (
            eip1559_with(|tx| (tx.max_fee_per_gas, tx.max_priority_fee_per_gas) = (20, 3)),
            two(20, 3),
        ),
        (
            eip4844_with(|tx| (tx.max_fee_per_gas, tx.max_priority_fee_per_gas) = (21, 4)),
            two(21, 4),
        ),
        (
            eip7702_with(|tx| (tx.max_fee_per_gas, tx.max_priority_fee_per_gas) = (22, 5)),
            two(22, 5),
        ),
        (personal(b"hello"), None),
        (vec![], None),
    ] {
        assert_eq!(GasPrice::of(&unsigned), expected, "{unsigned:?}");
    }
}

/// A node refuses what offers less than a tenth more, by however little.
#[test]
fn a_tenth_more_is_rounded_up() {
    for (price, more) in [
        (0, 0),
        (1, 2),
        (10, 11),
        (11, 13),
        (30_000_000_000, 33_000_000_000),
        (u128::MAX, u128::MAX),
    ] {
        assert_eq!(GasPrice::Legacy { gas_price: price }.outbid(), (more, more));
        let two = GasPrice::Eip1559 {
            max_fee_per_gas: price,
            max_priority_fee_per_gas: 100,
        };
        assert_eq!(two.outbid(), (more, 110));
    }
}
