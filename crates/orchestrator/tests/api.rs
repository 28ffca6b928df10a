//! The public API over real mTLS: who may call, what is refused with which tag, what comes back.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests fail by panicking"
)]

mod support;

use countersign_proto::{
    errors,
    limits::{MAX_REQUEST_BYTES, MAX_TRANSACTION_BYTES},
    tls::Pem,
    v1::{self, WithdrawalState, approvals_client::ApprovalsClient, withdrawals_client::WithdrawalsClient},
};
use countersign_types::Tag;
use support::{FakeSigner, World, approval, cancel, create, created, denied, malformed, pending, signed, wait_for};
use tonic::{
    Status,
    transport::{Certificate, ClientTlsConfig, Endpoint},
};

fn tag<T: std::fmt::Debug>(result: Result<T, Status>) -> Tag {
    let status = result.unwrap_err();
    errors::tag_of(&status).unwrap_or_else(|| panic!("no tag: {status:?}"))
}

fn get(id: &str) -> v1::GetWithdrawalRequest {
    v1::GetWithdrawalRequest {
        withdrawal_id: id.to_owned(),
        reference: String::new(),
    }
}

#[tokio::test]
async fn a_withdrawal_is_created_signed_and_read_back() {
    let world = World::new(FakeSigner::new(|_| Ok(signed()))).await;
    let running = world.start().await;
    let mut pipeline = world.pipeline(running.address).await;
    let withdrawal = created(&mut pipeline, "w-1").await;
    assert!(withdrawal.id.starts_with("wd_") && withdrawal.created_at_ms > 0);
    let done = wait_for(&mut pipeline, &withdrawal.id, WithdrawalState::Signed).await;
    assert_eq!(done.attempts[0].signed_transaction, b"signed bytes");
    assert_eq!(done.attempts[0].txid, "0xabc");

    let again = created(&mut pipeline, "w-1").await;
    assert_eq!(again, done, "the same content is the same withdrawal");
    let by_reference = v1::GetWithdrawalRequest {
        withdrawal_id: String::new(),
        reference: "w-1".to_owned(),
    };
    let found = pipeline
        .get_withdrawal(by_reference)
        .await
        .unwrap()
        .into_inner()
        .withdrawal
        .unwrap();
    assert_eq!(found, done);
    let receipt = v1::GetReceiptRequest {
        withdrawal_id: done.id.clone(),
    };
    let fetched = pipeline.get_receipt(receipt.clone()).await.unwrap();
    assert_eq!(fetched.into_inner().receipt, b"{}");
    // With the lists of many bundles it is long.
    *world.signer.receipt.lock().unwrap() = vec![b' '; 48 << 20];
    let fetched = pipeline.get_receipt(receipt).await.unwrap();
    assert_eq!(fetched.into_inner().receipt.len(), 48 << 20);
    assert_eq!(world.signer.authorizes(), 1);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn certificates_decide_who_may_call_what() {
    let world = World::new(FakeSigner::new(|_| Ok(pending(0)))).await;
    let running = world.start().await;
    let address = running.address;
    let mut pipeline = world.pipeline(address).await;
    let id = created(&mut pipeline, "w-1").await.id;

    // A certificate of another CA: nothing of ours answers.
    let foreign = support::Ca::new().issue(&["countersign://pipeline/exchange/hot"]);
    let foreign = Pem {
        ca: world.ca.issue(&[]).ca,
        ..foreign
    };
    if let Ok(channel) = world.channel(address, &foreign).await {
        let status = WithdrawalsClient::new(channel)
            .get_withdrawal(get(&id))
            .await
            .unwrap_err();
        assert_eq!(errors::tag_of(&status), None, "{status:?}");
    }
    // No certificate.
    let anonymous = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(&foreign.ca))
        .domain_name("localhost");
    let endpoint = Endpoint::from_shared(format!("https://{address}"))
        .unwrap()
        .tls_config(anonymous)
        .unwrap();
    if let Ok(channel) = endpoint.connect().await {
        let status = WithdrawalsClient::new(channel)
            .get_withdrawal(get(&id))
            .await
            .unwrap_err();
        assert_eq!(errors::tag_of(&status), None, "{status:?}");
    }

    // Our CA, but not exactly one identity.
    let (hot, other) = (
        "countersign://pipeline/exchange/hot",
        "countersign://pipeline/treasury/bot",
    );
    for uris in [
        &[][..],
        &[hot, other],
        &[hot, "https://example.com/"],
        &["spiffe://x/y"],
        &["countersign://admin/x"],
    ] {
        let channel = world.channel(address, &world.ca.issue(uris)).await.unwrap();
        let mut client = WithdrawalsClient::new(channel);
        assert_eq!(
            tag(client.get_withdrawal(get(&id)).await),
            Tag::CallerUnauthenticated,
            "{uris:?}"
        );
    }

    // Another tenant's pipeline.
    let mut treasury = world.withdrawals(address, other).await;
    assert_eq!(
        tag(treasury.create_withdrawal(create("w-2")).await),
        Tag::CallerNotAllowed
    );
    assert_eq!(tag(treasury.get_withdrawal(get(&id)).await), Tag::WithdrawalNotFound);
    assert_eq!(
        tag(treasury.cancel_withdrawal(cancel(&id)).await),
        Tag::WithdrawalNotFound
    );
    let watch = v1::WatchWithdrawalsRequest {
        withdrawal_id: id.clone(),
        after_revision: 0,
    };
    assert_eq!(tag(treasury.watch_withdrawals(watch).await), Tag::WithdrawalNotFound);

    // Roles.
    for (uri, may_read) in [
        ("countersign://person/alice", true),
        ("countersign://auditor/export", true),
        ("countersign://orchestrator/main", false),
    ] {
        let mut client = world.withdrawals(address, uri).await;
        assert_eq!(
            tag(client.create_withdrawal(create("w-3")).await),
            Tag::CallerNotAllowed,
            "{uri}"
        );
        let read = client.get_withdrawal(get(&id)).await;
        if may_read {
            read.unwrap();
        } else {
            assert_eq!(tag(read), Tag::CallerNotAllowed, "{uri}");
        }
    }
    let channel = world.channel(address, &world.ca.issue(&[hot])).await.unwrap();
    let mut approvals = ApprovalsClient::new(channel);
    assert_eq!(
        tag(approvals.submit_statement(approval(&[&id])).await),
        Tag::CallerNotAllowed
    );
    running.stop().await.unwrap();
}

