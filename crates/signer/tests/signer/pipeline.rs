//! The pipeline over a real SQLite journal: one valid withdrawal, one change at a time.

use crate::support;

use countersign_approval::{Body, Envelope, Request};
use countersign_decision::{
    Acknowledgement, Receipt,
    testing::{Ask, DEMO, STRANGER, bundle_files, sealed, withdrawal},
};
use countersign_signer::{Answer, Cleared, Clearing, LedgerView, Reads, SignerError, Verdict, propose};
use countersign_types::{ConflictKey, Tag, Timestamp};
use support::{Mood, Rig, assert_denied, assert_pending, assert_signed, submission, tags};

fn small() -> Ask {
    Ask {
        amount: 50_000_000_000_000_000,
        ..Ask::default()
    }
}

#[tokio::test]
async fn two_of_the_treasury_approve_and_the_receipt_verifies() {
    let rig = Rig::new().await;
    let ask = Ask::default();
    let request = rig.world.request(&ask);
    assert_pending(&rig.authorize(&ask, &request, &[]).await.unwrap(), Tag::ApprovalMissing);
    let alice = rig.world.approval("alice", &request, &ask);
    assert_pending(
        &rig.authorize(&ask, &request, &[&alice]).await.unwrap(),
        Tag::ApprovalMissing,
    );
    assert_eq!(rig.uses(), 0);
    // Alice's approval is journaled: it counts without being sent again.
    let bob = rig.world.approval("bob", &request, &ask);
    let transaction = assert_signed(&rig.authorize(&ask, &request, &[&bob]).await.unwrap());
    assert_eq!(rig.uses(), 1);

    let receipt = rig.signer.receipt(withdrawal(&request)).await.unwrap();
    let verified = Receipt::verify(&receipt, &rig.world.genesis_bytes).unwrap();
    assert_eq!(verified.txid.as_deref(), Some(transaction.txid.as_str()));
    assert!(verified.effects.unwrap().as_str().contains("(1 ETH)"));
}

#[tokio::test]
async fn a_small_token_payment_needs_nobody() {
    let rig = Rig::new().await;
    let ask = Ask {
        asset: DEMO.to_owned(),
        amount: 100_000_000,
        ..Ask::default()
    };
    let request = rig.world.request(&ask);
    assert_signed(&rig.authorize(&ask, &request, &[]).await.unwrap());
}

#[tokio::test]
async fn a_stranger_is_denied_with_the_tag_and_nothing_is_signed() {
    let rig = Rig::new().await;
    let ask = Ask {
        destination: STRANGER.to_owned(),
        ..small()
    };
    let request = rig.world.request(&ask);
    assert_denied(&rig.authorize(&ask, &request, &[]).await.unwrap(), Tag::PermitUncovered);
    assert_eq!(rig.uses(), 0);
}

#[tokio::test]
async fn asking_again_returns_the_same_signature() {
    let rig = Rig::new().await;
    let ask = small();
    let request = rig.world.request(&ask);
    let first = assert_signed(&rig.authorize(&ask, &request, &[]).await.unwrap());
    let second = assert_signed(&rig.authorize(&ask, &request, &[]).await.unwrap());
    assert_eq!((first, rig.uses()), (second, 1));
    let rig = rig.restart().await;
    assert_signed(&rig.authorize(&ask, &request, &[]).await.unwrap());
    assert_eq!(rig.uses(), 1);
}

#[tokio::test]
async fn a_denial_is_logged_once() {
    let rig = Rig::new().await;
    let ask = Ask {
        destination: STRANGER.to_owned(),
        ..small()
    };
    let request = rig.world.request(&ask);
    rig.authorize(&ask, &request, &[]).await.unwrap();
    let entries = rig.signer.entries(0, 256).await.unwrap().len();
    for _ in 0..3 {
        rig.advance(1);
        rig.authorize(&ask, &request, &[]).await.unwrap();
    }
    assert_eq!(rig.signer.entries(0, 256).await.unwrap().len(), entries);
}

