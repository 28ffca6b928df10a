//! The layout of call data: one encoding of the arguments is read, every other one is opaque.

use alloy_primitives::U256;
use countersign_types::EffectKind;
use proptest::prelude::*;

use super::{
    calls::cases,
    encoder::{Arg, account, blob, calldata, number},
    fixtures::{CONTRACT, STRANGER, TOKEN, World, call_with, other_values, transfer_input},
    nesting::{aggregate3, effect_bytes, multicall, safe},
};

/// A multicall of one transfer, as words behind the selector: offset of the list, length, offset of the item, length of
/// the item, item.
fn words() -> Vec<[u8; 32]> {
    let input = multicall(&[transfer_input(STRANGER, 1)]);
    input[4..].chunks(32).map(|word| word.try_into().unwrap()).collect()
}

fn input_of(words: &[[u8; 32]]) -> Vec<u8> {
    [&multicall(&[])[..4], &words.concat()].concat()
}

fn word(number: u64) -> [u8; 32] {
    U256::from(number).to_be_bytes()
}

#[test]
fn one_word_out_of_place_is_opaque() {
    let world = World::new();
    assert_eq!(words()[..4], [word(32), word(1), word(32), word(68)]);
    let changed = |at: usize, to: [u8; 32]| {
        let mut words = words();
        words[at] = to;
        words
    };
    let mut gap = changed(2, word(64));
    gap.insert(3, word(0));
    let mut overlap = changed(1, word(2));
    overlap.insert(2, word(64));
    overlap[3] = word(64);
    let mut dirty = words();
    dirty.last_mut().unwrap()[31] = 1;
    let cases = [
        ("the list's offset is short", changed(0, word(0))),
        ("the list's offset is far", changed(0, word(64))),
        ("the list's offset is over 64 bits", changed(0, [0xff; 32])),
        (
            "the list's offset has a high bit",
            changed(0, {
                let mut word = word(32);
                word[0] = 0x80;
                word
            }),
        ),
        ("the list is longer than its items", changed(1, word(2))),
        ("the list is shorter than its items", changed(1, word(0))),
        ("the list's length is absurd", changed(1, [0xff; 32])),
        ("the item's offset goes back", changed(2, word(0))),
        ("a gap", gap),
        ("an item that is two", overlap),
        ("the item is longer than its bytes", changed(3, word(97))),
        ("the item is shorter", changed(3, word(67))),
        ("the item's length is absurd", changed(3, [0xff; 32])),
        ("the item's length wraps", changed(3, word(u64::MAX))),
        ("dirty padding", dirty),
    ];
    for (name, words) in cases {
        let input = input_of(&words);
        let found = world.effects_of_call(TOKEN, &input);
        assert_eq!(found, [world.opaque(TOKEN, &input)], "{name}");
    }
}

#[test]
fn words_out_of_their_types_range_are_opaque() {
    let world = World::new();
    let mut padded = STRANGER.into_word().0;
    padded[0] = 1;
    let signature = "permit(address,address,uint256,uint256,uint8,bytes32,bytes32)";
    let (stranger, any) = (account(STRANGER), number(1));
    let permit = |owner: Arg, v| {
        [
            owner,
            stranger.clone(),
            any.clone(),
            any.clone(),
            number(v),
            any.clone(),
            any.clone(),
        ]
    };
    for input in [
        calldata("setApprovalForAll(address,bool)", &[stranger.clone(), number(2)]),
        calldata("setApprovalForAll(address,bool)", &[Arg::Word(padded), number(1)]),
        calldata(signature, &permit(stranger.clone(), 256)),
        calldata(signature, &permit(Arg::Word(padded), 27)),
        calldata("transferOwnership(address)", &[Arg::Word(padded)]),
        calldata(
            "disperseToken(address,address[],uint256[])",
            &[Arg::Word(padded), Arg::List(vec![]), Arg::List(vec![])],
        ),
    ] {
        assert_eq!(world.effects_of_call(TOKEN, &input), [world.opaque(TOKEN, &input)]);
    }
}

