//! A development CA, a signer that does as it is told, and callers.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use countersign_orchestrator::{config::Config, serve};
use countersign_proto::{
    fields,
    limits::MAX_RESPONSE_BYTES,
    signer::v1::{
        self as signer, AuthorizeRequest, AuthorizeResponse,
        authorize_response::Outcome,
        signing_server::{Signing, SigningServer},
    },
    tls::Pem,
    v1::{self, WithdrawalState, approvals_client::ApprovalsClient, withdrawals_client::WithdrawalsClient},
};
use countersign_types::Tag;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Request, Response, Status,
    transport::{Channel, Endpoint, Server},
};

/// The longest that any test waits for something to happen.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A CA that issues whatever names it is asked for.
pub struct Ca {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            pem,
            issuer: Issuer::new(params, key),
        }
    }

    /// A certificate with the given URI names and the DNS name `localhost`.
    pub fn issue(&self, uris: &[&str]) -> Pem {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params
            .subject_alt_names
            .push(SanType::DnsName("localhost".try_into().unwrap()));
        params
            .subject_alt_names
            .extend(uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())));
        Pem {
            ca: self.pem.clone().into_bytes(),
            certificate: params.signed_by(&key, &self.issuer).unwrap().pem().into_bytes(),
            key: key.serialize_pem().into_bytes(),
        }
    }
}

/// What arrived at the fake signer.
#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    Authorize { unsigned: Vec<u8>, statements: usize },
    Record,
    Receipt(String),
}

type Script = Box<dyn FnMut(&AuthorizeRequest) -> Result<Outcome, Status> + Send>;

/// A signer that answers by script and remembers every call.
#[derive(Clone)]
pub struct FakeSigner {
    pub calls: Arc<Mutex<Vec<Call>>>,
    /// Every receipt.
    pub receipt: Arc<Mutex<Vec<u8>>>,
    script: Arc<Mutex<Script>>,
    record: Arc<Mutex<Option<Status>>>,
    delay: Arc<Mutex<Duration>>,
}

pub fn signed() -> Outcome {
    Outcome::Signed(signer::Signed {
        transaction: b"signed bytes".to_vec(),
        txid: "0xabc".to_owned(),
        attempt: 1,
    })
}

pub fn denied(tag: Tag, r#final: bool) -> Outcome {
    Outcome::Denied(signer::Denied {
        reasons: vec![fields::reason(tag, None, "as scripted")],
        r#final,
    })
}

pub fn malformed() -> Outcome {
    Outcome::Malformed(signer::Malformed {
        reasons: vec![fields::reason(Tag::TransactionMalformed, None, "x")],
    })
}

pub fn pending(not_before_ms: i64) -> Outcome {
    let missing = vec![v1::MissingApprovals {
        group: "officers".to_owned(),
        required: 2,
        filled: 0,
    }];
    Outcome::Pending(signer::Pending {
        missing,
        not_before_ms,
        reasons: vec![],
    })
}

impl FakeSigner {
    pub fn new(script: impl FnMut(&AuthorizeRequest) -> Result<Outcome, Status> + Send + 'static) -> Self {
        Self {
            calls: Arc::default(),
            receipt: Arc::new(Mutex::new(b"{}".to_vec())),
            script: Arc::new(Mutex::new(Box::new(script))),
            record: Arc::default(),
            delay: Arc::default(),
        }
    }

    pub fn rescript(&self, script: impl FnMut(&AuthorizeRequest) -> Result<Outcome, Status> + Send + 'static) {
        *self.script.lock().unwrap() = Box::new(script);
    }

    pub fn refuse_statements(&self, status: Status) {
        *self.record.lock().unwrap() = Some(status);
    }

    pub fn accept_statements(&self) {
        *self.record.lock().unwrap() = None;
    }

    pub fn delay(&self, delay: Duration) {
        *self.delay.lock().unwrap() = delay;
    }

    pub fn authorizes(&self) -> usize {
        let calls = self.calls.lock().unwrap();
        calls
            .iter()
            .filter(|call| matches!(call, Call::Authorize { .. }))
            .count()
    }

    /// Serves over mTLS at `address` (port 0 takes any); the task ends with the runtime or when aborted.
    pub async fn serve(&self, ca: &Ca, address: SocketAddr) -> (SocketAddr, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Server::builder()
            .tls_config(ca.issue(&[]).server())
            .unwrap()
            .add_service(SigningServer::new(self.clone()));
        let task = tokio::spawn(async move {
            router
                .serve_with_incoming(TcpListenerStream::new(listener))
                .await
                .unwrap();
        });
        (address, task)
    }

