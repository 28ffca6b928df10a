//! Cancel attempts: what takes the place of what is signed, and pays nobody.

use sqlx::migrate::Migrator;

use super::{replacing::signed, *};

fn cancelling(name: &str, unsigned: &str, text: &str) -> NewAttempt {
    NewAttempt {
        statement: Some(statement(StatementKind::Cancel, "pipeline", text, &[id_of(name)])),
        ..attempt(name, unsigned)
    }
}

impl Fixture {
    async fn revision(&self, name: &str) -> u64 {
        self.found(name).await.withdrawal.revision
    }

    async fn cancels(&self, name: &str) -> Vec<bool> {
        let attempts = self.found(name).await.withdrawal.attempts;
        attempts.iter().map(|attempt| attempt.cancels).collect()
    }

    /// The signer's word on a cancel attempt whose cancel it acknowledged.
    async fn decide(&self, name: &str, event: Event, standing: Pending) -> Option<i64> {
        let work = self.work(name).await;
        let outcome = Outcome {
            seq: work.seq,
            inputs: work.inputs,
            event,
            standing,
            signed: None,
            outlives_request: true,
        };
        self.store.apply(outcome).await.unwrap()
    }
}

#[tokio::test]
async fn a_cancel_attempt_and_its_cancel_are_durable_together_and_once() {
    let fixture = signed("a").await;
    let mut rows = Vec::new();
    for _ in 0..2 {
        rows.push(
            fixture
                .store
                .add_attempt(cancelling("a", "self", "stop"))
                .await
                .unwrap(),
        );
    }
    assert!(rows[0].is_some() && rows[0] == rows[1], "{rows:?}");
    let fixture = reopen(fixture).await;
    assert_eq!(fixture.state("a").await, WithdrawalState::Replacing);
    assert_eq!(fixture.cancels("a").await, [false, true]);
    let work = fixture.work("a").await;
    assert_eq!(
        (work.attempt, work.unsigned.as_slice(), work.cancels),
        (2, &b"self"[..], true)
    );
    let kinds: Vec<StatementKind> = work.statements.iter().map(|statement| statement.kind).collect();
    assert_eq!(kinds, [StatementKind::Cancel]);
    assert_eq!(fixture.store.unfinished(0, 10).await.unwrap().len(), 1);
    assert_eq!(fixture.happen("a", Event::Signed, Pending::default()).await, None);
    assert_eq!(fixture.state("a").await, WithdrawalState::Signed);
    let before = fixture.revision("a").await;
    let again = fixture
        .store
        .add_attempt(cancelling("a", "self", "stop"))
        .await
        .unwrap();
    assert_eq!((again, fixture.revision("a").await), (rows[0], before));
}

/// Neither without the other.
#[tokio::test]
async fn a_cancel_that_has_no_room_keeps_its_attempt_out() {
    let fixture = signed("a").await;
    for n in 0..MAX_STATEMENTS_OF_ONE {
        let text = format!("stop {n}");
        fixture.store.add_attempt(cancelling("a", "self", &text)).await.unwrap();
    }
    let full = fixture.store.add_attempt(cancelling("a", "again", "more")).await;
    assert_eq!(full.unwrap_err().tag(), Tag::MessageTooLarge);
    assert_eq!(fixture.cancels("a").await, [false, true]);
    for n in 3..=MAX_ATTEMPTS {
        let bytes = format!("bumped {n}");
        fixture.happen("a", Event::Refused, Pending::default()).await;
        fixture.store.add_attempt(attempt("a", &bytes)).await.unwrap();
    }
    for n in 1..=MAX_CANCEL_ATTEMPTS {
        let bytes = format!("self {n}");
        fixture
            .store
            .add_attempt(cancelling("a", &bytes, "stop 0"))
            .await
            .unwrap();
    }
    let late = NewAttempt {
        statement: Some(statement(StatementKind::Cancel, "dave", "late", &[id_of("a")])),
        ..attempt("a", "one more")
    };
    let error = fixture.store.add_attempt(late).await.unwrap_err();
    assert_eq!(error.tag(), Tag::LineageTooManyAttempts);
    let kept = fixture.work("a").await.statements;
    assert!(kept.iter().all(|statement| statement.envelope != b"late"));
}

