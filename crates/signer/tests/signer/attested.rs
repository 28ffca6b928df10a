//! Attestations in the signer: what stands, what a hostile orchestrator can replay or withhold, and receipts that need them.

use crate::support;

use std::sync::atomic::Ordering;

use countersign_approval::{Body, Envelope, Kind, Quote, Screening, ScreeningResult};
use countersign_bundle::Bundle;
use countersign_decision::testing::attested::{DESK, POLICY, SOURCES, attested_files, attested_roster};
use countersign_decision::testing::{Ask, STRANGER, sealed, withdrawal};
use countersign_decision::{Entry, Receipt};
use countersign_signer::{Answer, SignerError};
use countersign_types::{AttestationKind, Currency, Tag, Timestamp};
use support::faults::Fault;
use support::{Mood, Rig, assert_denied, assert_pending, assert_signed, tags};

fn now(rig: &Rig) -> Timestamp {
    Timestamp::from_unix_millis(rig.clock.load(Ordering::SeqCst))
}

pub(crate) fn screening(rig: &Rig, request: &Envelope, change: impl FnOnce(&mut Screening)) -> Envelope {
    let mut body = rig.world.screening_body(request, &Ask::default(), rig.world.issued_at);
    change(&mut body);
    rig.world.sign(DESK, Body::Screening(body))
}

/// Two quotes of a number.
pub(crate) fn quotes(rig: &Rig, sequence: u64) -> [Envelope; 2] {
    [SOURCES[0], SOURCES[1]].map(|source| rig.world.quote(source, sequence, "2500", now(rig)))
}

pub(crate) fn entry(rig: &Rig, sequence: u64) -> Envelope {
    rig.world
        .book_entry(&Ask::default(), sequence, Some(rig.world.issued_at))
}

pub(crate) fn order(n: u64) -> Ask {
    Ask {
        reference: format!("order-{n}"),
        nonce: n,
        ..Ask::default()
    }
}

pub(crate) fn approvals(rig: &Rig, request: &Envelope, ask: &Ask) -> [Envelope; 2] {
    ["alice", "bob"].map(|person| rig.world.approval(person, request, ask))
}

pub(crate) async fn say(rig: &Rig, ask: &Ask, request: &Envelope, statements: &[&Envelope]) -> Answer {
    rig.authorize(ask, request, statements).await.unwrap()
}

/// How many statements of a kind are in the log.
pub(crate) async fn logged(rig: &Rig, kind: Kind) -> usize {
    let bytes = rig.signer.entries(0, 256).await.unwrap();
    let entries = bytes.iter().map(|entry| Entry::parse(entry).unwrap());
    entries
        .filter(|entry| matches!(entry, Entry::Statement(entry) if entry.kind == kind))
        .count()
}

#[tokio::test]
async fn a_payment_waits_for_its_attesters_and_its_receipt_has_them() {
    let rig = Rig::attested(POLICY).await;
    let ask = order(0);
    let request = rig.world.request(&ask);
    let [alice, bob] = approvals(&rig, &request, &ask);
    let book = entry(&rig, 3);
    let answer = say(&rig, &ask, &request, &[&alice, &bob, &book]).await;
    assert_pending(&answer, Tag::PriceMissing);
    let [a, b] = quotes(&rig, 1);
    assert_pending(&say(&rig, &ask, &request, &[&a]).await, Tag::PriceMissing);
    let answer = say(&rig, &ask, &request, &[&a, &b]).await;
    assert_eq!(tags(&answer), [Tag::AttestationMissing]);
    // What was of no use yet is not in the log, however often it is brought.
    assert_eq!(
        (logged(&rig, Kind::Price).await, logged(&rig, Kind::AddressBook).await),
        (0, 1)
    );
    let passed = screening(&rig, &request, |_| {});
    let signed = assert_signed(&say(&rig, &ask, &request, &[&a, &b, &passed]).await);
    assert_eq!(
        (logged(&rig, Kind::Price).await, logged(&rig, Kind::Screening).await),
        (2, 1)
    );
    let bytes = rig.signer.receipt(withdrawal(&request)).await.unwrap();
    let receipt = Receipt::verify(&bytes, &rig.world.genesis_bytes).unwrap();
    assert_eq!(receipt.txid.as_deref(), Some(signed.txid.as_str()));
    let ledger = receipt.decision.unwrap().ledger;
    assert_eq!(ledger.standing.len(), 4);
}

