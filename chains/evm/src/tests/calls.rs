//! Each known function: its canonical call data and the effects that follow; other contracts; arguments out of place.

use alloy_primitives::{Address, Bytes};
use countersign_types::{Amount, AuthorityScope, CodeChangeKind, Effect};

use super::{
    encoder::{Arg, account, blob, calldata, most, number},
    fixtures::{APES, CONTRACT, ITEMS, STRANGER, THIEF, TOKEN, World},
};

/// Contract, value, call data and the effects behind the value's.
pub(super) struct Case {
    pub(super) signature: &'static str,
    pub(super) to: Address,
    pub(super) value: u64,
    pub(super) input: Bytes,
    /// Whether the call itself is the first effect.
    shows_call: bool,
    effects: Vec<Effect>,
}

/// A call that is taken at its word.
fn plain(signature: &'static str, to: Address, args: &[Arg], effects: Vec<Effect>) -> Case {
    Case {
        signature,
        to,
        value: 0,
        input: calldata(signature, args),
        shows_call: false,
        effects,
    }
}

/// A call that stands in the list itself, with effects behind it.
fn shown(signature: &'static str, to: Address, args: &[Arg], effects: Vec<Effect>) -> Case {
    Case {
        shows_call: true,
        ..plain(signature, to, args, effects)
    }
}

fn one() -> Amount {
    Amount::from_base_units(1)
}

fn token_cases(world: &World) -> Vec<Case> {
    let (hot, warm) = (world.account.address(), world.warm.address());
    let five = Amount::from_base_units(5);
    let allowance = |amount| vec![world.allowance("erc20", TOKEN, amount, THIEF)];
    let internal = Effect::Internal {
        asset: world.asset("erc20", TOKEN),
        amount: five,
        wallet: "eth-warm".parse().unwrap(),
        destination: world.destination(warm),
        change: false,
    };
    let route = |from, to| [account(from), account(to), number(5)];
    let transfer_from = "transferFrom(address,address,uint256)";
    let permit = "permit(address,address,uint256,uint256,uint8,bytes32,bytes32)";
    let permit_args = [
        account(hot),
        account(THIEF),
        number(5),
        most(),
        number(27),
        most(),
        most(),
    ];
    let dai = "permit(address,address,uint256,uint256,bool,uint8,bytes32,bytes32)";
    let dai_args = |allowed| {
        let (holder, spender) = (account(hot), account(THIEF));
        [
            holder,
            spender,
            number(0),
            most(),
            number(allowed),
            number(27),
            most(),
            most(),
        ]
    };
    let to = |address| [account(address), number(5)];
    vec![
        plain(
            "transfer(address,uint256)",
            TOKEN,
            &to(STRANGER),
            vec![world.token(5, STRANGER)],
        ),
        plain("transfer(address,uint256)", TOKEN, &to(warm), vec![internal.clone()]),
        plain(
            transfer_from,
            TOKEN,
            &route(hot, STRANGER),
            vec![world.token(5, STRANGER)],
        ),
        plain(transfer_from, TOKEN, &route(hot, warm), vec![internal]),
        shown(
            transfer_from,
            TOKEN,
            &route(warm, STRANGER),
            vec![world.token(5, STRANGER)],
        ),
        shown(transfer_from, TOKEN, &route(THIEF, STRANGER), vec![]),
        plain("approve(address,uint256)", TOKEN, &to(THIEF), allowance(five)),
        plain(
            "approve(address,uint256)",
            TOKEN,
            &[account(THIEF), most()],
            allowance(Amount::MAX),
        ),
        shown(
            "increaseAllowance(address,uint256)",
            TOKEN,
            &to(THIEF),
            allowance(Amount::MAX),
        ),
        shown(
            "decreaseAllowance(address,uint256)",
            TOKEN,
            &to(THIEF),
            allowance(Amount::MAX),
        ),
        shown(permit, TOKEN, &permit_args, allowance(five)),
        shown(dai, TOKEN, &dai_args(1), allowance(Amount::MAX)),
        shown(dai, TOKEN, &dai_args(0), allowance(Amount::ZERO)),
        shown("deposit()", TOKEN, &[], vec![]),
        shown("withdraw(uint256)", TOKEN, &[number(5)], vec![world.token(5, TOKEN)]),
    ]
}

