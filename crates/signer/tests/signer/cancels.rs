//! Cancel attempts through the pipeline: what takes the place of a signed payment, and what keeps it from that (docs/adr/0037).

use crate::support;

use countersign_approval::{Body, Cancel, Envelope, ObservedFact, ObservedOutcome};
use countersign_decision::testing::solana::{NONCE_VALUE, SolanaAsk, nonce_account, nonce_fact};
use countersign_decision::testing::{Ask, CUSTOMER, World, withdrawal};
use countersign_decision::{Entry, Receipt};
use countersign_signer::{Answer, Journal as _, Reads, Submission, Verdict, propose};
use countersign_types::{ConflictKey, Destination, Tag, Timestamp};
use support::{Mood, Rig, assert_denied, assert_signed, tags};

/// 0.01 ETH, which is what every fee here stays under.
const CEILING: u128 = 10_000_000_000_000_000;

/// A payment that needs nobody.
fn payment() -> Ask {
    Ask {
        amount: 50_000_000_000_000_000,
        ..Ask::default()
    }
}

impl Rig {
    /// What takes the place of a payment with this nonce.
    fn to_itself(&self, nonce: u64) -> Ask {
        Ask {
            amount: 0,
            destination: self.world.wallet_address().to_string(),
            max_fee_per_gas: 40_000_000_000,
            nonce,
            ..Ask::default()
        }
    }

    async fn signed_payment(&self) -> Envelope {
        let request = self.world.request(&payment());
        assert_signed(&self.authorize(&payment(), &request, &[]).await.unwrap());
        request
    }

    async fn decisions(&self) -> usize {
        let entries = self.journal.entries(0, 256).await.unwrap();
        let is_decision = |bytes: &&Vec<u8>| matches!(Entry::parse(bytes), Ok(Entry::Decision(_)));
        entries.iter().filter(is_decision).count()
    }
}

#[tokio::test]
async fn it_takes_the_place_of_what_is_signed() {
    let rig = Rig::new().await;
    let request = rig.signed_payment().await;
    let attempt = rig.to_itself(0);
    let cancel = rig.world.cancel_for("payout-service", &request, CEILING);
    // In one call: the cancel ends the withdrawal, and what takes its place is authorized in the same transaction.
    let answer = rig.authorize(&attempt, &request, &[&cancel]).await.unwrap();
    let signed = assert_signed(&answer);
    assert!(matches!(answer, Answer::Signed { attempt: 2, .. }), "{answer:?}");
    assert_eq!(rig.uses(), 2);
    let kept_in = rig.authorize(&payment(), &request, &[]).await.unwrap();
    assert_denied(&kept_in, Tag::WithdrawalCancelled);
    let rig = rig.restart().await;
    let (uses, decisions) = (rig.uses(), rig.decisions().await);
    let again = rig.authorize(&attempt, &request, &[]).await.unwrap();
    assert_eq!((assert_signed(&again), rig.uses()), (signed.clone(), uses));
    assert_eq!(rig.decisions().await, decisions, "asking again writes nothing");
    let receipt = rig.signer.receipt(withdrawal(&request)).await.unwrap();
    let receipt = Receipt::verify(&receipt, &rig.world.genesis_bytes).unwrap();
    assert_eq!((receipt.txid, receipt.others.len()), (Some(signed.txid), 1));
    assert!(!receipt.effects.unwrap().as_str().contains("transfer "));
    // It is the nonce that it shares, and no other one.
    let next = Ask {
        reference: "order-2".to_owned(),
        nonce: 1,
        ..payment()
    };
    assert_signed(&rig.sign(&next).await);
}

/// An officer says so at the signer's own listener, long after the request has expired, and raises its fee once.
#[tokio::test]
async fn an_officer_cancels_what_is_stuck_for_weeks() {
    let rig = Rig::new().await;
    let request = rig.signed_payment().await;
    rig.say(&rig.world.cancel("dave", &request)).await.unwrap();
    let attempt = rig.to_itself(0);
    let answer = rig.authorize(&attempt, &request, &[]).await.unwrap();
    assert_denied(&answer, Tag::WithdrawalCancelled);
    rig.say(&rig.world.cancel_for("dave", &request, CEILING / 20))
        .await
        .unwrap();
    rig.advance(40 * 86_400);
    let answer = rig.authorize(&attempt, &request, &[]).await.unwrap();
    assert_denied(&answer, Tag::RequestFeeOverCeiling);
    let cheap = Ask {
        max_fee_per_gas: 22_000_000_000,
        ..rig.to_itself(0)
    };
    assert_signed(&rig.authorize(&cheap, &request, &[]).await.unwrap());
    let answer = rig.authorize(&payment(), &request, &[]).await.unwrap();
    assert!(tags(&answer).contains(&Tag::StatementExpired), "{answer:?}");
}

