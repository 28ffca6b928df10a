use std::collections::BTreeSet;

use countersign_types::EffectKind;

use super::*;
use crate::{
    Conditions, Day, Limit, OneOf, PolicyParts, RuleKind,
    analysis::{
        Promise,
        testing::{Bundle, effects, forbid, lists, permit, short, to_list, transfers, witness},
    },
    testing::{CHAIN, bounds, destination, obligations, one_of, rule, usd},
};

fn beside(conditions: &[Condition]) -> Conditions {
    Conditions::new(&rule("inv"), RuleKind::Require, conditions.to_vec()).unwrap()
}

/// What conditions cut, in a bundle without rules.
fn cut(conditions: &[Condition]) -> Cells {
    let bundle = Bundle::new(PolicyParts::default());
    Cells::of(&[&bundle.setting()], &[&beside(conditions)])
}

fn amounts_of(numbers: &[u64]) -> OneOf<Amount> {
    numbers.iter().map(|number| Amount::from(*number)).collect()
}

fn word(at: u8, test: WordTest) -> Word {
    Word { at, test }
}

fn words(words: Vec<Word>) -> Condition {
    Condition::Words(Words(words))
}

/// The arguments of each call, as numbers.
fn arguments(cells: &Cells) -> Vec<Vec<u64>> {
    let number = |word: &[u8]| u64::from_be_bytes(word[24..].try_into().unwrap());
    let of = |(_, args): &(Selector, Vec<u8>)| args.chunks(32).map(number).collect();
    cells.calls.iter().map(of).collect()
}

#[test]
fn nothing_is_told_apart_where_no_rule_does() {
    let cells = cut(&[]);
    let customer = |n: usize| format!("customer-{n}").parse::<SubjectId>().unwrap();
    assert_eq!(cells.subjects, [Some(customer(1)), None]);
    assert_eq!(cells.strangers, (1..=16).map(customer).collect::<Vec<_>>());
    assert_eq!(cells.books, [Some(BTreeMap::new()), None]);
    assert_eq!(cells.ages, [Some(Duration::from_secs(86_400)), None]);
    assert_eq!(cells.calls, [(Selector([0; 4]), vec![])]);
    assert_eq!(cells.moments, [Timestamp::from_unix_millis(1_767_225_600_000)]);
    assert_eq!(cells.attributes, [Attributes::new()]);
    assert!(!cells.is_cut);
}

#[test]
fn customers_are_the_named_ones_one_more_and_nobody() {
    let cells = cut(&[Condition::Subjects(Subjects(one_of(&["customer-1", "x"])))]);
    let ids: Vec<String> = cells.subjects.iter().flatten().map(ToString::to_string).collect();
    assert_eq!(ids, ["customer-1", "x", "customer-2"]);
    assert_eq!(cells.subjects.last(), Some(&None));
    assert_eq!(cells.strangers[0].as_str(), "customer-2");
    assert_eq!(cells.strangers.len(), MAX_COPIES);
}

#[test]
fn ages_are_cut_right_below_each_bound() {
    let cells = cut(&[Condition::To(To::EntryUnder(Duration::from_secs(60)))]);
    let secs: Vec<_> = cells.ages.iter().map(|age| age.map(Duration::secs)).collect();
    assert_eq!(secs, [Some(59), Some(60), None]);
    let cells = cut(&[Condition::To(To::EntryOver(Duration::from_secs(1)))]);
    let secs: Vec<_> = cells.ages.iter().map(|age| age.map(Duration::secs)).collect();
    assert_eq!(secs, [Some(0), Some(1), None]);
}

#[test]
fn a_book_has_it_has_it_not_or_is_not_at_hand() {
    let cells = cut(&[Condition::To(To::AddressBook("book".parse().unwrap()))]);
    let said = |has| Some(BTreeMap::from([("book".parse().unwrap(), has)]));
    assert_eq!(cells.books, [said(false), said(true), None]);
}