fn collection_cases(world: &World) -> Vec<Case> {
    let hot = world.account.address();
    let route = [account(hot), account(STRANGER)];
    let with = |more: &[Arg]| [&route[..], more].concat();
    let ape = || vec![world.asset_transfer("erc721", APES, 1, STRANGER)];
    let items = |amounts: &[u64]| {
        let transfer = |amount: &u64| world.asset_transfer("erc1155", ITEMS, *amount, STRANGER);
        amounts.iter().map(transfer).collect::<Vec<_>>()
    };
    let list = |numbers: [u64; 2]| Arg::List(numbers.map(number).to_vec());
    let batch = "safeBatchTransferFrom(address,address,uint256[],uint256[],bytes)";
    let operator = |approved| [account(THIEF), number(approved)];
    vec![
        shown(
            "transferFrom(address,address,uint256)",
            APES,
            &with(&[number(7)]),
            ape(),
        ),
        shown(
            "safeTransferFrom(address,address,uint256)",
            APES,
            &with(&[number(7)]),
            ape(),
        ),
        shown(
            "safeTransferFrom(address,address,uint256,bytes)",
            APES,
            &with(&[number(7), blob([1, 2])]),
            ape(),
        ),
        shown(
            "safeTransferFrom(address,address,uint256)",
            APES,
            &[account(THIEF), account(STRANGER), number(7)],
            vec![],
        ),
        shown(
            "approve(address,uint256)",
            APES,
            &[account(THIEF), number(7)],
            vec![world.allowance("erc721", APES, one(), THIEF)],
        ),
        shown(
            "approve(address,uint256)",
            APES,
            &[account(Address::ZERO), number(7)],
            vec![],
        ),
        plain(
            "setApprovalForAll(address,bool)",
            APES,
            &operator(1),
            vec![world.allowance("erc721", APES, Amount::MAX, THIEF)],
        ),
        plain(
            "setApprovalForAll(address,bool)",
            ITEMS,
            &operator(0),
            vec![world.allowance("erc1155", ITEMS, Amount::ZERO, THIEF)],
        ),
        shown(
            "safeTransferFrom(address,address,uint256,uint256,bytes)",
            ITEMS,
            &with(&[number(7), number(30), blob([])]),
            items(&[30]),
        ),
        shown(
            batch,
            ITEMS,
            &with(&[list([7, 8]), list([30, 40]), blob([1])]),
            items(&[30, 40]),
        ),
        shown(
            batch,
            ITEMS,
            &[
                account(THIEF),
                account(STRANGER),
                list([7, 8]),
                list([30, 40]),
                blob([]),
            ],
            vec![],
        ),
    ]
}

