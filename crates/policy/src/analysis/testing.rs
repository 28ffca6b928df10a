//! Bundles of the small world ([`crate::testing`]) for unit tests: one initiator, one wallet, three customers, three assets.

use std::collections::{BTreeMap, BTreeSet};

use countersign_types::{AssetRegistry, Duration, Effect, EffectKind, Tier};

use super::{
    Asker, Budget, Conclusion, Invariant, Item, Promise, Setting, Site, Withdrawal,
    cells::ANY_MOMENT,
    prove,
    regions::{Rule, Visitor, Walk},
};
use crate::{
    AmountMax, AmountOver, Ceiling, Condition, Conditions, Currency, DestinationList, DestinationLists, Effects,
    Evaluation, Forbid, Limit, Meter, Obligations, Permit, Policy, PolicyParts, Prices, Require, RuleKind, ScopeBy, To,
    TotalMax, TotalOver,
    testing::{CHAIN, asset, bounds, destination, obligations, registry, rule, usd},
};

/// Everything that a [`Setting`] borrows.
pub(super) struct Bundle {
    pub(super) policy: Policy,
    pub(super) assets: AssetRegistry,
    pub(super) lists: DestinationLists,
    /// Wallets of the network, hot ones; each receives at the address of its name.
    pub(super) wallets: Vec<&'static str>,
    pub(super) initiators: Vec<&'static str>,
}

impl Bundle {
    pub(super) fn new(parts: PolicyParts) -> Self {
        Self {
            policy: Policy::new(parts).unwrap(),
            assets: registry(),
            lists: lists(&[("customers", &["a", "b", "c"])]),
            wallets: vec!["hot"],
            initiators: vec!["bot"],
        }
    }

    pub(super) fn setting(&self) -> Setting<'_> {
        let asker = Asker {
            groups: BTreeSet::from(["ops".parse().unwrap()]),
            tenants: BTreeSet::from(["demo".parse().unwrap()]),
        };
        let network: countersign_types::ChainId = CHAIN.parse().unwrap();
        let site = |name: &&str| {
            let site = Site {
                tier: Tier::Hot,
                receives: destination(name),
            };
            ((name.parse().unwrap(), network.clone()), site)
        };
        Setting {
            policy: &self.policy,
            assets: &self.assets,
            lists: &self.lists,
            initiators: self
                .initiators
                .iter()
                .map(|id| (id.parse().unwrap(), asker.clone()))
                .collect(),
            wallets: self.wallets.iter().map(site).collect(),
            fee_assets: BTreeMap::from([(network.clone(), asset("eth"))]),
        }
    }

    pub(super) fn prove(&self, when: Vec<Condition>, then: Promise) -> Conclusion {
        let invariant = Invariant::new(rule("inv"), when, then).unwrap();
        prove(&invariant, &self.setting(), Budget::DEFAULT)
    }

    /// Everything that the walk visits, whatever a permit covers.
    pub(super) fn walk(&self, beside: &[Condition]) -> Visits {
        let conditions = Conditions::new(&rule("inv"), RuleKind::Require, beside.to_vec()).unwrap();
        let setting = self.setting();
        let (settings, beside) = ([&setting], [&conditions]);
        let mut walk = Walk::new(&settings, &beside, Budget::DEFAULT);
        let mut visits = Visits::default();
        walk.run(&mut visits);
        visits.ran_out = walk.ran_out;
        visits
    }
}

/// What a walk came upon.
#[derive(Default)]
pub(super) struct Visits {
    pub(super) whole: Vec<Withdrawal>,
    /// Regions, before amounts.
    pub(super) entered: usize,
    pub(super) ran_out: bool,
}