#[test]
fn functions_are_the_named_ones_and_another() {
    let zero = Selector([0; 4]);
    let cells = cut(&[Condition::Selectors(Selectors([zero].into_iter().collect()))]);
    let called: Vec<Selector> = cells.calls.iter().map(|(selector, _)| *selector).collect();
    assert_eq!(called, [zero, Selector([0, 0, 0, 1])]);
}

#[test]
fn words_are_cut_at_what_tests_name_and_right_behind_it() {
    let table = [
        (vec![WordTest::Over(5_u64.into())], vec![0, 6]),
        (vec![WordTest::Over(0_u64.into())], vec![0, 1]),
        (vec![WordTest::OneOf(amounts_of(&[5]))], vec![0, 5]),
        (vec![WordTest::OneOf(amounts_of(&[0]))], vec![0, 1]),
        // What comes out alike is one cell: 3 and 4 are both named.
        (vec![WordTest::OneOf(amounts_of(&[3, 4]))], vec![0, 3]),
        // 6 is over 5 and named, 7 is over 5 and not named.
        (
            vec![WordTest::Over(5_u64.into()), WordTest::OneOf(amounts_of(&[6]))],
            vec![0, 6, 7],
        ),
        // Nothing is over the last number.
        (vec![WordTest::Over(Amount::MAX)], vec![0]),
    ];
    for (tests, expected) in table {
        let cells = cut(&[words(tests.iter().map(|test| word(0, test.clone())).collect())]);
        let mut expected: Vec<Vec<u64>> = expected.into_iter().map(|n| vec![n]).collect();
        expected.sort();
        let mut found = arguments(&cells);
        assert_eq!(found.pop(), Some(vec![]), "without the word: {tests:?}");
        found.sort();
        assert_eq!(found, expected, "{tests:?}");
    }
}

#[test]
fn arguments_reach_to_every_word_or_end_before_it() {
    let over = |at| word(at, WordTest::Over(5_u64.into()));
    let cells = cut(&[words(vec![over(0), over(2)])]);
    let expected = vec![
        vec![0, 0, 0],
        vec![0, 0, 6],
        vec![6, 0, 0],
        vec![6, 0, 6],
        vec![],
        vec![0, 0],
        vec![6, 0],
    ];
    assert_eq!(arguments(&cells), expected);
    assert!(!cells.is_cut);
}

#[test]
fn too_many_combinations_are_cut_and_said_to_be() {
    // Two ways for each of eight words are 256, and for nine 512.
    let over = |count: u8| words((0..count).map(|at| word(at, WordTest::Over(5_u64.into()))).collect());
    assert!(!cut(&[over(8)]).is_cut);
    assert!(cut(&[over(9)]).is_cut);
    // A word has two ways, so an attribute with one named value has three: five of them are 243, and six 729.
    let stated = |count: u8| {
        let stated = (0..count).map(|n| (format!("a-{n}").parse().unwrap(), one_of(&["x"])));
        Condition::Attributes(crate::Attributes(stated.collect()))
    };
    assert_eq!(cut(&[stated(5)]).attributes.len(), 243);
    assert!(!cut(&[stated(5)]).is_cut);
    assert!(cut(&[stated(6)]).is_cut);
    // Four ways for each of four are just as many as are looked at.
    let named = (0..4).map(|n| (format!("a-{n}").parse().unwrap(), one_of(&["x", "y"])));
    let cells = cut(&[Condition::Attributes(crate::Attributes(named.collect()))]);
    assert_eq!((cells.attributes.len(), cells.is_cut), (MAX_COMBINATIONS, false));
    let books = |count: u8| {
        let permits = (0..count).map(|n| permit(&format!("p-{n}"), vec![book(&format!("b-{n}"))]));
        let bundle = Bundle::new(PolicyParts {
            permits: permits.collect(),
            ..PolicyParts::default()
        });
        let cells = Cells::of(&[&bundle.setting()], &[]);
        (cells.books.len(), cells.is_cut)
    };
    assert_eq!(books(8), (257, false));
    assert_eq!(books(9), (258, true));
}

fn book(id: &str) -> Condition {
    Condition::To(To::AddressBook(id.parse().unwrap()))
}

