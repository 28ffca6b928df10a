//! A deployment whose policy knows a Bitcoin and a Solana wallet, and what its command line says.

use std::{fs, path::Path, process::Output};

use countersign_bundle::MANIFEST_PATH;
use countersign_integration::{Deployment, workspace_root};
use serde_json::{Value, json};

use crate::solana::nonce_account;

pub(crate) const EVM: &str = "eip155:31337";
pub(crate) const BITCOIN: &str = "bip122:0f9188f13cb7b2c71f2a335e3a4fc328";
pub(crate) const SOLANA: &str = "solana:localnet";
/// The Bitcoin customer: the P2WPKH address of BIP 173's examples, as regtest writes it.
pub(crate) const BITCOIN_CUSTOMER: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
/// The Solana customer: the recipient in the vectors of `chains/solana`.
pub(crate) const SOLANA_CUSTOMER: &str = "F25s3DdjXdCxYBhh2z8FBusVEMT4b9bGNFVKJi3wFoF4";

/// Two of the treasury for every payment and message of the new wallets; their fees are theirs.
const PERMITS: &str = r#"permits:
  - { id: messages, effects: [personal-message], initiators: [payout-service], wallets: [eth-notary] }
  - id: payouts-of-other-families
    effects: [transfer]
    initiators: [payout-service]
    wallets: [btc-hot, sol-hot]
    assets: [RBTC, SOL]
    to: { list: customers }
  - { id: fees-of-other-families, effects: [fee], wallets: [btc-hot, sol-hot, eth-notary] }
  - { id: durable-nonces, effects: [delayed-authorization], wallets: [sol-hot], to: { list: nonce-accounts } }
  - { id: back-on-solana, effects: [internal], wallets: [sol-hot], assets: [SOL], to: { own: [sol-hot] } }
"#;
/// What `dev` forbids everywhere, for all wallets but that of Solana.
const DELAYED: [&str; 2] = [
    "delayed-authorization, opaque] }\n",
    "opaque] }\n  - { id: delayed-elsewhere, when: { effects: [delayed-authorization], wallets: [eth-hot, btc-hot, eth-notary] } }\n",
];
const REQUIRES: &str = r#"requires:
  - id: two-for-other-families
    when: { effects: [transfer, personal-message], wallets: [btc-hot, sol-hot, eth-notary] }
    approvals: { treasury: 2 }
"#;

/// A deployment with both processes running, and the public keys of the new wallets.
pub(crate) struct Line {
    pub(crate) deployment: Deployment,
    pub(crate) bitcoin_key: Vec<u8>,
    pub(crate) solana_key: [u8; 32],
    /// Of the wallet that signs messages.
    pub(crate) notary_key: Vec<u8>,
    /// Of the wallet that `init` made.
    pub(crate) evm_key: Vec<u8>,
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

impl Line {
    pub(crate) async fn start() -> Self {
        let mut deployment = Deployment::init_observing(SOLANA).unwrap();
        let bitcoin = deployment.generate_key("btc-hot", "secp256k1").unwrap();
        let solana = deployment.generate_key("sol-hot", "ed25519").unwrap();
        let notary = deployment.generate_key("eth-notary", "secp256k1").unwrap();
        deployment
            .open_keys(&[bitcoin.clone(), solana.clone(), notary.clone()])
            .unwrap();
        let folder = deployment.path("bundle");
        let evm_key = first_key(&fs::read_to_string(folder.join("wallets.yaml")).unwrap());
        extend_bundle(
            &folder,
            [
                ("btc-hot", &bitcoin, BITCOIN),
                ("sol-hot", &solana, SOLANA),
                ("eth-notary", &notary, EVM),
            ],
        );
        deployment.start_signer().await.unwrap();
        let line = Self {
            deployment,
            bitcoin_key: key_bytes(&bitcoin),
            solana_key: key_bytes(&solana).try_into().unwrap(),
            notary_key: key_bytes(&notary),
            evm_key,
        };
        line.activate();
        line.with_orchestrator().await
    }

    async fn with_orchestrator(mut self) -> Self {
        self.deployment.start_orchestrator().await.unwrap();
        self
    }

