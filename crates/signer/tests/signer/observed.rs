//! Observations in the signer: which are journaled and for whom, crashes around them, and receipts that need them.

use crate::support;

use countersign_approval::{Envelope, Kind, ObservedFact, ObservedOutcome};
use countersign_decision::testing::solana::{
    NODES, NONCE_VALUE, SolanaAsk, files, nonce_account, nonce_fact, observed_roster, table, table_fact, thief,
};
use countersign_decision::testing::{sealed, withdrawal};
use countersign_decision::{Entry, Receipt};
use countersign_signer::{Answer, SignerError, Submission};
use countersign_types::{ConflictKey, Tag, TransactionDigest};
use support::faults::Fault;
use support::{Mood, Rig, assert_denied, assert_pending, assert_signed, tags};

fn submission(ask: &SolanaAsk, request: &Envelope, statements: &[&Envelope]) -> Submission {
    Submission {
        request: request.to_bytes(),
        unsigned: ask.unsigned(),
        statements: statements.iter().map(|envelope| envelope.to_bytes()).collect(),
    }
}

async fn authorize(rig: &Rig, ask: &SolanaAsk, request: &Envelope, statements: &[&Envelope]) -> Answer {
    rig.signer
        .authorize(submission(ask, request, statements))
        .await
        .unwrap()
}

async fn entries(rig: &Rig) -> Vec<Entry> {
    let bytes = rig.signer.entries(0, 256).await.unwrap();
    bytes.iter().map(|entry| Entry::parse(entry).unwrap()).collect()
}

/// How many entries say that an observation is about a withdrawal.
async fn logged_observations(rig: &Rig) -> usize {
    let is_one = |entry: &&Entry| matches!(entry, Entry::Statement(entry) if entry.kind == Kind::Observation);
    entries(rig).await.iter().filter(is_one).count()
}

async fn receipt(rig: &Rig, request: &Envelope) -> Receipt {
    let receipt = rig.signer.receipt(withdrawal(request)).await.unwrap();
    Receipt::verify(&receipt, &rig.world.genesis_bytes).unwrap()
}

/// A withdrawal whose approvals are in, but no observations.
async fn approved(rig: &Rig, ask: &SolanaAsk) -> Envelope {
    let request = rig.world.solana_request(ask);
    let alice = rig.world.solana_approval("alice", &request, ask);
    let bob = rig.world.solana_approval("bob", &request, ask);
    drop(authorize(rig, ask, &request, &[&alice, &bob]).await);
    request
}

fn expires(ask: &SolanaAsk) -> ObservedFact {
    ObservedFact::Expired {
        transaction: TransactionDigest::of(&ask.unsigned()),
        last_valid_height: 900,
    }
}

#[tokio::test]
async fn a_looked_up_payment_waits_for_its_observers_and_its_receipt_has_them() {
    let rig = Rig::observed().await;
    let ask = SolanaAsk::looked_up();
    let request = approved(&rig, &ask).await;
    assert_pending(&authorize(&rig, &ask, &request, &[]).await, Tag::FactsUnattested);
    let [a, b] = ["node-a", "node-b"].map(|node| rig.world.observation(node, 1, &[table_fact()]));
    assert_pending(&authorize(&rig, &ask, &request, &[&a]).await, Tag::FactsUnattested);
    let signed = assert_signed(&authorize(&rig, &ask, &request, &[&b]).await);
    let receipt = receipt(&rig, &request).await;
    assert_eq!(receipt.txid.as_deref(), Some(signed.txid.as_str()));
    assert!(receipt.effects.unwrap().as_str().contains("1 SOL"));
    assert_eq!(logged_observations(&rig).await, 2);
}

