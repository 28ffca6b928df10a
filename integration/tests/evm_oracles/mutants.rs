//! The executable specification as the judge of validity: what we sign it accepts, with the same fields and from the wallet.

use alloy_primitives::{Address, U256};
use countersign_types::{AuthorityScope, Effect, ParsedTransaction};
use serde_json::{Value, json};

use crate::{
    drafts::{self, CHAIN_ID, HOT, WARM},
    oracle::{Disagreements, Judge, PYTHON, World, public_key},
    site::{Fields, destination, digest, nonce, reason, sign, sorted, world},
    vectors::bytes,
};

/// An unknown function and its arguments.
const CALL: &[u8] = &[0xde, 0xad, 0xbe, 0xef, 1, 2, 3];

fn own_world() -> World {
    world(CHAIN_ID, &[&[public_key(&HOT)], &[public_key(&WARM)]])
}

fn integer(value: &Value) -> U256 {
    U256::from_str_radix(value.as_str().unwrap(), 10).unwrap()
}

/// The fields as the specification decoded them.
fn fields(answer: &Value) -> Fields {
    let price = ["gas_price", "max_fee_per_gas"]
        .into_iter()
        .find(|name| !answer[name].is_null());
    let to = answer["to"].as_str().unwrap();
    Fields {
        nonce: integer(&answer["nonce"]).try_into().unwrap(),
        gas: integer(&answer["gas"]),
        gas_price: integer(&answer[price.unwrap()]),
        to: (to != "0x").then(|| to.parse().unwrap()),
        value: integer(&answer["value"]),
        data: bytes(&answer["data"]),
        blobs: answer["blobs"].as_array().unwrap().iter().map(bytes).collect(),
        blob_gas_price: match &answer["max_fee_per_blob_gas"] {
            Value::Null => U256::ZERO,
            price => integer(price),
        },
    }
}

/// Everything that the specification says about a transaction that we signed is what our parse says.
fn assert_agrees(world: &World, parsed: &ParsedTransaction, signed: &[u8], answer: &Value, name: &str) {
    assert_eq!(answer["error"], Value::Null, "{name}: {}", hex::encode(signed));
    assert_eq!(answer["encoded"], format!("0x{}", hex::encode(signed)), "{name}");
    let sender = answer["sender"].as_str().unwrap();
    assert_eq!(sender, world.address().to_lowercase(), "{name}");
    let fields = fields(answer);
    assert_eq!(nonce(world, parsed), fields.nonce, "{name}");

    let (changes, rest): (Vec<Effect>, Vec<Effect>) = sorted(parsed)
        .into_iter()
        .partition(|effect| matches!(effect, Effect::AuthorityChange { .. }));
    assert_eq!(rest, fields.effects(world), "{name}");
    let authorities = answer["authorities"].as_array().unwrap();
    let found: Vec<_> = changes
        .iter()
        .map(|change| match change {
            Effect::AuthorityChange {
                subject,
                scope: AuthorityScope::Delegate,
                ..
            } => subject.clone(),
            other => panic!("{name}: {other:?}"),
        })
        .collect();
    assert_eq!(found.len(), authorities.len(), "{name}");
    for authority in authorities {
        let authority: Address = authority.as_str().unwrap().parse().unwrap();
        assert!(found.contains(&destination(world, authority)), "{name}: {authority}");
    }
}

#[test]
fn what_we_sign_the_specification_accepts() {
    let Some(python) = PYTHON.find() else { return };
    let mut judge = Judge::start(&python, "ethereum_spec.py", &[]);
    let world = own_world();
    for data in [&[], CALL, &[1, 2]] {
        for draft in drafts::all(data).into_iter().chain([drafts::eip4844(data)]) {
            let parsed = world.parse(&draft.unsigned).unwrap();
            let signed = sign(&world, &HOT, &draft.unsigned, &parsed);
            let answer = judge.ask(&json!({ "signed": hex::encode(&signed.bytes), "chain_id": CHAIN_ID }));
            assert_agrees(&world, &parsed, &signed.bytes, &answer, draft.name);
            assert_eq!(answer["txid"], signed.txid, "{}", draft.name);
            // A block could hold it: gas, nonce and size are in order.
            assert_eq!(answer["invalid"], Value::Null, "{}", draft.name);

            // The judge does judge: another byte behind, and the other s, which is not low, do not pass.
            let longer = [&signed.bytes[..], &[0]].concat();
            for (bytes, high_s, error) in [
                (&longer, false, "DecodingError"),
                (&signed.bytes, true, "InvalidSignatureError"),
            ] {
                let question = json!({ "signed": hex::encode(bytes), "chain_id": CHAIN_ID, "high_s": high_s });
                let answer = judge.ask(&question);
                assert!(
                    answer["error"].as_str().unwrap().starts_with(error),
                    "{}: {answer}",
                    draft.name
                );
            }
        }
    }
}

/// Two changes of every byte, every byte left out, and one more at the end.
fn mutants(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut mutants = Vec::new();
    for (index, byte) in bytes.iter().enumerate() {
        let changed = [byte ^ 1, byte ^ 0x80];
        for other in changed.into_iter().filter(|other| other != byte) {
            let mut mutant = bytes.to_vec();
            mutant[index] = other;
            mutants.push(mutant);
        }
        mutants.push([&bytes[..index], &bytes[index + 1..]].concat());
    }
    mutants.push([bytes, &[0]].concat());
    mutants.sort();
    mutants.dedup();
    mutants
}

/// Whatever we accept, the specification accepts with the same meaning. What it accepts and we refuse is listed.
#[test]
fn of_changed_bytes_we_accept_no_more_than_the_specification() {
    let Some(python) = PYTHON.find() else { return };
    let mut judge = Judge::start(&python, "ethereum_spec.py", &[]);
    let world = own_world();
    let mut disagreements = Disagreements::with("ethereum-execution");
    for draft in drafts::refused_by_design() {
        let error = world.parse(&draft.unsigned).unwrap_err();
        let answer = judge.ask(&json!({ "unsigned": hex::encode(&draft.unsigned), "chain_id": CHAIN_ID }));
        assert_eq!(
            (&answer["error"], &answer["invalid"]),
            (&Value::Null, &Value::Null),
            "{}",
            draft.name
        );
        disagreements.note(&format!("refused: {} ({})", reason(&error), draft.name), draft.name);
    }
    let mut accepted = 0;
    for draft in drafts::all(CALL).into_iter().chain([drafts::eip4844(CALL)]) {
        for mutant in mutants(&draft.unsigned) {
            let name = format!("{} {}", draft.name, hex::encode(&mutant));
            match world.parse(&mutant) {
                Ok(parsed) => {
                    accepted += 1;
                    digest(&mutant, &parsed);
                    let signed = sign(&world, &HOT, &mutant, &parsed);
                    let answer = judge.ask(&json!({ "signed": hex::encode(&signed.bytes), "chain_id": CHAIN_ID }));
                    assert_agrees(&world, &parsed, &signed.bytes, &answer, &name);
                    if let Some(invalid) = answer["invalid"].as_str() {
                        disagreements.note(&format!("accepted: {invalid}"), &name);
                    }
                }
                Err(error) => {
                    let answer = judge.ask(&json!({ "unsigned": hex::encode(&mutant), "chain_id": CHAIN_ID }));
                    if answer["error"].is_null() {
                        disagreements.note(&format!("refused: {}", reason(&error)), &name);
                    }
                }
            }
        }
    }
    assert!(
        accepted > 1_000,
        "only {accepted} were accepted: the corpus says little"
    );
    disagreements.settle();
}
