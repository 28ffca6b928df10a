//! What happens beside a withdrawal that is being signed: rejections, cancels, bundles, other callers.

use crate::support;

use std::sync::atomic::Ordering;

use countersign_approval::{Approval, ApprovalItem, Body, Envelope};
use countersign_bundle::Bundle;
use countersign_decision::testing::{Ask, WALLET_KEY, bundle_files, roster, sealed, withdrawal};
use countersign_decision::{Entry, Receipt};
use countersign_signer::{Answer, Journal as _, JournalError, SignerError};
use countersign_types::{PublicKey, Scheme, Tag};
use support::faults::Fault;
use support::{Mood, Rig, assert_denied, assert_pending, assert_signed, submission, tags};

fn small() -> Ask {
    Ask {
        amount: 50_000_000_000_000_000,
        ..Ask::default()
    }
}

/// The backend of these tests has ECDSA alone, as SoftHSM has: a wallet that uses taproot is refused before it is in
/// force, and one that does not is accepted with the same key.
#[tokio::test]
async fn a_taproot_wallet_needs_a_backend_with_schnorr() {
    let files = |forms: &str| {
        let mut files = bundle_files(&roster());
        let network = include_str!("../../../../chains/bitcoin/networks/bitcoin.yaml");
        files.insert("networks/bitcoin.yaml".to_owned(), network.into());
        let wallets = format!(
            "wallets:\n  - id: eth-hot\n    tier: hot\n    keys: [\"{WALLET_KEY}\"]\n    networks:\n      \
             - {{ chain: \"bip122:000000000019d6689c085ae165831e93\", forms: {forms} }}\n"
        );
        files.insert("wallets.yaml".to_owned(), wallets.into_bytes());
        sealed(1, None, files)
    };
    let key = WALLET_KEY.parse::<PublicKey>().unwrap().id();
    for forms in ["[p2tr]", "[p2wpkh, p2tr]"] {
        let rig = Rig::bare().await;
        let refused = rig.activate(&["alice", "bob"], files(forms)).await;
        let Err(SignerError::MissingKey { key: missing, scheme }) = refused else {
            panic!("{forms}: {refused:?}");
        };
        assert_eq!((missing, scheme), (key, Scheme::Schnorr), "{forms}");
        let asked = submission(&small(), &rig.world.request(&small()), &[]);
        assert!(matches!(rig.signer.authorize(asked).await, Err(SignerError::NoBundle)));
        rig.activate(&["alice", "bob"], files("[p2wpkh, p2wsh]")).await.unwrap();
    }
}

async fn entries(rig: &Rig) -> Vec<Entry> {
    let bytes = rig.signer.entries(0, 256).await.unwrap();
    bytes.iter().map(|entry| Entry::parse(entry).unwrap()).collect()
}

async fn signatures(rig: &Rig) -> usize {
    let entries = entries(rig).await;
    entries
        .iter()
        .filter(|entry| matches!(entry, Entry::Signature(_)))
        .count()
}

/// Authorizes with a slow token, does something meanwhile, and lets the token answer once or twice.
async fn while_the_token_works(rig: &Rig, ask: &Ask, request: &Envelope, meanwhile: impl AsyncFnOnce()) -> Answer {
    let alice = rig.world.approval("alice", request, ask);
    let bob = rig.world.approval("bob", request, ask);
    rig.set_mood(Mood::Waits);
    let approvals = [&alice, &bob];
    let asked = rig.authorize(ask, request, &approvals);
    let beside = async {
        rig.key.arrived.acquire().await.unwrap().forget();
        meanwhile().await;
        rig.set_mood(Mood::Signs);
        rig.key.gate.add_permits(1);
    };
    tokio::join!(asked, beside).0.unwrap()
}

