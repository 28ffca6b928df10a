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
    /// The cancel attempts that were signed.
    pub(crate) cancels: BTreeSet<String>,
}

/// Adds up entry by entry. Every decision must have seen exactly what was authorized before it, no authorization goes
/// over the limit, and behind its cancel a withdrawal is authorized nothing but bytes that pay nobody, which cost the limit nothing.
pub(crate) fn replay(log: &[Value], asked: &Asked, cancels: &BTreeSet<String>, limit: u128) -> Sums {
    let (mut authorized, mut signed, mut cancelled) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    // Authorizations of bytes that pay nobody.
    let mut attempts = BTreeMap::new();
    let mut sums = Sums::default();
    for entry in log {
        let id = entry["withdrawal"].as_str().unwrap_or_default().to_owned();
        let pays_nobody = entry["transaction"].as_str().filter(|bytes| cancels.contains(*bytes));
        match entry["type"].as_str().unwrap() {
            "statement/1" if entry["kind"] == "cancel" => {
                cancelled.extend(
                    entry["withdrawals"]
                        .as_array()
                        .unwrap()
                        .iter()
                        .map(|id| id.as_str().unwrap().to_owned()),
                );
            }
            "decision/1" => {
                let counter = held(entry);
                assert!(
                    counter.is_some() || pays_nobody.is_some(),
                    "a payment that nothing counts: {entry}"
                );
                let own = if authorized.contains(&id) { asked[&id] } else { 0 };
                if let Some((held, lineage)) = counter {
                    assert_eq!(held, sums.authorized, "the decision saw another sum: {entry}");
                    assert_eq!(lineage, own, "{entry}");
                }
                let is_allowed = entry["outcome"] == "allowed";
                assert!(
                    !is_allowed || cancelled.contains(&id) == pays_nobody.is_some(),
                    "a payment behind its cancel, or a cancel attempt without one: {entry}"
                );
                if let Some(attempt) = pays_nobody.filter(|_| is_allowed) {
                    let authorization = entry["authorization"]["id"].as_str().unwrap();
                    attempts.insert(authorization.to_owned(), attempt.to_owned());
                }
                if is_allowed && authorized.insert(id.clone()) {
                    sums.authorized += asked[&id];
                    assert!(sums.authorized <= limit, "over the limit at {entry}");
                }
                if entry["reasons"].to_string().contains("limit/window-exceeded") {
                    assert!(sums.authorized + asked[&id] > limit, "denied although it fits: {entry}");
                    sums.held_at_last_denial = counter.map(|(held, _)| held);
                }
            }
            "signature/1" => {
                assert!(authorized.contains(&id), "signed without an authorization: {entry}");
                let authorization = entry["authorization"].as_str().unwrap();
                sums.cancels.extend(attempts.remove(authorization));
                if signed.insert(id.clone()) {
                    sums.signed += asked[&id];
                }
            }
            _ => {}
        }
    }
    sums
}

/// What the one counter stood at, and the withdrawal's own part of it; nothing where no payment is asked for.
fn held(entry: &Value) -> Option<(u128, u128)> {
    let usage = entry["ledger"].get("usage")?.as_object().unwrap();
    assert_eq!(usage.len(), 1, "{entry}");
    let counter = usage.values().next().unwrap();
    let number = |value: &Value| value.as_str().unwrap().parse().unwrap();
    Some((number(&counter["windows"]["1h"]), number(&counter["lineage"])))
}
