//! Drafts: what the SDK would encode, parsed to exactly what was asked for.

use countersign_types::{Amount, AssetId, Decimals, Effect, TemplateKind};
use proptest::prelude::*;
use solana_message::{Hash, legacy};
use solana_system_interface::instruction as system;

use super::fixtures::{
    ATA, BLOCKHASH, BUDGET, Ix, MEMO, USDC, World, address, advance, alice, message, nonce, open, token_account,
    token_transfer, transfer, us,
};
use crate::{
    Address, AddressError, DraftError,
    draft::{ComputeBudget, Lifetime, TokenProgram, TokenTerms, TransferDraft},
};

fn native(world: &World) -> TransferDraft {
    TransferDraft {
        wallet: world.on(us()),
        asset: world.network.native().id.clone(),
        token: None,
        amount: 7u64.into(),
        destination: world.on(alice()),
        lifetime: Lifetime::Blockhash(BLOCKHASH),
        budget: None,
        memo: None,
    }
}

fn usdc(world: &World) -> AssetId {
    format!("{}/token:{USDC}", world.network.chain()).parse().unwrap()
}

fn token(world: &World) -> TransferDraft {
    TransferDraft {
        asset: usdc(world),
        token: Some(TokenTerms {
            decimals: Decimals::new(6).unwrap(),
            program: TokenProgram::Token,
        }),
        amount: 5u64.into(),
        ..native(world)
    }
}

/// Everything at once.
fn full(world: &World) -> TransferDraft {
    TransferDraft {
        lifetime: Lifetime::Nonce {
            account: world.on(nonce()),
            value: BLOCKHASH,
        },
        budget: Some(ComputeBudget {
            unit_limit: 1_000,
            unit_price: 5_000,
        }),
        memo: Some("invoice 7".to_owned()),
        ..token(world)
    }
}

#[test]
fn a_draft_parses_to_what_was_asked_for() {
    let world = World::new();
    let rent = 2_039_280;
    let memo = Ix::new(MEMO, &[], &[b"invoice 7"]);
    let everything = [
        advance(),
        Ix::new(BUDGET, &[], &[&[2], &1_000u32.to_le_bytes()]),
        Ix::new(BUDGET, &[], &[&[3], &5_000u64.to_le_bytes()]),
        open(alice()),
        token_transfer(5, token_account(alice())),
        memo.clone(),
    ];
    let delayed = Effect::DelayedAuthorization {
        mechanism: world.on(nonce()),
    };
    let call = world.call(&memo, &message(&everything));
    let cases = [
        (
            native(&world),
            vec![transfer(7, alice())],
            vec![world.sol(7, alice()), world.fee(5_000)],
        ),
        (
            token(&world),
            vec![open(alice()), token_transfer(5, token_account(alice()))],
            vec![world.usdc(5, alice()), world.fee(5_000 + rent)],
        ),
        (
            full(&world),
            everything.to_vec(),
            vec![delayed, world.usdc(5, alice()), call, world.fee(5_005 + rent)],
        ),
    ];
    for (draft, instructions, effects) in cases {
        let unsigned = draft.encode().unwrap();
        assert_eq!(unsigned, message(&instructions).encode());
        let parsed = world.parse(&unsigned).unwrap();
        assert_eq!(parsed.effects(), effects);
        assert_eq!(parsed.template(), Some(TemplateKind::SolanaBlockhashAndFee));
        let excludes = matches!(draft.lifetime, Lifetime::Nonce { .. });
        assert_eq!(parsed.conflict_keys().len(), usize::from(excludes));
    }
    // The other program has other token accounts.
    let mut other = token(&world);
    other.token.as_mut().unwrap().program = TokenProgram::Token2022;
    let parsed = world.parse(&other.encode().unwrap()).unwrap();
    assert_eq!(parsed.effects()[0], world.usdc(5, alice()));
    assert_ne!(other.encode(), token(&world).encode());
}