/// What an orchestrator keeps back and brings again later is behind what its source said since.
#[tokio::test]
async fn older_words_are_refused_always() {
    let rig = Rig::attested(POLICY).await;
    let (first, second) = (order(0), order(1));
    let request = rig.world.request(&first);
    let [alice, bob] = approvals(&rig, &request, &first);
    let old = quotes(&rig, 1);
    let new = quotes(&rig, 2);
    let (book, passed) = (entry(&rig, 3), screening(&rig, &request, |_| {}));
    let all = [&alice, &bob, &book, &passed, &new[0], &new[1]];
    assert_signed(&say(&rig, &first, &request, &all).await);
    let rig = rig.restart().await;
    let request = rig.world.request(&second);
    let [alice, bob] = approvals(&rig, &request, &second);
    let passed = screening(&rig, &request, |_| {});
    let answer = say(
        &rig,
        &second,
        &request,
        &[&alice, &bob, &book, &passed, &old[0], &old[1]],
    )
    .await;
    assert_pending(&answer, Tag::PriceMissing);
    let superseded = |tag: &&Tag| **tag == Tag::AttestationSuperseded;
    assert_eq!(tags(&answer).iter().filter(superseded).count(), 2);
    assert_signed(&say(&rig, &second, &request, &[&new[0], &new[1], &passed]).await);
}

/// A quote that was journaled for one withdrawal is superseded there, too, by what came with another.
#[tokio::test]
async fn a_screening_of_another_withdrawal_does_not_count() {
    let rig = Rig::attested(POLICY).await;
    let (first, second) = (order(0), order(1));
    let other = rig.world.request(&second);
    let request = rig.world.request(&first);
    let [alice, bob] = approvals(&rig, &request, &first);
    let [a, b] = quotes(&rig, 1);
    let (book, foreign) = (entry(&rig, 3), screening(&rig, &other, |_| {}));
    let answer = say(&rig, &first, &request, &[&alice, &bob, &book, &a, &b, &foreign]).await;
    assert_eq!(tags(&answer), [Tag::AttestationMissing, Tag::ApprovalOtherWithdrawal]);
    // Neither does what nobody asks for.
    let stray = Quote {
        asset: countersign_decision::testing::DEMO.parse().unwrap(),
        currency: Currency::Usd,
        price: "1".parse().unwrap(),
        sequence: 1,
        observed_at: now(&rig).to_seconds(),
    };
    let stray = rig.world.sign(SOURCES[0], Body::Price(stray));
    let answer = say(&rig, &first, &request, &[&stray, &a, &b]).await;
    assert_pending(&answer, Tag::AttestationIrrelevant);
}

/// Who is no price source has no quote journaled: it would take room from those that count, for good.
#[tokio::test]
async fn a_quote_of_no_price_source_takes_no_room() {
    let rig = Rig::attested(POLICY).await;
    let ask = order(0);
    let request = rig.world.request(&ask);
    let [alice, bob] = approvals(&rig, &request, &ask);
    let [a, b] = quotes(&rig, 1);
    let (book, passed) = (entry(&rig, 3), screening(&rig, &request, |_| {}));
    let strange = rig.world.quote(DESK, 1, "2500", now(&rig));
    let all = [&alice, &bob, &book, &passed, &a, &b, &strange];
    assert_signed(&say(&rig, &ask, &request, &all).await);
    assert_eq!(logged(&rig, Kind::Price).await, 2);
}

