//! Random policies and facts over a universe small enough that rules and effects meet.

mod change;
pub(crate) mod naive;

use std::collections::{BTreeMap, BTreeSet};

use countersign_policy::*;
use countersign_types::*;
use proptest::{collection::vec, option, prelude::*, sample::select, sample::subsequence};

/// What facts borrow from.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) initiator: PrincipalId,
    pub(crate) initiator_groups: BTreeSet<GroupId>,
    pub(crate) wallet: WalletId,
    pub(crate) tier: Option<Tier>,
    pub(crate) network: ChainId,
    pub(crate) effects: Vec<(Effect, Option<SubjectId>)>,
    pub(crate) assets: AssetRegistry,
    pub(crate) lists: DestinationLists,
    pub(crate) known: BTreeMap<Destination, Known>,
    pub(crate) now: Option<Timestamp>,
    pub(crate) tenant: Option<TenantId>,
    pub(crate) attributes: Option<BTreeMap<AttributeName, AttributeValue>>,
    pub(crate) fee_units: Option<u64>,
    pub(crate) prices: Prices,
    /// What every counter stands at over an hour and for this lineage; over a day it is twice as much.
    pub(crate) held: Option<(u64, u64)>,
}

/// What is known of a destination.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    pub(crate) is_first_seen: Option<bool>,
    pub(crate) entry_age: Option<Duration>,
    pub(crate) books: Option<BTreeMap<PrincipalId, bool>>,
}

impl World {
    /// What a journal would answer to a policy's questions about this transaction.
    pub(crate) fn usage(&self, policy: &Policy) -> Usage {
        let mut counters: BTreeMap<CounterId, CounterUsage> = BTreeMap::new();
        let Some((hour, lineage)) = self.held else {
            return Usage::default();
        };
        for query in policy.usage_queries(&self.facts()) {
            let sum = if query.window.to_string() == "1h" {
                hour
            } else {
                2 * hour
            };
            let usage = counters.entry(query.counter).or_default();
            usage.windows.insert(query.window, sum.into());
            usage.lineage = lineage.into();
        }
        Usage::new(counters)
    }

    fn fact<'a>(&'a self, effect: &'a Effect, subject: Option<&'a SubjectId>) -> EffectFact<'a> {
        let known = effect.destination().and_then(|destination| self.known.get(destination));
        let destination = known.map(|known| DestinationFacts {
            is_first_seen: known.is_first_seen,
            entry_age: known.entry_age,
            address_books: known.books.as_ref(),
        });
        EffectFact {
            destination: destination.unwrap_or_default(),
            ..EffectFact::new(effect, subject)
        }
    }

    /// Everything but what a journal knows.
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
                .map(|(effect, subject)| self.fact(effect, subject.as_ref()))
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
}

const INITIATORS: [&str; 2] = ["bot", "alice"];
const GROUPS: [&str; 2] = ["ops", "risk"];
const WALLETS: [&str; 3] = ["hot", "warm", "cold"];
const NETWORKS: [&str; 2] = ["eip155:1", "eip155:2"];
const ASSETS: [&str; 4] = [
    "eip155:1/slip44:60",
    "eip155:1/erc20:0xa",
    "eip155:2/slip44:60",
    "eip155:1/erc20:0xstray",
];
const DESTINATIONS: [&str; 4] = ["eip155:1:a", "eip155:1:b", "eip155:1:c", "eip155:1:d"];
const LISTS: [&str; 3] = ["customers", "sanctions", "missing"];
const SUBJECTS: [&str; 2] = ["x", "y"];
const NAMES: [&str; 2] = ["purpose", "desk"];
const VALUES: [&str; 2] = ["payout", "refund"];
const BOOKS: [&str; 2] = ["book", "other-book"];
const WINDOWS: [&str; 3] = ["transaction", "1h", "24h"];
const TIERS: [Tier; 3] = [Tier::Hot, Tier::Warm, Tier::Cold];