    fn note(&self, call: Call) {
        self.calls.lock().unwrap().push(call);
    }
}

#[tonic::async_trait]
impl Signing for FakeSigner {
    async fn authorize(&self, request: Request<AuthorizeRequest>) -> Result<Response<AuthorizeResponse>, Status> {
        let request = request.into_inner();
        self.note(Call::Authorize {
            unsigned: request.unsigned_transaction.clone(),
            statements: request.statements.len(),
        });
        let answer = (self.script.lock().unwrap())(&request);
        let delay = *self.delay.lock().unwrap();
        tokio::time::sleep(delay).await;
        let outcome = Some(answer?);
        Ok(Response::new(AuthorizeResponse {
            outcome,
            decision: vec![],
        }))
    }

    async fn evaluate(
        &self,
        _: Request<signer::EvaluateRequest>,
    ) -> Result<Response<signer::EvaluateResponse>, Status> {
        Err(Status::unimplemented("not asked by an orchestrator"))
    }

    async fn record_statement(
        &self,
        _: Request<signer::RecordStatementRequest>,
    ) -> Result<Response<signer::RecordStatementResponse>, Status> {
        self.note(Call::Record);
        match self.record.lock().unwrap().clone() {
            Some(status) => Err(status),
            None => Ok(Response::new(signer::RecordStatementResponse {
                acknowledgement: b"ack".to_vec(),
            })),
        }
    }

    async fn fetch_receipt(
        &self,
        request: Request<signer::FetchReceiptRequest>,
    ) -> Result<Response<signer::FetchReceiptResponse>, Status> {
        self.note(Call::Receipt(request.into_inner().withdrawal_id));
        let receipt = self.receipt.lock().unwrap().clone();
        Ok(Response::new(signer::FetchReceiptResponse { receipt }))
    }
}

/// A folder with everything that one orchestrator needs, and its signer.
pub struct World {
    pub ca: Ca,
    pub signer: FakeSigner,
    pub signer_address: SocketAddr,
    pub signer_task: tokio::task::JoinHandle<()>,
    pub folder: TempDir,
    pub config: PathBuf,
}

pub const LIMITS: &str = "call_timeout = \"5s\"\n";

impl World {
    pub async fn new(signer: FakeSigner) -> Self {
        Self::with_limits(signer, LIMITS).await
    }

    pub async fn with_limits(signer: FakeSigner, limits: &str) -> Self {
        let ca = Ca::new();
        let (signer_address, signer_task) = signer.serve(&ca, "127.0.0.1:0".parse().unwrap()).await;
        let folder = tempfile::tempdir().unwrap();
        let pem = ca.issue(&["countersign://orchestrator/main"]);
        std::fs::write(folder.path().join("ca.pem"), &pem.ca).unwrap();
        std::fs::write(folder.path().join("own.pem"), &pem.certificate).unwrap();
        std::fs::write(folder.path().join("own.key"), &pem.key).unwrap();
        let config = folder.path().join("orchestrator.toml");
        let text = format!(
            "listen = \"127.0.0.1:0\"\ndatabase = \"orchestrator.db\"\n[tls]\ncertificate = \"own.pem\"\n\
             key = \"own.key\"\nca = \"ca.pem\"\n[signer]\naddress = \"https://{signer_address}\"\n\
             server_name = \"localhost\"\ntimeout = \"2s\"\n[limits]\n{limits}"
        );
        std::fs::write(&config, text).unwrap();
        Self {
            ca,
            signer,
            signer_address,
            signer_task,
            folder,
            config,
        }
    }

    pub async fn start(&self) -> serve::Running {
        serve::start(&Config::read(&self.config).unwrap()).await.unwrap()
    }

    pub async fn channel(&self, address: SocketAddr, pem: &Pem) -> Result<Channel, tonic::transport::Error> {
        let endpoint = Endpoint::from_shared(format!("https://{address}")).unwrap();
        endpoint.tls_config(pem.client("localhost")).unwrap().connect().await
    }

    pub async fn withdrawals(&self, address: SocketAddr, uri: &str) -> WithdrawalsClient<Channel> {
        let channel = self.channel(address, &self.ca.issue(&[uri])).await.unwrap();
        WithdrawalsClient::new(channel).max_decoding_message_size(MAX_RESPONSE_BYTES)
    }

    pub async fn pipeline(&self, address: SocketAddr) -> WithdrawalsClient<Channel> {
        self.withdrawals(address, "countersign://pipeline/exchange/hot").await
    }

