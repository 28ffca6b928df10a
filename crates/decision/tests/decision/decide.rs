//! One valid case, one change, the exact tag.

use crate::support;

use countersign_approval::{Body, Rejection, RejectionItem, ServiceRecord};
use countersign_bundle::Bundle;
use countersign_decision::testing::{Ask, CUSTOMER, STRANGER, World, bundle_files, sealed};
use countersign_decision::{DestinationsRecord, Outcome};
use countersign_types::{Amount, GenesisHash, PolicyDigest, RequestDigest, Tag, Validity, WithdrawalId};
use support::{
    Fixture, assert_allowed, assert_denied, assert_pending, assert_round_trips, expired, later, policy_with,
};

/// 21 000 gas at 20 gwei.
const FEE: u64 = 420_000_000_000_000;

#[test]
fn the_valid_case_is_allowed() {
    let fixture = Fixture::new();
    let decision = fixture.decide();
    assert_allowed(&decision);
    let authorization = decision.entry.authorization.clone().unwrap();
    assert_eq!((authorization.attempt, authorization.payloads.len()), (1, 1));
    assert_eq!(authorization.sign_by, later(fixture.now, 30_000));
    assert_eq!(authorization.fee_max, Amount::from(FEE));
    assert!(decision.entry.statements.iter().all(|seen| seen.discounted.is_none()));
    assert_round_trips(&decision);
    assert_eq!(fixture.decide(), decision, "a decision is a function of its case");
}

type Change = fn(&mut Fixture);

#[test]
fn one_change_of_the_request_denies() {
    let cases: Vec<(&str, Change, Tag)> = vec![
        (
            "another deployment",
            |f| f.header.deployment = GenesisHash::of(b"other"),
            Tag::StatementWrongDeployment,
        ),
        ("another epoch", |f| f.header.epoch += 1, Tag::StatementWrongEpoch),
        (
            "issued a millisecond from now",
            |f| f.now = later(f.world.issued_at, -1),
            Tag::StatementNotYetValid,
        ),
        (
            "expired at this very moment",
            |f| f.now = f.header.validity.expires_at().to_timestamp(),
            Tag::StatementExpired,
        ),
        (
            "signed by an approver",
            |f| f.initiator = "alice",
            Tag::RequestNotInitiator,
        ),
        (
            "of another tenant",
            |f| f.body.tenant = "other".parse().unwrap(),
            Tag::RequestNotInitiator,
        ),
        (
            "from an unknown wallet",
            |f| f.body.wallet = "eth-cold".parse().unwrap(),
            Tag::RequestUnknownWallet,
        ),
        (
            "other bytes than bound",
            |f| {
                let cheaper = Ask {
                    max_fee_per_gas: 19_000_000_000,
                    ..Ask::default()
                };
                f.unsigned = cheaper.unsigned();
            },
            Tag::RequestTransactionMismatch,
        ),
        (
            "another amount",
            |f| f.body.payments[0].amount = Amount::from(1_u64),
            Tag::RequestPaymentsMismatch,
        ),
        (
            "another destination",
            |f| f.body.payments[0].destination = STRANGER.parse().unwrap(),
            Tag::RequestPaymentsMismatch,
        ),
        (
            "the same payment twice",
            |f| {
                let mut again = f.body.payments[0].clone();
                again.reference = "order-1/2".parse().unwrap();
                f.body.payments.push(again);
            },
            Tag::RequestPaymentsMismatch,
        ),
        (
            "an effect that the bytes lack",
            |f| f.body.effects = vec!["opaque calldata 0x00".to_owned()],
            Tag::RequestEffectsMismatch,
        ),
        (
            "a ceiling a wei below the fee",
            |f| f.body.fee_ceiling.amount = Amount::from(FEE - 1),
            Tag::RequestFeeOverCeiling,
        ),
        (
            "a ceiling in another asset",
            |f| f.body.fee_ceiling.asset = countersign_decision::testing::DEMO.parse().unwrap(),
            Tag::RequestFeeOverCeiling,
        ),
    ];
    for (what, change, tag) in cases {
        let mut fixture = Fixture::new();
        change(&mut fixture);
        fixture.seal();
        let decision = fixture.decide();
        assert_denied(what, &decision, tag);
        assert_round_trips(&decision);
    }
}

