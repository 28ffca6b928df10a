//! The `observers` section of `roster.yaml`: one valid section, one change, and what is said about it, where.

use countersign_bundle::{Bundle, write_roster};

use crate::support::{Files, dev, errors, mutated, seal};

const SERVICE: &str = "  - id: payout-service\n";
const NODES: &str = "  - { id: node-a, operators: [alice], keys: [\"ed25519:8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394\"] }
  - { id: node-b, operators: [bob], keys: [\"ed25519:ed4928c628d1c2c6eae90338905995612959273a5c63f93636c14614ac8737d1\"] }\n";
const SECTION: &str =
    "officers: [dave]\nobservers:\n  - { network: \"eip155:31337\", threshold: 2, members: [node-a, node-b] }\n";

/// The dev bundle with two observers, and a text of its roster replaced.
fn observed(from: &str, to: &str) -> Files {
    let mut files = dev();
    let roster = String::from_utf8(files["roster.yaml"].clone()).unwrap();
    let roster = roster
        .replace(SERVICE, &format!("{NODES}{SERVICE}"))
        .replace("officers: [dave]\n", SECTION);
    assert_eq!(roster.matches(from).count(), 1, "`{from}` must stand once");
    files.insert("roster.yaml".to_owned(), roster.replace(from, to).into_bytes());
    seal(files)
}

#[test]
fn observers_load_and_each_mutation_is_told() {
    let bundle = Bundle::load(&observed(
        "threshold: 2, members: [node",
        "threshold: 2, members: [node",
    ))
    .unwrap();
    let quorum = bundle.roster().observers(&"eip155:31337".parse().unwrap()).unwrap();
    assert_eq!((quorum.threshold(), quorum.members().len()), (2, 2));
    for (from, to, expected) in [
        (
            "network: \"eip155:31337\"",
            "network: \"eip155:1\"",
            "roster.yaml:32:16: bundle/unknown-name: unknown network `eip155:1`: no file in networks/ has this chain",
        ),
        (
            "threshold: 2, members: [node",
            "threshold: 0, members: [node",
            "roster.yaml:32:43: bundle/empty-quorum: a quorum of 0 is nobody: write a whole number from 1 to 64",
        ),
        (
            "threshold: 2, members: [node",
            "threshold: 3, members: [node",
            "roster.yaml:32:43: bundle/unreachable-quorum: a threshold of 3 can never be reached by 2 members",
        ),
        (
            "operators: [bob]",
            "operators: [alice]",
            "roster.yaml:32:64: bundle/conflicting-duties: `alice` operates both `node-a` and `node-b`: they would be one voice",
        ),
        (
            "[node-a, node-b]",
            "[node-a, carol]",
            "roster.yaml:32:64: bundle/unknown-name: `carol` is not a service of the roster",
        ),
        (
            "[node-a, node-b]",
            "[node-a, payout-service]",
            "roster.yaml:32:64: bundle/conflicting-duties: `payout-service` initiates withdrawals: what it says of them proves nothing",
        ),
        (
            "operators: [bob]",
            "operators: [dave]",
            "roster.yaml:32:64: bundle/conflicting-duties: `dave` operates `node-b` and is behind the initiator `payout-service`: name a service whose \
             people ask for no withdrawals",
        ),
    ] {
        assert_eq!(errors(&observed(from, to)).to_string(), expected, "{from:?} -> {to:?}");
    }
}

#[test]
fn a_roster_without_observers_knows_nothing() {
    let bundle = Bundle::load(&dev()).unwrap();
    assert_eq!(bundle.roster().observed_networks().count(), 0);
    let written = mutated("roster.yaml", "officers: [dave]\n", "officers: [dave]\nobservers: []\n");
    assert_eq!(Bundle::load(&written).unwrap().roster().observed_networks().count(), 0);
}

#[test]
fn one_observer_alone_makes_facts_in_development_only() {
    let two = Bundle::load(&observed("members: [node-a", "members: [node-a")).unwrap();
    let one = Bundle::load(&observed(
        "threshold: 2, members: [node",
        "threshold: 1, members: [node",
    ))
    .unwrap();
    let said = "the observers of `eip155:31337`: one alone makes no fact";
    assert!(one.check_environment(false).is_ok());
    assert!(one.check_environment(true).unwrap_err().to_string().contains(said));
    assert!(!two.check_environment(true).unwrap_err().to_string().contains(said));
}

#[test]
fn what_is_written_reads_back() {
    let files = observed("members: [node-a", "members: [node-a");
    let file: countersign_approval::RosterFile =
        serde_saphyr::from_str(std::str::from_utf8(&files["roster.yaml"]).unwrap()).unwrap();
    let again: countersign_approval::RosterFile = serde_saphyr::from_str(&write_roster(&file)).unwrap();
    assert_eq!(file.observers.len(), 1);
    assert_eq!(again, file);
}
