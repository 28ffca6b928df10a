//! What instructions do: one instruction or one change of it, and the exact effects.

use countersign_types::{Amount, AssetId, AuthorityScope, Effect, ParsedTransaction};

use super::fixtures::{
    BUDGET, CLOCK, Ix, TOKEN, TOKEN_2022, USDC, World, address, alice, message, open, stake, stake_authorize, thief,
    token_account, token_transfer, transfer, us, warm,
};
use crate::{Address, ParseError};

/// Rent of a token account of 165 bytes, as `solana rent 165` has it.
const RENT: u64 = 2_039_280;

pub(super) fn fee_of(parsed: &ParsedTransaction) -> (AssetId, Amount) {
    let mut fees = parsed.effects().iter().filter_map(|effect| match effect {
        Effect::Fee { asset, max } => Some((asset.clone(), *max)),
        _ => None,
    });
    fees.next_back().unwrap()
}

fn set_authority() -> Ix {
    let accounts = [(token_account(us()), true), (us(), true)];
    Ix::new(TOKEN, &accounts, &[&[6, 2, 1], thief().as_bytes()])
}

fn close() -> Ix {
    Ix::new(
        TOKEN,
        &[(token_account(us()), true), (thief(), true), (us(), true)],
        &[&[9]],
    )
}

#[test]
fn incident_shapes() {
    let world = World::new();
    let effects = |instructions: &[Ix]| world.parse(&message(instructions).encode()).unwrap().effects().to_vec();

    assert_eq!(
        effects(&[transfer(1_000, alice()), transfer(999, thief())]),
        [world.sol(1_000, alice()), world.sol(999, thief()), world.fee(5_000)],
        "the second transfer is the theft"
    );
    assert_eq!(
        effects(&[transfer(1_000, alice()), stake_authorize(1)]),
        [
            world.sol(1_000, alice()),
            world.authority(stake(), AuthorityScope::Owner, Some(thief())),
            world.fee(5_000)
        ],
        "a stake's withdrawer changes behind a transfer"
    );
    assert_eq!(
        effects(&[
            open(alice()),
            token_transfer(5, token_account(alice())),
            set_authority()
        ]),
        [
            world.usdc(5, alice()),
            world.authority(token_account(us()), AuthorityScope::Owner, Some(thief())),
            world.fee(5_000 + RENT)
        ],
        "the token account is given away behind a transfer"
    );
    let unknown = Ix::new(
        &thief().to_string(),
        &[(us(), true), (thief(), true)],
        &[&[1, 2, 3, 4, 5]],
    );
    assert_eq!(
        effects(std::slice::from_ref(&unknown)),
        [
            world.call(&unknown, &message(std::slice::from_ref(&unknown))),
            world.fee(5_000)
        ],
        "no recognised recipient is not no effect"
    );
}

#[test]
fn closing_an_account_names_who_gets_the_rest() {
    let world = World::new();
    let message = message(&[close()]);
    let parsed = world.parse(&message.encode()).unwrap();
    assert_eq!(
        parsed.effects(),
        [
            world.authority(token_account(us()), AuthorityScope::Token, Some(thief())),
            world.call(&close(), &message),
            world.fee(5_000)
        ]
    );
}

#[test]
fn tokens_to_an_own_wallet_are_internal() {
    let world = World::new();
    let parsed = world
        .parse(&message(&[open(warm()), token_transfer(5, token_account(warm()))]).encode())
        .unwrap();
    let Effect::Internal { wallet, change, .. } = &parsed.effects()[0] else {
        panic!("internal");
    };
    assert_eq!((wallet.as_str(), *change), ("sol-warm", false));
}