#[tokio::test]
async fn evaluate_leaves_no_trace() {
    let rig = Rig::new().await;
    let ask = small();
    let request = rig.world.request(&ask);
    let entries = rig.signer.entries(0, 256).await.unwrap();
    let answer = rig.signer.evaluate(submission(&ask, &request, &[])).await.unwrap();
    assert!(matches!(answer, Answer::Allowed { .. }), "{answer:?}");
    assert_eq!(rig.signer.entries(0, 256).await.unwrap(), entries);
    assert!(matches!(
        rig.signer.receipt(withdrawal(&request)).await,
        Err(SignerError::NotFound(_))
    ));
}

#[tokio::test]
async fn the_time_lock_counts_from_the_journaled_quorum() {
    let rig = Rig::bare().await;
    let mut files = bundle_files(&rig.world.roster());
    let policy = String::from_utf8(files["policy.yaml"].clone()).unwrap();
    let locked = policy.replace(
        "approvals: { treasury: 2 }",
        "approvals: { treasury: 2 }\n    time-lock: 30m",
    );
    assert_ne!(locked, policy);
    files.insert("policy.yaml".to_owned(), locked.into_bytes());
    rig.activate(&["alice", "bob"], sealed(1, None, files.clone()))
        .await
        .unwrap();

    let ask = Ask::default();
    let request = rig.world.request(&ask);
    let mut item = rig.world.item(&request, &ask);
    item.policy = countersign_bundle(&sealed(1, None, files)).policy_digest();
    let approve = |person| {
        let body = countersign_approval::Approval {
            items: vec![item.clone()],
        };
        rig.world.sign(person, Body::Approval(body))
    };
    // Both approvals are "issued" at the beginning of the world; what counts is when the signer journaled them.
    let (alice, bob) = (approve("alice"), approve("bob"));
    rig.advance(3_600);
    let answer = rig.authorize(&ask, &request, &[&alice, &bob]).await.unwrap();
    assert_pending(&answer, Tag::ApprovalTimeLock);
    rig.advance(29 * 60);
    assert_pending(
        &rig.authorize(&ask, &request, &[]).await.unwrap(),
        Tag::ApprovalTimeLock,
    );
    rig.advance(60);
    assert_signed(&rig.authorize(&ask, &request, &[]).await.unwrap());
}

fn countersign_bundle(files: &std::collections::BTreeMap<String, Vec<u8>>) -> countersign_bundle::Bundle {
    countersign_bundle::Bundle::load(files).unwrap()
}

#[tokio::test]
async fn a_rejection_on_the_second_listener_ends_it() {
    let rig = Rig::new().await;
    let ask = Ask::default();
    let request = rig.world.request(&ask);
    let rejection = rig.world.rejection("carol", &request);
    // The orchestrator has not even told the signer of the withdrawal yet, and never passes the rejection on.
    let acknowledgement = rig.signer.record_statement(&rejection.to_bytes()).await.unwrap();
    let key = countersign_audit::VerifierKey::new("countersign.test/log".parse().unwrap(), rig.world.genesis.log_key());
    let digest = rejection.statement_digest();
    Acknowledgement::verify(&acknowledgement, &key.unwrap(), rig.world.genesis.hash(), digest).unwrap();
    let alice = rig.world.approval("alice", &request, &ask);
    let bob = rig.world.approval("bob", &request, &ask);
    let answer = rig.authorize(&ask, &request, &[&alice, &bob]).await.unwrap();
    assert_denied(&answer, Tag::ApprovalRejected);
    assert!(matches!(answer, Answer::Denied { is_final: true, .. }));
    assert_eq!(rig.uses(), 0);
}

#[tokio::test]
async fn a_statement_is_acknowledged_with_its_first_time() {
    let rig = Rig::new().await;
    let request = rig.world.request(&Ask::default());
    let rejection = rig.world.rejection("carol", &request);
    let first = rig.signer.record_statement(&rejection.to_bytes()).await.unwrap();
    rig.advance(60);
    assert_eq!(rig.signer.record_statement(&rejection.to_bytes()).await.unwrap(), first);
}

