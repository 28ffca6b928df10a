//! The files against the manifest, and the manifest against its form: one change, and the exact tag and message.

use crate::support::{Files, dev, errors, seal};
use countersign_bundle::{Component, MANIFEST_PATH, MAX_FILES, Manifest, ManifestError};
use countersign_types::{BundleDigest, Tag};

/// The dev bundle with one text of its manifest replaced, not sealed again.
fn forged(from: &str, to: &str) -> Files {
    let mut files = dev();
    let text = String::from_utf8(files[MANIFEST_PATH].clone()).unwrap();
    assert!(text.contains(from), "{from}");
    files.insert(MANIFEST_PATH.to_owned(), text.replacen(from, to, 1).into_bytes());
    files
}

#[test]
fn a_forged_manifest_is_told() {
    let previous = format!("\"previous\": \"{}\"", BundleDigest::of(b"x"));
    let table = [
        (
            "countersign.bundle/1",
            "countersign.bundle/2",
            "manifest.json:1:1: bundle/bad-value: `format` must be `countersign.bundle/1`, not `countersign.bundle/2`",
        ),
        (
            "cs-eval/1",
            "cs-eval/2",
            "manifest.json:1:1: bundle/bad-value: `semantics` must be `cs-eval/1`, not `cs-eval/2`: this version evaluates nothing else",
        ),
        (
            "\"version\": 1",
            "\"version\": 0",
            "manifest.json:1:1: bundle/bad-value: versions count from 1, and all but the first name the `previous` bundle",
        ),
        (
            "\"version\": 1",
            "\"version\": 2",
            "manifest.json:1:1: bundle/bad-value: versions count from 1, and all but the first name the `previous` bundle",
        ),
        (
            "\"previous\": null",
            previous.as_str(),
            "manifest.json:1:1: bundle/bad-value: versions count from 1, and all but the first name the `previous` bundle",
        ),
        (
            "\"version\": 1",
            "\"version\": 1.0",
            "manifest.json:3:16: bundle/bad-value: invalid type: floating point `1.0`, expected u64",
        ),
        (
            "\"version\": 1",
            "\"version\": 1, \"version\": 1",
            "manifest.json:3:25: bundle/bad-value: duplicate field `version`",
        ),
        (
            "\"version\": 1",
            "\"version\": 1, \"extra\": 1",
            "manifest.json:3:23: bundle/bad-value: unknown field `extra`, expected one of `format`, `version`, `previous`, `semantics`, `files`",
        ),
        (
            "\"version\": 1",
            "\"version\":  1",
            "manifest.json:1:1: bundle/bad-value: the manifest is not in its canonical form (docs/policy.md): the same content in other bytes has another digest",
        ),
        (
            "\"component\": \"data\"",
            "\"component\": \"policy\"",
            "manifest.json:1:1: bundle/bad-value: `destinations.yaml` has the wrong `component`: destinations.yaml, lists and descriptors are `data`, every other file is `policy`",
        ),
        (
            "\"component\": \"policy\"",
            "\"component\": \"data\"",
            "manifest.json:1:1: bundle/bad-value: `assets.yaml` has the wrong `component`: destinations.yaml, lists and descriptors are `data`, every other file is `policy`",
        ),
        (
            "networks/dev.yaml",
            "networks/../dev.yaml",
            "manifest.json:1:1: bundle/unknown-name: `networks/../dev.yaml` is not a file of a bundle: expected `assets.yaml`, `destinations.yaml`, `policy.yaml`, `roster.yaml`, `wallets.yaml`, `networks/<name>.yaml`, `keys/<name>.keys`, `lists/<name>.list` or `descriptors/<name>.json`",
        ),
        (
            "\"assets.yaml\"",
            "\"networks/a.yaml\"",
            "manifest.json:1:1: bundle/bad-value: the manifest is not in its canonical form (docs/policy.md): the same content in other bytes has another digest",
        ),
    ];
    for (from, to, expected) in table {
        let errors = errors(&forged(from, to));
        assert_eq!(
            (errors.to_string().as_str(), errors.tag()),
            (expected, Tag::BundleMalformed),
            "{from} -> {to}"
        );
    }
}

