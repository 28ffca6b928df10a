//! A deployment whose signer runs, seen with the eyes of whoever has taken over the orchestrator: raw gRPC, and the keys of
//! the environment to make statements with.

#![allow(dead_code, reason = "each test program uses its part")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use countersign_approval::{
    Activation, Approval, ApprovalItem, Body, Cancel, Envelope, FeeCeiling, Header, Payment, Rejection, RejectionItem,
    Request, Statement, StatementSigner, TemplateKind, TransactionBinding, seal,
};
use countersign_bundle::{Bundle, MANIFEST_PATH, Manifest};
use countersign_chains::evm::{GasPrice, TransferDraft};
use countersign_client::{BundleFile, ClientError, PeopleClient};
use countersign_integration::{Backend, Deployment, Person, header, header_between, now_secs};
use countersign_proto::{
    errors, fields,
    signer::v1::{
        AuthorizeRequest, Denied, EvaluateRequest, Malformed, Pending, Signed, authorize_response::Outcome,
        evaluate_response, signing_client::SigningClient,
    },
    v1,
};
use countersign_types::{
    Amount, AssetId, BundleDigest, ChainId, EffectsText, GenesisHash, PolicyDigest, Tag, TransactionDigest,
    WithdrawalId,
};
use serde_json::Value;
use tonic::{Status, transport::Channel};

/// The two customers of `policies/dev`, and somebody who is on no list.
pub(crate) const CUSTOMER: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
pub(crate) const OTHER_CUSTOMER: &str = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";
pub(crate) const STRANGER: &str = "0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65";

pub(crate) const NETWORK: &str = "eip155:31337";
const ETH: &str = "eip155:31337/slip44:60";
pub(crate) const GAS: u64 = 21_000;
const GWEI: u128 = 1_000_000_000;

pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// What a test asks for: a valid withdrawal, from which it changes one thing.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) reference: String,
    pub(crate) payment: String,
    pub(crate) amount: &'static str,
    pub(crate) to: &'static str,
    pub(crate) nonce: u64,
    pub(crate) max_fee_gwei: u64,
    pub(crate) ceiling_gwei: u64,
    pub(crate) is_template: bool,
    pub(crate) wallet: &'static str,
    pub(crate) tenant: &'static str,
}

/// 1 ETH to a customer: two of the treasury must approve.
pub(crate) fn large(name: &str) -> Ask {
    Ask {
        reference: name.to_owned(),
        payment: format!("payment-{name}"),
        amount: "1",
        to: CUSTOMER,
        nonce: 0,
        max_fee_gwei: 30,
        ceiling_gwei: 60,
        is_template: false,
        wallet: "eth-hot",
        tenant: "main",
    }
}

/// 0.05 ETH to a customer: nobody needs to approve.
pub(crate) fn small(name: &str) -> Ask {
    Ask {
        amount: "0.05",
        ..large(name)
    }
}

impl Ask {
    pub(crate) fn template(self) -> Self {
        Self {
            is_template: true,
            ..self
        }
    }

    pub(crate) fn draft(&self) -> TransferDraft {
        let chain: ChainId = NETWORK.parse().unwrap();
        TransferDraft {
            asset: ETH.parse().unwrap(),
            amount: Amount::parse_decimal(self.amount, 18.try_into().unwrap()).unwrap(),
            destination: countersign_types::Destination::new(&chain, self.to).unwrap(),
            nonce: self.nonce,
            gas_limit: GAS,
            price: GasPrice::Eip1559 {
                max_fee_per_gas: u128::from(self.max_fee_gwei) * GWEI,
                max_priority_fee_per_gas: GWEI,
            },
        }
    }

    pub(crate) fn unsigned(&self) -> Vec<u8> {
        self.draft().encode().unwrap()
    }

    pub(crate) fn body(&self, unsigned: &[u8]) -> Request {
        let draft = self.draft();
        let payment = Payment {
            reference: self.payment.parse().unwrap(),
            subject: None,
            asset: draft.asset,
            amount: draft.amount,
            destination: draft.destination,
        };
        Request {
            tenant: self.tenant.parse().unwrap(),
            reference: self.reference.parse().unwrap(),
            wallet: self.wallet.parse().unwrap(),
            network: NETWORK.parse().unwrap(),
            payments: vec![payment],
            effects: Vec::new(),
            fee_ceiling: FeeCeiling {
                asset: ETH.parse::<AssetId>().unwrap(),
                amount: Amount::from_base_units(GAS * self.ceiling_gwei * 1_000_000_000),
            },
            transaction: if self.is_template {
                TransactionBinding::Template(TemplateKind::EvmNonceAndFee)
            } else {
                TransactionBinding::Exact(TransactionDigest::of(unsigned))
            },
            attributes: BTreeMap::new(),
        }
    }
}

