//! The policy engine itself, with and without what limits have added up.

use std::{
    collections::{BTreeMap, BTreeSet},
    hint::black_box,
    sync::LazyLock,
};

use anyhow::{Context as _, Result};
use countersign_policy::{
    Actor, AmountMax, AmountOver, Assets, Bounds, Ceiling, Condition, Context, CounterUsage, DestinationFacts,
    DestinationLists, EffectFact, Effects, Facts, FeeMax, Forbid, Initiators, Limit, Meter, Obligations, Outcome,
    Permit, Policy, PolicyParts, Prices, Require, ScopeBy, Seats, Subjects, To, Usage, Wallets, decide, evaluate,
};
use countersign_types::{
    Amount, AssetId, AssetRecord, AssetRegistry, ChainId, Decimals, Destination, Duration, Effect, EffectKind, GroupId,
    PrincipalId, SubjectId, TenantId, Tier, Timestamp, WalletId,
};

use crate::sample::{BLOCKED, FORBIDDEN_OVER, Lists, MAX, MAX_FEE, Sample, TIERS};

/// One id in one place, as a bundle has it: its rules name the assets of its registry.
static ETH: LazyLock<AssetId> = LazyLock::new(|| asset("eip155:1/slip44:60"));
static USDC: LazyLock<AssetId> = LazyLock::new(|| asset("eip155:1/erc20:0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"));

fn asset(id: &str) -> AssetId {
    id.parse().expect("an asset id")
}

/// What facts borrow from.
struct Withdrawal {
    effects: [Effect; 2],
    subject: SubjectId,
    treasury: u32,
    usage: Usage,
}

pub struct Engine {
    policy: Policy,
    initiator: PrincipalId,
    groups: BTreeSet<GroupId>,
    wallet: WalletId,
    tenant: TenantId,
    network: ChainId,
    assets: AssetRegistry,
    lists: DestinationLists,
    treasury: GroupId,
    withdrawals: Vec<Withdrawal>,
}

impl Engine {
    /// Twenty rules that need no history.
    pub fn stateless(lists: &Lists, samples: &[Sample]) -> Result<Self> {
        let transaction = "transaction";
        let limits = vec![
            limit(
                "eth",
                &[EffectKind::Transfer],
                &[&ETH],
                &[],
                (transaction, amounts(&[&ETH], MAX)?),
            )?,
            limit(
                "usdc",
                &[EffectKind::Transfer],
                &[&USDC],
                &[],
                (transaction, amounts(&[&USDC], MAX)?),
            )?,
        ];
        Self::new(limits, lists, samples)
    }

    /// The same permits, requires and forbids, and eight limits over windows, with what a journal answers to them.
    pub fn counting(lists: &Lists, samples: &[Sample]) -> Result<Self> {
        let transfers = [EffectKind::Transfer];
        let much = || amounts(&[&ETH], 1_000_000);
        use ScopeBy::{Destination, Initiator, Subject, Wallet};
        let limits = vec![
            limit("eth-day", &transfers, &[&ETH], &[], ("24h", much()?))?,
            limit("eth-week", &transfers, &[&ETH], &[], ("7d", much()?))?,
            limit("wallet-day", &transfers, &[&ETH], &[Wallet], ("24h", much()?))?,
            limit("customer-day", &transfers, &[&ETH], &[Subject], ("24h", much()?))?,
            limit("destination-day", &transfers, &[&ETH], &[Destination], ("24h", much()?))?,
            limit("bot-rate", &transfers, &[], &[Initiator], ("1m", Ceiling::Count(1_000)))?,
            limit("fees-day", &[EffectKind::Fee], &[&ETH], &[Wallet], ("24h", much()?))?,
            limit(
                "strangers",
                &transfers,
                &[],
                &[],
                ("24h", Ceiling::NewDestinations(1_000)),
            )?,
        ];
        Self::new(limits, lists, samples)
    }

