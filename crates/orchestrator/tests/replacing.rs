//! Replacements and freezes, from the public API to the calls of the signer.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::arithmetic_side_effects,
    reason = "tests fail by panicking"
)]

mod support;

use std::time::Duration;

use countersign_proto::{
    errors,
    signer::v1::{AuthorizeRequest, authorize_response::Outcome},
    v1::{self, WithdrawalState},
};
use countersign_types::{Tag, Timestamp};
use serde_json::json;
use support::{FakeSigner, World, approval, create_until, created, denied, envelope, pending, signed, wait_for};

fn raise(id: &str) -> v1::Statement {
    let body = json!({"withdrawal": id, "fee_ceiling": {"asset": "a", "amount": "2"}, "reason": ""});
    envelope("replace", "2099-01-01T00:00:00Z", body)
}

fn attempt(id: &str, bytes: &[u8], replace: Option<v1::Statement>) -> v1::AddAttemptRequest {
    v1::AddAttemptRequest {
        withdrawal_id: id.to_owned(),
        unsigned_transaction: bytes.to_vec(),
        replace,
    }
}

/// Signs the first attempt; a replacement needs the raised ceiling and an approval behind it.
fn needs_a_ceiling_and_a_yes(request: &AuthorizeRequest) -> Outcome {
    match (request.unsigned_transaction.as_slice(), request.statements.len()) {
        (b"unsigned 1", _) | (_, 2) => signed(),
        (_, 1) => pending(0),
        (_, _) => denied(Tag::RequestFeeOverCeiling, false),
    }
}

