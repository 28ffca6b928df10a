//! Calls in calls: multicalls and Safe transactions, each inner call an effect, to a bounded depth.

use alloy_primitives::{Address, Bytes};
use countersign_types::{CodeChangeKind, Effect};

use super::{
    encoder::{Arg, account, blob, calldata, number},
    fixtures::{CONTRACT, STRANGER, THIEF, TOKEN, World, transfer_input},
};
use crate::{abi::MAX_LIST_ITEMS, calls::MAX_DEPTH};

pub(super) const EXEC_TRANSACTION: &str =
    "execTransaction(address,uint256,bytes,uint8,uint256,uint256,uint256,address,address,bytes)";
/// The refund's fields and the gas bound, in a Safe transaction without refund.
const NO_REFUND: [u64; 5] = [0; 5];

pub(super) fn multicall(inputs: &[Bytes]) -> Bytes {
    let items = inputs.iter().map(|input| blob(input.to_vec())).collect();
    calldata("multicall(bytes[])", &[Arg::List(items)])
}

pub(super) fn aggregate3(calls: &[(Address, Bytes)]) -> Bytes {
    let item = |(to, input): &(Address, Bytes)| Arg::Tuple(vec![account(*to), number(0), blob(input.to_vec())]);
    calldata(
        "aggregate3((address,bool,bytes)[])",
        &[Arg::List(calls.iter().map(item).collect())],
    )
}

/// A Safe transaction: target, value, data and operation, and the five fields behind them.
pub(super) fn safe_with(to: Address, value: u64, data: &[u8], operation: u64, fields: [u64; 5]) -> Bytes {
    let [safe_tx_gas, base_gas, gas_price, gas_token, receiver] = fields.map(number);
    let inner = [account(to), number(value), blob(data), number(operation)];
    let refund = [safe_tx_gas, base_gas, gas_price, gas_token, receiver, blob([0x1b; 65])];
    calldata(EXEC_TRANSACTION, &[inner.to_vec(), refund.to_vec()].concat())
}

pub(super) fn safe(to: Address, value: u64, data: &[u8], operation: u64) -> Bytes {
    safe_with(to, value, data, operation, NO_REFUND)
}

#[test]
fn every_inner_call_of_a_multicall_is_an_effect() {
    let world = World::new();
    let (first, second) = (transfer_input(STRANGER, 1), transfer_input(THIEF, 2));
    let own = |signature, behind: Vec<Arg>| {
        let items = [&first, &second].map(|input| blob(input.to_vec())).to_vec();
        calldata(signature, &[behind, vec![Arg::List(items)]].concat())
    };
    for input in [
        own("multicall(bytes[])", vec![]),
        own("multicall(uint256,bytes[])", vec![number(u64::MAX)]),
        own("multicall(bytes32,bytes[])", vec![Arg::Word([7; 32])]),
    ] {
        let call = world.contract_call(TOKEN, &input);
        let expected = [call, world.token(1, STRANGER), world.token(2, THIEF)];
        assert_eq!(world.effects_of_call(TOKEN, &input), expected);
    }
}

