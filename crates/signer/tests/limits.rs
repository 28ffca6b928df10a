//! Limits over windows, through the whole signer and a SQLite journal.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::wildcard_enum_match_arm,
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "tests fail by panicking"
)]

mod support;

use std::sync::atomic::{AtomicU64, Ordering};

use countersign_decision::{Entry, Receipt, testing::Ask};
use countersign_signer::{Answer, Journal as _};
use countersign_types::{Tag, WithdrawalId};
use support::{Rig, assert_denied, assert_pending, assert_signed, tags};

/// A hundredth of an ether.
const CENT: u128 = 10_000_000_000_000_000;
const HOUR: &str = r#"id: eth-hour, effects: [transfer], assets: [ETH], scope: [], window: 1h, hard: "0.12 ETH""#;

/// A withdrawal with a nonce, of so many hundredths of an ether; up to ten need nobody.
fn ask(nonce: u64, cents: u128) -> Ask {
    static REFERENCES: AtomicU64 = AtomicU64::new(0);
    Ask {
        reference: format!("order-{}", REFERENCES.fetch_add(1, Ordering::SeqCst)),
        amount: cents * CENT,
        nonce,
        ..Ask::default()
    }
}

impl Rig {
    async fn pay(&self, nonce: u64, cents: u128) -> Answer {
        let ask = ask(nonce, cents);
        let request = self.world.request(&ask);
        self.authorize(&ask, &request, &[]).await.unwrap()
    }

    async fn log_size(&self) -> usize {
        self.journal.entries(0, 256).await.unwrap().len()
    }
}

/// What an answer says about the limit that it is over.
#[track_caller]
fn message(answer: &Answer) -> String {
    let Answer::Denied { reasons, .. } = answer else {
        panic!("{answer:?}")
    };
    let over = reasons.iter().find(|reason| reason.tag == Tag::LimitWindowExceeded);
    over.unwrap_or_else(|| panic!("{answer:?}")).message.clone()
}

#[tokio::test]
async fn a_window_adds_up_what_was_authorized() {
    let rig = Rig::limited(&[HOUR]).await;
    assert_signed(&rig.pay(0, 10).await);
    let over = rig.pay(1, 3).await;
    assert_denied(&over, Tag::LimitWindowExceeded);
    let text = message(&over);
    assert!(text.contains("130000000000000000 against 120000000000000000"), "{text}");
    // Exactly up to the limit is within it, and a denial charged nothing.
    assert_signed(&rig.pay(1, 2).await);
    assert_denied(&rig.pay(2, 1).await, Tag::LimitWindowExceeded);
    assert_eq!(rig.uses(), 2);
}

#[tokio::test]
async fn what_is_not_attested_to_be_mined_counts_for_ever() {
    let rig = Rig::limited(&[HOUR]).await;
    assert_signed(&rig.pay(0, 10).await);
    rig.advance(3 * 3_600);
    assert_denied(&rig.pay(1, 3).await, Tag::LimitWindowExceeded);
}

#[tokio::test]
async fn a_withdrawal_counts_once_at_its_largest_attempt() {
    let fees = r#"id: fees-hour, effects: [fee], scope: [wallet], window: 1h, hard: "0.001 ETH""#;
    let rig = Rig::limited(&[HOUR, fees]).await;
    let bump = |gwei: u128| Ask {
        is_template: true,
        max_fee_per_gas: gwei * 1_000_000_000,
        ..ask(0, 10)
    };
    let request = rig.world.request(&bump(20));
    // 21 000 gas: 0.00042, 0.00084 and, too much, 0.00105 ETH.
    for gwei in [20, 40] {
        assert_signed(&rig.authorize(&bump(gwei), &request, &[]).await.unwrap());
    }
    let over = rig.authorize(&bump(50), &request, &[]).await.unwrap();
    assert_denied(&over, Tag::LimitWindowExceeded);
    // The transfer counted once, the fees once at their largest: 0.00084 and 0.00021 are too much, 0.000126 is not.
    for (gwei, expected) in [(10, vec![Tag::LimitWindowExceeded]), (6, vec![])] {
        let ask = Ask {
            max_fee_per_gas: gwei * 1_000_000_000,
            ..ask(1, 2)
        };
        let request = rig.world.request(&ask);
        let answer = rig.authorize(&ask, &request, &[]).await.unwrap();
        assert_eq!(tags(&answer), expected, "{gwei}: {answer:?}");
    }
}

