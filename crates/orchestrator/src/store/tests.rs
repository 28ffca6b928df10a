//! Over real SQLite files.

use countersign_proto::{fields, limits::MAX_ATTEMPTS, v1::WithdrawalState};
use countersign_types::{RequestDigest, Timestamp};
use tempfile::TempDir;

use super::{
    reads::{Filter, Page},
    *,
};

mod cancelling;
mod replacing;
mod room;

struct Fixture {
    store: Store,
    wakes: mpsc::UnboundedReceiver<Wake>,
    folder: TempDir,
}

async fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let (store, wakes) = open(&folder).await.unwrap();
    Fixture { store, wakes, folder }
}

async fn open(folder: &TempDir) -> Result<(Store, mpsc::UnboundedReceiver<Wake>), StoreError> {
    let (sender, wakes) = mpsc::unbounded_channel();
    let store = Store::open(&folder.path().join("orchestrator.db"), sender).await?;
    Ok((store, wakes))
}

/// Closes the store and opens the same file again, as a restart does.
async fn reopen(fixture: Fixture) -> Fixture {
    let Fixture { store, wakes, folder } = fixture;
    drop((store, wakes));
    let (store, wakes) = open(&folder).await.unwrap();
    Fixture { store, wakes, folder }
}

fn id_of(text: &str) -> WithdrawalId {
    WithdrawalId::of(RequestDigest::of(text.as_bytes()))
}

fn new_for(tenant: &str, reference: &str, content: &str) -> NewWithdrawal {
    NewWithdrawal {
        advice: RequestAdvice {
            id: id_of(content),
            tenant: TenantId::parse(tenant).unwrap(),
            reference: reference.parse().unwrap(),
            wallet: "eth-hot".parse().unwrap(),
            network: "eip155:31337".parse().unwrap(),
            expires_at: Timestamp::from_unix_millis(4_000_000_000_000),
        },
        request: format!("request {content}").into_bytes(),
        unsigned: b"unsigned 1".to_vec(),
    }
}

fn new(name: &str) -> NewWithdrawal {
    new_for("exchange", name, name)
}

fn statement(kind: StatementKind, by: &str, text: &str, ids: &[WithdrawalId]) -> NewStatement {
    NewStatement {
        advice: StatementAdvice {
            digest: StatementDigest::of(text.as_bytes()),
            kind,
            withdrawals: ids.to_vec(),
        },
        envelope: text.as_bytes().to_vec(),
        submitted_by: by.to_owned(),
        scope: Scope::All,
    }
}

fn attempt(name: &str, unsigned: &str) -> NewAttempt {
    NewAttempt {
        id: id_of(name),
        scope: Scope::All,
        unsigned: unsigned.as_bytes().to_vec(),
        statement: None,
    }
}

fn reasons(tag: Tag) -> Pending {
    Pending {
        reasons: vec![fields::reason(tag, None, "m")],
        ..Pending::default()
    }
}

fn every(rows: u32, cursor: i64) -> Filter {
    Filter {
        scope: Scope::All,
        states: vec![],
        id: None,
        cursor,
        rows,
    }
}

impl Fixture {
    async fn found(&self, name: &str) -> Found {
        self.store.find(&id_of(name), &Scope::All).await.unwrap().unwrap()
    }

    async fn state(&self, name: &str) -> WithdrawalState {
        WithdrawalState::try_from(self.found(name).await.withdrawal.state).unwrap()
    }

    async fn work(&self, name: &str) -> Work {
        let seq = self.found(name).await.seq;
        self.store.work(seq).await.unwrap().unwrap()
    }

    async fn happen(&self, name: &str, event: Event, standing: Pending) -> Option<i64> {
        let work = self.work(name).await;
        self.apply(&work, event, standing).await
    }