#[tokio::test]
async fn a_removal_needs_no_orchestrator_and_cannot_be_undone_by_replay() {
    let rig = Rig::attested(POLICY).await;
    let ask = order(0);
    let request = rig.world.request(&ask);
    let [alice, bob] = approvals(&rig, &request, &ask);
    let [a, b] = quotes(&rig, 1);
    let (book, passed) = (entry(&rig, 3), screening(&rig, &request, |_| {}));
    drop(say(&rig, &ask, &request, &[&alice, &bob, &book]).await);
    let removal = rig.world.book_entry(&ask, 4, None).to_bytes();
    rig.signer.record_statement(&removal).await.unwrap();
    let all = [&a, &b, &passed, &book];
    assert_denied(&say(&rig, &ask, &request, &all).await, Tag::PermitUncovered);
    // Registered again under the number of the removal, or an older one: refused on either listener.
    for sequence in [3, 4] {
        let again = entry(&rig, sequence);
        let refused = rig.signer.record_statement(&again.to_bytes()).await.unwrap_err();
        assert!(matches!(refused, SignerError::Superseded(_)), "{refused}");
        let answer = say(&rig, &ask, &request, &[&a, &b, &passed, &again]).await;
        assert_denied(&answer, Tag::PermitUncovered);
        // Whoever brought it learns why it did not help, and what the permit lacks.
        assert_denied(&answer, Tag::AttestationSuperseded);
        let Answer::Denied { reasons, .. } = &answer else {
            panic!("{answer:?}");
        };
        let lacks = "; permit `customer-payouts` would but for `to`";
        assert!(
            reasons.iter().any(|reason| reason.message.contains(lacks)),
            "{reasons:?}"
        );
    }
    // It is acknowledged again as long as it is the book's last word.
    rig.signer.record_statement(&removal).await.unwrap();
    // The removal outlives its own expiry, and a later entry begins anew.
    rig.advance(60);
    let again = entry(&rig, 5);
    let answer = say(&rig, &ask, &request, &[&a, &b, &passed, &again]).await;
    assert_signed(&answer);
    let refused = rig.signer.record_statement(&removal).await.unwrap_err();
    assert!(matches!(refused, SignerError::Superseded(_)), "{refused}");
    let bytes = rig.signer.receipt(withdrawal(&request)).await.unwrap();
    let ledger = Receipt::verify(&bytes, &rig.world.genesis_bytes)
        .unwrap()
        .decision
        .unwrap()
        .ledger;
    assert_eq!(ledger.standing[&again.statement_digest()], now(&rig));
    assert!(!ledger.standing.contains_key(&book.statement_digest()));
}

/// An officer takes the permit out that looks into the book, and the quorum puts it back: what was taken out of the book between stays out.
#[tokio::test]
async fn a_removal_is_heard_while_no_rule_looks() {
    let rig = Rig::attested(POLICY).await;
    let ask = order(0);
    let request = rig.world.request(&ask);
    drop(say(&rig, &ask, &request, &[&entry(&rig, 3)]).await);
    let permit = "    to: { address-book: node-d }\n    total: { max: { USD: \"50000 USD\" } }\n";
    let without = POLICY.replace(permit, "    to: { list: customers }\n");
    assert_ne!(without, POLICY);
    let first = rig.world.bundle().digest();
    let second = sealed(2, Some(first), attested_files(&attested_roster(), &without));
    let third = Bundle::load(&second).unwrap().digest();
    let third = sealed(3, Some(third), attested_files(&attested_roster(), POLICY));
    rig.activate(&["alice", "bob"], second).await.unwrap();
    let say_no = async |ask: &Ask, sequence| {
        let removal = rig.world.book_entry(ask, sequence, None).to_bytes();
        let recorded = rig.signer.record_statement(&removal).await;
        recorded.map(drop).map_err(|error| error.tag())
    };
    assert_eq!(say_no(&ask, 4).await, Ok(()));
    // Nor is what was never entered, or an entry, of any use to anybody.
    let stranger = Ask {
        destination: STRANGER.to_owned(),
        ..order(0)
    };
    assert_eq!(say_no(&stranger, 1).await, Err(Tag::StatementNotPermitted));
    let again = rig.signer.record_statement(&entry(&rig, 5).to_bytes()).await;
    assert_eq!(again.unwrap_err().tag(), Tag::StatementNotPermitted);
    rig.activate(&["alice", "bob"], third).await.unwrap();
    let [alice, bob] = approvals(&rig, &request, &ask);
    let [a, b] = quotes(&rig, 1);
    let passed = screening(&rig, &request, |_| {});
    let all = [&alice, &bob, &a, &b, &passed, &entry(&rig, 3)];
    assert_denied(&say(&rig, &ask, &request, &all).await, Tag::PermitUncovered);
}

