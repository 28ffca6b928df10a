//! The binary as people and scripts meet it: exit codes, both output forms, and what it refuses to do.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests fail by panicking, and run the binary"
)]

mod bundles;
mod policies;
mod transactions;

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;

const BINARY: &str = env!("CARGO_BIN_EXE_countersign");
const DEV_BUNDLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies/dev");
const GENESIS: &str = "genesis.json";

fn run(arguments: &[&str]) -> Output {
    run_at(Path::new(BINARY), arguments)
}

fn run_at(binary: &Path, arguments: &[&str]) -> Output {
    Command::new(binary)
        .args(arguments)
        .env_remove("COUNTERSIGN_PKCS11_MODULE")
        .output()
        .unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|error| panic!("{error}: {}", text(bytes)))
}

/// Failed with an exit code, nothing on standard output, and this on standard error.
#[track_caller]
fn assert_fails(arguments: &[&str], expected: i32, says: &[&str]) {
    let output = run(arguments);
    let said = text(&output.stderr);
    assert_eq!(code(&output), expected, "{arguments:?}: {said}");
    assert_eq!(text(&output.stdout), "", "{arguments:?}");
    for words in says {
        assert!(said.contains(words), "{words} in {said}");
    }
}

/// A copy of the dev bundle, without a manifest.
fn dev_bundle() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("networks")).unwrap();
    for file in [
        "assets.yaml",
        "destinations.yaml",
        "networks/dev.yaml",
        "policy.yaml",
        "roster.yaml",
        "wallets.yaml",
    ] {
        fs::copy(Path::new(DEV_BUNDLE).join(file), folder.path().join(file)).unwrap();
    }
    folder
}

fn path(folder: &tempfile::TempDir, name: &str) -> String {
    folder.path().join(name).to_str().unwrap().to_owned()
}

#[test]
fn help_lists_the_exit_codes() {
    let output = run(&["--help"]);
    let said = text(&output.stdout);
    for line in [
        "3  denied by policy",
        "4  still pending",
        "6  a signature, proof or receipt does not verify",
    ] {
        assert!(said.contains(line), "{line} in {said}");
    }
}

#[test]
fn a_wrong_command_line_is_code_2() {
    for arguments in [
        &["frobnicate"][..],
        &["init"],
        &["approvals", "approve", "--dir", "x", "--as", "alice"],
        &["approvals", "approve", "wd_x", "--dir", "x", "--as", "alice"],
        &["approvals", "approve", "wd_x", "--dir", "x", "--as", "Alice"],
        &[
            "withdraw",
            "submit",
            "--dir",
            "x",
            "--wallet",
            "w",
            "--network",
            "eip155:1",
            "--reference",
            "r",
        ],
        &["withdraw", "show", "wd_x", "--dir", "x", "--patience", "3"],
        &["--output", "xml", "policy", "check", "x"],
    ] {
        assert_fails(arguments, 2, &["error: ", "--help"]);
    }
}

#[test]
fn init_never_touches_a_folder_with_something_in_it() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("mine"), "mine").unwrap();
    let dir = folder.path().to_str().unwrap();
    assert_fails(
        &["init", "--dir", dir, "--backend", "insecure-dev"],
        2,
        &["is not empty", "name a new folder"],
    );
    let left: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["mine"]);
    let file = path(&folder, "mine");
    assert_fails(&["init", "--dir", &file, "--backend", "insecure-dev"], 1, &["mine"]);
}

#[test]
fn init_without_a_module_changes_nothing_and_names_the_variable() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("new");
    let mut command = Command::new(BINARY);
    command.args(["init", "--dir", dir.to_str().unwrap(), "--backend", "pkcs11"]);
    let output = command
        .env("COUNTERSIGN_PKCS11_MODULE", "/nowhere/libsofthsm2.so")
        .output()
        .unwrap();
    assert_eq!(code(&output), 1);
    let said = text(&output.stderr);
    assert!(
        said.contains("COUNTERSIGN_PKCS11_MODULE names `/nowhere/libsofthsm2.so`"),
        "{said}"
    );
    assert!(!dir.exists());
}

/// The other binaries are found beside this one and nowhere else: here they are not.
#[test]
fn init_says_which_binary_is_missing_and_how_to_build_it() {
    let folder = tempfile::tempdir().unwrap();
    let alone = folder.path().join("countersign");
    if fs::hard_link(BINARY, &alone).is_err() {
        fs::copy(BINARY, &alone).unwrap();
    }
    let dir = path(&folder, "new");
    let output = run_at(&alone, &["init", "--dir", &dir, "--backend", "insecure-dev"]);
    let said = text(&output.stderr);
    assert_eq!(code(&output), 1, "{said}");
    assert!(
        said.contains("countersign-signer` is missing") && said.contains("cargo build -p"),
        "{said}"
    );
    assert!(
        !Path::new(&dir).join("environment.json").exists(),
        "an unfinished environment is not one"
    );
}