#[test]
fn the_bounds_of_a_request_are_exact() {
    let mut fixture = Fixture::new();
    fixture.body.fee_ceiling.amount = Amount::from(FEE);
    fixture.seal();
    fixture.approve(&["alice", "bob"]);
    assert_allowed(&fixture.decide());

    let mut fixture = Fixture::new();
    let expires_at = fixture.header.validity.expires_at().to_timestamp();
    let until = later(expires_at, 3_600_000).to_seconds();
    fixture.header.validity = Validity::new(fixture.header.validity.issued_at(), expires_at.to_seconds()).unwrap();
    fixture.seal();
    let long = |person| {
        fixture.approval(person, |_, header| {
            header.validity = Validity::new(header.validity.issued_at(), until).unwrap();
        })
    };
    let both = [long("alice"), long("bob")];
    fixture.statements.clear();
    both.into_iter().for_each(|one| fixture.say(one));
    fixture.now = later(expires_at, -1);
    assert_allowed(&fixture.decide());
    fixture.now = expires_at;
    assert_denied("at its end", &fixture.decide(), Tag::StatementExpired);
}

#[test]
fn one_fact_of_the_ledger_denies() {
    let cases: Vec<(&str, Change, Tag)> = vec![
        (
            "the reference names another request",
            |f| f.ledger.reference_owner = Some(RequestDigest::of(b"other")),
            Tag::ReferenceConflict,
        ),
        (
            "the payment is another request's",
            |f| {
                let payment = f.body.payments[0].reference.clone();
                f.ledger.payment_owners.insert(payment, RequestDigest::of(b"other"));
            },
            Tag::PaymentAlreadyClaimed,
        ),
        (
            "it was cancelled",
            |f| f.ledger.ended = Some(Tag::WithdrawalCancelled),
            Tag::WithdrawalCancelled,
        ),
        (
            "it was rejected",
            |f| f.ledger.ended = Some(Tag::ApprovalRejected),
            Tag::ApprovalRejected,
        ),
        (
            "the nonce is another request's",
            |f| {
                let key = f.nonce_key(0);
                f.ledger
                    .conflict_owners
                    .insert(key.to_string(), RequestDigest::of(b"other"));
            },
            Tag::ConflictKeyTaken,
        ),
        (
            "the nonce is behind the next one",
            |f| {
                f.ledger.next_nonces.insert(f.world.wallet_address(), 1);
            },
            Tag::ConflictKeyTaken,
        ),
        (
            "an attempt with another anchor is signed",
            |f| f.ledger.attempts = vec![f.attempt(1, Some(f.nonce_key(7)))],
            Tag::LineageAnchorChanged,
        ),
        (
            "an attempt that excludes nothing is signed",
            |f| f.ledger.attempts = vec![f.attempt(1, None)],
            Tag::LineageAnchorChanged,
        ),
        (
            "there are 64 attempts",
            |f| {
                let anchor = Some(f.nonce_key(0));
                f.ledger.attempts = (1..=64).map(|number| f.attempt(number, anchor.clone())).collect();
                f.ledger.next_nonces.insert(f.world.wallet_address(), 1);
                f.ledger.own_nonces = vec![f.nonce_key(0).to_string()];
            },
            Tag::LineageTooManyAttempts,
        ),
    ];
    for (what, change, tag) in cases {
        let mut fixture = Fixture::new();
        change(&mut fixture);
        let decision = fixture.decide();
        assert_denied(what, &decision, tag);
        assert_round_trips(&decision);
    }
}