#[tokio::test]
async fn a_failed_screening_needs_no_orchestrator() {
    let rig = Rig::attested(POLICY).await;
    let ask = order(0);
    let request = rig.world.request(&ask);
    let [alice, bob] = approvals(&rig, &request, &ask);
    let [a, b] = quotes(&rig, 1);
    let (book, passed) = (entry(&rig, 3), screening(&rig, &request, |_| {}));
    let failed = screening(&rig, &request, |s| (s.result, s.sequence) = (ScreeningResult::Fail, 2));
    rig.signer.record_statement(&failed.to_bytes()).await.unwrap();
    let all = [&alice, &bob, &a, &b, &passed, &book];
    assert_denied(&say(&rig, &ask, &request, &all).await, Tag::AttestationFailed);
    let later = screening(&rig, &request, |s| s.sequence = 3);
    assert_signed(&say(&rig, &ask, &request, &[&a, &b, &later]).await);
    // Quotes and what passed are brought with their withdrawals.
    for refused in [&a, &passed] {
        let error = rig.signer.record_statement(&refused.to_bytes()).await.unwrap_err();
        assert!(
            matches!(error, SignerError::NotPermitted { .. } | SignerError::Superseded(_)),
            "{error}"
        );
    }
    assert_eq!(rig.uses(), 1);
}

const HISTORY: &str = "requires:\n  - id: first-payment\n    when: { to: { first-seen: true } }\n    approvals: { treasury: 2 }\n  \
                       - id: young\n    when: { to: { entry-under: 1h } }\n    approvals: { treasury: 3 }\n";

/// Payments to listed customers; what is new takes people.
fn history() -> String {
    let rules = POLICY.replace(
        "to: { address-book: node-d }\n    total: { max: { USD: \"50000 USD\" } }",
        "to: { list: customers }",
    );
    let (head, tail) = rules.split_once("requires:\n").unwrap();
    let (_, tail) = tail.split_once("limits:").unwrap();
    format!("{head}{HISTORY}limits:{tail}")
}

