//! A deployment as `init --attest` makes it: two price sources and a desk that screens payments and keeps the address book.

use std::{
    fs,
    process::Output,
    sync::atomic::{AtomicU32, Ordering},
};

use countersign_bundle::MANIFEST_PATH;
use countersign_integration::Deployment;
use serde_json::{Value, json};

pub(crate) const NETWORK: &str = "eip155:31337";
pub(crate) const ETH: &str = "eip155:31337/slip44:60";
/// On no list.
pub(crate) const CUSTOMER: &str = "0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65";

const POLICY: &str = r#"schema: countersign.policy/1
permits:
  - id: customer-payouts
    effects: [transfer]
    initiators: [payout-service]
    wallets: [eth-hot]
    assets: [ETH]
    to: { address-book: desk }
    total: { max: { USD: "50000 USD" } }
  - { id: network-fees, effects: [fee], wallets: [eth-hot], fee: { max: "0.05 ETH" } }
requires:
  - id: tier-1
    when: { effects: [transfer], total: { over: { USD: "1000 USD" } } }
    approvals: { treasury: 2 }
  - id: screening
    when: { effects: [transfer] }
    attestations: [{ kind: sanctions, by: desk, max-age: 15m }]
limits: []
forbids:
  - { id: no-code-or-authority, when: { effects: [code-change, authority-change, delayed-authorization, opaque] } }
"#;

pub(crate) struct Desk {
    deployment: Deployment,
    files: AtomicU32,
}

/// What the command line said.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: Value,
    pub(crate) error: String,
}

impl Said {
    fn of(output: &Output) -> Self {
        Self {
            code: output.status.code().unwrap(),
            out: serde_json::from_slice(&output.stdout).unwrap_or_default(),
            error: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    pub(crate) fn expect(self, code: i32) -> Value {
        assert_eq!(self.code, code, "{}\n{}", self.out, self.error);
        self.out
    }
}

impl Desk {
    pub(crate) async fn start() -> Self {
        let mut deployment = Deployment::init_attesting().unwrap();
        extend(&deployment);
        deployment.start_signer().await.unwrap();
        let desk = Self {
            deployment,
            files: AtomicU32::new(0),
        };
        desk.activate();
        desk.with_orchestrator().await
    }

    async fn with_orchestrator(mut self) -> Self {
        self.deployment.start_orchestrator().await.unwrap();
        self
    }

    fn activate(&self) {
        let keys = ["alice", "bob"].map(|admin| self.deployment.path(&format!("people/{admin}/id_ed25519")));
        let folder = self.deployment.path("bundle");
        let [files, alice, bob] = [&folder, &keys[0], &keys[1]].map(|path| path.to_str().unwrap());
        self.countersign(&[
            "bundle", "activate", "--as", "alice", "--files", files, "--key", alice, "--key", bob,
        ])
        .expect(0);
    }

    pub(crate) fn countersign(&self, arguments: &[&str]) -> Said {
        let arguments = [arguments, &["--output", "json"]].concat();
        Said::of(&self.deployment.countersign(arguments, true).unwrap())
    }

    fn new_file(&self) -> String {
        let n = self.files.fetch_add(1, Ordering::SeqCst);
        let path = self.deployment.path(&format!("said-{n}.json"));
        path.to_str().unwrap().to_owned()
    }

    /// Signs an attestation: its file.
    pub(crate) fn attest(&self, by: &str, said: &[&str]) -> String {
        let file = self.new_file();
        let fixed = ["--as", by, "--out", &file];
        self.countersign(&[&["attest"][..], said, &fixed].concat()).expect(0);
        file
    }

    /// Brings an attestation to a withdrawal.
    pub(crate) fn bring(&self, by: &str, id: &str, file: &str) {
        self.countersign(&["attest", "submit", id, file, "--as", by]).expect(0);
    }

    /// Submits one ether to the customer: the withdrawal.
    pub(crate) fn submit(&self, reference: &str) -> String {
        let asked = [
            "withdraw",
            "submit",
            "--wallet",
            "eth-hot",
            "--network",
            NETWORK,
            "--to",
            CUSTOMER,
            "--amount",
            "1 ETH",
            "--subject",
            "customer-1",
            "--reference",
            reference,
        ];
        let submitted = self.countersign(&asked).expect(0);
        submitted["id"].as_str().unwrap().to_owned()
    }

    /// Needs the receipt and the trust root, and nothing of the deployment.
    pub(crate) fn verify(&self, id: &str, txid: &str) {
        let file = self.new_file();
        self.countersign(&["receipt", id, "--out", &file]).expect(0);
        let root = self.deployment.path("genesis.json");
        let root = root.to_str().unwrap();
        let arguments = ["audit", "verify", &file, "--trust-root", root, "--output", "json"];
        let verified = Said::of(&self.deployment.countersign(arguments, false).unwrap()).expect(0);
        assert_eq!((&verified["withdrawal"], &verified["txid"]), (&json!(id), &json!(txid)));
    }
}

/// The bundle that `init --attest` made, with a policy that asks for its attesters, as its next version.
fn extend(deployment: &Deployment) {
    let folder = deployment.path("bundle");
    fs::write(folder.join("policy.yaml"), POLICY).unwrap();
    fs::remove_file(folder.join(MANIFEST_PATH)).unwrap();
}