fn authority_cases(world: &World) -> Vec<Case> {
    let (owner, role) = (AuthorityScope::Owner, AuthorityScope::Role);
    let change = |subject, scope, holder| vec![world.authority(subject, scope, holder)];
    let upgrade = |subject, inner: &[u8]| {
        let code = [THIEF.as_slice(), inner].concat();
        vec![world.code_change(subject, CodeChangeKind::Upgrade, &code)]
    };
    let thief = account(THIEF);
    let (a_role, hot) = (Arg::Word([7; 32]), world.account.address());
    let inner = [9, 9, 9, 9];
    vec![
        shown(
            "transferOwnership(address)",
            CONTRACT,
            std::slice::from_ref(&thief),
            change(CONTRACT, owner, Some(THIEF)),
        ),
        shown(
            "transferOwnership(address)",
            TOKEN,
            &[account(Address::ZERO)],
            change(TOKEN, owner, None),
        ),
        shown("renounceOwnership()", CONTRACT, &[], change(CONTRACT, owner, None)),
        shown("acceptOwnership()", CONTRACT, &[], change(CONTRACT, owner, Some(hot))),
        shown(
            "changeAdmin(address)",
            CONTRACT,
            std::slice::from_ref(&thief),
            change(CONTRACT, owner, Some(THIEF)),
        ),
        shown(
            "changeProxyAdmin(address,address)",
            CONTRACT,
            &[account(TOKEN), thief.clone()],
            change(TOKEN, owner, Some(THIEF)),
        ),
        shown(
            "grantRole(bytes32,address)",
            CONTRACT,
            &[a_role.clone(), thief.clone()],
            change(CONTRACT, role, Some(THIEF)),
        ),
        shown(
            "revokeRole(bytes32,address)",
            CONTRACT,
            &[a_role.clone(), thief.clone()],
            change(CONTRACT, role, None),
        ),
        shown(
            "renounceRole(bytes32,address)",
            CONTRACT,
            &[a_role, thief.clone()],
            change(CONTRACT, role, None),
        ),
        shown(
            "upgradeTo(address)",
            CONTRACT,
            std::slice::from_ref(&thief),
            upgrade(CONTRACT, &[]),
        ),
        shown(
            "upgradeToAndCall(address,bytes)",
            CONTRACT,
            &[thief.clone(), blob(inner)],
            upgrade(CONTRACT, &inner),
        ),
        shown(
            "upgrade(address,address)",
            CONTRACT,
            &[account(TOKEN), thief.clone()],
            upgrade(TOKEN, &[]),
        ),
        shown(
            "upgradeAndCall(address,address,bytes)",
            CONTRACT,
            &[account(TOKEN), thief, blob(inner)],
            upgrade(TOKEN, &inner),
        ),
    ]
}

fn safe_cases(world: &World) -> Vec<Case> {
    let terms = |scope| world.authority(CONTRACT, scope, None);
    let gets = |scope| world.authority(CONTRACT, scope, Some(THIEF));
    let (owner, threshold) = (AuthorityScope::Owner, AuthorityScope::Threshold);
    let (thief, other) = (account(THIEF), account(STRANGER));
    let hash = Effect::DelayedAuthorization {
        mechanism: world.destination(CONTRACT),
    };
    let handler = world.code_change(CONTRACT, CodeChangeKind::Upgrade, THIEF.as_slice());
    let safe = |signature, args: &[Arg], effects| shown(signature, CONTRACT, args, effects);
    vec![
        safe(
            "addOwnerWithThreshold(address,uint256)",
            &[thief.clone(), number(1)],
            vec![gets(owner), terms(threshold)],
        ),
        safe(
            "removeOwner(address,address,uint256)",
            &[other.clone(), other.clone(), number(1)],
            vec![terms(owner), terms(threshold)],
        ),
        safe(
            "swapOwner(address,address,address)",
            &[other.clone(), other.clone(), thief.clone()],
            vec![terms(owner), gets(owner)],
        ),
        safe("changeThreshold(uint256)", &[number(1)], vec![terms(threshold)]),
        safe(
            "enableModule(address)",
            std::slice::from_ref(&thief),
            vec![gets(AuthorityScope::Module)],
        ),
        safe(
            "disableModule(address,address)",
            &[other.clone(), other],
            vec![terms(AuthorityScope::Module)],
        ),
        safe(
            "setGuard(address)",
            std::slice::from_ref(&thief),
            vec![gets(AuthorityScope::Guard)],
        ),
        safe(
            "setGuard(address)",
            &[account(Address::ZERO)],
            vec![terms(AuthorityScope::Guard)],
        ),
        safe("setFallbackHandler(address)", &[thief], vec![handler]),
        safe("approveHash(bytes32)", &[most()], vec![hash]),
    ]
}

fn disperse_cases(world: &World) -> Vec<Case> {
    let recipients = Arg::List(vec![account(STRANGER), account(THIEF)]);
    let amounts = Arg::List(vec![number(3), number(4)]);
    let lists = [recipients, amounts];
    let ether = Case {
        value: 7,
        ..shown(
            "disperseEther(address[],uint256[])",
            CONTRACT,
            &lists,
            vec![world.ether(3, STRANGER), world.ether(4, THIEF)],
        )
    };
    let of = |token: Address| [&[account(token)][..], &lists].concat();
    let tokens = || vec![world.token(3, STRANGER), world.token(4, THIEF)];
    vec![
        ether,
        shown(
            "disperseToken(address,address[],uint256[])",
            CONTRACT,
            &of(TOKEN),
            tokens(),
        ),
        shown(
            "disperseTokenSimple(address,address[],uint256[])",
            CONTRACT,
            &of(TOKEN),
            tokens(),
        ),
        shown(
            "disperseToken(address,address[],uint256[])",
            CONTRACT,
            &of(STRANGER),
            vec![],
        ),
    ]
}

