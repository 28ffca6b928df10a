//! Breakers and reports of foreign spends: the signer freezes by itself, and nobody in front of it can prevent that.

use crate::support;

use countersign_approval::{
    Approval, ApprovalItem, Body, Envelope, Header, Observation, ObservedFact, ObservedOutcome, ObserverRecord,
    Rejection, RejectionItem,
};
use countersign_audit::VerifierKey;
use countersign_bundle::Bundle;
use countersign_decision::testing::{Ask, CUSTOMER, bundle_files, roster, sealed, solana, withdrawal};
use countersign_decision::{Entry, FreezeCause, FreezeList, ListedFreeze};
use countersign_signer::SignerError;
use countersign_types::{ConflictKey, Duration, Tag, Validity};
use support::{Rig, assert_denied, assert_pending, assert_signed};

const SECOND: &str = "eip155:31337:0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";

fn small(reference: &str) -> Ask {
    Ask {
        reference: reference.to_owned(),
        amount: 50_000_000_000_000_000,
        ..Ask::default()
    }
}

/// A deployment whose policy has a breaker.
async fn with_breaker(breaker: &str) -> Rig {
    with_breaker_and(breaker, "permits:").await
}

/// The same with more permits in its place.
async fn with_breaker_and(breaker: &str, permits: &str) -> Rig {
    let rig = Rig::bare().await;
    let mut files = bundle_files(&roster());
    let policy = String::from_utf8(files["policy.yaml"].clone()).unwrap();
    let policy = policy.replace("permits:", permits);
    let policy = format!("{policy}\nbreakers:\n  - {breaker}\n");
    files.insert("policy.yaml".to_owned(), policy.into_bytes());
    let list = String::from_utf8(files["destinations.yaml"].clone()).unwrap();
    assert!(list.contains(SECOND) && list.contains(CUSTOMER), "{list}");
    rig.activate(&["alice", "bob"], sealed(1, None, files)).await.unwrap();
    rig
}

/// A deployment with four observers of the development network, of which two make a fact.
async fn with_observers() -> Rig {
    with_observers_and("").await
}

/// The same with more in the policy.
async fn with_observers_and(rules: &str) -> Rig {
    let rig = Rig::bare().await;
    let mut roster = solana::observed_roster();
    roster.observers = vec![ObserverRecord {
        network: "eip155:31337".parse().unwrap(),
        ..roster.observers[0].clone()
    }];
    let mut files = bundle_files(&roster);
    if let Some(policy) = files.get_mut("policy.yaml") {
        policy.extend_from_slice(rules.as_bytes());
    }
    rig.activate(&["alice", "bob"], sealed(1, None, files)).await.unwrap();
    rig
}

impl Rig {
    async fn freezes(&self) -> Vec<ListedFreeze> {
        let name = self.world.genesis.log_origin().parse().unwrap();
        let key = VerifierKey::new(name, self.world.genesis.log_key()).unwrap();
        let list = self.signer.freezes().await.unwrap();
        FreezeList::verify(&list, &key, self.world.genesis.hash())
            .unwrap()
            .freezes
    }

    async fn assert_frozen(&self, scope: &str, cause: &str) {
        let freezes = self.freezes().await;
        assert_eq!(freezes.len(), 1, "{freezes:?}");
        assert_eq!(freezes[0].scope.to_string(), scope);
        assert!(freezes[0].cause.starts_with(cause), "{freezes:?}");
    }

    pub(crate) async fn thaw_everything(&self) {
        for freeze in self.freezes().await {
            for admin in ["alice", "bob"] {
                self.say(&self.world.thaw(admin, freeze.freeze)).await.unwrap();
            }
        }
        self.advance(600);
        assert_eq!(self.freezes().await, []);
    }

    fn report(&self, observer: &str, sequence: u64, key: &ConflictKey, txid: &str) -> Envelope {
        self.spent(observer, sequence, key, (txid, ObservedOutcome::Succeeded))
    }