fn ids<T: std::str::FromStr<Err: std::fmt::Debug>>(texts: &[&str]) -> Vec<T> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn id<T: std::str::FromStr<Err: std::fmt::Debug> + Clone + std::fmt::Debug + 'static>(
    texts: &[&str],
) -> impl Strategy<Value = T> {
    select(ids::<T>(texts))
}

fn some_of<T: std::str::FromStr<Err: std::fmt::Debug> + Ord + Clone + std::fmt::Debug + 'static>(
    texts: &[&str],
) -> impl Strategy<Value = OneOf<T>> {
    let count = texts.len();
    subsequence(ids::<T>(texts), 1..=count).prop_map(|values| values.into_iter().collect())
}

/// Mostly small, so that bounds are met exactly and crossed by one; sometimes so large that sums overflow.
fn amount() -> impl Strategy<Value = Amount> {
    prop_oneof![20 => (0_u64..=12).prop_map(Amount::from_base_units), 1 => Just(Amount::MAX)]
}

fn bounds() -> impl Strategy<Value = Bounds> {
    let bound = (id(&ASSETS), (1_u64..=12).prop_map(Amount::from_base_units));
    let money = option::weighted(0.3, money());
    (vec(bound, 0..=3), money).prop_map(|(bounds, money)| {
        let bounds: Bounds = bounds.into_iter().collect();
        match money {
            Some(money) => bounds.with_money(Currency::Usd, money),
            None if bounds.is_empty() => bounds.with_money(Currency::Usd, 2_000_000_000_u64.into()),
            None => bounds,
        }
    })
}

/// Dollars in 10⁻⁸: prices are whole dollars, so sums of a few units meet bounds exactly.
fn money() -> impl Strategy<Value = Amount> {
    (1_u64..=40).prop_map(|dollars| Amount::from_base_units(dollars * 100_000_000))
}

fn hours() -> impl Strategy<Value = Hours> {
    let days = subsequence(Day::ALL.to_vec(), 1..=7);
    (days, select(vec![(0, 43_200), (43_200, 86_400), (0, 86_400)])).prop_map(|(days, (from, to))| {
        Hours::new("UTC".parse().unwrap(), days.into_iter().collect(), from, to).unwrap()
    })
}

fn words() -> impl Strategy<Value = Words> {
    let one_of = subsequence(vec![0_u64, 1, 2], 1..=2)
        .prop_map(|values| WordTest::OneOf(values.into_iter().map(Amount::from_base_units).collect()));
    let bound = || (0_u64..=1).prop_map(Amount::from_base_units);
    let test = prop_oneof![2 => one_of, 1 => bound().prop_map(WordTest::Max), 1 => bound().prop_map(WordTest::Over)];
    let word = (0_u8..=2, test).prop_map(|(at, test)| Word { at, test });
    vec(word, 1..=2).prop_map(Words)
}

fn attributes() -> impl Strategy<Value = Attributes> {
    let values = some_of::<AttributeValue>(&VALUES);
    vec((id::<AttributeName>(&NAMES), values), 1..=2).prop_map(|all| Attributes(all.into_iter().collect()))
}

fn selector() -> impl Strategy<Value = Selector> {
    (0_u8..=1).prop_map(|byte| Selector([byte; 4]))
}

fn to() -> impl Strategy<Value = To> {
    prop_oneof![
        id(&LISTS).prop_map(To::List),
        some_of(&WALLETS).prop_map(To::Own),
        Just(To::Unlisted),
        id(&BOOKS).prop_map(To::AddressBook),
        Just(To::FirstSeen),
        (1_u32..=4).prop_map(|secs| To::EntryUnder(Duration::from_secs(secs))),
        (1_u32..=4).prop_map(|secs| To::EntryOver(Duration::from_secs(secs))),
    ]
}

fn effect_kinds() -> impl Strategy<Value = Effects> {
    subsequence(EffectKind::ALL.to_vec(), 1..=10).prop_map(|kinds| Effects(kinds.into_iter().collect()))
}

