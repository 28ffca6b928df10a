//! Limits over windows, through the whole signer and a SQLite journal.

use crate::support;

use std::sync::atomic::{AtomicU64, Ordering};

use countersign_approval::{Body, Envelope, ObservedFact, ObservedOutcome, Payment, TransactionBinding};
use countersign_bundle::Bundle;
use countersign_chains::solana::Address;
use countersign_decision::{
    Backtest, Change, Entry, Receipt,
    testing::{
        Ask, World, sealed,
        solana::{NETWORK, NONCE_VALUE, SolanaAsk, WALLET_SEED, customer, nonce_account, nonce_fact, thief},
        withdrawal,
    },
};
use countersign_signer::{Answer, Journal as _, SignerError, Submission};
use countersign_types::{ConflictKey, Destination, Tag, TransactionDigest, WithdrawalId};
use ed25519_dalek::SigningKey;
use support::{Mood, Rig, assert_denied, assert_pending, assert_signed, tags};

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
    assert!(text.contains("0.13 ETH against 0.12 ETH"), "{text}");
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
    assert!(message(&over).contains("0.13 ETH against"), "{over:?}");
}

/// A list gets an entry: of a batch that paid both, a limit on the list had counted one payment alone.
#[tokio::test]
async fn a_limit_whose_list_grows_counts_the_rest_of_a_batch() {
    let partners = |first: &SolanaAsk, more: &[Destination]| {
        let known = first.request().payments[0].destination.clone();
        let entry = |(n, at): (usize, &Destination)| format!("      - {{ name: p{n}, address: \"{at}\" }}\n");
        let entries: String = std::iter::once(&known).chain(more).enumerate().map(entry).collect();
        format!("  - id: partners\n    entries:\n{entries}")
    };
    let limit =
        r#"id: partners-hour, effects: [transfer], to: { list: partners }, scope: [], window: 1h, hard: "0.6 SOL""#;
    let (batch, next) = (sol("sol-batch", 1), sol("sol-2", 2));
    let other: Destination = format!("{NETWORK}:{}", Address::new(thief())).parse().unwrap();
    let mut rig = Rig::changed(World::observed(), &[limit], |files| {
        let lists = String::from_utf8(files["destinations.yaml"].clone()).unwrap();
        let permitted = format!("    entries:\n      - {{ name: Other, address: \"{other}\" }}\n");
        let lists = lists.replacen("    entries:\n", &permitted, 1) + &partners(&batch, &[]);
        files.insert("destinations.yaml".to_owned(), lists.into_bytes());
    })
    .await;

    // 0.1 SOL to the partner and 0.3 to the other, in one transaction.
    let unsigned = batch_of(&[(customer(), 100_000_000), (thief(), 300_000_000)]);
    let mut body = batch.request();
    body.transaction = TransactionBinding::Exact(TransactionDigest::of(&unsigned));
    body.payments[0].amount = 100_000_000_u64.into();
    body.payments.push(Payment {
        reference: "sol-batch/2".parse().unwrap(),
        amount: 300_000_000_u64.into(),
        destination: other.clone(),
        ..body.payments[0].clone()
    });
    let submission = Submission {
        request: rig
            .world
            .sign("payout-service", Body::Request(Box::new(body)))
            .to_bytes(),
        unsigned,
        statements: Vec::new(),
    };
    assert_signed(&rig.signer.authorize(submission).await.unwrap());

    let bundle = rig.world.bundle();
    let mut files = rig.world.files.clone();
    let lists = String::from_utf8(files["destinations.yaml"].clone()).unwrap();
    let lists = lists.replace(&partners(&batch, &[]), &partners(&batch, &[other]));
    files.insert("destinations.yaml".to_owned(), lists.into_bytes());
    let files = sealed(bundle.version() + 1, Some(bundle.digest()), files);
    rig.activate(&["alice", "bob"], files.clone()).await.unwrap();
    rig.world.files = files;
    let request = rig.world.solana_request(&next);
    let over = rig.pay_sol(&next, &request, &[]).await;
    assert!(message(&over).contains("0.7 SOL against 0.6 SOL"), "{over:?}");
}

