//! Freezes: no signature is released after one was acknowledged, and only a quorum and time undo it.

use crate::support;

use countersign_approval::{Body, Envelope, Freeze};
use countersign_audit::VerifierKey;
use countersign_decision::testing::{Ask, CUSTOMER, DEMO, ETH, THAW_DELAY};
use countersign_decision::{Acknowledgement, Entry, FreezeCause, FreezeList, MAX_FREEZES, Receipt};
use countersign_signer::{Answer, SignerError};
use countersign_types::{Duration, FreezeId, Tag};
use support::faults::Fault;
use support::{Mood, Rig, assert_denied, assert_signed, tags};

const DAY: Duration = Duration::from_secs(86_400);

fn small() -> Ask {
    Ask {
        amount: 50_000_000_000_000_000,
        ..Ask::default()
    }
}

fn id(freeze: &Envelope) -> FreezeId {
    Freeze::id(freeze.statement_digest())
}

fn log_key(rig: &Rig) -> VerifierKey {
    let name = rig.world.genesis.log_origin().parse().unwrap();
    VerifierKey::new(name, rig.world.genesis.log_key()).unwrap()
}

impl Rig {
    async fn freeze(&self, scope: &str) -> FreezeId {
        let freeze = self.world.freeze("dave", scope);
        let answer = self.say(&freeze).await.unwrap();
        let deployment = self.world.genesis.hash();
        Acknowledgement::verify(&answer, &log_key(self), deployment, freeze.statement_digest()).unwrap();
        id(&freeze)
    }

    pub(crate) async fn thaw(&self, freeze: FreezeId) {
        for admin in ["alice", "bob"] {
            self.say(&self.world.thaw(admin, freeze)).await.unwrap();
        }
        self.advance(i64::from(THAW_DELAY.secs()));
    }

    pub(crate) async fn list(&self) -> FreezeList {
        let list = self.signer.freezes().await.unwrap();
        FreezeList::verify(&list, &log_key(self), self.world.genesis.hash()).unwrap()
    }

    /// Nothing with a signature in it goes to an orchestrator.
    async fn assert_kept_in(&self, request: &Envelope, tag: Tag) {
        let id = countersign_decision::testing::withdrawal(request);
        match self.signer.released_receipt(id).await {
            Err(error) => assert!(
                error.tag() == tag || matches!(error, SignerError::NotFound(_)),
                "{error}"
            ),
            Ok(receipt) => {
                let receipt = Receipt::verify(&receipt, &self.world.genesis_bytes).unwrap();
                assert_eq!(receipt.txid, None);
            }
        }
    }

    async fn entries(&self) -> Vec<Entry> {
        let bytes = self.signer.entries(0, 256).await.unwrap();
        bytes.iter().map(|entry| Entry::parse(entry).unwrap()).collect()
    }
}

#[tokio::test]
async fn frozen_then_thawed_by_a_quorum_after_the_delay() {
    let rig = Rig::new().await;
    let ask = small();
    let request = rig.world.request(&ask);
    let freeze = rig.freeze("wallet eth-hot").await;
    let denied = rig.authorize(&ask, &request, &[]).await.unwrap();
    assert_denied(&denied, Tag::FreezeActive);
    assert!(matches!(denied, Answer::Denied { is_final: false, .. }));
    assert_eq!(rig.uses(), 0);

    // One admin is no quorum, and the same one twice is one.
    rig.say(&rig.world.thaw("alice", freeze)).await.unwrap();
    let again = rig.say(&rig.world.thaw("alice", freeze)).await.unwrap_err();
    assert_eq!(again.tag(), Tag::ApprovalSamePerson, "{again}");
    rig.advance(i64::from(THAW_DELAY.secs()) * 2);
    assert_denied(&rig.authorize(&ask, &request, &[]).await.unwrap(), Tag::FreezeActive);

    // The delay counts from the statement that completed the quorum; a third voice does not set it again.
    rig.say(&rig.world.thaw("bob", freeze)).await.unwrap();
    rig.advance(i64::from(THAW_DELAY.secs()) - 1);
    rig.say(&rig.world.thaw("carol", freeze)).await.unwrap();
    assert_denied(&rig.authorize(&ask, &request, &[]).await.unwrap(), Tag::FreezeActive);
    assert_eq!(rig.list().await.freezes.len(), 1);
    rig.advance(1);
    assert_signed(&rig.authorize(&ask, &request, &[]).await.unwrap());
    assert_eq!(rig.list().await.freezes, []);
    let late = rig.say(&rig.world.thaw("carol", freeze)).await.unwrap_err();
    assert_eq!(late.tag(), Tag::FreezeNotFound);
    let receipt = rig
        .signer
        .receipt(countersign_decision::testing::withdrawal(&request))
        .await
        .unwrap();
    let receipt = Receipt::verify(&receipt, &rig.world.genesis_bytes).unwrap();
    assert!(receipt.txid.is_some() && receipt.decision.unwrap().ledger.freezes.is_empty());
}