/// A request with its first bytes.
#[derive(Debug, Clone)]
pub(crate) struct Withdrawal {
    pub(crate) id: WithdrawalId,
    pub(crate) request: Envelope,
    pub(crate) body: Request,
    pub(crate) unsigned: Vec<u8>,
}

/// A deployment, the bundle in force, and both listeners of the signer.
pub(crate) struct Scene {
    pub(crate) deployment: Deployment,
    pub(crate) genesis: GenesisHash,
    pub(crate) bundle: Bundle,
    pub(crate) signing: SigningClient<Channel>,
    pub(crate) people: PeopleClient,
}

impl Scene {
    /// Only the signer runs: whoever holds the scene plays the orchestrator.
    pub(crate) async fn with_signer() -> Self {
        let mut deployment = Deployment::init().unwrap();
        deployment.start_signer().await.unwrap();
        Self::of(deployment).await
    }

    /// The same on the keystore for development, wherever this runs.
    pub(crate) async fn with_signer_on_keystore() -> Self {
        let mut deployment = Deployment::init_on(Backend::InsecureDev).unwrap();
        deployment.start_signer().await.unwrap();
        Self::of(deployment).await
    }

    /// Both processes run.
    pub(crate) async fn with_both() -> Self {
        let mut deployment = Deployment::init().unwrap();
        deployment.start().await.unwrap();
        Self::of(deployment).await
    }

    pub(crate) async fn of(deployment: Deployment) -> Self {
        let files = bundle_files(&deployment);
        Self {
            genesis: deployment.genesis().unwrap().hash(),
            bundle: Bundle::load(&files).unwrap(),
            signing: deployment.signing("orchestrator-client").await.unwrap(),
            people: deployment.people("alice").await.unwrap(),
            deployment,
        }
    }

    pub(crate) fn header(&self) -> Header {
        header(self.genesis).unwrap()
    }

    pub(crate) fn person(&self, name: &str) -> Person {
        self.deployment.person(name).unwrap()
    }

    // --- statements ---

    pub(crate) fn withdrawal(&self, ask: &Ask) -> Withdrawal {
        self.withdrawal_with(ask, self.header(), &self.deployment.initiator().unwrap())
    }

    pub(crate) fn withdrawal_with(&self, ask: &Ask, header: Header, signer: &dyn StatementSigner) -> Withdrawal {
        let unsigned = ask.unsigned();
        self.request(ask.body(&unsigned), unsigned, header, signer)
    }

    pub(crate) fn request(
        &self,
        body: Request,
        unsigned: Vec<u8>,
        header: Header,
        signer: &dyn StatementSigner,
    ) -> Withdrawal {
        let statement = Statement {
            header,
            body: Body::Request(Box::new(body.clone())),
        };
        let request = seal(&statement, signer).unwrap();
        Withdrawal {
            id: WithdrawalId::of(request.request_digest().unwrap()),
            request,
            body,
            unsigned,
        }
    }

    /// What an approver signs about these bytes, under the bundle in force.
    pub(crate) fn item(&self, withdrawal: &Withdrawal) -> ApprovalItem {
        ApprovalItem {
            withdrawal: withdrawal.id,
            effects: self.effects(withdrawal),
            fee_ceiling: withdrawal.body.fee_ceiling.clone(),
            policy: self.policy(),
        }
    }

    pub(crate) fn policy(&self) -> PolicyDigest {
        self.bundle.policy_digest()
    }

    fn effects(&self, withdrawal: &Withdrawal) -> EffectsText {
        let registry = self.bundle.registry();
        let body = &withdrawal.body;
        let parsed = registry
            .parse(
                &body.network,
                &body.wallet,
                &withdrawal.unsigned,
                countersign_types::ChainFacts::none(),
            )
            .unwrap();
        let ceiling = (&body.fee_ceiling.asset, body.fee_ceiling.amount);
        EffectsText::render(
            parsed.network(),
            parsed.wallet(),
            parsed.effects(),
            ceiling,
            registry.assets(),
        )
        .unwrap()
    }

