//! Typed data that is understood, one change each: what it lets others do is an effect, and what is changed so that it is
//! no longer understood stands there as bytes.

use alloy_primitives::{Address, U256, address};
use countersign_types::{Amount, CodeChangeKind, Effect, OpaqueKind, Tag};
use serde_json::{Value as Json, json};

use super::{
    encoder::{account, calldata, number},
    fixtures::{APES, CONTRACT, ETHER, STRANGER, THIEF, TOKEN, World, prehash, transfer_input},
    typed_data::{canonical, vectors},
};
use crate::{AddressError, ParseError, Reserved};

const PERMIT2: Address = address!("000000000022D473030F116dDEE9F6B43aC78BA3");

/// A message of the vectors, with one change.
pub(super) fn message_with(name: &str, change: impl FnOnce(&mut Json)) -> Vec<u8> {
    let vector = vectors().into_iter().find(|vector| vector.name == name).unwrap();
    let mut json: Json = serde_json::from_str(&vector.unsigned).unwrap();
    change(&mut json);
    canonical(json.to_string().as_bytes())
}

/// What a message does through a contract, but for the fee of nothing; its bytes if it is not understood whole.
fn through(world: &World, contract: Address, bytes: Option<&[u8]>) -> Vec<Effect> {
    let mechanism = world.destination(contract);
    let opaque = bytes.map(|bytes| Effect::Opaque {
        what: OpaqueKind::TypedData,
        target: Some(mechanism.clone()),
        bytes: bytes.to_vec(),
    });
    let delayed = Effect::DelayedAuthorization { mechanism };
    [delayed].into_iter().chain(opaque).collect()
}

struct Case {
    name: &'static str,
    of: &'static str,
    change: fn(&mut Json),
    /// Ahead of the delayed authorization.
    effects: Vec<Effect>,
    contract: Address,
    is_whole: bool,
}

fn check(world: &World, cases: Vec<Case>) {
    for case in cases {
        let unsigned = message_with(case.of, case.change);
        let parsed = world.parse(&unsigned).unwrap();
        let bytes = (!case.is_whole).then_some(unsigned.as_slice());
        let expected = [case.effects, through(world, case.contract, bytes), vec![world.fee(0)]].concat();
        assert_eq!(parsed.effects(), expected, "{}", case.name);
    }
}

const EIP_2612: &str = "EIP-2612 permit";
const DAI: &str = "DAI's permit";
const SINGLE: &str = "Permit2 single";
const BATCH: &str = "Permit2 batch";
const WITNESS: &str = "Permit2 transfer with a witness";
const SAFE_ETHER: &str = "Safe: a transfer of ether";
const SAFE_TOKEN: &str = "Safe: a transfer of tokens";

#[test]
fn one_change_of_a_permit_and_its_effects() {
    let world = World::new();
    let allowance = |amount: u64, spender| world.allowance("erc20", TOKEN, Amount::from_base_units(amount), spender);
    let case = |name, of, change, effects, is_whole| Case {
        name,
        of,
        change,
        effects,
        contract: TOKEN,
        is_whole,
    };
    let cases = vec![
        case("as it is", EIP_2612, |_| (), vec![allowance(5_000_000, STRANGER)], true),
        case(
            "the spender",
            EIP_2612,
            |m| m["message"]["spender"] = THIEF.to_string().into(),
            vec![allowance(5_000_000, THIEF)],
            true,
        ),
        case(
            "the amount",
            EIP_2612,
            |m| m["message"]["value"] = 7.into(),
            vec![allowance(7, STRANGER)],
            true,
        ),
        case(
            "the deadline only narrows",
            EIP_2612,
            |m| m["message"]["deadline"] = 7.into(),
            vec![allowance(5_000_000, STRANGER)],
            true,
        ),
        case(
            "the name of the domain is a claim",
            EIP_2612,
            |m| m["domain"]["name"] = "Harmless".into(),
            vec![allowance(5_000_000, STRANGER)],
            true,
        ),
        case(
            "a third party's tokens",
            EIP_2612,
            |m| m["message"]["owner"] = THIEF.to_string().into(),
            vec![],
            false,
        ),
        case(
            "one field renamed",
            EIP_2612,
            |m| rename_field(m, "Permit", 4, "deadlines"),
            vec![],
            false,
        ),
        case(
            "one width changed",
            EIP_2612,
            |m| m["types"]["Permit"][2]["type"] = "uint248".into(),
            vec![],
            false,
        ),
        case("a field more", EIP_2612, add_field, vec![], false),
        case(
            "spender and owner swapped",
            EIP_2612,
            |m| m["types"]["Permit"].as_array_mut().unwrap().swap(0, 1),
            vec![],
            false,
        ),
        case("the type renamed", EIP_2612, rename_primary, vec![], false),
        case(
            "DAI's, forbidden",
            DAI,
            |m| m["message"]["allowed"] = false.into(),
            vec![allowance(0, STRANGER)],
            true,
        ),
        case(
            "DAI's, another's",
            DAI,
            |m| m["message"]["holder"] = STRANGER.to_string().into(),
            vec![],
            false,
        ),
    ];
    check(&world, cases);

    let at = |contract: Address| {
        message_with(EIP_2612, |m| {
            m["domain"]["verifyingContract"] = contract.to_string().into()
        })
    };
    for contract in [CONTRACT, APES, PERMIT2] {
        let unsigned = at(contract);
        let expected = [through(&world, contract, Some(&unsigned)), vec![world.fee(0)]].concat();
        assert_eq!(world.parse(&unsigned).unwrap().effects(), expected);
    }
}

