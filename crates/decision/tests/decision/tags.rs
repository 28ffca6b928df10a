//! Each tag of policy, limits and approvals with the vector that produces it, and with its row in `docs/policy-rules.md`.
//! A tag without a vector or a row fails, and so does a vector whose decision carries another tag.

use crate::support;

use std::collections::{BTreeMap, BTreeSet};

use countersign_decision::Outcome;
use countersign_decision::testing::Ask;
use countersign_policy::{CounterUsage, Usage};
use countersign_types::{PolicyDigest, RequestDigest, Tag, WithdrawalId};
use support::{Fixture, later, policy_with};

/// The areas whose tags come out of a decision about policy and people.
const AREAS: [&str; 5] = ["permit/", "forbid/", "limit/", "approval/", "attestation/"];

/// One change of the valid case.
type Vector = fn(&mut Fixture);

const VECTORS: &[(Tag, Vector)] = &[
    (Tag::PermitUncovered, |f| {
        f.put_in_force(policy_with("max: { ETH: \"10 ETH\"", "max: { ETH: \"0.5 ETH\""))
    }),
    (Tag::ForbidMatched, |f| {
        f.put_in_force(policy_with("[code-change,", "[transfer, code-change,"))
    }),
    (Tag::LimitPerTransactionExceeded, |f| {
        f.put_in_force(policy_with("hard: \"8 ETH\"", "hard: \"0.5 ETH\""))
    }),
    (Tag::LimitWindowExceeded, |f| {
        f.put_in_force(policy_with(
            "window: transaction, hard: \"8 ETH\"",
            "window: 24h, hard: \"0.5 ETH\"",
        ));
        let counters = f.decide().trace[0].limits.clone().into_iter().filter_map(|limit| {
            let windows = BTreeMap::from([(limit.window?, 0_u64.into())]);
            let lineage = 0_u64.into();
            Some((limit.counter?, CounterUsage { windows, lineage }))
        });
        f.ledger.usage = Usage::new(counters.collect());
    }),
    (Tag::LimitUsageUnknown, |f| {
        f.put_in_force(policy_with(
            "window: transaction, hard: \"8 ETH\"",
            "window: 24h, hard: \"8 ETH\"",
        ));
    }),
    (Tag::LimitUnknownAmount, |f| {
        // Whose customer is paid, the request does not say; the limit counts by customer.
        let by_subject = "assets: [ETH], scope: [subject], window: transaction, hard: \"8 ETH\"";
        f.body.payments.iter_mut().for_each(|payment| payment.subject = None);
        f.seal();
        f.put_in_force(policy_with(
            "assets: [ETH], scope: [], window: transaction, hard: \"8 ETH\"",
            by_subject,
        ));
    }),
    (Tag::ApprovalMissing, |f| f.approve(&["alice"])),
    (Tag::ApprovalTimeLock, |f| {
        f.put_in_force(policy_with(
            "approvals: { treasury: 2 }",
            "approvals: { treasury: 2 }\n    time-lock: 30m",
        ));
    }),
    (Tag::AttestationMissing, |f| {
        let asked = "approvals: { treasury: 2 }\n    attestations: [{ kind: sanctions, by: screening, max-age: 15m }]";
        let mut files = policy_with("approvals: { treasury: 2 }", asked);
        let roster = String::from_utf8(files["roster.yaml"].clone()).unwrap();
        let key = "ed25519:3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
        let service = format!("services:\n  - {{ id: screening, operators: [carol], keys: [\"{key}\"] }}");
        files.insert(
            "roster.yaml".to_owned(),
            roster.replacen("services:", &service, 1).into_bytes(),
        );
        f.put_in_force(files);
    }),
    (Tag::ApprovalRejected, |f| f.say(f.world.rejection("carol", &f.request))),
    (Tag::ApprovalOtherWithdrawal, |f| {
        f.approve(&["alice"]);
        let other = WithdrawalId::of(RequestDigest::of(b"other"));
        f.say(f.approval("bob", |item, _| item.withdrawal = other));
    }),
    (Tag::ApprovalEffectsMismatch, |f| {
        let mut less = Fixture::new();
        less.pay(&Ask {
            amount: 1,
            ..Ask::default()
        });
        let effects = less.item().effects;
        f.approve(&["alice"]);
        f.say(f.approval("bob", |item, _| item.effects = effects));
    }),
    (Tag::ApprovalFeeCeilingMismatch, |f| {
        f.approve(&["alice"]);
        f.say(f.approval("bob", |item, _| item.fee_ceiling.amount = 1_u64.into()));
    }),
    (Tag::ApprovalPolicyMismatch, |f| {
        f.approve(&["alice"]);
        f.say(f.approval("bob", |item, _| item.policy = PolicyDigest::of(b"other")));
    }),
    (Tag::ApprovalByInitiator, |f| f.approve(&["alice", "dave"])),
    (Tag::ApprovalNotMember, |f| {
        f.approve(&["alice"]);
        f.say(f.world.rejection("dave", &f.request));
    }),
    (Tag::ApprovalSamePerson, |f| {
        f.approve(&["alice"]);
        f.now = later(f.now, 1_000);
        f.say(f.approval("alice", |_, _| {}));
    }),
];

