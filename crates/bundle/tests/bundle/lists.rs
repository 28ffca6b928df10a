//! Lists of their own files: that they mean what written ones mean, and one change of each kind.

use std::time::{Duration, Instant};

use countersign_bundle::{Bundle, Change, Class, Component, Manifest, classify};
use countersign_policy::MAX_LIST_BYTES;
use countersign_types::{Destination, ListId};

use crate::support::{Files, dev, errors, seal};

const LIST: &str = "lists/customers.list";
const ONE: &str = "eip155:31337:0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";
const TWO: &str = "eip155:31337:0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
const BY_FILE: &str = "lists:\n  - id: customers\n    file: lists/customers.list\n";
/// The address of the dev bundle's own wallet.
const OWN: &str = "eip155:31337:0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf";

/// The dev bundle whose customers stand in a file.
fn by_file(yaml: &str, list: impl Into<Vec<u8>>) -> Files {
    let mut files = dev();
    files.insert("destinations.yaml".to_owned(), yaml.as_bytes().to_vec());
    files.insert(LIST.to_owned(), list.into());
    seal(files)
}

fn lines(lines: &[&str]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// So many destinations, cheap and ascending: digits carry no EIP-55 case.
fn many(from: usize, count: usize) -> String {
    let line = |n: usize| format!("eip155:31337:0x{n:040}\n");
    (from..from + count).map(|n| line(1_000_000 + n)).collect()
}

fn load(files: &Files) -> Bundle {
    Bundle::load(files).map_err(|errors| errors.to_string()).unwrap()
}

fn told(change: &Change) -> Vec<String> {
    change.findings().iter().map(ToString::to_string).collect()
}

#[test]
fn a_list_by_file_is_the_list_that_is_written() {
    let (written, filed) = (load(&dev()), load(&by_file(BY_FILE, lines(&[ONE, TWO]))));
    assert_eq!(filed.destinations(), written.destinations());
    let customers: ListId = "customers".parse().unwrap();
    let two: Destination = TWO.parse().unwrap();
    assert!(filed.destinations().list(&customers).unwrap().contains(&two));
    // It has no names.
    let shown = |bundle: &Bundle| bundle.entries(&two).map(|entry| entry.to_string()).collect::<Vec<_>>();
    assert_eq!(shown(&written), ["Customer one (customers)"]);
    assert_eq!(shown(&filed), ["a destination of list customers"]);
    // It is data, as `destinations.yaml` is: other destinations are another bundle under the same policy.
    assert_eq!(Component::of(LIST), Some(Component::Data));
    let other = load(&by_file(BY_FILE, lines(&[ONE])));
    assert_eq!(other.policy_digest(), filed.policy_digest());
    assert_ne!(other.digest(), filed.digest());
    let empty = load(&by_file(BY_FILE, ""));
    assert!(empty.destinations().list(&customers).unwrap().is_empty());
}

/// What `docs/policy.md` shows is what loads, and what is said of two lines in the wrong order.
#[test]
fn the_reference_shows_this_list() {
    let docs = include_str!("../../../../docs/policy.md");
    for text in [BY_FILE.to_owned(), lines(&[ONE, TWO])] {
        assert!(docs.contains(&format!("```text\n{text}```")), "{text}");
    }
    let report = errors(&by_file(BY_FILE, lines(&[TWO, ONE]))).to_string();
    assert!(docs.contains(&format!("```text\n{report}\n```")), "{report}");
}

/// One line or one word changed, and the whole report.
#[test]
fn one_change_and_its_report() {
    let list = |text: &str| by_file(BY_FILE, text);
    let yaml = |text: &str| by_file(text, lines(&[ONE, TWO]));
    let twice = format!("{BY_FILE}  - id: others\n    file: {LIST}\n");
    let neither = "lists:\n  - id: customers\n";
    let both = format!("{BY_FILE}    entries: []\n");
    let unknown = |path: &str| {
        format!(
            "destinations.yaml:3:11: bundle/unknown-name: unknown list file `{path}`: the bundle has no such file in `lists/`\n\
             {LIST}:1:1: bundle/inconsistent: no list names this file: name it as `file`, or remove it"
        )
    };
    let either = "destinations.yaml:2:5: bundle/bad-rule: a list needs exactly one of `entries` and `file`";
    let unnamed = format!("{LIST}:1:1: bundle/inconsistent: no list names this file: name it as `file`, or remove it");
    let cases = [
        (
            yaml(&BY_FILE.replace("customers.list", "clients.list")),
            unknown("lists/clients.list"),
        ),
        (yaml(&BY_FILE.replace(LIST, "policy.yaml")), unknown("policy.yaml")),
        (
            yaml(&twice),
            "destinations.yaml:5:11: bundle/listed-twice: list file `lists/customers.list` is listed twice".to_owned(),
        ),
        (yaml(neither), format!("{either}\n{unnamed}")),
        (yaml(&both), either.to_owned()),
        (
            list(&lines(&[TWO, ONE])),
            format!(
                "{LIST}:2:1: bundle/bad-value: `{ONE}` is not above the line before it: lines ascend by their bytes, as `LC_ALL=C sort -u` puts them"
            ),
        ),
        (
            list(&lines(&[ONE, ONE])),
            format!("{LIST}:2:1: bundle/listed-twice: `{ONE}` is listed twice"),
        ),
        (
            list(&format!("{ONE}\n{TWO}")),
            format!(
                "{LIST}:2:1: bundle/bad-value: the last line has no line end: every line ends with LF, or the file may be cut off"
            ),
        ),
        (
            list(&lines(&["# customers", ONE])),
            format!(
                "{LIST}:1:1: bundle/bad-address: `# customers`: a destination is written `chain:address` (CAIP-10), for example `eip155:1:0x…`"
            ),
        ),
        (
            list(&lines(&[&ONE.to_lowercase(), TWO])),
            format!(
                "{LIST}:1:1: bundle/bad-address: `{}`: the address does not carry its EIP-55 checksum",
                ONE.to_lowercase()
            ),
        ),
        (
            list(&lines(&["eip155:1:0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC", TWO])),
            format!("{LIST}:1:1: bundle/unknown-name: unknown network `eip155:1`: no file in networks/ has this chain"),
        ),
        (
            list(&lines(&[ONE, OWN])),
            format!(
                "{LIST}:2:1: bundle/inconsistent: the address is wallet `eth-hot` of this bundle: use `to: {{ own: [eth-hot] }}`"
            ),
        ),
        (
            list(&lines(&["eip155:31337:0x0000000000000000000000000000000000000001"])),
            format!(
                "{LIST}:1:1: bundle/bad-address: `eip155:31337:0x0000000000000000000000000000000000000001`: the address is a precompiled contract: whatever is sent there is lost"
            ),
        ),
        (
            by_file(BY_FILE, vec![b'a'; MAX_LIST_BYTES + 1]),
            format!(
                "{LIST}:1:1: bundle/too-many: 104000001 bytes; at most 16777216 in one file (66000000 in a key table, 104000000 in a list) and \
                 134217728 in all are accepted"
            ),
        ),
    ];
    for (files, report) in cases {
        let errors = errors(&files);
        assert_eq!(errors.to_string(), report);
        assert_eq!(errors.tag().as_str(), "bundle/malformed");
    }
    // What is not the manifest's is told apart.
    let mut swapped = by_file(BY_FILE, lines(&[ONE, TWO]));
    swapped.insert(LIST.to_owned(), lines(&[ONE, OWN]).into_bytes());
    assert_eq!(errors(&swapped).tag().as_str(), "bundle/digest-mismatch");
}

#[test]
fn lists_have_their_place_in_a_bundle() {
    let manifest = |path: &str| {
        let mut files = dev();
        files.remove("manifest.json");
        files.insert(path.to_owned(), vec![]);
        Manifest::build(1, None, &files).is_ok()
    };
    let paths = [
        (LIST, true),
        ("lists/a-1.list", true),
        ("lists/A.list", false),
        ("lists/.list", false),
        ("lists/customers.txt", false),
        ("lists/a/b.list", false),
        ("customers.list", false),
    ];
    for (path, is_one) in paths {
        assert_eq!(manifest(path), is_one, "{path}");
    }
}

#[test]
fn a_step_between_lists_is_compared_by_entry() {
    let base = by_file(BY_FILE, many(0, 1_000));
    let to = |list: String| classify(&load(&base), &load(&by_file(BY_FILE, list)));
    let removed = to(many(1, 999));
    assert_eq!(
        told(&removed),
        [
            "tightens  destinations.yaml, list customers: entries removed: 1; only permits name the list, so they cover less"
        ]
    );
    assert!(removed.class().is_pure_tightening());
    let added = to(many(0, 1_002));
    assert_eq!(
        told(&added),
        ["loosens   destinations.yaml, list customers: entries added: 2"]
    );
    assert_eq!(to(many(1, 1_000)).class(), Class::Both);
    assert_eq!(to(many(0, 1_000)).class(), Class::None);
    // Where a list stands is no matter; what people read beside its entries is.
    let filed = classify(&load(&dev()), &load(&by_file(BY_FILE, lines(&[ONE, TWO]))));
    let renamed = ["loosens   destinations.yaml, list customers: entries renamed: 2; people read the names"];
    assert_eq!(told(&filed), renamed);
    let written = classify(&load(&by_file(BY_FILE, lines(&[ONE, TWO]))), &load(&dev()));
    assert_eq!(told(&written), renamed);
}

#[test]
fn lookalikes_are_found_in_a_list_by_file() {
    let bundle = load(&by_file(BY_FILE, many(0, 2_000) + &lines(&[ONE, TWO])));
    let poisoned: Destination = "eip155:31337:0x70990000000000000000000000000000000079c8"
        .parse()
        .unwrap();
    let known: Vec<_> = bundle.lookalikes(&poisoned).collect();
    assert_eq!(known.len(), 1);
    assert_eq!(known[0].destination.to_string(), TWO);
    assert_eq!(known[0].source.to_string(), "a destination of list customers");
}

/// Longer lists load, compare and answer in what a person waits for, in a debug build on a busy machine.
#[test]
fn twenty_thousand_destinations() {
    let old = load(&by_file(BY_FILE, many(0, 20_000)));
    let new = load(&by_file(BY_FILE, many(10, 20_000)));
    let list = new.destinations().list(&"customers".parse().unwrap()).unwrap();
    assert_eq!(list.len(), 20_000);
    let start = Instant::now();
    let change = classify(&old, &new);
    assert_eq!(
        told(&change),
        [
            "tightens  destinations.yaml, list customers: entries removed: 10; only permits name the list, so they cover less",
            "loosens   destinations.yaml, list customers: entries added: 10"
        ]
    );
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

/// What a million costs: `cargo test --release -p countersign-bundle --test bundle a_million -- --ignored --nocapture`.
#[test]
#[ignore = "measures; a debug build takes minutes"]
fn a_million_destinations() {
    let resident = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:").map(str::trim).map(str::to_owned));
        line.unwrap_or_default()
    };
    let files = by_file(BY_FILE, many(0, 1_000_000));
    println!("files made: {}", resident());
    let start = Instant::now();
    let old = load(&files);
    println!("loaded in {:?}: {}", start.elapsed(), resident());
    let new = load(&by_file(BY_FILE, many(10, 1_000_000)));
    let start = Instant::now();
    let change = classify(&old, &new);
    println!("compared in {:?}: {:?}", start.elapsed(), told(&change));
    let start = Instant::now();
    let lints = old.lint(countersign_policy::analysis::Budget::DEFAULT);
    println!("linted in {:?}: {} lints", start.elapsed(), lints.findings.len());
    let start = Instant::now();
    let stranger: Destination = TWO.parse().unwrap();
    let found = old.lookalikes(&stranger).count();
    println!("lookalikes in {:?}: {found}", start.elapsed());
    let list = old.destinations().list(&"customers".parse().unwrap()).unwrap();
    let probes: Vec<Destination> = list.iter().step_by(997).collect();
    let start = Instant::now();
    let hits = probes.iter().filter(|probe| list.contains(probe)).count();
    let each = start.elapsed() / u32::try_from(probes.len()).unwrap();
    println!("{hits} of {} found, {each:?} each", probes.len());
    assert_eq!(hits, probes.len());
}
