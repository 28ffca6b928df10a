//! The incident shapes of the issue, each with everything that is seen of it: what a list with one effect too few would hide.

use alloy_primitives::{Bytes, TxKind, U256};
use countersign_types::{Amount, AuthorityScope, CodeChangeKind, Effect, EffectKind, OpaqueKind};
use serde_json::json;

use super::{
    authorizations::their_address,
    encoder::{Arg, account, calldata, number},
    fixtures::{
        CONTRACT, ETHER, HOT_KEY, STRANGER, THIEF, TOKEN, World, call_with, eip1559_with, eip7702_with, prehash, sign,
        transfer_input,
    },
    messages::personal,
    nesting::{multicall, safe, safe_with},
    permits::message_with,
};

/// One shape of a theft, and the whole of what is seen of it.
struct Shape {
    name: &'static str,
    unsigned: Vec<u8>,
    /// Everything but the fee.
    effects: Vec<Effect>,
}

fn shapes(world: &World) -> Vec<Shape> {
    let shape = |name, unsigned, effects| Shape {
        name,
        unsigned,
        effects,
    };
    let delayed = |contract| Effect::DelayedAuthorization {
        mechanism: world.destination(contract),
    };
    let delegatecall = |data: &[u8]| {
        let code = [THIEF.as_slice(), data].concat();
        world.code_change(CONTRACT, CodeChangeKind::DelegateCall, &code)
    };
    let sweep = transfer_input(THIEF, 0);
    let call = |to, input: &Bytes| call_with(to, 0, input);
    let by_safe = safe(THIEF, 0, &sweep, 1);
    let refunding = safe_with(STRANGER, 5, &[], 0, [0, 1, 1_000_000_000, 0, 0]);
    let trailing: Bytes = [&transfer_input(STRANGER, 5)[..], &[0]].concat().into();
    let twice = multicall(&[transfer_input(STRANGER, 5), transfer_input(THIEF, 5)]);
    let disperse = calldata(
        "disperseToken(address,address[],uint256[])",
        &[
            account(TOKEN),
            Arg::List(vec![account(STRANGER), account(THIEF)]),
            Arg::List(vec![number(5), number(5)]),
        ],
    );
    let code = vec![0x60, 0x00, 0xf3];
    let hidden = login_with_permit();
    vec![
        shape(
            "a delegatecall through a Safe, as a transaction",
            call(CONTRACT, &by_safe),
            vec![world.contract_call(CONTRACT, &by_safe), delegatecall(&sweep)],
        ),
        shape(
            "a delegatecall through a Safe, as typed data",
            message_with("Safe: Bybit's delegatecall", |_| ()),
            vec![delegatecall(&sweep), delayed(CONTRACT)],
        ),
        shape(
            "a permit as typed data, the domain of which says something harmless",
            message_with("EIP-2612 permit of everything", |m| {
                m["domain"]["name"] = "Sign in".into()
            }),
            vec![world.allowance("erc20", TOKEN, Amount::MAX, THIEF), delayed(TOKEN)],
        ),
        shape(
            "a permit inside other typed data",
            hidden.clone(),
            vec![
                delayed(TOKEN),
                Effect::Opaque {
                    what: OpaqueKind::TypedData,
                    target: Some(world.destination(TOKEN)),
                    bytes: hidden,
                },
            ],
        ),
        shape(
            "trailing call data",
            call(TOKEN, &trailing),
            vec![world.opaque(TOKEN, &trailing)],
        ),
        shape(
            "a delegation of another account (EIP-7702)",
            eip7702_with(|_| ()),
            vec![
                world.authority(their_address(), AuthorityScope::Delegate, Some(CONTRACT)),
                world.ether(ETHER, STRANGER),
            ],
        ),
        shape(
            "no recipient that anybody recognises: a new contract",
            eip1559_with(|tx| (tx.to, tx.value, tx.input) = (TxKind::Create, U256::ZERO, code.clone().into())),
            vec![Effect::CodeChange {
                subject: None,
                change: CodeChangeKind::Deploy,
                code: code.clone(),
            }],
        ),
        shape(
            "no recipient that anybody recognises: an unknown function",
            call(CONTRACT, &vec![1, 2, 3, 4, 5].into()),
            vec![world.contract_call(CONTRACT, &[1, 2, 3, 4, 5])],
        ),
        shape(
            "two transfers in a multicall, the second is the theft",
            call(TOKEN, &twice),
            vec![
                world.contract_call(TOKEN, &twice),
                world.token(5, STRANGER),
                world.token(5, THIEF),
            ],
        ),
        shape(
            "two transfers in a disperse, the second is the theft",
            call(CONTRACT, &disperse),
            vec![
                world.contract_call(CONTRACT, &disperse),
                world.token(5, STRANGER),
                world.token(5, THIEF),
            ],
        ),
        shape(
            "a Safe transaction that refunds gas",
            call(CONTRACT, &refunding),
            vec![world.opaque(CONTRACT, &refunding)],
        ),
        shape(
            "a hash to sign, as a message for people",
            personal(&[0xaa; 32]),
            vec![Effect::PersonalMessage { bytes: vec![0xaa; 32] }],
        ),
    ]
}

/// A sign-in with a permit as one of its fields, for the token's own contract.
fn login_with_permit() -> Vec<u8> {
    message_with("EIP-2612 permit of everything", |m| {
        let permit = m["message"].take();
        m["types"]["Login"] = json!([{ "name": "site", "type": "string" }, { "name": "session", "type": "Permit" }]);
        m["primaryType"] = "Login".into();
        m["message"] = json!({ "site": "example.com", "session": permit });
    })
}

#[test]
fn each_shape_has_exactly_these_effects() {
    let world = World::new();
    for Shape {
        name,
        unsigned,
        effects,
    } in shapes(&world)
    {
        let parsed = world.parse(&unsigned).unwrap();
        let (fee, found) = parsed.effects().split_last().unwrap();
        assert_eq!(found, effects, "{name}");
        assert_eq!(fee.kind(), EffectKind::Fee, "{name}");
        // Each is signed as what it is, or not at all.
        let signed = world.assemble(&unsigned, &[sign(&HOT_KEY, &prehash(&parsed))]).unwrap();
        assert!(
            world.assemble(&unsigned, &[sign(&HOT_KEY, &[7; 32])]).is_err(),
            "{name}"
        );
        assert!(!signed.bytes.is_empty());
    }
}
