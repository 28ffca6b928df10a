//! Cancel attempts, from the public API to the calls of the signer.

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
    v1::{self, WithdrawalState, withdrawals_client::WithdrawalsClient},
};
use countersign_types::{Tag, Timestamp};
use support::{
    Call, FakeSigner, World, approval, cancel, cancel_with, create_until, created, denied, pending, signed, wait_for,
};
use tonic::transport::Channel;

type Cancelled = Result<tonic::Response<v1::CancelWithdrawalResponse>, tonic::Status>;

fn tag(answer: Cancelled) -> Tag {
    errors::tag_of(&answer.unwrap_err()).unwrap()
}

/// Signs the payment; what it says of the cancel attempt is the test's.
fn after_the_payment(
    mut script: impl FnMut(&AuthorizeRequest) -> Outcome + Send + 'static,
) -> impl FnMut(&AuthorizeRequest) -> Result<Outcome, tonic::Status> + Send + 'static {
    move |request| match request.unsigned_transaction.as_slice() {
        b"unsigned 1" => Ok(signed()),
        _ => Ok(script(request)),
    }
}

async fn a_signed_one(pipeline: &mut WithdrawalsClient<Channel>) -> String {
    let id = created(pipeline, "w-1").await.id;
    wait_for(pipeline, &id, WithdrawalState::Signed).await;
    id
}

/// Whether each attempt is a cancel attempt, and whether it is signed.
fn attempts(withdrawal: &v1::Withdrawal) -> Vec<(bool, bool)> {
    let one = |attempt: &v1::Attempt| (attempt.cancels, !attempt.signed_transaction.is_empty());
    withdrawal.attempts.iter().map(one).collect()
}