    async fn apply(&self, work: &Work, event: Event, standing: Pending) -> Option<i64> {
        let signed = (event == Event::Signed).then(|| SignedAttempt {
            number: work.attempt,
            transaction: b"signed".to_vec(),
            txid: "0x01".to_owned(),
        });
        let outcome = Outcome {
            seq: work.seq,
            inputs: work.inputs,
            event,
            standing,
            signed,
            outlives_request: false,
        };
        self.store.apply(outcome).await.unwrap()
    }
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_restart() {
    let mut fixture = fixture().await;
    fixture.store.create(new("a")).await.unwrap();
    let created = fixture.found("a").await;
    assert_eq!(created.withdrawal.attempts[0].unsigned_transaction, b"unsigned 1");
    assert_eq!(fixture.wakes.recv().await.unwrap().seq, created.seq);
    let fixture = reopen(fixture).await;
    assert_eq!(fixture.found("a").await, created);
    let unfinished = fixture.store.unfinished(0, 10).await.unwrap();
    assert_eq!(
        unfinished.iter().map(|wake| wake.seq).collect::<Vec<_>>(),
        [created.seq]
    );
    assert!(fixture.store.unfinished(created.seq, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn two_processes_never_share_a_database() {
    let fixture = fixture().await;
    let error = open(&fixture.folder).await.unwrap_err();
    assert!(matches!(error, StoreError::Locked(_)), "{error}");
    assert_eq!(error.tag(), Tag::StoreUnavailable);
}

#[tokio::test]
async fn a_schema_from_the_future_is_refused() {
    let fixture = fixture().await;
    let path = fixture.folder.path().join("orchestrator.db");
    let mut connection = SqliteConnection::connect_with(&options(&path)).await.unwrap();
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (9999, 'later', 1, x'00', 0)",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    drop((fixture.store, connection));
    let error = open(&fixture.folder).await.unwrap_err();
    assert!(matches!(error, StoreError::Schema(_)), "{error}");
}

#[tokio::test]
async fn the_same_content_is_the_same_withdrawal_and_other_content_a_conflict() {
    let fixture = fixture().await;
    fixture.store.create(new("a")).await.unwrap();
    let before = fixture.found("a").await;
    fixture.store.create(new("a")).await.unwrap();
    assert_eq!(
        fixture.found("a").await,
        before,
        "nothing changed, not even the revision"
    );

    let error = fixture
        .store
        .create(new_for("exchange", "a", "other"))
        .await
        .unwrap_err();
    assert_eq!(error.tag(), Tag::ReferenceConflict);
    assert!(error.to_string().contains(&id_of("a").to_string()), "{error}");

    let mut other_bytes = new("a");
    other_bytes.unsigned = b"unsigned 2".to_vec();
    let error = fixture.store.create(other_bytes).await.unwrap_err();
    assert_eq!(error.tag(), Tag::ReferenceConflict);

    fixture
        .store
        .create(new_for("treasury", "a", "elsewhere"))
        .await
        .unwrap();
    assert_eq!(fixture.found("a").await, before);
}

#[tokio::test]
async fn a_better_signature_replaces_one_that_the_signer_refused_and_no_other() {
    let fixture = fixture().await;
    fixture.store.create(new("a")).await.unwrap();
    let mut resigned = new("a");
    resigned.request = b"request a, signed again".to_vec();
    fixture
        .store
        .create(NewWithdrawal {
            request: resigned.request.clone(),
            ..new("a")
        })
        .await
        .unwrap();
    assert_eq!(
        fixture.work("a").await.request,
        b"request a",
        "not while the first is undecided"
    );
    fixture
        .happen("a", Event::Refused, reasons(Tag::StatementBadSignature))
        .await;
    fixture.store.create(resigned).await.unwrap();
    assert_eq!(fixture.work("a").await.request, b"request a, signed again");
    assert_eq!(fixture.state("a").await, WithdrawalState::Received);
}

#[tokio::test]
async fn many_writers_share_commits_and_revisions_have_no_gaps() {
    let fixture = fixture().await;
    let store = Arc::new(fixture.store);
    let mut news = store.subscribe();
    let tasks: Vec<_> = (0..200)
        .map(|n| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.create(new(&format!("w-{n}"))).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    for expected in 1..=200 {
        let News::Changed { revision, .. } = news.recv().await.unwrap() else {
            panic!("no answers here")
        };
        assert_eq!(revision, expected);
    }
    let (commits, writes) = store.commits_and_writes();
    assert_eq!(writes, 200);
    assert!(commits < 100, "{commits} commits for {writes} writes");
}

#[tokio::test]
async fn a_batch_answers_each_write_for_itself() {
    let fixture = fixture().await;
    let (good, conflict, missing) = tokio::join!(
        fixture.store.create(new("a")),
        fixture.store.create(new_for("exchange", "a", "other")),
        fixture.store.add_attempt(attempt("nowhere", "x")),
    );
    good.unwrap();
    assert_eq!(conflict.unwrap_err().tag(), Tag::ReferenceConflict);
    assert_eq!(missing.unwrap_err().tag(), Tag::WithdrawalNotFound);
}

#[tokio::test]
async fn a_tenant_sees_only_its_own() {
    let fixture = fixture().await;
    fixture.store.create(new_for("exchange", "r", "a")).await.unwrap();
    fixture.store.create(new_for("treasury", "r", "b")).await.unwrap();
    let treasury = Scope::Tenant(TenantId::parse("treasury").unwrap());
    assert_eq!(fixture.store.find(&id_of("a"), &treasury).await.unwrap(), None);
    let foreign = NewAttempt {
        scope: treasury.clone(),
        ..attempt("a", "x")
    };
    assert_eq!(
        fixture.store.add_attempt(foreign).await.unwrap_err().tag(),
        Tag::WithdrawalNotFound
    );
    let cancel = NewStatement {
        scope: treasury.clone(),
        ..statement(StatementKind::Cancel, "p", "c", &[id_of("a")])
    };
    assert_eq!(
        fixture.store.add_statement(cancel).await.unwrap_err().tag(),
        Tag::WithdrawalNotFound
    );
    let filter = Filter {
        scope: treasury,
        ..every(10, i64::MAX)
    };
    let page = fixture.store.list(&filter).await.unwrap();
    assert_eq!(page.found.len(), 1);
    assert_eq!(page.found[0].withdrawal.tenant, "treasury");
    let found = fixture.store.find_reference("treasury", "r").await.unwrap().unwrap();
    assert_eq!(found.withdrawal.id, id_of("b").to_string());
}

#[tokio::test]
async fn attempts_are_numbered_bounded_and_each_is_there_once() {
    let fixture = fixture().await;
    fixture.store.create(new("a")).await.unwrap();
    fixture
        .happen("a", Event::Malformed, reasons(Tag::TransactionMalformed))
        .await;
    assert_eq!(fixture.state("a").await, WithdrawalState::Malformed);
    for n in 2..=MAX_ATTEMPTS {
        let bytes = format!("unsigned {n}");
        fixture.store.add_attempt(attempt("a", &bytes)).await.unwrap();
        fixture.store.add_attempt(attempt("a", &bytes)).await.unwrap();
    }
    assert_eq!(fixture.state("a").await, WithdrawalState::Received);
    let found = fixture.found("a").await;
    let numbers: Vec<u32> = found.withdrawal.attempts.iter().map(|attempt| attempt.number).collect();
    assert_eq!(numbers, (1..=MAX_ATTEMPTS).collect::<Vec<_>>());
    assert_eq!(fixture.work("a").await.attempt, MAX_ATTEMPTS);
    let error = fixture.store.add_attempt(attempt("a", "one more")).await.unwrap_err();
    assert_eq!(error.tag(), Tag::LineageTooManyAttempts);
}

#[tokio::test]
async fn a_signature_is_kept_whatever_a_refresh_meets() {
    let fixture = fixture().await;
    fixture.store.create(new("a")).await.unwrap();
    assert_eq!(fixture.happen("a", Event::Signed, Pending::default()).await, None);
    fixture.store.add_attempt(attempt("a", "refresh")).await.unwrap();
    assert_eq!(
        fixture
            .happen("a", Event::Denied, reasons(Tag::RequestFeeOverCeiling))
            .await,
        None
    );
    let withdrawal = fixture.found("a").await.withdrawal;
    assert_eq!(withdrawal.state, i32::from(WithdrawalState::Signed));
    assert_eq!(withdrawal.attempts[0].signed_transaction, b"signed");
    assert!(withdrawal.attempts[1].signed_transaction.is_empty());
    assert_eq!(withdrawal.reasons[0].tag, "request/fee-over-ceiling");
}

#[tokio::test]
async fn an_answer_to_old_inputs_does_not_hide_new_ones() {
    let fixture = fixture().await;
    fixture.store.create(new("a")).await.unwrap();
    let asked = fixture.work("a").await;
    let approval = statement(StatementKind::Approval, "alice", "yes", &[id_of("a")]);
    fixture.store.add_statement(approval).await.unwrap();
    let due = fixture.apply(&asked, Event::Pending, Pending::default()).await;
    assert!(
        due.unwrap() <= crate::clock::now().unix_millis(),
        "still due: the approval was not seen"
    );
    assert_eq!(fixture.state("a").await, WithdrawalState::Received);
    // But a signature is a signature.
    assert!(fixture.apply(&asked, Event::Signed, Pending::default()).await.is_some());
    assert_eq!(fixture.state("a").await, WithdrawalState::Signed);
}

#[tokio::test]
async fn a_pending_withdrawal_is_due_when_its_time_lock_or_its_request_runs_out() {
    let fixture = fixture().await;
    fixture.store.create(new("a")).await.unwrap();
    let lock = |not_before_ms| Pending {
        not_before_ms,
        ..reasons(Tag::ApprovalTimeLock)
    };
    assert_eq!(
        fixture.happen("a", Event::Pending, lock(3_000_000_000_000)).await,
        Some(3_000_000_000_000)
    );
    assert_eq!(
        fixture.happen("a", Event::Pending, lock(5_000_000_000_000)).await,
        Some(4_000_000_000_000)
    );
    assert_eq!(
        fixture.happen("a", Event::Pending, lock(0)).await,
        Some(4_000_000_000_000)
    );
    let now = crate::clock::now().unix_millis();
    assert!(
        fixture.happen("a", Event::Pending, lock(1)).await.unwrap() > now,
        "never at once again"
    );
    assert_eq!(fixture.happen("a", Event::Expired, Pending::default()).await, None);
    assert!(fixture.store.unfinished(0, 10).await.unwrap().is_empty());
}

/// The pipeline sent two nonces and the later one was asked about first: nobody has to send it again.
#[tokio::test]
async fn a_withdrawal_behind_a_gap_of_nonces_is_asked_about_again() {
    let fixture = fixture().await;
    fixture.store.create(new("a")).await.unwrap();
    let now = crate::clock::now().unix_millis();
    let due = fixture
        .happen("a", Event::Pending, reasons(Tag::ConflictKeyGap))
        .await
        .unwrap();
    assert!(
        (now + 1_000..now + 70_000).contains(&due),
        "{due} is not soon after {now}"
    );
    // Approved meanwhile: who still has to approve wakes it, not the time.
    let mut both = reasons(Tag::ConflictKeyGap);
    both.reasons.extend(reasons(Tag::ApprovalMissing).reasons);
    let due = fixture.happen("a", Event::Pending, both).await;
    assert_eq!(due, Some(4_000_000_000_000));
    let due = fixture.happen("a", Event::Refused, reasons(Tag::PermitUncovered)).await;
    assert_eq!(due, Some(4_000_000_000_000), "other refusals wait for the caller");
}

#[tokio::test]
async fn the_same_answer_twice_is_one_change() {
    let fixture = fixture().await;
    fixture.store.create(new("a")).await.unwrap();
    fixture.happen("a", Event::Pending, reasons(Tag::ApprovalMissing)).await;
    let before = fixture.found("a").await;
    fixture.happen("a", Event::Pending, reasons(Tag::ApprovalMissing)).await;
    assert_eq!(fixture.found("a").await, before);
}

#[tokio::test]
async fn a_statement_is_filed_once_under_each_withdrawal_that_may_take_it() {
    let fixture = fixture().await;
    for name in ["a", "b", "c"] {
        fixture.store.create(new(name)).await.unwrap();
    }
    fixture.happen("c", Event::Denied, reasons(Tag::ForbidMatched)).await;
    let ids = [id_of("a"), id_of("b"), id_of("c"), id_of("unknown")];
    let batch = || statement(StatementKind::Approval, "alice", "yes to all", &ids);
    let seq = fixture.store.add_statement(batch()).await.unwrap();
    assert_eq!(fixture.store.add_statement(batch()).await.unwrap(), seq);
    for (name, count) in [("a", 1), ("b", 1), ("c", 0)] {
        assert_eq!(fixture.work(name).await.statements.len(), count, "{name}");
    }
    let only_closed = statement(StatementKind::Rejection, "alice", "no", &[id_of("c")]);
    let error = fixture.store.add_statement(only_closed).await.unwrap_err();
    assert_eq!(error.tag(), Tag::WithdrawalWrongState);
    let only_unknown = statement(StatementKind::Rejection, "alice", "no", &[id_of("unknown")]);
    let error = fixture.store.add_statement(only_unknown).await.unwrap_err();
    assert_eq!(error.tag(), Tag::WithdrawalNotFound);
}

#[tokio::test]
async fn a_bad_copy_does_not_keep_the_good_one_out() {
    let fixture = fixture().await;
    fixture.store.create(new("a")).await.unwrap();
    let good = || statement(StatementKind::Approval, "bob", "yes", &[id_of("a")]);
    let bad = NewStatement {
        envelope: b"yes, badly signed".to_vec(),
        submitted_by: "mallory".to_owned(),
        ..good()
    };
    fixture.store.add_statement(bad).await.unwrap();
    fixture.store.add_statement(good()).await.unwrap();
    assert_eq!(fixture.work("a").await.statements.len(), 2);
}

#[tokio::test]
async fn one_submitter_cannot_crowd_out_the_others() {
    let fixture = fixture().await;
    fixture.store.create(new("a")).await.unwrap();
    let send = |by: &'static str, n: u32| {
        fixture.store.add_statement(statement(
            StatementKind::Approval,
            by,
            &format!("{by} {n}"),
            &[id_of("a")],
        ))
    };
    for n in 0..MAX_STATEMENTS_OF_ONE {
        send("mallory", n).await.unwrap();
    }
    assert_eq!(send("mallory", 99).await.unwrap_err().tag(), Tag::MessageTooLarge);
    send("alice", 0).await.unwrap();
}

#[tokio::test]
async fn an_observation_is_filed_once_under_each_withdrawal_it_is_brought_for() {
    let mut fixture = fixture().await;
    for name in ["a", "b"] {
        fixture.store.create(new(name)).await.unwrap();
        let waiting = reasons(Tag::FactsUnattested);
        fixture.happen(name, Event::Pending, waiting).await;
    }
    let bring = |name: &str| statement(StatementKind::Observation, "watch-1", "seen", &[id_of(name)]);
    let one = fixture.store.add_statement(bring("a")).await.unwrap();
    while fixture.wakes.try_recv().is_ok() {}
    let inputs = fixture.work("a").await.inputs;
    assert_eq!(
        fixture.store.add_statement(bring("a")).await.unwrap(),
        one,
        "a repetition"
    );
    assert_eq!(fixture.work("a").await.inputs, inputs);
    assert!(fixture.wakes.try_recv().is_err(), "a repetition wakes nobody");

    assert_eq!(
        fixture.store.add_statement(bring("b")).await.unwrap(),
        one,
        "the same, for another"
    );
    assert_eq!(fixture.wakes.try_recv().unwrap().seq, fixture.found("b").await.seq);
    let fixture = reopen(fixture).await;
    for name in ["a", "b"] {
        let work = fixture.work(name).await;
        assert_eq!(work.statements.len(), 1, "{name}");
        assert_eq!(work.statements[0].kind, StatementKind::Observation);
    }
    let unknown = fixture.store.add_statement(bring("unknown")).await.unwrap_err();
    assert_eq!(unknown.tag(), Tag::WithdrawalNotFound);
    fixture.happen("b", Event::Denied, Pending::default()).await;
    fixture.store.add_statement(bring("b")).await.unwrap();
    let late = statement(StatementKind::Observation, "watch-1", "seen later", &[id_of("b")]);
    assert_eq!(
        fixture.store.add_statement(late).await.unwrap_err().tag(),
        Tag::WithdrawalWrongState
    );
}

#[tokio::test]
async fn waiting_for_observers_is_no_polling() {
    let fixture = fixture().await;
    fixture.store.create(new("a")).await.unwrap();
    let due = fixture.happen("a", Event::Pending, reasons(Tag::FactsUnattested)).await;
    assert_eq!(
        due,
        Some(4_000_000_000_000),
        "at its expiry, unless somebody brings something"
    );
    assert_eq!(fixture.state("a").await, WithdrawalState::PendingApproval);
}

#[tokio::test]
async fn observers_never_use_up_the_room_of_people() {
    let fixture = fixture().await;
    fixture.store.create(new("a")).await.unwrap();
    let bring = |by: &str, n: u32, bytes: usize| {
        let text = format!("{by} {n} {}", "x".repeat(bytes));
        fixture
            .store
            .add_statement(statement(StatementKind::Observation, by, &text, &[id_of("a")]))
    };
    let too_large = |result: Result<i64, StoreError>| assert_eq!(result.unwrap_err().tag(), Tag::MessageTooLarge);
    // Bytes of one observer.
    bring("w-1", 0, 260 * 1024).await.unwrap();
    too_large(bring("w-1", 1, 260 * 1024).await);
    bring("w-1", 1, 100).await.unwrap();
    // Count of one observer, and of all.
    for n in 2..MAX_STATEMENTS_OF_ONE {
        bring("w-1", n, 1).await.unwrap();
    }
    too_large(bring("w-1", 99, 1).await);
    for n in 0..MAX_STATEMENTS_OF_ONE {
        bring("w-2", n, 1).await.unwrap();
    }
    too_large(bring("w-3", 0, 1).await);
    fixture
        .store
        .add_statement(statement(StatementKind::Approval, "alice", "yes", &[id_of("a")]))
        .await
        .unwrap();
}

#[tokio::test]
async fn observers_together_have_a_bound_in_bytes() {
    let fixture = fixture().await;
    fixture.store.create(new("a")).await.unwrap();
    let mut taken = 0;
    let mut refused = None;
    for by in 0..5 {
        let text = format!("{by} {}", "x".repeat(500 * 1024));
        let new = statement(StatementKind::Observation, &format!("w-{by}"), &text, &[id_of("a")]);
        match fixture.store.add_statement(new).await {
            Ok(_) => taken += 1,
            Err(error) => refused = Some(error.tag()),
        }
    }
    assert_eq!((taken, refused), (4, Some(Tag::MessageTooLarge)));
}

#[tokio::test]
async fn an_answer_to_a_statement_is_kept_and_told() {
    let fixture = fixture().await;
    fixture.store.create(new("a")).await.unwrap();
    let seq = fixture
        .store
        .add_statement(statement(StatementKind::Cancel, "p", "stop", &[id_of("a")]))
        .await
        .unwrap();
    assert_eq!(fixture.store.statement(seq).await.unwrap().answer, None);
    let mut news = fixture.store.subscribe();
    let refused = Answer::Refused {
        tag: Tag::StatementUnknownKey,
        message: "who?".to_owned(),
    };
    fixture.store.answer(seq, refused.clone()).await.unwrap();
    assert_eq!(news.recv().await.unwrap(), News::Answered { statement: seq });
    assert_eq!(fixture.store.statement(seq).await.unwrap().answer, Some(refused));
    let acknowledged = Answer::Acknowledged(b"ack".to_vec());
    fixture.store.answer(seq, acknowledged.clone()).await.unwrap();
    let fixture = reopen(fixture).await;
    assert_eq!(fixture.store.statement(seq).await.unwrap().answer, Some(acknowledged));
}

#[tokio::test]
async fn lists_page_newest_first_and_inboxes_oldest_first() {
    let fixture = fixture().await;
    for name in ["a", "b", "c", "d"] {
        fixture.store.create(new(name)).await.unwrap();
    }
    fixture.happen("b", Event::Pending, reasons(Tag::ApprovalMissing)).await;
    let names = |page: &Page| -> Vec<String> {
        page.found
            .iter()
            .map(|found| found.withdrawal.reference.clone())
            .collect()
    };
    let first = fixture.store.list(&every(3, i64::MAX)).await.unwrap();
    assert_eq!(
        (names(&first), first.has_more),
        (vec!["d".into(), "c".into(), "b".into()], true)
    );
    let rest = fixture.store.list(&every(3, first.found[2].seq)).await.unwrap();
    assert_eq!((names(&rest), rest.has_more), (vec!["a".into()], false));
    assert_eq!(
        names(&fixture.store.list_oldest(&every(2, 0)).await.unwrap()),
        ["a", "b"]
    );
    let pending = Filter {
        states: vec![State::PendingApproval],
        ..every(10, 0)
    };
    assert_eq!(names(&fixture.store.list_oldest(&pending).await.unwrap()), ["b"]);
    // Changes: `b` changed last.
    assert_eq!(
        names(&fixture.store.changes(&every(10, 0)).await.unwrap()),
        ["a", "c", "d", "b"]
    );
    assert_eq!(names(&fixture.store.changes(&every(10, 4)).await.unwrap()), ["b"]);
}

#[tokio::test]
async fn a_page_ends_early_rather_than_grow_without_bound() {
    let fixture = fixture().await;
    for n in 0..40 {
        let large = NewWithdrawal {
            unsigned: vec![7; 128 * 1024],
            ..new(&format!("w-{n}"))
        };
        fixture.store.create(large).await.unwrap();
    }
    let page = fixture.store.list(&every(1_000, i64::MAX)).await.unwrap();
    assert!(
        page.has_more && page.found.len() < 40 && page.found.len() > 20,
        "{}",
        page.found.len()
    );
}

/// The writer fails in the middle of a batch: nobody is told that something is durable that is not, and it recovers.
#[tokio::test]
async fn a_failing_database_fails_the_batch_and_then_recovers() {
    let fixture = fixture().await;
    let path = fixture.folder.path().join("orchestrator.db");
    let mut other = SqliteConnection::connect_with(&options(&path)).await.unwrap();
    let run = |sql: &'static str| sqlx::query(sql);
    run("ALTER TABLE attempts RENAME TO hidden")
        .execute(&mut other)
        .await
        .unwrap();
    let error = fixture.store.create(new("a")).await.unwrap_err();
    assert_eq!(error.tag(), Tag::StoreUnavailable);
    run("ALTER TABLE hidden RENAME TO attempts")
        .execute(&mut other)
        .await
        .unwrap();
    assert_eq!(
        fixture.store.find(&id_of("a"), &Scope::All).await.unwrap(),
        None,
        "rolled back whole"
    );
    fixture.store.create(new("a")).await.unwrap();
    assert_eq!(fixture.found("a").await.withdrawal.revision, 1);
}
