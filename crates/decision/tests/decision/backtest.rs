//! Past withdrawals decided again under a candidate.

use countersign_decision::testing::{World, sealed};
use countersign_decision::{Backtest, Change};
use countersign_types::Tag;

use crate::{receipt::Draft, support::later};

#[test]
fn a_receipt_is_decided_again_under_a_candidate() {
    let (draft, genesis) = (Draft::new(), World::new().genesis_bytes);
    let table = [
        ("treasury: 2", "treasury: 2", Change::Same),
        ("treasury: 2", "treasury: 3", Change::AsksMore),
        ("treasury: 2", "treasury: 1", Change::AsksLess),
        ("hard: \"8 ETH\"", "hard: \"0.5 ETH\"", Change::Denied),
        // What a window held then was not asked for, so the log has it not.
        (
            "window: transaction, hard: \"8 ETH\"",
            "window: 24h, hard: \"8 ETH\"",
            Change::NotKnown,
        ),
        // Nor whether anybody had been paid before, what an ether was worth, or what a book said: nobody looked.
        (
            "      effects: [transfer]\n      total: { over",
            "      effects: [transfer]\n      to: { first-seen: true }\n      total: { over",
            Change::NotKnown,
        ),
        (
            "forbids:\n",
            "forbids:\n  - { id: strangers, when: { to: { first-seen: true } } }\n",
            Change::NotKnown,
        ),
        // What another rule forbids without looking is certain.
        (
            "forbids:\n",
            "forbids:\n  - { id: strangers, when: { to: { first-seen: true } } }\n  - { id: none, when: { effects: [transfer] } }\n",
            Change::Denied,
        ),
    ];
    for (from, to, expected) in table {
        let candidate = candidate("policy.yaml", from, to);
        let mut test = Backtest::of_receipts(&genesis, &candidate);
        let replay = test.replay(&draft.write()).unwrap().unwrap();
        assert_eq!(replay.change(), expected, "{to}: {:?}", replay.now);
        assert_eq!(replay.withdrawal, draft.fixture.withdrawal());
    }
    let candidate = World::new().bundle();
    let mut test = Backtest::of_receipts(&genesis, &candidate);
    let mut pending = Draft::new();
    pending.entries.truncate(5);
    (pending.unsigned, pending.signed) = (None, None);
    assert_eq!(test.replay(&pending.write()).unwrap(), None);
    let mut other = Draft::new();
    other.decision(5).decided_at = later(other.fixture.now, 1);
    assert!(test.replay(&other.write()).is_err(), "it is verified first");
}

/// The bundle in force with one text of a file replaced.
fn candidate(file: &str, from: &str, to: &str) -> countersign_bundle::Bundle {
    let mut files = World::new().files;
    let text = String::from_utf8(files[file].clone()).unwrap();
    assert_eq!(text.matches(from).count(), 1, "{from}");
    files.insert(file.to_owned(), text.replace(from, to).into_bytes());
    countersign_bundle::Bundle::load(&sealed(1, None, files)).unwrap()
}

/// A limit that nothing counted then is added up over what was signed before; what has left its window counts no more.
#[test]
fn a_log_is_decided_again_with_what_it_spent() {
    use countersign_decision::Change::{Denied, NotKnown, Same};
    let genesis = World::new().genesis_bytes;
    let [first, soon, later] = [60, 119, 120].map(|secs| Draft::decided_at(secs).write());
    let changes = |to: &str, receipts: &[&Vec<u8>]| {
        let candidate = candidate("policy.yaml", "window: transaction, hard: \"8 ETH\"", to);
        let mut test = Backtest::of_log(&genesis, &candidate);
        let change = |receipt: &&Vec<u8>| test.replay(receipt).unwrap().unwrap().change();
        receipts.iter().map(change).collect::<Vec<_>>()
    };
    let minute = |hard: &str| format!("window: 1m, hard: \"{hard} ETH\"");
    assert_eq!(changes(&minute("1"), &[&first, &soon]), [Same, Denied]);
    assert_eq!(changes(&minute("2"), &[&first, &soon]), [Same, Same]);
    assert_eq!(changes(&minute("1"), &[&first, &later]), [Same, Same]);
    // What was denied now was signed then, and counts.
    assert_eq!(changes(&minute("1"), &[&first, &soon, &later]), [Same, Denied, Denied]);
    assert_eq!(changes("window: 1m, count: 1", &[&first, &soon]), [Same, Denied]);
    // The log does not say whether the destination had been paid before.
    let strangers = "window: 1m, new-destinations: 9";
    assert_eq!(changes(strangers, &[&first, &soon]), [NotKnown, NotKnown]);
}

/// That somebody is nobody under the candidate is an answer about the candidate, not about the receipt.
#[test]
fn who_asked_may_be_nobody_under_a_candidate() {
    let roster = String::from_utf8(World::new().files["roster.yaml"].clone()).unwrap();
    let (_, service) = roster.split_once("id: \"payout-service\"").unwrap();
    let (_, key) = service.split_once("ed25519:").unwrap();
    let (key, _) = key.split_once('"').unwrap();
    let other = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    let candidate = candidate("roster.yaml", key, other);
    let genesis = World::new().genesis_bytes;
    let replay = Backtest::of_log(&genesis, &candidate)
        .replay(&Draft::new().write())
        .unwrap()
        .unwrap();
    assert_eq!(replay.change(), Change::Denied);
    assert_eq!(replay.now.unwrap_err()[0].tag, Tag::StatementUnknownKey);
}