    fn spent(
        &self,
        observer: &str,
        sequence: u64,
        key: &ConflictKey,
        (txid, outcome): (&str, ObservedOutcome),
    ) -> Envelope {
        let fact = ObservedFact::Spent {
            conflict_key: key.clone(),
            txid: txid.to_owned(),
            outcome,
        };
        let observation = Observation {
            network: "eip155:31337".parse().unwrap(),
            sequence,
            height: 100,
            facts: vec![fact],
        };
        self.world.sign(observer, Body::Observation(observation))
    }

    fn nonce(&self, nonce: u64) -> ConflictKey {
        ConflictKey::AccountNonce {
            account: self.world.wallet_address(),
            nonce,
        }
    }
}

const TWICE: &str = "{ id: rejected-twice, when: { rejections-on-lineage: 2 }, freeze: [initiator] }";

#[tokio::test]
async fn rejections_past_the_orchestrator_trip_at_once() {
    let rig = with_breaker(TWICE).await;
    let ask = Ask::default();
    let request = rig.world.request(&ask);
    assert_pending(&rig.authorize(&ask, &request, &[]).await.unwrap(), Tag::ApprovalMissing);
    rig.say(&rig.world.rejection("carol", &request)).await.unwrap();
    // The same person twice is one, and an officer who sits in no group is none.
    rig.say(&rig.world.rejection("carol", &request)).await.unwrap();
    rig.say(&rig.world.rejection("dave", &request)).await.unwrap();
    assert_eq!(rig.freezes().await, []);
    rig.say(&rig.world.rejection("bob", &request)).await.unwrap();
    // Nobody asked the signer for a decision.
    rig.assert_frozen("initiator payout-service", "breaker rejected-twice at wd_")
        .await;
    let other = small("other");
    let asked = rig.world.request(&other);
    assert_denied(&rig.authorize(&other, &asked, &[]).await.unwrap(), Tag::FreezeActive);
    // It tripped for this withdrawal once: a third rejection does not freeze again what a quorum has thawed.
    rig.thaw_everything().await;
    rig.say(&rig.world.rejection("alice", &request)).await.unwrap();
    assert_eq!(rig.freezes().await, []);
    assert_signed(&rig.authorize(&other, &asked, &[]).await.unwrap());
    let log = rig.signer.entries(0, 256).await.unwrap();
    let log = log.iter().map(|entry| Entry::parse(entry).unwrap());
    let causes: Vec<FreezeCause> = log
        .filter_map(|entry| match entry {
            Entry::Freeze(entry) => Some(entry.cause),
            _ => None,
        })
        .collect();
    assert!(matches!(&causes[..], [FreezeCause::Breaker { rule, .. }] if rule.as_str() == "rejected-twice"));
}

#[tokio::test]
async fn rejections_trip_whoever_brings_them_and_however_early() {
    let ask = Ask::default();
    for is_early in [false, true] {
        let rig = with_breaker(TWICE).await;
        let request = rig.world.request(&ask);
        let rejections = ["bob", "carol"].map(|person| rig.world.rejection(person, &request));
        let answer = if is_early {
            for rejection in &rejections {
                rig.say(rejection).await.unwrap();
            }
            assert_eq!(rig.freezes().await, [], "whose withdrawal it is, is not known yet");
            rig.authorize(&ask, &request, &[]).await.unwrap()
        } else {
            rig.authorize(&ask, &request, &[&rejections[0], &rejections[1]])
                .await
                .unwrap()
        };
        assert_denied(&answer, Tag::FreezeActive);
        rig.assert_frozen("initiator payout-service", "breaker rejected-twice")
            .await;
    }
}

