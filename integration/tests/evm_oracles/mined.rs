//! A node executes what we sign: sender, value, fee and delegations are what the effects say.

use std::collections::BTreeSet;

use alloy_primitives::{Address, U256};
use countersign_chains::evm::{GasPrice, TransferDraft};
use countersign_types::{
    Amount, AssetId, AssetRecord, AuthorityScope, CodeChangeKind, Decimals, Effect, ParsedTransaction,
};
use serde_json::{Value, json};

use crate::{
    drafts::{self, CHAIN_ID, DELEGATE, GWEI, HOT, STRANGER, THEIRS, VALUE, WARM},
    node::{self, Node, quantity},
    oracle::{World, public_key},
    site::{amount, destination, sign, world, world_of, world_with},
};

const TEN_ETHER: &str = "0x8ac7230489e80000";

fn fee_ceiling(parsed: &ParsedTransaction) -> Amount {
    let fee = parsed.effects().iter().find_map(|effect| match effect {
        Effect::Fee { max, .. } => Some(*max),
        _ => None,
    });
    fee.unwrap()
}

/// Anvil answers in lower case or with checksums, as it likes.
fn is_address(value: &Value, address: &str) -> bool {
    value.as_str().unwrap().eq_ignore_ascii_case(address)
}

fn address_of(secret: &[u8; 32]) -> Address {
    world_of(CHAIN_ID, secret).address().parse().unwrap()
}

/// Mines one transaction and holds what changed against its effects.
fn assert_mined(node: &Node, world: &World, unsigned: &[u8], name: &str) -> ParsedTransaction {
    let parsed = world.parse(unsigned).unwrap();
    let signed = sign(world, &HOT, unsigned, &parsed);
    let (hot, stranger) = (world.address(), STRANGER.to_string());
    let before = (node.balance(&hot), node.balance(&stranger));
    let txid = node.call(
        "eth_sendRawTransaction",
        json!([format!("0x{}", hex::encode(&signed.bytes))]),
    );
    assert_eq!(txid, signed.txid, "{name}");
    let receipt = node.mined(&signed.txid);
    assert!(
        is_address(&receipt["from"], &hot) && is_address(&receipt["to"], &stranger),
        "{name}"
    );

    let paid = quantity(&receipt["gasUsed"]) * quantity(&receipt["effectiveGasPrice"]);
    let transfer = Effect::Transfer {
        asset: world.registry.fee_asset(&world.chain).unwrap(),
        amount: Amount::from_base_units(VALUE),
        destination: destination(world, STRANGER),
    };
    assert_eq!(
        parsed.effects().iter().filter(|effect| **effect == transfer).count(),
        1,
        "{name}"
    );
    assert!(amount(U256::from(paid)) <= fee_ceiling(&parsed), "{name}");
    assert_eq!(node.balance(&stranger), before.1 + u128::from(VALUE), "{name}");
    assert_eq!(node.balance(&hot), before.0 - u128::from(VALUE) - paid, "{name}");
    parsed
}

#[test]
fn one_of_each_type_is_mined_as_its_effects_say() {
    let Some(program) = node::find() else { return };
    let node = Node::start(&program);
    let world = world(CHAIN_ID, &[&[public_key(&HOT)], &[public_key(&WARM)]]);
    node.call("anvil_setBalance", json!([world.address(), TEN_ETHER]));
    for draft in drafts::all(&[]) {
        let parsed = assert_mined(&node, &world, &draft.unsigned, draft.name);
        let nonce = node.call("eth_getTransactionCount", json!([world.address(), "latest"]));
        assert_eq!(
            parsed.conflict_keys()[0].to_string(),
            format!(
                "account-nonce {}:{} {}",
                world.chain,
                world.address(),
                quantity(&nonce) - 1
            )
        );
    }

    // The last one was EIP-7702: both accounts carry the designation that the effects name, and lost a nonce; ours is in
    // the conflict keys.
    let last = drafts::all(&[]).pop().unwrap();
    let parsed = world.parse(&last.unsigned).unwrap();
    let code = format!("0xef0100{}", hex::encode(DELEGATE));
    for secret in [&WARM, &THEIRS] {
        let authority = address_of(secret);
        let account = authority.to_string();
        let change = Effect::AuthorityChange {
            subject: destination(&world, authority),
            scope: AuthorityScope::Delegate,
            holder: Some(destination(&world, DELEGATE)),
        };
        assert!(parsed.effects().contains(&change), "{authority}");
        assert_eq!(node.call("eth_getCode", json!([account, "latest"])), code);
        assert_eq!(node.call("eth_getTransactionCount", json!([account, "latest"])), "0x1");
    }
    assert_eq!(parsed.conflict_keys().len(), 2);
}

/// Creation code of `contracts/Demo.sol`.
const TOKEN_CODE: &str = include_str!("../../contracts/Demo.hex");
const TOKENS: u64 = 2_500_000;

/// We create a token ourselves, with code and address as the effects say, and a draft of ours moves it.
#[test]
fn a_created_token_moves_as_the_effects_say() {
    let Some(program) = node::find() else { return };
    let node = Node::start(&program);
    let token = address_of(&HOT).create(0);
    let asset: AssetId = format!("eip155:{CHAIN_ID}/erc20:{token}").parse().unwrap();
    let record = AssetRecord {
        id: asset.clone(),
        symbol: "DEMO".parse().unwrap(),
        decimals: Decimals::new(6).unwrap(),
        quirks: BTreeSet::new(),
    };
    let world = world_with(CHAIN_ID, &[&[public_key(&HOT)]], vec![record]);
    node.call("anvil_setBalance", json!([world.address(), TEN_ETHER]));
    let mine = |unsigned: &[u8]| {
        let parsed = world.parse(unsigned).unwrap();
        let signed = sign(&world, &HOT, unsigned, &parsed);
        node.call(
            "eth_sendRawTransaction",
            json!([format!("0x{}", hex::encode(&signed.bytes))]),
        );
        (parsed, node.mined(&signed.txid))
    };

    let code = hex::decode(TOKEN_CODE.trim()).unwrap();
    let (parsed, receipt) = mine(&drafts::creation(code.clone()).unsigned);
    let deployed = Effect::CodeChange {
        subject: None,
        change: CodeChangeKind::Deploy,
        code,
    };
    assert!(parsed.effects().contains(&deployed));
    assert!(is_address(&receipt["contractAddress"], &token.to_string()));

    let draft = TransferDraft {
        asset: asset.clone(),
        amount: Amount::from_base_units(TOKENS),
        destination: destination(&world, STRANGER),
        nonce: 1,
        gas_limit: 100_000,
        price: GasPrice::Eip1559 {
            max_fee_per_gas: 5 * GWEI,
            max_priority_fee_per_gas: GWEI,
        },
    };
    let (token, stranger) = (token.to_string(), STRANGER.to_string());
    let before = node.token_balance(&token, &world.address());
    let (parsed, _) = mine(&draft.encode().unwrap());
    let transfer = Effect::Transfer {
        asset,
        amount: draft.amount,
        destination: draft.destination,
    };
    assert_eq!(parsed.effects()[0], transfer);
    assert_eq!(parsed.effects().len(), 2, "the transfer and the fee");
    assert_eq!(node.token_balance(&token, &stranger), u128::from(TOKENS));
    assert_eq!(
        node.token_balance(&token, &world.address()),
        before - u128::from(TOKENS)
    );
}
