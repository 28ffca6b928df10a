//! The log, read by somebody who adds up by hand.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// What was asked for, by withdrawal: base units.
pub(crate) type Asked = BTreeMap<String, u128>;

/// What a naive reader of the log comes to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    /// Authorized withdrawals, each counted once.
    pub(crate) authorized: u128,
    /// Signed ones.
    pub(crate) signed: u128,
    /// What the limit held at the last decision that it denied.
    pub(crate) held_at_last_denial: Option<u128>,
}

/// Adds up entry by entry. Every decision must have seen exactly what was authorized before it, and no authorization goes
/// over the limit.
pub(crate) fn replay(log: &[Value], asked: &Asked, limit: u128) -> Sums {
    let (mut authorized, mut signed) = (BTreeSet::new(), BTreeSet::new());
    let mut sums = Sums::default();
    for entry in log {
        let id = entry["withdrawal"].as_str().unwrap_or_default().to_owned();
        match entry["type"].as_str().unwrap() {
            "decision/1" => {
                let (held, lineage) = held(entry);
                assert_eq!(held, sums.authorized, "the decision saw another sum: {entry}");
                let own = if authorized.contains(&id) { asked[&id] } else { 0 };
                assert_eq!(lineage, own, "{entry}");
                if entry["outcome"] == "allowed" && authorized.insert(id.clone()) {
                    sums.authorized += asked[&id];
                    assert!(sums.authorized <= limit, "over the limit at {entry}");
                }
                if entry["reasons"].to_string().contains("limit/window-exceeded") {
                    assert!(held + asked[&id] > limit, "denied although it fits: {entry}");
                    sums.held_at_last_denial = Some(held);
                }
            }
            "signature/1" => {
                assert!(authorized.contains(&id), "signed without an authorization: {entry}");
                if signed.insert(id.clone()) {
                    sums.signed += asked[&id];
                }
            }
            _ => {}
        }
    }
    sums
}

/// What the one counter stood at, and the withdrawal's own part of it.
fn held(entry: &Value) -> (u128, u128) {
    let usage = entry["ledger"]["usage"].as_object().unwrap();
    assert_eq!(usage.len(), 1, "{entry}");
    let counter = usage.values().next().unwrap();
    let number = |value: &Value| value.as_str().unwrap().parse().unwrap();
    (number(&counter["windows"]["1h"]), number(&counter["lineage"]))
}
