//! One change of a valid transaction and the effects that follow from it.

use alloy_consensus::SignableTransaction as _;
use alloy_primitives::{Address, Bytes, TxKind, U256, address};
use countersign_types::{Amount, CodeChangeKind, ConflictKey, Effect, OpaqueKind, Selector, Tag, TransactionDigest};

use super::fixtures::{
    ETHER, STRANGER, TOKEN, World, eip1559, eip1559_with, legacy, legacy_with, network_of, prehash, public_key,
    token_transfer, token_with, transfer_input,
};
use crate::{AddressError, ParseError, Reserved};

const FEE: u64 = 420_000_000_000_000;
const TOKEN_FEE: u64 = 1_300_000_000_000_000;

#[test]
fn a_parse_says_who_what_and_in_which_place() {
    let world = World::new();
    for unsigned in [eip1559().encoded_for_signing(), legacy().encoded_for_signing()] {
        let parsed = world.parse(&unsigned).unwrap();
        assert_eq!(parsed.network(), world.network.chain());
        assert_eq!(parsed.wallet(), &world.wallet);
        assert_eq!(parsed.transaction(), TransactionDigest::of(&unsigned));
        assert_eq!(prehash(&parsed), alloy_primitives::keccak256(&unsigned).0);
        assert_eq!(parsed.signing_payloads()[0].key(), world.account.key());
        let nonce = if unsigned[0] == 0x02 { 7 } else { 9 };
        let account = world.account.destination(world.network.chain()).unwrap();
        assert_eq!(parsed.conflict_keys(), [ConflictKey::AccountNonce { account, nonce }]);
    }
}

#[test]
fn effects_of_one_change() {
    let world = World::new();
    let call = |args: &[u8], selector| Effect::ContractCall {
        contract: world.destination(STRANGER),
        selector: Selector(selector),
        args: args.to_vec(),
    };
    let opaque = |target, bytes: &[u8]| Effect::Opaque {
        what: OpaqueKind::Calldata,
        target: Some(world.destination(target)),
        bytes: bytes.to_vec(),
    };
    let transfer = transfer_input(STRANGER, 5_000_000);
    let longer = Bytes::from([&transfer[..], &[0]].concat());
    let dirty = Bytes::from([&transfer[..15], &[1], &transfer[16..]].concat());
    let (ether, fee, token_fee) = (world.ether(ETHER, STRANGER), world.fee(FEE), world.fee(TOKEN_FEE));

    let cases: Vec<(&str, Vec<u8>, Vec<Effect>)> = vec![
        ("value", eip1559_with(|_| ()), vec![ether.clone(), fee.clone()]),
        (
            "legacy value",
            legacy_with(|tx| tx.to = TxKind::Call(STRANGER)),
            vec![ether.clone(), fee.clone()],
        ),
        (
            "nothing to a stranger is a transfer of nothing",
            eip1559_with(|tx| tx.value = U256::ZERO),
            vec![world.ether(0, STRANGER), fee.clone()],
        ),
        (
            "the fee follows the gas limit",
            eip1559_with(|tx| tx.gas_limit = 21_001),
            vec![ether.clone(), world.fee(FEE + 20_000_000_000)],
        ),
        (
            "the fee follows the highest price",
            eip1559_with(|tx| tx.max_fee_per_gas += 1),
            vec![ether.clone(), world.fee(FEE + 21_000)],
        ),
        (
            "one to three bytes are no selector",
            eip1559_with(|tx| tx.input = vec![0xa9, 0x05, 0x9c].into()),
            vec![ether.clone(), opaque(STRANGER, &[0xa9, 0x05, 0x9c]), fee.clone()],
        ),
        (
            "a call without arguments, with value",
            eip1559_with(|tx| tx.input = vec![1, 2, 3, 4].into()),
            vec![ether.clone(), call(&[], [1, 2, 3, 4]), fee.clone()],
        ),
        (
            "a call without value",
            eip1559_with(|tx| (tx.input, tx.value) = (vec![1, 2, 3, 4, 5].into(), U256::ZERO)),
            vec![call(&[5], [1, 2, 3, 4]), fee.clone()],
        ),
        (
            "transfer of a contract that is not registered",
            token_with(|tx| tx.to = TxKind::Call(STRANGER)),
            vec![call(&transfer[4..], [0xa9, 0x05, 0x9c, 0xbb]), token_fee.clone()],
        ),
        (
            "token",
            token_with(|_| ()),
            vec![world.token(5_000_000, STRANGER), token_fee.clone()],
        ),
        (
            "token with value: the contract receives it",
            token_with(|tx| tx.value = U256::from(3)),
            vec![
                world.ether(3, TOKEN),
                world.token(5_000_000, STRANGER),
                token_fee.clone(),
            ],
        ),
        (
            "nothing of a token is a transfer of nothing",
            token_with(|tx| tx.input = transfer_input(STRANGER, 0)),
            vec![world.token(0, STRANGER), token_fee.clone()],
        ),
        (
            "trailing calldata",
            token_with(|tx| tx.input = longer.clone()),
            vec![opaque(TOKEN, &longer), token_fee.clone()],
        ),
        (
            "short calldata",
            token_with(|tx| tx.input = transfer.slice(..67)),
            vec![opaque(TOKEN, &transfer[..67]), token_fee.clone()],
        ),
        (
            "dirty padding",
            token_with(|tx| tx.input = dirty.clone()),
            vec![opaque(TOKEN, &dirty), token_fee.clone()],
        ),
    ];
    for (name, unsigned, effects) in cases {
        assert_eq!(world.parse(&unsigned).unwrap().effects(), effects, "{name}");
    }
}

