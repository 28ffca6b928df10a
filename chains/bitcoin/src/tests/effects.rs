//! What a payment does, one change at a time: whose outputs, which change, what nobody understands.

use bitcoin::{ScriptBuf, Sequence, TxIn, XOnlyPublicKey, consensus::serialize, script::Builder};
use countersign_types::{Effect, OpaqueKind, ParsedTransactionError, Tag};

use super::bytes::{meaning, xpub};
use super::fixtures::{
    Draft, Field, HOT, Maps, STRANGER, WARM, World, claimed_key, drafted, multisig_of, network_of, output, p2wpkh_of,
    payment_v2_with, payment_with, public_key, script_of, two_of_three,
};
use crate::{
    ParseError, Place, PsbtError,
    account::KeyScript,
    address::{p2tr, p2wsh},
};

#[test]
fn the_payment_itself() {
    let world = World::new();
    let parsed = world.parse(&Draft::payment().maps().encode()).unwrap();
    let (stranger, own) = (p2wpkh_of(&STRANGER), p2wpkh_of(&HOT[0]));
    let change = world.internal(39_000, &own, "btc-hot", true);
    assert_eq!(
        parsed.effects(),
        [world.transfer(60_000, &stranger), change, world.fee(1_000)]
    );
}

/// Each of the three bounds, with the others out of the way: the last fee within, and the first one over.
#[test]
fn fees_are_bounded_by_the_network() {
    let yaml = include_str!("../../networks/bitcoin.yaml");
    let (any_rate, any_share) = (
        ("max-fee-rate-sat-vb: 5000", "max-fee-rate-sat-vb: 100000000"),
        ("max-fee-percent: 50", "max-fee-percent: 100"),
    );
    let cases = [
        (
            vec![any_rate, any_share],
            10_000_000,
            ParseError::FeeTooHigh {
                found: 10_000_001,
                max: 10_000_000,
            },
        ),
        (
            vec![any_share],
            5_000 * 141,
            ParseError::FeeRateTooHigh {
                found: 705_001,
                vbytes: 141,
                max: 5_000,
            },
        ),
        (
            vec![any_rate],
            99_000,
            ParseError::FeeShareTooHigh {
                found: 99_001,
                inputs: 198_001,
                max: 50,
            },
        ),
    ];
    for (changes, last, error) in cases {
        let text = changes.iter().fold(yaml.to_owned(), |text, (from, to)| {
            assert_eq!(text.matches(from).count(), 1, "{from}");
            text.replace(from, to)
        });
        let world = World::on(network_of(&text).unwrap(), &HOT);
        let paying = |fee: u64| {
            let mut draft = Draft::payment();
            draft.previous[0].output[1].value = bitcoin::Amount::from_sat(99_000 + fee);
            draft.tx.input[0].previous_output.txid = draft.previous[0].compute_txid();
            world.parse(&draft.maps().encode())
        };
        assert_eq!(paying(last).unwrap().effects().last(), Some(&world.fee(last)));
        assert_eq!(error.tag(), Tag::TransactionMalformed);
        assert_eq!(paying(last + 1), Err(error));
    }
}

/// The change goes to a stranger; a derivation claims that it is ours. It is a payment like any other.
#[test]
fn claims_never_make_change() {
    let world = World::new();
    let mut draft = Draft::payment();
    let thief = p2wpkh_of(&WARM.map(|byte| byte + 2));
    draft.tx.output[1].script_pubkey = thief.clone();
    let mut maps = draft.maps();
    let claim = [&[0x02], public_key(&HOT[0]).as_bytes()].concat();
    Maps::set(&mut maps.outputs[1], &claim, &[1, 2, 3, 4, 0, 0, 0, 0]);
    Maps::set(&mut maps.inputs[0], &claimed_key(), &[1, 2, 3, 4, 0, 0, 0, 0]);
    let parsed = world.parse(&maps.encode()).unwrap();
    let expected = [
        world.transfer(60_000, &p2wpkh_of(&STRANGER)),
        world.transfer(39_000, &thief),
        world.fee(1_000),
    ];
    assert_eq!(parsed.effects(), expected);
}

/// A name, the output's script, the witness script that is shown for it, and the wallet that it goes to, as change or not.
type Case = (&'static str, ScriptBuf, Option<ScriptBuf>, Option<(&'static str, bool)>);