#[test]
fn files_that_are_not_the_manifests_are_told_together() {
    let mut files = dev();
    files.remove("wallets.yaml");
    files.insert("networks/other.yaml".to_owned(), vec![]);
    files.get_mut("assets.yaml").unwrap().push(b'\n');
    let policy = files.get_mut("policy.yaml").unwrap();
    let at = policy.iter().position(|byte| *byte == b'8').unwrap();
    policy[at] = b'9';
    let errors = errors(&files);
    let found: Vec<(String, Tag)> = errors.iter().map(|error| (error.to_string(), error.tag())).collect();
    let size = dev()["assets.yaml"].len();
    let messages: Vec<&str> = found.iter().map(|(message, _)| message.as_str()).collect();
    assert_eq!(
        messages[0],
        format!(
            "assets.yaml:1:1: bundle/digest-mismatch: the file has {} bytes, and the manifest says {size}",
            size + 1
        )
    );
    assert_eq!(
        messages[1],
        "networks/other.yaml:1:1: bundle/digest-mismatch: the manifest does not name this file"
    );
    assert!(
        messages[2].starts_with("policy.yaml:1:1: bundle/digest-mismatch: the file's digest is sha256:"),
        "{}",
        messages[2]
    );
    assert_eq!(
        messages[3],
        "wallets.yaml:1:1: bundle/digest-mismatch: the manifest names this file, and it is not there"
    );
    assert!(found.iter().all(|(_, tag)| *tag == Tag::BundleDigestMismatch));
}

#[test]
fn a_bundle_needs_its_files() {
    let mut files = dev();
    files.remove(MANIFEST_PATH);
    assert_eq!(
        errors(&files).to_string(),
        "manifest.json:1:1: bundle/missing-value: the bundle has no `manifest.json`"
    );
    for path in [
        "assets.yaml",
        "destinations.yaml",
        "policy.yaml",
        "roster.yaml",
        "wallets.yaml",
    ] {
        let mut files = files.clone();
        files.remove(path);
        assert_eq!(
            Manifest::build(1, None, &files),
            Err(ManifestError::MissingFile(path.to_owned()))
        );
    }
    files.remove("networks/dev.yaml");
    let report = errors(&seal(files)).to_string();
    assert_eq!(
        report,
        "manifest.json:1:1: bundle/missing-value: the bundle has no networks/*.yaml"
    );
}

#[test]
fn nothing_else_is_a_file_of_a_bundle() {
    for path in [
        "",
        "policy.yml",
        "Policy.yaml",
        "networks/.yaml",
        "networks/A.yaml",
        "networks/a/b.yaml",
        "/policy.yaml",
        "manifest.json",
        "keys/.keys",
        "keys/Hot.keys",
        "keys/hot.yaml",
        "keys/../hot.keys",
        "hot.keys",
        "networks/hot.keys",
    ] {
        assert_eq!(Component::of(path), None, "{path:?}");
    }
    assert_eq!(Component::of("networks/base-sepolia.yaml"), Some(Component::Policy));
    assert_eq!(Component::of("destinations.yaml"), Some(Component::Data));
    // A key of a table is ours, and what it gets needs no approval: never data.
    assert_eq!(Component::of("keys/btc-hot.keys"), Some(Component::Policy));
}

#[test]
fn numbers_and_sizes_are_bounded() {
    let mut files = dev();
    files.remove(MANIFEST_PATH);
    files.extend((0..MAX_FILES).map(|n| (format!("networks/n{n}.yaml"), vec![])));
    assert_eq!(
        Manifest::build(1, None, &files),
        Err(ManifestError::TooManyFiles(MAX_FILES + 6))
    );
    let mut files = dev();
    let len = countersign_bundle::MAX_FILE_BYTES + 1;
    files.insert("policy.yaml".to_owned(), vec![b'#'; len]);
    let report = errors(&seal(files)).to_string();
    assert!(
        report.starts_with(&format!("policy.yaml:1:1: bundle/too-many: {len} bytes; at most ")),
        "{report}"
    );
}