/// A word for letting go counts as long as its statement does: nobody completes a quorum with what somebody signed long ago.
#[tokio::test]
async fn a_thaw_counts_until_it_expires() {
    let mut rig = Rig::new().await;
    let freeze = rig.freeze("all").await;
    let alice = rig.world.thaw("alice", freeze);
    let bob = rig.world.thaw("bob", freeze);
    rig.say(&alice).await.unwrap();
    let until = rig.world.header().validity.expires_at();
    let spoken = |list: FreezeList| list.freezes[0].thawed_by.clone();
    assert_eq!(spoken(rig.list().await), [("alice".parse().unwrap(), until)].into());
    rig.advance(80_000);
    assert_eq!(spoken(rig.list().await), [("alice".parse().unwrap(), until)].into());
    rig.advance(6_400);
    assert_eq!(spoken(rig.list().await), [].into());
    // It is known for ever, and says nothing any more; neither does one that arrives too late.
    rig.say(&alice).await.unwrap();
    assert_eq!(rig.say(&bob).await.unwrap_err().tag(), Tag::StatementExpired);
    rig.world.issued_at = rig.world.issued_at.after(DAY);
    rig.say(&rig.world.thaw("bob", freeze)).await.unwrap();
    let list = rig.list().await;
    assert_eq!((list.quorum, list.freezes[0].thaws_at), (2, None));
    assert_eq!(spoken(list).into_keys().collect::<Vec<_>>(), ["bob".parse().unwrap()]);
    // Whoever spoke then speaks again.
    rig.say(&rig.world.thaw("alice", freeze)).await.unwrap();
    assert!(rig.list().await.freezes[0].thaws_at.is_some());
}

/// Its statement cannot freeze a second time, so nobody is told again that it is in force.
#[tokio::test]
async fn a_freeze_that_was_thawed_is_not_acknowledged_again() {
    let rig = Rig::new().await;
    let freeze = rig.world.freeze("dave", "all");
    let first = rig.say(&freeze).await.unwrap();
    assert_eq!(rig.say(&freeze).await.unwrap(), first);
    rig.thaw(id(&freeze)).await;
    let refused = rig.say(&freeze).await.unwrap_err();
    assert_eq!(refused.tag(), Tag::FreezeNotFound, "{refused}");
}

/// Of voices that arrive together each is counted, and one of them completes the quorum.
#[tokio::test]
async fn thaws_that_arrive_together_all_count() {
    let rig = Rig::new().await;
    let freeze = rig.freeze("all").await;
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|admin| rig.world.thaw(admin, freeze));
    let (alice, bob, carol) = tokio::join!(rig.say(&alice), rig.say(&bob), rig.say(&carol));
    assert!(alice.is_ok() && bob.is_ok() && carol.is_ok());
    let list = rig.list().await;
    assert_eq!(list.freezes[0].thawed_by.len(), 3);
    assert!(list.freezes[0].thaws_at.is_some());
    let thawed = |entry: &&Entry| matches!(entry, Entry::Thaw(_));
    assert_eq!(rig.entries().await.iter().filter(thawed).count(), 1);
}

#[tokio::test]
async fn the_log_and_the_list_say_who_froze_what() {
    let rig = Rig::new().await;
    let freeze = rig.freeze(&format!("destination {CUSTOMER}")).await;
    let list = rig.list().await;
    assert_eq!(list.freezes[0].reason.as_deref(), Some("something is wrong"));
    assert_eq!(list.freezes[0].freeze, freeze);
    assert_eq!(list.freezes[0].scope.to_string(), format!("destination {CUSTOMER}"));
    assert!(list.freezes[0].cause.ends_with("of dave"), "{:?}", list.freezes);
    assert_eq!(list.freezes[0].thaws_at, None);
    rig.thaw(freeze).await;
    let entries = rig.entries().await;
    let frozen = entries.iter().find_map(|entry| match entry {
        Entry::Freeze(entry) => Some(entry),
        _ => None,
    });
    let frozen = frozen.unwrap();
    assert!(matches!(&frozen.cause, FreezeCause::Statement { officer, .. } if officer.as_str() == "dave"));
    assert_eq!(frozen.cause.freeze(&frozen.scope), freeze);
    let thawed = entries.iter().find_map(|entry| match entry {
        Entry::Thaw(entry) => Some(entry),
        _ => None,
    });
    let thawed = thawed.unwrap();
    assert_eq!((thawed.freeze, thawed.admins.len()), (freeze, 2));
    assert_eq!(thawed.completed_at.after(THAW_DELAY), thawed.thaws_at);
    // The list of another deployment, or one that somebody changed, is none.
    let bytes = rig.signer.freezes().await.unwrap();
    let other = countersign_types::GenesisHash::of(b"other");
    assert!(FreezeList::verify(&bytes, &log_key(&rig), other).is_err());
    let changed = String::from_utf8(bytes).unwrap().replace("as-of 2026", "as-of 2027");
    assert!(FreezeList::verify(changed.as_bytes(), &log_key(&rig), rig.world.genesis.hash()).is_err());
}

