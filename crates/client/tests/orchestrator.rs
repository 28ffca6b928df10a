//! Against a real orchestrator over mTLS, with statements that `countersign-approval` sealed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests fail by panicking"
)]

#[path = "../../orchestrator/tests/support/mod.rs"]
mod support;

use std::{net::SocketAddr, path::PathBuf, sync::OnceLock, time::Duration};

use countersign_approval::{
    Approval, ApprovalItem, Body, Cancel, Ed25519Signer, Envelope, FeeCeiling, Header, Kind, Observation, ObservedFact,
    ObservedOutcome, Request, Statement, TransactionBinding, seal,
};
use countersign_client::{Client, ClientError, Endpoint, State, Until};
use countersign_proto::{errors, fields, v1};
use countersign_types::{
    EffectsText, GenesisHash, PolicyDigest, StatementNonce, Tag, TransactionDigest, Validity, WithdrawalId,
};
use support::{Ca, FakeSigner, PATIENCE, World, denied, pending, signed, unattested};
use tonic::{Request as Wire, Response, Status, transport::Server};

const UNSIGNED: &[u8] = b"unsigned 1";

/// A day from the first use on: the same for every statement of one run.
fn validity() -> Validity {
    static VALIDITY: OnceLock<Validity> = OnceLock::new();
    *VALIDITY.get_or_init(|| {
        let now = countersign_orchestrator::clock::now();
        Validity::new(
            now.to_seconds(),
            now.after(countersign_types::Duration::from_secs(86_400)).to_seconds(),
        )
        .unwrap()
    })
}

fn header(nonce: u8) -> Header {
    Header {
        deployment: GenesisHash::of(b"test"),
        epoch: 0,
        nonce: StatementNonce::from_bytes([nonce; 16]),
        validity: validity(),
    }
}

fn sealed(nonce: u8, body: Body) -> Envelope {
    let signer = Ed25519Signer::new(ed25519_dalek::SigningKey::from_bytes(&[7; 32]));
    seal(
        &Statement {
            header: header(nonce),
            body,
        },
        &signer,
    )
    .unwrap()
}

fn fee_ceiling() -> FeeCeiling {
    FeeCeiling {
        asset: "eip155:31337/slip44:60".parse().unwrap(),
        amount: "1000".parse().unwrap(),
    }
}

fn request(reference: &str) -> Envelope {
    let request = Request {
        tenant: "exchange".parse().unwrap(),
        reference: reference.parse().unwrap(),
        wallet: "eth-hot".parse().unwrap(),
        network: "eip155:31337".parse().unwrap(),
        payments: vec![],
        effects: vec!["opaque calldata".to_owned()],
        fee_ceiling: fee_ceiling(),
        transaction: TransactionBinding::Exact(TransactionDigest::of(UNSIGNED)),
        attributes: std::collections::BTreeMap::new(),
    };
    sealed(1, Body::Request(Box::new(request)))
}

fn approval(id: WithdrawalId, nonce: u8) -> Envelope {
    let item = ApprovalItem {
        withdrawal: id,
        effects: EffectsText::try_from(EFFECTS.to_owned()).unwrap(),
        fee_ceiling: fee_ceiling(),
        policy: PolicyDigest::of(b"policy"),
    };
    sealed(nonce, Body::Approval(Approval { items: vec![item] }))
}

fn observation(nonce: u8) -> Envelope {
    let mined = ObservedFact::Mined {
        transaction: TransactionDigest::of(UNSIGNED),
        txid: "abc".to_owned(),
        outcome: ObservedOutcome::Succeeded,
    };
    let observation = Observation {
        network: "eip155:31337".parse().unwrap(),
        sequence: 1,
        height: 7,
        facts: vec![mined],
    };
    sealed(nonce, Body::Observation(observation))
}

const EFFECTS: &str = "effects/v1\nnetwork eip155:31337\nwallet eth-hot\n\
                       fee at most 1000 eip155:31337/slip44:60 (0.000000000000001 ETH)\n";

fn id_of(request: &Envelope) -> WithdrawalId {
    WithdrawalId::of(request.request_digest().unwrap())
}

/// PEM files and an endpoint for one caller.
fn endpoint(world: &World, address: SocketAddr, uri: &str) -> Endpoint {
    endpoint_of(
        &world.ca,
        world.folder.path().join(uri.replace(['/', ':'], "_")),
        address,
        uri,
    )
}

