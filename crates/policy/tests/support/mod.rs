//! Random policies and facts over a universe small enough that rules and effects meet.

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
}

impl World {
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
                .map(|(effect, subject)| EffectFact {
                    effect,
                    subject: subject.as_ref(),
                })
                .collect(),
            assets: &self.assets,
            lists: &self.lists,
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
    vec(bound, 1..=3).prop_map(|bounds| bounds.into_iter().collect())
}

fn to() -> impl Strategy<Value = To> {
    prop_oneof![
        id(&LISTS).prop_map(To::List),
        some_of(&WALLETS).prop_map(To::Own),
        Just(To::Unlisted)
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
        let fits = |condition: &Condition| condition.kind().is_allowed_in(kind);
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

pub(crate) fn require(name: String) -> impl Strategy<Value = Require> {
    let seats = (1_u32..=3).prop_map(|seats| Seats::new(seats).unwrap());
    let approvals = vec((id(&GROUPS), seats), 1..=2).prop_map(|seats| seats.into_iter().collect::<BTreeMap<_, _>>());
    (conditions(RuleKind::Require, 3), approvals, 0_u32..=2).prop_map(move |(conditions, approvals, secs)| {
        let obligations = Obligations::new(approvals, Duration::from_secs(secs));
        Require::new(name.parse().unwrap(), conditions, obligations).unwrap()
    })
}

pub(crate) fn limit(name: String) -> impl Strategy<Value = Limit> {
    let scope = subsequence(vec![ScopeBy::Asset, ScopeBy::Destination, ScopeBy::Wallet], 0..=3);
    (conditions(RuleKind::Limit, 3), scope, bounds()).prop_map(move |(conditions, scope, hard)| {
        Limit::new(name.parse().unwrap(), conditions, scope.into_iter().collect(), hard).unwrap()
    })
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
    let requires = (option::of(require("r1".into())), option::of(require("r2".into())));
    let limits = (
        option::weighted(0.3, limit("l1".into())),
        option::weighted(0.2, limit("l2".into())),
    );
    let forbids = option::weighted(0.2, forbid("f1".into()));
    (permits, requires, limits, forbids).prop_map(|(permits, requires, limits, forbid)| PolicyParts {
        permits,
        requires: [requires.0, requires.1].into_iter().flatten().collect(),
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
        1 => at().prop_map(|contract| Effect::ContractCall { contract, selector: Selector([0; 4]), args: vec![] }),
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

pub(crate) fn world() -> impl Strategy<Value = World> {
    let actor = (
        id(&INITIATORS),
        subsequence(ids::<GroupId>(&GROUPS), 0..=2),
        id(&WALLETS),
        option::weighted(0.9, select(TIERS.to_vec())),
        id(&NETWORKS),
    );
    let subject = option::weighted(0.8, id::<SubjectId>(&SUBJECTS));
    (actor, vec((effect(), subject), 0..=6)).prop_map(|(actor, effects)| World {
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
