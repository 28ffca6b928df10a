//! `countersign policy`: what it says, and that nothing looked at is not everything that holds.

use std::{fs, path::Path};

use crate::{GENESIS, assert_fails, code, dev_bundle, json, path, run, text};

const DEV_TESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies/dev/tests/policy.yaml");
const DOCS: &str = include_str!("../../../../docs/policy.md");

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

/// A back-test over an empty folder looks at nothing, whoever mistyped the place.
#[test]
fn a_back_test_over_nothing_is_an_error() {
    let (bundle, empty) = (dev_bundle(), tempfile::tempdir().unwrap());
    let folder = bundle.path().to_str().unwrap();
    let genesis = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/commands")
        .join(GENESIS);
    fs::write(path(&empty, "receipt.txt"), "no receipt").unwrap();
    let nowhere = empty.path().to_str().unwrap();
    let root = ["--trust-root", genesis.to_str().unwrap()];
    let looked = format!("there are no receipts: looked for `*.json` in `{nowhere}`");
    let says = [looked.as_str(), "audit export --receipts"];
    assert_fails(
        &[&["policy", "simulate", folder, nowhere], &root[..]].concat(),
        1,
        &says,
    );
    let diff = ["bundle", "diff", "--files", folder, "--from", folder, "--past", nowhere];
    assert_fails(&[&diff[..], &root].concat(), 1, &says);
}

/// A pipeline must not stay green where somebody removed the section.
#[test]
fn nothing_claimed_is_nothing_proven() {
    let bundle = dev_bundle();
    let prove = ["policy", "prove", bundle.path().to_str().unwrap()];
    let output = run(&prove);
    assert_eq!(code(&output), 3, "{}", text(&output.stderr));
    assert!(text(&output.stdout).starts_with("nothing is proven: "));
    assert!(text(&output.stdout).contains("`invariants:`"));
    let output = run(&[&["--output", "json"], &prove[..]].concat());
    assert_eq!(
        (code(&output), json(&output.stdout)),
        (3, serde_json::json!({ "invariants": [] }))
    );
}

/// What `docs/policy.md` shows of `policy prove` is what it says of the dev bundle with these behind it.
#[test]
fn the_documented_proof_is_real() {
    let bundle = dev_bundle();
    let policy = path(&bundle, "policy.yaml");
    let before = fs::read_to_string(&policy).unwrap();
    let invariants = r#"
invariants:
  - { id: big-needs-two, when: { effects: [transfer], total: { over: { ETH: "0.1 ETH", DEMO: "100 DEMO" } } }, then: { approvals: { treasury: 2 } } }
  - { id: nothing-to-strangers, when: { to: { unknown: true } }, then: deny }
  - { id: small-needs-one, when: { effects: [transfer] }, then: { approvals: { treasury: 1 } } }
  - { id: fees-are-small, when: { effects: [fee], total: { over: { ETH: "0.01 ETH" } } }, then: deny }
"#;
    fs::write(&policy, format!("{before}{invariants}")).unwrap();
    let output = run(&["policy", "prove", bundle.path().to_str().unwrap()]);
    let said = text(&output.stdout);
    assert!(
        DOCS.contains(&format!("```text\n{said}```\n")),
        "docs/policy.md lacks\n{said}"
    );
}
