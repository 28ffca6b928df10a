//! POLICY.md steps 1–7.
//!
//! There is one evaluation. Requires that are tiers of each other are one question in it ([`crate::rule::Ladder`]), and every other
//! rule is asked by itself. Whoever asks for its trace (step 10) has every step recorded on the way; whoever asks for the outcome
//! alone pays nothing for it, and nothing for steps behind a denial, which none of them takes back.

use smallvec::{SmallVec, smallvec};

use crate::{
    Evaluation, Facts, Outcome, Policy,
    obligations::Joined,
    record::{Recorder, Silence, TraceRecorder},
    rule::{Seen, asked_by},
};

/// Transactions seldom have more effects: which of so many are covered needs no memory of its own.
const FEW: usize = 16;

/// Holds the facts against the policy, and says how the answer came about. Total: every input has an answer, and whatever
/// is not covered is denied.
pub fn evaluate(policy: &Policy, facts: &Facts<'_>) -> Evaluation {
    let seen = Seen::all(facts);
    let mut trace = TraceRecorder::of(policy, &seen);
    let is_forbidden = forbid(policy, &seen, &mut trace);
    let is_covered = cover(policy, &seen, &mut trace);
    let mut asked = require(policy, &seen, &mut trace);
    let is_within = charge(policy, &seen, &mut trace, &mut asked);
    let outcome = if is_forbidden || !is_covered || !is_within {
        Outcome::Deny
    } else {
        Outcome::Allow(asked.into_obligations())
    };
    trace.into_evaluation(&seen, outcome)
}

/// The outcome of [`evaluate`] alone.
pub fn decide(policy: &Policy, facts: &Facts<'_>) -> Outcome {
    let (seen, silence) = (Seen::all(facts), &mut Silence);
    if forbid(policy, &seen, silence) || !cover(policy, &seen, silence) {
        return Outcome::Deny;
    }
    let mut asked = require(policy, &seen, silence);
    if !charge(policy, &seen, silence, &mut asked) {
        return Outcome::Deny;
    }
    Outcome::Allow(asked.into_obligations())
}

/// Step 3: any forbid that matches an effect or a sum denies.
fn forbid<'p>(policy: &'p Policy, seen: &[Seen<'_>], recorder: &mut impl Recorder<'p>) -> bool {
    let mut is_forbidden = false;
    for forbid in policy.forbids().filter(|forbid| forbid.may_match(seen)) {
        is_forbidden = true;
        recorder.forbidden(forbid, seen);
    }
    is_forbidden
}

/// Step 4: any effect that no permit covers denies, and so does a transaction without effects.
fn cover<'p>(policy: &'p Policy, seen: &[Seen<'_>], recorder: &mut impl Recorder<'p>) -> bool {
    let mut covered: SmallVec<[bool; FEW]> = smallvec![false; seen.len()];
    for permit in policy.permits() {
        let coverage = permit.coverage(seen);
        for (effect, is_covered) in seen
            .iter()
            .zip(covered.iter_mut())
            .filter(|(effect, _)| coverage.has(effect))
        {
            *is_covered = true;
            recorder.covered(permit, effect);
        }
    }
    let bare = seen.iter().zip(covered.iter()).filter(|(_, is_covered)| !**is_covered);
    bare.for_each(|(effect, _)| recorder.uncovered(Some(effect)));
    if seen.is_empty() {
        recorder.uncovered(None);
    }
    !seen.is_empty() && covered.iter().all(|is_covered| *is_covered)
}

/// Step 5: the join of what the requires ask for that match an effect or a sum.
fn require<'p>(policy: &'p Policy, seen: &[Seen<'_>], recorder: &mut impl Recorder<'p>) -> Joined<'p> {
    let mut asked = Joined::default();
    for ladder in policy.ladders() {
        let matching = ladder.matching(seen);
        asked_by(matching).into_iter().for_each(|by| asked.join(by));
        recorder.required(matching);
    }
    asked
}