/// Whoever has raised the fee as often as may be can still cancel.
#[tokio::test]
async fn there_is_room_for_cancel_attempts_behind_the_others() {
    let fixture = signed("a").await;
    for n in 2..=MAX_ATTEMPTS {
        fixture
            .store
            .add_attempt(attempt("a", &format!("bumped {n}")))
            .await
            .unwrap();
    }
    let one_more = fixture.store.add_attempt(attempt("a", "one more")).await;
    assert_eq!(one_more.unwrap_err().tag(), Tag::LineageTooManyAttempts);
    for n in 1..=MAX_CANCEL_ATTEMPTS {
        let bytes = format!("self {n}");
        fixture
            .store
            .add_attempt(cancelling("a", &bytes, "stop"))
            .await
            .unwrap();
        assert_eq!(fixture.work("a").await.attempt, MAX_ATTEMPTS + n);
    }
    let over = fixture.store.add_attempt(cancelling("a", "over", "stop")).await;
    assert_eq!(over.unwrap_err().tag(), Tag::LineageTooManyAttempts);
}

/// The signer's final no to a payment says nothing of what came meanwhile and pays nobody: a rejection, say, keeps in a signature that is
/// recorded, and the cancel attempt uses its nonce up.
#[tokio::test]
async fn a_final_no_to_the_payment_does_not_lose_a_cancel_attempt() {
    let fixture = fixture().await;
    fixture.store.create(new("a")).await.unwrap();
    let asked = fixture.work("a").await;
    fixture
        .store
        .add_attempt(cancelling("a", "self", "stop"))
        .await
        .unwrap();
    let due = fixture.apply(&asked, Event::Denied, Pending::default()).await;
    assert!(due.is_some(), "it is asked about");
    assert_eq!(fixture.state("a").await, WithdrawalState::Received);
    // Without one it is final for whatever pays.
    fixture.store.create(new("b")).await.unwrap();
    let asked = fixture.work("b").await;
    fixture.store.add_attempt(attempt("b", "bumped")).await.unwrap();
    assert_eq!(fixture.apply(&asked, Event::Denied, Pending::default()).await, None);
    assert_eq!(fixture.state("b").await, WithdrawalState::Denied);
}

/// Refused under a low ceiling and overtaken by a payment that is refused as well, the same bytes come with a higher one.
#[tokio::test]
async fn an_earlier_cancel_attempt_is_asked_for_again_with_another_cancel() {
    let fixture = signed("a").await;
    fixture.store.add_attempt(cancelling("a", "self", "low")).await.unwrap();
    fixture.happen("a", Event::Refused, Pending::default()).await;
    fixture.store.add_attempt(attempt("a", "bumped")).await.unwrap();
    fixture.happen("a", Event::Refused, Pending::default()).await;
    // The same again is a call that was repeated.
    fixture.store.add_attempt(cancelling("a", "self", "low")).await.unwrap();
    assert_eq!(fixture.cancels("a").await, [false, true, false]);
    fixture
        .store
        .add_attempt(cancelling("a", "self", "high"))
        .await
        .unwrap();
    let work = fixture.work("a").await;
    assert_eq!(
        (work.attempt, work.unsigned.as_slice(), work.cancels),
        (4, &b"self"[..], true)
    );
    // Once it is signed there is nothing to ask for.
    let outcome = Outcome {
        signed: Some(SignedAttempt {
            number: 4,
            transaction: b"signed".to_vec(),
            txid: "id".to_owned(),
        }),
        seq: work.seq,
        inputs: work.inputs,
        event: Event::Signed,
        standing: Pending::default(),
        outlives_request: true,
    };
    fixture.store.apply(outcome).await.unwrap();
    fixture.store.add_attempt(attempt("a", "bumped again")).await.unwrap();
    fixture
        .store
        .add_attempt(cancelling("a", "self", "higher"))
        .await
        .unwrap();
    assert_eq!(fixture.cancels("a").await, [false, true, false, true, false]);
}

#[tokio::test]
async fn a_cancel_attempt_opens_what_is_closed_and_nothing_else_does() {
    for event in [Event::Denied, Event::Cancelled, Event::Expired] {
        let fixture = fixture().await;
        fixture.store.create(new("a")).await.unwrap();
        fixture.happen("a", event, Pending::default()).await;
        let error = fixture.store.add_attempt(attempt("a", "another")).await;
        assert_eq!(error.unwrap_err().tag(), Tag::WithdrawalWrongState, "{event:?}");
        fixture
            .store
            .add_attempt(cancelling("a", "self", "stop"))
            .await
            .unwrap();
        assert_eq!(fixture.cancels("a").await, [false, true]);
        let work = fixture.work("a").await;
        assert_eq!((work.state, work.cancels), (State::Received, true), "{event:?}");
        // The signer had nothing that may land: it is cancelled, and one that came before opens it again only with another cancel.
        fixture.happen("a", Event::Cancelled, Pending::default()).await;
        fixture
            .store
            .add_attempt(cancelling("a", "other", "stop"))
            .await
            .unwrap();
        fixture.happen("a", Event::Cancelled, Pending::default()).await;
        fixture
            .store
            .add_attempt(cancelling("a", "self", "stop"))
            .await
            .unwrap();
        assert_eq!(fixture.state("a").await, WithdrawalState::Cancelled, "{event:?}");
        fixture
            .store
            .add_attempt(cancelling("a", "self", "once more"))
            .await
            .unwrap();
        let work = fixture.work("a").await;
        assert_eq!((work.state, work.attempt), (State::Received, 4), "{event:?}");
    }
}

