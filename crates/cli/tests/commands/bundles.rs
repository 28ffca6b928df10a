//! Bundles on the command line, as far as no signer is asked.

use std::{fs, path::Path};

use crate::{assert_fails, code, dev_bundle, json, path, run, text};

const POLICIES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies");

#[test]
fn the_example_bundles_hold_together_and_decide_what_their_tests_say() {
    for (name, tests) in [("dev", 6), ("exchange-hot", 45), ("treasury", 32)] {
        let bundle = Path::new(POLICIES).join(name);
        let bundle_path = bundle.to_str().unwrap();
        let output = run(&["policy", "check", bundle_path]);
        assert_eq!(code(&output), 0, "{}", text(&output.stderr));
        let file = bundle.join("tests/policy.yaml");
        let output = run(&[
            "--output",
            "json",
            "policy",
            "test",
            bundle_path,
            file.to_str().unwrap(),
        ]);
        assert_eq!(code(&output), 0, "{}", text(&output.stderr));
        assert!(json(&output.stdout)["tests"].as_u64().unwrap() >= tests, "{name}");
    }
}

/// A copy of the bundle in force has its manifest: whoever edits it is told what to do with that.
#[test]
fn files_edited_beside_their_manifest_are_not_checked_as_if_it_were_theirs() {
    let bundle = dev_bundle();
    let folder = bundle.path().to_str().unwrap();
    crate::transactions::seal(bundle.path());
    assert_eq!(code(&run(&["policy", "check", folder])), 0);
    let policy = path(&bundle, "policy.yaml");
    let before = fs::read_to_string(&policy).unwrap();
    fs::write(&policy, before.replace("hard: \"8 ETH\"", "hard: \"7 ETH\"")).unwrap();
    assert_fails(
        &["policy", "check", folder],
        5,
        &["bundle/digest-mismatch", "remove manifest.json from your copy"],
    );
}