#[tokio::test]
async fn the_cancel_is_recorded_before_its_attempt_is_asked_for() {
    let world = World::new(FakeSigner::new(after_the_payment(|_| signed()))).await;
    let running = world.start().await;
    let mut pipeline = world.pipeline(running.address).await;
    let id = a_signed_one(&mut pipeline).await;
    *world.signer.calls.lock().unwrap() = vec![];
    let answer = pipeline.cancel_withdrawal(cancel_with(&id, b"self")).await.unwrap();
    assert_eq!(answer.into_inner().withdrawal.unwrap().attempts.len(), 2);
    let done = wait_for(&mut pipeline, &id, WithdrawalState::Signed).await;
    assert_eq!(attempts(&done), [(false, true), (true, true)]);
    let asked = Call::Authorize {
        unsigned: b"self".to_vec(),
        statements: 1,
    };
    assert_eq!(*world.signer.calls.lock().unwrap(), [Call::Record, asked]);
    // The same call again changes nothing, and asks nobody.
    let again = pipeline.cancel_withdrawal(cancel_with(&id, b"self")).await.unwrap();
    assert_eq!(again.into_inner().withdrawal.unwrap(), done);
    assert_eq!(world.signer.calls.lock().unwrap().len(), 2);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn one_wrong_cancel_attempt_is_refused_and_nothing_is_stored() {
    let world = World::new(FakeSigner::new(after_the_payment(|_| signed()))).await;
    let running = world.start().await;
    let mut pipeline = world.pipeline(running.address).await;
    let id = a_signed_one(&mut pipeline).await;
    let without_ceiling = v1::CancelWithdrawalRequest {
        unsigned_transaction: b"self".to_vec(),
        ..cancel(&id)
    };
    let found = pipeline.cancel_withdrawal(without_ceiling).await;
    let status = found.unwrap_err();
    assert_eq!(errors::tag_of(&status), Some(Tag::MessageInvalid));
    assert!(status.message().contains("fee_ceiling"), "{status}");
    let without_bytes = pipeline.cancel_withdrawal(cancel_with(&id, b"")).await;
    assert_eq!(tag(without_bytes), Tag::WithdrawalWrongState, "it is signed");
    let too_large = vec![0; countersign_proto::limits::MAX_TRANSACTION_BYTES + 1];
    let found = pipeline.cancel_withdrawal(cancel_with(&id, &too_large)).await;
    assert_eq!(tag(found), Tag::MessageTooLarge);
    let without_cancel = v1::CancelWithdrawalRequest {
        cancel: None,
        unsigned_transaction: b"self".to_vec(),
    };
    assert_eq!(
        tag(pipeline.cancel_withdrawal(without_cancel).await),
        Tag::MessageInvalid
    );
    let bot = "countersign://pipeline/treasury/bot";
    let mut stranger = world.withdrawals(running.address, bot).await;
    let found = stranger.cancel_withdrawal(cancel_with(&id, b"self")).await;
    assert_eq!(tag(found), Tag::WithdrawalNotFound);
    let mut auditor = world.withdrawals(running.address, "countersign://auditor/eve").await;
    let found = auditor.cancel_withdrawal(cancel_with(&id, b"self")).await;
    assert_eq!(tag(found), Tag::CallerNotAllowed);
    let withdrawal = wait_for(&mut pipeline, &id, WithdrawalState::Signed).await;
    assert_eq!(attempts(&withdrawal), [(false, true)]);
    assert_eq!(world.signer.authorizes(), 1);
    running.stop().await.unwrap();
}

/// An officer does it for any tenant; whether it was an officer is the signer's to say.
#[tokio::test]
async fn a_person_brings_a_cancel_attempt() {
    let world = World::new(FakeSigner::new(after_the_payment(|_| signed()))).await;
    let running = world.start().await;
    let mut pipeline = world.pipeline(running.address).await;
    let id = a_signed_one(&mut pipeline).await;
    let mut person = world.withdrawals(running.address, "countersign://person/dave").await;
    person.cancel_withdrawal(cancel_with(&id, b"self")).await.unwrap();
    let done = wait_for(&mut pipeline, &id, WithdrawalState::Signed).await;
    assert_eq!(attempts(&done), [(false, true), (true, true)]);
    running.stop().await.unwrap();
}

/// The cancel is in force by then: what has no answer yet is not cancelled by it.
#[tokio::test]
async fn a_cancel_attempt_waits_in_the_inbox_past_the_expiry_of_its_request() {
    let script = after_the_payment(|request| match request.statements.len() {
        1 => pending(0),
        _ => signed(),
    });
    let world = World::new(FakeSigner::new(script)).await;
    let running = world.start().await;
    let mut pipeline = world.pipeline(running.address).await;
    let now = countersign_orchestrator::clock::now().unix_millis();
    let soon = Timestamp::from_unix_millis(now + 2_999).to_seconds().to_string();
    let answer = pipeline.create_withdrawal(create_until("w-1", &soon)).await;
    let id = answer.unwrap().into_inner().withdrawal.unwrap().id;
    wait_for(&mut pipeline, &id, WithdrawalState::Signed).await;
    pipeline.cancel_withdrawal(cancel_with(&id, b"self")).await.unwrap();
    let mut approvals = world.approvals(running.address, "alice").await;
    tokio::time::sleep(Duration::from_millis(4_500)).await;
    let list = v1::ListPendingApprovalsRequest::default();
    let page = approvals.list_pending_approvals(list).await.unwrap().into_inner();
    assert_eq!(page.pending.len(), 1);
    let task = v1::GetApprovalTaskRequest {
        withdrawal_id: id.clone(),
    };
    let task = approvals.get_approval_task(task).await.unwrap().into_inner();
    assert_eq!(task.unsigned_transaction, b"self");
    assert_eq!(
        world.signer.authorizes(),
        2,
        "once each: not at the expiry, and not after it"
    );
    approvals.submit_statement(approval(&[&id])).await.unwrap();
    let done = wait_for(&mut pipeline, &id, WithdrawalState::Signed).await;
    assert_eq!(attempts(&done), [(false, true), (true, true)]);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_freeze_holds_a_cancel_attempt_until_it_is_thawed() {
    let thawed = countersign_orchestrator::clock::now().unix_millis() + 1_500;
    let script = after_the_payment(move |_| {
        let now = countersign_orchestrator::clock::now().unix_millis();
        match now < thawed {
            true => denied(Tag::FreezeActive, false),
            false => signed(),
        }
    });
    let world = World::new(FakeSigner::new(script)).await;
    let running = world.start().await;
    let mut pipeline = world.pipeline(running.address).await;
    let id = a_signed_one(&mut pipeline).await;
    pipeline.cancel_withdrawal(cancel_with(&id, b"self")).await.unwrap();
    let frozen = wait_for(&mut pipeline, &id, WithdrawalState::Replacing).await;
    assert_eq!(attempts(&frozen), [(false, true), (true, false)]);
    let done = wait_for(&mut pipeline, &id, WithdrawalState::Signed).await;
    assert_eq!(attempts(&done), [(false, true), (true, true)]);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_no_to_a_cancel_attempt_is_told() {
    for r#final in [false, true] {
        let script = after_the_payment(move |_| denied(Tag::RequestFeeOverCeiling, r#final));
        let world = World::new(FakeSigner::new(script)).await;
        let running = world.start().await;
        let mut pipeline = world.pipeline(running.address).await;
        let id = a_signed_one(&mut pipeline).await;
        pipeline.cancel_withdrawal(cancel_with(&id, b"self")).await.unwrap();
        let told = wait_for(&mut pipeline, &id, WithdrawalState::Signed).await;
        assert_eq!(attempts(&told), [(false, true), (true, false)]);
        assert_eq!(told.reasons[0].tag, "request/fee-over-ceiling");
        running.stop().await.unwrap();
    }
}

/// Nothing was signed: there is nothing to take the place of, and the cancel alone is what was asked for.
#[tokio::test]
async fn a_cancel_attempt_of_what_is_not_signed_cancels_it() {
    let script = |request: &AuthorizeRequest| {
        Ok(match request.unsigned_transaction.as_slice() {
            b"unsigned 1" => pending(0),
            _ => denied(Tag::WithdrawalCancelled, true),
        })
    };
    let world = World::new(FakeSigner::new(script)).await;
    let running = world.start().await;
    let mut pipeline = world.pipeline(running.address).await;
    let id = created(&mut pipeline, "w-1").await.id;
    wait_for(&mut pipeline, &id, WithdrawalState::PendingApproval).await;
    let answer = pipeline.cancel_withdrawal(cancel_with(&id, b"self")).await.unwrap();
    let withdrawal = answer.into_inner().withdrawal.unwrap();
    assert_eq!(withdrawal.state(), WithdrawalState::Cancelled);
    // The signer may have kept in what is not known here, so others may be asked for; it says that there is nothing.
    let answer = pipeline.cancel_withdrawal(cancel_with(&id, b"other")).await.unwrap();
    let withdrawal = answer.into_inner().withdrawal.unwrap();
    assert_eq!(withdrawal.state(), WithdrawalState::Cancelled);
    assert_eq!(attempts(&withdrawal), [(false, false), (true, false), (true, false)]);
    running.stop().await.unwrap();
}

/// The signer does not know the key that signed the cancel, say: the caller is told, and the payment stays as it was.
#[tokio::test]
async fn a_cancel_that_the_signer_does_not_take_carries_no_attempt() {
    let script = after_the_payment(|_| denied(Tag::RequestPaymentsMismatch, false));
    let world = World::new(FakeSigner::new(script)).await;
    let running = world.start().await;
    let mut pipeline = world.pipeline(running.address).await;
    let id = a_signed_one(&mut pipeline).await;
    let refusal = errors::status(Tag::StatementBadSignature, "no");
    world.signer.refuse_statements(refusal);
    let found = pipeline.cancel_withdrawal(cancel_with(&id, b"self")).await;
    assert_eq!(tag(found), Tag::StatementBadSignature);
    let told = wait_for(&mut pipeline, &id, WithdrawalState::Signed).await;
    assert_eq!(attempts(&told), [(false, true), (true, false)]);
    assert_eq!(told.reasons[0].tag, "request/payments-mismatch");
    running.stop().await.unwrap();
}