fn tiers() -> impl Strategy<Value = Tiers> {
    subsequence(TIERS.to_vec(), 1..=3).prop_map(|tiers| Tiers(tiers.into_iter().collect()))
}

fn condition() -> impl Strategy<Value = Condition> {
    prop_oneof![
        3 => effect_kinds().prop_map(Condition::Effects),
        1 => some_of(&INITIATORS).prop_map(|s| Condition::Initiators(Initiators(s))),
        1 => some_of(&GROUPS).prop_map(|s| Condition::InitiatorGroups(InitiatorGroups(s))),
        1 => some_of(&WALLETS).prop_map(|s| Condition::Wallets(Wallets(s))),
        1 => tiers().prop_map(Condition::Tiers),
        1 => some_of(&NETWORKS).prop_map(|s| Condition::Networks(Networks(s))),
        1 => some_of(&ASSETS).prop_map(|s| Condition::Assets(Assets(s))),
        1 => to().prop_map(Condition::To),
        1 => some_of(&SUBJECTS).prop_map(|s| Condition::Subjects(Subjects(s))),
        1 => vec(selector(), 1..=2).prop_map(|s| Condition::Selectors(Selectors(s.into_iter().collect()))),
        1 => words().prop_map(Condition::Words),
        1 => hours().prop_map(Condition::Hours),
        1 => attributes().prop_map(Condition::Attributes),
        1 => bounds().prop_map(|b| Condition::FeeRate(FeeRate(b))),
        1 => (1_u16..=10_000).prop_map(|s| Condition::FeeShare(FeeShare::from_basis_points(s).unwrap())),
        2 => bounds().prop_map(|b| Condition::AmountMax(AmountMax(b))),
        2 => bounds().prop_map(|b| Condition::AmountOver(AmountOver(b))),
        1 => bounds().prop_map(|b| Condition::FeeMax(FeeMax(b))),
        2 => bounds().prop_map(|b| Condition::TotalMax(TotalMax(b))),
        2 => bounds().prop_map(|b| Condition::TotalOver(TotalOver(b))),
    ]
}

/// Conditions that a rule of the kind may carry, each at most once.
fn conditions(kind: RuleKind, most: usize) -> impl Strategy<Value = Vec<Condition>> {
    vec(condition(), 0..=most).prop_map(move |conditions| {
        let mut kinds = BTreeSet::new();
        let fits = |condition: &Condition| match condition {
            Condition::Words(Words(words)) => words.iter().all(|word| word.test.is_allowed_in(kind)),
            condition => condition.kind().is_allowed_in(kind),
        };
        conditions
            .into_iter()
            .filter(fits)
            .filter(|c| kinds.insert(c.kind()))
            .collect()
    })
}

pub(crate) fn permit(name: String) -> impl Strategy<Value = Permit> {
    (effect_kinds(), conditions(RuleKind::Permit, 2)).prop_map(move |(effects, mut conditions)| {
        conditions.retain(|condition| condition.kind() != ConditionKind::Effects);
        conditions.push(Condition::Effects(effects));
        Permit::new(name.parse().unwrap(), conditions).unwrap()
    })
}

/// Covers everything, so that the other kinds decide often enough.
pub(crate) fn broad_permit(name: String) -> impl Strategy<Value = Permit> {
    let all = Condition::Effects(Effects(EffectKind::ALL.into_iter().collect()));
    Just(Permit::new(name.parse().unwrap(), vec![all]).unwrap())
}

fn obligations() -> impl Strategy<Value = Obligations> {
    let seats = (1_u32..=3).prop_map(|seats| Seats::new(seats).unwrap());
    let approvals = vec((id(&GROUPS), seats), 1..=2).prop_map(|seats| seats.into_iter().collect::<BTreeMap<_, _>>());
    // Attestations of two kinds by two services, so that joins of them are met too.
    let asked = vec(
        (
            select(AttestationKind::ALL.to_vec()),
            id::<PrincipalId>(&BOOKS),
            1_u32..=3,
        ),
        0..=2,
    );
    (approvals, 0_u32..=2, asked).prop_map(|(approvals, secs, asked)| {
        let mut obligations = Obligations::new(approvals, Duration::from_secs(secs));
        for (kind, by, age) in asked {
            obligations = obligations.with_attestation(kind, by, Duration::from_secs(age));
        }
        obligations
    })
}