#[tokio::test]
async fn destinations_have_a_history_and_entries_an_age() {
    let rig = Rig::attested(&history()).await;
    let ask = order(0);
    let request = rig.world.request(&ask);
    assert_eq!(tags(&say(&rig, &ask, &request, &[]).await), [Tag::ApprovalMissing]);
    let [alice, bob] = approvals(&rig, &request, &ask);
    // The entry came with the bundle, a second ago: three people; an hour later, two.
    assert_pending(&say(&rig, &ask, &request, &[&alice, &bob]).await, Tag::ApprovalMissing);
    rig.advance(3_600);
    assert_signed(&say(&rig, &ask, &request, &[]).await);
    // Paid once, nobody is asked again, also after a restart.
    let rig = rig.restart().await;
    let second = order(1);
    let request = rig.world.request(&second);
    assert_signed(&say(&rig, &second, &request, &[]).await);
    let bytes = rig.signer.receipt(withdrawal(&request)).await.unwrap();
    let receipt = Receipt::verify(&bytes, &rig.world.genesis_bytes).unwrap();
    let known = receipt.decision.unwrap().ledger.destinations.unwrap();
    assert_eq!((known.paid.len(), known.listed.len()), (1, 1));
    // An entry that leaves and comes back is young again, however well known its destination is.
    let first = Bundle::load(&rig.world.files).unwrap();
    let with = |list: &str| {
        let mut files = attested_files(&attested_roster(), &history());
        let text = String::from_utf8(files["destinations.yaml"].clone()).unwrap();
        files.insert(
            "destinations.yaml".to_owned(),
            text.replace("0x70997970C51812dc3A010C7d01b50e0d17dc79C8", list)
                .into_bytes(),
        );
        files
    };
    let without = sealed(
        2,
        Some(first.digest()),
        with("0x90F79bf6EB2c4f870365E785982E1f101E93b906"),
    );
    rig.activate(&["alice", "bob"], without.clone()).await.unwrap();
    let third = order(2);
    let request = rig.world.request(&third);
    assert_denied(&say(&rig, &third, &request, &[]).await, Tag::PermitUncovered);
    let back = sealed(
        3,
        Some(Bundle::load(&without).unwrap().digest()),
        with("0x70997970C51812dc3A010C7d01b50e0d17dc79C8"),
    );
    rig.activate(&["alice", "bob"], back).await.unwrap();
    let fourth = Ask { nonce: 2, ..order(3) };
    let request = rig.world.request(&fourth);
    assert_pending(&say(&rig, &fourth, &request, &[]).await, Tag::ApprovalMissing);
    rig.advance(3_600);
    assert_signed(&say(&rig, &fourth, &request, &[]).await);
}

/// A lineage's own payment does not make its destination known to itself.
#[tokio::test]
async fn a_fee_bump_is_as_new_as_its_first_attempt() {
    let rig = Rig::attested(&history()).await;
    rig.advance(3_600);
    let ask = Ask {
        is_template: true,
        ..order(0)
    };
    let request = rig.world.request(&ask);
    let [alice, bob] = approvals(&rig, &request, &ask);
    assert_signed(&say(&rig, &ask, &request, &[&alice, &bob]).await);
    let bumped = Ask {
        max_fee_per_gas: 30_000_000_000,
        ..ask.clone()
    };
    let answer = say(&rig, &bumped, &request, &[]).await;
    // The approvals are of the lineage: asked for again, and there.
    assert_signed(&answer);
    let bytes = rig.signer.receipt(withdrawal(&request)).await.unwrap();
    let receipt = Receipt::verify(&bytes, &rig.world.genesis_bytes).unwrap();
    let decision = receipt.decision.unwrap();
    assert!(decision.ledger.destinations.unwrap().paid.is_empty());
    assert_eq!(decision.seats.values().map(|seats| seats.required).max(), Some(2));
}

/// What a service says of an entry while the token signs a payment to it, and what comes of the payment.
async fn while_the_token_works(said: impl AsyncFnOnce(&Rig)) -> (Rig, Envelope, Answer) {
    let rig = Rig::attested(POLICY).await;
    let ask = order(0);
    let request = rig.world.request(&ask);
    let [alice, bob] = approvals(&rig, &request, &ask);
    let [a, b] = quotes(&rig, 1);
    let (book, passed) = (entry(&rig, 3), screening(&rig, &request, |_| {}));
    let all = [&alice, &bob, &a, &b, &passed, &book];
    rig.set_mood(Mood::Waits);
    let beside = async {
        rig.key.arrived.acquire().await.unwrap().forget();
        said(&rig).await;
        rig.set_mood(Mood::Signs);
        rig.key.gate.add_permits(1);
    };
    let (answer, ()) = tokio::join!(say(&rig, &ask, &request, &all), beside);
    (rig, request, answer)
}