/// Only freezes keep it in: a no to the payment is what it is for.
#[tokio::test]
async fn a_freeze_keeps_it_in_and_a_rejection_does_not() {
    let rig = Rig::new().await;
    let request = rig.signed_payment().await;
    let cancel = rig.world.cancel_for("payout-service", &request, CEILING);
    let attempt = rig.to_itself(0);
    let signed = assert_signed(&rig.authorize(&attempt, &request, &[&cancel]).await.unwrap());
    rig.say(&rig.world.rejection("alice", &request)).await.unwrap();
    let again = rig.authorize(&attempt, &request, &[]).await.unwrap();
    assert_eq!(assert_signed(&again), signed);
    let destination = format!("destination {CUSTOMER}");
    rig.say(&rig.world.freeze("dave", &destination)).await.unwrap();
    assert_signed(&rig.authorize(&attempt, &request, &[]).await.unwrap());
    rig.say(&rig.world.freeze("dave", "wallet eth-hot")).await.unwrap();
    let frozen = rig.authorize(&attempt, &request, &[]).await.unwrap();
    assert_denied(&frozen, Tag::FreezeActive);
    assert_eq!(rig.uses(), 2);
}

#[tokio::test]
async fn without_something_that_may_land_there_is_nothing_to_cancel() {
    let rig = Rig::new().await;
    let ask = payment();
    let request = rig.world.request(&ask);
    let cancel = rig.world.cancel_for("payout-service", &request, CEILING);
    let answer = rig.authorize(&rig.to_itself(0), &request, &[&cancel]).await.unwrap();
    assert_denied(&answer, Tag::LineageNothingToCancel);
    // The cancel counted all the same.
    assert_denied(
        &rig.authorize(&ask, &request, &[]).await.unwrap(),
        Tag::WithdrawalCancelled,
    );
    let other = Ask {
        reference: "order-2".to_owned(),
        ..payment()
    };
    assert_signed(&rig.sign(&other).await);
    assert_eq!(rig.uses(), 1);
}

/// The token failed behind the authorization: it is taken up like every other one.
#[tokio::test]
async fn what_was_authorized_is_taken_up_again() {
    let rig = Rig::new().await;
    let request = rig.signed_payment().await;
    let cancel = rig.world.cancel_for("payout-service", &request, CEILING);
    rig.set_mood(Mood::Fails);
    rig.authorize(&rig.to_itself(0), &request, &[&cancel])
        .await
        .unwrap_err();
    rig.set_mood(Mood::Signs);
    rig.advance(60);
    let rig = rig.restart().await;
    assert_eq!(rig.ask_again().await.0, 1);
    assert_signed(&rig.authorize(&rig.to_itself(0), &request, &[]).await.unwrap());
}

/// A payment that was never signed gives its nonce up. Whoever claims it has it, whatever was authorized under it before.
#[tokio::test]
async fn what_was_given_up_and_claimed_since_is_not_signed() {
    let rig = Rig::new().await;
    let request = rig.world.request(&payment());
    let cancel = rig.world.cancel_for("payout-service", &request, CEILING);
    let attempt = rig.to_itself(0);
    rig.set_mood(Mood::Fails);
    rig.authorize(&payment(), &request, &[]).await.unwrap_err();
    rig.authorize(&attempt, &request, &[&cancel]).await.unwrap_err();
    rig.set_mood(Mood::Signs);
    rig.advance(60);
    assert_eq!(rig.clear().await.cleared, 2);
    let other = Ask {
        reference: "order-2".to_owned(),
        ..payment()
    };
    assert_signed(&rig.authorize(&other, &rig.world.request(&other), &[]).await.unwrap());
    let answer = rig.authorize(&attempt, &request, &[]).await.unwrap();
    assert_denied(&answer, Tag::ConflictKeyTaken);
    assert_eq!(rig.uses(), 1);
}