/// The bytes are read before the journal says which observations count; where that is a mistake they are read again.
#[tokio::test]
async fn what_is_not_admitted_is_not_read_with() {
    let rig = Rig::observed().await;
    let ask = SolanaAsk::looked_up();
    let request = approved(&rig, &ask).await;
    // The observers are further on this network already.
    let other = SolanaAsk {
        reference: "sol-2".to_owned(),
        ..ask.clone()
    };
    let served = approved(&rig, &other).await;
    let later = ["node-a", "node-b"].map(|node| rig.world.observation(node, 5, &[table_fact()]));
    assert_signed(&authorize(&rig, &other, &served, &[&later[0], &later[1]]).await);
    let stale = ["node-a", "node-b"].map(|node| rig.world.observation(node, 4, &[table_fact()]));
    let answer = authorize(&rig, &ask, &request, &[&stale[0], &stale[1]]).await;
    assert_pending(&answer, Tag::FactsUnattested);
    assert_eq!(
        tags(&answer)
            .iter()
            .filter(|tag| **tag == Tag::ObservationStale)
            .count(),
        2
    );
    assert_eq!(rig.uses(), 1);
    // The later ones serve this withdrawal too, and again after a restart.
    let rig = rig.restart().await;
    assert_pending(
        &authorize(&rig, &ask, &request, &[&stale[0]]).await,
        Tag::ObservationStale,
    );
    assert_signed(&authorize(&rig, &ask, &request, &[&later[0], &later[1]]).await);
    for request in [&request, &served] {
        assert!(receipt(&rig, request).await.txid.is_some());
    }
    assert_eq!(
        logged_observations(&rig).await,
        4,
        "each of the two about each withdrawal"
    );
}

/// What an observation must be to be journaled: of an observer, needed, in order, and not one of too many.
#[tokio::test]
async fn an_observation_that_is_not_needed_is_not_journaled() {
    let rig = Rig::observed().await;
    let ask = SolanaAsk::looked_up();
    let request = approved(&rig, &ask).await;
    let before = entries(&rig).await.len();
    let refused = [
        (
            "nobody needs it",
            rig.world.observation("node-a", 1, &[nonce_fact()]),
            Tag::ObservationIrrelevant,
        ),
        (
            "not its attempt",
            rig.world.observation("node-a", 1, &[expires(&ask)]),
            Tag::ObservationIrrelevant,
        ),
        (
            "no observer",
            rig.world.observation("payout-service", 1, &[table_fact()]),
            Tag::StatementNotPermitted,
        ),
        (
            "a person",
            rig.world.observation("carol", 1, &[table_fact()]),
            Tag::StatementNotPermitted,
        ),
    ];
    for (what, observation, tag) in &refused {
        let answer = authorize(&rig, &ask, &request, &[observation]).await;
        assert_pending(&answer, *tag);
        assert_eq!(entries(&rig).await.len(), before, "{what}");
    }
    // One observer has room for 16 of them, whatever it says.
    let many: Vec<Envelope> = (1..=24)
        .map(|n| rig.world.observation("node-a", n, &[table_fact()]))
        .collect();
    let answer = authorize(&rig, &ask, &request, &many.iter().collect::<Vec<_>>()).await;
    assert_eq!(
        tags(&answer).iter().filter(|tag| **tag == Tag::MessageTooLarge).count(),
        8
    );
    assert_eq!(logged_observations(&rig).await, 16);
    // People are still heard beside them.
    let rejection = rig.world.rejection("carol", &request);
    let b = rig.world.observation("node-b", 1, &[table_fact()]);
    assert_denied(
        &authorize(&rig, &ask, &request, &[&b, &rejection]).await,
        Tag::ApprovalRejected,
    );
}

#[tokio::test]
async fn all_observers_together_have_room_for_thirty_two() {
    let rig = Rig::observed().await;
    let ask = SolanaAsk::looked_up();
    let request = approved(&rig, &ask).await;
    for node in NODES {
        let lies = ObservedFact::LookupTable {
            account: table(),
            addresses: vec![thief()],
        };
        let many: Vec<Envelope> = (1..=10)
            .map(|n| rig.world.observation(node, n, std::slice::from_ref(&lies)))
            .collect();
        drop(authorize(&rig, &ask, &request, &many.iter().collect::<Vec<_>>()).await);
    }
    assert_eq!(logged_observations(&rig).await, 32);
}