#[test]
fn change_is_the_same_wallet_in_the_same_form() {
    let world = World::new();
    let (p2wsh_two, two) = two_of_three();
    let one = multisig_of(1, &HOT);
    let mixed = multisig_of(2, &[HOT[0], HOT[1], STRANGER]);
    let own = |form, secret: &[u8; 32]| script_of(form, secret);
    let cases: Vec<Case> = vec![
        (
            "another key of the wallet",
            own(KeyScript::P2wpkh, &HOT[2]),
            None,
            Some(("btc-hot", true)),
        ),
        (
            "another form",
            own(KeyScript::P2pkh, &HOT[0]),
            None,
            Some(("btc-hot", false)),
        ),
        ("taproot", own(KeyScript::P2tr, &HOT[0]), None, Some(("btc-hot", false))),
        (
            "nested",
            own(KeyScript::P2shP2wpkh, &HOT[0]),
            None,
            Some(("btc-hot", false)),
        ),
        (
            "another wallet",
            own(KeyScript::P2wpkh, &WARM),
            None,
            Some(("btc-warm", false)),
        ),
        ("own multisig", p2wsh_two.clone(), Some(two), Some(("btc-hot", false))),
        (
            "own multisig, one of three",
            p2wsh(&one),
            Some(one),
            Some(("btc-hot", false)),
        ),
        ("multisig with a stranger", p2wsh(&mixed), Some(mixed), None),
        ("multisig that is not shown", p2wsh_two, None, None),
    ];
    for (name, script, witness_script, wallet) in cases {
        let mut draft = Draft::payment();
        draft.tx.output[1].script_pubkey = script.clone();
        let mut maps = draft.maps();
        if let Some(shown) = witness_script {
            Maps::set(&mut maps.outputs[1], &[0x01], shown.as_bytes());
        }
        let parsed = world.parse(&maps.encode()).unwrap();
        let expected = match wallet {
            Some((wallet, change)) => world.internal(39_000, &script, wallet, change),
            None => world.transfer(39_000, &script),
        };
        assert_eq!(parsed.effects()[1], expected, "{name}");
    }
}

#[test]
fn multisig_change_keeps_its_threshold() {
    let world = World::new();
    let (script, two) = two_of_three();
    let reordered = multisig_of(2, &[HOT[2], HOT[0], HOT[1]]);
    for (shown, change) in [(two.clone(), true), (reordered, true), (multisig_of(1, &HOT), false)] {
        let outputs = vec![output(60_000, p2wpkh_of(&STRANGER)), output(39_000, p2wsh(&shown))];
        let mut maps = Draft::spending(std::slice::from_ref(&script), outputs).maps();
        Maps::set(&mut maps.inputs[0], &[0x05], two.as_bytes());
        Maps::set(&mut maps.outputs[1], &[0x01], shown.as_bytes());
        let parsed = world.parse(&maps.encode()).unwrap();
        assert_eq!(
            parsed.effects()[1],
            world.internal(39_000, &p2wsh(&shown), "btc-hot", change)
        );
    }
}

#[test]
fn inputs_of_two_forms_have_no_change() {
    let world = World::new();
    let scripts = [p2wpkh_of(&HOT[0]), script_of(KeyScript::P2pkh, &HOT[0])];
    let outputs = vec![output(199_000, p2wpkh_of(&HOT[0]))];
    let parsed = world
        .parse(&Draft::spending(&scripts, outputs).maps().encode())
        .unwrap();
    assert_eq!(
        parsed.effects()[0],
        world.internal(199_000, &p2wpkh_of(&HOT[0]), "btc-hot", false)
    );
}

#[test]
fn multisig_scripts_that_are_not_ours_alone_are_refused() {
    let world = World::new();
    let parse = |shown: &ScriptBuf, committed: &ScriptBuf| {
        let draft = Draft::spending(&[p2wsh(committed)], vec![output(99_000, p2wpkh_of(&STRANGER))]);
        let mut maps = draft.maps();
        Maps::set(&mut maps.inputs[0], &[0x05], shown.as_bytes());
        world.parse(&maps.encode()).map(drop)
    };
    let (_, two) = two_of_three();
    assert_eq!(parse(&two, &two), Ok(()));
    assert_eq!(
        parse(&two, &multisig_of(1, &HOT)),
        Err(ParseError::FalseScript { input: 0 })
    );
    let with_drop = ScriptBuf::from_bytes([&[0x51, 0x75][..], two.as_bytes()].concat());
    let with_tail = ScriptBuf::from_bytes([two.as_bytes(), &[0x51]].concat());
    for foreign in [
        multisig_of(2, &[HOT[0], HOT[1], STRANGER]),
        multisig_of(2, &[HOT[0], HOT[0], HOT[1]]),
        multisig_of(4, &HOT),
        multisig_of(0, &HOT),
        with_drop,
        with_tail,
        ScriptBuf::new(),
    ] {
        assert_eq!(
            parse(&foreign, &foreign),
            Err(ParseError::ForeignInput { input: 0 }),
            "{foreign}"
        );
    }
    let taproot_trust = Draft::spending(
        &[script_of(KeyScript::P2tr, &HOT[0]), p2wpkh_of(&HOT[0])],
        vec![output(199_000, p2wpkh_of(&STRANGER))],
    );
    let mut maps = taproot_trust.maps();
    maps.inputs[0] = taproot_trust.taproot_maps().inputs.remove(0);
    assert_eq!(
        world.parse(&maps.encode()),
        Err(ParseError::MissingPrevious { input: 0 })
    );
}