#[test]
fn a_draft_is_what_the_sdk_compiles() {
    let world = World::new();
    let key = |address: Address| (*address.as_bytes()).into();
    let payer = key(us());
    let advance = system::advance_nonce_account(&key(nonce()), &payer);
    let pay = system::transfer(&payer, &key(alice()), 7);
    let compiled = |instructions: &[_]| {
        let hash = Hash::new_from_array(BLOCKHASH);
        legacy::Message::new_with_blockhash(instructions, Some(&payer), &hash).serialize()
    };
    assert_eq!(native(&world).encode().unwrap(), compiled(std::slice::from_ref(&pay)));
    let durable = TransferDraft {
        lifetime: full(&world).lifetime,
        ..native(&world)
    };
    assert_eq!(durable.encode().unwrap(), compiled(&[advance, pay]));
}

#[test]
fn one_change_and_its_error() {
    type Change = fn(&mut TransferDraft, &World);
    let reserved = |text| DraftError::Address(AddressError::Reserved(address(text)));
    let world = World::new();
    let devnet: AssetId = "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1/slip44:501".parse().unwrap();
    let too_much = Amount::from(u128::from(u64::MAX) + 1);
    let cases: Vec<(&str, Change, DraftError)> = vec![
        (
            "another family",
            |draft, _| draft.asset = "eip155:1/slip44:60".parse().unwrap(),
            DraftError::NotSolana("eip155:1".parse().unwrap()),
        ),
        (
            "another cluster",
            |draft, _| draft.asset = "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1/slip44:501".parse().unwrap(),
            DraftError::OtherNetwork {
                asset: devnet.chain().clone(),
                other: world.on(us()),
            },
        ),
        (
            "lamports of a token program",
            |draft, world| draft.token = token(world).token,
            DraftError::UnknownAssetKind(world.network.native().id.clone()),
        ),
        (
            "a token without its program",
            |draft, world| draft.asset = usdc(world),
            DraftError::UnknownAssetKind(usdc(&world)),
        ),
        (
            "more than there can be",
            |draft, _| draft.amount = Amount::from(u128::from(u64::MAX) + 1),
            DraftError::TooMuch(too_much),
        ),
        (
            "a recipient nobody can spend from",
            |draft, world| draft.destination = world.on(address(ATA)),
            reserved(ATA),
        ),
        (
            "a memo over the packet",
            |draft, _| draft.memo = Some("x".repeat(1_200)),
            DraftError::TooLarge(1_386),
        ),
    ];
    for (name, change, error) in cases {
        let mut draft = native(&world);
        change(&mut draft, &world);
        assert_eq!(draft.encode(), Err(error), "{name}");
    }
}

proptest! {
    #[test]
    fn drafts_round_trip(
        amount: u64,
        to in 1u8..=255,
        is_token: bool,
        is_durable: bool,
        budget in proptest::option::of((0u32..=1_400_000, any::<u32>())),
        memo in proptest::option::of("[ -~]{0,60}"),
    ) {
        let world = World::new();
        // A key that is none of the fixtures' own.
        let owner = Address::new([to; 32]);
        let mut draft = if is_token { token(&world) } else { native(&world) };
        draft.amount = amount.into();
        draft.destination = world.on(owner);
        if is_durable {
            draft.lifetime = full(&world).lifetime;
        }
        draft.budget = budget.map(|(unit_limit, price)| ComputeBudget { unit_limit, unit_price: price.into() });
        draft.memo = memo.clone();
        let unsigned = draft.encode().unwrap();
        let parsed = world.parse(&unsigned).unwrap();
        let paid = if is_token { world.usdc(amount, owner) } else { world.sol(amount, owner) };
        prop_assert_eq!(&parsed.effects()[usize::from(is_durable)], &paid);
        let expected = 2 + usize::from(is_durable) + usize::from(memo.is_some());
        prop_assert_eq!(parsed.effects().len(), expected);
        prop_assert_eq!(parsed.template(), Some(TemplateKind::SolanaBlockhashAndFee));
    }
}