/// They are journaled with a withdrawal and not by themselves.
#[tokio::test]
async fn an_observation_alone_is_refused() {
    let rig = Rig::observed().await;
    let alone = rig.world.observation("node-a", 1, &[table_fact()]).to_bytes();
    let refused = rig.signer.record_statement(&alone).await.unwrap_err();
    assert!(matches!(refused, SignerError::NoForeignSpend(_)), "{refused}");
    assert_eq!(logged_observations(&rig).await, 0);
}

/// The contents of the table change while the token works: nobody sees what was signed on the old ones.
#[tokio::test]
async fn an_observation_while_the_token_works_keeps_the_signature_in() {
    let rig = Rig::observed().await;
    let ask = SolanaAsk::looked_up();
    let request = approved(&rig, &ask).await;
    let honest = ["node-a", "node-b"].map(|node| rig.world.observation(node, 1, &[table_fact()]));
    let swapped = ["node-a", "node-b"].map(|node| {
        let addresses = vec![thief(), thief()];
        let account = table();
        rig.world
            .observation(node, 2, &[ObservedFact::LookupTable { account, addresses }])
    });
    rig.set_mood(Mood::Waits);
    let honest = [&honest[0], &honest[1]];
    let asked = authorize(&rig, &ask, &request, &honest);
    let beside = async {
        rig.key.arrived.acquire().await.unwrap().forget();
        let answer = authorize(&rig, &ask, &request, &[&swapped[0], &swapped[1]]).await;
        assert_denied(&answer, Tag::RequestPaymentsMismatch);
        rig.set_mood(Mood::Signs);
        rig.key.gate.add_permits(1);
    };
    let (answer, ()) = tokio::join!(asked, beside);
    assert_denied(&answer, Tag::RequestPaymentsMismatch);
    let signatures = entries(&rig)
        .await
        .into_iter()
        .filter(|entry| matches!(entry, Entry::Signature(_)));
    assert_eq!((rig.uses(), signatures.count()), (1, 0));
}

/// A bundle in which the observers are others: what rested on the old ones is not signed any more.
#[tokio::test]
async fn observers_who_left_do_not_count() {
    let rig = Rig::observed().await;
    let ask = SolanaAsk::looked_up();
    let request = approved(&rig, &ask).await;
    let [a, b] = ["node-a", "node-b"].map(|node| rig.world.observation(node, 1, &[table_fact()]));
    rig.set_mood(Mood::Fails);
    let failed = rig.signer.authorize(submission(&ask, &request, &[&a, &b])).await;
    assert!(matches!(failed, Err(SignerError::Backend(_))), "{failed:?}");
    let mut roster = observed_roster();
    roster.observers[0]
        .members
        .retain(|node| !["node-a", "node-b"].contains(&node.as_str()));
    let previous = rig.world.bundle().digest();
    rig.activate(&["alice", "carol"], sealed(2, Some(previous), files(&roster)))
        .await
        .unwrap();
    rig.set_mood(Mood::Signs);
    assert_eq!(rig.ask_again().await.0, 0);
    assert_pending(&authorize(&rig, &ask, &request, &[]).await, Tag::FactsUnattested);
    assert_eq!(rig.uses(), 0);
}