#[test]
fn an_account_opened_for_nobody_in_the_message_is_a_call_and_costs_rent() {
    let world = World::new();
    let parsed = |instructions: &[Ix]| {
        let message = message(instructions);
        (world.parse(&message.encode()).unwrap(), message)
    };
    let (stranger, message) = parsed(&[open(thief()), token_transfer(5, token_account(alice()))]);
    assert_eq!(
        stranger.effects(),
        [
            world.call(&open(thief()), &message),
            world.usdc(5, token_account(alice())),
            world.fee(5_000 + RENT)
        ]
    );
    // An account that is opened under the other token program, or for another mint, is not the one that is paid.
    let foreign = Address::associated(alice(), address(TOKEN_2022), address(USDC)).unwrap();
    let opened = open(alice())
        .with(|ix| ix.accounts[1].0 = foreign)
        .with(|ix| ix.accounts[5].0 = address(TOKEN_2022));
    let (unproven, _) = parsed(&[opened, token_transfer(5, foreign)]);
    assert!(unproven.effects().contains(&world.usdc(5, foreign)));
    // Whose account it is must follow from its address.
    let misplaced = open(alice()).with(|ix| ix.accounts[1].0 = token_account(thief()));
    let (opaque, message) = parsed(&[misplaced.clone(), token_transfer(5, token_account(thief()))]);
    assert_eq!(opaque.effects()[0], world.opaque(&misplaced, &message));
    let changes: [fn(&mut Ix); 4] = [
        |ix| ix.data = vec![3],
        |ix| ix.data.push(0),
        |ix| ix.accounts[4].0 = address(CLOCK),
        |ix| ix.accounts.push((address(CLOCK), false)),
    ];
    for change in changes {
        let changed = open(alice()).with(change);
        let (opaque, message) = parsed(std::slice::from_ref(&changed));
        assert_eq!(opaque.effects()[0], world.opaque(&changed, &message));
    }
}

fn budget(data: &[&[u8]]) -> Ix {
    Ix::new(BUDGET, &[], data)
}

fn priced(world: &World, instructions: &[Ix]) -> Result<String, ParseError> {
    let parsed = world.parse(&message(instructions).encode())?;
    Ok(fee_of(&parsed).1.to_string())
}

#[test]
fn the_fee_is_signatures_priority_and_rent() {
    let world = World::new();
    let limit = |units: u32| budget(&[&[2], &units.to_le_bytes()]);
    let price = |micro: u64| budget(&[&[3], &micro.to_le_bytes()]);
    let (heap, loaded) = (budget(&[&[1, 0, 0, 4, 0]]), budget(&[&[4, 0, 0, 4, 0]]));
    let verifier = Ix::new("Ed25519SigVerify111111111111111111111111111", &[], &[&[3, 0]]);
    let pay = || transfer(1, alice());
    let fees: [(&[Ix], &str); 8] = [
        (&[pay()], "5000"),
        (&[limit(1_000), pay()], "5000"),
        (&[limit(1_000), price(1_000), pay()], "5001"),
        (&[limit(1_001), price(1_000), pay()], "5002"),
        (&[price(1_000_000), pay()], "1405000"),
        (&[limit(1_400_000), price(u64::MAX), pay()], "25825441703193377261"),
        (&[heap.clone(), loaded, limit(0), price(5), pay()], "5000"),
        (&[pay(), verifier], "20000"),
    ];
    for (instructions, lamports) in fees {
        assert_eq!(priced(&world, instructions).unwrap(), lamports, "{instructions:?}");
    }
    let refused: [(&[Ix], ParseError); 9] = [
        (&[limit(1), limit(1), pay()], ParseError::DuplicateComputeBudget),
        (&[price(1), pay(), price(1)], ParseError::DuplicateComputeBudget),
        (&[heap.clone(), heap, pay()], ParseError::DuplicateComputeBudget),
        (&[limit(1_400_001), pay()], ParseError::BadComputeBudget),
        (
            &[limit(1).with(|ix| ix.data.push(0)), pay()],
            ParseError::BadComputeBudget,
        ),
        (&[budget(&[&[0; 9]]), pay()], ParseError::BadComputeBudget),
        (&[budget(&[&[5]]), pay()], ParseError::BadComputeBudget),
        (
            &[limit(1).with(|ix| ix.accounts.push((thief(), false))), pay()],
            ParseError::BadComputeBudget,
        ),
        (&[limit(1), price(1)], ParseError::NoEffects),
    ];
    for (instructions, error) in refused {
        assert_eq!(priced(&world, instructions), Err(error), "{instructions:?}");
    }
}
