//! A payment that a real node does not mine, and the cancel attempt that takes its place: nobody is paid.

use super::{replaced::submit_template, *};

impl Line {
    /// Signed, broadcast at a price that no block takes: the withdrawal and its attempt.
    fn stuck(&self, reference: &str) -> (String, Value) {
        let value = format!("0x{:x}", 10 * ETHER);
        self.node
            .send(json!({ "from": DEPLOYER, "to": self.wallet, "value": value }));
        self.node.call("evm_setAutomine", json!([false]));
        let pending = self.countersign(&submit_template(reference)).expect(4);
        let id = pending["id"].as_str().unwrap().to_owned();
        let signed = self.approve_and_wait(&id);
        let payment = signed["attempts"][0].clone();
        assert_eq!(payment["cancels"], false);
        self.broadcast_unmined(&payment);
        self.mine_at(40);
        assert!(self.receipt(&payment).is_null(), "30 gwei do not buy a block of 40");
        (id, payment)
    }

    fn broadcast_unmined(&self, attempt: &Value) {
        let found = self
            .node
            .call("eth_sendRawTransaction", json!([attempt["signed_transaction"]]));
        assert_eq!(found, attempt["txid"]);
    }

    fn receipt(&self, attempt: &Value) -> Value {
        self.node.call("eth_getTransactionReceipt", json!([attempt["txid"]]))
    }

    /// It lands, the payment never does, and the nonce was used once.
    fn assert_lands_alone(&self, attempt: &Value, payment: &Value, paid_before: u128) {
        let had = self.node.balance(&self.wallet);
        self.broadcast_unmined(attempt);
        self.mine_at(40);
        let receipt = self.node.mined(attempt["txid"].as_str().unwrap());
        let fee = quantity(&receipt["gasUsed"]) * quantity(&receipt["effectiveGasPrice"]);
        self.mine_at(1);
        assert!(self.receipt(payment).is_null(), "it never lands");
        assert_eq!(self.node.balance(CUSTOMER), paid_before, "nobody is paid");
        assert_eq!(
            self.node.balance(&self.wallet),
            had - fee,
            "and nothing but the fee is gone"
        );
        let nonce = self
            .node
            .call("eth_getTransactionCount", json!([self.wallet, "latest"]));
        assert_eq!(nonce, "0x1");
    }
}

#[tokio::test]
async fn a_stuck_payment_is_cancelled_and_pays_nobody() {
    let Some(program) = node::find() else { return };
    let line = Line::start(Node::start(&program)).await;
    let before = line.node.balance(CUSTOMER);
    let (id, payment) = line.stuck("stuck");

    // A cancel alone comes too late.
    let alone = line.countersign(&["withdraw", "cancel", &id]);
    assert_eq!(alone.code, 1, "{}", alone.error);
    assert!(alone.error.contains("withdrawal/wrong-state"), "{}", alone.error);
    // Somebody is paid, or the ceiling does not cover the fee: nothing is signed.
    let file = line.deployment.path("other.tx");
    fs::write(&file, replaced::bytes(1)).unwrap();
    let paying = ["--tx", file.to_str().unwrap(), "--fee-ceiling", "1 ETH"];
    let refused = line.countersign(&[&["withdraw", "cancel", &id][..], &paying].concat());
    assert_eq!(refused.code, 5, "{}", refused.error);
    assert!(refused.error.contains("request/payments-mismatch"), "{}", refused.error);
    let cancel = [
        "withdraw",
        "cancel",
        &id,
        "--max-fee",
        "60 gwei",
        "--reason",
        "wrong address",
    ];
    let short = line.countersign(&[&cancel[..], &["--fee-ceiling", "0.001 ETH"]].concat());
    assert_eq!(short.code, 5, "{}", short.error);
    assert!(short.error.contains("request/fee-over-ceiling"), "{}", short.error);
    let shown = line.countersign(&["withdraw", "show", &id]).expect(0);
    assert_eq!(shown["attempts"].as_array().unwrap().len(), 1, "{shown}");

    let whole = [&cancel[..], &["--fee-ceiling", "0.0015 ETH", "--wait"]].concat();
    let signed = line.countersign(&whole).expect(0);
    assert_eq!(signed["state"], "signed", "{signed}");
    let attempt = signed["attempts"][1].clone();
    assert_eq!(attempt["cancels"], true);
    let again = line.countersign(&whole).expect(0);
    assert_eq!(again, signed, "the same command is the same cancel attempt");
    let text = line.deployment.countersign(["withdraw", "show", &id], true).unwrap();
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("may land    the payment or the cancel attempt"), "{text}");

    line.assert_lands_alone(&attempt, &payment, before);
    line.verify(&id, attempt["txid"].as_str().unwrap());
    // The pipeline's automatic bump comes too late.
    let late = line.countersign(&[
        "withdraw",
        "replace",
        &id,
        "--max-fee",
        "25 gwei",
        "--nonce",
        "0",
        "--wait",
    ]);
    assert_eq!(replaced::tags(&late.expect(3)), ["withdrawal/cancelled"]);
    // The next payment has the next nonce.
    let (_, raw, txid) = line.sign("next", "1 ETH", CUSTOMER);
    assert_eq!(line.node.call("eth_sendRawTransaction", json!([raw])), txid);
    line.mine_at(1);
    line.node.mined(&txid);
    assert_eq!(line.node.balance(CUSTOMER), before + ETHER);
}

/// With the signer's acknowledgement, and beside what was signed before.
#[tokio::test]
async fn an_officer_cancels_what_is_stuck() {
    let Some(program) = node::find() else { return };
    let line = Line::start(Node::start(&program)).await;
    let before = line.node.balance(CUSTOMER);
    let (id, payment) = line.stuck("stuck");
    let cancel = [
        "withdraw",
        "cancel",
        &id,
        "--max-fee",
        "60 gwei",
        "--fee-ceiling",
        "0.0015 ETH",
        "--wait",
        "--as",
    ];
    // Nobody but the initiator and officers.
    let refused = line.countersign(&[&cancel[..], &["alice"]].concat());
    assert_eq!(refused.code, 5, "{}", refused.error);
    assert!(refused.error.contains("statement/not-permitted"), "{}", refused.error);
    let said = line.countersign(&[&cancel[..], &["dave"]].concat()).expect(0);
    assert_eq!(said["withdrawal"], json!(id));
    assert!(said["in_force_since"].is_string(), "{said}");
    assert_eq!(
        (&said["orchestrator"], &said["signed"]),
        (&Value::Null, &json!([payment["txid"]]))
    );
    let attempt = said["attempted"]["attempts"][1].clone();
    assert_eq!(
        (&said["attempted"]["state"], &attempt["cancels"]),
        (&json!("signed"), &json!(true))
    );
    line.assert_lands_alone(&attempt, &payment, before);
    line.verify(&id, attempt["txid"].as_str().unwrap());
}