#[tokio::test]
async fn a_burst_of_new_destinations_stops_the_one_that_reaches_it() {
    let rig = with_breaker("{ id: strangers, when: { new-destinations: 2, within: 1h }, freeze: [wallet] }").await;
    let first = small("first");
    assert_signed(&rig.authorize(&first, &rig.world.request(&first), &[]).await.unwrap());
    // One that was paid before is no news.
    let again = Ask {
        nonce: 1,
        ..small("again")
    };
    assert_signed(&rig.authorize(&again, &rig.world.request(&again), &[]).await.unwrap());
    let second = Ask {
        nonce: 2,
        destination: SECOND.to_owned(),
        ..small("second")
    };
    let request = rig.world.request(&second);
    let uses = rig.uses();
    assert_denied(&rig.authorize(&second, &request, &[]).await.unwrap(), Tag::FreezeActive);
    rig.assert_frozen("wallet eth-hot", "breaker strangers").await;
    assert_eq!(rig.uses(), uses);
    // After the thaw it is not tripped by the same withdrawal again.
    rig.thaw_everything().await;
    assert_signed(&rig.authorize(&second, &request, &[]).await.unwrap());
}

/// What is frozen is thawed by people who looked at it; until the window has passed each payment trips again, a move does not.
#[tokio::test]
async fn a_move_between_own_wallets_reaches_no_count_of_payments() {
    let rig = with_breaker_and(
        "{ id: strangers, when: { new-destinations: 1, within: 1h }, freeze: [wallet] }",
        "permits:\n  - { id: own, effects: [internal], to: { own: [eth-hot] } }",
    )
    .await;
    let paying = small("paying");
    let request = rig.world.request(&paying);
    assert_denied(&rig.authorize(&paying, &request, &[]).await.unwrap(), Tag::FreezeActive);
    rig.thaw_everything().await;
    assert_signed(&rig.authorize(&paying, &request, &[]).await.unwrap());
    let own = Ask {
        nonce: 1,
        destination: rig.world.wallet_address().to_string(),
        ..small("own")
    };
    let mut body = own.request();
    body.payments.clear();
    let (asset, to) = (&own.asset, &own.destination);
    body.effects = vec![format!(
        "internal 50000000000000000 {asset} (0.05 ETH) to wallet eth-hot at {to}"
    )];
    let request = rig.world.sign("payout-service", Body::Request(Box::new(body)));
    assert_signed(&rig.authorize(&own, &request, &[]).await.unwrap());
    let again = Ask {
        nonce: 2,
        ..small("again")
    };
    let request = rig.world.request(&again);
    assert_denied(&rig.authorize(&again, &request, &[]).await.unwrap(), Tag::FreezeActive);
}

#[tokio::test]
async fn what_came_up_long_ago_is_out_of_the_window() {
    let rig = with_breaker("{ id: strangers, when: { new-destinations: 2, within: 1h }, freeze: [wallet] }").await;
    let first = small("first");
    assert_signed(&rig.authorize(&first, &rig.world.request(&first), &[]).await.unwrap());
    rig.advance(3_600);
    let second = Ask {
        nonce: 1,
        destination: SECOND.to_owned(),
        ..small("second")
    };
    assert_signed(&rig.authorize(&second, &rig.world.request(&second), &[]).await.unwrap());
}

#[tokio::test]
async fn payments_on_as_many_networks_freeze_everything() {
    let rig = with_breaker("{ id: everywhere, when: { networks: 1, within: 10m }, freeze: [all, tenant] }").await;
    let ask = small("first");
    let answer = rig.authorize(&ask, &rig.world.request(&ask), &[]).await.unwrap();
    assert_denied(&answer, Tag::FreezeActive);
    assert_eq!(rig.freezes().await.len(), 2);
    let rig = with_breaker("{ id: everywhere, when: { networks: 2, within: 10m }, freeze: [all] }").await;
    for n in 0..3 {
        let ask = Ask {
            nonce: n,
            ..small(&n.to_string())
        };
        assert_signed(&rig.authorize(&ask, &rig.world.request(&ask), &[]).await.unwrap());
    }
}