pub(crate) fn require(name: String) -> impl Strategy<Value = Require> {
    let parts = (conditions(RuleKind::Require, 3), obligations());
    parts.prop_map(move |(conditions, asked)| Require::new(name.parse().unwrap(), conditions, asked).unwrap())
}

/// Requires that differ in what something must be over, some of them without the bound of an asset, in any order.
fn tiers_of_requires() -> impl Strategy<Value = Vec<Require>> {
    let shared = conditions(RuleKind::Require, 2).prop_map(|mut conditions| {
        conditions.retain(|c| !matches!(c.kind(), ConditionKind::AmountOver | ConditionKind::TotalOver));
        conditions
    });
    let each = vec((0_u64..=6, prop::bool::weighted(0.2), obligations()), 2..=4);
    (shared, bounds(), any::<bool>(), each).prop_map(|(shared, bounds, is_total, each)| {
        let tier = |(n, (more, is_less, asked)): (usize, (u64, bool, Obligations))| {
            let bounds = raised(&bounds, more, usize::from(is_less));
            let over = if is_total {
                Condition::TotalOver(TotalOver(bounds))
            } else {
                Condition::AmountOver(AmountOver(bounds))
            };
            let conditions = shared.iter().cloned().chain([over]).collect();
            Require::new(format!("t{n}").parse().unwrap(), conditions, asked).ok()
        };
        each.into_iter().enumerate().filter_map(tier).collect()
    })
}

/// Every bound higher by so many units or half dollars, without the first so many assets.
fn raised(bounds: &Bounds, more: u64, without: usize) -> Bounds {
    let add = |bound: Amount, more: u64| bound.checked_add(more.into()).unwrap();
    let by_asset = bounds.iter().skip(without);
    let raised: Bounds = by_asset
        .map(|(asset, bound)| (asset.clone(), add(bound, more)))
        .collect();
    bounds.money().fold(raised, |raised, (currency, bound)| {
        raised.with_money(currency, add(bound, more * 50_000_000))
    })
}

pub(crate) fn limit(name: String) -> impl Strategy<Value = Limit> {
    let scope = subsequence(ScopeBy::ALL.to_vec(), 0..=3);
    (conditions(RuleKind::Limit, 3), scope, meter()).prop_map(move |(conditions, scope, meter)| {
        let counts = matches!(meter.hard, Ceiling::Count(_) | Ceiling::NewDestinations(_));
        let scope = scope
            .into_iter()
            .filter(|by| !counts || *by != ScopeBy::Asset)
            .collect();
        Limit::new(name.parse().unwrap(), conditions, scope, meter).unwrap()
    })
}

fn meter() -> impl Strategy<Value = Meter> {
    let amounts = vec((id(&ASSETS), (2_u64..=20).prop_map(Amount::from_base_units)), 1..=3)
        .prop_map(|bounds| Ceiling::Amounts(bounds.into_iter().collect()));
    let hard = prop_oneof![
        4 => amounts,
        2 => money().prop_map(|money| Ceiling::Money(Currency::Usd, money)),
        1 => (2_u32..=4).prop_map(Ceiling::Count),
        1 => (2_u32..=4).prop_map(Ceiling::NewDestinations),
    ];
    let obligations = Obligations::new(
        [("ops".parse().unwrap(), Seats::new(4).unwrap())].into(),
        Duration::ZERO,
    );
    (hard, select(WINDOWS.to_vec()), any::<bool>()).prop_map(move |(hard, window, has_soft)| {
        let soft = has_soft.then(|| (lower(&hard), obligations.clone()));
        Meter {
            window: window.parse().unwrap(),
            hard,
            soft,
        }
    })
}