#[tokio::test]
async fn a_scope_stops_what_it_names_and_nothing_else() {
    let stops = [
        "all".to_owned(),
        "wallet eth-hot".to_owned(),
        "network eip155:31337".to_owned(),
        format!("asset {ETH}"),
        format!("destination {CUSTOMER}"),
        "initiator payout-service".to_owned(),
        "tenant main".to_owned(),
    ];
    let others = [
        format!("asset {DEMO}"),
        "destination eip155:31337:0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC".to_owned(),
        "initiator dave".to_owned(),
    ];
    let rig = Rig::new().await;
    for (n, scope) in stops.iter().enumerate() {
        let freeze = rig.freeze(scope).await;
        let ask = Ask {
            reference: format!("stopped-{n}"),
            ..small()
        };
        let answer = rig.authorize(&ask, &rig.world.request(&ask), &[]).await.unwrap();
        assert_denied(&answer, Tag::FreezeActive);
        rig.thaw(freeze).await;
    }
    for scope in &others {
        rig.freeze(scope).await;
    }
    let ask = small();
    assert_signed(&rig.authorize(&ask, &rig.world.request(&ask), &[]).await.unwrap());
}

#[tokio::test]
async fn who_may_not_is_refused_and_nothing_is_written() {
    let rig = Rig::new().await;
    let refused = |envelope: Envelope| {
        let rig = &rig;
        async move { rig.say(&envelope).await.unwrap_err().tag() }
    };
    // An admin who is no officer does not freeze, and the service does not.
    for signer in ["alice", "payout-service"] {
        assert_eq!(
            refused(rig.world.freeze(signer, "all")).await,
            Tag::StatementNotPermitted
        );
    }
    for scope in [
        "wallet eth-hto",
        "network eip155:1",
        "initiator nobody",
        "tenant mian",
        "asset eip155:1/slip44:60",
        // Names that no effect ever has: written otherwise, or of nothing. What they stop is nothing.
        "asset eip155:31337/erc20:0x5fbdb2315678afecb367f032d93f642f64180aa3",
        "asset eip155:31337/erc20:0x00000000000000000000000000000000000000aa",
        "destination eip155:31337:0x70997970c51812dc3a010c7d01b50e0d17dc79c8",
        "destination eip155:31337:customer",
    ] {
        assert_eq!(
            refused(rig.world.freeze("dave", scope)).await,
            Tag::FreezeUnknownScope,
            "{scope}"
        );
    }
    assert_eq!(rig.list().await.freezes, []);
    let freeze = rig.freeze("all").await;
    // An officer who is no admin does not thaw.
    assert_eq!(
        refused(rig.world.thaw("dave", freeze)).await,
        Tag::StatementNotPermitted
    );
    let other = FreezeId::of(b"another");
    assert_eq!(refused(rig.world.thaw("alice", other)).await, Tag::FreezeNotFound);
    // A freeze is taken once; the same statement is acknowledged again with its first time.
    let statement = rig.world.freeze("dave", "tenant main");
    let first = rig.say(&statement).await.unwrap();
    rig.advance(5);
    assert_eq!(rig.say(&statement).await.unwrap(), first);
    assert_eq!(rig.list().await.freezes.len(), 2);
}