    fn new(limits: Vec<Limit>, lists: &Lists, samples: &[Sample]) -> Result<Self> {
        let record = |id: &AssetId, symbol: &str| -> Result<AssetRecord> {
            Ok(AssetRecord {
                id: id.clone(),
                symbol: symbol.parse()?,
                decimals: Decimals::new(9)?,
                quirks: BTreeSet::new(),
            })
        };
        let set = |names: &[String]| {
            names
                .iter()
                .map(|name| Ok(name.parse()?))
                .collect::<Result<BTreeSet<_>>>()
        };
        let by_id = BTreeMap::from([
            ("customers".parse()?, set(&lists.customers)?),
            ("sanctioned".parse()?, set(&lists.sanctioned)?),
        ]);
        let mut engine = Self {
            policy: policy(limits)?,
            initiator: "payout".parse()?,
            groups: BTreeSet::new(),
            wallet: "hot".parse()?,
            tenant: "main".parse()?,
            network: "eip155:1".parse()?,
            assets: AssetRegistry::new([record(&ETH, "ETH")?, record(&USDC, "USDC")?])?,
            lists: DestinationLists::new(by_id),
            treasury: "treasury".parse()?,
            withdrawals: samples.iter().map(withdrawal).collect::<Result<_>>()?,
        };
        let usages: Vec<Usage> = engine
            .withdrawals
            .iter()
            .map(|withdrawal| engine.usage(withdrawal))
            .collect();
        for (withdrawal, usage) in engine.withdrawals.iter_mut().zip(usages) {
            withdrawal.usage = usage;
        }
        Ok(engine)
    }

    /// What a journal answers: every window holds something.
    fn usage(&self, withdrawal: &Withdrawal) -> Usage {
        let mut counters: BTreeMap<_, CounterUsage> = BTreeMap::new();
        for query in self.policy.usage_queries(&self.facts(withdrawal)) {
            let usage = counters.entry(query.counter).or_default();
            usage.windows.insert(query.window, Amount::from_base_units(7));
        }
        Usage::new(counters)
    }

    fn facts<'a>(&'a self, withdrawal: &'a Withdrawal) -> Facts<'a> {
        let fact = |effect| EffectFact {
            destination: DestinationFacts {
                is_first_seen: Some(false),
                ..DestinationFacts::default()
            },
            ..EffectFact::new(effect, Some(&withdrawal.subject))
        };
        Facts {
            actor: Actor {
                initiator: &self.initiator,
                initiator_groups: &self.groups,
                wallet: &self.wallet,
                tier: Some(Tier::Hot),
            },
            network: &self.network,
            effects: withdrawal.effects.iter().map(fact).collect(),
            assets: &self.assets,
            lists: &self.lists,
            context: Context {
                now: Some(Timestamp::from_unix_millis(1_764_000_000_000)),
                tenant: Some(&self.tenant),
                prices: Prices::none(),
                usage: &withdrawal.usage,
                ..Context::unknown()
            },
        }
    }

    /// Facts included: they are as much a part of a decision as the rules.
    pub fn decide(&self, at: usize) -> bool {
        let withdrawal = &self.withdrawals[at];
        self.is_signed(withdrawal, &decide(&self.policy, &self.facts(withdrawal)))
    }

    /// With the whole trace, as the signer decides.
    pub fn evaluate(&self, at: usize) -> bool {
        let withdrawal = &self.withdrawals[at];
        let evaluation = black_box(evaluate(&self.policy, &self.facts(withdrawal)));
        self.is_signed(withdrawal, &evaluation.outcome)
    }

    /// What the signer asks its journal before it decides, outside the journal's lock: whether there is anything.
    pub fn asks(&self, at: usize) -> bool {
        let queries = self.policy.usage_queries(&self.facts(&self.withdrawals[at]));
        !black_box(queries).is_empty()
    }

    fn is_signed(&self, withdrawal: &Withdrawal, outcome: &Outcome) -> bool {
        match outcome {
            Outcome::Allow(asked) => {
                let seats = asked.seats_of(&self.treasury).map_or(0, |seats| seats.count());
                withdrawal.treasury >= seats
            }
            Outcome::Deny => false,
        }
    }
}

