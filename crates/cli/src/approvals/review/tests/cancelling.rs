//! Cancel attempts: a valid one, and one change of it at a time.

use countersign_approval::Cancel;

use super::*;
use crate::files;

/// A transfer of nothing from the hot wallet to itself under the nonce of the payment, and what was said before it was brought.
fn cancelling(fixture: &Fixture, statements: &[(&str, Body)]) -> (WithdrawalId, ApprovalTask) {
    let mut plan = Plan::new(fixture);
    let trust = fixture.trust();
    let bundle = trust.active().unwrap();
    let (network, wallet) = (&plan.request.network, &plan.request.wallet);
    let own = bundle.registry().wallet_destination(network, wallet).unwrap();
    plan.draft.amount = Amount::ZERO;
    plan.draft.destination = own;
    plan.draft.price = GasPrice::Legacy { gas_price: 90 * GWEI };
    plan.encode();
    let (id, mut task) = plan.seal(&fixture.service());
    for (by, body) in statements {
        let header = clock::header(fixture.genesis.hash(), Duration::from_secs(60)).unwrap();
        let key = match *by {
            "payout-service" => fixture.service(),
            person => fixture.person(person),
        };
        let body = about(id, body.clone());
        task.statements.push(seal(&Statement { header, body }, &key).unwrap());
    }
    (id, task)
}

fn about(id: WithdrawalId, body: Body) -> Body {
    match body {
        Body::Cancel(cancel) => Body::Cancel(Cancel {
            withdrawal: id,
            ..cancel
        }),
        Body::Rejection(rejection) => Body::Rejection(Rejection {
            items: rejection
                .items
                .into_iter()
                .map(|item| RejectionItem { withdrawal: id, ..item })
                .collect(),
        }),
        other => panic!("{other:?}"),
    }
}

fn cancel(ceiling: Option<u64>, reason: &str) -> Body {
    Body::Cancel(Cancel {
        withdrawal: WithdrawalId::of(countersign_types::RequestDigest::of(b"any")),
        fee_ceiling: ceiling.map(|amount| FeeCeiling {
            asset: ETH.parse().unwrap(),
            amount: Amount::from_base_units(amount),
        }),
        reason: reason.to_owned(),
    })
}

/// 0.002 ETH; the fee can be 0.00189 ETH.
const ENOUGH: u64 = 2_000_000_000_000_000;

/// The dev policy, under which every move of coins to an own wallet takes the treasury.
fn asking() -> Fixture {
    let fixture = Fixture::new();
    let path = fixture.layout.bundle().join("policy.yaml");
    let policy = files::read_text(&path).unwrap();
    let asking = policy.replacen(
        "requires:\n",
        "requires:\n  - { id: moves, when: { effects: [internal] }, approvals: { treasury: 2 } }\n",
        1,
    );
    assert_ne!(asking, policy);
    files::write(&path, asking.as_bytes()).unwrap();
    fixture
}

