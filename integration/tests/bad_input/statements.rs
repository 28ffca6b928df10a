//! Requests and approvals that are too large, no statements, expired or somebody else's.

use countersign_approval::Envelope;
use countersign_client::{Client, State};
use countersign_integration::{Deployment, header, header_between, now_secs};
use countersign_proto::{
    errors::{DOMAIN, TAG_KEY, code_of, tag_of},
    fields,
    limits::{MAX_REQUEST_BYTES, MAX_STATEMENT_BYTES, MAX_TRANSACTION_BYTES},
    v1::{self, approvals_client::ApprovalsClient, withdrawals_client::WithdrawalsClient},
};
use countersign_types::Tag;
use tonic::{Status, transport::Channel};
use tonic_types::StatusExt as _;

use crate::{
    PATIENCE, assert_forgotten, outcome,
    support::{Scene, Withdrawal, large, small},
};

async fn channel(scene: &Scene, name: &str) -> Channel {
    let deployment = &scene.deployment;
    let tls = deployment.tls(name).unwrap();
    deployment
        .channel(deployment.orchestrator().unwrap(), tls)
        .await
        .unwrap()
}

fn create(withdrawal: &Withdrawal) -> v1::CreateWithdrawalRequest {
    v1::CreateWithdrawalRequest {
        request: Some(fields::statement(withdrawal.request.to_bytes())),
        unsigned_transaction: withdrawal.unsigned.clone(),
    }
}

/// The tag, and everything else that a client may switch on: code, domain, reason and metadata agree with it.
fn tag_on_the_wire(status: &Status) -> Tag {
    let tag = tag_of(status).unwrap_or_else(|| panic!("no tag: {status:?}"));
    let info = status.get_details_error_info().unwrap();
    assert_eq!(status.code(), code_of(tag));
    assert_eq!((info.domain.as_str(), info.reason), (DOMAIN, tag.reason()));
    assert_eq!(info.metadata[TAG_KEY], tag.as_str());
    assert!(!status.message().is_empty());
    tag
}

type Change = fn(&mut v1::CreateWithdrawalRequest);

#[tokio::test]
async fn messages_that_are_no_request_are_refused_at_once() {
    let scene = Scene::with_both().await;
    let client = scene.deployment.client("pipeline").await.unwrap();
    let valid = create(&scene.withdrawal(&small("valid")));
    let table: [(&str, Change, Tag); 9] = [
        ("no request", |m| m.request = None, Tag::MessageInvalid),
        (
            "no transaction",
            |m| m.unsigned_transaction.clear(),
            Tag::MessageInvalid,
        ),
        (
            "a transaction over its bound",
            |m| m.unsigned_transaction = vec![2; MAX_TRANSACTION_BYTES + 1],
            Tag::MessageTooLarge,
        ),
        (
            "a statement over its bound",
            |m| m.request = Some(fields::statement(vec![b' '; MAX_STATEMENT_BYTES + 1])),
            Tag::MessageTooLarge,
        ),
        (
            "a message over its bound",
            |m| m.unsigned_transaction = vec![2; MAX_REQUEST_BYTES + 1],
            Tag::MessageTooLarge,
        ),
        (
            "no envelope",
            |m| m.request = Some(fields::statement(b"{}".to_vec())),
            Tag::StatementMalformed,
        ),
        (
            "half an envelope",
            |m| {
                let envelope = &mut m.request.as_mut().unwrap().envelope;
                envelope.truncate(envelope.len() / 2);
            },
            Tag::StatementMalformed,
        ),
        (
            "another kind",
            |m| rename(m, ".request.", ".approval."),
            Tag::StatementUnknownKind,
        ),
        (
            "an unknown kind",
            |m| rename(m, ".request.", ".invoice."),
            Tag::StatementUnknownKind,
        ),
    ];
    let mut withdrawals = WithdrawalsClient::new(channel(&scene, "pipeline").await);
    for (what, change, tag) in table {
        let mut message = valid.clone();
        change(&mut message);
        assert_ne!(message, valid, "{what} changes nothing");
        let status = withdrawals.create_withdrawal(message).await.unwrap_err();
        assert_eq!(tag_on_the_wire(&status), tag, "{what}");
        assert_forgotten(&scene, &client).await;
    }
    withdrawals.create_withdrawal(valid).await.unwrap();
}

fn rename(message: &mut v1::CreateWithdrawalRequest, from: &str, to: &str) {
    let envelope = &mut message.request.as_mut().unwrap().envelope;
    let text = String::from_utf8(envelope.clone()).unwrap();
    assert!(text.contains(from));
    *envelope = text.replacen(from, to, 1).into_bytes();
}