#[tokio::test]
async fn a_removal_while_the_token_works_keeps_the_signature_in() {
    let (rig, _, answer) = while_the_token_works(async |rig| {
        let removal = rig.world.book_entry(&order(0), 4, None).to_bytes();
        rig.signer.record_statement(&removal).await.unwrap();
    })
    .await;
    assert_denied(&answer, Tag::PermitUncovered);
    // The token signed, and nobody will see it.
    let entries = rig.signer.entries(0, 256).await.unwrap();
    let mut entries = entries.iter().map(|entry| Entry::parse(entry).unwrap());
    assert_eq!(rig.uses(), 1);
    assert!(!entries.any(|entry| matches!(entry, Entry::Signature(_))));
}

/// An entry that was out in between is not as old as the one that was decided on: whether it is old enough is for another decision.
#[tokio::test]
async fn an_entry_that_came_back_is_decided_on_anew() {
    let back = |rig: &Rig| rig.world.book_entry(&order(0), 5, Some(rig.world.issued_at));
    let (rig, request, answer) = while_the_token_works(async |rig| {
        let removal = rig.world.book_entry(&order(0), 4, None);
        for word in [removal, back(rig)] {
            rig.advance(1);
            rig.signer.record_statement(&word.to_bytes()).await.unwrap();
        }
    })
    .await;
    assert_denied(&answer, Tag::PermitUncovered);
    assert_signed(&say(&rig, &order(0), &request, &[&back(&rig)]).await);
    assert_eq!(rig.uses(), 2);
}

/// An entry that is attested again has stood all the time, and quotes are as good as they were.
#[tokio::test]
async fn new_words_that_take_nothing_back_cost_no_second_use_of_the_key() {
    let (rig, _, answer) = while_the_token_works(async |rig| {
        rig.advance(1);
        let again = entry(rig, 4).to_bytes();
        rig.signer.record_statement(&again).await.unwrap();
        let other = order(1);
        let request = rig.world.request(&other);
        let newer = quotes(rig, 2);
        drop(say(rig, &other, &request, &[&newer[0], &newer[1]]).await);
    })
    .await;
    assert_signed(&answer);
    assert_eq!(rig.uses(), 1);
}

/// A removal of a destination in other letters would remove nothing, and be acknowledged.
#[tokio::test]
async fn what_is_said_against_a_payment_names_it_as_its_bytes_do() {
    let rig = Rig::attested(POLICY).await;
    let ask = order(0);
    let request = rig.world.request(&ask);
    let elsewhere = Ask {
        destination: ask.destination.to_lowercase(),
        ..ask.clone()
    };
    let removal = rig.world.book_entry(&elsewhere, 1, None);
    let failed = |change: fn(&mut Screening)| {
        screening(&rig, &request, |s| {
            s.result = ScreeningResult::Fail;
            change(s);
        })
    };
    let other_place = failed(|s| s.destination = s.destination.to_string().to_lowercase().parse().unwrap());
    let other_asset = failed(|s| s.asset = "eip155:31337/slip44:61".parse().unwrap());
    for envelope in [removal, other_place, other_asset] {
        let refused = rig.signer.record_statement(&envelope.to_bytes()).await.unwrap_err();
        assert!(matches!(refused, SignerError::NotPermitted { .. }), "{refused}");
    }
    let exact = failed(|_| {});
    rig.signer.record_statement(&exact.to_bytes()).await.unwrap();
}

