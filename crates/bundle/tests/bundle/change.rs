//! The step from one bundle to the next: the dev bundle, and one change at a time.

use countersign_bundle::{Bundle, Change, Class, classify};

use crate::support::{Files, dev, seal};

fn load(files: Files) -> Bundle {
    Bundle::load(&seal(files)).map_err(|errors| errors.to_string()).unwrap()
}

/// The dev bundle with texts of one file replaced.
fn changed(path: &str, changes: &[(&str, &str)]) -> Change {
    let mut files = dev();
    let mut text = String::from_utf8(files[path].clone()).unwrap();
    for (from, to) in changes {
        assert_eq!(text.matches(from).count(), 1, "`{from}` must stand once in {path}");
        text = text.replace(from, to);
    }
    files.insert(path.to_owned(), text.into_bytes());
    classify(&load(dev()), &load(files))
}

fn told(change: &Change) -> Vec<String> {
    change.findings().iter().map(ToString::to_string).collect()
}

#[test]
fn a_bundle_and_itself() {
    let change = classify(&load(dev()), &load(dev()));
    assert_eq!((change.class(), told(&change)), (Class::None, vec![]));
    assert!(!change.class().is_pure_tightening());
}

#[test]
fn a_comment_changes_nothing() {
    for path in ["policy.yaml", "destinations.yaml"] {
        let mut files = dev();
        files.get_mut(path).unwrap().extend(b"# hello\n");
        assert_eq!(classify(&load(dev()), &load(files)).class(), Class::None, "{path}");
    }
}

#[test]
fn rules_and_entries_tighten() {
    let limit = changed("policy.yaml", &[("hard: \"8 ETH\"", "hard: \"7 ETH\"")]);
    assert_eq!(
        told(&limit),
        ["tightens  policy.yaml, limit eth-per-transaction: `hard` is lower, or stands for one more unit"]
    );
    assert_eq!(limit.class(), Class::Tightening);
    assert!(limit.class().is_pure_tightening());
    let second =
        "      - { name: Customer two, address: \"eip155:31337:0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC\" }\n";
    let entry = changed("destinations.yaml", &[(second, "")]);
    assert_eq!(
        told(&entry),
        [
            "tightens  destinations.yaml, list customers: entries removed: 1; only permits name the list, so they cover less"
        ]
    );
}

#[test]
fn what_is_not_compared_loosens() {
    let loosened = |path: &str, from: &str, to: &str| {
        let change = changed(path, &[(from, to)]);
        assert_eq!(change.class(), Class::Loosening, "{path}");
        told(&change)
    };
    let whole = |path| format!("loosens   {path}: the file is another one; only rules and list entries are compared");
    assert_eq!(
        loosened("roster.yaml", "admins: { threshold: 2", "admins: { threshold: 3"),
        [whole("roster.yaml")]
    );
    assert_eq!(
        loosened("wallets.yaml", "tier: hot", "tier: cold"),
        [whole("wallets.yaml")]
    );
    assert_eq!(
        loosened(
            "assets.yaml",
            "symbol: DEMO, decimals: 6,",
            "symbol: DEMO, decimals: 6, quirks: [pausable],"
        ),
        [whole("assets.yaml")]
    );
    assert_eq!(
        loosened(
            "networks/dev.yaml",
            "max-gas-limit: 16777216",
            "max-gas-limit: 16777215"
        ),
        [whole("networks/dev.yaml")]
    );
    assert_eq!(
        loosened("destinations.yaml", "Customer two", "Customer 2"),
        ["loosens   destinations.yaml, list customers: entries renamed: 1; people read the names"]
    );
}

#[test]
fn files_that_come_and_go_loosen() {
    let mut more = dev();
    more.insert(
        "networks/other.yaml".to_owned(),
        String::from_utf8(more["networks/dev.yaml"].clone())
            .unwrap()
            .replace("31337", "31338")
            .into_bytes(),
    );
    let (old, new) = (load(dev()), load(more));
    for (from, to, what) in [(&old, &new, "new"), (&new, &old, "gone")] {
        let change = classify(from, to);
        // Symbols mean more or fewer assets now, which rules say as well.
        assert!(!change.class().is_pure_tightening());
        let expected =
            format!("loosens   networks/other.yaml: the file is {what}; only rules and list entries are compared");
        assert!(told(&change).contains(&expected), "{:?}", told(&change));
    }
}

#[test]
fn some_of_each_is_both() {
    let change = changed(
        "policy.yaml",
        &[
            ("hard: \"8 ETH\"", "hard: \"7 ETH\""),
            ("hard: \"8000 DEMO\"", "hard: \"8001 DEMO\""),
        ],
    );
    assert_eq!(change.class(), Class::Both);
    assert!(!change.class().is_pure_tightening());
}
