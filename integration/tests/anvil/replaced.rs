//! A payment that a real node does not mine, and its replacement: one of the two lands, and the customer is paid once.

use countersign_chains::evm::{GasPrice, TransferDraft};
use countersign_types::Amount;

use super::*;

const GWEI: u128 = 1_000_000_000;

impl Line {
    /// Mines one block whose base fee is this.
    pub(super) fn mine_at(&self, base_fee_gwei: u128) {
        let base_fee = format!("0x{:x}", base_fee_gwei * GWEI);
        self.node.call("anvil_setNextBlockBaseFeePerGas", json!([base_fee]));
        self.node.call("evm_mine", json!([]));
    }

    pub(super) fn approve_and_wait(&self, id: &str) -> Value {
        for person in ["alice", "bob"] {
            self.countersign(&["approvals", "approve", id, "--as", person])
                .expect(0);
        }
        self.countersign(&["withdraw", "show", id, "--wait"]).expect(0)
    }
}

/// The payment of the test under nonce 0, with another amount.
pub(super) fn bytes(amount: u128) -> Vec<u8> {
    let draft = TransferDraft {
        asset: format!("{NETWORK}/slip44:60").parse().unwrap(),
        amount: Amount::from(amount),
        destination: format!("{NETWORK}:{CUSTOMER}").parse().unwrap(),
        nonce: 0,
        gas_limit: 21_000,
        price: GasPrice::Eip1559 {
            max_fee_per_gas: 30 * GWEI,
            max_priority_fee_per_gas: GWEI,
        },
    };
    draft.encode().unwrap()
}

/// 1 ETH to the customer, whose price may be raised.
pub(super) fn submit_template(reference: &str) -> [&str; 14] {
    [
        "withdraw",
        "submit",
        "--wallet",
        "eth-hot",
        "--network",
        NETWORK,
        "--reference",
        reference,
        "--amount",
        "1 ETH",
        "--to",
        CUSTOMER,
        "--template",
        "--wait",
    ]
}

pub(super) fn tags(shown: &Value) -> Vec<&str> {
    let reasons = shown["reasons"].as_array().unwrap();
    reasons.iter().map(|reason| reason["tag"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_stuck_payment_is_replaced_and_lands_once() {
    let Some(program) = node::find() else { return };
    let line = Line::start(Node::start(&program)).await;
    let value = format!("0x{:x}", 10 * ETHER);
    line.node
        .send(json!({ "from": DEPLOYER, "to": line.wallet, "value": value }));
    line.node.call("evm_setAutomine", json!([false]));
    let before = line.node.balance(CUSTOMER);

    let pending = line.countersign(&submit_template("stuck")).expect(4);
    let id = pending["id"].as_str().unwrap().to_owned();
    let signed = line.approve_and_wait(&id);
    let first = signed["attempts"][0].clone();
    let text = |attempt: &Value, field: &str| attempt[field].as_str().unwrap().to_owned();
    line.node
        .call("eth_sendRawTransaction", json!([text(&first, "signed_transaction")]));
    line.mine_at(40);
    let receipt = |txid: &str| line.node.call("eth_getTransactionReceipt", json!([txid]));
    assert!(
        receipt(&text(&first, "txid")).is_null(),
        "30 gwei do not buy a block of 40"
    );

    // Another payment is no replacement, whoever sends it: here, and where the signer decides.
    let other = line.deployment.path("other.tx");
    fs::write(&other, bytes(2 * ETHER)).unwrap();
    let refused = line.countersign(&["withdraw", "replace", &id, "--tx", other.to_str().unwrap(), "--wait"]);
    assert_eq!(refused.code, 5, "{}", refused.error);
    assert!(refused.error.contains("request/payments-mismatch"), "{}", refused.error);
    let client = line.deployment.client("pipeline").await.unwrap();
    let parsed_id = id.parse().unwrap();
    client.add_attempt(&parsed_id, &bytes(2 * ETHER)).await.unwrap();
    let told = line.countersign(&["withdraw", "show", &id, "--wait"]).expect(0);
    assert_eq!(
        (&told["state"], tags(&told)),
        (&json!("signed"), vec!["request/payments-mismatch"])
    );

    // A higher price is over the ceiling that was approved.
    let bump = ["withdraw", "replace", &id, "--max-fee", "60 gwei", "--wait"];
    let denied = line.countersign(&bump).expect(3);
    assert_eq!(
        (&denied["state"], tags(&denied)),
        (&json!("signed"), vec!["request/fee-over-ceiling"])
    );
    let raise = ["--fee-ceiling", "0.0015 ETH", "--reason", "stuck"];
    // Nobody but the initiator and officers raises it.
    let refused = line.countersign(&[&bump[..], &raise, &["--as", "alice"]].concat());
    assert_eq!(refused.code, 5, "{}", refused.error);
    assert!(refused.error.contains("statement/not-permitted"), "{}", refused.error);
    let waiting = line.countersign(&[&bump[..], &raise].concat()).expect(4);
    assert_eq!(waiting["state"], "replacing");
    assert_eq!(
        waiting["missing"],
        json!([{ "group": "treasury", "required": 2, "filled": 0 }]),
        "what was approved under the old ceiling does not count: {waiting}"
    );
    let again = line.countersign(&[&bump[..], &raise].concat()).expect(4);
    assert_eq!(
        again["attempts"].as_array().unwrap().len(),
        3,
        "the same command is the same replacement"
    );
    // An officer raises it further, for the same bytes.
    let officer = [
        "--as",
        "dave",
        "--fee-ceiling",
        "0.002 ETH",
        "--reason",
        "stuck behind 40 gwei",
    ];
    let waiting = line.countersign(&[&bump[..], &officer].concat()).expect(4);
    assert_eq!(waiting["attempts"].as_array().unwrap().len(), 3, "{waiting}");

    let listed = line
        .countersign(&["withdraw", "list", "--state", "replacing"])
        .expect(0);
    assert_eq!(listed["withdrawals"][0]["id"], json!(id), "{listed}");
    let none = line.countersign(&["withdraw", "list", "--state", "frozen"]).expect(0);
    assert_eq!(none["withdrawals"], json!([]));

    // Approvers see old and new, and sign the new one.
    let inbox = line.countersign(&["approvals", "list", "--as", "alice"]).expect(0);
    let ceiling = &inbox["pending"][0]["fee_ceiling"];
    assert_eq!(ceiling["shown"], "0.002 ETH", "{inbox}");
    assert_eq!(ceiling["raised"]["from_shown"], "0.00063 ETH");
    assert_eq!(ceiling["raised"]["reason"], "stuck behind 40 gwei");
    let signed = line.approve_and_wait(&id);
    assert_eq!(signed["state"], "signed", "{signed}");
    let replacement = signed["attempts"][2].clone();

    let (raw, txid) = (text(&replacement, "signed_transaction"), text(&replacement, "txid"));
    assert_eq!(line.node.call("eth_sendRawTransaction", json!([raw])), txid);
    line.mine_at(40);
    line.node.mined(&txid);
    assert!(receipt(&text(&first, "txid")).is_null());
    line.mine_at(1);
    assert!(receipt(&text(&first, "txid")).is_null(), "it never lands");
    assert_eq!(line.node.balance(CUSTOMER), before + ETHER, "paid once");
    line.verify(&id, &txid);
}
