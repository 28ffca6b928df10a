//! The whole line of attestations: a withdrawal that is valued in dollars, screened, and paid to a customer of an address book,
//! waits for its attesters, is signed, and its receipt verifies offline. Everything is said with the command line.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "tests fail by panicking"
)]

mod desk;

use countersign_integration::now_secs;
use countersign_types::UtcSeconds;
use desk::{CUSTOMER, Desk, ETH, NETWORK};
use serde_json::Value;

fn tags(said: &Value) -> Vec<&str> {
    let reasons = said["reasons"].as_array().unwrap();
    reasons.iter().map(|reason| reason["tag"].as_str().unwrap()).collect()
}

fn time(secs_ago: i64) -> String {
    UtcSeconds::from_unix_seconds(now_secs().unwrap() - secs_ago)
        .unwrap()
        .to_string()
}

#[tokio::test]
async fn a_payment_in_dollars_waits_for_its_attesters() {
    let desk = Desk::start().await;
    let place = format!("{NETWORK}:{CUSTOMER}");
    let price = |source: &str, sequence: &str, price: &str, at: &str| {
        let fixed = ["price", "--asset", ETH, "--currency", "USD"];
        desk.attest(
            source,
            &[
                &fixed[..],
                &["--sequence", sequence, "--price", price, "--observed-at", at],
            ]
            .concat(),
        )
    };
    let entry = |sequence: &str, word: &[&str]| {
        let fixed = [
            "address-book",
            "--tenant",
            "main",
            "--subject",
            "customer-1",
            "--destination",
            &place,
        ];
        desk.attest("desk", &[&fixed[..], &["--sequence", sequence], word].concat())
    };

    // The customer's address, told to the signer itself. A replay of an older word is refused there.
    let registered = entry("2", &["--registered-at", &time(3_600)]);
    desk.countersign(&["attest", "record", &registered, "--as", "desk"])
        .expect(0);
    let removed = entry("1", &["--removed"]);
    let refused = desk.countersign(&["attest", "record", &removed, "--as", "desk"]);
    assert_ne!(refused.code, 0);
    assert!(refused.error.contains("attestation/superseded"), "{}", refused.error);

    let id = desk.submit("order-1");
    // What still waits is not decided: it is looked at once its statements have long been taken in.
    let pending = || {
        let show = ["withdraw", "show", &id, "--wait", "--patience", "5"];
        desk.countersign(&show).expect(4)
    };
    desk.bring("desk", &id, &registered);
    for person in ["alice", "bob"] {
        desk.countersign(&["approvals", "approve", &id, "--as", person])
            .expect(0);
    }
    let said = pending();
    assert!(tags(&said).contains(&"price/missing"), "{said}");

    // One source, and one that is too far off, make no price; nor does one that is too old.
    desk.bring("prices-1", &id, &price("prices-1", "10", "2500", &time(0)));
    desk.bring("prices-2", &id, &price("prices-2", "10", "2600", &time(0)));
    assert!(tags(&pending()).contains(&"price/missing"));
    desk.bring("prices-2", &id, &price("prices-2", "11", "2501", &time(301)));
    assert!(tags(&pending()).contains(&"price/missing"));
    let quoted = price("prices-2", "12", "2501", &time(0));
    desk.bring("prices-2", &id, &quoted);
    let said = pending();
    assert!(tags(&said).contains(&"attestation/missing"), "{said}");
    assert!(!tags(&said).contains(&"price/missing"), "{said}");

    // Who approves sees what was attested.
    let shown = desk.countersign(&["approvals", "show", &id, "--as", "carol"]).expect(0);
    assert!(shown["attestations"].to_string().contains("2501 USD"), "{shown}");

    // Another amount is another payment.
    let screen = |sequence: &str, amount: &str| {
        let fixed = [
            "screening",
            &id,
            "--check",
            "sanctions",
            "--destination",
            &place,
            "--asset",
            ETH,
        ];
        let said = ["--sequence", sequence, "--amount", amount, "--result", "pass"];
        desk.attest("desk", &[&fixed[..], &said].concat())
    };
    desk.bring("desk", &id, &screen("1", "1"));
    assert!(tags(&pending()).contains(&"attestation/missing"));
    desk.bring("desk", &id, &screen("2", "1000000000000000000"));
    let signed = desk.countersign(&["withdraw", "show", &id, "--wait"]).expect(0);
    assert_eq!(signed["state"], "signed", "{signed}");
    desk.verify(&id, signed["attempts"][0]["txid"].as_str().unwrap());

    // The next one is not paid once the address is removed, whatever the orchestrator still has.
    let removed = entry("3", &["--removed"]);
    desk.countersign(&["attest", "record", &removed, "--as", "desk"])
        .expect(0);
    let second = desk.submit("order-2");
    desk.bring("desk", &second, &registered);
    let refused = desk.countersign(&["withdraw", "show", &second, "--wait", "--patience", "5"]);
    assert_ne!(refused.out["state"], "signed", "{}", refused.out);
    // Nobody but an attester brings attestations.
    let other = desk.countersign(&["attest", "submit", &second, &quoted, "--as", "alice"]);
    assert!(other.error.contains("caller/not-allowed"), "{}", other.error);
}
