//! Arguments in their canonical layout that are refused or not decoded for what they say.

use alloy_primitives::Address;

use super::{
    encoder::{Arg, account, calldata, most, number},
    fixtures::{APES, CONTRACT, STRANGER, TOKEN, World, call_with},
};
use crate::{AddressError, ParseError, Reserved};

/// Celo's CIP-64 has the number that the JSON of typed data starts with.
#[test]
fn a_type_of_transaction_with_the_number_of_a_brace_is_no_json() {
    let world = World::new();
    for list in [[0xc0].as_slice(), &[0xf8, 0x40], &[0xff]] {
        let error = world.parse(&[b"{", list].concat()).unwrap_err();
        assert_eq!(error, ParseError::UnsupportedType(0x7b));
    }
    for text in ["{", "{ ", "{\"", "{\u{7f}"] {
        let error = world.parse(text.as_bytes()).unwrap_err();
        assert!(matches!(error, ParseError::TypedData(_)), "{text}: {error}");
    }
}

#[test]
fn payouts_must_match_one_to_one_and_sum_to_the_value() {
    let world = World::new();
    let lists = |recipients: usize, amounts: &[Arg]| {
        let recipients = Arg::List(vec![account(STRANGER); recipients]);
        [recipients, Arg::List(amounts.to_vec())]
    };
    let signature = "disperseEther(address[],uint256[])";
    for (name, value, args) in [
        ("one amount too few", 3, lists(2, &[number(3)])),
        ("one recipient too few", 7, lists(1, &[number(3), number(4)])),
        ("more value than payouts", 8, lists(2, &[number(3), number(4)])),
        ("less value than payouts", 6, lists(2, &[number(3), number(4)])),
        ("a sum over 256 bits", 6, lists(2, &[most(), number(7)])),
    ] {
        let input = calldata(signature, &args);
        let found = world.effects_of_paying_call(CONTRACT, value, &input);
        assert_eq!(
            found,
            [world.ether(value, CONTRACT), world.opaque(CONTRACT, &input)],
            "{name}"
        );
    }
}

#[test]
fn recipients_and_spenders_inside_calls_must_be_spendable() {
    let world = World::new();
    let hot = world.account.address();
    let zero = account(Address::ZERO);
    let refused = Err(ParseError::Recipient(AddressError::Reserved(Reserved::Zero)));
    for (to, signature, args) in [
        (
            TOKEN,
            "transferFrom(address,address,uint256)",
            vec![account(hot), zero.clone(), number(5)],
        ),
        (TOKEN, "approve(address,uint256)", vec![zero.clone(), number(5)]),
        (APES, "setApprovalForAll(address,bool)", vec![zero.clone(), number(1)]),
        (
            APES,
            "safeTransferFrom(address,address,uint256)",
            vec![account(hot), zero.clone(), number(5)],
        ),
        (
            CONTRACT,
            "disperseToken(address,address[],uint256[])",
            vec![
                account(TOKEN),
                Arg::List(vec![zero.clone()]),
                Arg::List(vec![number(1)]),
            ],
        ),
    ] {
        let unsigned = call_with(to, 0, &calldata(signature, &args));
        assert_eq!(world.parse(&unsigned), refused, "{signature}");
    }
    let itself = calldata(
        "transferFrom(address,address,uint256)",
        &[account(hot), account(TOKEN), number(5)],
    );
    let unsigned = call_with(TOKEN, 0, &itself);
    assert_eq!(world.parse(&unsigned), Err(ParseError::TokenToItself));
}