#[tokio::test]
async fn who_may_cancel_and_what_a_cancel_stops() {
    let rig = Rig::new().await;
    let ask = Ask::default();
    let request = rig.world.request(&ask);
    assert_pending(&rig.authorize(&ask, &request, &[]).await.unwrap(), Tag::ApprovalMissing);
    let by_alice = rig.world.cancel("alice", &request);
    let refused = rig.signer.record_statement(&by_alice.to_bytes()).await.unwrap_err();
    assert_eq!(refused.tag(), Tag::StatementNotPermitted);
    let by_officer = rig.world.cancel("dave", &request);
    rig.signer.record_statement(&by_officer.to_bytes()).await.unwrap();
    let alice = rig.world.approval("alice", &request, &ask);
    let bob = rig.world.approval("bob", &request, &ask);
    assert_denied(
        &rig.authorize(&ask, &request, &[&alice, &bob]).await.unwrap(),
        Tag::WithdrawalCancelled,
    );
    assert_eq!(rig.uses(), 0);
}

#[tokio::test]
async fn a_fee_bump_keeps_the_nonce_and_a_new_nonce_is_refused() {
    let rig = Rig::new().await;
    let ask = Ask {
        is_template: true,
        ..small()
    };
    let request = rig.world.request(&ask);
    let first = assert_signed(&rig.authorize(&ask, &request, &[]).await.unwrap());
    let bumped = Ask {
        max_fee_per_gas: 40_000_000_000,
        ..ask.clone()
    };
    let second = assert_signed(&rig.authorize(&bumped, &request, &[]).await.unwrap());
    assert_ne!(first, second);
    let moved = Ask {
        nonce: 1,
        ..ask.clone()
    };
    assert_denied(
        &rig.authorize(&moved, &request, &[]).await.unwrap(),
        Tag::LineageAnchorChanged,
    );
    let greedy = Ask {
        max_fee_per_gas: 1_000_000_000_000,
        ..ask.clone()
    };
    assert_denied(
        &rig.authorize(&greedy, &request, &[]).await.unwrap(),
        Tag::RequestFeeOverCeiling,
    );
    assert_eq!(rig.uses(), 2);
    let receipt = rig.signer.receipt(withdrawal(&request)).await.unwrap();
    let verified = Receipt::verify(&receipt, &rig.world.genesis_bytes).unwrap();
    assert_eq!(verified.txid, Some(second.txid));
}

#[tokio::test]
async fn nonces_are_taken_once_and_without_gaps() {
    let rig = Rig::new().await;
    assert_signed(&rig.sign(&small()).await);
    let taken = Ask {
        reference: "order-2".to_owned(),
        ..small()
    };
    let request = rig.world.request(&taken);
    let answer = rig.authorize(&taken, &request, &[]).await.unwrap();
    assert_denied(&answer, Tag::ConflictKeyTaken);
    assert!(format!("{answer:?}").contains("the next nonce is 1"), "{answer:?}");
    let gap = Ask {
        nonce: 2,
        reference: "order-3".to_owned(),
        ..small()
    };
    // It waits, and is signed once the nonce before it is.
    let waiting = rig.world.request(&gap);
    assert_pending(&rig.authorize(&gap, &waiting, &[]).await.unwrap(), Tag::ConflictKeyGap);
    let next = Ask {
        nonce: 1,
        reference: "order-4".to_owned(),
        ..small()
    };
    let request = rig.world.request(&next);
    assert_signed(&rig.authorize(&next, &request, &[]).await.unwrap());
    assert_signed(&rig.authorize(&gap, &waiting, &[]).await.unwrap());
}