#[test]
fn own_wallets_are_recognised_by_their_key() {
    let world = World::new();
    let own = [(&world.warm, "eth-warm"), (&world.account, "eth-hot")];
    for (account, wallet) in own {
        let internal = |asset: &str, amount| Effect::Internal {
            asset: asset.parse().unwrap(),
            amount: Amount::from_base_units(amount),
            wallet: wallet.parse().unwrap(),
            destination: account.destination(world.network.chain()).unwrap(),
            change: false,
        };
        let value = world
            .parse(&eip1559_with(|tx| tx.to = TxKind::Call(account.address())))
            .unwrap();
        assert_eq!(value.effects()[0], internal("eip155:1/slip44:60", ETHER));
        let token = world
            .parse(&token_with(|tx| tx.input = transfer_input(account.address(), 1)))
            .unwrap();
        assert_eq!(token.effects()[0], internal(&format!("eip155:1/erc20:{TOKEN}"), 1));
    }
}

#[test]
fn a_creation_is_a_code_change_and_its_value_goes_to_the_new_contract() {
    let world = World::new();
    let unsigned = eip1559_with(|tx| (tx.to, tx.input) = (TxKind::Create, vec![0x60, 0x00].into()));
    let created = world.account.address().create(7);
    let deploy = |code: &[u8]| Effect::CodeChange {
        subject: None,
        change: CodeChangeKind::Deploy,
        code: code.to_vec(),
    };
    assert_eq!(
        world.parse(&unsigned).unwrap().effects(),
        [deploy(&[0x60, 0x00]), world.ether(ETHER, created), world.fee(FEE)]
    );
    let empty = eip1559_with(|tx| (tx.to, tx.value) = (TxKind::Create, U256::ZERO));
    assert_eq!(world.parse(&empty).unwrap().effects(), [deploy(&[]), world.fee(FEE)]);
    let next = eip1559_with(|tx| (tx.to, tx.nonce) = (TxKind::Create, 8));
    assert_ne!(world.parse(&next).unwrap().effects()[1], world.ether(ETHER, created));
}

#[test]
fn recipients_that_nobody_can_spend_from_are_refused() {
    let world = World::new();
    let numbered = |number: u64| Address::left_padding_from(&number.to_be_bytes());
    let reserved = [
        (numbered(0), Reserved::Zero),
        (numbered(1), Reserved::Precompile),
        (numbered(9), Reserved::Precompile),
        (numbered(0x11), Reserved::Precompile),
        (address!("000000000000000000000000000000000000dEaD"), Reserved::Burn),
        (address!("dEAD000000000000000042069420694206942069"), Reserved::Burn),
    ];
    for (to, why) in reserved {
        let refused = ParseError::Recipient(AddressError::Reserved(why));
        let value = eip1559_with(|tx| tx.to = TxKind::Call(to));
        let call = eip1559_with(|tx| (tx.to, tx.input) = (TxKind::Call(to), vec![1, 2, 3, 4].into()));
        let token = token_with(|tx| tx.input = transfer_input(to, 1));
        for unsigned in [value, call, token] {
            assert_eq!(world.parse(&unsigned), Err(refused.clone()), "{to}");
        }
        assert_eq!(refused.tag(), Tag::TransactionBadDestination);
    }
    let to_itself = token_with(|tx| tx.input = transfer_input(TOKEN, 1));
    assert_eq!(world.parse(&to_itself), Err(ParseError::TokenToItself));
    assert_eq!(ParseError::TokenToItself.tag(), Tag::TransactionBadDestination);
}

#[test]
fn the_highest_possible_fee_is_counted_and_not_wrapped() {
    let world = World::new();
    let unsigned = eip1559_with(|tx| (tx.gas_limit, tx.max_fee_per_gas) = (1 << 24, u128::MAX));
    let Effect::Fee { max, .. } = world.parse(&unsigned).unwrap().effects()[1].clone() else {
        panic!("the fee is last");
    };
    let expected = Amount::from(u128::MAX).checked_mul(Amount::from_base_units(1 << 24));
    assert_eq!(Some(max), expected);
}

#[test]
fn a_token_of_another_network_is_not_this_networks_token() {
    let mut world = World::new();
    let other = countersign_types::AssetRecord {
        id: format!("eip155:10/erc20:{TOKEN}").parse().unwrap(),
        symbol: "USDC".parse().unwrap(),
        decimals: countersign_types::Decimals::new(6).unwrap(),
        quirks: std::collections::BTreeSet::new(),
    };
    world.list(countersign_types::AssetRegistry::new([other]).unwrap());
    let parsed = world.parse(&token_transfer().encoded_for_signing()).unwrap();
    assert!(matches!(parsed.effects()[0], Effect::ContractCall { .. }));
}

/// The first account of anvil and hardhat deploys its first contract to an address that every tutorial shows.
#[test]
fn the_address_of_a_new_contract_follows_from_sender_and_nonce() {
    let key = alloy_primitives::hex!("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80");
    let dev = network_of(include_str!("../../networks/dev.yaml")).unwrap();
    let world = World::on(dev, public_key(&key));
    let unsigned = eip1559_with(|tx| (tx.chain_id, tx.nonce, tx.to) = (31_337, 0, TxKind::Create));
    let created = address!("5FbDB2315678afecb367f032d93F642f64180aa3");
    assert_eq!(
        world.parse(&unsigned).unwrap().effects()[1],
        world.ether(ETHER, created)
    );
}