#[test]
fn attributes_have_the_named_values_another_one_or_none() {
    let named = [("note".parse().unwrap(), one_of(&["other-1", "x"]))];
    let cells = cut(&[Condition::Attributes(crate::Attributes(named.into()))]);
    let said = |value: &str| Attributes::from([("note".parse().unwrap(), value.parse().unwrap())]);
    let expected = [said("other-1"), said("x"), said("other-2"), Attributes::new()];
    assert_eq!(cells.attributes, expected);
}

fn hours(zone: &str, days: &[Day], from: u32, to: u32) -> Hours {
    Hours::new(zone.parse().unwrap(), days.iter().copied().collect(), from, to).unwrap()
}

#[test]
fn moments_are_one_of_each_way_in_which_hours_hold() {
    let weekday = [Day::Mon, Day::Tue, Day::Wed, Day::Thu, Day::Fri];
    // From a second past a quarter on: only that second tells it apart.
    let office = hours("Etc/UTC", &weekday, 32_401, 61_200);
    let berlin = hours("Europe/Berlin", &weekday, 32_400, 61_200);
    let parts = PolicyParts {
        permits: vec![permit("p", vec![Condition::Hours(office.clone())])],
        forbids: vec![forbid("f", vec![Condition::Hours(berlin.clone())])],
        ..PolicyParts::default()
    };
    let bundle = Bundle::new(parts);
    let cells = Cells::of(&[&bundle.setting()], &[]);
    let holds = |moment: &Timestamp| [&office, &berlin].map(|hours| hours.hold_at(*moment) == Some(true));
    let found: BTreeSet<[bool; 2]> = cells.moments.iter().map(holds).collect();
    assert_eq!(found.len(), 4);
    assert_eq!(cells.moments.len(), 4);
    assert!(
        !cells.moments.contains(&ANY_MOMENT),
        "it would be taken for one that decides nothing"
    );
    let year = 1_767_225_600_000..1_767_225_600_000 + 365 * 86_400_000;
    assert!(cells.moments.iter().all(|at| year.contains(&at.unix_millis())));
}

/// A week of each way in which zones meet, and a quarter of an hour on either side, is enough.
#[test]
fn a_week_shows_what_hours_tell_apart() {
    let weeks = |zones: &[&str]| {
        let hours: Vec<Hours> = zones
            .iter()
            .map(|zone| hours(zone, &[Day::Wed], 32_400, 33_300))
            .collect();
        let constants = Constants {
            hours: hours.iter().collect(),
            ..Constants::default()
        };
        constants.later_weeks()
    };
    assert_eq!(weeks(&["Europe/Berlin", "Europe/Berlin"]), []);
    let (winter, summer) = (1_767_225_600, 1_774_746_000);
    let week = 7 * 86_400 + 1_800;
    let expected = [(winter, winter + week), (summer, summer + week)];
    assert_eq!(weeks(&["Etc/UTC", "Europe/Berlin"]), expected);
}

/// Clocks in Gaza are set by the moon: in the autumns of some years to come they are set back before those of Berlin, which no year of quarter
/// hours shows today.
#[test]
fn hours_of_zones_that_meet_in_another_way_in_years_to_come_are_found() {
    let gaza = hours("Asia/Gaza", &[Day::Wed], 36_000, 36_900);
    let berlin = hours("Europe/Berlin", &[Day::Wed], 32_400, 33_300);
    let parts = PolicyParts {
        permits: vec![permit("p", vec![Condition::Hours(gaza.clone())])],
        forbids: vec![forbid("f", vec![Condition::Hours(berlin.clone())])],
        ..PolicyParts::default()
    };
    let bundle = Bundle::new(parts);
    let cells = Cells::of(&[&bundle.setting()], &[]);
    let alone = |at: &&Timestamp| gaza.hold_at(**at) == Some(true) && berlin.hold_at(**at) == Some(false);
    let found = cells.moments.iter().find(alone).unwrap();
    assert!(found.to_string().as_str() > "2027", "{found}");
}