#[test]
fn a_folder_that_is_no_environment_leads_to_init() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().to_str().unwrap();
    let id = "wd_uzf3ful3xdaanw5ihcmuf2dhg3s6z2ubm45e35bplv5n6q5ssnua";
    for arguments in [
        &["dev", "--dir", dir][..],
        &["withdraw", "show", id, "--dir", dir],
        &["withdraw", "cancel", id, "--dir", dir],
        &["approvals", "list", "--dir", dir, "--as", "alice"],
        &[
            "approvals",
            "reject",
            id,
            "--dir",
            dir,
            "--as",
            "alice",
            "--reason",
            "no",
        ],
        &["receipt", id, "--dir", dir, "--out", "x"],
        &["audit", "export", "--dir", dir, "--out", "x"],
        &["bundle", "activate", "--dir", dir, "--files", dir, "--key", "x"],
    ] {
        assert_fails(arguments, 1, &["environment.json", "countersign init"]);
    }
}

#[test]
fn a_bundle_that_holds_together_is_summed_up() {
    let bundle = dev_bundle();
    let output = run(&["--output", "json", "policy", "check", bundle.path().to_str().unwrap()]);
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    let report = json(&output.stdout);
    assert_eq!(report["version"], 1);
    assert_eq!(report["has_manifest"], false);
    assert!(report["policy"].as_str().unwrap().starts_with("sha256:"));
    let output = run(&["policy", "check", bundle.path().to_str().unwrap()]);
    assert!(
        text(&output.stdout).starts_with("the bundle holds together\nversion  1"),
        "{}",
        text(&output.stdout)
    );
}

#[test]
fn policy_tests_hold_or_name_what_differs() {
    let bundle = dev_bundle();
    let dir = bundle.path().to_str().unwrap();
    let text_of_tests = fs::read_to_string("../../policies/dev/tests/policy.yaml").unwrap();
    let outside = tempfile::tempdir().unwrap();
    let tests = outside.path().join("tests.yaml");
    fs::write(&tests, &text_of_tests).unwrap();
    let path = tests.to_str().unwrap();
    let output = run(&["--output", "json", "policy", "test", dir, path]);
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    assert_eq!(json(&output.stdout)["tests"], 8);
    fs::write(&tests, text_of_tests.replacen("{ treasury: 2 }", "{ treasury: 3 }", 1)).unwrap();
    let said = [
        "policy/test-failed",
        "1 of 8",
        "tests.yaml:13:",
        "expected allow by 3 of treasury",
        "found allow by 2 of treasury",
    ];
    assert_fails(&["policy", "test", dir, path], 3, &said);
    fs::write(&tests, "schema: x\n").unwrap();
    assert_fails(&["policy", "test", dir, path], 5, &["bundle/malformed", "tests.yaml:"]);

    // Without files it is those of the bundle, and none is not all.
    let beside = bundle.path().join("tests");
    assert_fails(
        &["policy", "test", dir],
        1,
        &["cannot find tests in", "there is no `*.yaml`"],
    );
    fs::create_dir(&beside).unwrap();
    fs::write(beside.join("notes.txt"), "not a test").unwrap();
    assert_fails(&["policy", "test", dir], 1, &["there is no `*.yaml`"]);
    fs::write(beside.join("b.yaml"), &text_of_tests).unwrap();
    fs::write(beside.join("a.yaml"), &text_of_tests).unwrap();
    let output = run(&["--output", "json", "policy", "test", dir]);
    assert_eq!(json(&output.stdout)["tests"], 16, "{}", text(&output.stderr));
    fs::write(beside.join("a.yaml"), "schema: x\n").unwrap();
    assert_fails(&["policy", "test", dir], 5, &["bundle/malformed", "a.yaml:"]);
}