/// Steps 6 and 7: every key that a limit induces; over its hard maximum, or unknown, denies; over its soft one, what that
/// asks for joins in.
fn charge<'p>(policy: &'p Policy, seen: &[Seen<'_>], recorder: &mut impl Recorder<'p>, asked: &mut Joined<'p>) -> bool {
    let mut is_within = true;
    for limit in policy.limits() {
        limit.charges(seen, |charged| {
            is_within &= charged.is_within();
            if charged.is_over_soft() {
                limit.over_soft().into_iter().for_each(|over| asked.join(over));
            }
            recorder.charged(limit, charged);
        });
    }
    is_within
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::{
        AmountMax, Ceiling, Charge, Comparison, Condition, CounterUsage, Currency, Effects, Forbid, Limit, MAX_REASONS,
        Meter, Obligations, Permit, PolicyParts, Reason, Require, To, TotalOver, Usage,
        testing::{World, asset, bounds, destination, fee, obligations, opaque, rule, transfer, usd},
    };
    use countersign_types::{Amount, Effect, EffectKind, Tag};

    fn effects(kinds: &[EffectKind]) -> Condition {
        Condition::Effects(Effects(kinds.iter().copied().collect()))
    }

    /// Transfers of at most 10 to customers and every fee are permitted, a total over 4 takes two, 8 in total is the most,
    /// strangers are forbidden.
    fn parts() -> PolicyParts {
        let transfers = || effects(&[EffectKind::Transfer]);
        let customers = Condition::To(To::List("customers".parse().unwrap()));
        let max = Condition::AmountMax(AmountMax(bounds(&[("eth", 10)])));
        let tier = Condition::TotalOver(TotalOver(bounds(&[("eth", 4)])));
        PolicyParts {
            permits: vec![
                Permit::new(rule("payouts"), vec![transfers(), customers, max]).unwrap(),
                Permit::new(rule("fees"), vec![effects(&[EffectKind::Fee])]).unwrap(),
            ],
            requires: vec![
                Require::new(
                    rule("two"),
                    vec![transfers(), tier],
                    obligations(&[("treasury", 2)], 60),
                )
                .unwrap(),
            ],
            limits: vec![Limit::new(rule("most"), vec![transfers()], BTreeSet::new(), bounds(&[("eth", 8)])).unwrap()],
            forbids: vec![Forbid::new(rule("strangers"), vec![Condition::To(To::Unlisted)]).unwrap()],
        }
    }

    /// With its trace; without one, the outcome is the same.
    fn answer(parts: PolicyParts, world: &World) -> Evaluation {
        let (policy, facts) = (Policy::new(parts).unwrap(), world.facts());
        let found = evaluate(&policy, &facts);
        assert_eq!(decide(&policy, &facts), found.outcome);
        found
    }

    fn reason(tag: Tag, rule_id: Option<&str>, effect: Option<u32>, detail: Option<(u64, u64)>) -> Reason {
        Reason {
            tag,
            rule: rule_id.map(rule),
            effect,
            detail: detail.map(|(value, bound)| Comparison {
                asset: Some(asset("eth")),
                currency: None,
                value: Some(value.into()),
                bound: Some(bound.into()),
            }),
        }
    }

    #[test]
    fn a_valid_transaction_and_one_change_at_a_time() {
        let none = || Outcome::Allow(Obligations::default());
        let two = || Outcome::Allow(obligations(&[("treasury", 2)], 60));
        let table: Vec<(&str, Vec<Effect>, Outcome, Vec<Reason>)> = vec![
            ("small", vec![transfer("eth", 4, "a"), fee(1)], none(), vec![]),
            ("tier", vec![transfer("eth", 5, "a"), fee(1)], two(), vec![]),
            (
                "split",
                vec![transfer("eth", 3, "a"), transfer("eth", 2, "b"), fee(1)],
                two(),
                vec![],
            ),
            (
                "nothing",
                vec![],
                Outcome::Deny,
                vec![reason(Tag::PermitUncovered, None, None, None)],
            ),
            (
                "unlisted asset of the bundle",
                vec![transfer("demo", 1, "a"), fee(1)],
                Outcome::Deny,
                vec![reason(Tag::PermitUncovered, None, Some(0), None)],
            ),
            (
                "over the limit",
                vec![transfer("eth", 9, "a"), fee(1)],
                Outcome::Deny,
                vec![reason(
                    Tag::LimitPerTransactionExceeded,
                    Some("most"),
                    None,
                    Some((9, 8)),
                )],
            ),
            (
                "a stranger",
                vec![fee(1), transfer("eth", 4, "stranger")],
                Outcome::Deny,
                vec![
                    reason(Tag::ForbidMatched, Some("strangers"), Some(1), None),
                    reason(Tag::PermitUncovered, None, Some(1), None),
                ],
            ),
            (
                "opaque bytes",
                vec![transfer("eth", 4, "a"), opaque()],
                Outcome::Deny,
                vec![
                    reason(Tag::ForbidMatched, Some("strangers"), Some(1), None),
                    reason(Tag::PermitUncovered, None, Some(1), None),
                ],
            ),
            (
                "an asset that nobody can value",
                vec![transfer("stray", 1, "a"), fee(1)],
                Outcome::Deny,
                vec![
                    reason(Tag::PermitUncovered, None, Some(0), None),
                    reason(Tag::LimitUnknownAmount, Some("most"), None, None),
                ],
            ),
        ];
        for (name, effects, outcome, reasons) in table {
            let found = answer(parts(), &World::with(&effects));
            assert_eq!((&found.outcome, &found.reasons), (&outcome, &reasons), "{name}");
        }
        let uncovered = |effects: &[Effect]| answer(parts(), &World::with(effects)).uncovered();
        assert_eq!(uncovered(&[]), BTreeSet::new(), "it is about the whole");
        assert_eq!(uncovered(&[transfer("demo", 1, "a"), fee(1)]), BTreeSet::from([0]));
        assert_eq!(
            uncovered(&[fee(1), transfer("eth", 9, "stranger")]),
            BTreeSet::from([1])
        );
    }

    #[test]
    fn own_change_is_not_seen_and_keeps_its_place() {
        let change = Effect::Internal {
            asset: asset("eth"),
            amount: Amount::from_base_units(99),
            wallet: "hot".parse().unwrap(),
            destination: destination("hot"),
            change: true,
        };
        let found = answer(parts(), &World::with(&[change, transfer("eth", 4, "a"), fee(1)]));
        assert_eq!(found.outcome, Outcome::Allow(Obligations::default()));
        assert_eq!(
            found.effects.iter().map(|effect| effect.index).collect::<Vec<_>>(),
            [1, 2]
        );
    }

    #[test]
    fn own_change_alone_is_not_allowed_by_vacuity() {
        let change = Effect::Internal {
            asset: asset("eth"),
            amount: Amount::from_base_units(1),
            wallet: "hot".parse().unwrap(),
            destination: destination("hot"),
            change: true,
        };
        assert_eq!(answer(parts(), &World::with(&[change])).outcome, Outcome::Deny);
    }

    #[test]
    fn many_effects_are_covered_one_by_one_like_few() {
        for count in [1, FEW - 1, FEW, FEW + 1, 3 * FEW] {
            let mut effects = vec![fee(0); count];
            assert_eq!(
                answer(parts(), &World::with(&effects)).outcome,
                Outcome::Allow(Obligations::default()),
                "{count}"
            );
            effects[count - 1] = transfer("demo", 0, "a");
            assert_eq!(
                answer(parts(), &World::with(&effects)).outcome,
                Outcome::Deny,
                "{count}"
            );
        }
    }

    #[test]
    fn an_empty_policy_denies() {
        assert_eq!(
            answer(PolicyParts::default(), &World::with(&[fee(1)])).outcome,
            Outcome::Deny
        );
    }

    #[test]
    fn the_limit_itself_is_within_it() {
        let found = answer(parts(), &World::with(&[transfer("eth", 8, "a")]));
        assert_eq!(found.outcome, Outcome::Allow(obligations(&[("treasury", 2)], 60)));
        let charge = &found.limits[0];
        assert_eq!(
            (charge.before, charge.after),
            (Some(Amount::ZERO), Some(Amount::from_base_units(8)))
        );
    }

    #[test]
    fn reasons_are_bounded_and_counted() {
        let strangers: Vec<Effect> = (0..50).map(|_| transfer("eth", 0, "stranger")).collect();
        let found = answer(parts(), &World::with(&strangers));
        assert_eq!((found.reasons.len(), found.reasons_left_out), (MAX_REASONS, 36));
        assert_eq!(found.outcome, Outcome::Deny);
    }

    /// 8 ETH over a day, above 4 two of treasury.
    fn daily() -> Policy {
        let meter = Meter {
            window: "24h".parse().unwrap(),
            hard: Ceiling::Amounts(bounds(&[("eth", 8)])),
            soft: Some((
                Ceiling::Amounts(bounds(&[("eth", 4)])),
                obligations(&[("treasury", 2)], 0),
            )),
        };
        let limit = Limit::new(
            rule("day"),
            vec![effects(&[EffectKind::Transfer])],
            BTreeSet::new(),
            meter,
        )
        .unwrap();
        let all = Permit::new(rule("all"), vec![effects(&EffectKind::ALL)]).unwrap();
        let parts = PolicyParts {
            permits: vec![all],
            limits: vec![limit],
            ..PolicyParts::default()
        };
        Policy::new(parts).unwrap()
    }

    #[test]
    fn windows_add_up_what_the_journal_knows() {
        let policy = daily();
        let world = World::with(&[transfer("eth", 3, "a"), fee(1)]);
        let query = policy.usage_queries(&world.facts()).pop_first().unwrap();
        let free = || Outcome::Allow(Obligations::default());
        let two = || Outcome::Allow(obligations(&[("treasury", 2)], 0));
        // What the window holds, what this lineage has of it, and the answer.
        let table = [
            (Some((0, 0)), free(), None),
            (Some((1, 0)), free(), None),
            (Some((2, 0)), two(), None),
            (Some((5, 0)), two(), None),
            (
                Some((6, 0)),
                Outcome::Deny,
                Some((Tag::LimitWindowExceeded, Some((9, 8)))),
            ),
            (Some((6, 3)), two(), None),
            (Some((7, 2)), two(), None),
            (
                Some((8, 2)),
                Outcome::Deny,
                Some((Tag::LimitWindowExceeded, Some((9, 8)))),
            ),
            (None, Outcome::Deny, Some((Tag::LimitUsageUnknown, None))),
        ];
        for (held, outcome, expected) in table {
            let usage = held.map(|(sum, lineage)| {
                let windows = BTreeMap::from([(query.window.clone(), Amount::from_base_units(sum))]);
                let usage = CounterUsage {
                    windows,
                    lineage: Amount::from_base_units(lineage),
                };
                Usage::new(BTreeMap::from([(query.counter, usage)]))
            });
            let mut facts = world.facts();
            facts.context.usage = usage.as_ref().unwrap_or(Usage::unknown());
            let found = evaluate(&policy, &facts);
            assert_eq!(found.outcome, outcome, "{held:?}");
            let reasons: Vec<_> = found
                .reasons
                .iter()
                .map(|reason| (reason.tag, reason.detail.clone()))
                .collect();
            let expected: Vec<_> = expected
                .into_iter()
                .map(|(tag, numbers)| {
                    let bound = Comparison {
                        asset: Some(asset("eth")),
                        currency: None,
                        value: numbers.map(|(value, _): (u64, u64)| value.into()),
                        bound: Some(Amount::from_base_units(8)),
                    };
                    (tag, Some(bound))
                })
                .collect();
            assert_eq!(reasons, expected, "{held:?}");
            let charge = Charge {
                counter: query.counter,
                amount: Amount::from_base_units(3),
            };
            assert_eq!(found.charges(), [charge]);
        }
    }

    #[test]
    fn one_counter_serves_every_limit_that_adds_up_the_same() {
        let limit = |name: &str, window: &str| {
            let meter = Meter {
                window: window.parse().unwrap(),
                hard: Ceiling::Amounts(bounds(&[("eth", 8)])),
                soft: None,
            };
            Limit::new(rule(name), vec![], BTreeSet::new(), meter).unwrap()
        };
        let parts = PolicyParts {
            limits: vec![limit("hour", "1h"), limit("day", "24h")],
            ..PolicyParts::default()
        };
        let policy = Policy::new(parts).unwrap();
        let world = World::with(&[transfer("eth", 3, "a")]);
        let queries = policy.usage_queries(&world.facts());
        let windows: Vec<String> = queries.iter().map(|query| query.window.to_string()).collect();
        assert_eq!(windows, ["1h", "1d"]);
        assert_eq!(evaluate(&policy, &world.facts()).charges().len(), 1);
    }

    /// Golden: receipts carry this JSON, and auditors recompute it byte for byte.
    #[test]
    fn golden_trace() {
        let found = answer(parts(), &World::with(&[transfer("eth", 5, "a"), fee(1)]));
        let json = serde_json::to_string_pretty(&found).unwrap();
        assert_eq!(json, include_str!("../tests/vectors/trace.json").trim_end());
        assert_eq!(serde_json::from_str::<Evaluation>(&json).unwrap(), found);
    }

    /// What cannot be valued is said so, and not blamed on the journal.
    #[test]
    fn an_unknown_charge_is_no_unknown_usage() {
        let dollars = || Ceiling::Money(Currency::Usd, usd(100));
        let bound = Comparison {
            asset: None,
            currency: Some(Currency::Usd),
            value: None,
            bound: Some(usd(100)),
        };
        let table = [
            (
                Ceiling::Amounts(bounds(&[("eth", 8)])),
                transfer("stray", 1, "a"),
                Tag::LimitUnknownAmount,
                None,
            ),
            (
                dollars(),
                transfer("demo", 1, "a"),
                Tag::LimitUnknownAmount,
                Some(bound.clone()),
            ),
            (dollars(), transfer("eth", 1, "a"), Tag::LimitUsageUnknown, Some(bound)),
        ];
        for (hard, effect, tag, detail) in table {
            let meter = Meter {
                window: "24h".parse().unwrap(),
                hard,
                soft: None,
            };
            let parts = PolicyParts {
                permits: vec![Permit::new(rule("all"), vec![effects(&EffectKind::ALL)]).unwrap()],
                limits: vec![Limit::new(rule("day"), vec![], BTreeSet::new(), meter).unwrap()],
                ..PolicyParts::default()
            };
            let found = answer(parts, &World::with(&[effect]));
            let reason = Reason {
                tag,
                rule: Some(rule("day")),
                effect: None,
                detail,
            };
            assert_eq!((found.outcome, found.reasons), (Outcome::Deny, vec![reason]));
        }
    }
}