#[test]
fn every_inner_call_of_an_aggregate_is_an_effect_of_its_own_target() {
    let world = World::new();
    let token = transfer_input(STRANGER, 1);
    let unknown = [1, 2, 3, 4, 5];
    let pairs = |fields: &[Arg]| {
        let item = |to, data: &[u8]| Arg::Tuple([&[account(to)][..], fields, &[blob(data)]].concat());
        Arg::List(vec![item(TOKEN, &token), item(STRANGER, &unknown), item(THIEF, &[])])
    };
    let flag = number(1);
    for input in [
        calldata("aggregate((address,bytes)[])", &[pairs(&[])]),
        calldata("blockAndAggregate((address,bytes)[])", &[pairs(&[])]),
        calldata("tryAggregate(bool,(address,bytes)[])", &[flag.clone(), pairs(&[])]),
        calldata(
            "tryBlockAndAggregate(bool,(address,bytes)[])",
            &[flag.clone(), pairs(&[])],
        ),
        calldata(
            "aggregate3((address,bool,bytes)[])",
            &[pairs(std::slice::from_ref(&flag))],
        ),
        calldata(
            "aggregate3Value((address,bool,uint256,bytes)[])",
            &[pairs(&[flag.clone(), number(0)])],
        ),
    ] {
        let expected = [
            world.contract_call(CONTRACT, &input),
            world.token(1, STRANGER),
            world.contract_call(STRANGER, &unknown),
            world.ether(0, THIEF),
        ];
        assert_eq!(world.effects_of_call(CONTRACT, &input), expected);
    }
    let paying = calldata(
        "aggregate3Value((address,bool,uint256,bytes)[])",
        &[pairs(&[flag, number(9)])],
    );
    let expected = [
        world.ether(27, CONTRACT),
        world.contract_call(CONTRACT, &paying),
        world.ether(9, TOKEN),
        world.token(1, STRANGER),
        world.ether(9, STRANGER),
        world.contract_call(STRANGER, &unknown),
        world.ether(9, THIEF),
    ];
    assert_eq!(world.effects_of_paying_call(CONTRACT, 27, &paying), expected);
}

#[test]
fn a_safes_inner_call_is_decoded_beside_the_call() {
    let world = World::new();
    let from_safe = calldata(
        "transferFrom(address,address,uint256)",
        &[account(CONTRACT), account(STRANGER), number(6)],
    );
    let module = "execTransactionFromModule(address,uint256,bytes,uint8)";
    let by_module = |signature| {
        let inner = [account(TOKEN), number(0), blob(transfer_input(STRANGER, 5)), number(0)];
        calldata(signature, &inner)
    };
    let cases: Vec<(&str, Bytes, Vec<Effect>)> = vec![
        ("value", safe(STRANGER, 5, &[], 0), vec![world.ether(5, STRANGER)]),
        ("nothing", safe(STRANGER, 0, &[], 0), vec![world.ether(0, STRANGER)]),
        (
            "token",
            safe(TOKEN, 0, &transfer_input(STRANGER, 5), 0),
            vec![world.token(5, STRANGER)],
        ),
        (
            "the Safe's own",
            safe(TOKEN, 0, &from_safe, 0),
            vec![world.token(6, STRANGER)],
        ),
        (
            "value and an unknown function",
            safe(STRANGER, 5, &[1, 2, 3, 4], 0),
            vec![world.ether(5, STRANGER), world.contract_call(STRANGER, &[1, 2, 3, 4])],
        ),
        (
            "a gas bound",
            safe_with(STRANGER, 5, &[], 0, [90_000, 0, 0, 0, 0]),
            vec![world.ether(5, STRANGER)],
        ),
        (
            "delegatecall",
            safe(THIEF, 0, &[1, 2, 3, 4], 1),
            vec![world.code_change(
                CONTRACT,
                CodeChangeKind::DelegateCall,
                &[THIEF.as_slice(), &[1, 2, 3, 4]].concat(),
            )],
        ),
        ("by a module", by_module(module), vec![world.token(5, STRANGER)]),
        (
            "by a module, with data",
            by_module("execTransactionFromModuleReturnData(address,uint256,bytes,uint8)"),
            vec![world.token(5, STRANGER)],
        ),
    ];
    for (name, input, effects) in cases {
        let expected = [vec![world.contract_call(CONTRACT, &input)], effects].concat();
        assert_eq!(world.effects_of_call(CONTRACT, &input), expected, "{name}");
    }
}

#[test]
fn a_safe_transaction_with_a_refund_or_another_operation_is_opaque() {
    let world = World::new();
    let refund = |field: usize| {
        let mut fields = NO_REFUND;
        fields[field] = 1;
        safe_with(STRANGER, 5, &[], 0, fields)
    };
    for input in [
        refund(1),
        refund(2),
        refund(3),
        refund(4),
        safe(STRANGER, 5, &[], 2),
        safe(STRANGER, 5, &[], 256),
    ] {
        assert_eq!(
            world.effects_of_call(CONTRACT, &input),
            [world.opaque(CONTRACT, &input)]
        );
    }
}