/// Approvals are collected while the nonce before is not signed yet, and what is denied is denied at once.
#[tokio::test]
async fn a_waiting_nonce_collects_approvals() {
    let rig = Rig::new().await;
    let ask = Ask {
        nonce: 1,
        reference: "order-2".to_owned(),
        ..Ask::default()
    };
    let request = rig.world.request(&ask);
    let answer = rig.authorize(&ask, &request, &[]).await.unwrap();
    let Answer::Pending { missing, .. } = &answer else {
        panic!("{answer:?}")
    };
    assert_eq!(missing.len(), 1);
    assert_eq!(tags(&answer), [Tag::ApprovalMissing, Tag::ConflictKeyGap]);
    let [alice, bob] = ["alice", "bob"].map(|person| rig.world.approval(person, &request, &ask));
    let answer = rig.authorize(&ask, &request, &[&alice, &bob]).await.unwrap();
    assert_eq!(tags(&answer), [Tag::ConflictKeyGap]);
    assert_eq!(rig.uses(), 0);
    let denied = Ask {
        nonce: 5,
        reference: "order-3".to_owned(),
        destination: STRANGER.to_owned(),
        ..small()
    };
    let refused = rig.world.request(&denied);
    assert_denied(
        &rig.authorize(&denied, &refused, &[]).await.unwrap(),
        Tag::PermitUncovered,
    );
    assert_signed(&rig.sign(&small()).await);
    assert_signed(&rig.authorize(&ask, &request, &[]).await.unwrap());
}

#[tokio::test]
async fn a_payment_is_signed_under_one_request() {
    let rig = Rig::new().await;
    let first = small();
    assert_signed(&rig.sign(&first).await);
    let second = Ask {
        reference: "order-2".to_owned(),
        nonce: 1,
        ..small()
    };
    let mut body = second.request();
    body.payments[0].reference = first.request().payments[0].reference.clone();
    let request = rig.world.sign("payout-service", Body::Request(Box::new(body)));
    assert_denied(
        &rig.authorize(&second, &request, &[]).await.unwrap(),
        Tag::PaymentAlreadyClaimed,
    );
    assert_eq!(rig.uses(), 1);
}

#[tokio::test]
async fn malformed_bytes_are_malformed_not_denied() {
    let rig = Rig::new().await;
    let ask = small();
    let request = rig.world.request(&ask);
    let mut broken = submission(&ask, &request, &[]);
    broken.unsigned.push(0);
    let answer = rig.signer.authorize(broken).await.unwrap();
    assert!(matches!(answer, Answer::Malformed { .. }), "{answer:?}");
    assert_eq!(tags(&answer), [Tag::TransactionMalformed]);
    // The withdrawal is not lost: its real bytes are signed afterwards.
    assert_signed(&rig.authorize(&ask, &request, &[]).await.unwrap());
}

#[tokio::test]
async fn a_token_that_fails_costs_nothing_and_whoever_asks_again_gets_it() {
    let rig = Rig::new().await;
    let ask = small();
    let request = rig.world.request(&ask);
    rig.set_mood(Mood::Fails);
    let error = rig.authorize(&ask, &request, &[]).await.unwrap_err();
    assert_eq!(error.tag(), Tag::BackendUnavailable);
    let rig = rig.restart().await;
    rig.set_mood(Mood::Signs);
    assert_eq!(rig.ask_again().await.0, 1);
    assert_signed(&rig.authorize(&ask, &request, &[]).await.unwrap());
    assert_eq!(rig.uses(), 1);
}

/// Whoever cancels while the signer is down is heard with the next call about the withdrawal, and nothing was signed before it. A nonce
/// that was used up by then would hold up its account.
#[tokio::test]
async fn nothing_is_signed_that_nobody_asks_for() {
    let rig = Rig::new().await;
    let order = |name: &str| Ask {
        reference: name.to_owned(),
        ..small()
    };
    let request = authorized(&rig, &order("order-1")).await;
    let mut rig = rig.restart().await;
    for lapsed in [false, true] {
        assert_eq!(rig.clear().await.waiting, u64::from(lapsed));
        rig.advance(60);
        rig = rig.restart().await;
    }
    let cancelled = rig.world.cancel("payout-service", &request);
    let answer = rig.authorize(&order("order-1"), &request, &[&cancelled]).await.unwrap();
    assert_denied(&answer, Tag::WithdrawalCancelled);
    rig.advance(60);
    let mut known = Cleared::default();
    assert_eq!(rig.signer.clear(&mut known).await.unwrap().cleared, 1);
    // It is not looked at again.
    assert_eq!(rig.signer.clear(&mut known).await.unwrap(), Clearing::default());
    let next = rig.world.request(&order("order-2"));
    assert_signed(&rig.authorize(&order("order-2"), &next, &[]).await.unwrap());
    assert_eq!(rig.uses(), 1);
}