fn withdrawal(sample: &Sample) -> Result<Withdrawal> {
    let amount = |gwei: i64| -> Result<Amount> { Ok(Amount::from_base_units(u64::try_from(gwei)?)) };
    // Read from bytes: an id of its own.
    let asset = asset(&ETH.to_string());
    let destination: Destination = sample.destination.parse()?;
    Ok(Withdrawal {
        effects: [
            Effect::Transfer {
                asset: asset.clone(),
                amount: amount(sample.amount)?,
                destination,
            },
            Effect::Fee {
                asset,
                max: amount(sample.fee)?,
            },
        ],
        subject: sample.subject.parse()?,
        treasury: u32::try_from(sample.treasury)?,
        usage: Usage::default(),
    })
}

fn policy(limits: Vec<Limit>) -> Result<Policy> {
    let transfers = || effects(&[EffectKind::Transfer]);
    let payouts = vec![
        transfers(),
        Condition::Initiators(Initiators(["payout".parse()?].into_iter().collect())),
        Condition::Wallets(Wallets(["hot".parse()?].into_iter().collect())),
        assets(&[&ETH, &USDC]),
        Condition::To(To::List("customers".parse()?)),
        Condition::AmountMax(AmountMax(bounds(&[&ETH, &USDC], MAX)?)),
    ];
    let fees = vec![
        effects(&[EffectKind::Fee]),
        Condition::FeeMax(FeeMax(bounds(&[&ETH], MAX_FEE)?)),
    ];
    let mut requires = Vec::new();
    for (seats, tier) in (1..).zip(TIERS) {
        let seats = Seats::new(seats).context("a seat")?;
        let asked = Obligations::new(BTreeMap::from([("treasury".parse()?, seats)]), Duration::ZERO);
        let over = Condition::AmountOver(AmountOver(bounds(&[&ETH, &USDC], tier)?));
        requires.push(Require::new(
            format!("tier-{tier}").parse()?,
            vec![transfers(), over],
            asked,
        )?);
    }
    let subject = Condition::Subjects(Subjects([BLOCKED.parse()?].into_iter().collect()));
    let over = Condition::AmountOver(AmountOver(bounds(&[&ETH, &USDC], FORBIDDEN_OVER)?));
    let kinds = effects(&[EffectKind::CodeChange, EffectKind::AuthorityChange, EffectKind::Opaque]);
    let forbids = vec![
        Forbid::new(
            "sanctioned".parse()?,
            vec![transfers(), Condition::To(To::List("sanctioned".parse()?))],
        )?,
        Forbid::new("blocked".parse()?, vec![subject])?,
        Forbid::new("too-much".parse()?, vec![transfers(), over])?,
        Forbid::new("kinds".parse()?, vec![kinds])?,
    ];
    Ok(Policy::new(PolicyParts {
        permits: vec![
            Permit::new("payouts".parse()?, payouts)?,
            Permit::new("fees".parse()?, fees)?,
        ],
        requires,
        limits,
        forbids,
    })?)
}

fn limit(
    id: &str,
    kinds: &[EffectKind],
    of: &[&AssetId],
    scope: &[ScopeBy],
    (window, hard): (&str, Ceiling),
) -> Result<Limit> {
    let mut conditions = vec![effects(kinds)];
    if !of.is_empty() {
        conditions.push(assets(of));
    }
    let meter = Meter {
        window: window.parse()?,
        hard,
        soft: None,
    };
    Ok(Limit::new(
        id.parse()?,
        conditions,
        scope.iter().copied().collect(),
        meter,
    )?)
}

fn amounts(of: &[&AssetId], bound: i64) -> Result<Ceiling> {
    Ok(Ceiling::Amounts(bounds(of, bound)?))
}

fn effects(kinds: &[EffectKind]) -> Condition {
    Condition::Effects(Effects(kinds.iter().copied().collect()))
}

fn assets(ids: &[&AssetId]) -> Condition {
    Condition::Assets(Assets(ids.iter().map(|id| (*id).clone()).collect()))
}

fn bounds(of: &[&AssetId], bound: i64) -> Result<Bounds> {
    let bound = Amount::from_base_units(u64::try_from(bound)?);
    Ok(of.iter().map(|id| ((*id).clone(), bound)).collect())
}