/// A little less in every unit.
pub(crate) fn lower(ceiling: &Ceiling) -> Ceiling {
    let less = |amount: Amount, by: u64| amount.checked_sub(by.into()).unwrap_or_default().max(1_u64.into());
    match ceiling {
        Ceiling::Amounts(bounds) => Ceiling::Amounts(
            bounds
                .iter()
                .map(|(asset, bound)| (asset.clone(), less(bound, 1)))
                .collect(),
        ),
        Ceiling::Money(currency, bound) => Ceiling::Money(*currency, less(*bound, 99_999_999)),
        Ceiling::Count(bound) => Ceiling::Count(bound - 1),
        Ceiling::NewDestinations(bound) => Ceiling::NewDestinations(bound - 1),
    }
}

pub(crate) fn forbid(name: String) -> impl Strategy<Value = Forbid> {
    (conditions(RuleKind::Forbid, 3), to()).prop_map(move |(mut conditions, to)| {
        if conditions.is_empty() {
            conditions.push(Condition::To(to));
        }
        Forbid::new(name.parse().unwrap(), conditions).unwrap()
    })
}

pub(crate) fn parts() -> impl Strategy<Value = PolicyParts> {
    let permits = prop_oneof![
        3 => broad_permit("p0".into()).prop_map(|permit| vec![permit]),
        2 => (permit("p1".into()), permit("p2".into())).prop_map(|(a, b)| vec![a, b]),
        1 => (permit("p1".into()), permit("p2".into()), permit("p3".into())).prop_map(|(a, b, c)| vec![a, b, c]),
    ];
    let requires = (
        option::of(require("r1".into())),
        option::of(require("r2".into())),
        option::weighted(0.4, tiers_of_requires()),
    );
    let limits = (
        option::weighted(0.3, limit("l1".into())),
        option::weighted(0.2, limit("l2".into())),
    );
    let forbids = option::weighted(0.2, forbid("f1".into()));
    (permits, requires, limits, forbids).prop_map(|(permits, requires, limits, forbid)| PolicyParts {
        permits,
        requires: [requires.0, requires.1]
            .into_iter()
            .flatten()
            .chain(requires.2.into_iter().flatten())
            .collect(),
        limits: [limits.0, limits.1].into_iter().flatten().collect(),
        forbids: forbid.into_iter().collect(),
    })
}

fn effect() -> impl Strategy<Value = Effect> {
    let at = || id::<Destination>(&DESTINATIONS);
    let asset = || id::<AssetId>(&ASSETS);
    let transfer = (asset(), amount(), at());
    let internal = (asset(), amount(), id(&WALLETS), at(), prop::bool::weighted(0.2));
    prop_oneof![
        10 => transfer.prop_map(|(asset, amount, destination)| Effect::Transfer { asset, amount, destination }),
        3 => internal.prop_map(|(asset, amount, wallet, destination, change)| Effect::Internal {
            asset, amount, wallet, destination, change
        }),
        4 => (asset(), amount()).prop_map(|(asset, max)| Effect::Fee { asset, max }),
        2 => (asset(), amount(), at()).prop_map(|(asset, amount, spender)| Effect::Allowance { asset, amount, spender }),
        1 => (at(), option::of(at())).prop_map(|(subject, holder)| Effect::AuthorityChange {
            subject, scope: AuthorityScope::Owner, holder
        }),
        1 => option::of(at()).prop_map(|subject| Effect::CodeChange {
            subject, change: CodeChangeKind::Deploy, code: vec![]
        }),
        1 => at().prop_map(|mechanism| Effect::DelayedAuthorization { mechanism }),
        2 => (at(), selector(), vec(0_u8..=2, 0..=3), 0_usize..=1).prop_map(|(contract, selector, words, tail)| {
            let word = |word: u8| [vec![0; 31], vec![word]].concat();
            let args = words.into_iter().flat_map(word).chain(std::iter::repeat_n(0, tail)).collect();
            Effect::ContractCall { contract, selector, args }
        }),
        1 => option::of(at()).prop_map(|target| Effect::Opaque { what: OpaqueKind::Calldata, target, bytes: vec![] }),
        1 => Just(Effect::PersonalMessage { bytes: vec![] }),
    ]
}