fn rename_field(message: &mut Json, kind: &str, at: usize, to: &str) {
    let from = std::mem::replace(&mut message["types"][kind][at]["name"], to.into());
    let members = message["message"].as_object_mut().unwrap();
    let value = members.remove(from.as_str().unwrap()).unwrap();
    members.insert(to.to_owned(), value);
}

fn add_field(message: &mut Json) {
    let field = json!({ "name": "extra", "type": "bool" });
    message["types"]["Permit"].as_array_mut().unwrap().push(field);
    message["message"]["extra"] = true.into();
}

fn rename_primary(message: &mut Json) {
    let types = message["types"].as_object_mut().unwrap();
    let fields = types.remove("Permit").unwrap();
    types.insert("Permits".to_owned(), fields);
    message["primaryType"] = "Permits".into();
}

#[test]
fn one_change_of_a_permit2_message_and_its_effects() {
    let world = World::new();
    let allowance = |amount: U256, spender| {
        let amount = Amount::from_be_bytes(amount.to_be_bytes());
        world.allowance("erc20", TOKEN, amount, spender)
    };
    let small = |amount: u64| allowance(U256::from(amount), STRANGER);
    let most = (U256::from(1) << 160) - U256::from(1);
    let case = |name, of, change, effects, is_whole| Case {
        name,
        of,
        change,
        effects,
        contract: PERMIT2,
        is_whole,
    };
    let cases = vec![
        case("as it is", SINGLE, |_| (), vec![allowance(most, STRANGER)], true),
        case(
            "the spender",
            SINGLE,
            |m| m["message"]["spender"] = THIEF.to_string().into(),
            vec![allowance(most, THIEF)],
            true,
        ),
        case(
            "the amount",
            SINGLE,
            |m| m["message"]["details"]["amount"] = 7.into(),
            vec![small(7)],
            true,
        ),
        case(
            "a token that nobody registered",
            SINGLE,
            |m| m["message"]["details"]["token"] = CONTRACT.to_string().into(),
            vec![],
            false,
        ),
        case(
            "a collection is no token",
            SINGLE,
            |m| m["message"]["details"]["token"] = APES.to_string().into(),
            vec![],
            false,
        ),
        case(
            "one width changed",
            SINGLE,
            |m| m["types"]["PermitDetails"][1]["type"] = "uint256".into(),
            vec![],
            false,
        ),
        case("both", BATCH, |_| (), vec![small(7), small(8)], true),
        case(
            "the second is the theft",
            BATCH,
            |m| m["message"]["details"][1]["amount"] = 1_000_000.into(),
            vec![small(7), small(1_000_000)],
            true,
        ),
        case("none", BATCH, |m| m["message"]["details"] = json!([]), vec![], true),
        case("a witness says more", WITNESS, |_| (), vec![small(9)], false),
        case(
            "a witness of another shape",
            WITNESS,
            |m| rename_field(m, "PermitWitnessTransferFrom", 4, "order"),
            vec![small(9)],
            false,
        ),
        case(
            "permissions of another shape",
            WITNESS,
            |m| m["types"]["TokenPermissions"][1]["type"] = "uint128".into(),
            vec![],
            false,
        ),
        case(
            "a witness in front",
            WITNESS,
            |m| {
                m["types"]["PermitWitnessTransferFrom"]
                    .as_array_mut()
                    .unwrap()
                    .rotate_right(1)
            },
            vec![],
            false,
        ),
    ];
    check(&world, cases);
}

