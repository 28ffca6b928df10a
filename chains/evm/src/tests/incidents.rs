//! The shapes of thefts that have happened: what was signed blind elsewhere, and the effects that show it here.

use alloy_primitives::{Address, Bytes};
use countersign_types::{Amount, AuthorityScope, CodeChangeKind, Effect, EffectKind};

use super::{
    encoder::{account, calldata, most, number},
    fixtures::{APES, CONTRACT, STRANGER, THIEF, TOKEN, World, call_with, transfer_input},
    nesting::{aggregate3, multicall, safe},
};

/// A transaction that looks like a payment of `looks_like`, and the effect that gives it away.
struct Incident {
    name: &'static str,
    to: Address,
    value: u64,
    input: Bytes,
    gives_away: Effect,
}

fn incidents(world: &World) -> Vec<Incident> {
    let payment = transfer_input(STRANGER, 5);
    let permit = calldata(
        "permit(address,address,uint256,uint256,uint8,bytes32,bytes32)",
        &[
            account(world.account.address()),
            account(THIEF),
            most(),
            most(),
            number(27),
            most(),
            most(),
        ],
    );
    let approve = calldata("approve(address,uint256)", &[account(THIEF), most()]);
    let unlimited = world.allowance("erc20", TOKEN, Amount::MAX, THIEF);
    let trailing: Bytes = [&payment[..], THIEF.as_slice()].concat().into();
    let sweep = [0x8c, 0x4d, 0xa7, 0x52];
    let incident = |name, to, input, gives_away| Incident {
        name,
        to,
        value: 0,
        input,
        gives_away,
    };
    vec![
        incident(
            "Bybit: a Safe's transfer that is a delegatecall",
            CONTRACT,
            safe(THIEF, 0, &transfer_input(THIEF, 0), 1),
            world.code_change(
                CONTRACT,
                CodeChangeKind::DelegateCall,
                &[THIEF.as_slice(), &transfer_input(THIEF, 0)].concat(),
            ),
        ),
        incident(
            "Bybit, one level down: the delegatecall is inside a batch",
            TOKEN,
            aggregate3(&[(TOKEN, payment.clone()), (CONTRACT, safe(THIEF, 0, &sweep, 1))]),
            world.code_change(
                CONTRACT,
                CodeChangeKind::DelegateCall,
                &[THIEF.as_slice(), &sweep].concat(),
            ),
        ),
        incident(
            "two transfers, the second is the theft",
            TOKEN,
            multicall(&[payment.clone(), transfer_input(THIEF, 5_000_000)]),
            world.token(5_000_000, THIEF),
        ),
        incident(
            "a permit behind a payment",
            TOKEN,
            multicall(&[payment.clone(), permit]),
            unlimited.clone(),
        ),
        incident(
            "an approval behind a payment",
            TOKEN,
            multicall(&[payment.clone(), approve.clone()]),
            unlimited.clone(),
        ),
        incident("an unlimited approval", TOKEN, approve, unlimited),
        incident(
            "an approval for a whole collection",
            APES,
            calldata("setApprovalForAll(address,bool)", &[account(THIEF), number(1)]),
            world.allowance("erc721", APES, Amount::MAX, THIEF),
        ),
        incident(
            "trailing call data",
            TOKEN,
            trailing.clone(),
            world.opaque(TOKEN, &trailing),
        ),
        incident(
            "a new owner",
            CONTRACT,
            calldata("transferOwnership(address)", &[account(THIEF)]),
            world.authority(CONTRACT, AuthorityScope::Owner, Some(THIEF)),
        ),
        incident(
            "a new implementation",
            CONTRACT,
            calldata("upgradeTo(address)", &[account(THIEF)]),
            world.code_change(CONTRACT, CodeChangeKind::Upgrade, THIEF.as_slice()),
        ),
        incident(
            "WazirX: a Safe's payment that enables a module",
            CONTRACT,
            safe(CONTRACT, 0, &calldata("enableModule(address)", &[account(THIEF)]), 0),
            world.authority(CONTRACT, AuthorityScope::Module, Some(THIEF)),
        ),
        incident(
            "a third party's tokens moved in our name",
            TOKEN,
            calldata(
                "transferFrom(address,address,uint256)",
                &[account(CONTRACT), account(THIEF), number(5)],
            ),
            world.contract_call(
                TOKEN,
                &calldata(
                    "transferFrom(address,address,uint256)",
                    &[account(CONTRACT), account(THIEF), number(5)],
                ),
            ),
        ),
        incident(
            "another own wallet's tokens moved under this wallet's policy",
            TOKEN,
            calldata(
                "transferFrom(address,address,uint256)",
                &[account(world.warm.address()), account(THIEF), number(5)],
            ),
            world.token(5, THIEF),
        ),
        incident(
            "a fake token with the right symbol",
            THIEF,
            payment.clone(),
            world.contract_call(THIEF, &payment),
        ),
        incident(
            "claimRewards: value to a drainer behind a harmless name",
            THIEF,
            vec![0x37, 0x2f, 0x50, 0x0f].into(),
            world.contract_call(THIEF, &[0x37, 0x2f, 0x50, 0x0f]),
        ),
    ]
}

#[test]
fn each_shows_what_gives_it_away() {
    let world = World::new();
    for incident in incidents(&world) {
        let effects = world.effects_of_paying_call(incident.to, incident.value, &incident.input);
        assert!(effects.contains(&incident.gives_away), "{}: {effects:?}", incident.name);
    }
}

/// A policy that permits the harmless transfer alone: each incident has an effect that it does not cover.
#[test]
fn none_is_covered_by_a_permit_for_transfers_to_the_customer() {
    let world = World::new();
    let is_covered = |effect: &Effect| match effect.kind() {
        EffectKind::Transfer => effect.destination() == Some(&world.destination(STRANGER)),
        EffectKind::Internal | EffectKind::Fee => true,
        _ => false,
    };
    for incident in incidents(&world) {
        for value in [0, 1] {
            let effects = world.effects_of_paying_call(incident.to, value, &incident.input);
            assert!(!effects.iter().all(is_covered), "{}", incident.name);
        }
    }
    let payment = world.parse(&call_with(TOKEN, 0, &transfer_input(STRANGER, 5))).unwrap();
    assert!(payment.effects().iter().all(is_covered));
}