/// A no to it leaves what is signed signed; and what nobody had signed is cancelled.
#[tokio::test]
async fn a_no_to_a_cancel_attempt_is_told_and_leaves_what_is_signed() {
    let fixture = signed("a").await;
    fixture
        .store
        .add_attempt(cancelling("a", "self", "stop"))
        .await
        .unwrap();
    let no = reasons(Tag::RequestFeeOverCeiling);
    assert_eq!(fixture.decide("a", Event::Cancelled, no).await, None);
    assert_eq!(fixture.state("a").await, WithdrawalState::Signed);
    let withdrawal = fixture.found("a").await.withdrawal;
    assert_eq!(withdrawal.reasons[0].tag, "request/fee-over-ceiling");
    // The same bytes under a higher ceiling.
    fixture
        .store
        .add_attempt(cancelling("a", "self", "more"))
        .await
        .unwrap();
    assert_eq!(fixture.state("a").await, WithdrawalState::Replacing);
    assert_eq!(fixture.cancels("a").await, [false, true]);

    fixture.store.create(new("b")).await.unwrap();
    fixture
        .store
        .add_attempt(cancelling("b", "self", "stop b"))
        .await
        .unwrap();
    let nothing = reasons(Tag::WithdrawalCancelled);
    assert_eq!(fixture.decide("b", Event::Cancelled, nothing).await, None);
    assert_eq!(fixture.state("b").await, WithdrawalState::Cancelled);
}

/// The signer decides it after the expiry too: there is nothing to ask at that moment, and nothing every second after it.
#[tokio::test]
async fn the_expiry_of_the_request_does_not_wake_a_cancel_attempt() {
    let fixture = fixture().await;
    let mut expired = new("a");
    expired.advice.expires_at = Timestamp::from_unix_millis(1);
    fixture.store.create(expired).await.unwrap();
    fixture.happen("a", Event::Signed, Pending::default()).await;
    fixture
        .store
        .add_attempt(cancelling("a", "self", "stop"))
        .await
        .unwrap();
    let waits = |tag| fixture.decide("a", Event::Pending, reasons(tag));
    assert_eq!(waits(Tag::ApprovalMissing).await, None);
    assert_eq!(fixture.state("a").await, WithdrawalState::Replacing);
    assert!(fixture.store.unfinished(0, 10).await.unwrap().is_empty());
    // What passes by itself wakes it.
    let now = crate::clock::now().unix_millis();
    assert!(waits(Tag::ConflictKeyGap).await.unwrap() >= now + 1_000);
    let frozen = fixture.decide("a", Event::Frozen, reasons(Tag::FreezeActive)).await;
    assert!(frozen.is_some());
    let lock = Pending {
        not_before_ms: 3_000_000_000_000,
        ..reasons(Tag::ApprovalTimeLock)
    };
    let locked = fixture.decide("a", Event::Pending, lock).await;
    assert_eq!(locked, Some(3_000_000_000_000));
    // And a statement.
    let approval = statement(StatementKind::Approval, "alice", "yes", &[id_of("a")]);
    fixture.store.add_statement(approval).await.unwrap();
    assert!(fixture.store.unfinished(0, 10).await.unwrap()[0].due_at_ms <= crate::clock::now().unix_millis());
}

/// A pipeline that raises fees by itself does not know of the cancel.
#[tokio::test]
async fn no_payment_displaces_a_cancel_attempt_that_is_undecided() {
    let fixture = signed("a").await;
    fixture.store.add_attempt(attempt("a", "bumped")).await.unwrap();
    fixture
        .store
        .add_attempt(cancelling("a", "self", "stop"))
        .await
        .unwrap();
    let error = fixture
        .store
        .add_attempt(attempt("a", "bumped again"))
        .await
        .unwrap_err();
    assert_eq!(error.tag(), Tag::WithdrawalWrongState);
    assert!(error.to_string().contains("a cancel attempt"), "{error}");
    // What is known changes nothing, and a raised ceiling has the cancel attempt decided, not the payment.
    fixture.store.add_attempt(attempt("a", "bumped")).await.unwrap();
    let raised = NewAttempt {
        statement: Some(statement(StatementKind::Replace, "pipeline", "raise", &[id_of("a")])),
        ..attempt("a", "bumped")
    };
    fixture.store.add_attempt(raised).await.unwrap();
    let work = fixture.work("a").await;
    assert_eq!((work.unsigned.as_slice(), work.cancels), (&b"self"[..], true));
    // A later cancel attempt takes the place of the one before.
    fixture
        .store
        .add_attempt(cancelling("a", "higher", "stop"))
        .await
        .unwrap();
    assert_eq!(fixture.work("a").await.unsigned, b"higher");
    assert_eq!(fixture.cancels("a").await, [false, false, true, true]);
    // Once it is decided the signer says what it thinks of payments.
    fixture.decide("a", Event::Cancelled, Pending::default()).await;
    fixture.store.add_attempt(attempt("a", "bumped again")).await.unwrap();
}

