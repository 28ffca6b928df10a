//! Observations over real mTLS: who may bring them, and what a withdrawal that waits for them does.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests fail by panicking"
)]

mod support;

use std::time::Duration;

use countersign_proto::{
    errors, fields,
    v1::{self, WithdrawalState},
};
use countersign_types::Tag;
use support::{Call, FakeSigner, World, approval, created, observation, signed, unattested, wait_for};
use tonic::Status;

fn tag<T: std::fmt::Debug>(result: Result<T, Status>) -> Tag {
    let status = result.unwrap_err();
    errors::tag_of(&status).unwrap_or_else(|| panic!("no tag: {status:?}"))
}

/// Signs when two observations are there.
fn two_observers() -> FakeSigner {
    FakeSigner::new(|request| match request.statements.len() {
        0 | 1 => Ok(unattested()),
        _ => Ok(signed()),
    })
}

#[tokio::test]
async fn one_observer_is_not_enough_and_the_second_brings_the_signature() {
    let world = World::new(two_observers()).await;
    let running = world.start().await;
    let mut pipeline = world.pipeline(running.address).await;
    let id = created(&mut pipeline, "w-1").await.id;
    let waiting = wait_for(&mut pipeline, &id, WithdrawalState::PendingApproval).await;
    assert_eq!(fields::tag_of_reason(&waiting.reasons[0]), Some(Tag::FactsUnattested));
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(world.signer.authorizes(), 1, "waiting is no polling");

    let mut first = world
        .approvals_as(running.address, "countersign://observer/watch-1")
        .await;
    for _ in 0..2 {
        let answer = first
            .submit_observation(observation(&id, 1))
            .await
            .unwrap()
            .into_inner();
        assert!(answer.statement_digest.starts_with("sha256:"), "{answer:?}");
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let still = wait_for(&mut pipeline, &id, WithdrawalState::PendingApproval).await;
    assert_eq!(still.attempts[0].signed_transaction, b"");

    let mut second = world
        .approvals_as(running.address, "countersign://observer/watch-2")
        .await;
    second.submit_observation(observation(&id, 2)).await.unwrap();
    wait_for(&mut pipeline, &id, WithdrawalState::Signed).await;
    let calls = world.signer.calls.lock().unwrap().clone();
    assert!(
        !calls.contains(&Call::Record),
        "observations go with the decision, not by themselves"
    );
    let asked: Vec<usize> = calls
        .iter()
        .filter_map(|call| match call {
            Call::Authorize { statements, .. } => Some(*statements),
            Call::Record | Call::Receipt(_) => None,
        })
        .collect();
    assert_eq!(asked, [0, 1, 2], "asked once an arrival, and never for a repetition");
    running.stop().await.unwrap();
}

#[tokio::test]
async fn what_was_brought_outlives_a_restart() {
    let world = World::new(two_observers()).await;
    let running = world.start().await;
    let id = created(&mut world.pipeline(running.address).await, "w-1").await.id;
    let mut first = world
        .approvals_as(running.address, "countersign://observer/watch-1")
        .await;
    first.submit_observation(observation(&id, 1)).await.unwrap();
    running.stop().await.unwrap();
    let running = world.start().await;
    let mut second = world
        .approvals_as(running.address, "countersign://observer/watch-2")
        .await;
    second.submit_observation(observation(&id, 2)).await.unwrap();
    let mut pipeline = world.pipeline(running.address).await;
    wait_for(&mut pipeline, &id, WithdrawalState::Signed).await;
    // An approver is shown what was observed: it decodes the bytes with it.
    let task = v1::GetApprovalTaskRequest { withdrawal_id: id };
    let mut alice = world.approvals(running.address, "alice").await;
    let task = alice.get_approval_task(task).await.unwrap().into_inner();
    assert_eq!(task.statements.len(), 2);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn observers_bring_observations_and_nothing_else() {
    let world = World::new(two_observers()).await;
    let running = world.start().await;
    let id = created(&mut world.pipeline(running.address).await, "w-1").await.id;
    for uri in [
        "countersign://person/alice",
        "countersign://pipeline/exchange/hot",
        "countersign://auditor/export",
        "countersign://orchestrator/main",
    ] {
        let mut other = world.approvals_as(running.address, uri).await;
        let refused = other.submit_observation(observation(&id, 1)).await;
        assert_eq!(tag(refused), Tag::CallerNotAllowed, "{uri}");
    }
    let observer = "countersign://observer/watch-1";
    let mut watch = world.approvals_as(running.address, observer).await;
    assert_eq!(
        tag(watch.submit_statement(approval(&[&id])).await),
        Tag::CallerNotAllowed
    );
    let task = v1::GetApprovalTaskRequest {
        withdrawal_id: id.clone(),
    };
    assert_eq!(tag(watch.get_approval_task(task).await), Tag::CallerNotAllowed);
    let mut withdrawals = world.withdrawals(running.address, observer).await;
    assert_eq!(
        tag(withdrawals.create_withdrawal(support::create("w-2")).await),
        Tag::CallerNotAllowed
    );
    assert_eq!(
        tag(withdrawals.cancel_withdrawal(support::cancel(&id)).await),
        Tag::CallerNotAllowed
    );
    // It reads what is to be observed.
    let get = v1::GetWithdrawalRequest {
        withdrawal_id: id.clone(),
        reference: String::new(),
    };
    withdrawals.get_withdrawal(get).await.unwrap();
    running.stop().await.unwrap();
}

#[tokio::test]
async fn one_mutation_is_refused_with_its_tag() {
    let world = World::new(two_observers()).await;
    let running = world.start().await;
    let id = created(&mut world.pipeline(running.address).await, "w-1").await.id;
    let mut watch = world
        .approvals_as(running.address, "countersign://observer/watch-1")
        .await;
    let good = || observation(&id, 1);
    let with = |statement| v1::SubmitObservationRequest { statement, ..good() };
    let unknown = format!("wd_{}", "a".repeat(52));
    let for_id = |withdrawal_id: &str| v1::SubmitObservationRequest {
        withdrawal_id: withdrawal_id.to_owned(),
        ..good()
    };
    let cases = [
        (with(None), Tag::MessageInvalid),
        (with(approval(&[&id]).statement), Tag::StatementUnknownKind),
        (
            with(Some(support::envelope(
                "observation",
                support::FAR,
                serde_json::json!({}),
            ))),
            Tag::StatementMalformed,
        ),
        (for_id("w-1"), Tag::MessageInvalid),
        (for_id(&unknown), Tag::WithdrawalNotFound),
    ];
    for (request, expected) in cases {
        let shown = format!("{request:?}");
        assert_eq!(tag(watch.submit_observation(request).await), expected, "{shown}");
    }
    watch.submit_observation(good()).await.unwrap();
    running.stop().await.unwrap();
}

/// The same for attestations: attesters bring them, and nobody else, and nothing else.
#[tokio::test]
async fn attesters_bring_attestations_and_nothing_else() {
    let world = World::new(two_observers()).await;
    let running = world.start().await;
    let mut pipeline = world.pipeline(running.address).await;
    let id = created(&mut pipeline, "w-1").await.id;
    let statement = |kind: &str, n: u64| {
        let body = serde_json::json!({ "sequence": n });
        Some(support::envelope(kind, support::FAR, body))
    };
    let bring = |kind: &str, n: u64| v1::SubmitAttestationRequest {
        withdrawal_id: id.clone(),
        statement: statement(kind, n),
    };
    for uri in [
        "countersign://person/alice",
        "countersign://pipeline/exchange/hot",
        "countersign://observer/watch-1",
        "countersign://orchestrator/main",
    ] {
        let mut other = world.approvals_as(running.address, uri).await;
        let refused = other.submit_attestation(bring("price", 1)).await;
        assert_eq!(tag(refused), Tag::CallerNotAllowed, "{uri}");
    }
    let mut desk = world.approvals_as(running.address, "countersign://attester/desk").await;
    assert_eq!(
        tag(desk.submit_observation(observation(&id, 1)).await),
        Tag::CallerNotAllowed
    );
    assert_eq!(
        tag(desk.submit_statement(approval(&[&id])).await),
        Tag::CallerNotAllowed
    );
    assert_eq!(
        tag(desk.submit_attestation(bring("observation", 1)).await),
        Tag::StatementUnknownKind
    );
    desk.submit_attestation(bring("screening", 1)).await.unwrap();
    desk.submit_attestation(bring("screening", 1)).await.unwrap();
    desk.submit_attestation(bring("address-book", 2)).await.unwrap();
    wait_for(&mut pipeline, &id, WithdrawalState::Signed).await;
    running.stop().await.unwrap();
}
