//! Cancel attempts: a valid one, and one change of it at a time (docs/adr/0037).

use crate::{
    observed::{Scene, spend},
    support,
};

use std::collections::BTreeMap;

use countersign_approval::{
    Approval, ApprovalItem, Body, Cancel, Envelope, FeeCeiling, Freeze, Header, Kind, ObservedOutcome,
    TransactionBinding,
};
use countersign_decision::testing::solana::{SolanaAsk, nonce_fact};
use countersign_decision::testing::{Ask, CUSTOMER, DEMO, ETH, STRANGER, withdrawal};
use countersign_decision::{
    ATTEMPTS_PER_CANCEL, Decision, Fate, FreezeFact, MAX_ATTEMPTS, MAX_CANCEL_ATTEMPTS, Outcome,
};
use countersign_types::{RequestDigest, StatementDigest, Tag, TransactionDigest, Validity};
use support::{Fixture, assert_allowed, assert_denied, assert_pending, assert_round_trips, later, policy_with};

/// 0.001 ETH: what the fee of 21 000 gas at 40 gwei stays under.
const CEILING: u128 = 1_000_000_000_000_000;

/// The wallet's account pays itself nothing, under the nonce of the payment.
fn to_itself(fixture: &Fixture) -> Ask {
    Ask {
        amount: 0,
        destination: fixture.world.wallet_address().to_string(),
        max_fee_per_gas: 40_000_000_000,
        ..Ask::default()
    }
}

/// A payment is signed under nonce 0, its initiator has cancelled with a ceiling, and here are the bytes that take its place.
fn cancelling() -> Fixture {
    let mut fixture = Fixture::new();
    let mut signed = fixture.attempt(1, Some(fixture.nonce_key(0)));
    signed.transaction = TransactionDigest::of(&fixture.unsigned);
    signed.txid = Some("0xaa".to_owned());
    fixture.ledger.attempts = vec![signed];
    fixture.ledger.own_nonces = vec![fixture.nonce_key(0).to_string()];
    fixture.ledger.next_nonces = BTreeMap::from([(fixture.world.wallet_address(), 1)]);
    let cancel = fixture.world.cancel_for("payout-service", &fixture.request, CEILING);
    fixture.say(cancel);
    fixture.ledger.ended = Some(Tag::WithdrawalCancelled);
    fixture.unsigned = to_itself(&fixture).unsigned();
    fixture
}

fn body(fixture: &Fixture) -> Cancel {
    Cancel {
        withdrawal: fixture.withdrawal(),
        fee_ceiling: Some(FeeCeiling {
            asset: ETH.parse().unwrap(),
            amount: CEILING.into(),
        }),
        reason: String::new(),
    }
}

fn cancel(fixture: &Fixture, signer: &str, header: Header) -> Envelope {
    fixture.world.sign_with(signer, header, Body::Cancel(body(fixture)))
}

fn after(change: impl FnOnce(&mut Fixture)) -> Decision {
    let mut fixture = cancelling();
    change(&mut fixture);
    fixture.decide()
}

fn frozen(scope: &str) -> FreezeFact {
    FreezeFact {
        freeze: Freeze::id(StatementDigest::of(scope.as_bytes())),
        scope: scope.parse().unwrap(),
        since: later(Fixture::new().now, 0),
    }
}

#[test]
fn the_valid_one_is_allowed_and_pays_nobody() {
    let fixture = cancelling();
    let decision = fixture.decide();
    assert_allowed(&decision);
    assert_round_trips(&decision);
    assert!(decision.cancels);
    assert_eq!(decision.fee_ceiling.amount, CEILING.into());
    let authorization = decision.entry.authorization.as_ref().unwrap();
    assert_eq!(
        (authorization.attempt, authorization.fee_max),
        (2, 840_000_000_000_000_u128.into())
    );
    let text = decision.effects.as_ref().unwrap();
    assert!(
        text.effect_lines().all(|line| !line.starts_with("transfer ")),
        "{text:?}"
    );
    // The approvals were of the payment: they are heard, and none of them counts.
    let discounted: Vec<_> = decision.entry.statements.iter().map(|one| one.discounted).collect();
    let other = Some(Tag::ApprovalEffectsMismatch);
    assert_eq!(discounted, [other, other, None]);
}