#[test]
fn outputs_without_an_address_are_opaque() {
    let world = World::new();
    for (name, script) in [
        ("OP_RETURN", ScriptBuf::new_op_return([1, 2, 3])),
        ("bare multisig", multisig_of(1, &[STRANGER])),
        (
            "bare key",
            Builder::new()
                .push_slice([2; 33])
                .push_opcode(bitcoin::opcodes::all::OP_CHECKSIG)
                .into_script(),
        ),
        (
            "witness version 2",
            ScriptBuf::from_bytes([&[0x52, 32][..], &[7; 32]].concat()),
        ),
        ("pay to anchor", ScriptBuf::from_bytes(vec![0x51, 0x02, 0x4e, 0x73])),
        ("empty", ScriptBuf::new()),
    ] {
        let of_sat = |sat| drafted(|draft| draft.tx.output[1] = output(sat, script.clone()));
        let opaque = Effect::Opaque {
            what: OpaqueKind::Script,
            target: None,
            bytes: serialize(&output(0, script.clone())),
        };
        assert_eq!(world.parse(&of_sat(0)).unwrap().effects()[1], opaque, "{name}");
        // No limit would count them, whatever the rule for such scripts was written for.
        for found in [1, 39_000] {
            let error = world.parse(&of_sat(found)).unwrap_err();
            assert_eq!(error, ParseError::CoinsWithoutAddress { output: 1, found }, "{name}");
            assert_eq!(error.tag(), Tag::TransactionBadDestination);
        }
    }
}

/// Effects are counted before they are made, and before anything else is found: here the fee is too high as well.
#[test]
fn fields_without_number_are_not_turned_into_effects() {
    let mut draft = Draft::payment();
    draft.tx.output = vec![output(0, ScriptBuf::new()); 70];
    let mut maps = draft.maps();
    for map in &mut maps.outputs {
        map.extend((0x40..0x40 + 60).map(|kind| (vec![kind], vec![])));
    }
    let error = World::new().parse(&maps.encode()).unwrap_err();
    let too_many = ParsedTransactionError::TooManyEffects(70 * 61 + 1);
    assert_eq!(error, ParseError::Whole(too_many));
    assert_eq!(error.tag(), Tag::TransactionMalformed);
}

#[test]
fn unknown_fields_are_opaque_wherever_they_stand() {
    let world = World::new();
    let key = [0xfc, 0x01, 0x02];
    let place = |at: [u8; 5]| [&at[..], &[0, 0, 0, 0, 0, 0, 0, 3], &key, b"value"].concat();
    type Change = fn(&mut Maps) -> &mut Vec<Field>;
    let cases: [(Change, [u8; 5]); 3] = [
        (|maps| &mut maps.global, [0, 0, 0, 0, 0]),
        (|maps| &mut maps.inputs[0], [1, 0, 0, 0, 0]),
        (|maps| &mut maps.outputs[1], [2, 0, 0, 0, 1]),
    ];
    for (map, at) in cases {
        let parsed = world
            .parse(&payment_with(|maps| Maps::set(map(maps), &key, b"value")))
            .unwrap();
        let opaque = Effect::Opaque {
            what: OpaqueKind::PsbtField,
            target: None,
            bytes: place(at),
        };
        assert_eq!(parsed.effects()[2], opaque);
        assert_eq!(parsed.effects().len(), 4);
    }
}