/// The orchestrator has a thaw of its own making, an old freeze's thaw, and statements among the approvals: none of them
/// frees anything.
#[tokio::test]
async fn a_hostile_orchestrator_thaws_nothing() {
    let rig = Rig::new().await;
    let (first, second) = (rig.freeze("all").await, rig.freeze("all").await);
    let ask = small();
    let request = rig.world.request(&ask);
    let thaws = ["alice", "bob"].map(|admin| rig.world.thaw(admin, first));
    let answer = rig.authorize(&ask, &request, &[&thaws[0], &thaws[1]]).await.unwrap();
    assert_denied(&answer, Tag::FreezeActive);
    assert_eq!(
        rig.list()
            .await
            .freezes
            .iter()
            .filter(|one| one.thaws_at.is_some())
            .count(),
        0
    );
    // What it relays counts as if it came from the admins themselves, and for the freeze that they named only.
    rig.thaw(first).await;
    assert_denied(&rig.authorize(&ask, &request, &[]).await.unwrap(), Tag::FreezeActive);
    assert_eq!(rig.list().await.freezes[0].freeze, second);
    rig.thaw(second).await;
    assert_signed(&rig.authorize(&ask, &request, &[]).await.unwrap());
}

/// Asks, and freezes the wallet where the pipeline reaches a point.
async fn frozen_at(rig: &Rig, point: u64, ask: &Ask, request: &Envelope) -> Answer {
    rig.key.faults.arm(point, Fault::Rests);
    let asked = rig.authorize(ask, request, &[]);
    let beside = async {
        rig.key.faults.crashed().await;
        rig.freeze("wallet eth-hot").await;
        rig.key.faults.go_on();
    };
    tokio::pin!(asked);
    tokio::select! {
        answer = &mut asked => answer.unwrap(),
        () = beside => asked.await.unwrap(),
    }
}

/// Whatever step the pipeline is at when a freeze is acknowledged, it releases nothing.
#[tokio::test]
async fn a_freeze_between_any_two_steps_keeps_the_signature_in() {
    let mut passed = 0;
    for point in 0.. {
        let rig = Rig::new().await;
        let ask = small();
        let request = rig.world.request(&ask);
        let answer = frozen_at(&rig, point, &ask, &request).await;
        if rig.key.faults.is_armed() {
            assert_signed(&answer);
            passed = point;
            break;
        }
        assert_denied(&answer, Tag::FreezeActive);
        rig.assert_kept_in(&request, Tag::FreezeActive).await;
        // Not now, not for who asks again, not after a restart: whether or not it was signed and recorded.
        rig.ask_again().await;
        let rig = rig.restart().await;
        assert_eq!(rig.ask_again().await.0, 0, "{point}");
        assert_denied(&rig.authorize(&ask, &request, &[]).await.unwrap(), Tag::FreezeActive);
        let freeze = rig.list().await.freezes[0].freeze;
        rig.thaw(freeze).await;
        assert_signed(&rig.authorize(&ask, &request, &[]).await.unwrap());
    }
    assert_eq!(passed, 10, "the pipeline has other steps than this test knows");
}

/// What was released stays on chain, but it is not handed out again.
#[tokio::test]
async fn what_is_signed_already_is_not_released_again() {
    let rig = Rig::new().await;
    let ask = small();
    let request = rig.world.request(&ask);
    let signed = assert_signed(&rig.authorize(&ask, &request, &[]).await.unwrap());
    let freeze = rig.freeze("initiator payout-service").await;
    assert_denied(&rig.authorize(&ask, &request, &[]).await.unwrap(), Tag::FreezeActive);
    let id = countersign_decision::testing::withdrawal(&request);
    let refused = rig.signer.released_receipt(id).await.unwrap_err();
    assert_eq!(refused.tag(), Tag::FreezeActive);
    // People and auditors read it as it is.
    Receipt::verify(&rig.signer.receipt(id).await.unwrap(), &rig.world.genesis_bytes).unwrap();
    rig.thaw(freeze).await;
    rig.freeze("initiator dave").await;
    assert_eq!(
        assert_signed(&rig.authorize(&ask, &request, &[]).await.unwrap()),
        signed
    );
    let receipt = rig.signer.released_receipt(id).await.unwrap();
    let receipt = Receipt::verify(&receipt, &rig.world.genesis_bytes).unwrap();
    assert_eq!(receipt.txid, Some(signed.txid));
    assert_eq!(rig.uses(), 1);
}

/// A freeze that does not stop the withdrawal makes the pipeline look again, and no more.
#[tokio::test]
async fn another_freeze_while_the_token_works_changes_nothing() {
    let rig = Rig::new().await;
    let ask = small();
    let request = rig.world.request(&ask);
    rig.set_mood(Mood::Waits);
    let asked = rig.authorize(&ask, &request, &[]);
    let beside = async {
        rig.key.arrived.acquire().await.unwrap().forget();
        rig.freeze("initiator dave").await;
        rig.set_mood(Mood::Signs);
        rig.key.gate.add_permits(1);
    };
    let answer = tokio::join!(asked, beside).0.unwrap();
    assert_signed(&answer);
}