#[test]
fn one_change_of_a_safe_transaction_and_its_effects() {
    let world = World::new();
    let ether = |amount| world.ether(amount, STRANGER);
    let delegatecall = |data: &[u8]| {
        let code = [THIEF.as_slice(), data].concat();
        world.code_change(CONTRACT, CodeChangeKind::DelegateCall, &code)
    };
    let inner = transfer_input(STRANGER, 5);
    let add_owner = calldata("addOwnerWithThreshold(address,uint256)", &[account(THIEF), number(1)]);
    let owner = world.authority(CONTRACT, countersign_types::AuthorityScope::Owner, Some(THIEF));
    let threshold = world.authority(CONTRACT, countersign_types::AuthorityScope::Threshold, None);
    let case = |name, of, change, effects, is_whole| Case {
        name,
        of,
        change,
        effects,
        contract: CONTRACT,
        is_whole,
    };
    let refund = "a refund pays an amount that nobody knows";
    let cases = vec![
        case("as it is", SAFE_ETHER, |_| (), vec![ether(ETHER)], true),
        case(
            "the amount",
            SAFE_ETHER,
            |m| m["message"]["value"] = 7.into(),
            vec![ether(7)],
            true,
        ),
        case(
            "the recipient",
            SAFE_ETHER,
            |m| m["message"]["to"] = THIEF.to_string().into(),
            vec![world.ether(ETHER, THIEF)],
            true,
        ),
        case(
            "its own nonce",
            SAFE_ETHER,
            |m| m["message"]["nonce"] = 99.into(),
            vec![ether(ETHER)],
            true,
        ),
        case(
            "a bound of gas",
            SAFE_ETHER,
            |m| m["message"]["safeTxGas"] = 99.into(),
            vec![ether(ETHER)],
            true,
        ),
        case(
            refund,
            SAFE_ETHER,
            |m| m["message"]["baseGas"] = 1.into(),
            vec![ether(ETHER)],
            false,
        ),
        case(
            refund,
            SAFE_ETHER,
            |m| m["message"]["gasPrice"] = 1.into(),
            vec![ether(ETHER)],
            false,
        ),
        case(
            refund,
            SAFE_ETHER,
            |m| m["message"]["gasToken"] = TOKEN.to_string().into(),
            vec![ether(ETHER)],
            false,
        ),
        case(
            refund,
            SAFE_ETHER,
            |m| m["message"]["refundReceiver"] = THIEF.to_string().into(),
            vec![ether(ETHER)],
            false,
        ),
        case(
            "an operation that does not exist",
            SAFE_ETHER,
            |m| m["message"]["operation"] = 2.into(),
            vec![],
            false,
        ),
        case(
            "a delegatecall with value",
            SAFE_ETHER,
            |m| (m["message"]["operation"], m["message"]["to"]) = (1.into(), THIEF.to_string().into()),
            vec![delegatecall(&[])],
            false,
        ),
        case("tokens", SAFE_TOKEN, |_| (), vec![world.token(5, STRANGER)], true),
        case(
            "tokens by delegatecall",
            SAFE_TOKEN,
            |m| (m["message"]["operation"], m["message"]["to"]) = (1.into(), THIEF.to_string().into()),
            vec![delegatecall(&inner)],
            true,
        ),
        case(
            "one type changed",
            SAFE_TOKEN,
            |m| m["types"]["SafeTx"][3]["type"] = "uint16".into(),
            vec![],
            false,
        ),
        case(
            "its older form, without base gas",
            SAFE_TOKEN,
            |m| rename_field(m, "SafeTx", 5, "dataGas"),
            vec![],
            false,
        ),
    ];
    check(&world, cases);

    let unsigned = message_with(SAFE_TOKEN, |m| {
        m["message"]["to"] = CONTRACT.to_string().into();
        m["message"]["data"] = add_owner.to_string().into();
    });
    let call = world.contract_call(CONTRACT, &add_owner);
    let expected = [
        vec![call, owner, threshold],
        through(&world, CONTRACT, None),
        vec![world.fee(0)],
    ]
    .concat();
    assert_eq!(world.parse(&unsigned).unwrap().effects(), expected);
}

