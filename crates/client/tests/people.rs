//! The signer's second listener, with a listener that answers by script.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests fail by panicking"
)]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use countersign_approval::{Envelope, Kind};
use countersign_client::{ActivatedBundle, BundleFile, ClientError, Endpoint, Entry, PeopleClient};
use countersign_proto::{
    errors,
    identity::Caller,
    signer::v1::{
        self as wire,
        people_server::{People, PeopleServer},
    },
};
use countersign_types::{BundleDigest, RequestDigest, Tag, WithdrawalId};
use rcgen::{CertificateParams, KeyPair, SanType};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Request, Response, Status,
    transport::{Certificate, Identity, Server, ServerTlsConfig},
};

/// Fails as often as it is told, then answers; remembers who called what.
#[derive(Clone, Default)]
struct Scripted {
    failures: Arc<Mutex<Vec<Status>>>,
    calls: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    fn enter<T>(&self, call: &str, request: &Request<T>) -> Result<(), Status> {
        let caller = Caller::of(request)?;
        self.calls.lock().unwrap().push(format!("{call} by {caller}"));
        self.failures.lock().unwrap().pop().map_or(Ok(()), Err)
    }
}

#[tonic::async_trait]
impl People for Scripted {
    async fn submit_statement(
        &self,
        request: Request<wire::SubmitStatementRequest>,
    ) -> Result<Response<wire::SubmitStatementResponse>, Status> {
        self.enter("submit", &request)?;
        let acknowledgement = request.into_inner().statement.unwrap().envelope;
        Ok(Response::new(wire::SubmitStatementResponse { acknowledgement }))
    }
    async fn activate_bundle(
        &self,
        request: Request<wire::ActivateBundleRequest>,
    ) -> Result<Response<wire::ActivateBundleResponse>, Status> {
        self.enter("activate", &request)?;
        let message = request.into_inner();
        let is_bad = message.files.is_empty();
        let digest = if is_bad {
            "sha256:x".to_owned()
        } else {
            BundleDigest::of(b"manifest").to_string()
        };
        Ok(Response::new(wire::ActivateBundleResponse {
            version: 1,
            bundle_digest: digest,
            acknowledgement: b"ack".to_vec(),
        }))
    }
    async fn fetch_bundles(
        &self,
        request: Request<wire::FetchBundlesRequest>,
    ) -> Result<Response<wire::FetchBundlesResponse>, Status> {
        self.enter("bundles", &request)?;
        let bundles = vec![ActivatedBundle {
            version: request.into_inner().after_version + 1,
            ..Default::default()
        }];
        Ok(Response::new(wire::FetchBundlesResponse {
            bundles,
            active_version: 7,
            vetoes: Vec::new(),
        }))
    }
    async fn fetch_checkpoint(
        &self,
        request: Request<wire::FetchCheckpointRequest>,
    ) -> Result<Response<wire::FetchCheckpointResponse>, Status> {
        self.enter("checkpoint", &request)?;
        Ok(Response::new(wire::FetchCheckpointResponse {
            checkpoint: b"note".to_vec(),
        }))
    }
    async fn fetch_entries(
        &self,
        request: Request<wire::FetchEntriesRequest>,
    ) -> Result<Response<wire::FetchEntriesResponse>, Status> {
        self.enter("entries", &request)?;
        let index = request.into_inner().start;
        let entries = vec![Entry {
            index,
            data: b"{}".to_vec(),
        }];
        Ok(Response::new(wire::FetchEntriesResponse {
            entries,
            checkpoint: b"note".to_vec(),
        }))
    }
    async fn list_proposals(
        &self,
        request: Request<wire::ListProposalsRequest>,
    ) -> Result<Response<wire::ListProposalsResponse>, Status> {
        self.enter("proposals", &request)?;
        Ok(Response::new(wire::ListProposalsResponse {
            statements: vec![wire::SeenStatement::default()],
        }))
    }
    async fn list_freezes(
        &self,
        request: Request<wire::ListFreezesRequest>,
    ) -> Result<Response<wire::ListFreezesResponse>, Status> {
        self.enter("freezes", &request)?;
        Ok(Response::new(wire::ListFreezesResponse { list: b"note".to_vec() }))
    }
    async fn fetch_receipt(
        &self,
        request: Request<wire::FetchReceiptRequest>,
    ) -> Result<Response<wire::FetchReceiptResponse>, Status> {
        self.enter("receipt", &request)?;
        let receipt = request.into_inner().withdrawal_id.into_bytes();
        Ok(Response::new(wire::FetchReceiptResponse { receipt }))
    }
}

