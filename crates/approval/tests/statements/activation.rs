//! Certifying activations: one valid quorum, one change, the exact error.

use countersign_approval::*;
use countersign_types::{BundleDigest, Tag};

use crate::{soft::SoftKey, support::*};

fn signed(statement: &Statement, key: &SoftKey) -> Verified {
    verify(&seal(statement, key).unwrap(), &roster()).unwrap()
}

fn certify(statements: &[Verified]) -> Result<(), ActivationError> {
    let previous = Some(BundleDigest::of(b"before"));
    certify_activation(statements, BundleDigest::of(b"abc"), 2, previous, roster().admins())
}

fn with(change: impl FnOnce(&mut Activation)) -> Statement {
    let Body::Activation(mut body) = activation().body else {
        panic!()
    };
    change(&mut body);
    of(Body::Activation(body))
}

#[test]
fn two_of_three_admins_are_a_quorum() {
    let [a, b, c] = [alice(), bob(), carol()].map(|key| signed(&activation(), &key));
    assert_eq!(certify(&[a.clone(), b.clone()]), Ok(()));
    assert_eq!(certify(&[c.clone(), a.clone()]), Ok(()));
    assert_eq!(certify(&[a, b, c]), Ok(()));
    let later = with(|body| body.not_before = Some("2026-02-01T00:00:00Z".parse().unwrap()));
    assert_eq!(certify(&[signed(&later, &alice()), signed(&later, &bob())]), Ok(()));
}

#[test]
fn fewer_distinct_people_than_the_threshold_are_short() {
    let [first, again, backup] = [alice(), alice(), alice_backup()].map(|key| signed(&activation(), &key));
    let short = |found| Err(ActivationError::QuorumShort { found, required: 2 });
    assert_eq!(certify(&[]), short(0));
    assert_eq!(certify(std::slice::from_ref(&first)), short(1));
    assert_eq!(certify(&[first.clone(), again]), short(1), "the same statement twice");
    assert_eq!(certify(&[first.clone(), backup]), short(1), "one person with two keys");
    let mut fresh = activation();
    fresh.header.nonce = "ff0102030405060708090a0b0c0d0e0f".parse().unwrap();
    assert_eq!(
        certify(&[first, signed(&fresh, &alice())]),
        short(1),
        "one person with two statements"
    );
    assert_eq!(short(1).unwrap_err().tag(), Tag::BundleQuorumShort);
}

/// A stranger among the signers is an error even beside a full quorum: what is filed must be what counted.
#[test]
fn others_than_admins_do_not_count() {
    let [a, b, d] = [alice(), bob(), dave()].map(|key| signed(&activation(), &key));
    let not_admin = ActivationError::NotAdmin("dave".parse().unwrap());
    assert_eq!(certify(&[a.clone(), d.clone()]), Err(not_admin.clone()));
    assert_eq!(certify(&[a, b, d]), Err(not_admin.clone()));
    assert_eq!(not_admin.tag(), Tag::StatementNotPermitted);
    let service = Ed25519Signer::new(ed25519_dalek::SigningKey::from_bytes(&[6; 32]));
    let bot = verify(&seal(&activation(), &service).unwrap(), &roster()).unwrap();
    assert_eq!(certify(&[bot]), Err(ActivationError::NotAdmin("bot".parse().unwrap())));
}

#[test]
fn a_statement_about_anything_else_is_refused() {
    let other = ActivationError::OtherBundle("bob".parse().unwrap());
    assert_eq!(other.tag(), Tag::BundleDigestMismatch);
    let statements = [
        ("bundle", with(|body| body.bundle = BundleDigest::of(b"x"))),
        ("version", with(|body| body.version = 3)),
        ("predecessor", with(|body| body.previous = Some(BundleDigest::of(b"x")))),
        ("first version", with(|body| (body.version, body.previous) = (1, None))),
        (
            "moment",
            with(|body| body.not_before = Some("2026-02-01T00:00:00Z".parse().unwrap())),
        ),
        ("kind: request", request()),
        ("kind: approval", approval()),
        ("kind: rejection", rejection()),
        ("kind: cancel", cancel()),
    ];
    for (what, statement) in statements {
        let quorum = [
            signed(&activation(), &alice()),
            signed(&statement, &bob()),
            signed(&activation(), &carol()),
        ];
        assert_eq!(certify(&quorum), Err(other.clone()), "another {what}");
    }
    // Half the quorum for now and half for later, whoever comes first.
    let later = with(|body| body.not_before = Some("2026-02-01T00:00:00Z".parse().unwrap()));
    assert_eq!(
        certify(&[signed(&later, &alice()), signed(&activation(), &bob())]),
        Err(other)
    );
}
