//! Taking a statement away never turns what is not allowed into something allowed, whatever else was said.

use countersign_approval::Envelope;
use countersign_decision::Outcome;
use countersign_types::{PolicyDigest, Timestamp};

use crate::support::{Fixture, later, policy_with};

/// What is said of one withdrawal: three of the treasury approve, one of them twice, one under another policy first, and so
/// does the person behind the initiator.
fn said(fixture: &Fixture) -> Vec<Envelope> {
    let approval = |person| fixture.approval(person, |_, _| {});
    vec![
        fixture.approval("bob", |item, _| item.policy = PolicyDigest::of(b"other")),
        approval("alice"),
        approval("dave"),
        approval("alice"),
        approval("bob"),
        approval("carol"),
    ]
}

/// Every choice of the statements, each a minute after the one before, at several moments of a time-lock of half an hour.
#[test]
fn an_approval_less_never_allows() {
    let mut fixture = Fixture::new();
    fixture.put_in_force(policy_with(
        "approvals: { treasury: 2 }",
        "approvals: { treasury: 2 }\n    time-lock: 30m",
    ));
    let said = said(&fixture);
    let start = fixture.first_seen_at;
    let at = |minutes: i64| later(start, minutes * 60_000);
    let (mut allowed, mut open) = (0, 0);
    for now in [at(6), at(34), at(35), at(36), at(60)] {
        let is_allowed: Vec<bool> = (0..1_usize << said.len())
            .map(|chosen| is_allowed(&mut fixture, (&said, chosen), now, at))
            .collect();
        for (chosen, whole) in is_allowed.iter().enumerate() {
            for n in (0..said.len()).filter(|n| chosen >> n & 1 == 1) {
                assert!(
                    *whole || !is_allowed[chosen & !(1 << n)],
                    "{chosen:b} without {n} at {now}"
                );
            }
            if *whole { allowed += 1 } else { open += 1 }
        }
    }
    assert!(allowed > 50 && open > 100, "{allowed} allowed, {open} open");
}

fn is_allowed(
    fixture: &mut Fixture,
    (said, chosen): (&[Envelope], usize),
    now: Timestamp,
    at: impl Fn(i64) -> Timestamp,
) -> bool {
    let each = said.iter().enumerate().filter(|(n, _)| chosen >> n & 1 == 1);
    fixture.statements = each
        .map(|(n, one)| (one.clone(), at(i64::try_from(n).unwrap())))
        .collect();
    fixture.now = now;
    fixture.decide().outcome == Outcome::Allowed
}
