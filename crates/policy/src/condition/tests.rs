//! What all conditions have in common: their names, where they may stand, and what journals keep of them.

use countersign_types::{AttributeName, Duration, EffectKind, Selector, Tier};

use super::*;
use crate::testing::{self, World, asset, one_of, rule};

fn effects(kinds: &[EffectKind]) -> Condition {
    Condition::Effects(Effects(kinds.iter().copied().collect()))
}

fn words(tests: Vec<(u8, WordTest)>) -> Condition {
    let words = tests.into_iter().map(|(at, test)| Word { at, test });
    Condition::Words(Words(words.collect()))
}

fn any_of(values: &[u64]) -> WordTest {
    WordTest::OneOf(values.iter().map(|value| (*value).into()).collect())
}

fn hours(days: &[Day]) -> Condition {
    let days = days.iter().copied().collect();
    Condition::Hours(Hours::new("Europe/Berlin".parse().unwrap(), days, 32_400, 61_200).unwrap())
}

fn attributes(values: &[(&str, &[&str])]) -> Condition {
    let name = |name: &str| name.parse::<AttributeName>().unwrap();
    let values = values.iter().map(|(key, values)| (name(key), one_of(values)));
    Condition::Attributes(Attributes(values.collect()))
}

/// The keys of `docs/policy.md`.
#[test]
fn every_condition_has_the_name_of_its_key() {
    let names = [
        "effects",
        "initiators",
        "initiator-groups",
        "wallets",
        "tiers",
        "networks",
        "assets",
        "to",
        "subjects",
        "selectors",
        "words",
        "hours",
        "attributes",
        "amount.max",
        "amount.over",
        "fee.max",
        "fee.share",
        "fee.rate",
        "total.max",
        "total.over",
    ];
    assert_eq!(ConditionKind::ALL.map(|kind| kind.to_string()), names);
    assert_eq!(ConditionKind::ALL.map(ConditionKind::as_str), names);
    assert_eq!(
        [ConditionKind::Hard, ConditionKind::Soft].map(ConditionKind::as_str),
        ["hard", "soft"]
    );
}

#[test]
fn maxima_stand_in_permits_and_minima_in_requires_and_forbids() {
    let kinds = [RuleKind::Permit, RuleKind::Require, RuleKind::Limit, RuleKind::Forbid];
    let table = [
        (any_of(&[1]), [true; 4]),
        (WordTest::Max(1_u64.into()), [true, false, false, false]),
        (WordTest::Over(1_u64.into()), [false, true, false, true]),
    ];
    for (test, allowed) in table {
        let condition = words(vec![(0, any_of(&[1])), (1, test)]);
        for (kind, is_allowed) in kinds.into_iter().zip(allowed) {
            let misplaced = PolicyError::MisplacedCondition {
                rule: rule("r"),
                kind,
                condition: ConditionKind::Words,
            };
            let made = Conditions::new(&rule("r"), kind, vec![condition.clone()]).map(drop);
            assert_eq!(made, if is_allowed { Ok(()) } else { Err(misplaced) }, "{condition:?}");
        }
    }
    for bound in [ConditionKind::Hard, ConditionKind::Soft] {
        assert_eq!(kinds.map(|kind| bound.is_allowed_in(kind)), [false, false, true, false]);
    }
}

/// One value too few, somewhere in the condition, and it would hold for nothing or for everything.
#[test]
fn a_condition_with_a_part_that_is_empty_is_refused() {
    let full = [
        words(vec![(0, any_of(&[1]))]),
        hours(&[Day::Mon]),
        attributes(&[("purpose", &["payout"])]),
    ];
    for condition in full {
        assert!(Conditions::new(&rule("r"), RuleKind::Limit, vec![condition]).is_ok());
    }
    let empty = [
        words(vec![]),
        words(vec![(0, any_of(&[1])), (1, any_of(&[]))]),
        hours(&[]),
        attributes(&[]),
        attributes(&[("purpose", &["payout"]), ("desk", &[])]),
    ];
    for condition in empty {
        let error = PolicyError::EmptyCondition {
            rule: rule("r"),
            condition: condition.kind(),
        };
        assert_eq!(
            Conditions::new(&rule("r"), RuleKind::Limit, vec![condition]),
            Err(error)
        );
    }
}