pub(crate) fn registry() -> AssetRegistry {
    let record = |id: &str, symbol: &str| AssetRecord {
        id: id.parse().unwrap(),
        symbol: symbol.parse().unwrap(),
        decimals: Decimals::new(0).unwrap(),
        quirks: BTreeSet::new(),
    };
    // The fourth asset is missing: nobody can value it.
    AssetRegistry::new([
        record(ASSETS[0], "ETH"),
        record(ASSETS[1], "A"),
        record(ASSETS[2], "ETH"),
    ])
    .unwrap()
}

fn lists() -> DestinationLists {
    let list = |at: &[&str]| ids(at).into_iter().collect::<BTreeSet<Destination>>();
    DestinationLists::new(BTreeMap::from([
        (LISTS[0].parse().unwrap(), list(&DESTINATIONS[..2])),
        (LISTS[1].parse().unwrap(), list(&DESTINATIONS[2..3])),
    ]))
}

fn known() -> impl Strategy<Value = Known> {
    let books = subsequence(ids::<PrincipalId>(&BOOKS), 0..=2).prop_map(|having| {
        let said = ids::<PrincipalId>(&BOOKS).into_iter();
        said.map(|book| (book.clone(), having.contains(&book))).collect()
    });
    let age = (0_u32..=4).prop_map(Duration::from_secs);
    (
        option::weighted(0.8, any::<bool>()),
        option::weighted(0.8, age),
        option::weighted(0.8, books),
    )
        .prop_map(|(is_first_seen, entry_age, books)| Known {
            is_first_seen,
            entry_age,
            books,
        })
}

/// The first asset is worth 2 dollars, the third 3; the second only sometimes 1.
fn prices(is_whole: bool) -> Prices {
    let price = |asset: &str, dollars: u64| {
        let atto = Amount::from_base_units(dollars * 1_000_000_000_000_000_000);
        ((asset.parse().unwrap(), Currency::Usd), Price::from_atto(atto))
    };
    let second = is_whole.then(|| price(ASSETS[1], 1));
    Prices::new(
        [price(ASSETS[0], 2), price(ASSETS[2], 3)]
            .into_iter()
            .chain(second)
            .collect(),
    )
}

pub(crate) fn world() -> impl Strategy<Value = World> {
    let actor = (
        id(&INITIATORS),
        subsequence(ids::<GroupId>(&GROUPS), 0..=2),
        id(&WALLETS),
        option::weighted(0.9, select(TIERS.to_vec())),
        id(&NETWORKS),
    );
    let subject = option::weighted(0.8, id::<SubjectId>(&SUBJECTS));
    let context = (
        option::weighted(
            0.9,
            (0_i64..14).prop_map(|half_days| Timestamp::from_unix_millis(half_days * 43_200_000)),
        ),
        option::weighted(0.9, Just("tenant".parse::<TenantId>().unwrap())),
        option::weighted(0.9, (0_u64..=3, 0_u64..=1)),
        any::<bool>(),
        option::weighted(
            0.9,
            vec((id::<AttributeName>(&NAMES), id::<AttributeValue>(&VALUES)), 0..=2)
                .prop_map(|all| all.into_iter().collect()),
        ),
        option::weighted(0.8, 0_u64..=3),
    );
    let effects = vec((effect(), subject), 0..=6);
    (actor, effects, vec(known(), DESTINATIONS.len()), context).prop_map(|(actor, effects, known, context)| World {
        known: ids::<Destination>(&DESTINATIONS).into_iter().zip(known).collect(),
        now: context.0,
        tenant: context.1,
        held: context.2,
        prices: prices(context.3),
        attributes: context.4,
        fee_units: context.5,
        initiator: actor.0,
        initiator_groups: actor.1.into_iter().collect(),
        wallet: actor.2,
        tier: actor.3,
        network: actor.4,
        effects,
        assets: registry(),
        lists: lists(),
    })
}