/// People know withdrawals, the log knows requests.
#[test]
fn a_conflict_names_the_other_withdrawal_as_people_do() {
    let other = RequestDigest::of(b"other");
    let named = format!("{} (request {other})", WithdrawalId::of(other));
    type Change = fn(&mut Fixture, RequestDigest);
    let changes: [Change; 3] = [
        |f, other| f.ledger.reference_owner = Some(other),
        |f, other| {
            let payment = "w-1".parse().unwrap();
            f.ledger.payment_owners.insert(payment, other);
        },
        |f, other| {
            let key = f.nonce_key(0).to_string();
            f.ledger.conflict_owners.insert(key, other);
        },
    ];
    for change in changes {
        let mut fixture = Fixture::new();
        change(&mut fixture, other);
        let reasons = fixture.decide().entry.reasons;
        assert!(reasons[0].message.contains(&named), "{reasons:?}");
    }
}

#[test]
fn an_attempt_beside_63_others_and_a_free_nonce_are_fine() {
    let mut fixture = Fixture::new();
    let anchor = Some(fixture.nonce_key(0));
    fixture.ledger.attempts = (1..=63).map(|number| fixture.attempt(number, anchor.clone())).collect();
    fixture.ledger.next_nonces.insert(fixture.world.wallet_address(), 1);
    fixture.ledger.own_nonces = vec![fixture.nonce_key(0).to_string()];
    let decision = fixture.decide();
    assert_allowed(&decision);
    assert_eq!(decision.entry.authorization.unwrap().attempt, 64);
}

#[test]
fn the_same_bytes_keep_their_attempt() {
    let mut fixture = Fixture::new();
    let anchor = Some(fixture.nonce_key(0));
    let mut own = fixture.attempt(1, anchor.clone());
    own.transaction = fixture.decide().entry.transaction;
    fixture.ledger.attempts = vec![own, fixture.attempt(2, anchor)];
    fixture.ledger.next_nonces.insert(fixture.world.wallet_address(), 5);
    let decision = fixture.decide();
    assert_allowed(&decision);
    assert_eq!(decision.entry.authorization.unwrap().attempt, 1);
}

/// Bob's approval is replaced; alice's counts. It stays pending, and both answer and entry say why.
#[test]
fn one_change_of_an_approval_leaves_it_pending() {
    let cases: Vec<(&str, Change, Tag)> = vec![
        (
            "of another withdrawal",
            |f| {
                let other = WithdrawalId::of(RequestDigest::of(b"other"));
                f.say(f.approval("bob", |item, _| item.withdrawal = other));
            },
            Tag::ApprovalOtherWithdrawal,
        ),
        (
            "of other effects",
            |f| {
                let mut less = Fixture::new();
                less.pay(&Ask {
                    amount: 1,
                    ..Ask::default()
                });
                let effects = less.item().effects;
                f.say(f.approval("bob", |item, _| item.effects = effects));
            },
            Tag::ApprovalEffectsMismatch,
        ),
        (
            "of another fee ceiling",
            |f| f.say(f.approval("bob", |item, _| item.fee_ceiling.amount = Amount::from(FEE))),
            Tag::ApprovalFeeCeilingMismatch,
        ),
        (
            "under another policy",
            |f| f.say(f.approval("bob", |item, _| item.policy = PolicyDigest::of(b"other"))),
            Tag::ApprovalPolicyMismatch,
        ),
        (
            "by a person who operates the initiator",
            |f| f.say(f.approval("dave", |_, _| {})),
            Tag::ApprovalByInitiator,
        ),
        (
            "by the initiator",
            |f| f.say(f.approval("payout-service", |_, _| {})),
            Tag::ApprovalByInitiator,
        ),
        (
            "by the same person, in other words",
            |f| f.say(f.approval("alice", |_, _| {})),
            Tag::ApprovalSamePerson,
        ),
        (
            "expired",
            |f| {
                let now = f.now;
                f.say(f.approval("bob", |_, header| header.validity = expired(now)));
            },
            Tag::StatementExpired,
        ),
        (
            "from the future",
            |f| {
                let from = later(f.now, 1_000).to_seconds();
                let until = later(f.now, 60_000).to_seconds();
                f.say(f.approval("bob", |_, header| header.validity = Validity::new(from, until).unwrap()));
            },
            Tag::StatementNotYetValid,
        ),
        (
            "for another deployment",
            |f| f.say(f.approval("bob", |_, header| header.deployment = GenesisHash::of(b"other"))),
            Tag::StatementWrongDeployment,
        ),
        (
            "for another epoch",
            |f| f.say(f.approval("bob", |_, header| header.epoch += 1)),
            Tag::StatementWrongEpoch,
        ),
        (
            "a rejection by somebody without a required seat",
            |f| f.say(f.world.rejection("dave", &f.request)),
            Tag::ApprovalNotMember,
        ),
        (
            "a cancel by an approver",
            |f| f.say(f.world.cancel("bob", &f.request)),
            Tag::StatementNotPermitted,
        ),
        ("a request", |f| f.say(f.request.clone()), Tag::StatementNotPermitted),
        (
            "an activation",
            |f| f.say(f.world.activation("bob", &f.world.files)),
            Tag::StatementNotPermitted,
        ),
    ];
    for (what, change, tag) in cases {
        let mut fixture = Fixture::new();
        fixture.approve(&["alice"]);
        change(&mut fixture);
        let decision = fixture.decide();
        assert_pending(what, &decision, &[Tag::ApprovalMissing, tag]);
        let discounted: Vec<_> = decision.entry.statements.iter().map(|seen| seen.discounted).collect();
        assert_eq!(discounted, [None, Some(tag)], "{what}");
        let Outcome::Pending { missing, .. } = &decision.outcome else {
            panic!()
        };
        assert_eq!(missing[..], [("treasury".parse().unwrap(), 2, 1)], "{what}");
        assert_round_trips(&decision);
    }
}