#[tokio::test]
async fn a_rejection_while_the_token_works_keeps_the_signature_in() {
    let rig = Rig::new().await;
    let ask = Ask::default();
    let request = rig.world.request(&ask);
    let rejection = rig.world.rejection("carol", &request).to_bytes();
    let answer = while_the_token_works(&rig, &ask, &request, async || {
        rig.signer.record_statement(&rejection).await.unwrap();
    })
    .await;
    assert_denied(&answer, Tag::ApprovalRejected);
    assert!(matches!(answer, Answer::Denied { is_final: true, .. }));
    // The token signed, and nobody will see it: neither the log nor the receipt has it.
    assert_eq!((rig.uses(), signatures(&rig).await), (1, 0));
    let receipt = rig.signer.receipt(withdrawal(&request)).await.unwrap();
    assert_eq!(Receipt::verify(&receipt, &rig.world.genesis_bytes).unwrap().txid, None);
    // It stays so: after a restart, and for who asks again.
    let rig = rig.restart().await;
    assert_eq!(rig.ask_again().await.0, 0);
    assert_denied(
        &rig.authorize(&ask, &request, &[]).await.unwrap(),
        Tag::ApprovalRejected,
    );
    assert_eq!(rig.uses(), 1);
}

#[tokio::test]
async fn a_cancel_while_the_token_works_keeps_the_signature_in() {
    let rig = Rig::new().await;
    let ask = Ask::default();
    let request = rig.world.request(&ask);
    let cancel = rig.world.cancel("dave", &request).to_bytes();
    let answer = while_the_token_works(&rig, &ask, &request, async || {
        rig.signer.record_statement(&cancel).await.unwrap();
    })
    .await;
    assert_denied(&answer, Tag::WithdrawalCancelled);
    assert_eq!(signatures(&rig).await, 0);
}

#[tokio::test]
async fn one_more_approval_while_the_token_works_changes_nothing() {
    let rig = Rig::new().await;
    let ask = Ask::default();
    let request = rig.world.request(&ask);
    let carol = rig.world.approval("carol", &request, &ask).to_bytes();
    let answer = while_the_token_works(&rig, &ask, &request, async || {
        rig.signer.record_statement(&carol).await.unwrap();
    })
    .await;
    assert_signed(&answer);
    // Decided anew, under the same authorization.
    assert_eq!(signatures(&rig).await, 1);
    let allowed = entries(&rig).await;
    let allowed = allowed
        .iter()
        .filter(|entry| matches!(entry, Entry::Decision(entry) if entry.authorization.is_some()));
    assert_eq!(allowed.count(), 1);
    let receipt = rig.signer.receipt(withdrawal(&request)).await.unwrap();
    assert!(
        Receipt::verify(&receipt, &rig.world.genesis_bytes)
            .unwrap()
            .txid
            .is_some()
    );
}

#[tokio::test]
async fn a_tightened_policy_while_the_token_works_is_in_force_at_once() {
    let rig = Rig::new().await;
    let ask = Ask::default();
    let request = rig.world.request(&ask);
    let mut files = bundle_files(&rig.world.roster());
    let policy = String::from_utf8(files["policy.yaml"].clone()).unwrap();
    let strict = policy.replace("hard: \"8 ETH\"", "hard: \"0.5 ETH\"");
    assert_ne!(strict, policy);
    files.insert("policy.yaml".to_owned(), strict.into_bytes());
    let second = sealed(2, Some(rig.world.bundle().digest()), files);
    let answer = while_the_token_works(&rig, &ask, &request, async || {
        rig.activate(&["alice", "bob"], second).await.unwrap();
    })
    .await;
    assert_denied(&answer, Tag::LimitPerTransactionExceeded);
    assert_eq!(signatures(&rig).await, 0);
}

#[tokio::test]
async fn a_token_that_answers_after_the_authorization_ran_out_is_not_heard() {
    let rig = Rig::new().await;
    let ask = Ask::default();
    let request = rig.world.request(&ask);
    let alice = rig.world.approval("alice", &request, &ask);
    let bob = rig.world.approval("bob", &request, &ask);
    rig.set_mood(Mood::Waits);
    let approvals = [&alice, &bob];
    let asked = rig.authorize(&ask, &request, &approvals);
    let beside = async {
        rig.key.arrived.acquire().await.unwrap().forget();
        rig.advance(30);
        rig.key.gate.add_permits(1);
    };
    let error = tokio::join!(asked, beside).0.unwrap_err();
    assert_eq!(error.tag(), Tag::AuthorizationExpired);
    assert_eq!(signatures(&rig).await, 0);
    rig.set_mood(Mood::Signs);
    assert_signed(&rig.authorize(&ask, &request, &[]).await.unwrap());
    assert_eq!(signatures(&rig).await, 1);
}