/// What is said against a payment after the record and before the release keeps the signature in, though the quotes may be
/// stale by then, so that no decision gets as far as asking what was said.
#[tokio::test]
async fn a_no_is_heard_where_prices_are_missing() {
    // The last one's service has another key when it is asked again.
    for (is_screening, wait, is_rotated) in [
        (false, 301, false),
        (true, 301, false),
        (true, 0, false),
        (true, 301, true),
        (true, 0, true),
    ] {
        let mut crashes = 0;
        for point in 0.. {
            let rig = Rig::attested(POLICY).await;
            let ask = order(0);
            let request = rig.world.request(&ask);
            let [alice, bob] = approvals(&rig, &request, &ask);
            let [a, b] = quotes(&rig, 1);
            let (book, passed) = (entry(&rig, 3), screening(&rig, &request, |_| {}));
            let all = [&alice, &bob, &a, &b, &book, &passed];
            rig.key.faults.arm(point, Fault::Crash);
            let is_crashed = tokio::select! {
                biased;
                () = rig.key.faults.crashed() => true,
                answer = say(&rig, &ask, &request, &all) => {
                    assert_signed(&answer);
                    false
                }
            };
            rig.key.faults.disarm();
            if !is_crashed {
                break;
            }
            let rig = rig.restart().await;
            let no = match is_screening {
                true => screening(&rig, &request, |s| (s.result, s.sequence) = (ScreeningResult::Fail, 2)),
                false => rig.world.rejection("carol", &request),
            };
            rig.signer.record_statement(&no.to_bytes()).await.unwrap();
            if is_rotated {
                rotate(&rig).await;
            }
            rig.advance(wait);
            let answer = say(&rig, &ask, &request, &[]).await;
            assert!(!matches!(answer, Answer::Signed { .. }), "point {point}: {answer:?}");
            if let Ok(receipt) = rig.signer.released_receipt(withdrawal(&request)).await {
                let receipt = Receipt::verify(&receipt, &rig.world.genesis_bytes).unwrap();
                assert_eq!(receipt.txid, None, "point {point}");
            }
            crashes += 1;
        }
        assert!(crashes >= 10, "{crashes}");
    }
}

/// Gives the screening service another key (RFC 8032, test 1).
async fn rotate(rig: &Rig) {
    let mut roster = rig.world.roster();
    let desk = roster.services.iter_mut().find(|service| service.id.as_str() == DESK);
    desk.unwrap().keys = vec!["ed25519:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a".to_owned()];
    let in_force = Bundle::load(&rig.world.files).unwrap();
    let next = sealed(2, Some(in_force.digest()), attested_files(&roster, POLICY));
    rig.activate(&["alice", "bob"], next).await.unwrap();
}

/// What a service found against a payment stands when its statement verifies no more, until the service says otherwise.
#[tokio::test]
async fn a_failed_screening_outlives_the_key_that_signed_it() {
    let rig = Rig::attested(POLICY).await;
    let ask = order(0);
    let request = rig.world.request(&ask);
    drop(say(&rig, &ask, &request, &[]).await);
    let failed = screening(&rig, &request, |s| (s.result, s.sequence) = (ScreeningResult::Fail, 2));
    rig.signer.record_statement(&failed.to_bytes()).await.unwrap();
    // What is about nothing that is paid takes no place among what is named.
    let other = screening(&rig, &request, |s| {
        s.result = ScreeningResult::Fail;
        s.asset = countersign_decision::testing::DEMO.parse().unwrap();
    });
    rig.signer.record_statement(&other.to_bytes()).await.unwrap();
    rotate(&rig).await;
    drop(say(&rig, &ask, &request, &[]).await);
    let log = rig.signer.entries(0, 256).await.unwrap();
    let mut decisions = log.iter().rev().filter_map(|bytes| match Entry::parse(bytes).unwrap() {
        Entry::Decision(decision) => Some(decision.ledger.failed),
        _ => None,
    });
    let failed = decisions.next().unwrap();
    let said: Vec<_> = failed.iter().map(|failed| (failed.by.as_str(), failed.check)).collect();
    assert_eq!(said, [(DESK, AttestationKind::Sanctions)]);
}