fn endpoint_of(ca: &Ca, folder: PathBuf, address: SocketAddr, uri: &str) -> Endpoint {
    std::fs::create_dir_all(&folder).unwrap();
    let pem = ca.issue(&[uri]);
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    Endpoint {
        address: format!("https://{address}"),
        server_name: "localhost".to_owned(),
        ca: write("ca.pem", &pem.ca),
        certificate: write("own.pem", &pem.certificate),
        key: write("own.key", &pem.key),
        timeout: Duration::from_secs(10),
    }
}

async fn pipeline(world: &World, address: SocketAddr) -> Client {
    Client::connect(&endpoint(world, address, "countersign://pipeline/exchange/hot"))
        .await
        .unwrap()
}

async fn person(world: &World, address: SocketAddr, name: &str) -> Client {
    Client::connect(&endpoint(world, address, &format!("countersign://person/{name}")))
        .await
        .unwrap()
}

#[tokio::test]
async fn a_sealed_request_is_filed_as_it_was_written_and_signed() {
    let world = World::new(FakeSigner::new(|_| Ok(signed()))).await;
    let running = world.start().await;
    let client = pipeline(&world, running.address).await;
    let request = request("w-1");
    let done = client
        .submit_and_wait(&request, UNSIGNED, Until::Decided, PATIENCE)
        .await
        .unwrap();
    assert_eq!(done.id, id_of(&request));
    assert_eq!((done.tenant.as_str(), done.reference.as_str()), ("exchange", "w-1"));
    assert_eq!(
        (done.wallet.as_str(), done.network.as_str()),
        ("eth-hot", "eip155:31337")
    );
    assert_eq!(done.signed(), Some((&b"signed bytes"[..], "0xabc")));

    let again = client
        .submit_and_wait(&request, UNSIGNED, Until::Decided, PATIENCE)
        .await
        .unwrap();
    assert_eq!(again, done);
    assert_eq!(client.withdrawal(&done.id).await.unwrap(), done);
    assert_eq!(client.withdrawal_of(&done.reference).await.unwrap(), done);
    assert_eq!(
        client.list(&[State::Signed], 0, "").await.unwrap().withdrawals,
        std::slice::from_ref(&done)
    );
    assert_eq!(client.list(&[State::Denied], 0, "").await.unwrap().withdrawals, []);
    assert_eq!(client.receipt(&done.id).await.unwrap(), b"{}");
    running.stop().await.unwrap();
}