    /// The next version of the bundle, by two admins.
    fn activate(&self) {
        let folder = self.deployment.path("bundle");
        let keys = ["alice", "bob"].map(|admin| self.deployment.path(&format!("people/{admin}/id_ed25519")));
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

    /// Writes bytes to a file of the deployment.
    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.deployment.path(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }

    pub(crate) fn submit(&self, wallet: &str, network: &str, reference: &str, given: &[&str]) -> Said {
        let fixed = [
            "withdraw",
            "submit",
            "--wait",
            "--wallet",
            wallet,
            "--network",
            network,
            "--reference",
            reference,
        ];
        self.countersign(&[&fixed, given].concat())
    }

    /// Submitted, pending, approved 2-of-3, signed, and its receipt verified offline: the raw transaction and its id.
    pub(crate) fn sign(&self, wallet: &str, network: &str, reference: &str, given: [&str; 2]) -> (Vec<u8>, String) {
        let pending = self.submit(wallet, network, reference, &given).expect(4);
        self.approve(&pending)
    }

    /// The rest of [`Self::sign`], from pending on.
    pub(crate) fn approve(&self, pending: &Value) -> (Vec<u8>, String) {
        assert_eq!(
            pending["missing"],
            json!([{ "group": "treasury", "required": 2, "filled": 0 }])
        );
        let id = pending["id"].as_str().unwrap();
        for person in ["alice", "bob"] {
            self.countersign(&["approvals", "approve", id, "--as", person])
                .expect(0);
        }
        let signed = self.countersign(&["withdraw", "show", id, "--wait"]).expect(0);
        assert_eq!(signed["state"], "signed", "{signed}");
        let text = |field: &str| signed["attempts"][0][field].as_str().unwrap();
        let txid = text("txid").to_owned();
        self.verify(id, &txid);
        let raw = text("signed_transaction").strip_prefix("0x").unwrap();
        (hex::decode(raw).unwrap(), txid)
    }

    /// Signs facts with an observer's key and brings them to a withdrawal with the observer's certificate.
    pub(crate) fn observe(&self, observer: &str, network: &str, withdrawal: &str, facts: &Value) {
        let name = format!("{observer}-{withdrawal}");
        let file = self.file(&format!("{name}.facts"), facts.to_string().as_bytes());
        let out = self.deployment.path(&format!("{name}.json"));
        let out = out.to_str().unwrap();
        // The count never goes down; that it stays is no step back.
        let fixed = ["--network", network, "--height", "311", "--sequence", "1"];
        let sign = ["observe", "sign", "--as", observer, "--facts", &file, "--out", out];
        self.countersign(&[&sign[..], &fixed].concat()).expect(0);
        self.countersign(&["observe", "submit", withdrawal, out, "--as", observer])
            .expect(0);
    }

    /// The withdrawal as soon as it is so: an observation is stored at once, and judged soon after.
    pub(crate) fn until(&self, id: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..300 {
            let shown = self.countersign(&["withdraw", "show", id]).out;
            if is_so(&shown) {
                return shown;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        panic!(
            "nothing came of `{id}`: {}",
            self.countersign(&["withdraw", "show", id]).out
        )
    }

    /// Denied, with this tag among the reasons; nothing was signed.
    pub(crate) fn deny(&self, said: Said, tag: &str) -> Value {
        let denied = said.expect(3);
        let tags: Vec<_> = denied["reasons"]
            .as_array()
            .unwrap()
            .iter()
            .map(|reason| &reason["tag"])
            .collect();
        assert!(tags.iter().any(|found| **found == tag), "{tag} in {denied}");
        assert_eq!(denied["attempts"][0]["signed_transaction"], Value::Null);
        denied
    }

    /// A replacement is denied with this tag, and what was signed stays signed.
    pub(crate) fn deny_later(&self, said: Said, tag: &str) {
        let denied = said.expect(3);
        assert_eq!(denied["reasons"][0]["tag"], tag, "{denied}");
        assert_eq!(denied["state"], "signed", "{denied}");
        assert_ne!(denied["attempts"][0]["signed_transaction"], Value::Null);
    }

    /// Needs the receipt and the trust root, and nothing of the deployment.
    pub(crate) fn verify(&self, id: &str, txid: &str) {
        let file = self.file("receipt.json", b"");
        self.countersign(&["receipt", id, "--out", &file]).expect(0);
        let root = self.deployment.path("genesis.json");
        let arguments = [
            "audit",
            "verify",
            &file,
            "--trust-root",
            root.to_str().unwrap(),
            "--output",
            "json",
        ];
        let verified = Said::of(&self.deployment.countersign(arguments, false).unwrap()).expect(0);
        assert_eq!((&verified["withdrawal"], &verified["txid"]), (&json!(id), &json!(txid)));
    }
}

/// The bundle that `init` made, with both networks, wallets, customers, and rules for them, as its next version.
fn extend_bundle(folder: &Path, wallets: [(&str, &String, &str); 3]) {
    let wallet = |(id, key, network): (&str, &String, &str)| {
        format!(
            "  - id: {id}\n    tier: hot\n    keys: [\"{key}\"]\n    networks: [{{ chain: \"{network}\", first-nonce: 0 }}]\n"
        )
    };
    change(folder, "wallets.yaml", |yaml| {
        let more: String = wallets.map(wallet).concat();
        format!("{}\n{more}", yaml.trim_end())
    });
    change(folder, "destinations.yaml", |yaml| {
        format!(
            "{}\n      - {{ name: Bitcoin customer, address: \"{BITCOIN}:{BITCOIN_CUSTOMER}\" }}\n      \
             - {{ name: Solana customer, address: \"{SOLANA}:{SOLANA_CUSTOMER}\" }}\n  - id: nonce-accounts\n    entries:\n      \
             - {{ name: Of sol-hot, address: \"{SOLANA}:{}\" }}\n",
            yaml.trim_end(),
            nonce_account()
        )
    });
    change(folder, "policy.yaml", |yaml| {
        assert!(yaml.contains("permits:\n") && yaml.contains("requires:\n"), "{yaml}");
        let [forbidden, elsewhere] = DELAYED;
        assert!(yaml.contains(forbidden), "{yaml}");
        yaml.replacen(forbidden, elsewhere, 1)
            .replacen("permits:\n", PERMITS, 1)
            .replacen("requires:\n", REQUIRES, 1)
    });
    for (from, to) in [
        ("bitcoin/networks/regtest.yaml", "regtest.yaml"),
        ("solana/networks/dev.yaml", "solana.yaml"),
    ] {
        fs::copy(
            workspace_root().join("chains").join(from),
            folder.join("networks").join(to),
        )
        .unwrap();
    }
    fs::remove_file(folder.join(MANIFEST_PATH)).unwrap();
}

fn change(folder: &Path, file: &str, to: impl FnOnce(&str) -> String) {
    let path = folder.join(file);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(path, to(&text)).unwrap();
}

/// The first key of `wallets.yaml`.
fn first_key(yaml: &str) -> Vec<u8> {
    let (_, behind) = yaml.split_once("secp256k1:").unwrap();
    hex::decode(behind.get(..66).unwrap()).unwrap()
}

/// The bytes behind `secp256k1:` or `ed25519:`.
fn key_bytes(text: &str) -> Vec<u8> {
    hex::decode(text.split_once(':').unwrap().1).unwrap()
}