#[tokio::test]
async fn a_quorum_that_saw_a_foreign_spend_freezes_the_wallet() {
    let rig = with_observers().await;
    let nodes = solana::NODES;
    let key = rig.nonce(0);
    rig.say(&rig.report(nodes[0], 1, &key, "0xbad")).await.unwrap();
    let again = rig.say(&rig.report(nodes[0], 2, &key, "0xbad")).await.unwrap_err();
    assert!(matches!(again, SignerError::ReportedAlready(_)), "{again}");
    // Another transaction is another claim: two observers who disagree are no quorum.
    rig.say(&rig.report(nodes[1], 1, &key, "0xother")).await.unwrap();
    assert_eq!(rig.freezes().await, []);
    rig.say(&rig.report(nodes[1], 2, &key, "0xbad")).await.unwrap();
    rig.assert_frozen("wallet eth-hot", "foreign spend of account-nonce")
        .await;
    let ask = small("first");
    let answer = rig.authorize(&ask, &rig.world.request(&ask), &[]).await.unwrap();
    assert_denied(&answer, Tag::FreezeActive);
    // A third voice does not freeze again what was thawed.
    rig.thaw_everything().await;
    rig.say(&rig.report(nodes[2], 1, &key, "0xbad")).await.unwrap();
    assert_eq!(rig.freezes().await, []);
}

#[tokio::test]
async fn our_own_spend_is_not_foreign_and_strangers_are_not_heard() {
    let rig = with_observers().await;
    let nodes = solana::NODES;
    let ask = small("first");
    let signed = assert_signed(&rig.authorize(&ask, &rig.world.request(&ask), &[]).await.unwrap());
    let refused = |envelope: Envelope| {
        let rig = &rig;
        async move { rig.say(&envelope).await.unwrap_err().tag() }
    };
    let own = rig.report(nodes[0], 1, &rig.nonce(0), &signed.txid);
    assert_eq!(refused(own).await, Tag::ObservationIrrelevant);
    let stranger = rig.report("payout-service", 1, &rig.nonce(1), "0xbad");
    assert_eq!(refused(stranger).await, Tag::StatementNotPermitted);
    let elsewhere = ConflictKey::AccountNonce {
        account: CUSTOMER.parse().unwrap(),
        nonce: 0,
    };
    let not_ours = rig.report(nodes[0], 1, &elsewhere, "0xbad");
    assert_eq!(refused(not_ours).await, Tag::ObservationIrrelevant);
    // What a withdrawal of ours has claimed, used up by something else.
    for node in &nodes[..2] {
        rig.say(&rig.report(node, 5, &rig.nonce(0), "0xbad")).await.unwrap();
    }
    rig.assert_frozen("wallet eth-hot", "foreign spend").await;
    // An observer does not go back.
    let stale = rig.report(nodes[0], 4, &rig.nonce(3), "0xbad");
    assert_eq!(refused(stale).await, Tag::ObservationStale);
}

/// What the orchestrator had journaled with a withdrawal first is a voice all the same when a person reports it.
#[tokio::test]
async fn a_report_counts_whoever_brought_it_first() {
    let rig = with_observers().await;
    let [a, b] = [solana::NODES[0], solana::NODES[1]].map(|node| rig.report(node, 1, &rig.nonce(0), "0xbad"));
    let ask = Ask::default();
    let request = rig.world.request(&ask);
    assert_pending(
        &rig.authorize(&ask, &request, &[&a]).await.unwrap(),
        Tag::ApprovalMissing,
    );
    // The observer has said something later by now; what it said before is in the journal already.
    let later = rig.report(solana::NODES[0], 2, &rig.nonce(0), "0xother");
    rig.say(&later).await.unwrap();
    rig.say(&a).await.unwrap();
    assert_eq!(rig.freezes().await, []);
    rig.say(&a).await.unwrap();
    rig.say(&b).await.unwrap();
    rig.assert_frozen("wallet eth-hot", "foreign spend of account-nonce")
        .await;
}