/// A changed byte of any function's call data is refused, or seen in the effects.
#[test]
fn every_changed_byte_of_call_data_is_seen() {
    let world = World::new();
    let mut inputs: Vec<_> = cases(&world)
        .into_iter()
        .map(|case| (case.signature, case.to, case.value, case.input))
        .collect();
    let inner = safe(TOKEN, 0, &transfer_input(STRANGER, 5), 0);
    inputs.extend([
        ("Safe", CONTRACT, 0, inner.clone()),
        ("Safe, delegatecall", CONTRACT, 0, safe(STRANGER, 0, &[1, 2, 3, 4], 1)),
        ("aggregate3 of a Safe", CONTRACT, 0, aggregate3(&[(CONTRACT, inner)])),
        (
            "multicall",
            TOKEN,
            0,
            multicall(&[transfer_input(STRANGER, 1), transfer_input(STRANGER, 2)]),
        ),
    ]);
    for (name, to, value, input) in inputs {
        let original = world.effects_of_paying_call(to, value, &input);
        for at in 0..input.len() {
            for other in other_values(input[at], &[0x01, 0x80]) {
                let mut changed = input.to_vec();
                changed[at] = other;
                if let Ok(parsed) = world.parse(&call_with(to, value, &changed)) {
                    let effects = &parsed.effects()[..parsed.effects().len() - 1];
                    assert_ne!(effects, original, "{name} byte {at} to {other:#x}");
                }
            }
        }
    }
}

fn call_tree() -> impl Strategy<Value = alloy_primitives::Bytes> {
    let leaf = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..80).prop_map(Into::into),
        (1_u64..).prop_map(|amount| transfer_input(STRANGER, amount)),
    ];
    leaf.prop_recursive(8, 64, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|inputs| multicall(&inputs)),
            prop::collection::vec((prop_oneof![Just(TOKEN), Just(CONTRACT)], inner.clone()), 0..4)
                .prop_map(|calls| aggregate3(&calls)),
            (inner, 0_u64..3).prop_map(|(input, operation)| safe(TOKEN, 0, &input, operation)),
        ]
    })
}

proptest! {
    /// Arbitrary nesting: no panic, never without effect, and no more bytes of effects than the depth bound allows.
    #[test]
    fn nesting_is_bounded(input in call_tree()) {
        let world = World::new();
        prop_assume!(!input.is_empty());
        let effects = world.effects_of_call(TOKEN, &input);
        let bytes = effect_bytes(&effects);
        prop_assert!(!effects.is_empty());
        prop_assert!(bytes <= input.len() * (crate::calls::MAX_DEPTH + 2));
    }

    /// A known selector over arbitrary words.
    #[test]
    fn arbitrary_arguments_never_panic(
        at in any::<prop::sample::Index>(),
        words in prop::collection::vec(prop_oneof![
            any::<[u8; 32]>(), (0_u64..300).prop_map(word), Just(account(STRANGER)).prop_map(|_| STRANGER.into_word().0),
        ], 0..14),
        rest in prop::collection::vec(any::<u8>(), 0..32),
    ) {
        let world = World::new();
        let cases = cases(&world);
        let selector = &cases[at.index(cases.len())].input[..4];
        let input = [selector, &words.concat(), &rest].concat();
        if let Ok(parsed) = world.parse(&call_with(TOKEN, 0, &input)) {
            prop_assert!(parsed.effects().iter().any(|effect| effect.kind() != EffectKind::Fee));
        }
    }

    /// What the encoder writes, the reader reads back.
    #[test]
    fn bytes_of_any_length_round_trip(data in prop::collection::vec(any::<u8>(), 0..200)) {
        let world = World::new();
        let input = calldata("upgradeToAndCall(address,bytes)", &[account(STRANGER), blob(data.clone())]);
        let change = countersign_types::CodeChangeKind::Upgrade;
        let code = [STRANGER.as_slice(), &data].concat();
        let effects = world.effects_of_call(CONTRACT, &input);
        prop_assert_eq!(&effects[1], &world.code_change(CONTRACT, change, &code));
    }
}