/// What is remembered as paid was paid: what a customer never got does not make the address a known one.
#[tokio::test]
async fn it_pays_nobody_for_later_decisions_either() {
    let rig = Rig::new().await;
    let request = rig.world.request(&payment());
    let cancel = rig.world.cancel_for("payout-service", &request, CEILING);
    rig.set_mood(Mood::Fails);
    rig.authorize(&payment(), &request, &[]).await.unwrap_err();
    rig.set_mood(Mood::Signs);
    assert_signed(&rig.authorize(&rig.to_itself(0), &request, &[&cancel]).await.unwrap());
    let customer: Destination = CUSTOMER.parse().unwrap();
    let reads = Reads {
        destinations: vec![customer],
        ..Reads::default()
    };
    let paid = |view: &countersign_signer::LedgerView, _: Timestamp| Verdict::unchanged(view.paid.clone());
    let (paid, _) = propose(rig.journal.as_ref(), reads, paid).await.unwrap();
    assert!(paid.is_empty(), "{paid:?}");
}

const SOL_HOUR: &str = r#"id: sol-hour, effects: [transfer], assets: [SOL], scope: [], window: 1h, hard: "0.5 SOL""#;

/// Observers see the cancel attempt land: what the payment was charged is given back, and nothing before.
#[tokio::test]
async fn what_it_took_the_place_of_is_given_back_when_it_lands() {
    let rig = Rig::observed_limited(&[SOL_HOUR]).await;
    let durable = SolanaAsk {
        amount: 300_000_000,
        ..SolanaAsk::durable()
    };
    let advance = SolanaAsk {
        amount: 300_000_000,
        ..SolanaAsk::advance()
    };
    let other = SolanaAsk {
        reference: "sol-2".to_owned(),
        amount: 300_000_000,
        blockhash: [9; 32],
        ..SolanaAsk::default()
    };
    let [request, next] = [&durable, &other].map(|ask| rig.world.solana_request(ask));
    let ask = async |ask: &SolanaAsk, request: &Envelope, statements: &[Envelope]| {
        let submission = Submission {
            request: request.to_bytes(),
            unsigned: ask.unsigned(),
            statements: statements.iter().map(Envelope::to_bytes).collect(),
        };
        rig.signer.authorize(submission).await.unwrap()
    };
    let attest = |sequence: u64, fact: &ObservedFact| {
        ["node-a", "node-b"].map(|node| rig.world.observation(node, sequence, std::slice::from_ref(fact)))
    };
    assert_signed(&ask(&durable, &request, &attest(1, &nonce_fact())).await);
    let cancel = Cancel {
        withdrawal: withdrawal(&request),
        fee_ceiling: Some(durable.request().fee_ceiling),
        reason: String::new(),
    };
    let cancel = rig.world.sign("payout-service", Body::Cancel(cancel));
    let signed = assert_signed(&ask(&advance, &request, &[cancel]).await);
    assert_denied(&ask(&other, &next, &[]).await, Tag::LimitWindowExceeded);
    let landed = ObservedFact::Spent {
        conflict_key: ConflictKey::NonceAccount {
            account: nonce_account(),
            value: NONCE_VALUE,
        },
        txid: signed.txid,
        outcome: ObservedOutcome::Succeeded,
    };
    let seen = attest(2, &landed);
    ask(&advance, &request, &seen[..1]).await;
    assert_denied(&ask(&other, &next, &[]).await, Tag::LimitWindowExceeded);
    assert_signed(&ask(&advance, &request, &seen).await);
    assert_signed(&ask(&other, &next, &[]).await);
}

/// Where charges age from signature, what ended unsigned ages when its time to sign has run out. A cancel attempt is signed later all the
/// same, and what it is charged is not final before.
#[tokio::test]
async fn one_that_lapsed_is_authorized_again_where_charges_age_from_signature() {
    let rig = Rig::changed(World::new(), &[], |files| {
        let wallets = String::from_utf8(files["wallets.yaml"].clone()).unwrap();
        let aging = wallets.replace("first-nonce: 0 }", "first-nonce: 0, ages-from: signature }");
        assert_ne!(aging, wallets);
        files.insert("wallets.yaml".to_owned(), aging.into_bytes());
    })
    .await;
    let request = rig.signed_payment().await;
    let cancel = rig.world.cancel_for("payout-service", &request, CEILING);
    let attempt = rig.to_itself(0);
    rig.set_mood(Mood::Fails);
    rig.authorize(&attempt, &request, &[&cancel]).await.unwrap_err();
    rig.advance(60);
    assert_eq!(rig.clear().await.cleared, 1);
    rig.set_mood(Mood::Signs);
    assert_signed(&rig.authorize(&attempt, &request, &[]).await.unwrap());
}