#[tokio::test]
async fn a_raised_replacement_waits_in_the_inbox_and_is_signed() {
    let world = World::new(FakeSigner::new(|request| Ok(needs_a_ceiling_and_a_yes(request)))).await;
    let running = world.start().await;
    let mut pipeline = world.pipeline(running.address).await;
    let id = created(&mut pipeline, "w-1").await.id;
    wait_for(&mut pipeline, &id, WithdrawalState::Signed).await;

    let added = pipeline.add_attempt(attempt(&id, b"bumped", Some(raise(&id)))).await;
    let added = added.unwrap().into_inner().withdrawal.unwrap();
    assert_eq!(added.attempts.len(), 2);
    let mut approvals = world.approvals(running.address, "alice").await;
    let pending = loop {
        let list = v1::ListPendingApprovalsRequest::default();
        let page = approvals.list_pending_approvals(list).await.unwrap().into_inner();
        if !page.pending.is_empty() {
            break page.pending;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(pending[0].withdrawal_id, id);
    let task = v1::GetApprovalTaskRequest {
        withdrawal_id: id.clone(),
    };
    let task = approvals.get_approval_task(task).await.unwrap().into_inner();
    assert_eq!(task.unsigned_transaction, b"bumped");
    assert_eq!(task.statements, [raise(&id)], "approvers see the raised ceiling");
    let still = wait_for(&mut pipeline, &id, WithdrawalState::Replacing).await;
    assert_eq!(still.attempts[0].signed_transaction, b"signed bytes", "nothing unsigns");

    approvals.submit_statement(approval(&[&id])).await.unwrap();
    let done = wait_for(&mut pipeline, &id, WithdrawalState::Signed).await;
    assert_eq!(done.attempts[1].signed_transaction, b"signed bytes");
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_replacement_is_its_tenants_and_its_statement_is_about_it() {
    let world = World::new(FakeSigner::new(|_| Ok(signed()))).await;
    let running = world.start().await;
    let mut pipeline = world.pipeline(running.address).await;
    let id = created(&mut pipeline, "w-1").await.id;
    let other = created(&mut pipeline, "w-2").await.id;
    let tag = |answer: Result<tonic::Response<v1::AddAttemptResponse>, tonic::Status>| {
        errors::tag_of(&answer.unwrap_err()).unwrap()
    };
    let found = pipeline.add_attempt(attempt(&id, b"bumped", Some(raise(&other)))).await;
    assert_eq!(tag(found), Tag::ApprovalOtherWithdrawal);
    let cancel = envelope(
        "cancel",
        "2099-01-01T00:00:00Z",
        json!({"withdrawal": id, "reason": ""}),
    );
    let found = pipeline.add_attempt(attempt(&id, b"bumped", Some(cancel))).await;
    assert_eq!(tag(found), Tag::StatementUnknownKind);
    let mut stranger = world
        .withdrawals(running.address, "countersign://pipeline/treasury/bot")
        .await;
    let found = stranger.add_attempt(attempt(&id, b"bumped", Some(raise(&id)))).await;
    assert_eq!(tag(found), Tag::WithdrawalNotFound);
    let mut person = world.withdrawals(running.address, "countersign://person/alice").await;
    let found = person.add_attempt(attempt(&id, b"bumped", None)).await;
    assert_eq!(
        tag(found),
        Tag::CallerNotAllowed,
        "a person replaces only with a raised ceiling"
    );
    let mut auditor = world.withdrawals(running.address, "countersign://auditor/eve").await;
    let found = auditor.add_attempt(attempt(&id, b"bumped", Some(raise(&id)))).await;
    assert_eq!(tag(found), Tag::CallerNotAllowed);
    let withdrawal = wait_for(&mut pipeline, &id, WithdrawalState::Signed).await;
    assert_eq!(withdrawal.attempts.len(), 1, "nothing was stored");
    running.stop().await.unwrap();
}

/// An officer raises a ceiling for any tenant; whether it was an officer is the signer's to say.
#[tokio::test]
async fn a_person_replaces_with_the_ceiling_that_they_raise() {
    let world = World::new(FakeSigner::new(|request| Ok(needs_a_ceiling_and_a_yes(request)))).await;
    let running = world.start().await;
    let mut pipeline = world.pipeline(running.address).await;
    let id = created(&mut pipeline, "w-1").await.id;
    wait_for(&mut pipeline, &id, WithdrawalState::Signed).await;
    let mut person = world.withdrawals(running.address, "countersign://person/dave").await;
    let added = person.add_attempt(attempt(&id, b"bumped", Some(raise(&id)))).await;
    assert_eq!(added.unwrap().into_inner().withdrawal.unwrap().attempts.len(), 2);
    wait_for(&mut pipeline, &id, WithdrawalState::Replacing).await;
    running.stop().await.unwrap();
}

fn in_millis(millis: i64) -> String {
    let now = countersign_orchestrator::clock::now().unix_millis();
    Timestamp::from_unix_millis(now + millis).to_seconds().to_string()
}

#[tokio::test]
async fn a_freeze_holds_a_withdrawal_until_it_is_thawed() {
    let thawed = countersign_orchestrator::clock::now().unix_millis() + 1_500;
    let script = move |_: &_| {
        let now = countersign_orchestrator::clock::now().unix_millis();
        Ok(if now < thawed {
            denied(Tag::FreezeActive, false)
        } else {
            signed()
        })
    };
    let world = World::new(FakeSigner::new(script)).await;
    let running = world.start().await;
    let mut pipeline = world.pipeline(running.address).await;
    let id = created(&mut pipeline, "w-1").await.id;
    let frozen = wait_for(&mut pipeline, &id, WithdrawalState::Frozen).await;
    assert_eq!(frozen.reasons[0].tag, "freeze/active");
    wait_for(&mut pipeline, &id, WithdrawalState::Signed).await;
    let asked = world.signer.authorizes();
    assert!((2..=5).contains(&asked), "asked {asked} times in 1.5 s");
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_freeze_that_outlasts_the_request_expires_it() {
    let world = World::new(FakeSigner::new(|_| Ok(denied(Tag::FreezeActive, false)))).await;
    let running = world.start().await;
    let mut pipeline = world.pipeline(running.address).await;
    let request = create_until("w-1", &in_millis(3_999));
    let id = pipeline.create_withdrawal(request).await.unwrap().into_inner();
    let id = id.withdrawal.unwrap().id;
    wait_for(&mut pipeline, &id, WithdrawalState::Frozen).await;
    wait_for(&mut pipeline, &id, WithdrawalState::Expired).await;
    running.stop().await.unwrap();
}