#[test]
fn depth_is_bounded_and_nothing_is_lost_below() {
    let world = World::new();
    let mut input = transfer_input(STRANGER, 1);
    for depth in 1..=MAX_DEPTH + 2 {
        let inside = input.clone();
        input = multicall(&[input]);
        let effects = world.effects_of_call(TOKEN, &input);
        assert_eq!(effects.len(), depth.min(MAX_DEPTH + 1) + 1);
        let last = effects.last().unwrap();
        if depth <= MAX_DEPTH {
            assert_eq!(*last, world.token(1, STRANGER), "{depth} deep");
        } else {
            assert!(
                matches!(last, Effect::Opaque { bytes, .. } if inside.ends_with(bytes) || inside.windows(bytes.len()).any(|window| window == bytes))
            );
        }
    }
}

#[test]
fn the_length_of_a_list_is_bounded() {
    let world = World::new();
    let of = |count| multicall(&vec![Bytes::from_static(&[1, 2, 3, 4]); count]);
    assert_eq!(
        world.effects_of_call(TOKEN, &of(MAX_LIST_ITEMS)).len(),
        MAX_LIST_ITEMS + 1
    );
    let input = of(MAX_LIST_ITEMS + 1);
    assert_eq!(world.effects_of_call(TOKEN, &input), [world.opaque(TOKEN, &input)]);
}

/// The bytes that effects hold. A reader that followed offsets would make 512 items of one tail: a thousand times the
/// transaction's size.
pub(super) fn effect_bytes(effects: &[Effect]) -> usize {
    let bytes = |effect: &Effect| match effect {
        Effect::ContractCall { args, .. } => args.len(),
        Effect::CodeChange { code, .. } => code.len(),
        Effect::Opaque { bytes, .. } => bytes.len(),
        _ => 0,
    };
    effects.iter().map(bytes).sum()
}

#[test]
fn the_largest_transactions_stay_in_proportion() {
    let world = World::new();
    let blob = Bytes::from(vec![7; 100_000]);
    let shared = {
        let count = MAX_LIST_ITEMS;
        let head = [number(32), number(count as u64)];
        let offsets = vec![number(32 * count as u64); count];
        let tail = multicall(std::slice::from_ref(&blob)).slice(4 + 96..);
        let words = head.iter().chain(&offsets).flat_map(|word| match word {
            Arg::Word(word) => *word,
            other => panic!("{other:?}"),
        });
        let words: Vec<u8> = words.collect();
        Bytes::from([&multicall(&[])[..4], &words, &tail].concat())
    };
    assert_eq!(world.effects_of_call(TOKEN, &shared), [world.opaque(TOKEN, &shared)]);

    let mut nested = blob;
    for _ in 0..20 {
        nested = multicall(&[nested]);
    }
    let effects = world.effects_of_call(TOKEN, &nested);
    assert!(effect_bytes(&effects) <= nested.len() * (MAX_DEPTH + 2));
}

#[test]
fn an_empty_or_misshapen_inner_call_is_opaque_beside_the_call() {
    let world = World::new();
    let short = transfer_input(STRANGER, 1).slice(..67);
    let input = multicall(&[Bytes::new(), short.clone(), transfer_input(STRANGER, 1)]);
    let expected = [
        world.contract_call(TOKEN, &input),
        world.opaque(TOKEN, &[]),
        world.opaque(TOKEN, &short),
        world.token(1, STRANGER),
    ];
    assert_eq!(world.effects_of_call(TOKEN, &input), expected);
    assert_eq!(
        world.effects_of_call(CONTRACT, &aggregate3(&[])),
        [world.contract_call(CONTRACT, &aggregate3(&[]))]
    );
}