/// A quorum that speaks through the orchestrator freezes as well: the signer knows.
#[tokio::test]
async fn a_foreign_spend_freezes_whoever_reports_it() {
    let rig = with_observers().await;
    let [a, b] = [solana::NODES[0], solana::NODES[1]].map(|node| rig.report(node, 1, &rig.nonce(0), "0xbad"));
    let ask = small("first");
    let request = rig.world.request(&ask);
    let answer = rig.authorize(&ask, &request, &[&a, &b]).await.unwrap();
    assert_denied(&answer, Tag::FreezeActive);
    rig.assert_frozen("wallet eth-hot", "foreign spend of account-nonce")
        .await;
    // Once: what a quorum has thawed does not freeze again, and the nonce stays used up.
    rig.thaw_everything().await;
    let answer = rig.authorize(&ask, &request, &[]).await.unwrap();
    assert_denied(&answer, Tag::ConflictKeyForeignSpend);
    assert_eq!((rig.freezes().await, rig.uses()), (vec![], 0));
}

/// The nonce of another withdrawal, used by that one: no reason to freeze, whoever writes it into bytes of his own.
#[tokio::test]
async fn what_another_withdrawal_spent_is_not_foreign() {
    let rig = with_observers().await;
    let ask = small("first");
    let signed = assert_signed(&rig.authorize(&ask, &rig.world.request(&ask), &[]).await.unwrap());
    let [a, b] = [solana::NODES[0], solana::NODES[1]].map(|node| rig.report(node, 1, &rig.nonce(0), &signed.txid));
    let second = small("second");
    let answer = rig.authorize(&second, &rig.world.request(&second), &[&a, &b]).await;
    assert_denied(&answer.unwrap(), Tag::ConflictKeyTaken);
    assert_eq!(rig.freezes().await, []);
}

const ONCE: &str = "\nbreakers:\n  - { id: rejected, when: { rejections-on-lineage: 1 }, freeze: [wallet] }\n";

/// A rejection that comes with what became of an attempt, which is written down before anything is decided.
#[tokio::test]
async fn a_rejection_beside_a_settlement_trips() {
    let rig = with_observers_and(ONCE).await;
    let ask = small("first");
    let request = rig.world.request(&ask);
    let signed = assert_signed(&rig.authorize(&ask, &request, &[]).await.unwrap());
    let landed = (signed.txid.as_str(), ObservedOutcome::Succeeded);
    let [a, b] = [solana::NODES[0], solana::NODES[1]].map(|node| rig.spent(node, 1, &rig.nonce(0), landed));
    let rejection = rig.world.rejection("carol", &request);
    let answer = rig.authorize(&ask, &request, &[&a, &b, &rejection]).await.unwrap();
    assert_denied(&answer, Tag::FreezeActive);
    rig.assert_frozen("wallet eth-hot", "breaker rejected").await;
}

/// What is frozen already is not frozen again for each lineage, or a flood that somebody rejects would have to be thawed freeze by
/// freeze. A lineage that tripped meanwhile trips no more when the freeze is over.
#[tokio::test]
async fn one_freeze_of_a_scope_is_enough() {
    let breaker = "{ id: rejected, when: { rejections-on-lineage: 1 }, freeze: [initiator, wallet, tenant] }";
    for is_together in [true, false] {
        let rig = with_breaker(breaker).await;
        let asks = [0_u64, 1, 2].map(|number| Ask {
            nonce: number,
            reference: format!("ask-{number}"),
            ..Ask::default()
        });
        let mut requests = Vec::new();
        for ask in &asks {
            let request = rig.world.request(ask);
            let answer = rig.authorize(ask, &request, &[]).await.unwrap();
            assert_pending(&answer, Tag::ApprovalMissing);
            requests.push(request);
        }
        let item = |request: &Envelope| RejectionItem {
            withdrawal: withdrawal(request),
            reason: "none of them".to_owned(),
        };
        let items: Vec<RejectionItem> = requests.iter().map(item).collect();
        let batches: Vec<Vec<RejectionItem>> = match is_together {
            true => vec![items],
            false => items.into_iter().map(|item| vec![item]).collect(),
        };
        for items in batches {
            let rejection = rig.world.sign("carol", Body::Rejection(Rejection { items }));
            rig.say(&rejection).await.unwrap();
        }
        assert_eq!(rig.freezes().await.len(), 3, "one of each scope");
        rig.thaw_everything().await;
        for (ask, request) in asks.iter().zip(&requests) {
            rig.authorize(ask, request, &[]).await.unwrap();
        }
        assert_eq!(rig.freezes().await, [], "each tripped once");
        let ask = small("fresh");
        let request = rig.world.request(&ask);
        assert_signed(&rig.authorize(&ask, &request, &[]).await.unwrap());
    }
}