/// Two messages with plain blockhashes can both land, so the second waits until two saw that the first cannot.
#[tokio::test]
async fn a_message_is_signed_again_when_the_first_is_provably_over() {
    let rig = Rig::observed().await;
    let first = SolanaAsk::default();
    let second = SolanaAsk {
        blockhash: [0x78; 32],
        ..first.clone()
    };
    let request = approved(&rig, &first).await;
    let signed = assert_signed(&authorize(&rig, &first, &request, &[]).await);
    assert_denied(
        &authorize(&rig, &second, &request, &[]).await,
        Tag::LineageAnchorChanged,
    );
    let over = |node| rig.world.observation(node, 1, &[expires(&first)]);
    assert_denied(
        &authorize(&rig, &second, &request, &[&over("node-a")]).await,
        Tag::LineageAnchorChanged,
    );
    let answer = authorize(&rig, &second, &request, &[&over("node-c")]).await;
    let again = assert_signed(&answer);
    assert!(matches!(answer, Answer::Signed { attempt: 2, .. }));
    assert_ne!(again.txid, signed.txid);
    // The observations are over by tomorrow; what they said is final.
    rig.advance(2 * 86_400);
    let rig = rig.restart().await;
    assert_eq!(
        assert_signed(&authorize(&rig, &second, &request, &[]).await).txid,
        again.txid
    );
    assert_eq!(receipt(&rig, &request).await.txid.as_deref(), Some(again.txid.as_str()));
}

/// The anchor of a durable attempt is used up by a transaction that the journal does not know.
#[tokio::test]
async fn a_foreign_spend_stops_the_lineage() {
    let rig = Rig::observed().await;
    let ask = SolanaAsk::durable();
    let request = approved(&rig, &ask).await;
    let observe = |sequence, fact: &ObservedFact| {
        ["node-a", "node-b"].map(|node| rig.world.observation(node, sequence, std::slice::from_ref(fact)))
    };
    let stored = observe(1, &nonce_fact());
    rig.set_mood(Mood::Fails);
    let failed = rig
        .signer
        .authorize(submission(&ask, &request, &[&stored[0], &stored[1]]))
        .await;
    assert!(matches!(failed, Err(SignerError::Backend(_))), "{failed:?}");
    rig.set_mood(Mood::Signs);
    let spent = observe(
        2,
        &ObservedFact::Spent {
            conflict_key: ConflictKey::NonceAccount {
                account: nonce_account(),
                value: NONCE_VALUE,
            },
            txid: "stranger".to_owned(),
            outcome: ObservedOutcome::Succeeded,
        },
    );
    let answer = authorize(&rig, &ask, &request, &[&spent[0], &spent[1]]).await;
    // And everything else of the wallet: whoever did that has its key.
    assert_denied(&answer, Tag::FreezeActive);
    let rig = rig.restart().await;
    let (_, left) = rig.ask_again().await;
    assert_eq!(left, [(withdrawal(&request), vec![Tag::FreezeActive])]);
    assert_eq!(rig.uses(), 0);
}

/// The process dies at each point of a call that brings observations: it is signed once, on what two observers say, and
/// the log holds each observation about it once.
#[tokio::test]
async fn a_crash_anywhere_keeps_observations_whole() {
    let mut crashes = 0;
    for point in 0.. {
        let rig = Rig::observed().await;
        let ask = SolanaAsk::looked_up();
        let request = approved(&rig, &ask).await;
        let [a, b] = ["node-a", "node-b"].map(|node| rig.world.observation(node, 1, &[table_fact()]));
        rig.key.faults.arm(point, Fault::Crash);
        let is_crashed = tokio::select! {
            biased;
            () = rig.key.faults.crashed() => true,
            answer = rig.signer.authorize(submission(&ask, &request, &[&a, &b])) => {
                assert_signed(&answer.unwrap());
                false
            }
        };
        rig.key.faults.disarm();
        let rig = rig.restart().await;
        rig.ask_again().await;
        let signed = assert_signed(&authorize(&rig, &ask, &request, &[&b, &a]).await);
        assert_eq!(receipt(&rig, &request).await.txid, Some(signed.txid), "point {point}");
        assert_eq!(logged_observations(&rig).await, 2, "point {point}");
        if !is_crashed {
            break;
        }
        crashes += 1;
    }
    assert!(crashes >= 8, "{crashes}");
}
