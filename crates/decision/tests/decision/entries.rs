//! The entries of the log: their bytes are final, bounded, and say no more than is new.

use crate::support;

use countersign_approval::{Body, Rejection, RejectionItem};
use countersign_decision::testing::solana::table_fact;
use countersign_decision::{Entry, MAX_OBSERVATIONS, MAX_STATEMENTS, Outcome};
use countersign_types::{
    AuthorizationId, BundleDigest, EntryDigest, GenesisHash, PolicyDigest, RequestDigest, StatementDigest, Tag,
    Timestamp, TransactionDigest, Validity,
};
use support::{Fixture, assert_round_trips, expired, later};

type Change = fn(&mut Fixture);

/// What is asked again and again makes one entry: time alone is no news, whatever statements have expired.
#[test]
fn the_content_digest_leaves_out_time_alone() {
    let cases: Vec<(&str, Change)> = vec![
        ("pending", |f| f.approve(&["alice"])),
        ("denied", |f| f.ledger.ended = Some(Tag::WithdrawalCancelled)),
        ("the request has expired", |f| {
            f.now = f.header.validity.expires_at().to_timestamp();
        }),
        ("an approval has expired", |f| {
            let now = f.now;
            f.say(f.approval("carol", |_, header| header.validity = expired(now)));
            f.statements.remove(0);
        }),
        ("an approval is from the future", |f| {
            let from = later(f.now, 86_400_000).to_seconds();
            let until = later(f.now, 2 * 86_400_000).to_seconds();
            f.say(f.approval("carol", |_, header| {
                header.validity = Validity::new(from, until).unwrap()
            }));
            f.statements.remove(0);
        }),
    ];
    for (what, change) in cases {
        let mut fixture = Fixture::new();
        change(&mut fixture);
        let before = fixture.decide().entry;
        fixture.now = later(fixture.now, 3_600_000);
        let after = fixture.decide().entry;
        assert_ne!(before, after, "{what}");
        assert_eq!(
            before.content_digest().unwrap(),
            after.content_digest().unwrap(),
            "{what}"
        );
    }
    let mut fixture = Fixture::new();
    let allowed = fixture.decide().entry.content_digest().unwrap();
    fixture.approve(&["alice"]);
    assert_ne!(fixture.decide().entry.content_digest().unwrap(), allowed);
}

#[test]
fn an_authorization_is_the_same_one_only_for_the_same_everything() {
    let fixture = Fixture::new();
    let entry = fixture.decide().entry;
    let own = entry.authorization.clone().unwrap();
    let deployment = fixture.world.genesis.hash();
    assert_eq!(entry.authorization_until(deployment, own.sign_by), Some(own.clone()));
    let mut others = vec![
        entry.authorization_until(GenesisHash::of(b"other"), own.sign_by),
        entry.authorization_until(deployment, later(own.sign_by, 1)),
    ];
    let mut changed = entry.clone();
    changed.bundle = BundleDigest::of(b"other");
    others.push(changed.authorization_until(deployment, own.sign_by));
    let mut changed = entry.clone();
    changed.transaction = TransactionDigest::of(b"other");
    others.push(changed.authorization_until(deployment, own.sign_by));
    let mut changed = entry.clone();
    changed.authorization.as_mut().unwrap().attempt = 2;
    others.push(changed.authorization_until(deployment, own.sign_by));
    let mut changed = entry;
    changed.authorization.as_mut().unwrap().payloads.clear();
    others.push(changed.authorization_until(deployment, own.sign_by));
    for other in others {
        assert_ne!(other.unwrap().id, own.id);
    }
}

/// However hostile the statements are, a decision fits the log.
#[test]
fn the_largest_decision_fits_the_log() {
    let reason = "\"\\".repeat(256);
    let mut fixture = Fixture::new();
    let anchor = Some(fixture.nonce_key(0));
    fixture.ledger.attempts = (1..=63).map(|number| fixture.attempt(number, anchor.clone())).collect();
    fixture
        .ledger
        .attempts
        .iter_mut()
        .for_each(|attempt| attempt.txid = Some("5".repeat(88)));
    fixture.ledger.next_nonces.insert(fixture.world.wallet_address(), 1);
    fixture.statements.clear();
    for _ in 0..MAX_STATEMENTS {
        let item = RejectionItem {
            withdrawal: fixture.withdrawal(),
            reason: reason.clone(),
        };
        let body = Body::Rejection(Rejection { items: vec![item] });
        let rejection = fixture.world.sign("carol", body);
        fixture.say(rejection);
    }
    // Observers who have left the roster since.
    for sequence in 0..MAX_OBSERVATIONS {
        let observation = fixture.world.observation("node-a", sequence as u64, &[table_fact()]);
        fixture.say(observation);
    }
    let decision = fixture.decide();
    let Outcome::Denied { reasons, .. } = &decision.outcome else {
        panic!()
    };
    assert_eq!(reasons.len(), MAX_STATEMENTS, "the answer has all of them");
    assert_eq!(decision.entry.statements.len(), MAX_STATEMENTS + MAX_OBSERVATIONS);
    assert!(decision.entry.reasons.len() < reasons.len());
    let rejected = assert_round_trips(&decision);

    fixture.statements.clear();
    for _ in 0..MAX_STATEMENTS {
        let approval = fixture.approval("carol", |item, _| item.policy = PolicyDigest::of(b"other"));
        fixture.say(approval);
    }
    let pending = assert_round_trips(&fixture.decide());

    for number in 0..32 {
        let payment = format!("{number:0128}").parse().unwrap();
        fixture
            .ledger
            .payment_owners
            .insert(payment, RequestDigest::of(b"other"));
        let key = fixture.nonce_key(u64::MAX - number);
        fixture
            .ledger
            .conflict_owners
            .insert(key.to_string(), RequestDigest::of(b"other"));
    }
    let conflicts = assert_round_trips(&fixture.decide());
    for bytes in [rejected, pending, conflicts] {
        assert!(bytes.len() < 52_000, "{} bytes", bytes.len());
    }
}

