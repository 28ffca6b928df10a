//! Broken YAML: `countersign policy check` says file, line and column, and exits with 5.

use std::fs;

use countersign_integration::Deployment;
use serde_json::Value;

/// File, text that stands in it, what it becomes, and the text whose place the error must name.
const BROKEN: [(&str, &str, &str, &str); 8] = [
    (
        "policy.yaml",
        "    wallets: [eth-hot]\n    assets",
        "    walets: [eth-hot]\n    assets",
        "walets",
    ),
    (
        "policy.yaml",
        "    wallets: [eth-hot]\n    assets",
        "    wallets: [eth-hot]\n    wallets: [eth-cold]\n    assets",
        "wallets: [eth-cold]",
    ),
    ("policy.yaml", "treasury: 2 }", "treasury: 2.5 }", "2.5"),
    ("policy.yaml", "treasury: 2 }", "treasury: 4 }", "approvals: { treasury"),
    ("policy.yaml", "list: customers", "list: custumers", "custumers"),
    ("policy.yaml", "max: \"0.05 ETH\"", "max: \"0.05 EHT\"", "\"0.05 EHT\""),
    ("assets.yaml", "decimals: 6", "decimals: 66", "66, priced-in"),
    (
        "roster.yaml",
        "operators: [\"dave\"]",
        "operators: [\"mallory\"]",
        "\"mallory\"",
    ),
];

fn check(deployment: &Deployment, folder: &str) -> (i32, Value) {
    let output = deployment
        .countersign(["policy", "check", folder, "--output", "json"], false)
        .unwrap();
    let said = if output.status.success() {
        output.stdout
    } else {
        output.stderr
    };
    let said = String::from_utf8(said).unwrap();
    let said = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"));
    (output.status.code().unwrap(), said)
}

/// Line and column of a text, from 1.
fn place(text: &str, what: &str) -> String {
    let at = text.find(what).expect("it is there");
    let before = &text[..at];
    let line = before.matches('\n').count() + 1;
    let column = at - before.rfind('\n').map_or(0, |newline| newline + 1) + 1;
    format!("{line}:{column}")
}

#[test]
fn broken_bundles_are_refused_with_file_line_and_column() {
    let deployment = Deployment::init().unwrap();
    let folder = deployment.path("bundle");
    // Without a manifest: its digests would be the first thing that is wrong.
    fs::remove_file(folder.join("manifest.json")).unwrap();
    let folder = folder.to_str().unwrap().to_owned();
    assert_eq!(check(&deployment, &folder).0, 0);
    for (file, from, to, where_) in BROKEN {
        let path = deployment.path("bundle").join(file);
        let whole = fs::read_to_string(&path).unwrap();
        assert_eq!(whole.matches(from).count(), 1, "{file}: `{from}`");
        let broken = whole.replace(from, to);
        fs::write(&path, &broken).unwrap();
        let (code, said) = check(&deployment, &folder);
        let error = &said["error"];
        assert_eq!((code, &error["tag"]), (5, &Value::from("bundle/malformed")), "{said}");
        let expected = format!("{file}:{}", place(&broken, where_));
        let message = error["message"].as_str().unwrap();
        assert!(
            message.contains(&format!("{expected}: bundle/")),
            "{expected} is not in: {message}"
        );
        fs::write(&path, whole).unwrap();
    }
    assert_eq!(check(&deployment, &folder).0, 0);
}

/// With the manifest, one byte more in a file is a bundle that nobody signed.
#[test]
fn files_are_those_of_the_manifest() {
    let deployment = Deployment::init().unwrap();
    let folder = deployment.path("bundle");
    let path = folder.join("destinations.yaml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{text}\n")).unwrap();
    let (code, said) = check(&deployment, folder.to_str().unwrap());
    assert_eq!(said["error"]["tag"], "bundle/digest-mismatch", "{said}");
    assert_eq!(code, 5);
    let message = said["error"]["message"].as_str().unwrap();
    assert!(message.contains("destinations.yaml"), "{message}");
}
