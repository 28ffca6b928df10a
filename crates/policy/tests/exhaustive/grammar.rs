//! Policies: one choice for each of some slots, every kind of rule among them.

use std::collections::{BTreeMap, BTreeSet};

use countersign_policy::*;
use countersign_types::*;

use crate::domain::{HOUR, asset, at, units};

/// A set of rules and the lists that they name.
#[derive(Clone)]
pub(crate) struct Rules {
    /// The choice made in each slot.
    pub(crate) choice: Vec<usize>,
    pub(crate) policy: Policy,
    pub(crate) lists: DestinationLists,
}

type Change = Box<dyn Fn(&mut PolicyParts, &mut Lists)>;
type Lists = BTreeMap<ListId, BTreeSet<Destination>>;

/// The options of each slot. The first one does nothing.
pub(crate) struct Grammar {
    slots: Vec<Vec<Change>>,
}

fn bounds(eth: u64, demo: u64) -> Bounds {
    [("eth", eth), ("demo", demo)]
        .into_iter()
        .map(|(name, bound)| (asset(name), units(bound)))
        .collect()
}

fn eth(bound: u64) -> Bounds {
    std::iter::once((asset("eth"), units(bound))).collect()
}

fn usd(dollars: u64) -> Amount {
    Amount::parse_decimal(&dollars.to_string(), Decimals::new(MONEY_DECIMALS).unwrap()).unwrap()
}

pub(crate) fn asking(group: &str, seats: u32, secs: u32) -> Obligations {
    let seats = Seats::new(seats).map(|seats| (group.parse().unwrap(), seats));
    Obligations::new(seats.into_iter().collect(), Duration::from_secs(secs))
}

pub(crate) fn one_of<T: Ord + std::str::FromStr<Err: std::fmt::Debug>>(values: &[&str]) -> OneOf<T> {
    values.iter().map(|value| value.parse().unwrap()).collect()
}

pub(crate) fn kinds(kinds: &[EffectKind]) -> Condition {
    Condition::Effects(Effects(kinds.iter().copied().collect()))
}

pub(crate) fn listed(list: &str) -> Condition {
    Condition::To(To::List(list.parse().unwrap()))
}

fn permit(id: &'static str, effects: &'static [EffectKind], more: Vec<Condition>) -> Change {
    Box::new(move |parts, _| {
        let conditions = [vec![kinds(effects)], more.clone()].concat();
        parts
            .permits
            .push(Permit::new(id.parse().unwrap(), conditions).unwrap());
    })
}

fn require(id: &'static str, when: Vec<Condition>, asked: Obligations) -> Change {
    Box::new(move |parts, _| {
        parts
            .requires
            .push(Require::new(id.parse().unwrap(), when.clone(), asked.clone()).unwrap());
    })
}

fn forbid(when: Vec<Condition>) -> Change {
    Box::new(move |parts, _| {
        parts
            .forbids
            .push(Forbid::new("forbid".parse().unwrap(), when.clone()).unwrap())
    })
}

fn limit(
    window: &'static str,
    scope: &'static [ScopeBy],
    when: Vec<Condition>,
    hard: Ceiling,
    soft: Option<(Ceiling, Obligations)>,
) -> Change {
    Box::new(move |parts, _| {
        let meter = Meter {
            window: window.parse().unwrap(),
            hard: hard.clone(),
            soft: soft.clone(),
        };
        let scope = scope.iter().copied().collect();
        parts
            .limits
            .push(Limit::new("limit".parse().unwrap(), when.clone(), scope, meter).unwrap());
    })
}

fn lists(customers: &'static [&str], partners: &'static [&str]) -> Change {
    Box::new(move |_, lists| {
        let list = |names: &[&str]| names.iter().map(|name| at(name)).collect();
        lists.insert("customers".parse().unwrap(), list(customers));
        lists.insert("partners".parse().unwrap(), list(partners));
    })
}

fn nothing() -> Change {
    Box::new(|_, _| ())
}