/// BIP 174: where an extended key comes from has as many steps as its depth. Nothing is decided on it.
#[test]
fn extended_keys_are_claims_of_their_form() {
    let world = World::new();
    let with = |key: &[u8], steps: usize| {
        let origin = [&[1, 2, 3, 4][..], &[0, 0, 0, 0x80].repeat(steps)].concat();
        let v0 = payment_with(|maps| Maps::set(&mut maps.global, key, &origin));
        let v2 = payment_v2_with(|maps| Maps::set(&mut maps.global, key, &origin));
        [world.parse(&v0), world.parse(&v2)]
    };
    let expected = meaning(&world.parse(&payment_with(|_| {})).unwrap());
    for (depth, steps) in [(0, 0), (1, 1), (3, 3)] {
        let found = with(&xpub(depth), steps).map(|parsed| meaning(&parsed.unwrap()));
        assert_eq!(found, [expected.clone(), expected.clone()]);
    }
    let long = [&xpub(1)[..], &[0]].concat();
    let short = &xpub(1)[..78];
    for (key, steps) in [
        (&xpub(1)[..], 0),
        (&xpub(1), 2),
        (&xpub(0), 1),
        (&long, 1),
        (short, 1),
        (&[0x01], 0),
    ] {
        let place = Place::Global;
        let bad = ParseError::Psbt(PsbtError::BadField { place, kind: 0x01 });
        assert_eq!(with(key, steps), [Err(bad.clone()), Err(bad)]);
    }
}

/// BIP 371: an internal key is shown for a stranger's output or for our own input only if it makes the output key.
#[test]
fn internal_keys_must_make_the_output_key() {
    let world = World::new();
    let x_only = |secret: &[u8; 32]| XOnlyPublicKey::from_slice(&public_key(secret).as_bytes()[1..]).unwrap();
    let key = x_only(&STRANGER);
    let pay = |script: ScriptBuf, fields: &[Field]| {
        let mut draft = Draft::payment();
        draft.tx.output[0].script_pubkey = script;
        let mut maps = draft.maps();
        for (kind, value) in fields {
            Maps::set(&mut maps.outputs[0], kind, value);
        }
        world.parse(&maps.encode()).map(|parsed| parsed.effects()[0].clone())
    };
    let shown = |key: XOnlyPublicKey| (vec![0x05], key.serialize().to_vec());
    let script = p2tr(key, None);
    let (transfer, refused) = (
        world.transfer(60_000, &script),
        ParseError::FalseOutputScript { output: 0 },
    );
    assert_eq!(pay(script.clone(), &[shown(key)]), Ok(transfer.clone()));
    assert_eq!(pay(script.clone(), &[shown(x_only(&WARM))]), Err(refused.clone()));
    assert_eq!(
        pay(script_of(KeyScript::P2tr, &STRANGER), &[shown(key)]),
        Err(refused.clone())
    );
    assert_eq!(pay(p2wpkh_of(&STRANGER), &[shown(key)]), Err(refused));
    // With a tree, both are shown as they are and nothing is believed.
    let tree = (vec![0x06], vec![0, 0xc0, 1, 0x51]);
    assert_eq!(pay(script, &[shown(x_only(&WARM)), tree]), Ok(transfer));

    let spend = |form, fields: &[Field]| {
        let draft = Draft::spending(&[script_of(form, &HOT[0])], vec![output(99_000, p2wpkh_of(&STRANGER))]);
        let mut maps = draft.maps();
        for (kind, value) in fields {
            Maps::set(&mut maps.inputs[0], kind, value);
        }
        world.parse(&maps.encode()).map(drop)
    };
    let internal = |key: XOnlyPublicKey| (vec![0x17], key.serialize().to_vec());
    let root = (vec![0x18], vec![7; 32]);
    let refused = Err(ParseError::FalseScript { input: 0 });
    assert_eq!(spend(KeyScript::P2tr, &[]), Ok(()));
    assert_eq!(spend(KeyScript::P2tr, &[internal(x_only(&HOT[0]))]), refused);
    assert_eq!(spend(KeyScript::P2tr, std::slice::from_ref(&root)), refused);
    assert_eq!(spend(KeyScript::P2tr, &[internal(key), root.clone()]), refused);
    assert_eq!(spend(KeyScript::P2wpkh, &[internal(x_only(&HOT[0]))]), refused);
    assert_eq!(spend(KeyScript::P2wpkh, &[root]), refused);
}

#[test]
fn sequence_and_lock_time_change_what_is_signed() {
    let world = World::new();
    let payloads = |bytes: &[u8]| world.parse(bytes).unwrap().signing_payloads().to_vec();
    let valid = payloads(&Draft::payment().maps().encode());
    let sequence = drafted(|draft| {
        draft.tx.input[0] = TxIn {
            sequence: Sequence::MAX,
            ..draft.tx.input[0].clone()
        };
    });
    assert_ne!(payloads(&sequence), valid);
}

/// Golden: the registry's tests read it too.
#[test]
fn the_payment_is_the_one_in_the_vectors() {
    let golden = include_str!("../../vectors/payment.psbt.hex").trim();
    assert_eq!(hex::encode(Draft::payment().maps().encode()), golden);
}