#[tokio::test]
async fn asking_again_while_others_spend_does_not_grow_the_log() {
    let rig = Rig::limited(&[r#"id: eth-hour, effects: [transfer], scope: [], window: 1h, hard: "0.5 ETH""#]).await;
    let pending = ask(9, 20);
    let denied = ask(8, 50);
    let (pending_request, denied_request) = (rig.world.request(&pending), rig.world.request(&denied));
    assert_signed(&rig.pay(0, 5).await);
    let expect = |answer: &Answer, denied: &Answer| {
        assert_pending(answer, Tag::ApprovalMissing);
        assert_denied(denied, Tag::LimitWindowExceeded);
    };
    let first = rig.authorize(&pending, &pending_request, &[]).await.unwrap();
    let no = rig.authorize(&denied, &denied_request, &[]).await.unwrap();
    expect(&first, &no);
    assert_signed(&rig.pay(1, 5).await);
    let before = rig.log_size().await;
    for _ in 0..3 {
        let again = rig.authorize(&pending, &pending_request, &[]).await.unwrap();
        let still = rig.authorize(&denied, &denied_request, &[]).await.unwrap();
        expect(&again, &still);
        assert_ne!(message(&still), message(&no), "the answer has the numbers of now");
    }
    assert_eq!(rig.log_size().await, before);
}

#[tokio::test]
async fn the_receipt_decides_again_with_what_the_window_held() {
    let rig = Rig::limited(&[HOUR]).await;
    assert_signed(&rig.pay(0, 5).await);
    let second = ask(1, 7);
    let request = rig.world.request(&second);
    assert_signed(&rig.authorize(&second, &request, &[]).await.unwrap());
    let id = WithdrawalId::of(request.request_digest().unwrap());
    let receipt = rig.signer.receipt(id).await.unwrap();
    let receipt = Receipt::verify(&receipt, &rig.world.genesis_bytes).unwrap();
    let held = serde_json::to_string(&receipt.decision.unwrap().ledger.usage).unwrap();
    assert!(
        held.contains(r#""windows":{"1h":"50000000000000000"},"lineage":"0""#),
        "{held}"
    );
}

/// A limit that was renamed, moved, scoped otherwise, counts otherwise or is new begins with what was spent.
#[tokio::test]
async fn a_changed_limit_forgets_nothing() {
    let mut rig = Rig::limited(&[]).await;
    assert_signed(&rig.pay(0, 10).await);
    let limits = [
        ("new", HOUR),
        (
            "renamed",
            r#"id: other, effects: [transfer], assets: [ETH], scope: [], window: 1h, hard: "0.12 ETH""#,
        ),
        (
            "longer",
            r#"id: other, effects: [transfer], assets: [ETH], scope: [], window: 24h, hard: "0.12 ETH""#,
        ),
        (
            "by wallet",
            r#"id: other, effects: [transfer], assets: [ETH], scope: [wallet], window: 1h, hard: "0.12 ETH""#,
        ),
        (
            "by customer",
            r#"id: other, effects: [transfer], scope: [subject], window: 1h, hard: "0.12 ETH""#,
        ),
        (
            "by tenant",
            r#"id: other, scope: [tenant, initiator, tier, network], window: day, zone: UTC, hard: "0.12 ETH""#,
        ),
        (
            "of transactions",
            r#"id: other, effects: [transfer], scope: [destination], window: 90d, count: 1"#,
        ),
    ];
    for (what, limit) in limits {
        rig.limit(&[limit]).await.unwrap();
        let answer = rig.pay(1, 3).await;
        assert_eq!(tags(&answer), [Tag::LimitWindowExceeded], "{what}: {answer:?}");
    }
    // What the old counters held is still there, and what was spent under others is in them.
    rig.limit(&[]).await.unwrap();
    assert_signed(&rig.pay(1, 1).await);
    rig.limit(&[HOUR]).await.unwrap();
    let over = rig.pay(2, 2).await;
    assert!(message(&over).contains("130000000000000000 against"), "{over:?}");
}

#[tokio::test]
async fn a_limit_that_cannot_say_what_was_spent_is_not_activated() {
    let mut rig = Rig::limited(&[]).await;
    let strangers = "id: strangers, effects: [transfer], scope: [], window: 24h, new-destinations: 5";
    assert_signed(&rig.pay(0, 1).await);
    let refused = rig.limit(&[strangers]).await.unwrap_err();
    assert_eq!(refused.tag(), Tag::LimitPastUnknown);
    assert!(refused.to_string().contains("`strangers`"), "{refused}");
    // The bundle before is still in force.
    assert_signed(&rig.pay(1, 1).await);
    // Where nothing was spent, nothing is unknown.
    let mut fresh = Rig::limited(&[]).await;
    fresh.limit(&[strangers]).await.unwrap();
}

/// POLICY.md step 9: the limits at first sight hold as well, with what was spent under later bundles that keep them.
#[tokio::test]
async fn the_limit_at_first_sight_holds_too() {
    let mut rig = Rig::limited(&[HOUR]).await;
    let early = ask(1, 11);
    let request = rig.world.request(&early);
    assert_pending(
        &rig.authorize(&early, &request, &[]).await.unwrap(),
        Tag::ApprovalMissing,
    );
    assert_signed(&rig.pay(0, 2).await);
    rig.limit(&[]).await.unwrap();
    let approvals = ["alice", "bob"].map(|person| rig.world.approval(person, &request, &early));
    let answer = rig
        .authorize(&early, &request, &[&approvals[0], &approvals[1]])
        .await
        .unwrap();
    assert_denied(&answer, Tag::LimitWindowExceeded);
    // Asked for the first time now, it is within the policy in force.
    assert_signed(&rig.pay(1, 10).await);
}

/// The decision's charges and usage are in the journal and the log, and survive a restart.
#[tokio::test]
async fn a_restart_forgets_nothing() {
    let rig = Rig::limited(&[HOUR]).await;
    assert_signed(&rig.pay(0, 10).await);
    let rig = rig.restart().await;
    assert_denied(&rig.pay(1, 3).await, Tag::LimitWindowExceeded);
    let entries = rig.journal.entries(0, 256).await.unwrap();
    let usages = entries.iter().filter_map(|bytes| match Entry::parse(bytes).unwrap() {
        Entry::Decision(entry) => Some(serde_json::to_string(&entry.ledger.usage).unwrap()),
        _ => None,
    });
    let held: Vec<bool> = usages.map(|usage| usage.contains("100000000000000000")).collect();
    assert_eq!(held, [false, true]);
}