/// Callers that ask for one attempt at once all get the one transaction, though each token answer differs.
#[tokio::test]
async fn racing_calls_get_the_same_transaction() {
    let rig = Rig::new().await;
    let ask = small();
    let request = rig.world.request(&ask);
    rig.set_mood(Mood::Waits);
    let calls = (0..4).map(|_| rig.authorize(&ask, &request, &[]));
    let beside = async {
        for _ in 0..4 {
            rig.key.arrived.acquire().await.unwrap().forget();
        }
        rig.key.gate.add_permits(4);
    };
    let (answers, ()) = tokio::join!(futures_util::future::join_all(calls), beside);
    let released: std::collections::BTreeSet<_> = answers
        .iter()
        .map(|answer| assert_signed(answer.as_ref().unwrap()).bytes)
        .collect();
    assert_eq!((released.len(), rig.uses(), signatures(&rig).await), (1, 4, 1));
    let receipt = rig.signer.receipt(withdrawal(&request)).await.unwrap();
    assert!(
        Receipt::verify(&receipt, &rig.world.genesis_bytes)
            .unwrap()
            .txid
            .is_some()
    );
}

/// A rejection that is journaled after the pipeline read the statements, of a withdrawal that was never seen before.
#[tokio::test]
async fn a_rejection_between_reading_and_deciding_is_noticed_at_first_sight() {
    let rig = Rig::new().await;
    let ask = Ask::default();
    let request = rig.world.request(&ask);
    let alice = rig.world.approval("alice", &request, &ask);
    let bob = rig.world.approval("bob", &request, &ask);
    let rejection = rig.world.rejection("carol", &request).to_bytes();
    // Point 1 is behind the reading of the statements: the call rests there, and the other one overtakes it.
    rig.key.faults.arm(1, Fault::Rests);
    let approvals = [&alice, &bob];
    let asked = rig.authorize(&ask, &request, &approvals);
    let beside = async {
        rig.key.faults.crashed().await;
        rig.signer.record_statement(&rejection).await.unwrap();
        rig.key.faults.go_on();
    };
    let answer = tokio::join!(asked, beside).0.unwrap();
    assert_denied(&answer, Tag::ApprovalRejected);
    assert_eq!(rig.uses(), 0);
}

/// A statement that rests in front of the journal, which was asked before whether there is a record to end, while another call sees the
/// withdrawal first.
async fn overtaken(point: u64, said: impl Fn(&Rig, &Envelope) -> Envelope) -> (Rig, Envelope) {
    let rig = Rig::new().await;
    let ask = Ask::default();
    let request = rig.world.request(&ask);
    let said = said(&rig, &request).to_bytes();
    rig.key.faults.arm(point, Fault::Rests);
    let saying = rig.signer.record_statement(&said);
    let beside = async {
        rig.key.faults.crashed().await;
        assert_pending(&rig.authorize(&ask, &request, &[]).await.unwrap(), Tag::ApprovalMissing);
        rig.key.faults.go_on();
    };
    tokio::join!(saying, beside).0.unwrap();
    (rig, request)
}

/// Who was told that it is in force may leave the roster before anybody asks again.
#[tokio::test]
async fn a_rejection_that_a_first_sight_overtakes_ends_the_withdrawal() {
    let (rig, request) = overtaken(1, |rig, request| rig.world.rejection("carol", request)).await;
    let ask = Ask::default();
    let [alice, bob] = without_carol(&rig, &ask, &request).await;
    let answer = rig.authorize(&ask, &request, &[&alice, &bob]).await.unwrap();
    assert_denied(&answer, Tag::ApprovalRejected);
    assert_eq!(rig.uses(), 0);
}