impl Rig {
    /// An approval that runs out a minute after the world began.
    async fn short(&self, person: &str, request: &Envelope, ask: &Ask) -> Envelope {
        let (bundles, _) = self.signer.bundles(0).await.unwrap();
        let in_force = Bundle::load(&bundles.last().unwrap().files).unwrap();
        let header = self.world.header();
        let issued_at = header.validity.issued_at();
        let expires_at = issued_at.to_timestamp().after(Duration::from_secs(60)).to_seconds();
        let validity = Validity::new(issued_at, expires_at).unwrap();
        let item = ApprovalItem {
            policy: in_force.policy_digest(),
            ..self.world.item(request, ask)
        };
        let body = Body::Approval(Approval { items: vec![item] });
        self.world.sign_with(person, Header { validity, ..header }, body)
    }
}

/// Approvals that ran out before anything was signed trip, whatever a decision looks at; those of strangers do not, and none does once they were of
/// use.
#[tokio::test]
async fn approvals_that_ran_out_count_as_rejections() {
    let ask = Ask::default();
    for (people, trips) in [(["bob", "carol"], true), (["payout-service", "carol"], false)] {
        for is_denied in [false, true] {
            let rig = with_breaker(TWICE).await;
            let request = rig.world.request(&ask);
            for person in people {
                let approval = rig.short(person, &request, &ask).await;
                rig.say(&approval).await.unwrap();
            }
            // The decision does not get as far as the approvals where something else denies.
            if is_denied {
                rig.say(&rig.world.freeze("dave", "network eip155:31337"))
                    .await
                    .unwrap();
            }
            rig.advance(61);
            rig.authorize(&ask, &request, &[]).await.unwrap();
            let freezes = rig.freezes().await;
            let tripped = freezes
                .iter()
                .any(|one| one.cause.starts_with("breaker rejected-twice"));
            assert_eq!(tripped, trips, "{people:?} {is_denied} {freezes:?}");
        }
    }
    let rig = with_breaker(TWICE).await;
    let request = rig.world.request(&ask);
    let approvals = [
        rig.short("bob", &request, &ask).await,
        rig.short("carol", &request, &ask).await,
    ];
    assert_signed(
        &rig.authorize(&ask, &request, &[&approvals[0], &approvals[1]])
            .await
            .unwrap(),
    );
    rig.advance(61);
    assert_signed(&rig.authorize(&ask, &request, &[]).await.unwrap());
    assert_eq!(rig.freezes().await, []);
}

/// One rejection of two withdrawals, brought with the first: it counts for the second, too.
#[tokio::test]
async fn a_rejection_of_several_trips_for_each() {
    let rig = with_breaker(TWICE).await;
    let (first, second) = (
        Ask::default(),
        Ask {
            nonce: 1,
            ..small("second")
        },
    );
    let (one, two) = (rig.world.request(&first), rig.world.request(&second));
    let rejections = ["bob", "carol"].map(|person| {
        let item = |request: &Envelope| RejectionItem {
            withdrawal: withdrawal(request),
            reason: "neither of them".to_owned(),
        };
        let items = vec![item(&one), item(&two)];
        rig.world.sign(person, Body::Rejection(Rejection { items }))
    });
    let both: Vec<&Envelope> = rejections.iter().collect();
    assert_denied(&rig.authorize(&first, &one, &both).await.unwrap(), Tag::FreezeActive);
    rig.thaw_everything().await;
    assert_denied(&rig.authorize(&second, &two, &[]).await.unwrap(), Tag::FreezeActive);
    rig.assert_frozen("initiator payout-service", "breaker rejected-twice")
        .await;
}
