//! Texts and bytes that stored chains depend on.

use std::collections::BTreeMap;

use countersign_signer::{LastWord, LateCharge};
use countersign_types::{
    Amount, AuthorizationId, BundleDigest, CounterId, EntryDigest, FreezeId, SignedTransaction, StatementDigest,
    StatementNonce, Tag, TransactionDigest,
};
use data_encoding::HEXLOWER;
use proptest::prelude::*;

use super::*;
use crate::chain::{CommitParts, NO_PREVIOUS, content_digest};

const ACCOUNT: &str = "eip155:1:0x52908400098527886E0F7030069857D2E4169EE7";

fn keys() -> Vec<ConflictKey> {
    let account: Destination = ACCOUNT.parse().unwrap();
    vec![
        ConflictKey::AccountNonce {
            account: account.clone(),
            nonce: u64::MAX,
        },
        ConflictKey::Outpoint {
            chain: "bip122:000000000019d6689c085ae165831e93".parse().unwrap(),
            txid: [0xab; 32],
            index: 7,
        },
        ConflictKey::NonceAccount {
            account,
            value: [0xcd; 32],
        },
    ]
}

#[test]
fn conflict_keys_read_back_and_have_one_text() {
    assert_eq!(parse_conflict_keys(&conflict_keys_text(&keys())).unwrap(), keys());
    assert_eq!(parse_conflict_keys("").unwrap(), []);
    let good = format!("account-nonce {ACCOUNT} 5");
    assert!(parse_conflict_key(&good).is_ok());
    for bad in [
        format!("account-nonce {ACCOUNT} 05"),
        format!("account-nonce {ACCOUNT} +5"),
        format!("account-nonce  {ACCOUNT} 5"),
        format!("account-nonce {ACCOUNT}"),
        format!("Account-nonce {ACCOUNT} 5"),
        "outpoint eip155:1 AB 0".to_owned(),
        "\n".to_owned(),
    ] {
        assert!(parse_conflict_keys(&bad).is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn signatures_read_back(signatures in proptest::collection::vec((0u8..3, any::<[u8; 32]>()), 0..4)) {
        let signatures: Vec<RawSignature> = signatures
            .into_iter()
            .map(|(scheme, half)| {
                let bytes: [u8; 64] = [half, half].concat().try_into().unwrap();
                match scheme {
                    0 => RawSignature::Ecdsa(bytes),
                    1 => RawSignature::Schnorr(bytes),
                    _ => RawSignature::Ed25519(bytes),
                }
            })
            .collect();
        prop_assert_eq!(parse_signatures(&signatures_bytes(&signatures)), Ok(signatures));
    }

    #[test]
    fn parsing_never_panics(bytes: Vec<u8>, text in "\\PC{0,80}") {
        drop(parse_signatures(&bytes));
        drop(parse_conflict_keys(&text));
    }
}

#[test]
fn torn_or_unknown_signatures_are_refused() {
    for bad in [&[1u8; 64][..], &[4; 65], &[1; 66], &[0]] {
        assert_eq!(parse_signatures(bad), Err(BadValue("signature")));
    }
}

fn every_write() -> Vec<Write> {
    let request = RequestDigest::from_bytes([1; 32]);
    let statement = StatementDigest::from_bytes([2; 32]);
    let bundle = BundleDigest::from_bytes([3; 32]);
    vec![
        Write::Statement {
            digest: statement,
            signer: "alice".parse().unwrap(),
            nonce: StatementNonce::from_bytes([4; 16]),
            subjects: vec![request],
            envelope: b"envelope".to_vec(),
        },
        Write::Withdrawal {
            request,
            statement,
            tenant: "acme".parse().unwrap(),
            reference: "ref".parse().unwrap(),
            bundle,
        },
        Write::Ended {
            request,
            tag: Tag::WithdrawalCancelled,
        },
        Write::Decision {
            request,
            decision: EntryDigest::from_bytes([5; 32]),
        },
        Write::Attempt {
            request,
            tenant: "acme".parse().unwrap(),
            payments: vec!["pay".parse().unwrap()],
            number: 1,
            transaction: TransactionDigest::from_bytes([6; 32]),
            unsigned: b"unsigned".to_vec(),
            conflict_keys: keys()[..1].to_vec(),
            fee_max: Amount::from_base_units(7),
            authorization: AuthorizationId::from_bytes([8; 32]),
            sign_by: Timestamp::from_unix_millis(9),
        },
        Write::Signed {
            request,
            number: 1,
            signatures: vec![RawSignature::Ecdsa([10; 64])],
            transaction: SignedTransaction {
                bytes: b"signed".to_vec(),
                txid: "0x0b".to_owned(),
            },
        },
        Write::Bundle {
            version: 12,
            digest: bundle,
            files: BTreeMap::from([("policy.yaml".to_owned(), b"rules".to_vec())]),
            statements: vec![statement],
        },
    ]
}

fn every_counter_write() -> Vec<Write> {
    let (request, number) = (RequestDigest::from_bytes([1; 32]), 2);
    let charge = Charge {
        counter: CounterId::from_bytes([14; 32]),
        amount: Amount::from_base_units(15),
    };
    let late = LateCharge {
        request,
        number,
        charge: charge.clone(),
    };
    vec![
        Write::Spend {
            request,
            number,
            facts: b"facts".to_vec(),
            charges: vec![charge],
        },
        Write::Aged { request, number },
        Write::Released { request, number },
        Write::Failed { request, number },
        Write::Backfill { charges: vec![late] },
    ]
}

fn every_observer_write() -> Vec<Write> {
    vec![
        Write::Subject {
            statement: StatementDigest::from_bytes([2; 32]),
            request: RequestDigest::from_bytes([1; 32]),
        },
        Write::Sequence {
            observer: "node-a".parse().unwrap(),
            network: "solana:localnet".parse().unwrap(),
            sequence: 16,
        },
    ]
}

fn every_freeze_write() -> Vec<Write> {
    let freeze = FreezeId::from_bytes([17; 32]);
    vec![
        Write::Freeze {
            freeze,
            scope: "wallet eth-hot".parse().unwrap(),
            cause: "a cause".to_owned(),
        },
        Write::Thaw {
            freeze,
            at: Timestamp::from_unix_millis(1_780_000_000_001),
        },
        Write::Mark {
            topic: "a topic".to_owned(),
            name: "alice".to_owned(),
        },
    ]
}

fn every_service_write() -> Vec<Write> {
    let destination = || ACCOUNT.parse().unwrap();
    let word = |since| Write::LastWord {
        service: "book".parse().unwrap(),
        matter: "address-book main customer-1 somewhere".to_owned(),
        word: LastWord { sequence: 17, since },
    };
    vec![
        word(Some(Timestamp::from_unix_millis(18))),
        word(None),
        Write::Paid {
            request: RequestDigest::from_bytes([1; 32]),
            destinations: BTreeSet::from([destination()]),
        },
        Write::Listed {
            lists: BTreeSet::from(["customers".parse().unwrap()]),
            added: BTreeSet::from([destination()]),
            kept: BTreeMap::new(),
        },
        Write::Listed {
            lists: BTreeSet::new(),
            added: BTreeSet::new(),
            kept: BTreeMap::from([(destination(), Timestamp::from_unix_millis(19))]),
        },
    ]
}

fn encoded(writes: &[Write]) -> Vec<u8> {
    let entries = [LogEntry {
        bytes: b"entry".to_vec(),
        subjects: vec![RequestDigest::from_bytes([1; 32])],
    }];
    let mut to = Encoder::default();
    encode_verdict(
        &mut to,
        Timestamp::from_unix_millis(1_780_000_000_000),
        &entries,
        writes,
    );
    to.into_bytes()
}

/// Stored chains depend on these: they were computed by `tests/golden.py`, which shares no code with this crate.
#[test]
fn golden_commit() {
    let content = content_digest(&encoded(&every_write()));
    let parts = CommitParts {
        number: 1,
        at: Timestamp::from_unix_millis(1_780_000_000_000),
        previous: NO_PREVIOUS,
        content,
        log_size: 1,
        log_root: [13; 32],
    };
    assert_eq!(
        HEXLOWER.encode(&content),
        "53fce57a498992370cab61408eb6f81623f00b7d0d13d67b6f8a033fb8acd028"
    );
    assert_eq!(
        HEXLOWER.encode(&parts.hash()),
        "cb17ecee4022b83622db5ecee8b82d8e79cde244acd6b2cb2dd72949b975a871"
    );
}

#[test]
fn golden_counter_writes() {
    let content = content_digest(&encoded(&every_counter_write()));
    assert_eq!(
        HEXLOWER.encode(&content),
        "b98cefa6bda3e8f070ccea95afde3fc292e4deb0f701c1c69e6c6dd81858508a"
    );
}

#[test]
fn golden_observer_writes() {
    let content = content_digest(&encoded(&every_observer_write()));
    assert_eq!(
        HEXLOWER.encode(&content),
        "b2c5140bd5f40366504b4f4627135f930cdfd6d715fdda5853efe5e8c1a2b28e"
    );
}

#[test]
fn golden_freeze_writes() {
    let content = content_digest(&encoded(&every_freeze_write()));
    assert_eq!(
        HEXLOWER.encode(&content),
        "c6b4ee070c5c4a5d7b0dcc1b0d15a63dc0214f5b4a01d1845b3be4184c749ad3"
    );
}

#[test]
fn golden_service_writes() {
    let content = content_digest(&encoded(&every_service_write()));
    assert_eq!(
        HEXLOWER.encode(&content),
        "ca02ca2cbdb7d8d1373bb6fd5cab63cacf069013fd2196040d4ba5f6b8c2af47"
    );
}

fn given_up() -> Vec<Write> {
    vec![Write::GivenUp {
        request: RequestDigest::from_bytes([1; 32]),
        keys: keys()[..2].to_vec(),
    }]
}

#[test]
fn golden_given_up() {
    let content = content_digest(&encoded(&given_up()));
    assert_eq!(
        HEXLOWER.encode(&content),
        "6824b5dadb2be1564c24a912b73e44d022e860258d4915de5549fd228c19da9b"
    );
}

/// A tag that two kinds shared would let one stand for the other.
#[test]
fn each_kind_of_write_has_a_tag_of_its_own() {
    let mut all = every_write();
    all.extend(every_counter_write());
    all.extend(every_observer_write());
    all.extend(every_freeze_write());
    all.extend(every_service_write());
    all.extend(given_up());
    all.push(Write::Failed {
        request: RequestDigest::from_bytes([1; 32]),
        number: 1,
    });
    let mut kinds = BTreeMap::new();
    for write in &all {
        let mut encoder = Encoder::default();
        encode_write(&mut encoder, write);
        let tag = *encoder.into_bytes().first().unwrap();
        let kind = kinds.entry(tag).or_insert(std::mem::discriminant(write));
        assert_eq!(*kind, std::mem::discriminant(write), "{tag}: {write:?}");
    }
    let found: std::collections::HashSet<_> = kinds.values().collect();
    assert_eq!(found.len(), kinds.len(), "one kind under two tags");
}

#[test]
fn each_write_counts() {
    let mut all = every_write();
    all.extend(every_counter_write());
    all.extend(every_observer_write());
    all.extend(every_freeze_write());
    all.extend(every_service_write());
    for left_out in 0..all.len() {
        let mut writes = all.clone();
        writes.remove(left_out);
        assert_ne!(encoded(&writes), encoded(&all));
    }
}
