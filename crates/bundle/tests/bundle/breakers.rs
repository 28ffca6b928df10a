//! The `breakers` section of `policy.yaml`: one valid section, one change, and what is said about it, where.

use countersign_bundle::Bundle;
use countersign_policy::{Frozen, Trip};
use countersign_types::Duration;

use crate::support::{errors, mutated};

const SECTION: &str = "breakers:
  - { id: rejected-twice, when: { rejections-on-lineage: 2 }, freeze: [initiator] }
  - { id: many-strangers, when: { new-destinations: 20, within: 1h }, freeze: [wallet, tenant] }
  - { id: everywhere-at-once, when: { networks: 3, within: 10m }, freeze: [all] }
forbids:
";

#[test]
fn breakers_load() {
    let bundle = Bundle::load(&mutated("policy.yaml", "forbids:\n", SECTION)).unwrap();
    let trips: Vec<(&str, Trip, usize)> = bundle
        .policy()
        .breakers()
        .map(|breaker| (breaker.id().as_str(), breaker.trip(), breaker.freezes().len()))
        .collect();
    let minutes = |minutes: u32| Duration::from_secs(minutes * 60);
    assert_eq!(
        trips,
        [
            ("everywhere-at-once", Trip::Networks(3, minutes(10)), 1),
            ("many-strangers", Trip::NewDestinations(20, minutes(60)), 2),
            ("rejected-twice", Trip::RejectionsOnLineage(2), 1),
        ]
    );
    let last = bundle.policy().breakers().last().unwrap();
    assert!(last.freezes().contains(&Frozen::Initiator));
    let none = mutated("policy.yaml", "forbids:\n", "breakers: []\nforbids:\n");
    assert_eq!(Bundle::load(&none).unwrap().policy().breakers().count(), 0);
}

#[test]
fn each_mutation_is_told() {
    let shape = "a breaker has one of `rejections-on-lineage: N`, `new-destinations: N` with `within`, `networks: N` with `within`, \
                 and freezes some of all, wallet, network, initiator, tenant";
    for (from, to, expected) in [
        (
            "rejections-on-lineage: 2",
            "rejections-on-lineage: 0",
            "write a whole number from 1 to 64",
        ),
        (
            "rejections-on-lineage: 2",
            "rejections-on-lineage: 65",
            "write a whole number from 1 to 64",
        ),
        (
            "new-destinations: 20, within: 1h",
            "new-destinations: 0, within: 1h",
            "write a whole number from 1 to 1000000",
        ),
        (
            "rejections-on-lineage: 2",
            "rejections-on-lineage: 2, within: 1h",
            shape,
        ),
        ("new-destinations: 20, within: 1h", "new-destinations: 20", shape),
        (
            "new-destinations: 20, within: 1h",
            "new-destinations: 20, networks: 1, within: 1h",
            shape,
        ),
        ("{ networks: 3, within: 10m }", "{}", shape),
        (
            "within: 10m",
            "within: 0s",
            "breaker `everywhere-at-once` needs a count of at least 1, and a `within` of 1s to 7d",
        ),
        (
            "within: 10m",
            "within: 8d",
            "breaker `everywhere-at-once` needs a count of at least 1, and a `within` of 1s to 7d",
        ),
        ("within: 10m", "within: soon", "a duration is a whole number and a unit"),
        (
            "freeze: [all]",
            "freeze: []",
            "breaker `everywhere-at-once` freezes nothing",
        ),
        ("freeze: [all]", "freeze: [asset]", shape),
        (
            "id: everywhere-at-once",
            "id: many-strangers",
            "rule id `many-strangers` is used twice",
        ),
        (
            "id: everywhere-at-once",
            "id: customer-payouts",
            "rule id `customer-payouts` is used twice",
        ),
        ("freeze: [all]", "freeze: [all], unless: x", "unknown field `unless`"),
    ] {
        assert_eq!(SECTION.matches(from).count(), 1, "{from}");
        let said = errors(&mutated("policy.yaml", "forbids:\n", &SECTION.replace(from, to))).to_string();
        assert!(said.contains(expected), "{from} -> {to}: {said}");
    }
}