/// What was said against the payment, and what ran out since, does not keep its place from being taken.
#[test]
fn what_is_about_the_payment_does_not_stop_it() {
    type Change = fn(&mut Fixture);
    let changes: [(&str, Change); 9] = [
        ("it had not ended yet", |f| f.ledger.ended = None),
        ("a rejection had ended it", |f| {
            f.ledger.ended = Some(Tag::ApprovalRejected)
        }),
        ("somebody rejected it", |f| {
            f.say(f.world.rejection("carol", &f.request))
        }),
        ("an officer cancelled", |f| {
            f.statements.clear();
            f.say(f.world.cancel_for("dave", &f.request, CEILING));
        }),
        ("it was cancelled without a ceiling as well", |f| {
            f.say(f.world.cancel("dave", &f.request))
        }),
        ("a lower ceiling came later", |f| {
            f.say(f.world.cancel_for("dave", &f.request, 1))
        }),
        ("the request has expired", |f| f.now = later(f.now, 40 * 86_400_000)),
        ("whom it paid is frozen", |f| {
            f.ledger.freezes = vec![frozen(&format!("destination {CUSTOMER}"))]
        }),
        ("its attempt was authorized and never signed", |f| {
            f.ledger.attempts[0].txid = None
        }),
    ];
    for (what, change) in changes {
        let decision = after(change);
        assert_eq!(
            decision.outcome,
            Outcome::Allowed,
            "{what}: {:?}",
            decision.entry.reasons
        );
        assert!(decision.cancels, "{what}");
    }
}

#[test]
fn without_a_cancel_that_counts_it_is_no_cancel_attempt() {
    type Change = fn(&mut Fixture);
    let none: [(&str, Change); 7] = [
        ("nobody cancelled", |f| f.statements.clear()),
        ("without a ceiling", |f| {
            f.statements.clear();
            f.say(f.world.cancel("payout-service", &f.request));
        }),
        ("by an approver", |f| {
            f.statements.clear();
            f.say(f.world.cancel_for("alice", &f.request, CEILING));
        }),
        ("of another withdrawal", |f| {
            let other = f.world.request(&Ask {
                reference: "order-2".to_owned(),
                ..Ask::default()
            });
            f.statements.clear();
            f.say(f.world.cancel_for("payout-service", &other, CEILING));
        }),
        ("expired at its first sight", |f| {
            let (issued_at, half) = (f.world.issued_at, later(f.world.issued_at, 30_000));
            let mut header = f.world.header();
            header.validity = Validity::new(issued_at.to_seconds(), half.to_seconds()).unwrap();
            f.statements = vec![(cancel(f, "payout-service", header), half)];
        }),
        ("of another epoch", |f| {
            let mut header = f.world.header();
            header.epoch += 1;
            f.statements.clear();
            f.say(cancel(f, "payout-service", header));
        }),
        ("in another asset", |f| {
            let mut body = body(f);
            body.fee_ceiling.as_mut().unwrap().asset = DEMO.parse().unwrap();
            f.statements.clear();
            f.say(f.world.sign("payout-service", Body::Cancel(body)));
        }),
    ];
    for (what, change) in none {
        for (ended, expected) in [
            (None, Tag::RequestTransactionMismatch),
            (Some(Tag::WithdrawalCancelled), Tag::WithdrawalCancelled),
        ] {
            let decision = after(|fixture| {
                change(fixture);
                fixture.ledger.ended = ended;
            });
            assert!(!decision.cancels, "{what}");
            let Outcome::Denied { reasons, .. } = &decision.outcome else {
                panic!("{what}: {:?}", decision.outcome)
            };
            assert_eq!(reasons[0].tag, expected, "{what}: {reasons:?}");
            assert_eq!(decision.entry.authorization, None);
        }
    }
}

/// Bytes that do more, cost more, or exclude less.
#[test]
fn one_change_of_the_bytes_or_the_ledger() {
    type Change = fn(&mut Fixture);
    let changes: [(&str, Change, Tag); 10] = [
        (
            "it pays somebody one wei",
            |f| {
                f.unsigned = Ask {
                    amount: 1,
                    destination: STRANGER.to_owned(),
                    ..to_itself(f)
                }
                .unsigned()
            },
            Tag::WithdrawalCancelled,
        ),
        (
            "it calls a token, if only to move nothing to itself",
            |f| {
                f.unsigned = Ask {
                    asset: DEMO.to_owned(),
                    ..to_itself(f)
                }
                .unsigned()
            },
            Tag::WithdrawalCancelled,
        ),
        (
            "it is the payment itself",
            |f| f.unsigned = Ask::default().unsigned(),
            Tag::WithdrawalCancelled,
        ),
        (
            "it is the payment with another fee",
            |f| {
                f.unsigned = Ask {
                    max_fee_per_gas: 41_000_000_000,
                    ..Ask::default()
                }
                .unsigned()
            },
            Tag::WithdrawalCancelled,
        ),
        (
            "its fee is over the ceiling",
            |f| {
                f.unsigned = Ask {
                    max_fee_per_gas: 47_619_047_620,
                    ..to_itself(f)
                }
                .unsigned()
            },
            Tag::RequestFeeOverCeiling,
        ),
        (
            "it excludes nothing",
            |f| {
                f.unsigned = Ask {
                    nonce: 1,
                    ..to_itself(f)
                }
                .unsigned()
            },
            Tag::LineageAnchorChanged,
        ),
        (
            "nothing was authorized",
            |f| {
                f.ledger.attempts.clear();
                f.ledger.next_nonces.clear();
            },
            Tag::LineageNothingToCancel,
        ),
        (
            "somebody else has the nonce",
            |f| {
                let key = f.nonce_key(0).to_string();
                f.ledger.conflict_owners = BTreeMap::from([(key, RequestDigest::of(b"other"))]);
            },
            Tag::ConflictKeyTaken,
        ),
        (
            "its own bytes are known, and somebody else has the nonce since",
            |f| {
                let mut own = f.attempt(2, Some(f.nonce_key(0)));
                own.transaction = TransactionDigest::of(&f.unsigned);
                f.ledger.attempts.push(own);
                let key = f.nonce_key(0).to_string();
                f.ledger.conflict_owners = BTreeMap::from([(key, RequestDigest::of(b"other"))]);
            },
            Tag::ConflictKeyTaken,
        ),
        (
            "the wallet is frozen",
            |f| f.ledger.freezes = vec![frozen("wallet eth-hot")],
            Tag::FreezeActive,
        ),
    ];
    for (what, change, expected) in changes {
        let is_final = assert_denied(what, &after(change), expected);
        assert_eq!(is_final, expected == Tag::WithdrawalCancelled, "{what}");
    }
}