#[tokio::test]
async fn a_cancel_that_a_first_sight_overtakes_ends_the_withdrawal() {
    let (rig, request) = overtaken(0, |rig, request| rig.world.cancel("dave", request)).await;
    let basis = rig.journal.basis(withdrawal(&request).request(), Vec::new());
    assert_eq!(basis.await.unwrap().unwrap().ended, Some(Tag::WithdrawalCancelled));
}

/// The signature is recorded, and so in the log; what stops it now keeps it from being handed out.
#[tokio::test]
async fn a_cancel_between_record_and_release_is_the_last_gate() {
    let rig = Rig::new().await;
    let ask = small();
    let request = rig.world.request(&ask);
    // Point 9 is in front of the last look at what the decision rested on (tests/crash.rs counts them).
    rig.key.faults.arm(9, Fault::Rests);
    let asked = rig.authorize(&ask, &request, &[]);
    let beside = async {
        rig.key.faults.crashed().await;
        assert_eq!(signatures(&rig).await, 1);
        let cancel = rig.world.cancel("payout-service", &request).to_bytes();
        rig.signer.record_statement(&cancel).await.unwrap();
        rig.key.faults.go_on();
    };
    assert_denied(&tokio::join!(asked, beside).0.unwrap(), Tag::WithdrawalCancelled);
}

/// A bundle without carol comes into force; alice and bob approve under it.
async fn without_carol(rig: &Rig, ask: &Ask, request: &Envelope) -> [Envelope; 2] {
    let mut roster = rig.world.roster();
    roster.people.retain(|person| person.id.as_str() != "carol");
    roster.groups[0].members.pop();
    roster.admins.members.pop();
    let files = sealed(2, Some(rig.world.bundle().digest()), bundle_files(&roster));
    rig.activate(&["alice", "bob"], files.clone()).await.unwrap();
    let mut item = rig.world.item(request, ask);
    item.policy = Bundle::load(&files).unwrap().policy_digest();
    let approve = |person| {
        let items = vec![item.clone()];
        rig.world.sign(person, Body::Approval(Approval { items }))
    };
    ["alice", "bob"].map(approve)
}

/// Who rejected stays heard when the roster has forgotten her.
#[tokio::test]
async fn a_rejection_outlives_its_signers_membership() {
    let rig = Rig::new().await;
    let ask = Ask::default();
    let request = rig.world.request(&ask);
    let carol = rig.world.rejection("carol", &request);
    assert_denied(
        &rig.authorize(&ask, &request, &[&carol]).await.unwrap(),
        Tag::ApprovalRejected,
    );
    let approvals = without_carol(&rig, &ask, &request).await;
    let answer = rig.authorize(&ask, &request, &approvals.each_ref()).await.unwrap();
    assert_denied(&answer, Tag::ApprovalRejected);
    assert_eq!(rig.uses(), 0);
}

/// Also where nobody asked for a decision in between, and where what she signed with is nobody's key any more.
#[tokio::test]
async fn a_rejection_at_the_second_listener_outlives_its_signers_membership() {
    let rig = Rig::new().await;
    let ask = Ask::default();
    let request = rig.world.request(&ask);
    assert_pending(&rig.authorize(&ask, &request, &[]).await.unwrap(), Tag::ApprovalMissing);
    rig.say(&rig.world.rejection("carol", &request)).await.unwrap();
    let approvals = without_carol(&rig, &ask, &request).await;
    let answer = rig.authorize(&ask, &request, &approvals.each_ref()).await.unwrap();
    assert_denied(&answer, Tag::ApprovalRejected);
    assert_eq!(rig.uses(), 0);
}