impl Grammar {
    #[rustfmt::skip]
    pub(crate) fn new() -> Self {
        use EffectKind::{Allowance, Fee, Internal, Opaque, Transfer};
        let over = |bound| Condition::AmountOver(AmountOver(eth(bound)));
        let total = |bound| Condition::TotalOver(TotalOver(eth(bound)));
        let max = |bound| Condition::AmountMax(AmountMax(bounds(bound, 3)));
        let most = |bound| Condition::TotalMax(TotalMax(bounds(bound, 2)));
        let to = Condition::To;
        let book = || to(To::AddressBook("book".parse().unwrap()));
        let by = |name| Condition::Initiators(Initiators(one_of(&[name])));
        let cash = |bound| Ceiling::Money(Currency::Usd, usd(bound));
        let amounts = |bound| Ceiling::Amounts(eth(bound));
        let transfers = || kinds(&[Transfer]);
        let screened = || Obligations::default().with_attestation(AttestationKind::Sanctions, "book".parse().unwrap(), HOUR);
        let usd_over = |bound| Condition::TotalOver(TotalOver(Bounds::default().with_money(Currency::Usd, usd(bound))));
        let slots = vec![
            vec![
                nothing(),
                permit("customers", &[Transfer], vec![listed("customers")]),
                permit("customers", &[Transfer], vec![listed("customers"), max(2)]),
                permit("customers", &[Transfer], vec![listed("customers"), most(2)]),
                permit("customers", &[Transfer], vec![listed("partners")]),
                permit("customers", &[Transfer], vec![book()]),
            ],
            vec![
                nothing(),
                permit("open", &[Transfer, Fee], vec![]),
                permit("open", &[Transfer, Fee], vec![max(1)]),
                permit("open", &[Transfer, Fee, Internal, Allowance, Opaque], vec![by("alice")]),
                permit("open", &[Transfer], vec![to(To::Unlisted)]),
                permit("open", &[Transfer], vec![to(To::EntryOver(HOUR))]),
                permit("open", &[Transfer], vec![to(To::FirstSeen), most(1)]),
            ],
            vec![
                nothing(),
                permit("fees", &[Fee], vec![Condition::FeeMax(FeeMax(eth(1)))]),
                permit("fees", &[Fee], vec![Condition::FeeShare(FeeShare::from_basis_points(5_000).unwrap())]),
                permit("fees", &[Internal, Fee], vec![Condition::Wallets(Wallets(one_of(&["hot"])))]),
                permit("fees", &[Internal], vec![to(To::Own(one_of(&["warm"])))]),
            ],
            vec![
                nothing(),
                require("tier", vec![total(2)], asking("treasury", 2, 0)),
                require("tier", vec![total(2)], asking("treasury", 1, 60)),
                require("tier", vec![total(1)], asking("treasury", 2, 0)),
                require("tier", vec![over(1)], asking("treasury", 2, 0)),
                require("tier", vec![transfers(), usd_over(2)], asking("treasury", 2, 0)),
                require("tier", vec![by("bot")], asking("treasury", 1, 60)),
                require("tier", vec![], asking("risk", 0, 60)),
            ],
            vec![
                nothing(),
                require("second", vec![listed("customers")], screened()),
                require("second", vec![to(To::FirstSeen)], asking("risk", 1, 0)),
                require("second", vec![to(To::EntryUnder(HOUR))], asking("treasury", 1, 0)),
                require("second", vec![transfers(), listed("partners"), total(1)], asking("risk", 1, 0)),
                require("second", vec![Condition::Subjects(Subjects(one_of(&["x"])))], asking("treasury", 1, 0)),
            ],
            vec![
                nothing(),
                limit("transaction", &[], vec![transfers()], amounts(2), None),
                limit("transaction", &[], vec![transfers()], amounts(3), None),
                limit("transaction", &[], vec![transfers()], amounts(3), Some((amounts(1), asking("risk", 1, 0)))),
                limit("transaction", &[ScopeBy::Destination], vec![transfers()], amounts(2), None),
                limit("transaction", &[ScopeBy::Subject], vec![], amounts(2), None),
                limit("transaction", &[], vec![], Ceiling::Amounts(bounds(3, 2)), None),
                limit("transaction", &[], vec![], Ceiling::NewDestinations(1), None),
                limit("24h", &[], vec![transfers()], amounts(2), None),
                limit("24h", &[], vec![transfers()], amounts(3), Some((amounts(2), asking("treasury", 1, 0)))),
                limit("48h", &[], vec![transfers()], amounts(2), None),
                limit("24h", &[ScopeBy::Wallet], vec![], Ceiling::Count(2), None),
                limit("24h", &[], vec![transfers()], cash(3), None),
                limit("24h", &[], vec![to(To::Unlisted)], amounts(2), None),
            ],
            vec![
                nothing(),
                forbid(vec![to(To::Unlisted)]),
                forbid(vec![listed("partners")]),
                forbid(vec![Condition::Tiers(Tiers([Tier::Warm].into_iter().collect()))]),
                forbid(vec![over(2)]),
                forbid(vec![total(3)]),
                forbid(vec![transfers(), listed("customers"), total(2)]),
                forbid(vec![to(To::EntryUnder(HOUR))]),
                forbid(vec![to(To::FirstSeen)]),
                forbid(vec![kinds(&[Opaque, Allowance])]),
                forbid(vec![Condition::Assets(Assets([asset("demo")].into_iter().collect()))]),
            ],
            vec![
                lists(&["a", "b"], &["b"]),
                lists(&["a", "b"], &[]),
                lists(&["a"], &["b"]),
                lists(&["a"], &[]),
                lists(&["a", "b"], &["a", "b"]),
            ],
        ];
        Self { slots }
    }

    /// How many policies there are.
    pub(crate) fn size(&self) -> usize {
        self.slots.iter().map(Vec::len).product()
    }

    /// The choice of a number.
    pub(crate) fn choice(&self, mut n: usize) -> Vec<usize> {
        let each = self.slots.iter().map(|options| {
            let option = n % options.len();
            n /= options.len();
            option
        });
        each.collect()
    }

    pub(crate) fn rules(&self, choice: &[usize]) -> Rules {
        let (mut parts, mut lists) = (PolicyParts::default(), Lists::new());
        for (options, option) in self.slots.iter().zip(choice) {
            options[*option](&mut parts, &mut lists);
        }
        Rules {
            choice: choice.to_vec(),
            policy: Policy::new(parts).unwrap(),
            lists: DestinationLists::new(lists),
        }
    }

    /// The choices that differ in one slot.
    pub(crate) fn neighbours(&self, choice: &[usize]) -> Vec<Vec<usize>> {
        let mut found = Vec::new();
        for (slot, options) in self.slots.iter().enumerate() {
            for option in (0..options.len()).filter(|option| *option != choice[slot]) {
                let mut other = choice.to_vec();
                other[slot] = option;
                found.push(other);
            }
        }
        found
    }

    /// Another number below the size each time, the same ones in every run: a step that shares no factor with the size.
    pub(crate) fn sample(&self) -> impl Iterator<Item = Vec<usize>> + '_ {
        let size = self.size();
        (1_usize..).map(move |n| self.choice(n.wrapping_mul(1_000_003) % size))
    }
}