/// Typed data is no way around what a transaction may not do.
#[test]
fn nobody_can_spend_from_these() {
    let world = World::new();
    let zero = Address::ZERO;
    let dead = address!("000000000000000000000000000000000000dEaD");
    let to_itself = ParseError::TokenToItself;
    let reserved = |reserved| ParseError::Recipient(AddressError::Reserved(reserved));
    let spender = |of, address: Address| message_with(of, |m| m["message"]["spender"] = address.to_string().into());
    let recipient = |address: Address| message_with(SAFE_ETHER, |m| m["message"]["to"] = address.to_string().into());
    let tokens = |address| {
        let input = transfer_input(address, 5).to_string();
        message_with(SAFE_TOKEN, |m| m["message"]["data"] = input.into())
    };
    let cases = [
        ("a permit for nobody", spender(EIP_2612, zero), reserved(Reserved::Zero)),
        (
            "a permit to be burnt",
            spender(EIP_2612, dead),
            reserved(Reserved::Burn),
        ),
        (
            "a permit of DAI for nobody",
            spender(DAI, zero),
            reserved(Reserved::Zero),
        ),
        (
            "a permit of Permit2 for nobody",
            spender(SINGLE, zero),
            reserved(Reserved::Zero),
        ),
        ("a batch to be burnt", spender(BATCH, dead), reserved(Reserved::Burn)),
        (
            "a permit with a witness for nobody",
            spender(WITNESS, zero),
            reserved(Reserved::Zero),
        ),
        ("ether of a Safe to nobody", recipient(zero), reserved(Reserved::Zero)),
        (
            "ether of a Safe to a precompile",
            recipient(Address::with_last_byte(4)),
            reserved(Reserved::Precompile),
        ),
        ("tokens of a Safe to be burnt", tokens(dead), reserved(Reserved::Burn)),
        ("tokens of a Safe to the token", tokens(TOKEN), to_itself),
    ];
    for (name, unsigned, error) in cases {
        assert_eq!(world.parse(&unsigned), Err(error.clone()), "{name}");
        assert_eq!(error.tag(), Tag::TransactionBadDestination, "{name}");
    }
}

/// Every value of every byte of a message: refused, or another hash, and another effect but for the fields that only
/// narrow when and how often a message can be used.
#[test]
fn every_single_byte_change_is_seen() {
    let world = World::new();
    let narrowing: [(&str, &[&str]); 3] = [
        (
            EIP_2612,
            &[
                "\"USD Coin\"",
                "\"version\":\"2\"",
                "\"nonce\":\"3\"",
                "\"deadline\":\"1893456000\"",
            ],
        ),
        (SAFE_ETHER, &["\"safeTxGas\":\"0\"", "\"nonce\":\"12\""]),
        ("EIP-712's own example", &[]),
    ];
    for (name, unseen) in narrowing {
        let unsigned = message_with(name, |_| ());
        let text = String::from_utf8(unsigned.clone()).unwrap();
        let unseen: Vec<_> = unseen
            .iter()
            .flat_map(|part| {
                let at = text.rfind(part).unwrap();
                at..at + part.len()
            })
            .collect();
        let original = world.parse(&unsigned).unwrap();
        let mut accepted = 0_usize;
        for at in 0..unsigned.len() {
            for value in (0..=u8::MAX).filter(|value| *value != unsigned[at]) {
                let mut changed = unsigned.clone();
                changed[at] = value;
                let Ok(parsed) = world.parse(&changed) else {
                    continue;
                };
                accepted += 1;
                assert_ne!(prehash(&parsed), prehash(&original), "{name} byte {at} to {value:#x}");
                let is_unseen = parsed.effects() == original.effects();
                assert!(!is_unseen || unseen.contains(&at), "{name} byte {at} to {value:#x}");
            }
        }
        assert!(accepted > 50, "{name}: {accepted}");
    }
}

#[test]
fn a_batch_at_its_bound_is_an_effect_for_each() {
    let world = World::new();
    let unsigned = message_with(BATCH, |m| {
        let detail = m["message"]["details"][0].clone();
        m["message"]["details"] = vec![detail; crate::abi::MAX_LIST_ITEMS].into();
    });
    assert!(unsigned.len() < crate::MAX_TRANSACTION_BYTES);
    let parsed = world.parse(&unsigned).unwrap();
    assert_eq!(parsed.effects().len(), crate::abi::MAX_LIST_ITEMS + 2);
}
