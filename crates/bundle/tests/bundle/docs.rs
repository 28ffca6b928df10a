//! Every YAML block of `docs/policy.md` loads inside the dev bundle, and every condition has its row.

use std::collections::BTreeMap;

use crate::support::{dev, seal};
use countersign_bundle::Bundle;
use countersign_policy::ConditionKind;

const DOCS: &str = include_str!("../../../../docs/policy.md");
const SECTIONS: [&str; 5] = ["permits", "requires", "limits", "forbids", "invariants"];

/// The fenced blocks that start with ```` ```yaml ````: what stands behind `yaml`, and the text.
fn blocks() -> Vec<(&'static str, &'static str)> {
    DOCS.split("\n```yaml")
        .skip(1)
        .map(|rest| {
            let (info, rest) = rest.split_once('\n').unwrap();
            (info.trim(), rest.split_once("\n```").unwrap().0)
        })
        .collect()
}

/// The dev policy by section, header aside.
fn sections() -> BTreeMap<&'static str, String> {
    let policy = include_str!("../../../../policies/dev/policy.yaml");
    let mut sections = BTreeMap::new();
    for name in SECTIONS.into_iter().filter(|name| *name != "invariants") {
        let start = policy.find(&format!("\n{name}:\n")).unwrap() + 1;
        let end = SECTIONS
            .iter()
            .filter_map(|other| policy[start..].find(&format!("\n{other}:\n")).map(|at| at + start))
            .min()
            .unwrap_or(policy.len());
        sections.insert(name, policy[start..end].to_owned());
    }
    sections
}

#[test]
fn every_block_of_rules_loads() {
    let mut seen = BTreeMap::new();
    for (_, text) in blocks().into_iter().filter(|(info, _)| info.is_empty()) {
        let section = SECTIONS
            .into_iter()
            .chain(["breakers"])
            .find(|name| text.starts_with(&format!("{name}:\n")))
            .unwrap();
        *seen.entry(section).or_insert(0) += 1;
        let mut sections = sections();
        sections.insert("invariants", String::new());
        // An example of permits may leave the dev wallet's fees out; it stands beside the dev permits then.
        let text = match section {
            "permits" if !text.contains("customer-payouts") => {
                format!(
                    "{}\n{}",
                    sections["permits"].trim_end(),
                    text.trim_start_matches("permits:\n")
                )
            }
            _ => text.to_owned(),
        };
        sections.insert(section, text);
        // The dev policy has no breakers; the section may be left out.
        let sections: Vec<&str> = SECTIONS
            .iter()
            .chain(&["breakers"])
            .filter_map(|name| sections.get(name).map(String::as_str))
            .collect();
        let policy = format!("schema: countersign.policy/1\n{}\n", sections.join("\n"));
        let mut files = dev();
        files.insert("policy.yaml".to_owned(), policy.clone().into_bytes());
        let loaded = Bundle::load(&seal(files))
            .map(drop)
            .map_err(|errors| errors.to_string());
        assert_eq!(loaded, Ok(()), "{policy}");
    }
    assert_eq!(
        seen,
        BTreeMap::from([
            ("permits", 4),
            ("requires", 2),
            ("limits", 3),
            ("forbids", 3),
            ("invariants", 1),
            ("breakers", 1)
        ])
    );
}

#[test]
fn every_file_loads() {
    let mut count = 0;
    for (path, text) in blocks().into_iter().filter(|(info, _)| !info.is_empty()) {
        count += 1;
        let mut files = dev();
        let original = files.get(path).cloned().unwrap();
        // The keys of the roster are shortened for the reader; they stand in the fixture.
        let text = if path == "roster.yaml" {
            with_fixture_keys(text, &original)
        } else {
            text.to_owned()
        };
        files.insert(path.to_owned(), text.clone().into_bytes());
        let loaded = Bundle::load(&seal(files))
            .map(drop)
            .map_err(|errors| errors.to_string());
        assert_eq!(loaded, Ok(()), "{path}\n{text}");
    }
    assert_eq!(count, 5);
}

fn with_fixture_keys(text: &str, fixture: &[u8]) -> String {
    let fixture = std::str::from_utf8(fixture).unwrap();
    let keys: Vec<&str> = fixture.lines().filter_map(|line| line.split('"').nth(1)).collect();
    let people = ["alice", "bob", "carol", "dave"].iter().zip(&keys);
    let people: String = people
        .map(|(id, key)| format!("  - {{ id: {id}, keys: [\"{key}\"] }}\n"))
        .collect();
    text.replace("  - { id: alice, keys: [\"ssh-ed25519 AAAA…\"] }\n", &people)
        .replace("ed25519:d75a…", keys[4])
}

#[test]
fn every_condition_has_a_row() {
    for kind in ConditionKind::ALL {
        let key = kind.as_str();
        let row = match key.split_once('.') {
            Some((outer, inner)) => format!("| `{outer}: {{ {inner}: "),
            None => format!("| `{key}: "),
        };
        assert!(DOCS.contains(&row), "docs/policy.md lacks a row `{row}`");
    }
}