/// The roster changes after alice approved.
#[test]
fn membership_is_as_of_signing() {
    type Change = fn(&mut countersign_approval::RosterFile);
    let cases: Vec<(&str, Change, Tag)> = vec![
        (
            "alice is no longer in the roster",
            |roster| {
                roster.people.remove(0);
                roster.admins.members.remove(0);
                roster.groups[0].members.remove(0);
            },
            Tag::StatementUnknownKey,
        ),
        (
            "alice is no longer in the group",
            |roster| {
                roster.groups[0].members.remove(0);
            },
            Tag::ApprovalNotMember,
        ),
    ];
    for (what, change, tag) in cases {
        let mut fixture = Fixture::new();
        let mut roster = fixture.world.roster();
        change(&mut roster);
        fixture.put_in_force(bundle_files(&roster));
        let decision = fixture.decide();
        assert_pending(what, &decision, &[Tag::ApprovalMissing, tag]);
        assert_eq!(decision.entry.statements[0].discounted, Some(tag), "{what}");
    }
}

/// Dave operates the service when it asks, and sits in the treasury when it is decided: he would approve what he asked for.
#[test]
fn who_operated_the_initiator_is_no_second_person() {
    let mut roster = World::new().roster();
    roster.services[0].operators = vec!["carol".parse().unwrap()];
    roster.groups[0].members = ["alice", "bob", "dave"].map(|name| name.parse().unwrap()).to_vec();
    let active = Bundle::load(&sealed(1, None, bundle_files(&roster))).unwrap();
    let mut f = Fixture::new();
    f.active = active.clone();
    f.approve(&["alice", "bob"]);
    assert_allowed(&f.decide());
    f.approve(&["alice", "dave"]);
    assert_pending("dave", &f.decide(), &[Tag::ApprovalMissing, Tag::ApprovalByInitiator]);
    // He never was, under the roster of either moment.
    f.first = active;
    assert_allowed(&f.decide());
}

#[test]
fn a_rejection_by_a_member_ends_it_finally() {
    let mut fixture = Fixture::new();
    let body = Body::Rejection(Rejection {
        items: vec![RejectionItem {
            withdrawal: fixture.withdrawal(),
            reason: "not expected".to_owned(),
        }],
    });
    let mut header = fixture.world.header();
    header.validity = Validity::new(header.validity.issued_at(), later(fixture.now, 1_000).to_seconds()).unwrap();
    let rejection = fixture.world.sign_with("carol", header, body);
    fixture.say(rejection);
    assert!(assert_denied("fresh", &fixture.decide(), Tag::ApprovalRejected));
    // It does not expire into an approval.
    fixture.now = later(fixture.now, 3_600_000);
    assert!(assert_denied("expired", &fixture.decide(), Tag::ApprovalRejected));
    // One that had expired when it was first seen never counted.
    fixture.statements[2].1 = fixture.now;
    assert_allowed(&fixture.decide());
}