    pub async fn approvals(&self, address: SocketAddr, person: &str) -> ApprovalsClient<Channel> {
        self.approvals_as(address, &format!("countersign://person/{person}"))
            .await
    }

    pub async fn approvals_as(&self, address: SocketAddr, uri: &str) -> ApprovalsClient<Channel> {
        let pem = self.ca.issue(&[uri]);
        ApprovalsClient::new(self.channel(address, &pem).await.unwrap())
    }
}

/// A statement in the layout of `countersign-approval`; the signature is for the signer to judge.
pub fn envelope(kind: &str, expires_at: &str, body: Value) -> v1::Statement {
    let payload = json!({
        "kind": kind, "deployment": format!("sha256:{}", "00".repeat(32)), "epoch": 0, "nonce": "00".repeat(16),
        "issued_at": "2026-01-01T00:00:00Z", "expires_at": expires_at, "body": body
    });
    let envelope = json!({
        "payloadType": format!("application/vnd.countersign.{kind}.v1+json"),
        "payload": BASE64_STANDARD.encode(payload.to_string()),
        "signatures": [{"keyid": "k", "sig": "AAAA"}]
    });
    fields::statement(envelope.to_string().into_bytes())
}

pub const FAR: &str = "2096-01-01T00:00:00Z";

pub fn create_until(reference: &str, expires_at: &str) -> v1::CreateWithdrawalRequest {
    let body = json!({
        "tenant": "exchange", "reference": reference, "wallet": "eth-hot", "network": "eip155:31337"
    });
    v1::CreateWithdrawalRequest {
        request: Some(envelope("request", expires_at, body)),
        unsigned_transaction: b"unsigned 1".to_vec(),
    }
}

pub fn create(reference: &str) -> v1::CreateWithdrawalRequest {
    create_until(reference, FAR)
}

pub fn approval(ids: &[&str]) -> v1::SubmitStatementRequest {
    let items: Vec<Value> = ids.iter().map(|id| json!({"withdrawal": id})).collect();
    v1::SubmitStatementRequest {
        statement: Some(envelope("approval", FAR, json!({ "items": items }))),
    }
}

pub fn observation(id: &str, sequence: u64) -> v1::SubmitObservationRequest {
    let body = json!({"network": "eip155:31337", "sequence": sequence, "height": 7, "facts": []});
    v1::SubmitObservationRequest {
        withdrawal_id: id.to_owned(),
        statement: Some(envelope("observation", FAR, body)),
    }
}

/// Pending, because observers have not said what the bytes need.
pub fn unattested() -> Outcome {
    Outcome::Pending(signer::Pending {
        reasons: vec![fields::reason(Tag::FactsUnattested, None, "as scripted")],
        ..signer::Pending::default()
    })
}

pub fn cancel(id: &str) -> v1::CancelWithdrawalRequest {
    let body = json!({"withdrawal": id, "reason": "mistake"});
    v1::CancelWithdrawalRequest {
        cancel: Some(envelope("cancel", FAR, body)),
        unsigned_transaction: Vec::new(),
    }
}

/// With a fee ceiling, and with the cancel attempt that needs it.
pub fn cancel_with(id: &str, unsigned: &[u8]) -> v1::CancelWithdrawalRequest {
    let ceiling = json!({"asset": "a", "amount": "2"});
    let body = json!({"withdrawal": id, "fee_ceiling": ceiling, "reason": "mistake"});
    v1::CancelWithdrawalRequest {
        cancel: Some(envelope("cancel", FAR, body)),
        unsigned_transaction: unsigned.to_vec(),
    }
}

/// Waits until a withdrawal is in a state, by watching it.
pub async fn wait_for(client: &mut WithdrawalsClient<Channel>, id: &str, state: WithdrawalState) -> v1::Withdrawal {
    let watch = v1::WatchWithdrawalsRequest {
        withdrawal_id: id.to_owned(),
        after_revision: 0,
    };
    let mut stream = client.watch_withdrawals(watch).await.unwrap().into_inner();
    let mut last = None;
    let found = tokio::time::timeout(PATIENCE, async {
        loop {
            let withdrawal = stream.message().await.unwrap().unwrap().withdrawal.unwrap();
            if withdrawal.state() == state {
                return withdrawal;
            }
            last = Some(withdrawal);
        }
    });
    found.await.unwrap_or_else(|_| panic!("never {state:?}; last {last:?}"))
}

pub async fn created(client: &mut WithdrawalsClient<Channel>, reference: &str) -> v1::Withdrawal {
    let response = client.create_withdrawal(create(reference)).await.unwrap();
    response.into_inner().withdrawal.unwrap()
}