/// An officer's stolen key can stop everything. It cannot make one freeze disappear among many, nor fill the journal.
#[tokio::test]
async fn too_many_freezes_freeze_everything() {
    let rig = Rig::new().await;
    for _ in 0..MAX_FREEZES {
        rig.freeze("initiator dave").await;
    }
    // So far nothing is frozen that anybody asks for. An officer's next word stops it, whatever it names.
    let ask = small();
    let request = rig.world.request(&ask);
    assert_signed(&rig.authorize(&ask, &request, &[]).await.unwrap());
    rig.freeze("wallet eth-hot").await;
    let other = Ask {
        reference: "other".to_owned(),
        nonce: 1,
        ..small()
    };
    let request = rig.world.request(&other);
    let answer = rig.authorize(&other, &request, &[]).await.unwrap();
    assert!(tags(&answer).contains(&Tag::FreezeActive), "{answer:?}");
    let more = rig.say(&rig.world.freeze("dave", "all")).await.unwrap_err();
    assert!(matches!(more, SignerError::TooManyFreezes(257)), "{more}");
    assert_eq!(rig.list().await.freezes.len(), MAX_FREEZES + 1);
}

#[tokio::test]
async fn freezing_twice_is_two_freezes() {
    let rig = Rig::new().await;
    let (first, second) = (rig.freeze("all").await, rig.freeze("all").await);
    assert_ne!(first, second);
    let ask = small();
    let answer = rig.authorize(&ask, &rig.world.request(&ask), &[]).await.unwrap();
    assert_eq!(tags(&answer), [Tag::FreezeActive; 2]);
    let body = Body::Freeze(Freeze {
        scope: "all".parse().unwrap(),
        reason: "again".to_owned(),
    });
    assert!(rig.say(&rig.world.sign("dave", body)).await.is_ok());
}

/// Whoever cancels is told that it is in force. It stays so: when the request has run out, too, what was signed meanwhile and
/// never released is not handed out.
#[tokio::test]
async fn a_cancel_between_any_two_steps_outlasts_the_request() {
    let mut passed = 0;
    for point in 0.. {
        let rig = Rig::new().await;
        let ask = small();
        let request = rig.world.request(&ask);
        let cancel = rig.world.cancel("dave", &request);
        rig.key.faults.arm(point, Fault::Rests);
        let answer = {
            let asked = rig.authorize(&ask, &request, &[]);
            let beside = async {
                rig.key.faults.crashed().await;
                rig.say(&cancel).await.unwrap();
                rig.key.faults.go_on();
            };
            tokio::pin!(asked);
            tokio::select! {
                answer = &mut asked => answer.unwrap(),
                () = beside => asked.await.unwrap(),
            }
        };
        if rig.key.faults.is_armed() {
            assert_signed(&answer);
            passed = point;
            break;
        }
        assert_denied(&answer, Tag::WithdrawalCancelled);
        rig.assert_kept_in(&request, Tag::WithdrawalCancelled).await;
        rig.advance(2 * 86_400);
        let late = rig.authorize(&ask, &request, &[]).await.unwrap();
        assert_denied(&late, Tag::StatementExpired);
    }
    assert_eq!(passed, 10, "the pipeline has other steps than this test knows");
}

/// A cancel that the orchestrator had journaled while nothing could be decided ends the withdrawal when its signer brings it.
#[tokio::test]
async fn a_cancel_ends_whoever_brought_it_first() {
    let rig = Rig::new().await;
    let ask = Ask {
        reference: "late".to_owned(),
        ..Ask::default()
    };
    let request = rig.world.request(&ask);
    let cancel = rig.world.cancel("payout-service", &request);
    // Other bytes than the request's: no decision gets as far as what people say.
    let other = Ask {
        nonce: 7,
        ..ask.clone()
    };
    let answer = rig.authorize(&other, &request, &[&cancel]).await.unwrap();
    assert_denied(&answer, Tag::RequestTransactionMismatch);
    let first = rig.say(&cancel).await.unwrap();
    rig.advance(5);
    assert_eq!(rig.say(&cancel).await.unwrap(), first);
    let answer = rig.authorize(&other, &request, &[]).await.unwrap();
    assert_denied(&answer, Tag::WithdrawalCancelled);
    assert!(matches!(answer, Answer::Denied { is_final: true, .. }));
}