/// Whoever chooses the moment chooses what is asked: here the treasury, until another withdrawal has paid the customer.
#[test]
fn a_rejection_counts_when_nobody_asks_its_signer_any_more() {
    let total = "      total: { over: { ETH: \"0.1 ETH\", DEMO: \"100 DEMO\" } }\n";
    let waited = |rejecting: &[&str]| {
        let mut fixture = Fixture::new();
        fixture.put_in_force(policy_with(total, "      to: { first-seen: true }\n"));
        fixture.statements.clear();
        for person in rejecting {
            let rejection = fixture.world.rejection(person, &fixture.request);
            fixture.say(rejection);
        }
        fixture.ledger.destinations = Some(DestinationsRecord {
            paid: [CUSTOMER.parse().unwrap()].into(),
            ..DestinationsRecord::default()
        });
        fixture.decide()
    };
    assert_allowed(&waited(&[]));
    assert_allowed(&waited(&["dave"]));
    let is_final = assert_denied("a member of the treasury", &waited(&["carol"]), Tag::ApprovalRejected);
    assert!(is_final);
}

#[test]
fn who_may_cancel() {
    for signer in ["payout-service", "dave"] {
        let mut fixture = Fixture::new();
        let cancel = fixture.world.cancel(signer, &fixture.request);
        fixture.say(cancel);
        assert!(assert_denied(signer, &fixture.decide(), Tag::WithdrawalCancelled));
    }
    for signer in ["alice", "carol"] {
        let mut fixture = Fixture::new();
        let cancel = fixture.world.cancel(signer, &fixture.request);
        fixture.say(cancel);
        let decision = fixture.decide();
        assert_allowed(&decision);
        assert_eq!(
            decision.entry.statements[2].discounted,
            Some(Tag::StatementNotPermitted)
        );
    }
    let mut fixture = Fixture::new();
    let other = fixture.world.request(&Ask {
        reference: "order-2".to_owned(),
        ..Ask::default()
    });
    let cancel = fixture.world.cancel("dave", &other);
    fixture.say(cancel);
    assert_allowed(&fixture.decide());
}

#[test]
fn the_policy_at_first_sight_must_allow_as_well() {
    let mut fixture = Fixture::new();
    let strict = policy_with("hard: \"8 ETH\"", "hard: \"0.5 ETH\"");
    fixture.first = Bundle::load(&sealed(1, None, strict)).unwrap();
    let is_final = assert_denied("stricter at first", &fixture.decide(), Tag::LimitPerTransactionExceeded);
    assert!(is_final, "no later bundle changes the first one");
    std::mem::swap(&mut fixture.first, &mut fixture.active);
    fixture.approve(&["alice", "bob"]);
    let is_final = assert_denied("stricter now", &fixture.decide(), Tag::LimitPerTransactionExceeded);
    assert!(!is_final, "a later bundle may allow it");
}

#[test]
fn what_the_request_says_of_itself_and_the_rate_of_its_fee_meet_the_policy() {
    let attributes = "to: { list: customers }\n    attributes: { purpose: [payout] }";
    let mut fixture = Fixture::new();
    fixture.put_in_force(policy_with("to: { list: customers }", attributes));
    assert_denied("no purpose", &fixture.decide(), Tag::PermitUncovered);
    for (purpose, is_allowed) in [("payout", true), ("loan", false)] {
        let stated = ("purpose".parse().unwrap(), purpose.parse().unwrap());
        fixture.body.attributes = [stated].into();
        fixture.seal();
        fixture.approve(&["alice", "bob"]);
        match is_allowed {
            true => assert_allowed(&fixture.decide()),
            false => drop(assert_denied(purpose, &fixture.decide(), Tag::PermitUncovered)),
        }
    }
    // The fixture pays 20 gwei for each unit of gas.
    for (rate, is_allowed) in [("0.00000002 ETH", true), ("0.000000019999999999 ETH", false)] {
        let mut fixture = Fixture::new();
        fixture.put_in_force(policy_with("max: \"0.05 ETH\"", &format!("rate: \"{rate}\"")));
        match is_allowed {
            true => assert_allowed(&fixture.decide()),
            false => drop(assert_denied(rate, &fixture.decide(), Tag::PermitUncovered)),
        }
    }
}