/// Tags that no decision carries, each with the test that produces it.
const ELSEWHERE: &[(Tag, &str, &str)] = &[
    (
        Tag::LimitPastUnknown,
        "Tag::LimitPastUnknown",
        include_str!("../../../signer/tests/signer/limits.rs"),
    ),
    (Tag::AttestationFailed, "Tag::AttestationFailed", ATTESTED),
    (Tag::AttestationStale, "Tag::AttestationStale", ATTESTED),
    (Tag::AttestationSuperseded, "Tag::AttestationSuperseded", ATTESTED),
    (
        Tag::AttestationIrrelevant,
        "Tag::AttestationIrrelevant",
        include_str!("../../../signer/tests/signer/attested.rs"),
    ),
];
const ATTESTED: &str = include_str!("attested.rs");

fn found(fixture: &Fixture) -> BTreeSet<Tag> {
    match fixture.decide().outcome {
        Outcome::Allowed => BTreeSet::new(),
        Outcome::Pending { reasons, .. } | Outcome::Denied { reasons, .. } | Outcome::Malformed { reasons } => {
            reasons.iter().map(|reason| reason.tag).collect()
        }
    }
}

#[test]
fn every_vector_produces_its_tag_and_the_valid_case_none() {
    assert_eq!(found(&Fixture::new()), BTreeSet::new());
    for (tag, change) in VECTORS {
        let mut fixture = Fixture::new();
        change(&mut fixture);
        let found = found(&fixture);
        assert!(found.contains(tag), "{tag}: {found:?}");
        let others = found
            .iter()
            .filter(|other| *other != tag && **other != Tag::ApprovalMissing);
        assert_eq!(others.count(), 0, "{tag}: nothing else is wrong: {found:?}");
    }
}

#[test]
fn every_tag_has_one_vector_and_a_row() {
    let rules = include_str!("../../../../docs/policy-rules.md");
    let areas = |tag: &&Tag| AREAS.iter().any(|area| tag.as_str().starts_with(area));
    let here = VECTORS.iter().map(|(tag, _)| *tag);
    let elsewhere = ELSEWHERE.iter().map(|(tag, ..)| *tag);
    let vectors: Vec<Tag> = here.chain(elsewhere).collect();
    for tag in Tag::ALL.iter().filter(areas) {
        let count = vectors.iter().filter(|other| *other == tag).count();
        assert_eq!(count, 1, "{tag} has {count} vectors");
        assert!(
            rules.contains(&format!("| `{tag}` |")),
            "{tag} has no row in docs/policy-rules.md"
        );
    }
    assert!(vectors.iter().all(|tag| areas(&tag)), "a vector of another area");
    for (tag, name, text) in ELSEWHERE {
        assert!(text.contains(name), "{tag} is not produced where it is said to be");
    }
}