/// A limit in money that comes later begins with what was spent, at the price of then.
#[tokio::test]
async fn a_later_limit_in_money_counts_what_was_spent_at_its_price() {
    let mut rig = Rig::attested(POLICY).await;
    let book = entry(&rig, 3);
    // One ether of 2 500 dollars.
    let ask = order(0);
    let request = rig.world.request(&ask);
    let [alice, bob] = approvals(&rig, &request, &ask);
    let [a, b] = quotes(&rig, 1);
    let passed = screening(&rig, &request, |_| {});
    assert_signed(&say(&rig, &ask, &request, &[&alice, &bob, &a, &b, &passed, &book]).await);
    let limit = "limits:\n  - { id: usd-day, effects: [transfer], scope: [], window: 24h, hard: \"3500 USD\" }\n";
    let policy = POLICY.replace("limits: []\n", limit);
    assert_ne!(policy, POLICY);
    let second = attested_files(&attested_roster(), &policy);
    let second = sealed(2, Some(rig.world.bundle().digest()), second);
    rig.activate(&["alice", "bob"], second.clone()).await.unwrap();
    rig.world.files = second;
    let ask = order(1);
    let request = rig.world.request(&ask);
    let [alice, bob] = approvals(&rig, &request, &ask);
    let passed = screening(&rig, &request, |_| {});
    // The market has fallen. 2 500 and 1 000 are within 3 500, and one dollar more is not.
    let quotes = |sequence, price| [SOURCES[0], SOURCES[1]].map(|s| rig.world.quote(s, sequence, price, now(&rig)));
    let [a, b] = quotes(2, "1001");
    let answer = say(&rig, &ask, &request, &[&alice, &bob, &a, &b, &passed, &book]).await;
    assert_denied(&answer, Tag::LimitWindowExceeded);
    let [a, b] = quotes(3, "1000");
    assert_signed(&say(&rig, &ask, &request, &[&a, &b, &passed]).await);
}

/// What was paid before anything looked at its worth is unknown to the first limit in money, and a bundle between them is the way.
#[tokio::test]
async fn the_first_limit_in_money_takes_two_steps() {
    const WORTH: &str = "    total: { max: { USD: \"50000 USD\" } }\n";
    const TIER: &str = "  - id: tier-1\n    when: { effects: [transfer], total: { over: { USD: \"1000 USD\" } } }\n    approvals: { treasury: 2 }\n";
    const LIMIT: &str =
        "limits:\n  - { id: usd-hour, effects: [transfer], scope: [], window: 1h, hard: \"3500 USD\" }\n";
    let files = |policy: &str| {
        let mut files = attested_files(&attested_roster(), policy);
        let wallets = String::from_utf8(files["wallets.yaml"].clone()).unwrap();
        let aging = wallets.replace("first-nonce: 0 }", "first-nonce: 0, ages-from: signature }");
        assert_ne!(aging, wallets);
        files.insert("wallets.yaml".to_owned(), aging.into_bytes());
        files
    };
    let plain = POLICY.replace(WORTH, "").replace(TIER, "");
    let looking = POLICY.replace(WORTH, "");
    let limited = looking.replace("limits: []\n", LIMIT);
    let mut rig = Rig::attested(&plain).await;
    let mut paid = Vec::new();
    for (version, policy) in (2..).zip([&plain, &looking]) {
        let next = sealed(version, Some(rig.world.bundle().digest()), files(policy));
        rig.activate(&["alice", "bob"], next.clone()).await.unwrap();
        rig.world.files = next;
        let ask = order(version - 2);
        let request = rig.world.request(&ask);
        paid.push(withdrawal(&request));
        let [alice, bob] = approvals(&rig, &request, &ask);
        let [a, b] = quotes(&rig, version);
        let (book, passed) = (entry(&rig, version), screening(&rig, &request, |_| {}));
        assert_signed(&say(&rig, &ask, &request, &[&alice, &bob, &a, &b, &passed, &book]).await);
    }
    let next = sealed(4, Some(rig.world.bundle().digest()), files(&limited));
    let early = rig.activate(&["alice", "bob"], next.clone()).await.unwrap_err();
    assert_eq!(early.tag(), Tag::LimitPastUnknown);
    assert!(
        early.to_string().contains(&format!("attempt 1 of {}", paid[0])),
        "{early}"
    );
    rig.advance(3_600);
    assert_eq!(rig.activate(&["alice", "bob"], next).await.unwrap().version, 4);
}