#[test]
fn an_attestation_that_nobody_gave_holds_the_withdrawal() {
    let mut roster = World::new().roster();
    roster.services.push(ServiceRecord {
        id: "screening".parse().unwrap(),
        operators: vec!["carol".parse().unwrap()],
        keys: vec!["ed25519:3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c".to_owned()],
    });
    let mut files = bundle_files(&roster);
    let policy = String::from_utf8(files["policy.yaml"].clone()).unwrap();
    let policy = policy.replace(
        "approvals: { treasury: 2 }",
        "approvals: { treasury: 2 }\n    attestations: [{ kind: sanctions, by: screening, max-age: 15m }]",
    );
    files.insert("policy.yaml".to_owned(), policy.into_bytes());
    let mut fixture = Fixture::new();
    fixture.first = Bundle::load(&sealed(1, None, files)).unwrap();
    assert_pending("screening", &fixture.decide(), &[Tag::AttestationMissing]);
}

#[test]
fn the_obligations_of_both_policies_join() {
    let mut fixture = Fixture::new();
    let locked = policy_with(
        "approvals: { treasury: 2 }",
        "approvals: { treasury: 1 }\n    time-lock: 30m",
    );
    fixture.active = Bundle::load(&sealed(1, None, locked)).unwrap();
    fixture.approve(&["alice"]);
    // One seat is asked for now, two were at first sight.
    assert_pending("one seat", &fixture.decide(), &[Tag::ApprovalMissing]);
    fixture.approve(&["alice", "bob"]);
    // No time-lock at first sight, one now.
    assert_pending("two seats", &fixture.decide(), &[Tag::ApprovalTimeLock]);
    assert_eq!(fixture.decide().trace.len(), 2);
}

#[test]
fn the_time_lock_counts_from_the_last_seat_to_be_filled() {
    let mut fixture = Fixture::new();
    fixture.put_in_force(policy_with(
        "approvals: { treasury: 2 }",
        "approvals: { treasury: 2 }\n    time-lock: 30m",
    ));
    // Carol's approval comes after the quorum was complete: it does not start the lock again.
    let carol = fixture.approval("carol", |_, _| {});
    fixture.say(carol);
    let runs_out = later(fixture.statements[1].1, 30 * 60_000);
    fixture.now = later(runs_out, -1);
    let decision = fixture.decide();
    assert_pending("a millisecond before", &decision, &[Tag::ApprovalTimeLock]);
    assert_eq!(decision.entry.not_before, Some(runs_out));
    fixture.now = runs_out;
    assert_allowed(&fixture.decide());
    // The order of the list does not matter, the times of first sight do.
    fixture.statements.reverse();
    assert_allowed(&fixture.decide());
    fixture.now = later(runs_out, -1);
    assert_pending("reversed", &fixture.decide(), &[Tag::ApprovalTimeLock]);
}

/// Approvals may be journaled ahead of the withdrawal. The wait is there to look at it, and starts with it.
#[test]
fn no_time_lock_starts_before_the_withdrawal_is_seen() {
    let mut fixture = Fixture::new();
    fixture.put_in_force(policy_with(
        "approvals: { treasury: 2 }",
        "approvals: { treasury: 2 }\n    time-lock: 30m",
    ));
    for (_, at) in &mut fixture.statements {
        *at = later(fixture.first_seen_at, -1_800_000);
    }
    let runs_out = later(fixture.first_seen_at, 30 * 60_000);
    fixture.now = later(runs_out, -1);
    let decision = fixture.decide();
    assert_pending("a millisecond before", &decision, &[Tag::ApprovalTimeLock]);
    assert_eq!(decision.entry.not_before, Some(runs_out));
    fixture.now = runs_out;
    assert_allowed(&fixture.decide());
}
