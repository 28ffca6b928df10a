//! Every byte of every message changed: where we accept it and the machine executes it, what moves is what the effects say.

use serde_json::Value;

use crate::{
    executed::scenarios,
    moved::{assert_as_said, says_everything},
    oracle::Disagreements,
    site::{Site, reason, transaction},
};

/// Some values for every byte.
fn mutants(message: &[u8]) -> Vec<Vec<u8>> {
    let mut mutants = Vec::new();
    for (index, byte) in message.iter().enumerate() {
        for other in [byte ^ 1, byte ^ 0x80, byte.wrapping_add(1), byte.wrapping_sub(1), 0] {
            let mut mutant = message.to_vec();
            mutant[index] = other;
            mutants.push(mutant);
        }
    }
    mutants.retain(|mutant| mutant != message);
    mutants.sort();
    mutants.dedup();
    mutants
}

#[test]
fn of_changed_messages_nothing_moves_that_is_no_effect() {
    let Some(mut site) = Site::start() else { return };
    site.attest();
    let mut disagreements = Disagreements::with("litesvm-mutants");
    let mut moved = 0;
    for scenario in scenarios(&mut site) {
        for mutant in mutants(&scenario.message) {
            let name = format!("{} {}", scenario.name, hex::encode(&mutant));
            let answer = site.attempt(&transaction(&mutant));
            let lands = answer["error"].is_null() && answer["failed"].is_null();
            match site.world.parse(&mutant) {
                Ok(parsed) => {
                    let signed = site.sign(&mutant, &parsed);
                    // What we accept is a message to the machine too, of the same bytes; that it lands is not said.
                    assert_eq!(answer["error"], Value::Null, "{name}");
                    assert_eq!(answer["reencoded"], hex::encode(&signed.bytes), "{name}");
                    if lands && says_everything(parsed.effects()) {
                        assert_as_said(&site, parsed.effects(), &answer, &name);
                        moved += 1;
                    }
                }
                Err(error) if lands => disagreements.note(&format!("refused: {}", reason(&error)), &name),
                Err(_) => {}
            }
        }
    }
    assert!(moved > 100, "only {moved} landed: the corpus says little");
    disagreements.settle();
}