#[tokio::test]
async fn an_officer_cancels_before_the_orchestrator_speaks() {
    let rig = Rig::new().await;
    let ask = small();
    let request = rig.world.request(&ask);
    let early = rig.world.cancel("payout-service", &request).to_bytes();
    let refused = rig.signer.record_statement(&early).await.unwrap_err();
    assert!(matches!(refused, SignerError::NotFound(_)));
    let officer = rig.world.cancel("dave", &request).to_bytes();
    rig.signer.record_statement(&officer).await.unwrap();
    assert_denied(
        &rig.authorize(&ask, &request, &[]).await.unwrap(),
        Tag::WithdrawalCancelled,
    );
    assert_eq!(rig.uses(), 0);
}

/// One request and bytes that an orchestrator makes up, again and again: the log has a bound.
#[tokio::test]
async fn made_up_bytes_do_not_grow_the_log_without_bound() {
    let rig = Rig::new().await;
    let ask = small();
    let request = rig.world.request(&ask);
    let mut made_up = submission(&ask, &request, &[]);
    for number in 0..300_u32 {
        made_up.unsigned = number.to_be_bytes().to_vec();
        let answer = rig.signer.authorize(made_up.clone()).await.unwrap();
        assert!(matches!(answer, Answer::Malformed { .. }), "{answer:?}");
    }
    let before = rig.journal.stats().commits;
    for number in 300..310_u32 {
        made_up.unsigned = number.to_be_bytes().to_vec();
        rig.signer.authorize(made_up.clone()).await.unwrap();
    }
    assert_eq!(rig.journal.stats().commits, before);
    // What matters is still logged: the real bytes are signed, and the receipt verifies.
    assert_signed(&rig.authorize(&ask, &request, &[]).await.unwrap());
    let receipt = rig.signer.receipt(withdrawal(&request)).await.unwrap();
    assert!(
        Receipt::verify(&receipt, &rig.world.genesis_bytes)
            .unwrap()
            .txid
            .is_some()
    );
}

/// An expired request is denied in the same words at every second.
#[tokio::test]
async fn an_expired_request_makes_one_entry() {
    let rig = Rig::new().await;
    let ask = Ask::default();
    let request = rig.world.request(&ask);
    assert_pending(&rig.authorize(&ask, &request, &[]).await.unwrap(), Tag::ApprovalMissing);
    rig.advance(86_400);
    assert_denied(
        &rig.authorize(&ask, &request, &[]).await.unwrap(),
        Tag::StatementExpired,
    );
    let before = entries(&rig).await.len();
    for _ in 0..3 {
        rig.advance(7);
        assert_denied(
            &rig.authorize(&ask, &request, &[]).await.unwrap(),
            Tag::StatementExpired,
        );
    }
    assert_eq!(entries(&rig).await.len(), before);
}

/// A token that is gone: asking again uses the authorization that there is.
#[tokio::test]
async fn asking_again_within_the_time_to_sign_does_not_authorize_again() {
    let rig = Rig::new().await;
    let ask = small();
    let request = rig.world.request(&ask);
    rig.set_mood(Mood::Fails);
    let mut counts = Vec::new();
    for secs in [0, 5, 5, 5, 5] {
        rig.advance(secs);
        rig.authorize(&ask, &request, &[]).await.unwrap_err();
        counts.push(entries(&rig).await.len());
    }
    // Half of the 30 seconds have passed before the last call.
    let first = counts[0];
    assert_eq!(counts, [first, first, first, first, first + 1]);
    rig.set_mood(Mood::Signs);
    assert_signed(&rig.authorize(&ask, &request, &[]).await.unwrap());
}

/// One person cannot fill a withdrawal with statements, and can still say no.
#[tokio::test]
async fn a_person_has_only_so_many_voices() {
    let rig = Rig::new().await;
    let ask = Ask::default();
    let request = rig.world.request(&ask);
    let approval = || rig.world.approval("carol", &request, &ask);
    for _ in 0..4 {
        rig.signer.record_statement(&approval().to_bytes()).await.unwrap();
    }
    let refused = rig.signer.record_statement(&approval().to_bytes()).await.unwrap_err();
    assert_eq!(refused.tag(), Tag::MessageTooLarge);
    let more = approval();
    let answer = rig.authorize(&ask, &request, &[&more]).await.unwrap();
    assert_pending(&answer, Tag::MessageTooLarge);
    let no = rig.world.rejection("carol", &request).to_bytes();
    rig.signer.record_statement(&no).await.unwrap();
    assert_denied(
        &rig.authorize(&ask, &request, &[]).await.unwrap(),
        Tag::ApprovalRejected,
    );
}