#[test]
fn hours_of_one_second_and_those_at_the_end_of_the_year_are_found() {
    let second = hours("Etc/UTC", &[Day::Thu], 86_399, 86_400);
    let cells = cut(&[Condition::Hours(second.clone())]);
    assert_eq!(cells.moments.len(), 2);
    assert!(cells.moments.iter().any(|at| second.hold_at(*at) == Some(true)));
}

fn column(bundle: &Bundle) -> Vec<Vec<String>> {
    let cells = Cells::of(&[&bundle.setting()], &[]);
    let classes = &cells.destinations[&CHAIN.parse().unwrap()];
    let names = |class: &Vec<Destination>| class.iter().map(|at| at.address().to_owned()).collect();
    classes.iter().map(names).collect()
}

#[test]
fn destinations_stand_with_those_of_the_same_lists() {
    let mut bundle = Bundle::new(PolicyParts::default());
    bundle.lists = lists(&[("first", &["a", "b", "c", "stranger-2"]), ("second", &["b", "c", "d"])]);
    let strangers: Vec<String> = (1..=17).filter(|n| *n != 2).map(|n| format!("stranger-{n}")).collect();
    let found = column(&bundle);
    assert_eq!(found[0], strangers);
    let rest: BTreeSet<Vec<String>> = found[1..].iter().cloned().collect();
    let expected = [&["a", "stranger-2"][..], &["b", "c"], &["d"]];
    let expected: BTreeSet<Vec<String>> = expected
        .iter()
        .map(|names| names.iter().map(|name| (*name).to_owned()).collect())
        .collect();
    assert_eq!(rest, expected);
    assert_eq!(found.len(), 4);
}

#[test]
fn a_class_keeps_as_many_as_a_batch_has() {
    let names: Vec<String> = (10..40).map(|n| format!("c{n}")).collect();
    let mut bundle = Bundle::new(PolicyParts::default());
    let list: DestinationList = names.iter().map(|name| destination(name)).collect();
    bundle.lists = crate::DestinationLists::new([("customers".parse().unwrap(), list)].into());
    assert_eq!(column(&bundle)[1].len(), MAX_COPIES);
}

/// Without a class of their own, own addresses would take the place of everybody else in the list.
#[test]
fn own_addresses_in_a_list_do_not_hide_who_else_is_there() {
    const OWN: [&str; 16] = [
        "o00", "o01", "o02", "o03", "o04", "o05", "o06", "o07", "o08", "o09", "o10", "o11", "o12", "o13", "o14", "o15",
    ];
    let mut bundle = Bundle::new(PolicyParts {
        permits: vec![permit("p", vec![to_list("payees")])],
        ..PolicyParts::default()
    });
    bundle.wallets = OWN.to_vec();
    bundle.lists = lists(&[("payees", &[&OWN[..], &["z"]].concat())]);
    let conclusion = bundle.prove(vec![transfers()], Promise::Deny);
    let (found, _) = witness(&conclusion);
    assert_eq!(
        short(found),
        "transfer 1 ETH to z for customer-1, never paid before, entry 1d old"
    );
}

/// A word that is over a bound and not the one that is named right behind it.
#[test]
fn a_word_behind_a_named_one_is_looked_at() {
    let calls = || effects(&[EffectKind::ContractCall]);
    let named = WordTest::OneOf(amounts_of(&[6]));
    let bundle = Bundle::new(PolicyParts {
        permits: vec![crate::Permit::new(rule("p"), vec![calls()]).unwrap()],
        forbids: vec![forbid("f", vec![words(vec![word(0, named)])])],
        ..PolicyParts::default()
    });
    let over = words(vec![word(0, WordTest::Over(5_u64.into()))]);
    let conclusion = bundle.prove(vec![calls(), over], Promise::Deny);
    let (found, _) = witness(&conclusion);
    let call = &found.items[0].effect;
    assert!(
        matches!(call, countersign_types::Effect::ContractCall { args, .. } if args[31] == 7),
        "{call:?}"
    );
}