#[tokio::test]
async fn approvals_are_found_checked_and_sent() {
    let world = World::new(FakeSigner::new(|request| match request.statements.len() {
        2 => Ok(signed()),
        _ => Ok(pending(0)),
    }))
    .await;
    let running = world.start().await;
    let client = pipeline(&world, running.address).await;
    let request = request("w-1");
    let waiting = client
        .submit_and_wait(&request, UNSIGNED, Until::Answered, PATIENCE)
        .await
        .unwrap();
    assert_eq!(waiting.state, State::PendingApproval);

    let alice = person(&world, running.address, "alice").await;
    let inbox = alice.pending(10, "").await.unwrap();
    assert_eq!(inbox.pending[0].withdrawal_id, waiting.id.to_string());
    let task = alice.approval_task(&waiting.id).await.unwrap();
    assert_eq!((task.request, task.unsigned_transaction), (request, UNSIGNED.to_vec()));
    let first = approval(waiting.id, 2);
    assert_eq!(alice.send_statement(&first).await.unwrap(), first.statement_digest());
    person(&world, running.address, "bob")
        .await
        .send_statement(&approval(waiting.id, 3))
        .await
        .unwrap();
    let done = client.wait(&waiting.id, Until::Decided, PATIENCE).await.unwrap();
    assert_eq!(done.state, State::Signed);
    let task = alice.approval_task(&waiting.id).await.unwrap();
    assert_eq!((task.statements.len(), task.unreadable_statements), (2, 0));
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_sealed_cancel_cancels() {
    let world = World::new(FakeSigner::new(|request| match request.statements.len() {
        0 => Ok(pending(0)),
        _ => Ok(denied(Tag::WithdrawalCancelled, true)),
    }))
    .await;
    let running = world.start().await;
    let client = pipeline(&world, running.address).await;
    let waiting = client
        .submit_and_wait(&request("w-1"), UNSIGNED, Until::Answered, PATIENCE)
        .await
        .unwrap();
    let cancel = Cancel {
        withdrawal: waiting.id,
        fee_ceiling: None,
        reason: "mistake".to_owned(),
    };
    let cancelled = client.cancel(&sealed(2, Body::Cancel(cancel))).await.unwrap();
    assert_eq!((cancelled.id, cancelled.state), (waiting.id, State::Cancelled));
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_cancel_attempt_is_told_from_the_payment() {
    let world = World::new(FakeSigner::new(|_| Ok(signed()))).await;
    let running = world.start().await;
    let client = pipeline(&world, running.address).await;
    let request = request("w-1");
    let paid = client
        .submit_and_wait(&request, UNSIGNED, Until::Decided, PATIENCE)
        .await;
    let paid = paid.unwrap();
    assert!(paid.attempts.iter().all(|attempt| !attempt.labelled_cancel));
    let cancel = |fee_ceiling| {
        let body = Cancel {
            withdrawal: paid.id,
            fee_ceiling,
            reason: "stuck".to_owned(),
        };
        sealed(2, Body::Cancel(body))
    };
    let without = client.cancel_with(&paid.id, b"self", &cancel(None)).await;
    assert_eq!(without.unwrap_err().tag(), Some(Tag::MessageInvalid));
    let approval = approval(paid.id, 3);
    let other_kind = client.cancel_with(&paid.id, b"self", &approval).await;
    assert_eq!(other_kind.unwrap_err().tag(), Some(Tag::StatementUnknownKind));
    let cancel = cancel(Some(fee_ceiling()));
    client.cancel_with(&paid.id, b"self", &cancel).await.unwrap();
    let done = client.wait(&paid.id, Until::Decided, PATIENCE).await.unwrap();
    let told: Vec<_> = done
        .attempts
        .iter()
        .map(|one| (one.labelled_cancel, one.signed.is_some()))
        .collect();
    assert_eq!(told, [(false, true), (true, true)]);
    let other = id_of(&self::request("w-2"));
    let error = client.cancel_with(&other, b"self", &cancel).await.unwrap_err();
    assert!(matches!(error, ClientError::OtherSubject { .. }), "{error}");
    running.stop().await.unwrap();
}

#[tokio::test]
async fn refusals_carry_their_tag_and_wrong_kinds_are_not_sent() {
    let world = World::new(FakeSigner::new(|_| Ok(pending(0)))).await;
    let running = world.start().await;
    let client = pipeline(&world, running.address).await;
    let waiting = client.submit(&request("w-1"), UNSIGNED).await.unwrap();
    let tag = |error: ClientError| error.tag();
    let other = client.submit(&request("w-1"), b"other bytes").await.unwrap_err();
    assert_eq!(tag(other), Some(Tag::ReferenceConflict));
    let unknown = id_of(&request("unknown"));
    assert_eq!(
        tag(client.withdrawal(&unknown).await.unwrap_err()),
        Some(Tag::WithdrawalNotFound)
    );
    assert_eq!(
        tag(client.pending(0, "").await.unwrap_err()),
        Some(Tag::CallerNotAllowed)
    );
    let approval = approval(waiting.id, 2);
    for error in [
        client.submit(&approval, UNSIGNED).await.unwrap_err(),
        client.cancel(&approval).await.unwrap_err(),
    ] {
        assert!(matches!(error, ClientError::WrongKind { .. }), "{error}");
        assert_eq!(tag(error), Some(Tag::StatementUnknownKind));
    }
    running.stop().await.unwrap();
}

#[tokio::test]
async fn patience_ends_and_says_where_it_stood() {
    let world = World::new(FakeSigner::new(|_| Ok(pending(0)))).await;
    let running = world.start().await;
    let client = pipeline(&world, running.address).await;
    let patience = Duration::from_secs(1);
    let error = client
        .submit_and_wait(&request("w-1"), UNSIGNED, Until::Decided, patience)
        .await
        .unwrap_err();
    let ClientError::NotDecided { last: Some(last) } = error else {
        panic!("{error}")
    };
    assert_eq!(last.state, State::PendingApproval);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn waiting_survives_a_restart_of_the_orchestrator() {
    let world = World::new(FakeSigner::new(|_| Ok(pending(0)))).await;
    let first = world.start().await;
    let client = pipeline(&world, first.address).await;
    let waiting = client
        .submit_and_wait(&request("w-1"), UNSIGNED, Until::Answered, PATIENCE)
        .await
        .unwrap();
    let config = std::fs::read_to_string(&world.config).unwrap();
    let config = config.replace("127.0.0.1:0", &first.address.to_string());
    std::fs::write(&world.config, config).unwrap();
    let waiter = {
        let (client, id) = (client.clone(), waiting.id);
        tokio::spawn(async move { client.wait(&id, Until::Decided, PATIENCE).await })
    };
    first.stop().await.unwrap();
    let second = world.start().await;
    world.signer.rescript(|_| Ok(signed()));
    person(&world, second.address, "alice")
        .await
        .send_statement(&approval(waiting.id, 2))
        .await
        .unwrap();
    assert_eq!(waiter.await.unwrap().unwrap().state, State::Signed);
    second.stop().await.unwrap();
}

#[tokio::test]
async fn an_observer_brings_what_a_withdrawal_waits_for() {
    let world = World::new(FakeSigner::new(|request| match request.statements.len() {
        0 => Ok(unattested()),
        _ => Ok(signed()),
    }))
    .await;
    let running = world.start().await;
    let connect = async |uri: &str| Client::connect(&endpoint(&world, running.address, uri)).await.unwrap();
    let pipeline = connect("countersign://pipeline/exchange/hot").await;
    let id = pipeline.submit(&request("w-1"), UNSIGNED).await.unwrap().id;
    let waiting = pipeline.wait(&id, Until::Answered, PATIENCE).await.unwrap();
    assert_eq!(waiting.state, State::PendingApproval);

    let observer = connect("countersign://observer/watch-1").await;
    let error = observer.send_observation(&id, &approval(id, 1)).await.unwrap_err();
    let wrong_kind = matches!(
        error,
        ClientError::WrongKind {
            expected: Kind::Observation,
            found: Kind::Approval
        }
    );
    assert!(wrong_kind, "{error}");
    for _ in 0..2 {
        let sent = observer.send_observation(&id, &observation(9)).await.unwrap();
        assert_eq!(sent, observation(9).statement_digest());
    }
    let done = pipeline.wait(&id, Until::Decided, PATIENCE).await.unwrap();
    assert_eq!(done.state, State::Signed);
    running.stop().await.unwrap();
}

/// Passes bytes on until it is ended, and then neither keeps a connection nor takes another.
async fn passing_on(to: SocketAddr) -> (SocketAddr, tokio::task::JoinSet<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut passing = tokio::task::JoinSet::new();
    passing.spawn(async move {
        let mut connections = tokio::task::JoinSet::new();
        while let Ok((mut inside, _)) = listener.accept().await {
            connections.spawn(async move {
                let mut outside = tokio::net::TcpStream::connect(to).await.unwrap();
                tokio::io::copy_bidirectional(&mut inside, &mut outside).await.ok();
            });
        }
    });
    (address, passing)
}

/// A cancel that was taken is delivered later: whoever is told that nothing runs does not look whether it was.
#[tokio::test]
async fn a_call_that_broke_may_have_been_carried_out_and_one_without_a_connection_was_not() {
    let world = World::new(FakeSigner::new(|_| Ok(pending(0)))).await;
    let running = world.start().await;
    let (address, mut passing) = passing_on(running.address).await;
    let client = pipeline(&world, address).await;
    let id = client.submit(&request("w-1"), UNSIGNED).await.unwrap().id;
    client.wait(&id, Until::Answered, PATIENCE).await.unwrap();
    world.signer.delay(Duration::from_secs(60));
    let body = Body::Cancel(Cancel {
        withdrawal: id,
        fee_ceiling: None,
        reason: "stop".to_owned(),
    });
    let cancel = sealed(3, body);
    let calling = tokio::spawn({
        let (client, cancel) = (client.clone(), cancel.clone());
        async move { client.cancel(&cancel).await }
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    passing.abort_all();
    while passing.join_next().await.is_some() {}
    let broken = calling.await.unwrap().unwrap_err();
    assert!(broken.may_be_done(), "{broken:?}");
    let unsent = client.cancel(&cancel).await.unwrap_err();
    assert!(!unsent.may_be_done(), "{unsent:?}");
    assert!(matches!(unsent, ClientError::NoAnswer { .. }), "{unsent:?}");
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_connection_that_cannot_be_made_says_why() {
    let world = World::new(FakeSigner::new(|_| Ok(signed()))).await;
    let running = world.start().await;
    let good = endpoint(&world, running.address, "countersign://pipeline/exchange/hot");
    let missing = Endpoint {
        key: PathBuf::from("/nowhere/own.key"),
        ..good.clone()
    };
    let error = Client::connect(&missing).await.unwrap_err();
    assert!(error.to_string().contains("/nowhere/own.key"), "{error}");
    let other_ca = endpoint_of(
        &Ca::new(),
        world.folder.path().join("other"),
        running.address,
        "countersign://person/x",
    );
    let cases = [
        Endpoint {
            server_name: "elsewhere".to_owned(),
            ..good.clone()
        },
        Endpoint {
            ca: other_ca.ca,
            ..good.clone()
        },
        Endpoint {
            address: "https://127.0.0.1:1".to_owned(),
            ..good.clone()
        },
        Endpoint {
            address: "not an address".to_owned(),
            ..good
        },
    ];
    for endpoint in cases {
        let error = Client::connect(&endpoint).await.unwrap_err();
        let ClientError::Connect { reason, .. } = &error else {
            panic!("{error}")
        };
        assert!(reason.contains(": "), "names a cause: {reason}");
    }
    running.stop().await.unwrap();
}

/// An orchestrator that answers about other things than it was asked.
#[derive(Clone)]
struct Liar;

#[tonic::async_trait]
impl v1::approvals_server::Approvals for Liar {
    async fn list_pending_approvals(
        &self,
        _: Wire<v1::ListPendingApprovalsRequest>,
    ) -> Result<Response<v1::ListPendingApprovalsResponse>, Status> {
        Err(errors::status(Tag::CallerNotAllowed, "no"))
    }

    async fn get_approval_task(
        &self,
        _: Wire<v1::GetApprovalTaskRequest>,
    ) -> Result<Response<v1::GetApprovalTaskResponse>, Status> {
        Ok(Response::new(v1::GetApprovalTaskResponse {
            request: Some(fields::statement(request("another").to_bytes())),
            ..Default::default()
        }))
    }

    async fn submit_statement(
        &self,
        _: Wire<v1::SubmitStatementRequest>,
    ) -> Result<Response<v1::SubmitStatementResponse>, Status> {
        let statement_digest = request("another").statement_digest().to_string();
        Ok(Response::new(v1::SubmitStatementResponse { statement_digest }))
    }

    async fn submit_observation(
        &self,
        _: Wire<v1::SubmitObservationRequest>,
    ) -> Result<Response<v1::SubmitObservationResponse>, Status> {
        let statement_digest = request("another").statement_digest().to_string();
        Ok(Response::new(v1::SubmitObservationResponse { statement_digest }))
    }

    async fn submit_attestation(
        &self,
        _: Wire<v1::SubmitAttestationRequest>,
    ) -> Result<Response<v1::SubmitAttestationResponse>, Status> {
        let statement_digest = request("another").statement_digest().to_string();
        Ok(Response::new(v1::SubmitAttestationResponse { statement_digest }))
    }
}

#[tokio::test]
async fn an_answer_about_something_else_is_refused() {
    let ca = Ca::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Server::builder()
        .tls_config(ca.issue(&[]).server())
        .unwrap()
        .add_service(v1::approvals_server::ApprovalsServer::new(Liar));
    tokio::spawn(router.serve_with_incoming(tokio_stream::wrappers::TcpListenerStream::new(listener)));
    let folder = tempfile::tempdir().unwrap();
    let endpoint = endpoint_of(&ca, folder.path().to_owned(), address, "countersign://person/alice");
    let client = Client::connect(&endpoint).await.unwrap();
    let id = id_of(&request("w-1"));
    let error = client.approval_task(&id).await.unwrap_err();
    assert!(matches!(error, ClientError::OtherSubject { .. }), "{error}");
    let error = client.send_statement(&approval(id, 2)).await.unwrap_err();
    assert!(matches!(error, ClientError::OtherSubject { .. }), "{error}");
    let error = client.send_observation(&id, &observation(3)).await.unwrap_err();
    assert!(matches!(error, ClientError::OtherSubject { .. }), "{error}");
}