#[test]
fn invariants_are_proven_or_broken_by_a_test_that_decides_again() {
    let bundle = dev_bundle();
    let dir = bundle.path().to_str().unwrap();
    let policy = fs::read_to_string(bundle.path().join("policy.yaml")).unwrap();
    let holding = "invariants:\n  - { id: nothing-to-strangers, when: { to: { unknown: true } }, then: deny }\n";
    fs::write(bundle.path().join("policy.yaml"), format!("{policy}{holding}")).unwrap();
    let output = run(&["policy", "prove", dir]);
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "policy.yaml:34:11: nothing-to-strangers holds\n");
    let broken = "  - { id: always-three, when: { effects: [transfer] }, then: { approvals: { treasury: 3 } } }\n";
    fs::write(bundle.path().join("policy.yaml"), format!("{policy}{holding}{broken}")).unwrap();
    let outside = tempfile::tempdir().unwrap();
    let tests = outside.path().to_str().unwrap();
    let output = run(&["--output", "json", "policy", "prove", dir, "--tests", tests]);
    assert_eq!(code(&output), 3, "{}", text(&output.stderr));
    let report = json(&output.stdout);
    let conclusions: Vec<_> = (0..2).map(|n| report["invariants"][n]["conclusion"].clone()).collect();
    assert_eq!(conclusions, ["holds", "violated"]);
    let file = path(&outside, "always-three.yaml");
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        report["invariants"][1]["counterexample"]["test"]
    );
    assert_eq!(code(&run(&["policy", "test", dir, &file])), 0);
    let checked = run(&["--output", "json", "policy", "check", dir]);
    assert_eq!(code(&checked), 3, "what is not proven must not look as if it were");
    assert_eq!(json(&checked.stdout)["lints"][0]["tag"], "lint/missing-cap");
    let few = run(&["--output", "json", "policy", "prove", dir, "--steps", "2"]);
    assert_eq!(
        (code(&few), &json(&few.stdout)["invariants"][0]["conclusion"]),
        (3, &"undecided".into())
    );
}

#[test]
fn a_decision_is_explained_with_its_numbers() {
    let bundle = dev_bundle();
    let dir = bundle.path().to_str().unwrap();
    let tests = "../../policies/dev/tests/policy.yaml";
    let name = "nobody may pay more than the limit";
    let output = run(&["policy", "explain", dir, tests, "--test", name]);
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    let said = text(&output.stdout);
    for line in [
        "decision     deny, limit/per-transaction-exceeded eth-per-transaction (cs-eval/1)",
        "effect 0     transfer: permits customer-payouts; requires two-of-treasury",
        "limit        eth-per-transaction in one transaction: 0 ETH before, 8.1 ETH charged, 8.1 ETH after, at most 8 ETH",
        "reason       limit/per-transaction-exceeded (rule eth-per-transaction): the transaction is over a limit's hard maximum; 8.1 ETH against 8 ETH",
        "to do        limit/per-transaction-exceeded: split, if the policy's tiers allow it, or change the limit through a bundle",
    ] {
        assert!(said.lines().any(|found| found == line), "{line} in {said}");
    }
    // A limit that counts separately says what each of its lines counts.
    let exchange = "../../policies/exchange-hot";
    let tests_of_it = "../../policies/exchange-hot/tests/policy.yaml";
    let name = "two customers in one transaction meet the tier of the sum";
    let output = run(&["policy", "explain", exchange, tests_of_it, "--test", name]);
    let said = text(&output.stdout);
    for line in [
        "limit        asset-hour (asset ETH) over 1h: 0 USD before, 5000 USD charged, ",
        "limit        asset-hour (asset USDC) over 1h: 0 USD before, 5001 USD charged, ",
        "limit        customer-day (subject customer-1) over 1d: 0 USD before, 5000 USD charged, ",
        "limit        customer-day (subject customer-2) over 1d: 0 USD before, 5001 USD charged, ",
        "limit        wallet-day (wallet eth-hot) over 1d: 0 USD before, 10001 USD charged, ",
    ] {
        assert!(said.lines().any(|found| found.starts_with(line)), "{line} in {said}");
    }
    // What a withdrawal waits for is told as well, each tag once; where nothing is to be done, nothing is said.
    let remedies = |name: &str| -> Vec<String> {
        let output = run(&["policy", "explain", dir, tests, "--test", name]);
        let said = text(&output.stdout);
        let remedies = said.lines().filter_map(|line| line.strip_prefix("to do        "));
        remedies
            .map(|line| line.split(':').next().unwrap().to_owned())
            .collect()
    };
    assert_eq!(remedies("a small payment needs nobody"), [""; 0]);
    assert_eq!(
        remedies("a payment that is split takes two as well"),
        ["approval/missing"]
    );
    assert_eq!(
        remedies("bytes that nobody understands are forbidden"),
        ["forbid/matched", "permit/uncovered"]
    );
    let output = run(&["--output", "json", "policy", "explain", dir, tests]);
    assert_eq!(json(&output.stdout)["decisions"].as_array().unwrap().len(), 8);
    assert_fails(
        &["policy", "explain", dir, tests, "--test", "none"],
        2,
        &["no test of this name"],
    );
    assert_fails(&["policy", "explain"], 2, &["BUNDLE_DIR"]);
}

