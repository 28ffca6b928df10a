//! `countersign policy`: what it says, and that nothing looked at is not everything that holds.

use crate::{dev_bundle, json, run, text};

const DEV_TESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies/dev/tests/policy.yaml");

/// As the signer tells a denial, and with what to do, in both forms.
#[test]
fn an_effect_that_no_permit_covers_is_explained_as_the_signer_does() {
    let bundle = dev_bundle();
    let explain = [
        "policy",
        "explain",
        bundle.path().to_str().unwrap(),
        DEV_TESTS,
        "--test",
    ];
    let explain = [&explain[..], &["strangers are not paid"]].concat();
    let message = "no permit covers an effect: transfer of 0.1 ETH to eip155:31337:0x90F79bf6EB2c4f870365E785982E1f101E93b906; \
                   permit `customer-payouts` would but for `to`";
    let output = run(&explain);
    let said = text(&output.stdout);
    let reason = format!("reason       permit/uncovered at effect 0: {message}");
    assert!(said.lines().any(|line| line == reason), "{said}");
    let (_, advice) = said.split_once("\nto do        permit/uncovered: ").unwrap();
    let report = json(&run(&[&["--output", "json"], &explain[..]].concat()).stdout);
    assert_eq!(
        report["decisions"][0]["reasons"],
        serde_json::json!([
            { "tag": "permit/uncovered", "rule": null, "effect": 0, "message": message, "advice": advice.trim_end() }
        ])
    );
}
