//! A small world for unit tests: one hot wallet, two listed customers, two assets, one initiator.

use std::collections::{BTreeMap, BTreeSet};

use countersign_types::{
    Amount, AssetId, AssetRecord, AssetRegistry, AttributeName, AttributeValue, ChainId, Decimals, Destination,
    Duration, Effect, GroupId, OpaqueKind, PrincipalId, RuleId, SubjectId, TenantId, Tier, Timestamp, WalletId,
};

use crate::{
    Actor, Bounds, Context, Currency, DestinationList, DestinationLists, EffectFact, Facts, MONEY_DECIMALS,
    Obligations, OneOf, PRICE_DECIMALS, Price, Prices, Seats, Truth, Usage, condition::View, rule::Seen,
};

pub(crate) const CHAIN: &str = "eip155:31337";

pub(crate) struct World {
    pub(crate) initiator: PrincipalId,
    pub(crate) initiator_groups: BTreeSet<GroupId>,
    pub(crate) wallet: WalletId,
    pub(crate) tier: Option<Tier>,
    pub(crate) network: ChainId,
    pub(crate) effects: Vec<(Effect, Option<SubjectId>)>,
    pub(crate) assets: AssetRegistry,
    pub(crate) lists: DestinationLists,
    pub(crate) now: Option<Timestamp>,
    pub(crate) tenant: Option<TenantId>,
    pub(crate) attributes: Option<BTreeMap<AttributeName, AttributeValue>>,
    pub(crate) fee_units: Option<u64>,
    pub(crate) prices: Prices,
}

impl Default for World {
    fn default() -> Self {
        let customers: DestinationList = ["a", "b", "c"].map(destination).into_iter().collect();
        Self {
            initiator: "bot".parse().unwrap(),
            initiator_groups: BTreeSet::new(),
            wallet: "hot".parse().unwrap(),
            tier: Some(Tier::Hot),
            network: CHAIN.parse().unwrap(),
            effects: vec![],
            assets: registry(),
            lists: DestinationLists::new(BTreeMap::from([("customers".parse().unwrap(), customers)])),
            now: Some(Timestamp::from_unix_millis(1_770_000_000_000)),
            tenant: Some("demo".parse().unwrap()),
            attributes: None,
            fee_units: None,
            prices: prices(),
        }
    }
}

impl World {
    pub(crate) fn with(effects: &[Effect]) -> Self {
        let effects = effects.iter().map(|effect| (effect.clone(), None)).collect();
        Self {
            effects,
            ..Self::default()
        }
    }

    pub(crate) fn with_subjects(effects: &[(Effect, &str)]) -> Self {
        let effects = effects
            .iter()
            .map(|(effect, subject)| (effect.clone(), Some(subject.parse().unwrap())));
        Self {
            effects: effects.collect(),
            ..Self::default()
        }
    }

    pub(crate) fn facts(&self) -> Facts<'_> {
        Facts {
            actor: Actor {
                initiator: &self.initiator,
                initiator_groups: &self.initiator_groups,
                wallet: &self.wallet,
                tier: self.tier,
            },
            network: &self.network,
            effects: self
                .effects
                .iter()
                .map(|(effect, subject)| EffectFact::new(effect, subject.as_ref()))
                .collect(),
            assets: &self.assets,
            lists: &self.lists,
            context: Context {
                now: self.now,
                tenant: self.tenant.as_ref(),
                attributes: self.attributes.as_ref(),
                fee_units: self.fee_units,
                prices: &self.prices,
                usage: Usage::unknown(),
            },
        }
    }

    /// What a condition says of each effect.
    pub(crate) fn each(&self, matches: impl Fn(&View<'_>) -> Truth) -> Vec<Truth> {
        let facts = self.facts();
        Seen::all(&facts).iter().map(|effect| matches(&effect.view)).collect()
    }
}

pub(crate) fn rule(id: &str) -> RuleId {
    id.parse().unwrap()
}

/// One ETH is worth 3 USD, one GOLD 5 USD; DEMO has no price.
fn prices() -> Prices {
    let price = |name, dollars| {
        let price = Amount::parse_decimal(dollars, Decimals::new(PRICE_DECIMALS).unwrap()).unwrap();
        ((asset(name), Currency::Usd), Price::from_atto(price))
    };
    Prices::new(BTreeMap::from([price("eth", "3"), price("gold", "5")]))
}

/// Whole dollars.
pub(crate) fn usd(dollars: u64) -> Amount {
    Amount::parse_decimal(&dollars.to_string(), Decimals::new(MONEY_DECIMALS).unwrap()).unwrap()
}

/// `eth`, `gold` and `demo` are in the registry, `stray` is not.
pub(crate) fn asset(name: &str) -> AssetId {
    match name {
        "eth" => format!("{CHAIN}/slip44:60").parse().unwrap(),
        name => format!("{CHAIN}/erc20:0x{name}").parse().unwrap(),
    }
}

pub(crate) fn registry() -> AssetRegistry {
    let record = |name: &str, symbol: &str| AssetRecord {
        id: asset(name),
        symbol: symbol.parse().unwrap(),
        decimals: Decimals::new(0).unwrap(),
        quirks: BTreeSet::new(),
    };
    AssetRegistry::new([record("eth", "ETH"), record("demo", "DEMO"), record("gold", "GOLD")]).unwrap()
}

pub(crate) fn destination(name: &str) -> Destination {
    Destination::new(&CHAIN.parse().unwrap(), name).unwrap()
}

pub(crate) fn bounds(bounds: &[(&str, u64)]) -> Bounds {
    bounds
        .iter()
        .map(|(name, bound)| (asset(name), Amount::from_base_units(*bound)))
        .collect()
}

pub(crate) fn one_of<T: Ord + std::str::FromStr<Err: std::fmt::Debug>>(values: &[&str]) -> OneOf<T> {
    values.iter().map(|value| value.parse().unwrap()).collect()
}

pub(crate) fn obligations(approvals: &[(&str, u32)], secs: u32) -> Obligations {
    let seats = |(group, seats): &(&str, u32)| (group.parse().unwrap(), Seats::new(*seats).unwrap());
    Obligations::new(approvals.iter().map(seats).collect(), Duration::from_secs(secs))
}

pub(crate) fn transfer(name: &str, amount: u64, to: &str) -> Effect {
    Effect::Transfer {
        asset: asset(name),
        amount: amount.into(),
        destination: destination(to),
    }
}

pub(crate) fn internal(name: &str, amount: u64, to: &str) -> Effect {
    Effect::Internal {
        asset: asset(name),
        amount: amount.into(),
        wallet: to.parse().unwrap(),
        destination: destination(to),
        change: false,
    }
}

pub(crate) fn fee(max: u64) -> Effect {
    Effect::Fee {
        asset: asset("eth"),
        max: max.into(),
    }
}

pub(crate) fn opaque() -> Effect {
    Effect::Opaque {
        what: OpaqueKind::Calldata,
        target: None,
        bytes: vec![1],
    }
}