#[test]
fn conditions_are_those_of_every_kind_of_rule() {
    let condition = |n: u64| Condition::Subjects(Subjects(one_of(&[format!("s-{n}").as_str()])));
    let limit = Limit::new(rule("l"), vec![condition(3)], BTreeSet::new(), bounds(&[("eth", 1)])).unwrap();
    let bundle = Bundle::new(PolicyParts {
        permits: vec![permit("p", vec![condition(1)])],
        requires: vec![crate::Require::new(rule("r"), vec![condition(2)], obligations(&[("t", 1)], 0)).unwrap()],
        limits: vec![limit],
        forbids: vec![forbid("f", vec![condition(4)])],
    });
    let cells = Cells::of(&[&bundle.setting()], &[]);
    let ids: Vec<String> = cells.subjects.iter().flatten().map(ToString::to_string).collect();
    assert_eq!(ids, ["s-1", "s-2", "s-3", "s-4", "customer-1"]);
}

fn meter(hard: Ceiling, soft: Option<Ceiling>) -> Meter {
    Meter {
        window: crate::Window::Transaction,
        hard,
        soft: soft.map(|ceiling| (ceiling, obligations(&[("t", 1)], 0))),
    }
}

#[test]
fn a_meter_bounds_what_its_ceilings_bound() {
    let amounts = |bound| bounds(&[("eth", bound)]);
    let both = meter(Ceiling::Amounts(amounts(9)), Some(Ceiling::Amounts(amounts(3))));
    assert_eq!(meter_bounds(&both), [amounts(9), amounts(3)]);
    let money = meter(Ceiling::Money(Currency::Usd, usd(9)), None);
    assert_eq!(
        meter_bounds(&money),
        [Bounds::default().with_money(Currency::Usd, usd(9))]
    );
    assert_eq!(meter_bounds(&meter(Ceiling::Count(3), None)), []);
    assert_eq!(meter_bounds(&meter(Ceiling::NewDestinations(3), None)), []);
}

#[test]
fn amounts_are_the_bounds_and_one_over_the_last() {
    let eth = crate::testing::asset("eth");
    let numbers = |all: &[Bounds]| {
        let found = amounts(all.iter(), &eth, Amount::from(1_000_u64));
        found.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(
        numbers(&[bounds(&[("eth", 5), ("demo", 7)]), bounds(&[("eth", 3)])]),
        ["3", "5", "6"]
    );
    assert_eq!(numbers(&[bounds(&[("demo", 7)])]), ["1000"]);
    assert_eq!(numbers(&[bounds(&[]).with_money(Currency::Usd, usd(1))]), ["1000"]);
    let last: Bounds = [(eth.clone(), Amount::MAX)].into_iter().collect();
    assert_eq!(amounts([&last].into_iter(), &eth, Amount::ZERO), [Amount::MAX]);
}

#[test]
fn worths_are_the_same_in_each_currency() {
    let all = [
        bounds(&[("eth", 7)]).with_money(Currency::Usd, Amount::from(5_u64)),
        Bounds::default().with_money(Currency::Eur, Amount::from(3_u64)),
    ];
    let numbers = |currency| {
        worths(all.iter(), currency)
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    assert_eq!(numbers(Currency::Usd), ["5", "6"]);
    assert_eq!(numbers(Currency::Eur), ["3", "4"]);
    assert_eq!(worths([].into_iter(), Currency::Usd), [Amount::from(1_u64)]);
}

#[test]
fn parts_are_as_many_as_it_takes_to_be_over() {
    let parts = |bound: u64, part: u64| parts_over(bound.into(), part.into());
    assert_eq!(parts(10, 11), None, "one is over already");
    assert_eq!(parts(10, 10), Some(2));
    assert_eq!(parts(10, 6), Some(2));
    assert_eq!(parts(10, 5), Some(3));
    assert_eq!(parts(15, 1), Some(16));
    assert_eq!(parts(16, 1), None, "more than are tried");
    assert_eq!(parts(10, 0), None);
    assert_eq!(parts_over(Amount::MAX, Amount::from(1_u64)), None);
}