#[test]
fn a_cancel_attempt_is_shown_as_what_pays_nobody_and_can_be_approved() {
    let fixture = asking();
    let (id, task) = cancelling(&fixture, &[("payout-service", cancel(Some(ENOUGH), "wrong address"))]);
    let reviewed = reviewed(&fixture, &(id, task.clone())).unwrap();
    let text = reviewed.to_string();
    for line in [
        "CANCEL ATTEMPT: pays nobody, and takes the place of what is signed as long as that has not landed",
        "why          cancelled by payout-service: wrong address",
        "fee ceiling  0.002 ETH",
        "not paid     pay-1 for customer-1: Customer one (customers)",
        "  fee at most 2000000000000000 eip155:31337/slip44:60 (0.002 ETH)",
        "approvals    treasury: 0 of 2 counted here",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
    assert!(!text.contains("RAISED") && !text.contains("transfer "), "{text}");
    let inbox = Inbox(&reviewed).to_string();
    let line = "  CANCEL ATTEMPT: pays nobody, cancelled by payout-service: wrong address; fee ceiling 0.002 ETH";
    assert!(inbox.lines().any(|found| found == line), "{inbox}");
    let json = serde_json::to_value(&reviewed).unwrap();
    assert_eq!(
        json["cancels"],
        serde_json::json!({"by": "payout-service", "reason": "wrong address"})
    );
    assert_eq!(json["fee_ceiling"]["raised"], serde_json::Value::Null);
    // An approval of exactly this counts; one of the request's own ceiling does not.
    let item = |fee_ceiling: FeeCeiling| ApprovalItem {
        withdrawal: id,
        effects: reviewed.effects.clone(),
        fee_ceiling,
        policy: reviewed.policy,
    };
    let new = approval(&fixture, "alice", item(reviewed.fee_ceiling.bound()));
    let old = approval(&fixture, "alice", item(reviewed.request.fee_ceiling.clone()));
    let now = clock::now().unwrap();
    certify_counts(&fixture.trust(), id, &task, &new, now).unwrap();
    let failure = certify_counts(&fixture.trust(), id, &task, &old, now).unwrap_err();
    assert_eq!(failure.tag(), Some(Tag::ApprovalFeeCeilingMismatch));
    // Long after cancel and request have expired: the signer saw both before.
    let late = now.after(Duration::from_secs(7_200));
    let still = review(&fixture.trust(), id, &task, late).unwrap();
    assert!(still.to_string().contains("CANCEL ATTEMPT"), "{still}");
}

#[test]
fn one_mutation_of_a_cancel_attempt_is_refused_with_its_tag() {
    let fixture = asking();
    let of = |statements: &[(&str, Body)]| reviewed(&fixture, &cancelling(&fixture, statements)).map(drop);
    let tag = |statements: &[(&str, Body)]| of(statements).unwrap_err().tag().unwrap();
    let enough = || cancel(Some(ENOUGH), "");
    assert_eq!(tag(&[]), Tag::RequestTransactionMismatch);
    assert_eq!(
        tag(&[("payout-service", cancel(None, ""))]),
        Tag::RequestTransactionMismatch
    );
    assert_eq!(
        tag(&[("bob", enough())]),
        Tag::RequestTransactionMismatch,
        "bob is no officer"
    );
    let short = cancel(Some(1_000_000_000_000_000), "");
    assert_eq!(tag(&[("payout-service", short)]), Tag::RequestFeeOverCeiling);
    // A rejection is about the payment; without a cancel it is told.
    let no = || {
        let item = RejectionItem {
            withdrawal: WithdrawalId::of(countersign_types::RequestDigest::of(b"any")),
            reason: "not this customer".to_owned(),
        };
        Body::Rejection(Rejection { items: vec![item] })
    };
    of(&[("alice", no()), ("dave", enough())]).unwrap();
    assert_eq!(tag(&[("alice", no())]), Tag::ApprovalRejected);
    // Whoever may not cancel is not shown as who did.
    let (id, task) = cancelling(&fixture, &[("bob", enough()), ("dave", cancel(Some(ENOUGH), "stuck"))]);
    let shown = reviewed(&fixture, &(id, task)).unwrap().to_string();
    assert!(shown.contains("cancelled by dave: stuck"), "{shown}");
    let plain = reviewed(&fixture, &Plan::new(&fixture).seal(&fixture.service())).unwrap();
    assert!(!plain.to_string().contains("CANCEL"), "{plain}");
}

/// The signer took it while it was valid, and it stays.
#[test]
fn a_raised_ceiling_counts_after_its_time_on_the_way() {
    let fixture = Fixture::new();
    let (id, task) = raised(&fixture, &fixture.service(), ENOUGH);
    let late = clock::now().unwrap().after(Duration::from_secs(600));
    let shown = review(&fixture.trust(), id, &task, late).unwrap().to_string();
    assert!(
        shown.contains("RAISED       fee ceiling 0.00063 ETH -> 0.002 ETH"),
        "{shown}"
    );
}