/// Golden: counters' ids are digests of these lines (`docs/formats.md`), and journals store the ids.
#[test]
fn a_counter_keeps_the_line_of_each_condition() {
    let hour = Duration::from_secs(3_600);
    let table = [
        (
            effects(&[EffectKind::Fee, EffectKind::Transfer]),
            "effects transfer fee",
        ),
        (
            Condition::Initiators(Initiators(one_of(&["bot", "alice"]))),
            "initiators alice bot",
        ),
        (
            Condition::InitiatorGroups(InitiatorGroups(one_of(&["ops"]))),
            "initiator-groups ops",
        ),
        (
            Condition::Wallets(Wallets(one_of(&["hot", "cold"]))),
            "wallets cold hot",
        ),
        (
            Condition::Tiers(Tiers([Tier::Cold, Tier::Warm, Tier::Hot].into_iter().collect())),
            "tiers hot warm cold",
        ),
        (
            Condition::Networks(Networks(one_of(&["eip155:1"]))),
            "networks eip155:1",
        ),
        (
            Condition::Assets(Assets([asset("eth")].into_iter().collect())),
            "assets eip155:31337/slip44:60",
        ),
        (
            Condition::To(To::List("customers".parse().unwrap())),
            "to list customers",
        ),
        (Condition::To(To::Own(one_of(&["hot", "cold"]))), "to own cold hot"),
        (Condition::To(To::Unlisted), "to unknown"),
        (
            Condition::To(To::AddressBook("book".parse().unwrap())),
            "to address-book book",
        ),
        (Condition::To(To::FirstSeen), "to first-seen"),
        (Condition::To(To::EntryUnder(hour)), "to entry-under 1h"),
        (Condition::To(To::EntryOver(hour)), "to entry-over 1h"),
        (Condition::Subjects(Subjects(one_of(&["y", "x"]))), "subjects x y"),
        (
            Condition::Selectors(Selectors([Selector([0xa9, 5, 0x9c, 0xbb])].into_iter().collect())),
            "selectors 0xa9059cbb",
        ),
        (
            words(vec![(2, any_of(&[9])), (0, any_of(&[8, 7]))]),
            "words 0:7 0:8 2:9",
        ),
        (
            hours(&Day::ALL),
            "hours Europe/Berlin 32400-61200 mon tue wed thu fri sat sun",
        ),
        (
            attributes(&[("purpose", &["refund", "payout"]), ("desk", &["otc"])]),
            "attributes desk=otc purpose=payout purpose=refund",
        ),
    ];
    for (condition, line) in table {
        let kind = condition.kind();
        let conditions = Conditions::new(&rule("r"), RuleKind::Limit, vec![condition]).unwrap();
        assert_eq!(conditions.canonical(None), [line]);
        assert_eq!(conditions.canonical(Some(kind)), Vec::<String>::new());
    }
}

/// Who asks through which wallet is known early; everything else may turn out either way.
#[test]
fn a_rule_may_concern_whom_its_conditions_do_not_exclude() {
    let wallets = |ids: &[&str]| Condition::Wallets(Wallets(one_of(ids)));
    let hot = || Condition::Tiers(Tiers([Tier::Hot].into_iter().collect()));
    let table = [
        (vec![], true),
        (vec![effects(&[EffectKind::Transfer]), wallets(&["hot"])], true),
        (vec![effects(&[EffectKind::Transfer]), wallets(&["cold"])], false),
        (vec![Condition::Initiators(Initiators(one_of(&["bot"]))), hot()], true),
        (
            vec![Condition::Initiators(Initiators(one_of(&["alice"]))), hot()],
            false,
        ),
        (
            vec![Condition::InitiatorGroups(InitiatorGroups(one_of(&["ops"])))],
            false,
        ),
    ];
    let world = World::default();
    for (conditions, expected) in table {
        let made = Conditions::new(&rule("r"), RuleKind::Limit, conditions).unwrap();
        assert_eq!(made.may_concern(&world.facts().actor), expected, "{made:?}");
    }
    let nobody_knows = World {
        tier: None,
        ..World::default()
    };
    let made = Conditions::new(&rule("r"), RuleKind::Limit, vec![hot()]).unwrap();
    assert!(made.may_concern(&nobody_knows.facts().actor));
}

/// A condition that is left out would not be asked at all.
#[test]
fn every_condition_but_kinds_and_totals_is_asked_of_each_effect() {
    let kinds = Condition::Effects(Effects([EffectKind::Transfer].into_iter().collect()));
    let wallets = Condition::Wallets(Wallets(one_of(&["hot"])));
    let unlisted = Condition::To(To::Unlisted);
    let total = Condition::TotalMax(TotalMax(testing::bounds(&[("eth", 1)])));
    let all = [total, unlisted, kinds, wallets];
    for chosen in 0..16_usize {
        let chosen = all.iter().enumerate().filter(|(at, _)| chosen >> at & 1 == 1);
        let chosen: Vec<Condition> = chosen.map(|(_, condition)| condition.clone()).collect();
        let conditions = Conditions::new(&rule("p"), RuleKind::Permit, chosen).unwrap();
        let is_each = |condition: &&Condition| !condition.is_kinds() && !condition.is_total();
        let expected: Vec<&Condition> = conditions.iter().filter(is_each).collect();
        let each: Vec<&Condition> = conditions.all[conditions.each.clone()].iter().collect();
        assert_eq!(each, expected);
        let total = conditions.iter().find(|condition| condition.is_total());
        assert_eq!(conditions.total_max().is_some(), total.is_some());
    }
}