    pub(crate) fn approval(&self, person: &str, withdrawal: &Withdrawal) -> Envelope {
        self.approval_by(&self.person(person), self.header(), self.item(withdrawal))
    }

    pub(crate) fn approval_by(&self, person: &Person, header: Header, item: ApprovalItem) -> Envelope {
        person
            .seal(header, Body::Approval(Approval { items: vec![item] }))
            .unwrap()
    }

    pub(crate) fn rejection(&self, person: &str, withdrawal: &Withdrawal) -> Envelope {
        let item = RejectionItem {
            withdrawal: withdrawal.id,
            reason: "not this customer".to_owned(),
        };
        let body = Body::Rejection(Rejection { items: vec![item] });
        self.person(person).seal(self.header(), body).unwrap()
    }

    pub(crate) fn cancel(&self, person: &str, withdrawal: &Withdrawal) -> Envelope {
        let body = Body::Cancel(Cancel {
            withdrawal: withdrawal.id,
            fee_ceiling: None,
            reason: "sent twice".to_owned(),
        });
        self.person(person).seal(self.header(), body).unwrap()
    }

    /// A header that counted until a moment ago.
    pub(crate) fn expired_header(&self) -> Header {
        let now = now_secs().unwrap();
        header_between(self.genesis, now - 7_200, now - 3_600).unwrap()
    }

    // --- the first listener ---

    pub(crate) async fn authorize(&self, withdrawal: &Withdrawal, statements: &[Envelope]) -> Outcome {
        self.try_authorize(withdrawal, statements).await.unwrap()
    }

    pub(crate) async fn try_authorize(
        &self,
        withdrawal: &Withdrawal,
        statements: &[Envelope],
    ) -> Result<Outcome, Status> {
        let mut signing = self.signing.clone();
        let answer = signing.authorize(authorize_request(withdrawal, statements)).await?;
        Ok(answer.into_inner().outcome.expect("an outcome"))
    }

    pub(crate) async fn evaluate(
        &self,
        withdrawal: &Withdrawal,
        statements: &[Envelope],
    ) -> evaluate_response::Outcome {
        let mut signing = self.signing.clone();
        let authorize = Some(authorize_request(withdrawal, statements));
        let answer = signing.evaluate(EvaluateRequest { authorize }).await.unwrap();
        answer.into_inner().outcome.expect("an outcome")
    }

    // --- the log ---

    /// Every entry, through the second listener.
    pub(crate) async fn log(&self) -> Vec<Value> {
        let mut entries = Vec::new();
        loop {
            let page = self.people.entries(entries.len() as u64, 0, 0).await.unwrap().entries;
            if page.is_empty() {
                return entries;
            }
            entries.extend(
                page.iter()
                    .map(|entry| serde_json::from_slice::<Value>(&entry.data).unwrap()),
            );
        }
    }

    /// The `signature/1` entries of a withdrawal.
    pub(crate) async fn signatures(&self, id: &WithdrawalId) -> Vec<Value> {
        let mut entries = self.log().await;
        entries.retain(|entry| entry["type"] == "signature/1" && entry["withdrawal"] == id.to_string());
        entries
    }

    /// No key was used for it: not one signature, and no authorization either.
    pub(crate) async fn assert_unsigned(&self, withdrawal: &Withdrawal) {
        for entry in self.log().await {
            if entry["withdrawal"] == withdrawal.id.to_string() {
                assert_ne!(entry["type"], "signature/1", "{entry}");
                assert_ne!(entry["outcome"], "allowed", "{entry}");
            }
        }
    }

    /// Only what the test changed stood in the way: with what it should have been, the same withdrawal is signed.
    pub(crate) async fn assert_signed_with(&self, withdrawal: &Withdrawal, statements: &[Envelope]) -> Signed {
        let signed = signed(self.authorize(withdrawal, statements).await);
        assert_eq!(self.signatures(&withdrawal.id).await.len(), 1);
        signed
    }

    // --- bundles ---

    /// The bundle in force, changed, as the next version.
    pub(crate) fn next_bundle(&self, change: impl FnOnce(&mut Files)) -> Files {
        self.bundle_as(self.bundle.version() + 1, self.bundle.digest(), change)
    }

    pub(crate) fn bundle_as(&self, version: u64, previous: BundleDigest, change: impl FnOnce(&mut Files)) -> Files {
        let mut files = self.bundle.files().clone();
        files.remove(MANIFEST_PATH);
        change(&mut files);
        let manifest = Manifest::build(version, Some(previous), &files).unwrap();
        files.insert(MANIFEST_PATH.to_owned(), manifest.to_bytes());
        files
    }

