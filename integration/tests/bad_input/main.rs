//! Bad input through the orchestrator's front door: each meets its own stable code, which says what and where, and nothing
//! is recorded as accepted that was not.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods,
    reason = "tests fail by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod bundles;
mod certificates;
mod statements;
mod transactions;

use std::time::Duration;

use countersign_client::{Client, State, Until};
use support::{Scene, Withdrawal};

/// On a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(120);

/// What became of a withdrawal that was taken in: its state and the tags of the reasons.
async fn outcome(client: &Client, withdrawal: &Withdrawal) -> (State, Vec<String>) {
    let answer = client
        .submit_and_wait(&withdrawal.request, &withdrawal.unsigned, Until::Answered, PATIENCE)
        .await
        .unwrap();
    assert_eq!(answer.id, withdrawal.id);
    assert_eq!(answer.signed(), None);
    let tags = answer.reasons.into_iter().map(|reason| {
        assert!(!reason.message.is_empty(), "{} says nothing", reason.tag);
        reason.tag
    });
    (answer.state, tags.collect())
}

/// Nothing is known of it, on either side.
async fn assert_forgotten(scene: &Scene, client: &Client) {
    let page = client.list(&[], 0, "").await.unwrap();
    assert_eq!(page.withdrawals, []);
    let types: Vec<_> = scene.log().await.iter().map(|entry| entry["type"].clone()).collect();
    let setup = ["genesis/1", "statement/1", "statement/1", "activation/1"];
    assert_eq!(types, setup, "only what `countersign init` left");
}
