//! What real parts cannot show on demand: a signer that is away, slow or gone between two steps, and kill -9.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests fail by panicking"
)]

mod support;

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::Duration,
};

use countersign_proto::{
    errors,
    signer::v1::AuthorizeRequest,
    v1::{self, WithdrawalState, withdrawals_client::WithdrawalsClient},
};
use countersign_types::{Tag, Timestamp};
use support::{Call, FakeSigner, World, approval, cancel, cancel_with, created, denied, pending, signed, wait_for};
use tonic::{Status, transport::Channel};

async fn get(pipeline: &mut WithdrawalsClient<Channel>, id: &str) -> v1::Withdrawal {
    let message = v1::GetWithdrawalRequest {
        withdrawal_id: id.to_owned(),
        reference: String::new(),
    };
    let answer = pipeline.get_withdrawal(message).await.unwrap().into_inner();
    answer.withdrawal.unwrap()
}

#[tokio::test]
async fn a_signer_that_fails_is_asked_again_until_it_answers() {
    let mut failures = vec![
        Status::unavailable("starting"),
        errors::status(Tag::JournalInDoubt, "ask again"),
        errors::status(Tag::CallerNotAllowed, "certificate not yet known"),
        Status::internal("a bug"),
    ];
    let script = move |_: &_| failures.pop().map_or_else(|| Ok(signed()), Err);
    let world = World::new(FakeSigner::new(script)).await;
    let running = world.start().await;
    let mut pipeline = world.pipeline(running.address).await;
    let id = created(&mut pipeline, "w-1").await.id;
    wait_for(&mut pipeline, &id, WithdrawalState::Signed).await;
    assert_eq!(world.signer.authorizes(), 5);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_signer_that_refuses_by_status_is_not_asked_for_ever() {
    let world = World::new(FakeSigner::new(|_| {
        Err(errors::status(Tag::StatementBadSignature, "no"))
    }))
    .await;
    let running = world.start().await;
    let mut pipeline = world.pipeline(running.address).await;
    let id = created(&mut pipeline, "w-1").await.id;
    let refused = wait_for(&mut pipeline, &id, WithdrawalState::Refused).await;
    assert_eq!(refused.reasons[0].tag, "statement/bad-signature");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(world.signer.authorizes(), 1);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_signer_that_hangs_costs_a_timeout_not_the_withdrawal() {
    let world = World::new(FakeSigner::new(|_| Ok(signed()))).await;
    world.signer.delay(Duration::from_secs(60));
    let running = world.start().await;
    let mut pipeline = world.pipeline(running.address).await;
    let id = created(&mut pipeline, "w-1").await.id;
    tokio::time::sleep(Duration::from_millis(500)).await;
    world.signer.delay(Duration::ZERO);
    wait_for(&mut pipeline, &id, WithdrawalState::Signed).await;
    assert_eq!(world.signer.authorizes(), 2, "once in vain, once answered");
    running.stop().await.unwrap();
}

/// The token is out, and the signer says so to every call: so does whoever is asked what the withdrawal waits for.
#[tokio::test]
async fn what_keeps_the_signer_from_answering_is_told() {
    let out = || Err(errors::status(Tag::BackendUnavailable, "CKR_DEVICE_ERROR"));
    let world = World::new(FakeSigner::new(move |_| out())).await;
    let running = world.start().await;
    let mut pipeline = world.pipeline(running.address).await;
    let created = created(&mut pipeline, "w-1").await;
    while world.signer.authorizes() < 4 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let told = |withdrawal: &v1::Withdrawal| {
        let tags = withdrawal.reasons.iter().map(|reason| reason.tag.clone());
        (withdrawal.state(), tags.collect::<Vec<_>>())
    };
    let waiting = get(&mut pipeline, &created.id).await;
    let failing = (WithdrawalState::Received, vec!["backend/unavailable".to_owned()]);
    assert_eq!(told(&waiting), failing);
    assert!(
        !waiting.reasons[0].message.contains("CKR"),
        "what the token said is for logs"
    );
    assert_eq!(
        waiting.revision,
        created.revision + 1,
        "said once, however often it was asked"
    );
    // It waits for people next, and the token fails again when they have spoken: nobody is missing any more.
    world.signer.rescript(|_| Ok(pending(0)));
    let asked = wait_for(&mut pipeline, &created.id, WithdrawalState::PendingApproval).await;
    assert!(!asked.missing.is_empty() && asked.reasons.iter().all(|reason| reason.tag != "backend/unavailable"));
    world.signer.rescript(move |_| out());
    let calls = world.signer.authorizes();
    let mut approvals = world.approvals(running.address, "alice").await;
    approvals.submit_statement(approval(&[&created.id])).await.unwrap();
    while world.signer.authorizes() < calls + 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let failing = get(&mut pipeline, &created.id).await;
    let expected = (WithdrawalState::PendingApproval, vec!["backend/unavailable".to_owned()]);
    assert_eq!((told(&failing), failing.missing.len()), (expected, 0));
    world.signer.rescript(|_| Ok(signed()));
    let signed = wait_for(&mut pipeline, &created.id, WithdrawalState::Signed).await;
    assert_eq!(signed.reasons, []);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn an_unreachable_signer_is_found_when_it_comes_back() {
    let world = World::new(FakeSigner::new(|_| Ok(signed()))).await;
    world.signer_task.abort();
    while std::net::TcpStream::connect(world.signer_address).is_ok() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let running = world.start().await;
    let mut pipeline = world.pipeline(running.address).await;
    let id = created(&mut pipeline, "w-1").await.id;
    let status = pipeline
        .get_receipt(v1::GetReceiptRequest {
            withdrawal_id: id.clone(),
        })
        .await
        .unwrap_err();
    assert_eq!(errors::tag_of(&status), Some(Tag::SignerUnavailable));
    let waiting = loop {
        let waiting = get(&mut pipeline, &id).await;
        if !waiting.reasons.is_empty() {
            break waiting;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(waiting.reasons[0].tag, "signer/unavailable");
    world.signer.serve(&world.ca, world.signer_address).await;
    wait_for(&mut pipeline, &id, WithdrawalState::Signed).await;
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_time_lock_is_tried_again_when_it_has_run_out() {
    let unlocked = countersign_orchestrator::clock::now().unix_millis() + 1_500;
    let script = move |_: &_| {
        let now = countersign_orchestrator::clock::now().unix_millis();
        Ok(if now < unlocked { pending(unlocked) } else { signed() })
    };
    let world = World::new(FakeSigner::new(script)).await;
    let running = world.start().await;
    let mut pipeline = world.pipeline(running.address).await;
    let id = created(&mut pipeline, "w-1").await.id;
    let locked = wait_for(&mut pipeline, &id, WithdrawalState::PendingApproval).await;
    assert_eq!(locked.not_before_ms, unlocked);
    wait_for(&mut pipeline, &id, WithdrawalState::Signed).await;
    assert_eq!(world.signer.authorizes(), 2, "not polled meanwhile");
    running.stop().await.unwrap();
}

fn in_three_seconds() -> String {
    let now = countersign_orchestrator::clock::now().unix_millis();
    Timestamp::from_unix_millis(now + 3_999).to_seconds().to_string()
}

#[tokio::test]
async fn a_request_that_expires_is_asked_about_once_more() {
    let world = World::new(FakeSigner::new(|_| Ok(pending(0)))).await;
    let running = world.start().await;
    let mut pipeline = world.pipeline(running.address).await;
    let create = support::create_until("w-1", &in_three_seconds());
    let id = pipeline
        .create_withdrawal(create)
        .await
        .unwrap()
        .into_inner()
        .withdrawal
        .unwrap()
        .id;
    wait_for(&mut pipeline, &id, WithdrawalState::PendingApproval).await;
    wait_for(&mut pipeline, &id, WithdrawalState::Expired).await;
    assert_eq!(world.signer.authorizes(), 2);
    running.stop().await.unwrap();
}

/// The signer signed, but its answer was lost, and then the request expired: the signature is still found.
#[tokio::test]
async fn expiry_does_not_hide_a_signature_whose_answer_was_lost() {
    let mut calls = 0;
    let script = move |_: &_| {
        calls += 1;
        if calls == 1 { Ok(pending(0)) } else { Ok(signed()) }
    };
    let world = World::new(FakeSigner::new(script)).await;
    let running = world.start().await;
    let mut pipeline = world.pipeline(running.address).await;
    let create = support::create_until("w-1", &in_three_seconds());
    let id = pipeline
        .create_withdrawal(create)
        .await
        .unwrap()
        .into_inner()
        .withdrawal
        .unwrap()
        .id;
    wait_for(&mut pipeline, &id, WithdrawalState::Signed).await;
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_cancel_that_finds_the_signer_away_is_passed_on_later() {
    let world = World::with_limits(FakeSigner::new(|_| Ok(pending(0))), "call_timeout = \"2s\"\n").await;
    let running = world.start().await;
    let mut pipeline = world.pipeline(running.address).await;
    let id = created(&mut pipeline, "w-1").await.id;
    wait_for(&mut pipeline, &id, WithdrawalState::PendingApproval).await;
    world.signer.refuse_statements(Status::unavailable("away"));
    let status = pipeline.cancel_withdrawal(cancel(&id)).await.unwrap_err();
    assert_eq!(errors::tag_of(&status), Some(Tag::SignerUnavailable));
    world.signer.rescript(|_| Ok(denied(Tag::WithdrawalCancelled, true)));
    *world.signer.calls.lock().unwrap() = vec![];
    world.signer.accept_statements();
    wait_for(&mut pipeline, &id, WithdrawalState::Cancelled).await;
    running.stop().await.unwrap();
}

/// Cancelled before the signer ever saw it: there is nothing to record it for, and the first decision hears it.
#[tokio::test]
async fn a_cancel_before_the_first_decision_is_heard_with_it() {
    let away = |_: &AuthorizeRequest| Err(Status::unavailable("away"));
    let world = World::with_limits(FakeSigner::new(away), "call_timeout = \"2s\"\n").await;
    let running = world.start().await;
    let mut pipeline = world.pipeline(running.address).await;
    let id = created(&mut pipeline, "w-1").await.id;
    let unknown = errors::status(Tag::WithdrawalNotFound, "not seen");
    world.signer.refuse_statements(unknown);
    let cancelling = pipeline.cancel_withdrawal(cancel(&id)).await;
    assert_eq!(errors::tag_of(&cancelling.unwrap_err()), Some(Tag::SignerUnavailable));
    world.signer.rescript(|request| match request.statements.len() {
        0 => Ok(signed()),
        _ => Ok(denied(Tag::WithdrawalCancelled, true)),
    });
    wait_for(&mut pipeline, &id, WithdrawalState::Cancelled).await;
    let again = pipeline.cancel_withdrawal(cancel(&id)).await.unwrap().into_inner();
    assert_eq!(again.withdrawal.unwrap().state(), WithdrawalState::Cancelled);
    running.stop().await.unwrap();
}

/// The cancel came too late: the signer had signed, whatever was believed here.
#[tokio::test]
async fn a_signature_wins_over_a_cancel() {
    let world = World::new(FakeSigner::new(|request| match request.statements.len() {
        0 => Ok(pending(0)),
        _ => Ok(signed()),
    }))
    .await;
    let running = world.start().await;
    let mut pipeline = world.pipeline(running.address).await;
    let id = created(&mut pipeline, "w-1").await.id;
    wait_for(&mut pipeline, &id, WithdrawalState::PendingApproval).await;
    let withdrawal = pipeline
        .cancel_withdrawal(cancel(&id))
        .await
        .unwrap()
        .into_inner()
        .withdrawal
        .unwrap();
    assert_eq!(withdrawal.state(), WithdrawalState::Signed);
    running.stop().await.unwrap();
}

/// The process under test; killed, not asked, when dropped.
struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    fn start(world: &World) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_countersign-orchestrator"))
            .args(["serve", "--config"])
            .arg(&world.config)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let ready: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(ready["event"], "ready");
        let address = ready["listen"].as_str().unwrap().parse().unwrap();
        Self { child, address }
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([name, &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(status.success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_acknowledged_is_lost_on_kill_9() {
    let world = World::new(FakeSigner::new(|_| Err(Status::unavailable("down")))).await;
    let process = Process::start(&world);
    let mut acknowledged = vec![];
    let mut tasks = vec![];
    for n in 0..100 {
        let mut pipeline = world.pipeline(process.address).await;
        tasks.push(tokio::spawn(async move {
            let response = pipeline.create_withdrawal(support::create(&format!("w-{n}"))).await;
            response
                .ok()
                .map(|response| response.into_inner().withdrawal.unwrap().id)
        }));
        if n == 70 {
            process.signal("-KILL");
            break;
        }
    }
    for task in tasks {
        acknowledged.extend(task.await.unwrap());
    }
    assert!(acknowledged.len() > 10, "{}", acknowledged.len());
    drop(process);

    world.signer.rescript(|_| Ok(signed()));
    let process = Process::start(&world);
    let mut pipeline = world.pipeline(process.address).await;
    for id in &acknowledged {
        wait_for(&mut pipeline, id, WithdrawalState::Signed).await;
    }
}

/// Killed while the signer works: the answer is lost, the next start asks again and finds it.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_asking_and_storing_repeats_the_question() {
    let world = World::new(FakeSigner::new(|_| Ok(signed()))).await;
    world.signer.delay(Duration::from_secs(1));
    let process = Process::start(&world);
    let id = created(&mut world.pipeline(process.address).await, "w-1").await.id;
    while world.signer.authorizes() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(process);
    world.signer.delay(Duration::ZERO);
    let process = Process::start(&world);
    let mut pipeline = world.pipeline(process.address).await;
    wait_for(&mut pipeline, &id, WithdrawalState::Signed).await;
    assert_eq!(world.signer.authorizes(), 2);
}

/// Killed between the acknowledgement of a cancel and the decision after it: the cancel is recorded once, then decided.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_after_a_cancel_was_journaled_still_cancels() {
    let world = World::new(FakeSigner::new(|_| Ok(pending(0)))).await;
    let process = Process::start(&world);
    let mut pipeline = world.pipeline(process.address).await;
    let id = created(&mut pipeline, "w-1").await.id;
    wait_for(&mut pipeline, &id, WithdrawalState::PendingApproval).await;
    world
        .signer
        .rescript(|_| Err(Status::unavailable("gone after the acknowledgement")));
    let asked = world.signer.authorizes();
    let cancelling = tokio::spawn({
        let (mut pipeline, id) = (pipeline.clone(), id.clone());
        async move { pipeline.cancel_withdrawal(cancel(&id)).await }
    });
    while world.signer.authorizes() == asked {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(process);
    drop(cancelling.await);
    world.signer.rescript(|_| Ok(denied(Tag::WithdrawalCancelled, true)));
    let process = Process::start(&world);
    let mut pipeline = world.pipeline(process.address).await;
    wait_for(&mut pipeline, &id, WithdrawalState::Cancelled).await;
    let calls = world.signer.calls.lock().unwrap();
    assert_eq!(calls.iter().filter(|call| **call == Call::Record).count(), 1);
}

/// Killed at each step of a cancel attempt: before the cancel is journaled, and between its acknowledgement and the decision. The cancel is
/// acknowledged once, and the next start has the attempt signed without being asked again.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_the_steps_of_a_cancel_attempt_repeats_a_step() {
    let away = || Status::unavailable("away");
    for is_journaled in [false, true] {
        let script = move |request: &AuthorizeRequest| match request.unsigned_transaction.as_slice() {
            b"unsigned 1" => Ok(signed()),
            _ => Err(away()),
        };
        let world = World::new(FakeSigner::new(script)).await;
        let process = Process::start(&world);
        let mut pipeline = world.pipeline(process.address).await;
        let id = created(&mut pipeline, "w-1").await.id;
        wait_for(&mut pipeline, &id, WithdrawalState::Signed).await;
        if !is_journaled {
            world.signer.refuse_statements(away());
        }
        let asked = world.signer.authorizes();
        let cancelling = tokio::spawn({
            let (mut pipeline, id) = (pipeline.clone(), id.clone());
            async move { pipeline.cancel_withdrawal(cancel_with(&id, b"self")).await }
        });
        let records = || {
            let calls = world.signer.calls.lock().unwrap();
            calls.iter().filter(|call| **call == Call::Record).count()
        };
        while records() == 0 || (is_journaled && world.signer.authorizes() == asked) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        drop(process);
        drop(cancelling.await);
        let before = records();
        world.signer.accept_statements();
        world
            .signer
            .rescript(|request| match request.unsigned_transaction.as_slice() {
                b"unsigned 1" => Ok(pending(0)),
                _ => Ok(signed()),
            });
        let process = Process::start(&world);
        let mut pipeline = world.pipeline(process.address).await;
        let done = wait_for(&mut pipeline, &id, WithdrawalState::Signed).await;
        let cancelled = &done.attempts[1];
        assert!(cancelled.cancels && !cancelled.signed_transaction.is_empty());
        let expected = if is_journaled { 0 } else { 1 };
        assert_eq!(records() - before, expected, "{is_journaled}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_the_process_in_order() {
    let world = World::new(FakeSigner::new(|_| Ok(signed()))).await;
    let mut process = Process::start(&world);
    let mut pipeline = world.pipeline(process.address).await;
    let id = created(&mut pipeline, "w-1").await.id;
    wait_for(&mut pipeline, &id, WithdrawalState::Signed).await;
    process.signal("-TERM");
    let status = tokio::task::spawn_blocking(move || process.child.wait().unwrap())
        .await
        .unwrap();
    assert!(status.success(), "{status}");
}

#[test]
fn a_bad_configuration_is_said_and_nothing_starts() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("orchestrator.toml");
    std::fs::write(&config, "listen = \"127.0.0.1:0\"\nlissten = 1\n").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_countersign-orchestrator"))
        .args(["serve", "--config"])
        .arg(&config)
        .output()
        .unwrap();
    assert!(!output.status.success() && output.stdout.is_empty());
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("lissten") && message.contains("line 2"), "{message}");
}