#[tokio::test]
async fn one_mutation_is_refused_with_its_tag() {
    let world = World::new(FakeSigner::new(|_| Ok(pending(0)))).await;
    let running = world.start().await;
    let mut pipeline = world.pipeline(running.address).await;
    created(&mut pipeline, "w-1").await;
    let cases = [
        (
            v1::CreateWithdrawalRequest {
                request: None,
                ..create("w-2")
            },
            Tag::MessageInvalid,
        ),
        (
            v1::CreateWithdrawalRequest {
                unsigned_transaction: vec![],
                ..create("w-2")
            },
            Tag::MessageInvalid,
        ),
        (
            v1::CreateWithdrawalRequest {
                unsigned_transaction: vec![0; MAX_TRANSACTION_BYTES + 1],
                ..create("w-2")
            },
            Tag::MessageTooLarge,
        ),
        (
            v1::CreateWithdrawalRequest {
                unsigned_transaction: vec![0; MAX_REQUEST_BYTES],
                ..create("w-2")
            },
            Tag::MessageTooLarge,
        ),
        (
            v1::CreateWithdrawalRequest {
                request: cancel("wd_x").cancel,
                ..create("w-2")
            },
            Tag::StatementUnknownKind,
        ),
        (
            v1::CreateWithdrawalRequest {
                request: Some(v1::Statement {
                    envelope: b"{}".to_vec(),
                }),
                ..create("w-2")
            },
            Tag::StatementMalformed,
        ),
        (
            v1::CreateWithdrawalRequest {
                request: support::create_until("w-1", "2095-01-01T00:00:00Z").request,
                ..create("w-1")
            },
            Tag::ReferenceConflict,
        ),
        (
            v1::CreateWithdrawalRequest {
                unsigned_transaction: b"other".to_vec(),
                ..create("w-1")
            },
            Tag::ReferenceConflict,
        ),
    ];
    for (request, expected) in cases {
        assert_eq!(tag(pipeline.create_withdrawal(request).await), expected);
    }
    let list = v1::ListWithdrawalsRequest {
        states: vec![0],
        ..Default::default()
    };
    assert_eq!(tag(pipeline.list_withdrawals(list).await), Tag::MessageInvalid);
    let list = v1::ListWithdrawalsRequest {
        page_size: 1_001,
        ..Default::default()
    };
    assert_eq!(tag(pipeline.list_withdrawals(list).await), Tag::MessageInvalid);
    let list = v1::ListWithdrawalsRequest {
        page_token: "x".to_owned(),
        ..Default::default()
    };
    assert_eq!(tag(pipeline.list_withdrawals(list).await), Tag::MessageInvalid);
    let all = pipeline
        .list_withdrawals(v1::ListWithdrawalsRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(all.withdrawals.len(), 1, "nothing was recorded that was refused");
    running.stop().await.unwrap();
}

#[tokio::test]
async fn approvals_arrive_and_the_withdrawal_is_driven_again() {
    let world = World::new(FakeSigner::new(|request| match request.statements.len() {
        2 => Ok(signed()),
        _ => Ok(pending(0)),
    }))
    .await;
    let running = world.start().await;
    let mut pipeline = world.pipeline(running.address).await;
    let id = created(&mut pipeline, "w-1").await.id;
    wait_for(&mut pipeline, &id, WithdrawalState::PendingApproval).await;

    let mut alice = world.approvals(running.address, "alice").await;
    let inbox = alice
        .list_pending_approvals(v1::ListPendingApprovalsRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(inbox.pending[0].withdrawal_id, id);
    assert_eq!(inbox.pending[0].missing[0].required, 2);
    let task = v1::GetApprovalTaskRequest {
        withdrawal_id: id.clone(),
    };
    let task = alice.get_approval_task(task).await.unwrap().into_inner();
    assert_eq!(task.unsigned_transaction, b"unsigned 1");
    assert_eq!(task.request, create("w-1").request);

    alice.submit_statement(approval(&[&id])).await.unwrap();
    let mut bob = world.approvals(running.address, "bob").await;
    let mut other = approval(&[&id]);
    other.statement = Some(support::envelope(
        "approval",
        "2095-01-01T00:00:00Z",
        serde_json::json!({
            "items": [{"withdrawal": id}]
        }),
    ));
    bob.submit_statement(other).await.unwrap();
    wait_for(&mut pipeline, &id, WithdrawalState::Signed).await;
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_malformed_attempt_is_followed_by_a_better_one() {
    let world = World::new(FakeSigner::new(|request| {
        match request.unsigned_transaction.as_slice() {
            b"unsigned 1" => Ok(malformed()),
            _ => Ok(signed()),
        }
    }))
    .await;
    let running = world.start().await;
    let mut pipeline = world.pipeline(running.address).await;
    let id = created(&mut pipeline, "w-1").await.id;
    let withdrawal = wait_for(&mut pipeline, &id, WithdrawalState::Malformed).await;
    assert_eq!(withdrawal.reasons[0].tag, "transaction/malformed");
    let attempt = v1::AddAttemptRequest {
        withdrawal_id: id.clone(),
        unsigned_transaction: b"unsigned 2".to_vec(),
        replace: None,
    };
    pipeline.add_attempt(attempt).await.unwrap();
    let withdrawal = wait_for(&mut pipeline, &id, WithdrawalState::Signed).await;
    assert!(withdrawal.attempts[0].signed_transaction.is_empty());
    assert_eq!(withdrawal.attempts[1].signed_transaction, b"signed bytes");
    running.stop().await.unwrap();
}

#[tokio::test]
async fn denied_for_good_and_denied_for_now_are_told_apart() {
    let world = World::new(FakeSigner::new(|request| {
        let is_first = request.unsigned_transaction == b"unsigned 1";
        Ok(denied(
            if is_first {
                Tag::ConflictKeyTaken
            } else {
                Tag::ForbidMatched
            },
            !is_first,
        ))
    }))
    .await;
    let running = world.start().await;
    let mut pipeline = world.pipeline(running.address).await;
    let id = created(&mut pipeline, "w-1").await.id;
    let refused = wait_for(&mut pipeline, &id, WithdrawalState::Refused).await;
    assert_eq!(refused.reasons[0].tag, "conflict-key/taken");
    let attempt = |bytes: &[u8]| v1::AddAttemptRequest {
        withdrawal_id: id.clone(),
        unsigned_transaction: bytes.to_vec(),
        replace: None,
    };
    pipeline.add_attempt(attempt(b"unsigned 2")).await.unwrap();
    let denied = wait_for(&mut pipeline, &id, WithdrawalState::Denied).await;
    assert_eq!(denied.reasons[0].tag, "forbid/matched");
    assert_eq!(
        tag(pipeline.add_attempt(attempt(b"unsigned 3")).await),
        Tag::WithdrawalWrongState
    );
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_cancel_is_journaled_before_it_counts() {
    let world = World::new(FakeSigner::new(|request| match request.statements.len() {
        0 => Ok(pending(0)),
        _ => Ok(denied(Tag::WithdrawalCancelled, true)),
    }))
    .await;
    let running = world.start().await;
    let mut pipeline = world.pipeline(running.address).await;
    let id = created(&mut pipeline, "w-1").await.id;
    wait_for(&mut pipeline, &id, WithdrawalState::PendingApproval).await;
    let cancelled = pipeline
        .cancel_withdrawal(cancel(&id))
        .await
        .unwrap()
        .into_inner()
        .withdrawal
        .unwrap();
    assert_eq!(cancelled.state(), WithdrawalState::Cancelled);
    let calls = world.signer.calls.lock().unwrap().clone();
    assert!(matches!(
        calls[..],
        [
            support::Call::Authorize { .. },
            support::Call::Record,
            support::Call::Authorize { .. }
        ]
    ));
    let again = pipeline
        .cancel_withdrawal(cancel(&id))
        .await
        .unwrap()
        .into_inner()
        .withdrawal
        .unwrap();
    assert_eq!(again, cancelled, "the same cancel again says the same");
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_cancel_that_the_signer_does_not_take_changes_nothing() {
    let world = World::new(FakeSigner::new(|_| Ok(pending(0)))).await;
    world
        .signer
        .refuse_statements(errors::status(Tag::StatementUnknownKey, "who is that?"));
    let running = world.start().await;
    let mut pipeline = world.pipeline(running.address).await;
    let id = created(&mut pipeline, "w-1").await.id;
    wait_for(&mut pipeline, &id, WithdrawalState::PendingApproval).await;
    assert_eq!(
        tag(pipeline.cancel_withdrawal(cancel(&id)).await),
        Tag::StatementUnknownKey
    );
    let found = pipeline
        .get_withdrawal(get(&id))
        .await
        .unwrap()
        .into_inner()
        .withdrawal
        .unwrap();
    assert_eq!(found.state(), WithdrawalState::PendingApproval);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_signed_cannot_be_cancelled() {
    let world = World::new(FakeSigner::new(|_| Ok(signed()))).await;
    let running = world.start().await;
    let mut pipeline = world.pipeline(running.address).await;
    let id = created(&mut pipeline, "w-1").await.id;
    wait_for(&mut pipeline, &id, WithdrawalState::Signed).await;
    assert_eq!(
        tag(pipeline.cancel_withdrawal(cancel(&id)).await),
        Tag::WithdrawalWrongState
    );
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_watcher_resumes_behind_a_revision_and_misses_no_final_state() {
    let world = World::new(FakeSigner::new(|_| Ok(signed()))).await;
    let running = world.start().await;
    let mut pipeline = world.pipeline(running.address).await;
    let watch = |after_revision| v1::WatchWithdrawalsRequest {
        withdrawal_id: String::new(),
        after_revision,
    };
    let mut stream = pipeline.watch_withdrawals(watch(0)).await.unwrap().into_inner();
    for n in 0..50 {
        created(&mut pipeline, &format!("w-{n}")).await;
    }
    let mut signed = std::collections::BTreeSet::new();
    let mut revision = 0;
    while signed.len() < 50 {
        let change = tokio::time::timeout(support::PATIENCE, stream.message())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        let withdrawal = change.withdrawal.unwrap();
        assert!(withdrawal.revision > revision, "revisions only grow");
        revision = withdrawal.revision;
        if withdrawal.state() == WithdrawalState::Signed {
            assert!(signed.insert(withdrawal.reference));
        }
    }
    assert_eq!(
        revision, 100,
        "fifty creations and fifty signatures: two writes each, and commits are shared"
    );
    drop(stream);
    let mut stream = pipeline.watch_withdrawals(watch(99)).await.unwrap().into_inner();
    let last = stream.message().await.unwrap().unwrap().withdrawal.unwrap();
    assert_eq!(last.revision, 100);
    running.stop().await.unwrap();
    let end = tokio::time::timeout(support::PATIENCE, stream.message()).await.unwrap();
    assert!(!matches!(end, Ok(Some(_))), "a stop ends the stream");
}

#[tokio::test]
async fn watchers_and_open_withdrawals_are_bounded() {
    let unavailable = |_: &_| Err(Status::unavailable("down"));
    let world = World::with_limits(FakeSigner::new(unavailable), "watchers = 1\nopen_withdrawals = 2\n").await;
    let running = world.start().await;
    let mut pipeline = world.pipeline(running.address).await;
    let watch = v1::WatchWithdrawalsRequest::default;
    let first = pipeline.watch_withdrawals(watch()).await.unwrap();
    assert_eq!(tag(pipeline.watch_withdrawals(watch()).await), Tag::CallerRateLimited);
    drop(first);
    let mut refused = None;
    for n in 0..50 {
        match pipeline.create_withdrawal(create(&format!("w-{n}"))).await {
            Ok(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
            Err(status) => {
                refused = errors::tag_of(&status);
                break;
            }
        }
    }
    assert_eq!(refused, Some(Tag::CallerRateLimited));
    running.stop().await.unwrap();
}

#[tokio::test]
async fn callers_are_rate_limited_each_for_itself() {
    let world = World::with_limits(FakeSigner::new(|_| Ok(signed())), "calls_per_second = 1\nburst = 3\n").await;
    let running = world.start().await;
    let mut pipeline = world.pipeline(running.address).await;
    let list = v1::ListWithdrawalsRequest::default;
    for _ in 0..3 {
        pipeline.list_withdrawals(list()).await.unwrap();
    }
    assert_eq!(tag(pipeline.list_withdrawals(list()).await), Tag::CallerRateLimited);
    let mut other = world
        .withdrawals(running.address, "countersign://pipeline/exchange/other")
        .await;
    other.list_withdrawals(list()).await.unwrap();
    running.stop().await.unwrap();
}