#[tokio::test]
async fn a_token_that_signs_something_else_is_caught() {
    let rig = Rig::new().await;
    let ask = small();
    let request = rig.world.request(&ask);
    rig.set_mood(Mood::Lies);
    let error = rig.authorize(&ask, &request, &[]).await.unwrap_err();
    assert_eq!(error.tag(), Tag::BackendBadSignature);
    let receipt = rig.signer.receipt(withdrawal(&request)).await.unwrap();
    assert_eq!(Receipt::verify(&receipt, &rig.world.genesis_bytes).unwrap().txid, None);
}

#[tokio::test]
async fn what_was_authorized_and_then_cancelled_is_never_signed() {
    let rig = Rig::new().await;
    let ask = small();
    let request = rig.world.request(&ask);
    rig.set_mood(Mood::Fails);
    rig.authorize(&ask, &request, &[]).await.unwrap_err();
    rig.signer
        .record_statement(&rig.world.cancel("payout-service", &request).to_bytes())
        .await
        .unwrap();
    let rig = rig.restart().await;
    rig.set_mood(Mood::Signs);
    assert_eq!(rig.ask_again().await.0, 0);
    assert_denied(
        &rig.authorize(&ask, &request, &[]).await.unwrap(),
        Tag::WithdrawalCancelled,
    );
    assert_eq!(rig.uses(), 0);
}

/// Authorizes a payment with a nonce that the token does not sign.
async fn authorized(rig: &Rig, ask: &Ask) -> Envelope {
    let request = rig.world.request(ask);
    rig.set_mood(Mood::Fails);
    rig.authorize(ask, &request, &[]).await.unwrap_err();
    rig.set_mood(Mood::Signs);
    request
}

async fn cancel(rig: &Rig, request: &Envelope) {
    let cancel = rig.world.cancel("payout-service", request).to_bytes();
    rig.signer.record_statement(&cancel).await.unwrap();
}

/// A nonce that nobody uses would hold up its account for good: whoever cancels at the right moment could lock a wallet.
#[tokio::test]
async fn what_ended_unsigned_gives_its_nonce_to_the_next_one() {
    let rig = Rig::new().await;
    let order = |n: u64, nonce: u64| Ask {
        reference: format!("order-{n}"),
        nonce,
        ..small()
    };
    let first = authorized(&rig, &order(0, 0)).await;
    let second = rig.world.request(&order(1, 1));
    assert_signed(&rig.authorize(&order(1, 1), &second, &[]).await.unwrap());
    cancel(&rig, &first).await;
    // While a token may still be signing it, it is nobody else's.
    assert_eq!(rig.clear().await, Clearing::default());
    let next = rig.world.request(&order(2, 0));
    let answer = rig.authorize(&order(2, 0), &next, &[]).await.unwrap();
    assert_denied(&answer, Tag::ConflictKeyTaken);
    rig.advance(60);
    assert_eq!(rig.clear().await.cleared, 1);
    // What lies behind the gap waits for it.
    let behind = rig.world.request(&order(3, 2));
    let answer = rig.authorize(&order(3, 2), &behind, &[]).await.unwrap();
    assert_pending(&answer, Tag::ConflictKeyGap);
    let rig = rig.restart().await;
    let signed = assert_signed(&rig.authorize(&order(2, 0), &next, &[]).await.unwrap());
    assert_signed(&rig.authorize(&order(3, 2), &behind, &[]).await.unwrap());
    // The one before stays ended, and takes nothing back.
    assert_eq!(rig.ask_again().await.0, 0);
    let answer = rig.authorize(&order(0, 0), &first, &[]).await.unwrap();
    assert_denied(&answer, Tag::WithdrawalCancelled);
    let again = assert_signed(&rig.authorize(&order(2, 0), &next, &[]).await.unwrap());
    assert_eq!(again, signed);
    assert_eq!(rig.uses(), 3);
}

