//! The whole line against a real EVM node: submitted and approved with the command line, signed by the token, mined by anvil.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "tests fail by panicking"
)]

mod cancelled;
mod node;
mod replaced;

use std::{collections::BTreeMap, fs, process::Output};

use countersign_bundle::Bundle;
use countersign_integration::Deployment;
use node::{Node, quantity, word};
use serde_json::{Value, json};

const NETWORK: &str = "eip155:31337";
const DEPLOYER: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
/// The asset DEMO of `policies/dev`.
const TOKEN: &str = "0x5FbDB2315678afecb367f032d93F642f64180aa3";
const CUSTOMER: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
const OTHER_CUSTOMER: &str = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";
const STRANGER: &str = "0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65";
const ETHER: u128 = 1_000_000_000_000_000_000;
const DEMO: u128 = 1_000_000;

/// Creation code of `contracts/Demo.sol`; `contracts/README.md` says how it was compiled.
const TOKEN_CODE: &str = include_str!("../../contracts/Demo.hex");

/// A deployment and a chain.
struct Line {
    deployment: Deployment,
    node: Node,
    wallet: String,
}

/// What the command line said.
struct Said {
    code: i32,
    out: Value,
    error: String,
}

impl Said {
    fn of(output: &Output) -> Self {
        let out = String::from_utf8(output.stdout.clone()).unwrap();
        Self {
            code: output.status.code().unwrap(),
            out: serde_json::from_str(&out).unwrap_or_default(),
            error: String::from_utf8(output.stderr.clone()).unwrap(),
        }
    }

    fn expect(self, code: i32) -> Value {
        assert_eq!(self.code, code, "{}\n{}", self.out, self.error);
        self.out
    }
}

impl Line {
    async fn start(node: Node) -> Self {
        let mut deployment = Deployment::init().unwrap();
        deployment.start().await.unwrap();
        let wallet = wallet_of(&deployment);
        Self {
            deployment,
            node,
            wallet,
        }
    }

    /// The token lands where the bundle expects it; the wallet gets 10 ETH and 5 000 DEMO.
    fn fund(&self) {
        let code = format!("0x{}", TOKEN_CODE.trim());
        let deployed = self.node.send(json!({ "from": DEPLOYER, "data": code }));
        let address = deployed["contractAddress"].as_str().unwrap();
        assert!(address.eq_ignore_ascii_case(TOKEN), "{address}");
        let value = format!("0x{:x}", 10 * ETHER);
        self.node
            .send(json!({ "from": DEPLOYER, "to": self.wallet, "value": value }));
        let data = format!("0xa9059cbb{}{:064x}", word(&self.wallet), 5_000 * DEMO);
        self.node.send(json!({ "from": DEPLOYER, "to": TOKEN, "data": data }));
        assert_eq!(self.node.balance(&self.wallet), 10 * ETHER);
        assert_eq!(self.node.token_balance(TOKEN, &self.wallet), 5_000 * DEMO);
    }

    fn countersign(&self, arguments: &[&str]) -> Said {
        let arguments = [arguments, &["--output", "json"]].concat();
        Said::of(&self.deployment.countersign(arguments, true).unwrap())
    }

    fn submit(&self, reference: &str, amount: &str, to: &str) -> Said {
        self.countersign(&[
            "withdraw",
            "submit",
            "--wallet",
            "eth-hot",
            "--network",
            NETWORK,
            "--reference",
            reference,
            "--amount",
            amount,
            "--to",
            to,
            "--wait",
        ])
    }

    /// Submitted, pending, approved 2-of-3, signed: the id, the raw transaction and its id as we tell it.
    fn sign(&self, reference: &str, amount: &str, to: &str) -> (String, String, String) {
        let pending = self.submit(reference, amount, to).expect(4);
        assert_eq!(pending["state"], "pending-approval");
        assert_eq!(
            pending["missing"],
            json!([{ "group": "treasury", "required": 2, "filled": 0 }])
        );
        let id = pending["id"].as_str().unwrap().to_owned();
        for person in ["alice", "bob"] {
            self.countersign(&["approvals", "approve", &id, "--as", person])
                .expect(0);
        }
        let signed = self.countersign(&["withdraw", "show", &id, "--wait"]).expect(0);
        assert_eq!(signed["state"], "signed", "{signed}");
        let attempt = &signed["attempts"][0];
        let text = |field: &str| attempt[field].as_str().unwrap().to_owned();
        (id, text("signed_transaction"), text("txid"))
    }