/// Requests that are well-formed, and that the signer does not take.
#[tokio::test]
async fn requests_that_do_not_count_are_denied() {
    let scene = Scene::with_both().await;
    let client = scene.deployment.client("pipeline").await.unwrap();
    let other = Deployment::init().unwrap();
    let initiator = scene.deployment.initiator().unwrap();
    let now = now_secs().unwrap();
    let early = header_between(scene.genesis, now + 3_600, now + 7_200).unwrap();
    let elsewhere = header(other.genesis().unwrap().hash()).unwrap();
    let mut later_epoch = scene.header();
    later_epoch.epoch += 1;
    let ask = |name: &str| small(name);
    let table = [
        (
            scene.withdrawal_with(&ask("expired"), scene.expired_header(), &initiator),
            "statement/expired",
        ),
        (
            scene.withdrawal_with(&ask("early"), early, &initiator),
            "statement/not-yet-valid",
        ),
        (
            scene.withdrawal_with(&ask("elsewhere"), elsewhere, &initiator),
            "statement/wrong-deployment",
        ),
        (
            scene.withdrawal_with(&ask("epoch"), later_epoch, &initiator),
            "statement/wrong-epoch",
        ),
        (
            scene.withdrawal_with(&ask("foreign"), scene.header(), &other.initiator().unwrap()),
            "statement/unknown-key",
        ),
        // A person of the roster, but no initiator.
        (
            scene.withdrawal_with(&ask("person"), scene.header(), &scene.person("alice")),
            "request/not-initiator",
        ),
        (changed(&scene, &initiator), "statement/bad-signature"),
    ];
    let before = scene.log().await;
    for (withdrawal, tag) in table {
        let (state, tags) = outcome(&client, &withdrawal).await;
        assert_eq!(tags, [tag]);
        let is_no = matches!(state, State::Refused | State::Denied | State::Expired);
        assert!(is_no, "{tag}: {state:?}");
    }
    assert_eq!(
        scene.log().await,
        before,
        "nobody grows the log without an initiator's key"
    );
}

/// A request whose reference was changed after signing.
fn changed(scene: &Scene, initiator: &dyn countersign_approval::StatementSigner) -> Withdrawal {
    let signed = scene.withdrawal_with(&small("signed-as-this"), scene.header(), initiator);
    let payload = String::from_utf8(signed.request.payload().to_vec()).unwrap();
    let request = Envelope::new(
        signed.request.kind(),
        payload.replace("signed-as-this", "changed-to-that").into_bytes(),
        signed.request.key_id().to_owned(),
        signed.request.signature().to_vec(),
    )
    .unwrap();
    Withdrawal {
        id: countersign_types::WithdrawalId::of(request.request_digest().unwrap()),
        request,
        ..signed
    }
}

async fn send(approvals: &mut ApprovalsClient<Channel>, envelope: Vec<u8>) -> Result<(), Status> {
    let statement = Some(fields::statement(envelope));
    let sent = approvals
        .submit_statement(v1::SubmitStatementRequest { statement })
        .await;
    sent.map(drop)
}

/// Tells when a withdrawal's reasons name a tag.
async fn wait_for_tag(client: &Client, withdrawal: &Withdrawal, tag: &str) {
    let seen = async {
        loop {
            let found = client.withdrawal(&withdrawal.id).await.unwrap();
            if found.reasons.iter().any(|reason| reason.tag == tag) {
                return assert_eq!(found.state, State::PendingApproval);
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, seen)
        .await
        .unwrap_or_else(|_| panic!("{tag} is never named"));
}

#[tokio::test]
async fn approvals_that_do_not_count_are_named_and_do_not_hide_the_rest() {
    let scene = Scene::with_both().await;
    let client = scene.deployment.client("pipeline").await.unwrap();
    let withdrawal = scene.withdrawal(&large("approvals"));
    assert_eq!(outcome(&client, &withdrawal).await.0, State::PendingApproval);
    let mut approvals = ApprovalsClient::new(channel(&scene, "alice").await);
    // No statements at all: refused at once.
    let unknown = scene.withdrawal(&large("unknown"));
    let request = withdrawal.request.to_bytes();
    for (what, envelope, tag) in [
        ("nonsense", b"[]".to_vec(), Tag::StatementMalformed),
        ("nothing", Vec::new(), Tag::MessageInvalid),
        ("too much", vec![b' '; MAX_STATEMENT_BYTES + 1], Tag::MessageTooLarge),
        ("a request", request, Tag::StatementUnknownKind),
        (
            "about nothing that is known",
            scene.approval("alice", &unknown).to_bytes(),
            Tag::WithdrawalNotFound,
        ),
    ] {
        let status = send(&mut approvals, envelope).await.unwrap_err();
        assert_eq!(tag_on_the_wire(&status), tag, "{what}");
    }
    // Statements that the orchestrator cannot judge: the signer does.
    let alice = scene.person("alice");
    let expired = scene.approval_by(&alice, scene.expired_header(), scene.item(&withdrawal));
    let other = Deployment::init().unwrap();
    let foreign = scene.approval_by(&other.person("bob").unwrap(), scene.header(), scene.item(&withdrawal));
    let moved = header(other.genesis().unwrap().hash()).unwrap();
    let moved = scene.approval_by(&alice, moved, scene.item(&withdrawal));
    let good = scene.approval("alice", &withdrawal);
    let mut signature = good.signature().to_vec();
    *signature.last_mut().unwrap() ^= 1;
    let forged = Envelope::new(
        good.kind(),
        scene.approval("alice", &withdrawal).payload().to_vec(),
        good.key_id().to_owned(),
        signature,
    )
    .unwrap();
    for (envelope, tag) in [
        (expired, "statement/expired"),
        (foreign, "statement/unknown-key"),
        (moved, "statement/wrong-deployment"),
        (forged, "statement/bad-signature"),
    ] {
        send(&mut approvals, envelope.to_bytes()).await.unwrap();
        wait_for_tag(&client, &withdrawal, tag).await;
        scene.assert_unsigned(&withdrawal).await;
    }
    for person in ["alice", "bob"] {
        let approval = scene.approval(person, &withdrawal);
        send(&mut approvals, approval.to_bytes()).await.unwrap();
    }
    let signed = client
        .wait(&withdrawal.id, countersign_client::Until::Decided, PATIENCE)
        .await
        .unwrap();
    assert_eq!(signed.state, State::Signed);
    assert_eq!(scene.signatures(&withdrawal.id).await.len(), 1);
}