/// Its request does not verify any more, so nothing of it is decided: its nonce is free all the same.
#[tokio::test]
async fn what_ended_unsigned_gives_its_nonce_up_when_its_initiator_has_left() {
    let rig = Rig::new().await;
    let request = authorized(&rig, &small()).await;
    rig.say(&rig.world.cancel("dave", &request)).await.unwrap();
    let mut roster = rig.world.roster();
    let other = ed25519_dalek::SigningKey::from_bytes(&[0x77; 32]).verifying_key();
    let other = data_encoding::HEXLOWER.encode(other.as_bytes());
    roster.services[0].keys = vec![format!("ed25519:{other}")];
    let files = sealed(2, Some(rig.world.bundle().digest()), bundle_files(&roster));
    rig.activate(&["alice", "bob"], files).await.unwrap();
    rig.advance(60);
    let key = ConflictKey::AccountNonce {
        account: rig.world.wallet_address(),
        nonce: 0,
    };
    let owner = async || {
        let reads = Reads {
            conflict_keys: vec![key.clone()],
            ..Reads::default()
        };
        let owners = |view: &LedgerView, _: Timestamp| Verdict::unchanged(view.conflict_owners.clone());
        let (owners, _) = propose(rig.journal.as_ref(), reads, owners).await.unwrap();
        owners.get(&key).copied()
    };
    assert_eq!(owner().await, Some(withdrawal(&request).request()));
    let clearing = rig.clear().await;
    assert_eq!(clearing.left, [(withdrawal(&request), Tag::StatementUnknownKey)]);
    assert_eq!(owner().await, None);
}

/// Its payment stays claimed: what a token made of the authorization excludes the next owner of its nonce, not a payment with another.
#[tokio::test]
async fn what_ended_unsigned_keeps_its_payments() {
    let rig = Rig::new().await;
    let ask = small();
    let first = authorized(&rig, &ask).await;
    cancel(&rig, &first).await;
    rig.advance(60);
    rig.clear().await;
    let again = Request {
        reference: "again".parse().unwrap(),
        ..ask.request()
    };
    let again = rig.world.sign("payout-service", Body::Request(Box::new(again)));
    let answer = rig.authorize(&ask, &again, &[]).await.unwrap();
    assert_eq!(tags(&answer), [Tag::PaymentAlreadyClaimed]);
}

/// A signature that was recorded may be somewhere: its nonce is used up, whatever was said later. And what is not ended is waited for.
#[tokio::test]
async fn what_is_signed_or_open_gives_nothing_up() {
    let rig = Rig::new().await;
    let (open, signed) = (
        small(),
        Ask {
            nonce: 1,
            reference: "order-2".to_owned(),
            ..small()
        },
    );
    authorized(&rig, &open).await;
    let request = rig.world.request(&signed);
    assert_signed(&rig.authorize(&signed, &request, &[]).await.unwrap());
    cancel(&rig, &request).await;
    rig.set_mood(Mood::Fails);
    rig.advance(60);
    assert_eq!((rig.clear().await.waiting, rig.ask_again().await.0), (1, 0));
    rig.set_mood(Mood::Signs);
    for nonce in [0, 1] {
        let other = Ask {
            nonce,
            reference: format!("other-{nonce}"),
            ..small()
        };
        let answer = rig.authorize(&other, &rig.world.request(&other), &[]).await.unwrap();
        assert_denied(&answer, Tag::ConflictKeyTaken);
    }
}

#[tokio::test]
async fn many_at_once_share_commits_and_each_nonce_is_signed_once() {
    let rig = Rig::new().await;
    let before = rig.journal.stats().commits;
    let asks: Vec<Ask> = (0..32)
        .map(|n| Ask {
            reference: format!("order-{n}"),
            nonce: 0,
            ..small()
        })
        .collect();
    let mut work = Vec::new();
    for ask in asks {
        let request = rig.world.request(&ask);
        let (ask, signer) = (ask, &rig.signer);
        work.push(async move { signer.authorize(submission(&ask, &request, &[])).await.unwrap() });
    }
    let answers = futures_util::future::join_all(work).await;
    let signed = answers
        .iter()
        .filter(|answer| matches!(answer, Answer::Signed { .. }))
        .count();
    assert_eq!((signed, rig.uses()), (1, 1));
    assert!(rig.journal.stats().commits - before < 32, "{:?}", rig.journal.stats());
}