    /// What an admin signs to put files in force.
    pub(crate) fn activation(&self, person: &Person, files: &Files) -> Envelope {
        let manifest = Manifest::parse(&files[MANIFEST_PATH]).unwrap();
        let body = Body::Activation(Activation {
            bundle: manifest.digest(),
            version: manifest.version(),
            previous: manifest.previous(),
            not_before: None,
        });
        person.seal(self.header(), body).unwrap()
    }

    pub(crate) async fn activate(&self, files: &Files, statements: &[Envelope]) -> Result<u64, ClientError> {
        let sent = files.iter().map(|(path, data)| BundleFile {
            path: path.clone(),
            data: data.clone(),
        });
        let activated = self.people.activate_bundle(sent.collect(), statements).await?;
        Ok(activated.version)
    }

    /// Two admins put a changed bundle in force.
    pub(crate) async fn amend(&mut self, change: impl FnOnce(&mut Files)) {
        let files = self.next_bundle(change);
        let statements = ["alice", "bob"].map(|admin| self.activation(&self.person(admin), &files));
        let bundle = Bundle::load(&files).unwrap();
        assert_eq!(self.activate(&files, &statements).await.unwrap(), bundle.version());
        self.bundle = bundle;
    }
}

pub(crate) fn bundle_files(deployment: &Deployment) -> Files {
    let folder = deployment.path("bundle");
    let mut files = Files::new();
    for below in ["", "networks"] {
        for entry in fs::read_dir(folder.join(below)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let name = path.strip_prefix(&folder).unwrap().to_str().unwrap().to_owned();
                files.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    files
}

/// Replaces a text of a file that must be there.
pub(crate) fn replace(files: &mut Files, path: &str, from: &str, to: &str) {
    let text = String::from_utf8(files[path].clone()).unwrap();
    assert!(text.contains(from), "{path} has no `{from}`:\n{text}");
    files.insert(path.to_owned(), text.replace(from, to).into_bytes());
}

pub(crate) fn authorize_request(withdrawal: &Withdrawal, statements: &[Envelope]) -> AuthorizeRequest {
    AuthorizeRequest {
        request: Some(fields::statement(withdrawal.request.to_bytes())),
        unsigned_transaction: withdrawal.unsigned.clone(),
        statements: statements
            .iter()
            .map(|envelope| fields::statement(envelope.to_bytes()))
            .collect(),
    }
}

// --- what was answered ---

pub(crate) fn signed(outcome: Outcome) -> Signed {
    match outcome {
        Outcome::Signed(signed) => signed,
        other => panic!("not signed: {other:?}"),
    }
}

pub(crate) fn pending(outcome: Outcome) -> Pending {
    match outcome {
        Outcome::Pending(pending) => pending,
        other => panic!("not pending: {other:?}"),
    }
}

pub(crate) fn denied(outcome: Outcome) -> Denied {
    match outcome {
        Outcome::Denied(denied) => denied,
        other => panic!("not denied: {other:?}"),
    }
}

pub(crate) fn malformed(outcome: Outcome) -> Malformed {
    match outcome {
        Outcome::Malformed(malformed) => malformed,
        other => panic!("not malformed: {other:?}"),
    }
}

/// The tags of reasons, each once.
pub(crate) fn tags(reasons: &[v1::Reason]) -> BTreeSet<&str> {
    reasons.iter().map(|reason| reason.tag.as_str()).collect()
}

/// How many seats of the treasury are filled.
pub(crate) fn filled(pending: &Pending) -> u32 {
    let [missing] = pending.missing.as_slice() else {
        panic!("one group is missing: {pending:?}");
    };
    assert_eq!((missing.group.as_str(), missing.required), ("treasury", 2));
    missing.filled
}

/// The tag of a refusal by status.
pub(crate) fn refused<T: std::fmt::Debug>(result: Result<T, Status>) -> Tag {
    let status = result.unwrap_err();
    errors::tag_of(&status).unwrap_or_else(|| panic!("no tag: {status:?}"))
}

/// The tag of a refusal that a client of ours met.
pub(crate) fn refused_client<T: std::fmt::Debug>(result: Result<T, ClientError>) -> Tag {
    let error = result.unwrap_err();
    error.tag().unwrap_or_else(|| panic!("no tag: {error}"))
}