/// Whoever brings the bytes can use up the attempts of a template, each too cheap to land: there is room left to take their place.
#[test]
fn attempts_that_were_used_up_leave_room_for_it() {
    let full = |attempts: u32| {
        let mut fixture = cancelling();
        fixture.ledger.attempts = (1..=attempts)
            .map(|number| fixture.attempt(number, Some(fixture.nonce_key(0))))
            .collect();
        fixture
    };
    let place = |fixture: &Fixture| {
        let authorization = fixture.decide().entry.authorization;
        authorization.map(|authorization| authorization.attempt)
    };
    assert_eq!(place(&full(MAX_ATTEMPTS)), Some(MAX_ATTEMPTS + 1));
    let most = MAX_ATTEMPTS + MAX_CANCEL_ATTEMPTS;
    // They can be used up in the same way: whoever cancels once more makes room for as many, up to a bound.
    for cancels in 1..=MAX_CANCEL_ATTEMPTS / ATTEMPTS_PER_CANCEL + 1 {
        let said = |attempts: u32| {
            let mut fixture = full(attempts);
            for _ in 1..cancels {
                let header = fixture.world.header();
                let again = cancel(&fixture, "dave", header);
                fixture.say(again);
            }
            fixture
        };
        let last = most.min(MAX_ATTEMPTS + cancels * ATTEMPTS_PER_CANCEL);
        assert_eq!(place(&said(last - 1)), Some(last), "{cancels}");
        let too_many = said(last).decide();
        assert!(!assert_denied("no room", &too_many, Tag::LineageTooManyAttempts));
        assert_round_trips(&too_many);
    }
    // The room is not the payment's.
    let mut payment = full(MAX_ATTEMPTS);
    payment.unsigned = Ask::default().unsigned();
    payment.ledger.ended = None;
    payment.statements.retain(|(said, _)| said.kind() != Kind::Cancel);
    assert_denied("the payment", &payment.decide(), Tag::LineageTooManyAttempts);
}

/// A request may ask for exactly such bytes. Taken back they are what was taken back, whatever the cancel lets them cost.
#[test]
fn what_was_asked_for_takes_the_place_of_nothing() {
    let mut fixture = cancelling();
    let text = fixture.decide().effects.unwrap();
    fixture.body.effects = text.effect_lines().map(str::to_owned).collect();
    fixture.body.payments.clear();
    fixture.body.transaction = TransactionBinding::Exact(TransactionDigest::of(&fixture.unsigned));
    fixture.seal();
    fixture.statements.clear();
    let cancel = cancel(&fixture, "payout-service", fixture.world.header());
    fixture.say(cancel);
    for ended in [None, Some(Tag::WithdrawalCancelled)] {
        fixture.ledger.ended = ended;
        let decision = fixture.decide();
        assert!(!decision.cancels);
        assert!(assert_denied("it was cancelled", &decision, Tag::WithdrawalCancelled));
    }
    // And without the cancel it is signed as asked.
    fixture.ledger.ended = None;
    fixture.statements.clear();
    assert_allowed(&fixture.decide());
}

