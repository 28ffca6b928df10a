//! The same text under somebody else's signature. A digest names a text, so whoever sees a statement before the signer does
//! can have a copy journaled first: it must not stand for the word of whom it was copied from.

use crate::support;

use countersign_approval::{Envelope, Statement};
use countersign_bundle::Bundle;
use countersign_decision::testing::{Ask, bundle_files, roster, sealed};
use countersign_signer::SignerError;
use countersign_types::Tag;
use support::{Rig, assert_denied, assert_pending, assert_signed, tags};

/// The same text, signed by somebody else.
fn copied(rig: &Rig, signer: &str, envelope: &Envelope) -> Envelope {
    let Statement { header, body } = Statement::parse(envelope.kind(), envelope.payload()).unwrap();
    let copy = rig.world.sign_with(signer, header, body);
    assert_eq!(copy.statement_digest(), envelope.statement_digest());
    copy
}

#[tokio::test]
async fn a_copy_is_not_acknowledged_as_what_it_copies() {
    let rig = Rig::new().await;
    let ask = Ask::default();
    let request = rig.world.request(&ask);
    let rejection = rig.world.rejection("carol", &request);
    let copy = copied(&rig, "payout-service", &rejection);
    rig.signer.record_statement(&copy.to_bytes()).await.unwrap();
    let refused = rig.signer.record_statement(&rejection.to_bytes()).await.unwrap_err();
    assert!(matches!(refused, SignerError::NotFirst(_)), "{refused}");
    let anew = rig.world.rejection("carol", &request);
    rig.signer.record_statement(&anew.to_bytes()).await.unwrap();
    let answer = rig.authorize(&ask, &request, &[]).await.unwrap();
    assert_denied(&answer, Tag::ApprovalRejected);
}

#[tokio::test]
async fn an_approval_behind_its_copy_is_told_why_it_does_not_count() {
    let rig = Rig::new().await;
    let ask = Ask::default();
    let request = rig.world.request(&ask);
    let [alice, bob] = ["alice", "bob"].map(|person| rig.world.approval(person, &request, &ask));
    let copy = copied(&rig, "payout-service", &alice);
    let answer = rig.authorize(&ask, &request, &[&copy]).await.unwrap();
    assert_pending(&answer, Tag::ApprovalByInitiator);
    let answer = rig.authorize(&ask, &request, &[&alice, &bob]).await.unwrap();
    assert_pending(&answer, Tag::ApprovalMissing);
    assert!(tags(&answer).contains(&Tag::StatementNonceReused), "{answer:?}");
    let anew = rig.world.approval("alice", &request, &ask);
    assert_signed(&rig.authorize(&ask, &request, &[&anew]).await.unwrap());
}

/// A withdrawal is its first initiator's: whose people must not approve does not change with who signs the same text.
#[tokio::test]
async fn a_request_stays_its_initiators() {
    let rig = Rig::bare().await;
    let mut roster = roster();
    roster.initiators[0].principals.push("carol".parse().unwrap());
    let files = sealed(1, None, bundle_files(&roster));
    rig.activate(&["alice", "bob"], files).await.unwrap();
    let ask = Ask::default();
    let request = rig.world.request(&ask);
    assert_pending(&rig.authorize(&ask, &request, &[]).await.unwrap(), Tag::ApprovalMissing);
    let copy = copied(&rig, "carol", &request);
    assert_eq!(copy.request_digest(), request.request_digest());
    let answer = rig.authorize(&ask, &copy, &[]).await.unwrap();
    assert_eq!(tags(&answer), [Tag::StatementNonceReused]);
    assert_pending(&rig.authorize(&ask, &request, &[]).await.unwrap(), Tag::ApprovalMissing);
}

#[tokio::test]
async fn an_activation_behind_its_copy_is_refused() {
    let rig = Rig::new().await;
    let previous = Bundle::load(&rig.world.files).unwrap().digest();
    let files = sealed(2, Some(previous), rig.world.files.clone());
    let alice = rig.world.activation("alice", &files);
    let copy = copied(&rig, "dave", &alice);
    rig.signer.record_statement(&copy.to_bytes()).await.unwrap();
    let bob = rig.world.activation("bob", &files).to_bytes();
    let refused = rig.signer.activate(files.clone(), vec![alice.to_bytes(), bob]).await;
    assert!(matches!(refused, Err(SignerError::NotFirst(_))), "{refused:?}");
    rig.activate(&["alice", "bob"], files).await.unwrap();
}
