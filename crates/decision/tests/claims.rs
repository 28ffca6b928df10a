//! Which nonces a transaction claims, in which order, and what it waits for; and of which template bytes are.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::wildcard_enum_match_arm,
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "tests fail by panicking"
)]

mod support;

use countersign_approval::{TemplateKind, TransactionBinding};
use countersign_decision::Outcome;
use countersign_decision::testing::{Ask, STRANGER};
use countersign_types::Tag;
use support::{Fixture, assert_allowed, assert_denied, assert_pending, assert_round_trips, tags};

type Change = fn(&mut Fixture);

fn at(nonce: u64) -> Ask {
    Ask {
        nonce,
        ..Ask::default()
    }
}

/// A nonce ahead of its turn is approved and waits; everything else about it is decided meanwhile.
#[test]
fn a_nonce_ahead_waits() {
    let gap = Tag::ConflictKeyGap;
    let cases: Vec<(&str, Change, &[Tag])> = vec![
        ("the first nonce is skipped", |f| f.pay(&at(1)), &[Tag::ConflictKeyGap]),
        (
            "far ahead",
            |f| {
                f.pay(&at(1_000));
                f.ledger.next_nonces.insert(f.world.wallet_address(), 7);
            },
            &[Tag::ConflictKeyGap],
        ),
        (
            "one approval is missing",
            |f| {
                f.pay(&at(1));
                f.approve(&["alice"]);
            },
            &[Tag::ApprovalMissing, Tag::ConflictKeyGap],
        ),
    ];
    for (what, change, expected) in cases {
        let mut fixture = Fixture::new();
        change(&mut fixture);
        let decision = fixture.decide();
        assert_pending(what, &decision, expected);
        assert!(!decision.entry.seats.is_empty() && decision.effects.is_some(), "{what}");
        assert_round_trips(&decision);
    }
    let mut fixture = Fixture::new();
    fixture.pay(&Ask {
        destination: STRANGER.to_owned(),
        ..at(1)
    });
    assert_denied("denied at once", &fixture.decide(), Tag::PermitUncovered);
    let mut fixture = Fixture::new();
    fixture.pay(&at(1));
    let rejection = fixture.world.rejection("carol", &fixture.request);
    fixture.say(rejection);
    let is_final = assert_denied("rejected while it waits", &fixture.decide(), Tag::ApprovalRejected);
    assert!(is_final);
    let mut fixture = Fixture::new();
    fixture.pay(&at(1));
    assert_pending("its turn has not come", &fixture.decide(), &[gap]);
    fixture.ledger.next_nonces.insert(fixture.world.wallet_address(), 1);
    assert_allowed(&fixture.decide());
}

/// The three families through the decision: valid bytes of a template, and one mutation of each that leaves it.
#[test]
fn each_family_has_its_template() {
    let mut evm = Fixture::new();
    evm.pay(&Ask {
        is_template: true,
        ..Ask::default()
    });
    assert_allowed(&evm.decide());
    evm.unsigned = with_access_list(&evm.unsigned);
    let mismatch = Tag::RequestTransactionMismatch;
    assert_eq!(reasons_of(&evm), [mismatch], "an access list");

    let other = |template: TemplateKind, fixture: &mut Fixture| {
        fixture.body.transaction = TransactionBinding::Template(template);
        fixture.seal();
        fixture.approve(&["alice", "bob"]);
        reasons_of(fixture)
    };
    for template in [TemplateKind::BitcoinInputsAndFee, TemplateKind::SolanaBlockhashAndFee] {
        let mut evm = Fixture::new();
        assert_eq!(other(template, &mut evm), [mismatch], "{template:?}");
    }
}

fn reasons_of(fixture: &Fixture) -> Vec<Tag> {
    match fixture.decide().outcome {
        Outcome::Denied { reasons, .. } => tags(&reasons),
        other => panic!("{other:?}"),
    }
}

/// The transaction with one entry in its access list: EIP-1559 ends in `c0`, an empty list.
fn with_access_list(unsigned: &[u8]) -> Vec<u8> {
    let (body, end) = unsigned[2..].split_at(unsigned.len() - 3);
    assert_eq!((unsigned[0], end), (2, &[0xc0][..]));
    // [[address, []]] in RLP.
    let entry = [&[0xd7, 0xd6, 0x94][..], &[0x42; 20], &[0xc0]].concat();
    let length = body.len() + entry.len();
    assert!((56..256).contains(&length));
    // The head of the outer list was one byte below 56, and is two now.
    [&[2, 0xf8, length as u8], body, &entry].concat()
}