    /// Broadcasts; the node gives it our id, mines it, and takes exactly one fee from the wallet: returned in wei.
    fn broadcast(&self, raw: &str, txid: &str) -> u128 {
        let found = self.node.call("eth_sendRawTransaction", json!([raw]));
        assert_eq!(found, txid);
        let receipt = self.node.mined(txid);
        assert!(receipt["from"].as_str().unwrap().eq_ignore_ascii_case(&self.wallet));
        quantity(&receipt["gasUsed"]) * quantity(&receipt["effectiveGasPrice"])
    }

    /// The receipt verifies offline, and one with another transaction id does not.
    fn verify(&self, id: &str, txid: &str) {
        let file = self.deployment.path("receipt.json");
        let file = file.to_str().unwrap();
        self.countersign(&["receipt", id, "--out", file]).expect(0);
        let verified = self.verify_file(file).expect(0);
        assert_eq!(verified["withdrawal"], id);
        assert_eq!(verified["txid"], txid);
        assert_eq!(verified["decision"]["outcome"], "allowed");
        let receipt = fs::read_to_string(file).unwrap();
        let other = format!("0x{:064x}", 1);
        let forged = receipt.replace(txid, &other);
        assert_ne!(forged, receipt);
        fs::write(file, forged).unwrap();
        let refused = self.verify_file(file);
        assert_eq!(refused.code, 6, "{}", refused.error);
        assert!(refused.error.contains("receipt/invalid"), "{}", refused.error);
    }

    /// Needs the receipt and the trust root, and nothing of the deployment.
    fn verify_file(&self, file: &str) -> Said {
        let root = self.deployment.path("genesis.json");
        let root = root.to_str().unwrap();
        let arguments = ["audit", "verify", file, "--trust-root", root, "--output", "json"];
        Said::of(&self.deployment.countersign(arguments, false).unwrap())
    }
}

/// The account of the key that was generated inside the token.
fn wallet_of(deployment: &Deployment) -> String {
    let read = |path: &str| {
        let data = fs::read(deployment.path("bundle").join(path)).unwrap();
        (path.to_owned(), data)
    };
    let files: BTreeMap<String, Vec<u8>> = [
        "manifest.json",
        "roster.yaml",
        "wallets.yaml",
        "assets.yaml",
        "destinations.yaml",
        "policy.yaml",
        "networks/dev.yaml",
    ]
    .map(read)
    .into();
    let bundle = Bundle::load(&files).unwrap();
    let (network, wallet) = (NETWORK.parse().unwrap(), "eth-hot".parse().unwrap());
    let destination = bundle.registry().wallet_destination(&network, &wallet).unwrap();
    destination.address().to_owned()
}

#[tokio::test]
async fn signed_withdrawals_are_mined_and_balances_move() {
    let Some(program) = node::find() else { return };
    let line = Line::start(Node::start(&program)).await;
    line.fund();

    let before = line.node.balance(CUSTOMER);
    let (eth, raw, txid) = line.sign("eth-1", "1.5 ETH", CUSTOMER);
    let fee = line.broadcast(&raw, &txid);
    assert_eq!(line.node.balance(CUSTOMER), before + ETHER * 3 / 2);
    assert_eq!(line.node.balance(&line.wallet), 10 * ETHER - ETHER * 3 / 2 - fee);
    line.verify(&eth, &txid);
    // A second broadcast of the same bytes pays nobody twice.
    line.node.try_call("eth_sendRawTransaction", json!([raw])).unwrap_err();

    let wei = line.node.balance(&line.wallet);
    let (token, raw, txid) = line.sign("token-1", "2500 DEMO", OTHER_CUSTOMER);
    let fee = line.broadcast(&raw, &txid);
    assert_eq!(line.node.token_balance(TOKEN, OTHER_CUSTOMER), 2_500 * DEMO);
    assert_eq!(line.node.token_balance(TOKEN, &line.wallet), 2_500 * DEMO);
    assert_eq!(line.node.balance(&line.wallet), wei - fee);
    line.verify(&token, &txid);

    let denied = line.submit("stranger-1", "1 ETH", STRANGER).expect(3);
    assert_eq!(denied["reasons"][0]["tag"], "permit/uncovered", "{denied}");
    assert_eq!(denied["attempts"][0]["signed_transaction"], Value::Null);
    let nonce = line
        .node
        .call("eth_getTransactionCount", json!([line.wallet, "latest"]));
    assert_eq!(nonce, "0x2");
}