/// Stored logs depend on these bytes: `vectors/` holds one entry of each kind.
#[test]
fn golden_entries() {
    let fixture = Fixture::new();
    // What depends on the files of the development bundle is replaced: they change, the form of an entry does not.
    let settled = |fixture: &Fixture| {
        let mut entry = fixture.decide().entry;
        entry.bundle = BundleDigest::of(b"a bundle");
        entry.first_bundle = BundleDigest::of(b"the first bundle");
        entry.trace = EntryDigest::of(b"a trace");
        for (number, seen) in entry.statements.iter_mut().enumerate() {
            seen.statement = StatementDigest::of(&[number as u8]);
        }
        if let Some(authorization) = &mut entry.authorization {
            authorization.id = AuthorizationId::of(b"an authorization");
        }
        Entry::Decision(Box::new(entry))
    };
    let Entry::Decision(allowed) = settled(&fixture) else {
        panic!()
    };
    let mut pending = Fixture::new();
    pending.approve(&["alice"]);
    let mut denied = Fixture::new();
    denied.ledger.ended = Some(Tag::WithdrawalCancelled);
    denied.ledger.attempts = vec![denied.attempt(1, Some(denied.nonce_key(0)))];
    let authorization = allowed.authorization.clone().unwrap();
    let statement = countersign_decision::StatementEntry {
        statement: fixture.request.statement_digest(),
        kind: fixture.request.kind(),
        signer: "payout-service".parse().unwrap(),
        withdrawals: vec![fixture.withdrawal()],
        first_seen_at: fixture.first_seen_at,
    };
    let approval = countersign_decision::StatementEntry {
        statement: StatementDigest::of(b"an approval"),
        kind: fixture.statements[0].0.kind(),
        signer: "alice".parse().unwrap(),
        ..statement.clone()
    };
    let entries = [
        (
            include_str!("../../vectors/genesis.json"),
            Entry::Genesis(countersign_decision::GenesisEntry {
                deployment: fixture.world.genesis.hash(),
            }),
        ),
        (
            include_str!("../../vectors/activation.json"),
            Entry::Activation(countersign_decision::ActivationEntry {
                version: 1,
                bundle: BundleDigest::of(b"a bundle"),
                previous: None,
                class: Some(countersign_bundle::Class::Tightening),
                authority: countersign_decision::Authority::Officer,
                statements: vec![StatementDigest::of(b"a statement")],
                complete_at: Timestamp::from_unix_millis(1_780_271_999_000),
                activated_at: Timestamp::from_unix_millis(1_780_272_000_000),
            }),
        ),
        (include_str!("../../vectors/request.json"), Entry::Request(statement)),
        (include_str!("../../vectors/statement.json"), Entry::Statement(approval)),
        (include_str!("../../vectors/allowed.json"), Entry::Decision(allowed)),
        (include_str!("../../vectors/pending.json"), settled(&pending)),
        (include_str!("../../vectors/denied.json"), settled(&denied)),
        (
            include_str!("../../vectors/signature.json"),
            Entry::Signature(countersign_decision::SignatureEntry {
                withdrawal: fixture.withdrawal(),
                attempt: 1,
                authorization: authorization.id,
                payloads: authorization.payloads,
                signatures: vec!["ab".repeat(64)],
                txid: format!("0x{}", "cd".repeat(32)),
                recorded_at: fixture.now,
            }),
        ),
    ];
    for (golden, entry) in entries {
        let text = String::from_utf8(entry.to_bytes().unwrap()).unwrap();
        assert_eq!(text, golden.trim_end());
        assert_eq!(Entry::parse(golden.trim_end().as_bytes()).unwrap(), entry);
    }
}

#[test]
fn an_entry_has_one_form() {
    let bytes = assert_round_trips(&Fixture::new().decide());
    let text = String::from_utf8(bytes).unwrap();
    for other in [
        text.replace("\"outcome\":", "\"outcome\": "),
        format!("{text}\n"),
        text.replace("\"reasons\":[]", "\"reasons\":[],\"more\":1"),
        text.replace("decision/1", "decision/2"),
        text.replace("\"ended\":null,", ""),
    ] {
        assert_ne!(other, text);
        assert!(Entry::parse(other.as_bytes()).is_err(), "{other}");
    }
}