impl Visitor for Visits {
    fn is_worth(&self, _: &[Rule<'_>], _: &[bool]) -> bool {
        true
    }

    fn enter(&mut self, _: &[Rule<'_>], _: &[bool], _: &Withdrawal) -> bool {
        self.entered += 1;
        true
    }

    fn visit(&mut self, withdrawal: &Withdrawal) {
        self.whole.push(withdrawal.clone());
    }
}

impl Visits {
    /// The visits whose first effect is of a kind, in few words, in order of the walk.
    pub(super) fn of(&self, kind: EffectKind) -> Vec<String> {
        let of_kind = self.whole.iter().filter(|one| one.items[0].effect.kind() == kind);
        of_kind.map(short).collect()
    }
}

/// What a withdrawal does, in few words.
pub(super) fn short(withdrawal: &Withdrawal) -> String {
    let text = withdrawal.to_string();
    let lines = text.lines().skip(1).map(str::trim);
    let lines = lines.filter(|line| !line.starts_with("the fee is for "));
    let text = lines.collect::<Vec<_>>().join("; ");
    let text = text.replace(&format!(" base units of {CHAIN}/slip44:60"), " ETH");
    let text = text.replace(&format!(" base units of {CHAIN}/erc20:0x"), " ");
    let text = text.replace(&format!("one {CHAIN}/slip44:60"), "one ETH");
    text.replace(&format!("one {CHAIN}/erc20:0x"), "one ")
        .replace(&format!("{CHAIN}:"), "")
}

pub(super) fn withdrawal(effects: &[Effect]) -> Withdrawal {
    Withdrawal {
        initiator: "bot".parse().unwrap(),
        tenant: "demo".parse().unwrap(),
        wallet: "hot".parse().unwrap(),
        network: CHAIN.parse().unwrap(),
        now: ANY_MOMENT,
        attributes: BTreeMap::new(),
        fee_units: None,
        items: effects.iter().cloned().map(Item::new).collect(),
        prices: Prices::default(),
        held: None,
    }
}

pub(super) fn lists(lists: &[(&str, &[&str])]) -> DestinationLists {
    let list = |(id, names): &(&str, &[&str])| {
        let list: DestinationList = names.iter().map(|name| destination(name)).collect();
        (id.parse().unwrap(), list)
    };
    DestinationLists::new(lists.iter().map(list).collect())
}

/// The withdrawal that breaks an invariant.
pub(super) fn witness(conclusion: &Conclusion) -> &(Withdrawal, Evaluation) {
    match conclusion {
        Conclusion::Violated(found) => found,
        other => panic!("{other:?}"),
    }
}

pub(super) fn effects(kinds: &[EffectKind]) -> Condition {
    Condition::Effects(Effects(kinds.iter().copied().collect()))
}

pub(super) fn transfers() -> Condition {
    effects(&[EffectKind::Transfer])
}

pub(super) fn to_list(id: &str) -> Condition {
    Condition::To(To::List(id.parse().unwrap()))
}

pub(super) fn unlisted() -> Condition {
    Condition::To(To::Unlisted)
}

pub(super) fn assets(names: &[&str]) -> Condition {
    Condition::Assets(crate::Assets(names.iter().map(|name| asset(name)).collect()))
}

pub(super) fn amount_over(bound: u64) -> Condition {
    Condition::AmountOver(AmountOver(bounds(&[("eth", bound)])))
}

pub(super) fn total_over(bound: u64) -> Condition {
    Condition::TotalOver(TotalOver(bounds(&[("eth", bound)])))
}

pub(super) fn total_max(bound: u64) -> Condition {
    Condition::TotalMax(TotalMax(bounds(&[("eth", bound)])))
}

pub(super) fn worth_over(dollars: u64) -> Condition {
    Condition::TotalOver(TotalOver(bounds(&[]).with_money(Currency::Usd, usd(dollars))))
}

pub(super) fn worth_at_most(dollars: u64) -> Condition {
    Condition::AmountMax(AmountMax(bounds(&[]).with_money(Currency::Usd, usd(dollars))))
}

/// A permit of transfers of ETH.
pub(super) fn permit(id: &str, more: Vec<Condition>) -> Permit {
    Permit::new(rule(id), [vec![transfers(), assets(&["eth"])], more].concat()).unwrap()
}

pub(super) fn require(id: &str, when: Vec<Condition>, asked: Obligations) -> Require {
    Require::new(rule(id), when, asked).unwrap()
}

pub(super) fn forbid(id: &str, when: Vec<Condition>) -> Forbid {
    Forbid::new(rule(id), when).unwrap()
}

/// A limit on ETH, for one transaction or over a window.
pub(super) fn limit(id: &str, window: &str, hard: u64, soft: Option<(u64, Obligations)>, scope: &[ScopeBy]) -> Limit {
    let amounts = |bound| Ceiling::Amounts(bounds(&[("eth", bound)]));
    let meter = Meter {
        window: window.parse().unwrap(),
        hard: amounts(hard),
        soft: soft.map(|(bound, asked)| (amounts(bound), asked)),
    };
    Limit::new(rule(id), vec![transfers()], scope.iter().copied().collect(), meter).unwrap()
}

/// So many of the treasury.
pub(super) fn treasury(seats: u32) -> Obligations {
    obligations(&[("treasury", seats)], 0)
}

pub(super) fn lock(secs: u32) -> Obligations {
    Obligations::new(BTreeMap::new(), Duration::from_secs(secs))
}

/// The least number of steps that is enough; whatever is more must be enough too.
pub(super) fn least(is_enough: impl Fn(u64) -> bool) -> u64 {
    let (mut too_few, mut enough) = (0, 1 << 20);
    assert!(is_enough(enough) && !is_enough(too_few));
    while enough - too_few > 1 {
        let between = too_few.midpoint(enough);
        if is_enough(between) {
            enough = between;
        } else {
            too_few = between;
        }
    }
    enough
}