pub(super) fn cases(world: &World) -> Vec<Case> {
    let mut cases = token_cases(world);
    cases.extend(collection_cases(world));
    cases.extend(authority_cases(world));
    cases.extend(safe_cases(world));
    cases.extend(disperse_cases(world));
    cases
}

#[test]
fn each_function_has_its_effects() {
    let world = World::new();
    for case in cases(&world) {
        let mut expected = Vec::new();
        if case.value > 0 {
            expected.push(world.ether(case.value, case.to));
        }
        if case.shows_call {
            expected.push(world.contract_call(case.to, &case.input));
        }
        expected.extend(case.effects);
        let found = world.effects_of_paying_call(case.to, case.value, &case.input);
        assert_eq!(found, expected, "{}", case.signature);
    }
}

/// A contract that is not registered moves nothing that we know, whatever its functions are called.
#[test]
fn assets_that_are_not_registered_are_contract_calls() {
    let world = World::new();
    for case in token_cases(&world).into_iter().chain(collection_cases(&world)) {
        let found = world.effects_of_call(CONTRACT, &case.input);
        assert_eq!(
            found,
            [world.contract_call(CONTRACT, &case.input)],
            "{}",
            case.signature
        );
    }
}

/// A token's functions on a contract of another standard are calls, never that standard's transfers.
#[test]
fn functions_of_another_standard_are_contract_calls() {
    let world = World::new();
    let hot = world.account.address();
    let to = [account(STRANGER), number(5)];
    let route = [account(hot), account(STRANGER), number(5)];
    let calls = [
        (APES, calldata("transfer(address,uint256)", &to)),
        (ITEMS, calldata("transfer(address,uint256)", &to)),
        (ITEMS, calldata("transferFrom(address,address,uint256)", &route)),
        (ITEMS, calldata("approve(address,uint256)", &to)),
        (TOKEN, calldata("safeTransferFrom(address,address,uint256)", &route)),
        (
            TOKEN,
            calldata("setApprovalForAll(address,bool)", &[account(THIEF), number(1)]),
        ),
        (APES, calldata("increaseAllowance(address,uint256)", &to)),
    ];
    for (contract, input) in calls {
        assert_eq!(
            world.effects_of_call(contract, &input),
            [world.contract_call(contract, &input)]
        );
    }
}

#[test]
fn a_contract_under_two_standards_is_taken_at_no_word() {
    let mut world = World::new();
    let twice = countersign_types::AssetRecord {
        id: world.asset("erc721", TOKEN),
        symbol: "TWICE".parse().unwrap(),
        decimals: countersign_types::Decimals::new(0).unwrap(),
        quirks: std::collections::BTreeSet::new(),
    };
    let records: Vec<_> = world.assets.iter().cloned().chain([twice]).collect();
    world.list(countersign_types::AssetRegistry::new(records).unwrap());
    let input = calldata("transfer(address,uint256)", &[account(STRANGER), number(5)]);
    assert_eq!(
        world.effects_of_call(TOKEN, &input),
        [world.contract_call(TOKEN, &input)]
    );
}

/// Whatever the function: one byte more, one byte less, one word more and no arguments at all are not understood.
#[test]
fn arguments_of_another_length_are_opaque() {
    let world = World::new();
    for case in cases(&world) {
        let input = &case.input;
        let mut wrong = vec![[&input[..], &[0]].concat(), [&input[..], &[0; 32]].concat()];
        if input.len() > 4 {
            wrong.extend([
                input[..input.len() - 1].to_vec(),
                input[..input.len() - 32].to_vec(),
                input[..4].to_vec(),
            ]);
        }
        for input in wrong {
            let found = world.effects_of_call(case.to, &input);
            assert_eq!(found, [world.opaque(case.to, &input)], "{}", case.signature);
        }
    }
}