#[test]
fn a_bundle_that_does_not_load_names_file_line_and_column() {
    let table = [
        (
            "policy.yaml",
            "wallets: [eth-hot]",
            "wallets: [eth-hto]",
            "bundle/unknown-name",
        ),
        (
            "policy.yaml",
            "window: transaction",
            "window: transaction, window: transaction",
            "bundle/duplicate-key",
        ),
        (
            "roster.yaml",
            "threshold: 2",
            "threshold: 4",
            "bundle/unreachable-quorum",
        ),
        ("assets.yaml", "decimals: 6", "decimals: 99", "bundle/bad-value"),
    ];
    for (file, from, to, tag) in table {
        let bundle = dev_bundle();
        let changed = fs::read_to_string(bundle.path().join(file)).unwrap().replace(from, to);
        assert!(changed.contains(to), "{file} has no `{from}`");
        fs::write(bundle.path().join(file), changed).unwrap();
        let dir = bundle.path().to_str().unwrap();
        assert_fails(
            &["policy", "check", dir],
            5,
            &["bundle/malformed", &format!("{file}:"), tag],
        );
        let output = run(&["--output", "json", "policy", "check", dir]);
        let error = &json(&output.stderr)["error"];
        assert_eq!((&error["tag"], &error["exit"]), (&"bundle/malformed".into(), &5.into()));
        // Each mistake stands by itself, under a tag of its own, and is the line that people read.
        let mistake = &error["errors"][0];
        assert_eq!((&mistake["tag"], &mistake["file"]), (&tag.into(), &file.into()));
        let (at, column) = (mistake["line"].as_u64().unwrap(), mistake["column"].as_u64().unwrap());
        assert!(at > 0 && column > 0, "{mistake}");
        let what = mistake["message"].as_str().unwrap();
        let line = format!("{file}:{at}:{column}: {tag}: {what}");
        let message = error["message"].as_str().unwrap();
        assert!(message.lines().any(|other| other == line), "{message}");
        assert_eq!(error["advice"], mistake["advice"], "all are of one kind");
    }
}

#[test]
fn a_file_that_a_manifest_does_not_name_is_another_thing_than_a_broken_one() {
    let bundle = dev_bundle();
    fs::write(bundle.path().join("extra.yaml"), "a: 1\n").unwrap();
    assert_fails(
        &["policy", "check", bundle.path().to_str().unwrap()],
        5,
        &["bundle/malformed", "bundle/unknown-name: `extra.yaml`"],
    );
}

#[test]
fn a_receipt_that_does_not_verify_is_code_6() {
    let folder = tempfile::tempdir().unwrap();
    let genesis = include_str!("genesis.json");
    fs::write(folder.path().join(GENESIS), genesis).unwrap();
    let root = path(&folder, GENESIS);
    for receipt in ["", "{}", "null", "{\"format\":\"countersign.receipt/2\"}"] {
        let file = path(&folder, "receipt.json");
        fs::write(&file, receipt).unwrap();
        assert_fails(
            &["audit", "verify", &file, "--trust-root", &root],
            6,
            &["receipt/invalid"],
        );
        let output = run(&["--output", "json", "audit", "verify", &file, "--trust-root", &root]);
        assert_eq!(json(&output.stderr)["error"]["exit"], 6);
    }
}

#[test]
fn a_missing_receipt_or_trust_root_is_no_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let (receipt, root) = (path(&folder, "receipt.json"), path(&folder, GENESIS));
    fs::write(&receipt, "{}").unwrap();
    assert_fails(&["audit", "verify", &receipt, "--trust-root", &root], 1, &[GENESIS]);
    fs::write(&root, "{}").unwrap();
    assert_fails(
        &["audit", "verify", &receipt, "--trust-root", &root],
        1,
        &["is no trust root"],
    );
    fs::write(&root, include_str!("genesis.json")).unwrap();
    assert_fails(
        &["audit", "verify", &path(&folder, "none"), "--trust-root", &root],
        1,
        &["none"],
    );
}

#[test]
fn every_command_documents_its_json() {
    for command in [
        &["init"][..],
        &["dev"],
        &["bundle", "activate"],
        &["policy", "check"],
        &["withdraw", "submit"],
        &["withdraw", "show"],
        &["withdraw", "cancel"],
        &["approvals", "list"],
        &["approvals", "show"],
        &["approvals", "approve"],
        &["approvals", "reject"],
        &["audit", "export"],
        &["audit", "verify"],
        &["receipt"],
        &["tx", "decode"],
    ] {
        let output = run(&[command, &["--help"]].concat());
        assert!(
            text(&output.stdout).contains("JSON: "),
            "{command:?}: {}",
            text(&output.stdout)
        );
    }
}