struct World {
    server: Scripted,
    client: PeopleClient,
    _folder: tempfile::TempDir,
}

/// One self-signed certificate is CA, server and client at once: this is about calls, not about chains.
async fn world() -> World {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params
        .subject_alt_names
        .push(SanType::URI("countersign://person/alice".try_into().unwrap()));
    let pem = params.self_signed(&key).unwrap().pem();
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key_file) = (folder.path().join("own.pem"), folder.path().join("own.key"));
    std::fs::write(&certificate, &pem).unwrap();
    std::fs::write(&key_file, key.serialize_pem()).unwrap();

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    let tls = ServerTlsConfig::new()
        .identity(Identity::from_pem(&pem, key.serialize_pem()))
        .client_ca_root(Certificate::from_pem(&pem));
    let server = Scripted::default();
    let router = Server::builder()
        .tls_config(tls)
        .unwrap()
        .add_service(PeopleServer::new(server.clone()));
    tokio::spawn(router.serve_with_incoming(TcpListenerStream::new(listener)));
    let endpoint = Endpoint {
        address,
        server_name: "localhost".to_owned(),
        ca: certificate.clone(),
        certificate,
        key: key_file,
        timeout: Duration::from_secs(10),
    };
    World {
        server,
        client: PeopleClient::connect(&endpoint).await.unwrap(),
        _folder: folder,
    }
}

fn envelope() -> Envelope {
    Envelope::new(Kind::Rejection, b"{}".to_vec(), "k".to_owned(), vec![1]).unwrap()
}

fn file() -> BundleFile {
    BundleFile {
        path: "manifest.json".to_owned(),
        data: b"manifest".to_vec(),
    }
}

#[tokio::test]
async fn every_call_arrives_and_comes_back() {
    let World {
        server,
        client,
        _folder,
    } = world().await;
    assert_eq!(
        client.submit_statement(&envelope()).await.unwrap(),
        envelope().to_bytes()
    );
    let activated = client.activate_bundle(vec![file()], &[envelope()]).await.unwrap();
    assert_eq!(
        (activated.version, activated.bundle),
        (1, BundleDigest::of(b"manifest"))
    );
    let (bundles, active) = client.bundles(3).await.unwrap();
    assert_eq!((bundles[0].version, active), (4, 7));
    assert_eq!(client.checkpoint().await.unwrap(), b"note");
    assert_eq!(client.entries(9, 1, 0).await.unwrap().entries[0].index, 9);
    let id = WithdrawalId::of(RequestDigest::of(b"{}"));
    assert_eq!(client.receipt(&id).await.unwrap(), id.to_string().into_bytes());
    assert_eq!(client.freezes().await.unwrap(), b"note");
    assert_eq!(client.proposals().await.unwrap().len(), 1);
    let calls = server.calls.lock().unwrap();
    assert_eq!(calls.len(), 8);
    assert!(
        calls.iter().all(|call| call.ends_with("by countersign://person/alice")),
        "{calls:?}"
    );
}

#[tokio::test]
async fn a_statement_is_sent_again_and_an_activation_is_not() {
    let World {
        server,
        client,
        _folder,
    } = world().await;
    let fail_twice = || *server.failures.lock().unwrap() = vec![Status::unavailable("a"), Status::unavailable("b")];
    fail_twice();
    client.submit_statement(&envelope()).await.unwrap();
    assert_eq!(server.calls.lock().unwrap().len(), 3);
    fail_twice();
    let error = client.activate_bundle(vec![file()], &[]).await.unwrap_err();
    assert!(matches!(error, ClientError::NoAnswer { .. }), "{error}");
    assert_eq!(server.calls.lock().unwrap().len(), 4);
}

#[tokio::test]
async fn refusals_and_bad_answers_are_told_apart() {
    let World {
        server,
        client,
        _folder,
    } = world().await;
    *server.failures.lock().unwrap() = vec![errors::status(Tag::BundleQuorumShort, "one of two")];
    let error = client.activate_bundle(vec![file()], &[]).await.unwrap_err();
    assert_eq!(error.tag(), Some(Tag::BundleQuorumShort));
    let error = client.activate_bundle(vec![], &[]).await.unwrap_err();
    assert!(
        matches!(error, ClientError::BadAnswer { field: "bundle_digest" }),
        "{error}"
    );
}