/// Transfers of lamports in one message.
fn batch_of(payments: &[([u8; 32], u64)]) -> Vec<u8> {
    let count = payments.len() as u8;
    let mut message = [
        &[1, 0, 1, count + 2],
        &SigningKey::from_bytes(&WALLET_SEED).verifying_key().to_bytes()[..],
    ]
    .concat();
    payments.iter().for_each(|(to, _)| message.extend(to));
    message.extend([[0; 32], [0x78; 32]].concat());
    message.push(count);
    for (n, (_, lamports)) in (1..).zip(payments) {
        message.extend([count + 1, 2, 0, n, 12, 2, 0, 0, 0]);
        message.extend(lamports.to_le_bytes());
    }
    message
}

#[tokio::test]
async fn a_limit_that_cannot_say_what_was_spent_is_not_activated() {
    let mut rig = Rig::limited(&[]).await;
    let strangers = "id: strangers, effects: [transfer], scope: [], window: 24h, new-destinations: 5";
    let ask = ask(0, 1);
    let request = rig.world.request(&ask);
    assert_signed(&rig.authorize(&ask, &request, &[]).await.unwrap());
    let paid = withdrawal(&request);
    let refused = rig.limit(&[strangers]).await.unwrap_err();
    assert_eq!(refused.tag(), Tag::LimitPastUnknown);
    for named in ["`strangers`".to_owned(), format!("attempt 1 of {paid}")] {
        assert!(refused.to_string().contains(&named), "{refused}");
    }
    // The bundle before is still in force.
    assert_signed(&rig.pay(1, 1).await);
    // Where nothing was spent, nothing is unknown.
    let mut fresh = Rig::limited(&[]).await;
    fresh.limit(&[strangers]).await.unwrap();
}