/// Policy decides about it as about every transaction: it has to be permitted, and asks for what it asks for.
#[test]
fn the_policy_is_asked_about_the_bytes_as_they_are() {
    let with = |from: &str, to: &str| {
        let mut fixture = cancelling();
        let said = std::mem::take(&mut fixture.statements);
        fixture.put_in_force(policy_with(from, to));
        fixture.statements = said;
        fixture
    };
    let uncovered = with("effects: [internal]", "effects: [allowance]").decide();
    assert!(
        !assert_denied("no permit", &uncovered, Tag::PermitUncovered),
        "another one may be covered"
    );
    let forbidden = with("[code-change,", "[internal, code-change,").decide();
    assert_denied("forbidden", &forbidden, Tag::ForbidMatched);
    let dear = with("fee: { max: \"0.05 ETH\" }", "fee: { max: \"0.0005 ETH\" }").decide();
    assert_denied("the fee is not permitted", &dear, Tag::PermitUncovered);
}

/// Who has to approve approves the attempt itself, under the cancel's ceiling.
#[test]
fn approvals_are_of_the_attempt() {
    let mut fixture = cancelling();
    let said = std::mem::take(&mut fixture.statements);
    fixture.put_in_force(policy_with(
        "effects: [transfer]\n      total: { over: { ETH: \"0.1 ETH\", DEMO: \"100 DEMO\" } }",
        "effects: [transfer, internal]",
    ));
    fixture.statements = said;
    let asked = fixture.decide();
    assert!(asked.cancels);
    let other = Tag::ApprovalEffectsMismatch;
    assert_pending("two are asked", &asked, &[Tag::ApprovalMissing, other, other]);
    let approve = |fixture: &Fixture, person: &str, ceiling: u128| {
        let item = ApprovalItem {
            withdrawal: fixture.withdrawal(),
            effects: asked.effects.clone().unwrap(),
            fee_ceiling: FeeCeiling {
                amount: ceiling.into(),
                ..asked.fee_ceiling.clone()
            },
            policy: fixture.active.policy_digest(),
        };
        fixture
            .world
            .sign(person, Body::Approval(Approval { items: vec![item] }))
    };
    fixture.statements.retain(|(said, _)| said.kind() == Kind::Cancel);
    fixture.say(approve(&fixture, "alice", CEILING));
    let wrong = approve(&fixture, "bob", CEILING + 1);
    fixture.say(wrong);
    assert_pending(
        "one is missing",
        &fixture.decide(),
        &[Tag::ApprovalMissing, Tag::ApprovalFeeCeilingMismatch],
    );
    fixture.say(approve(&fixture, "bob", CEILING));
    assert_allowed(&fixture.decide());
    // And they say nothing about the payment.
    fixture.ledger.ended = None;
    fixture.statements.retain(|(said, _)| said.kind() == Kind::Approval);
    fixture.unsigned = Ask::default().unsigned();
    assert_pending(
        "the payment",
        &fixture.decide(),
        &[Tag::ApprovalMissing, other, other, other],
    );
}

/// A durable nonce is used up by a message that does nothing but advance it.
#[test]
fn an_advance_alone_takes_the_place_of_a_payment_under_the_nonce() {
    let scene = |cancels: bool| {
        let mut scene = Scene::new(SolanaAsk::advance());
        scene.ledger.attempts = vec![scene.attempt(1, &SolanaAsk::durable())];
        for node in ["node-a", "node-b"] {
            scene.observe(node, 1, &[nonce_fact()]);
        }
        if cancels {
            let fee_ceiling = Some(scene.ask.request().fee_ceiling);
            let withdrawal = withdrawal(&scene.request);
            let reason = String::new();
            let cancel = Cancel {
                withdrawal,
                fee_ceiling,
                reason,
            };
            let cancel = scene.world.sign("payout-service", Body::Cancel(cancel));
            scene.say(cancel);
        }
        scene
    };
    assert_denied("nobody cancelled", &scene(false).decide(), Tag::RequestPaymentsMismatch);
    let decision = scene(true).decide();
    assert_allowed(&decision);
    assert!(decision.cancels);
    assert_eq!(decision.entry.authorization.as_ref().unwrap().attempt, 2);
    // Under a blockhash nothing is excluded, and one waits until it has expired.
    let mut plain = scene(true);
    plain.ledger.attempts = vec![plain.attempt(1, &SolanaAsk::default())];
    assert_denied("no anchor", &plain.decide(), Tag::LineageAnchorChanged);
    // It landed: the payment never will.
    let mut landed = scene(true);
    let mut own = landed.attempt(2, &SolanaAsk::advance());
    own.txid = Some("own2".to_owned());
    landed.ledger.attempts.push(own);
    for node in ["node-a", "node-b"] {
        landed.observe(node, 2, &[spend("own2", ObservedOutcome::Succeeded)]);
    }
    let decision = landed.decide();
    assert_denied("nothing is left to do", &decision, Tag::LineageSettled);
    let fates: Vec<_> = decision.fates.into_iter().collect();
    assert_eq!(fates, [(1, Fate::Dead), (2, Fate::Settled)]);
}