/// Breakers are tested in the same file as everything else.
#[test]
fn a_test_of_a_breaker_that_does_not_hold_is_named() {
    let bundle = Path::new(POLICIES).join("exchange-hot");
    let tests = fs::read_to_string(bundle.join("tests/policy.yaml")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = path(&folder, "tests.yaml");
    let from = "counted: { rejections-on-lineage: 1 }";
    assert_eq!(tests.matches(from).count(), 1);
    fs::write(&file, tests.replace(from, "counted: { rejections-on-lineage: 3 }")).unwrap();
    assert_fails(
        &["policy", "test", bundle.to_str().unwrap(), &file],
        3,
        &["one does not: expected no freeze, found freezes by rejected-twice initiator"],
    );
}

#[test]
fn a_difference_between_two_folders_needs_nobody() {
    let (old, new) = (dev_bundle(), dev_bundle());
    let (from, to) = (old.path().to_str().unwrap(), new.path().to_str().unwrap());
    let diff = ["--output", "json", "bundle", "diff", "--files", to, "--from", from];
    assert_eq!(json(&run(&diff).stdout)["class"], "none");
    let policy = path(&new, "policy.yaml");
    let before = fs::read_to_string(&policy).unwrap();
    fs::write(&policy, before.replace("hard: \"8 ETH\"", "hard: \"7 ETH\"")).unwrap();
    let report = json(&run(&diff).stdout);
    assert_eq!(report["class"], "tightening");
    let finding = &report["findings"][0];
    assert_eq!(
        (&finding["file"], &finding["subject"], &finding["direction"]),
        (
            &"policy.yaml".into(),
            &"limit eth-per-transaction".into(),
            &"tightens".into()
        )
    );
    fs::write(&policy, before.replace("hard: \"8 ETH\"", "hard: \"9 ETH\"")).unwrap();
    let output = run(&["bundle", "diff", "--files", to, "--from", from]);
    let (class, witness) = text(&output.stdout).split_once("looser for\n").unwrap();
    assert_eq!(
        class,
        "class     loosening\nloosens   policy.yaml, limit eth-per-transaction: `hard` is higher, or is gone for a unit\n\
         changed   policy.yaml\n        # Hard, whichever permit covered and whoever approved.\n\
         \x20   -   - { id: eth-per-transaction, effects: [transfer], assets: [ETH], scope: [], window: transaction, hard: \"8 ETH\" }\n\
         \x20   +   - { id: eth-per-transaction, effects: [transfer], assets: [ETH], scope: [], window: transaction, hard: \"9 ETH\" }\n\
         \x20       - { id: demo-per-transaction, effects: [transfer], assets: [DEMO], scope: [], window: transaction, hard: \"8000 DEMO\" }\n"
    );
    // A withdrawal that only the new policy lets through, over the old bound and within the new one.
    for line in [
        "payout-service for demo, wallet eth-hot on eip155:31337",
        "transfer 9 ETH to eip155:31337:",
        "before: deny, limit/per-transaction-exceeded eth-per-transaction",
        "after:  allow, asking for 2 of treasury",
    ] {
        assert!(witness.contains(line), "{line}: {witness}");
    }
}

/// Behind a full quorum nobody signs any more, so a missing key is not all there is to say.
#[test]
fn activating_wants_keys_or_whose_certificate_connects() {
    let bundle = dev_bundle();
    let folder = bundle.path().to_str().unwrap();
    let activate = ["bundle", "activate", "--dir", folder, "--files", folder];
    assert_fails(&activate, 2, &["<--key <FILE>|--as <PERSON>>"]);
    for who in [
        &["--key", "x"][..],
        &["--as", "alice"],
        &["--key", "x", "--as", "alice"],
    ] {
        assert_fails(&[&activate[..], who].concat(), 1, &["environment.json"]);
    }
}

/// Which way a roster goes is not computed, so people must see what is in it.
#[test]
fn what_changed_in_a_file_is_shown() {
    let (old, new) = (dev_bundle(), dev_bundle());
    let (from, to) = (old.path().to_str().unwrap(), new.path().to_str().unwrap());
    let roster = path(&new, "roster.yaml");
    let before = fs::read_to_string(&roster).unwrap();
    let after = before.replace("admins: { threshold: 2", "admins: { threshold: 1");
    assert_ne!(before, after);
    fs::write(&roster, after).unwrap();
    let report = json(&run(&["--output", "json", "bundle", "diff", "--files", to, "--from", from]).stdout);
    assert_eq!(report["files"].as_array().unwrap().len(), 1, "{report}");
    assert_eq!(
        (&report["files"][0]["path"], &report["past"]),
        (&"roster.yaml".into(), &().into())
    );
    let lines = report["files"][0]["lines"].as_array().unwrap();
    let is_shown = |sign: &str, threshold: u32| {
        let line = format!("{sign} admins: {{ threshold: {threshold}");
        lines.iter().any(|shown| shown.as_str().unwrap().starts_with(&line))
    };
    assert!(is_shown("-", 2) && is_shown("+", 1), "{lines:?}");
}

#[test]
fn the_past_is_looked_at_under_a_genesis() {
    let bundle = dev_bundle();
    let folder = bundle.path().to_str().unwrap();
    let diff = ["bundle", "diff", "--files", folder, "--from", folder, "--past", folder];
    assert_fails(&diff, 2, &["--trust-root GENESIS"]);
}

#[test]
fn what_to_compare_with_must_be_said_once() {
    let bundle = dev_bundle();
    let folder = bundle.path().to_str().unwrap();
    assert_fails(&["bundle", "diff", "--files", folder], 2, &["say what to compare with"]);
    assert_fails(
        &[
            "bundle", "diff", "--files", folder, "--from", folder, "--dir", folder, "--as", "alice",
        ],
        2,
        &["cannot be used with"],
    );
    assert_fails(
        &["bundle", "diff", "--files", folder, "--from", "/nowhere"],
        1,
        &["cannot read"],
    );
    for command in ["propose", "approve", "history", "rollback"] {
        assert_fails(&["bundle", command], 2, &["--dir"]);
    }
}