/// A statement of several withdrawals is filed under each, whichever brings it: nobody fills one through others.
#[tokio::test]
async fn other_withdrawals_are_no_way_around_the_room_for_voices() {
    let rig = Rig::new().await;
    let victim = rig.world.request(&Ask {
        reference: "victim".to_owned(),
        ..Ask::default()
    });
    let victim = withdrawal(&victim);
    for number in 0..5_u64 {
        let ask = Ask {
            reference: format!("other-{number}"),
            nonce: number,
            ..Ask::default()
        };
        let request = rig.world.request(&ask);
        let mut items = vec![rig.world.item(&request, &ask)];
        let elsewhere = ApprovalItem {
            withdrawal: victim,
            ..items[0].clone()
        };
        items.push(elsewhere);
        let approval = rig.world.sign("carol", Body::Approval(Approval { items }));
        let answer = rig.authorize(&ask, &request, &[&approval]).await.unwrap();
        let is_full = tags(&answer).contains(&Tag::MessageTooLarge);
        assert_eq!(is_full, number == 4, "{number}: {answer:?}");
    }
}

/// A request whose nonce its signer has used: never allowed, never journaled.
#[tokio::test]
async fn a_reused_nonce_is_denied() {
    let rig = Rig::new().await;
    let (first, second) = (
        small(),
        Ask {
            reference: "order-2".to_owned(),
            nonce: 1,
            ..small()
        },
    );
    let header = rig.world.header();
    let sign = |ask: &Ask| {
        rig.world
            .sign_with("payout-service", header, Body::Request(Box::new(ask.request())))
    };
    assert_signed(&rig.authorize(&first, &sign(&first), &[]).await.unwrap());
    let before = entries(&rig).await.len();
    let answer = rig.authorize(&second, &sign(&second), &[]).await.unwrap();
    assert_denied(&answer, Tag::StatementNonceReused);
    assert_eq!(tags(&answer).len(), 1);
    assert_eq!((rig.uses(), entries(&rig).await.len()), (1, before));
}

/// Two admins send the next bundle at once: it comes into force once, and neither call is stuck.
#[tokio::test]
async fn activations_race_and_recover() {
    let rig = Rig::new().await;
    let second = sealed(2, Some(rig.world.bundle().digest()), bundle_files(&rig.world.roster()));
    let (one, two) = tokio::join!(
        rig.activate(&["alice", "bob"], second.clone()),
        rig.activate(&["bob", "carol"], second.clone())
    );
    let (won, lost) = if one.is_ok() { (one, two) } else { (two, one) };
    assert_eq!(won.unwrap().version, 2);
    assert_eq!(lost.unwrap_err().tag(), Tag::BundleVersionNotNext);
    // The journal committed an activation whose answer was lost: the next one finds it in force.
    let third = sealed(
        3,
        Some(Bundle::load(&second).unwrap().digest()),
        bundle_files(&rig.world.roster()),
    );
    // What was said before and the look ahead take two points each; the sixth is behind the commit.
    rig.key.faults.arm(5, Fault::Fails);
    let lost = rig.activate(&["alice", "bob"], third.clone()).await.unwrap_err();
    assert!(matches!(lost, SignerError::Journal(JournalError::InDoubt(_))), "{lost}");
    let again = rig.activate(&["alice", "bob"], third.clone()).await.unwrap_err();
    assert_eq!(again.tag(), Tag::BundleVersionNotNext);
    let fourth = sealed(
        4,
        Some(Bundle::load(&third).unwrap().digest()),
        bundle_files(&rig.world.roster()),
    );
    assert_eq!(rig.activate(&["alice", "bob"], fourth).await.unwrap().version, 4);
    assert_eq!(rig.key.uses.load(Ordering::SeqCst), 0);
}