/// The token failed at midnight, and the same bytes were authorized again and signed at two o'clock: a limit for the small hours counts them.
#[tokio::test]
async fn a_later_limit_counts_an_attempt_at_the_hour_of_its_last_authorization() {
    let small_hours = r#"id: small-hours, effects: [transfer], assets: [ETH], hours: { zone: UTC, days: [mon], from: "01:00", to: "03:00" }, scope: [], window: 24h, hard: "0.12 ETH""#;
    let mut rig = Rig::limited(&[]).await;
    let first = ask(0, 10);
    let request = rig.world.request(&first);
    rig.set_mood(Mood::Fails);
    let failed = rig.authorize(&first, &request, &[]).await;
    assert!(matches!(failed, Err(SignerError::Backend(_))), "{failed:?}");
    rig.set_mood(Mood::Signs);
    rig.advance(2 * 3_600);
    assert_signed(&rig.authorize(&first, &request, &[]).await.unwrap());
    rig.limit(&[small_hours]).await.unwrap();
    let over = rig.pay(1, 3).await;
    assert!(message(&over).contains("0.13 ETH against 0.12 ETH"), "{over:?}");
    assert_signed(&rig.pay(1, 2).await);
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

const SOL_HOUR: &str = r#"id: sol-hour, effects: [transfer], assets: [SOL], scope: [], window: 1h, hard: "0.5 SOL""#;

/// A withdrawal of 0.3 SOL under a template.
fn sol(reference: &str, blockhash: u8) -> SolanaAsk {
    SolanaAsk {
        reference: reference.to_owned(),
        amount: 300_000_000,
        blockhash: [blockhash; 32],
        ..SolanaAsk::default()
    }
}

impl Rig {
    async fn pay_sol(&self, ask: &SolanaAsk, request: &Envelope, observations: &[Envelope]) -> Answer {
        let submission = Submission {
            request: request.to_bytes(),
            unsigned: ask.unsigned(),
            statements: observations.iter().map(Envelope::to_bytes).collect(),
        };
        self.signer.authorize(submission).await.unwrap()
    }

    fn attest(&self, sequence: u64, fact: &ObservedFact) -> [Envelope; 2] {
        ["node-a", "node-b"].map(|node| self.world.observation(node, sequence, std::slice::from_ref(fact)))
    }
}

fn mined(ask: &SolanaAsk, txid: &str, outcome: ObservedOutcome) -> ObservedFact {
    ObservedFact::Mined {
        transaction: TransactionDigest::of(&ask.unsigned()),
        txid: txid.to_owned(),
        outcome,
    }
}

#[tokio::test]
async fn a_charge_leaves_its_window_once_observers_saw_it_mined() {
    let rig = Rig::observed_limited(&[SOL_HOUR]).await;
    let (first, second) = (sol("sol-1", 1), sol("sol-2", 2));
    let [request, other] = [&first, &second].map(|ask| rig.world.solana_request(ask));
    let txid = assert_signed(&rig.pay_sol(&first, &request, &[]).await).txid;
    rig.advance(2 * 3_600);
    assert_denied(&rig.pay_sol(&second, &other, &[]).await, Tag::LimitWindowExceeded);
    let seen = rig.attest(1, &mined(&first, &txid, ObservedOutcome::Succeeded));
    // One observer is not enough, and its word alone is not kept.
    let before = rig.log_size().await;
    assert_signed(&rig.pay_sol(&first, &request, &seen[..1]).await);
    assert_eq!(rig.log_size().await, before);
    assert_signed(&rig.pay_sol(&first, &request, &seen).await);
    assert_eq!(rig.log_size().await, before + 2);
    // It ages from now on: the journal does not know when it landed.
    assert_denied(&rig.pay_sol(&second, &other, &[]).await, Tag::LimitWindowExceeded);
    rig.advance(3_599);
    assert_denied(&rig.pay_sol(&second, &other, &[]).await, Tag::LimitWindowExceeded);
    rig.advance(1);
    assert_signed(&rig.pay_sol(&second, &other, &[]).await);
    // Saying it again changes nothing.
    let after = rig.log_size().await;
    assert_signed(&rig.pay_sol(&first, &request, &seen).await);
    assert_eq!(rig.log_size().await, after);
}

#[tokio::test]
async fn what_is_provably_dead_is_given_back() {
    let rig = Rig::observed_limited(&[SOL_HOUR]).await;
    let (first, second) = (sol("sol-1", 1), sol("sol-2", 2));
    let [request, other] = [&first, &second].map(|ask| rig.world.solana_request(ask));
    assert_signed(&rig.pay_sol(&first, &request, &[]).await);
    assert_denied(&rig.pay_sol(&second, &other, &[]).await, Tag::LimitWindowExceeded);
    let expired = ObservedFact::Expired {
        transaction: TransactionDigest::of(&first.unsigned()),
        last_valid_height: 900,
    };
    let seen = rig.attest(1, &expired);
    assert_signed(&rig.pay_sol(&first, &request, &seen).await);
    let rig = rig.restart().await;
    assert_signed(&rig.pay_sol(&second, &other, &[]).await);
    // Its next attempt is charged again.
    let again = sol("sol-1", 3);
    assert_denied(&rig.pay_sol(&again, &request, &[]).await, Tag::LimitWindowExceeded);
}

/// What used up the nonce may be the payment itself under another id: a quorum that thaws the wallet does not give it back.
#[tokio::test]
async fn what_a_foreign_spend_ended_stays_charged() {
    let rig = Rig::observed_limited(&[SOL_HOUR]).await;
    let first = SolanaAsk {
        amount: 300_000_000,
        ..SolanaAsk::durable()
    };
    let second = sol("sol-2", 2);
    let [request, other] = [&first, &second].map(|ask| rig.world.solana_request(ask));
    let stored = rig.attest(1, &nonce_fact());
    assert_signed(&rig.pay_sol(&first, &request, &stored).await);
    let spent = ObservedFact::Spent {
        conflict_key: ConflictKey::NonceAccount {
            account: nonce_account(),
            value: NONCE_VALUE,
        },
        txid: "stranger".to_owned(),
        outcome: ObservedOutcome::Succeeded,
    };
    let spent = rig.attest(2, &spent);
    assert_denied(&rig.pay_sol(&first, &request, &spent).await, Tag::FreezeActive);
    rig.thaw_everything().await;
    assert_denied(&rig.pay_sol(&second, &other, &[]).await, Tag::LimitWindowExceeded);
    rig.advance(3_600);
    assert_signed(&rig.pay_sol(&second, &other, &[]).await);
}

/// A payment that failed on chain is paid again by the same request: that leaves the wallet now, whatever was charged then.
#[tokio::test]
async fn a_retry_of_what_failed_on_chain_is_charged_in_full() {
    let rig = Rig::observed_limited(&[SOL_HOUR]).await;
    let (first, again) = (sol("sol-1", 1), sol("sol-1", 2));
    let request = rig.world.solana_request(&first);
    let txid = assert_signed(&rig.pay_sol(&first, &request, &[]).await).txid;
    let seen = rig.attest(1, &mined(&first, &txid, ObservedOutcome::Failed));
    // What failed paid its fee and is kept whole; both together are too much within the hour.
    let over = rig.pay_sol(&again, &request, &seen).await;
    assert!(message(&over).contains("0.6 SOL against 0.5 SOL"), "{over:?}");
    rig.advance(3_600);
    assert_signed(&rig.pay_sol(&again, &request, &[]).await);
    let other = sol("sol-2", 3);
    let request = rig.world.solana_request(&other);
    assert_denied(&rig.pay_sol(&other, &request, &[]).await, Tag::LimitWindowExceeded);
}

#[tokio::test]
async fn where_nobody_observes_charges_age_from_signature() {
    let rig = Rig::changed(World::new(), &[HOUR], |files| {
        let wallets = String::from_utf8(files["wallets.yaml"].clone()).unwrap();
        let wallets = wallets.replace("first-nonce: 0 }", "first-nonce: 0, ages-from: signature }");
        assert!(wallets.contains("ages-from"));
        files.insert("wallets.yaml".to_owned(), wallets.into_bytes());
    })
    .await;
    assert_signed(&rig.pay(0, 10).await);
    rig.advance(3_599);
    assert_denied(&rig.pay(1, 3).await, Tag::LimitWindowExceeded);
    rig.advance(1);
    assert_signed(&rig.pay(1, 3).await);
}

/// A back-test counts a withdrawal from its first signature on, though its receipt shows the last one.
#[tokio::test]
async fn a_raised_fee_hides_no_withdrawal_from_a_back_test() {
    let rig = Rig::limited(&[]).await;
    let bump = |gwei: u128| Ask {
        is_template: true,
        max_fee_per_gas: gwei * 1_000_000_000,
        reference: "bumped".to_owned(),
        ..ask(0, 10)
    };
    let first = rig.world.request(&bump(20));
    assert_signed(&rig.authorize(&bump(20), &first, &[]).await.unwrap());
    rig.advance(1_800);
    let between = ask(1, 10);
    let second = rig.world.request(&between);
    assert_signed(&rig.authorize(&between, &second, &[]).await.unwrap());
    rig.advance(2_400);
    assert_signed(&rig.authorize(&bump(40), &first, &[]).await.unwrap());
    let bundle = rig.world.bundle();
    let policy = include_str!("../../../../policies/dev/policy.yaml");
    let candidate = support::with_limits(&rig.world.files, policy, &[HOUR]);
    let candidate = Bundle::load(&sealed(2, Some(bundle.digest()), candidate)).unwrap();
    let mut test = Backtest::of_log(&rig.world.genesis_bytes, &candidate);
    let mut changes = Vec::new();
    for request in [&first, &second] {
        let receipt = rig.signer.receipt(withdrawal(request)).await.unwrap();
        changes.push(test.replay(&receipt).unwrap().unwrap().change());
    }
    assert_eq!(changes, [Change::Same, Change::Denied]);
}