/// Somebody tried a transfer to the wallet itself as a replacement first.
#[tokio::test]
async fn bytes_that_were_refused_as_a_payment_may_be_a_cancel_attempt() {
    let fixture = signed("a").await;
    fixture.store.add_attempt(attempt("a", "self")).await.unwrap();
    let no = reasons(Tag::RequestPaymentsMismatch);
    fixture.happen("a", Event::Refused, no).await;
    fixture
        .store
        .add_attempt(cancelling("a", "self", "stop"))
        .await
        .unwrap();
    assert_eq!(fixture.cancels("a").await, [false, false, true]);
    fixture.happen("a", Event::Signed, Pending::default()).await;
    let revision = fixture.revision("a").await;
    fixture.store.add_attempt(attempt("a", "self")).await.unwrap();
    assert_eq!(
        fixture.revision("a").await,
        revision,
        "the signed bytes are no payment now"
    );
}

/// The signature of the payment arrives when the cancel attempt is there already.
#[tokio::test]
async fn a_payment_that_is_signed_while_it_is_cancelled_is_kept_and_told_apart() {
    let fixture = fixture().await;
    fixture.store.create(new("a")).await.unwrap();
    let asked = fixture.work("a").await;
    fixture
        .store
        .add_attempt(cancelling("a", "self", "stop"))
        .await
        .unwrap();
    assert!(fixture.apply(&asked, Event::Signed, Pending::default()).await.is_some());
    assert_eq!(fixture.state("a").await, WithdrawalState::Replacing);
    let attempts = fixture.found("a").await.withdrawal.attempts;
    assert_eq!(
        (attempts[0].signed_transaction.as_slice(), attempts[0].cancels),
        (&b"signed"[..], false)
    );
    assert!(attempts[1].signed_transaction.is_empty() && attempts[1].cancels);
}

/// A database of the version before has no such column.
#[tokio::test]
async fn a_database_of_the_first_schema_opens_and_keeps_everything() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("orchestrator.db");
    let mut old = SqliteConnection::connect_with(&options(&path)).await.unwrap();
    let first: Vec<_> = schema::migrator().iter().take(1).cloned().collect();
    Migrator::with_migrations(first).run(&mut old).await.unwrap();
    sqlx::query(
        "INSERT INTO withdrawals VALUES (7, ?, 'exchange', 'a', 'eth-hot', 'eip155:31337', 3, x'', 1, 1, 3, 4, 10, 11, \
         4000000000000, NULL, 5, x'72')",
    )
    .bind(key(&id_of("a")))
    .execute(&mut old)
    .await
    .unwrap();
    for insert in [
        "INSERT INTO attempts VALUES (7, 1, x'01', x'02', '0x03', 10)",
        "INSERT INTO statements VALUES (3, zeroblob(32), 'approval', x'796573', 'alice', 10, NULL, NULL, NULL)",
        "INSERT INTO withdrawal_statements VALUES (7, 3)",
    ] {
        sqlx::query(insert).execute(&mut old).await.unwrap();
    }
    old.close().await.unwrap();

    let (store, wakes) = open(&folder).await.unwrap();
    let fixture = Fixture { store, wakes, folder };
    let withdrawal = fixture.found("a").await.withdrawal;
    assert_eq!(
        (withdrawal.state(), withdrawal.revision, withdrawal.updated_at_ms),
        (WithdrawalState::Signed, 5, 11)
    );
    let attempt = v1::Attempt {
        number: 1,
        unsigned_transaction: vec![1],
        signed_transaction: vec![2],
        txid: "0x03".to_owned(),
        cancels: false,
    };
    assert_eq!(withdrawal.attempts, [attempt]);
    assert_eq!(fixture.work("a").await.statements[0].envelope, b"yes");
    fixture
        .store
        .add_attempt(cancelling("a", "self", "stop"))
        .await
        .unwrap();
    let fixture = reopen(fixture).await;
    assert_eq!(fixture.cancels("a").await, [false, true]);
}
