//! The walk over the regions: depth first, attribute by attribute, with the set of rules that may still match.
//!
//! A rule leaves the set when one of its conditions cannot hold any more: for a permit when it is not certain, for the other
//! kinds when it is false. Two cells with the same set ahead of them lead to the same decisions, so only the first is
//! walked. Amounts, prices and batches come last ([`super::compare`] and its siblings look at each withdrawal).

use std::collections::{BTreeMap, BTreeSet, HashSet};

use countersign_types::{
    AssetId, ChainId, Destination, Effect, EffectKind, PrincipalId, TenantId, Timestamp, WalletId,
};

use super::{
    Item, Setting, Withdrawal,
    cells::{Attributes, Cells},
};
use crate::{Bounds, Ceiling, Condition, Conditions, Limit, Obligations, Prices, RuleKind, condition::To, rule::Seen};

/// How many steps an analysis may take: a step is one cell looked at, or one withdrawal evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    steps: u64,
}

impl Budget {
    /// Enough for the policies that people write: some seconds.
    pub const DEFAULT: Self = Self { steps: 4_000_000 };

    /// So many steps.
    pub fn new(steps: u64) -> Self {
        Self { steps }
    }

    /// One step, if there is one left.
    pub(super) fn take(&mut self) -> bool {
        let left = self.steps.checked_sub(1);
        self.steps = left.unwrap_or(0);
        left.is_some()
    }
}

/// A rule of one of the settings, or conditions that are asked about beside them.
#[derive(Clone, Copy)]
pub(super) struct Rule<'w> {
    /// Which setting; `None` for conditions beside them, which are read in the last one.
    pub(super) setting: Option<usize>,
    pub(super) kind: RuleKind,
    pub(super) conditions: &'w Conditions,
    pub(super) limit: Option<&'w Limit>,
    /// What a require asks for.
    pub(super) obligations: Option<&'w Obligations>,
}

/// The rules that may still match, by their place in [`Walk::rules`].
pub(super) type Active = Vec<bool>;

/// Who looks at what the walk comes upon.
pub(super) trait Visitor {
    /// Whether anything below these rules can matter.
    fn is_worth(&self, rules: &[Rule<'_>], active: &[bool]) -> bool;
    /// A region before amounts; whether amounts are to be tried.
    fn enter(&mut self, rules: &[Rule<'_>], active: &[bool], withdrawal: &Withdrawal) -> bool;
    /// A whole withdrawal.
    fn visit(&mut self, withdrawal: &Withdrawal);
    /// Whether regions stay apart that only differ in who asks, through which wallet and when.
    fn tells_askers_apart(&self) -> bool {
        false
    }
}

/// Who asks, for whom, through which wallet, when and saying what: the same for all effects of a transaction.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Asking {
    initiator: PrincipalId,
    tenant: TenantId,
    wallet: WalletId,
    network: ChainId,
    now: Timestamp,
    attributes: Attributes,
}

impl Asking {
    pub(super) fn of(withdrawal: &Withdrawal) -> Self {
        Self {
            initiator: withdrawal.initiator.clone(),
            tenant: withdrawal.tenant.clone(),
            wallet: withdrawal.wallet.clone(),
            network: withdrawal.network.clone(),
            now: withdrawal.now,
            attributes: withdrawal.attributes.clone(),
        }
    }
}

/// The attributes, in the order of the walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attribute {
    Site,
    Effect,
    Asker,
    Destination,
    Subject,
    Book,
    FirstSeen,
    Age,
    Call,
    Moment,
    Stated,
}

const ORDER: [Attribute; 11] = [
    Attribute::Site,
    Attribute::Effect,
    Attribute::Asker,
    Attribute::Destination,
    Attribute::Subject,
    Attribute::Book,
    Attribute::FirstSeen,
    Attribute::Age,
    Attribute::Call,
    Attribute::Moment,
    Attribute::Stated,
];

/// The attribute that decides a condition; `None` for those that compare amounts.
fn attribute(condition: &Condition) -> Option<Attribute> {
    match condition {
        Condition::Wallets(_) | Condition::Tiers(_) | Condition::Networks(_) => Some(Attribute::Site),
        Condition::Effects(_) | Condition::Assets(_) => Some(Attribute::Effect),
        Condition::Initiators(_) | Condition::InitiatorGroups(_) => Some(Attribute::Asker),
        Condition::To(To::List(_) | To::Own(_) | To::Unlisted) => Some(Attribute::Destination),
        Condition::Subjects(_) => Some(Attribute::Subject),
        Condition::To(To::AddressBook(_)) => Some(Attribute::Book),
        Condition::To(To::FirstSeen) => Some(Attribute::FirstSeen),
        Condition::To(To::EntryUnder(_) | To::EntryOver(_)) => Some(Attribute::Age),
        Condition::Selectors(_) | Condition::Words(_) => Some(Attribute::Call),
        Condition::Hours(_) => Some(Attribute::Moment),
        Condition::Attributes(_) => Some(Attribute::Stated),
        Condition::AmountMax(_)
        | Condition::AmountOver(_)
        | Condition::FeeMax(_)
        | Condition::FeeShare(_)
        | Condition::FeeRate(_)
        | Condition::TotalMax(_)
        | Condition::TotalOver(_) => None,
    }
}

/// What of a withdrawal the rest of the walk depends on, beside the active rules.
#[derive(PartialEq, Eq, Hash)]
struct Shape {
    depth: usize,
    network: ChainId,
    kind: EffectKind,
    asset: Option<AssetId>,
    has_destination: bool,
    /// Where a move goes is told with the kind of effect, before rules about destinations are looked at.
    receiver: Option<Destination>,
    is_listed: bool,
    has_subject: bool,
    is_in_book: bool,
    is_first_seen: Option<bool>,
    asking: Option<Asking>,
}

/// The walk.
pub(super) struct Walk<'w> {
    pub(super) settings: &'w [&'w Setting<'w>],
    pub(super) rules: Vec<Rule<'w>>,
    pub(super) cells: Cells,
    pub(super) budget: Budget,
    /// Whether the budget or the cells did not suffice: then nothing is claimed.
    pub(super) ran_out: bool,
    /// Some permitted transfers of each asset, to have something that a fee is a share of.
    pub(super) companions: BTreeMap<AssetId, Vec<Withdrawal>>,
    /// Fees that rules bound by shares, with the shares in basis points.
    pub(super) fees: Vec<(Withdrawal, BTreeSet<u16>)>,
    seen: HashSet<(Shape, Active)>,
}

impl<'w> Walk<'w> {
    /// Over the rules of the settings, and conditions beside them.
    pub(super) fn new(settings: &'w [&'w Setting<'w>], beside: &'w [&'w Conditions], budget: Budget) -> Self {
        let rules = settings.iter().enumerate().flat_map(|(n, setting)| rules(n, setting));
        let beside_rules = beside.iter().map(|conditions| Rule {
            setting: None,
            kind: RuleKind::Require,
            conditions,
            limit: None,
            obligations: None,
        });
        let cells = Cells::of(settings, beside);
        Self {
            settings,
            rules: rules.chain(beside_rules).collect(),
            ran_out: cells.is_cut,
            cells,
            budget,
            companions: BTreeMap::new(),
            fees: Vec::new(),
            seen: HashSet::new(),
        }
    }

    /// Walks everything.
    pub(super) fn run(&mut self, visitor: &mut dyn Visitor) {
        let Some(start) = self.start() else { return };
        let active = vec![true; self.rules.len()];
        self.descend(0, &start, &active, visitor);
        self.shares(visitor);
    }

    /// Any withdrawal: every attribute is set on the way down.
    fn start(&self) -> Option<Withdrawal> {
        let (initiator, asker) = self
            .settings
            .iter()
            .find_map(|setting| setting.initiators.iter().next())?;
        let (wallet, network) = self
            .settings
            .iter()
            .find_map(|setting| setting.wallets.keys().next())?
            .clone();
        Some(Withdrawal {
            initiator: initiator.clone(),
            tenant: asker.tenants.first()?.clone(),
            wallet,
            network,
            now: *self.cells.moments.first()?,
            attributes: self.cells.attributes.first()?.clone(),
            fee_units: None,
            items: vec![Item::new(Effect::PersonalMessage { bytes: Vec::new() })],
            prices: Prices::default(),
            held: None,
        })
    }

    fn descend(&mut self, depth: usize, withdrawal: &Withdrawal, active: &Active, visitor: &mut dyn Visitor) {
        let Some(attribute) = ORDER.get(depth).copied() else {
            if visitor.enter(&self.rules, active, withdrawal) {
                self.amounts(withdrawal, active, visitor);
            }
            return;
        };
        for variant in self.values(attribute, withdrawal) {
            if !self.step() {
                return;
            }
            let active = self.narrow(attribute, &variant, active);
            if !visitor.is_worth(&self.rules, &active) {
                continue;
            }
            let asking = visitor.tells_askers_apart().then(|| Asking::of(&variant));
            let shape = Shape {
                asking,
                ..self.shape(depth, &variant)
            };
            if self.seen.insert((shape, active.clone())) {
                self.descend(depth.saturating_add(1), &variant, &active, visitor);
            }
        }
    }

    /// One step of the budget; `false` once it ran out.
    pub(super) fn step(&mut self) -> bool {
        let is_left = self.budget.take();
        self.ran_out |= !is_left;
        is_left
    }

    fn shape(&self, depth: usize, withdrawal: &Withdrawal) -> Shape {
        let item = withdrawal.items.first();
        let effect = item.map(|item| &item.effect);
        let destination = effect.and_then(Effect::destination);
        let is_listed = |destination| self.settings.iter().any(|setting| setting.lists.is_listed(destination));
        Shape {
            depth,
            network: withdrawal.network.clone(),
            kind: effect.map_or(EffectKind::Opaque, Effect::kind),
            asset: effect.and_then(Effect::asset).cloned(),
            has_destination: destination.is_some(),
            receiver: destination
                .filter(|_| effect.is_some_and(|effect| effect.kind() == EffectKind::Internal))
                .cloned(),
            is_listed: destination.is_some_and(is_listed),
            has_subject: item.is_some_and(|item| item.subject.is_some()),
            is_in_book: item
                .is_some_and(|item| item.books.as_ref().is_some_and(|books| books.values().any(|has| *has))),
            is_first_seen: item.and_then(|item| item.is_first_seen),
            asking: None,
        }
    }

    /// The rules of which no condition on this attribute rules them out.
    fn narrow(&self, attribute: Attribute, withdrawal: &Withdrawal, active: &Active) -> Active {
        let last = self.settings.len().checked_sub(1);
        let mut narrowed = active.clone();
        for (n, setting) in self.settings.iter().enumerate() {
            let effects = setting.effects(withdrawal);
            let facts = setting.facts(withdrawal, &effects);
            let seen = facts.as_ref().map(Seen::all).unwrap_or_default();
            let view = seen.first().map(|seen| &seen.view);
            let rules = self.rules.iter().zip(&mut narrowed);
            for (rule, is_active) in rules.filter(|(rule, _)| rule.setting.or(last) == Some(n)) {
                // What the bundle does not know at all, it refuses: none of its rules matters.
                *is_active &= view.is_some_and(|view| {
                    let mut conditions = rule.conditions.iter().filter(|c| self::attribute(c) == Some(attribute));
                    conditions.all(|condition| {
                        let truth = condition.matches(view);
                        match rule.kind {
                            RuleKind::Permit | RuleKind::Breaker => truth.is_certain(),
                            RuleKind::Require | RuleKind::Limit | RuleKind::Forbid => truth.is_possible(),
                        }
                    })
                });
            }
        }
        narrowed
    }

    fn values(&self, attribute: Attribute, withdrawal: &Withdrawal) -> Vec<Withdrawal> {
        let with = |change: &dyn Fn(&mut Withdrawal)| {
            let mut changed = withdrawal.clone();
            change(&mut changed);
            changed
        };
        let item = |change: &dyn Fn(&mut Item)| with(&|w| w.items.iter_mut().for_each(change));
        match attribute {
            Attribute::Site => {
                let sites: BTreeSet<_> = self
                    .settings
                    .iter()
                    .flat_map(|setting| setting.wallets.keys())
                    .collect();
                let site = |(wallet, network): &_| {
                    with(&|w| (w.wallet, w.network) = (Clone::clone(wallet), Clone::clone(network)))
                };
                sites.into_iter().map(site).collect()
            }
            Attribute::Effect => self
                .effects(&withdrawal.network)
                .iter()
                .map(|e| item(&|i| i.effect = e.clone()))
                .collect(),
            Attribute::Asker => {
                let askers = self.settings.iter().flat_map(|setting| &setting.initiators);
                let askers: BTreeSet<_> = askers
                    .flat_map(|(id, asker)| asker.tenants.iter().map(move |tenant| (id, tenant)))
                    .collect();
                let asker = |(id, tenant): (_, &TenantId)| {
                    with(&|w| (w.initiator, w.tenant) = (Clone::clone(id), tenant.clone()))
                };
                askers.into_iter().map(asker).collect()
            }
            Attribute::Destination => {
                let effects = withdrawal
                    .items
                    .first()
                    .map(|item| self.destinations(withdrawal, &item.effect));
                effects
                    .unwrap_or_default()
                    .iter()
                    .map(|e| item(&|i| i.effect = e.clone()))
                    .collect()
            }
            Attribute::Subject if has_subject(withdrawal) => self
                .cells
                .subjects
                .iter()
                .map(|s| item(&|i| i.subject = s.clone()))
                .collect(),
            Attribute::Book if has_history(withdrawal) && has_known_subject(withdrawal) => self
                .cells
                .books
                .iter()
                .map(|b| item(&|i| i.books = b.clone()))
                .collect(),
            Attribute::FirstSeen if has_history(withdrawal) => [Some(true), Some(false), None]
                .iter()
                .map(|f| item(&|i| i.is_first_seen = *f))
                .collect(),
            Attribute::Age if self.has_entry(withdrawal) => self
                .cells
                .ages
                .iter()
                .map(|age| item(&|i| i.entry_age = *age))
                .collect(),
            Attribute::Call if is_call(withdrawal) => {
                let call = |(selector, args): &_| {
                    item(&|i| {
                        if let Effect::ContractCall {
                            selector: s, args: a, ..
                        } = &mut i.effect
                        {
                            (*s, *a) = (*selector, Clone::clone(args));
                        }
                    })
                };
                self.cells.calls.iter().map(call).collect()
            }
            Attribute::Moment => self.cells.moments.iter().map(|at| with(&|w| w.now = *at)).collect(),
            Attribute::Stated => {
                let stated = self.cells.attributes.iter();
                stated.map(|stated| with(&|w| w.attributes = stated.clone())).collect()
            }
            Attribute::Subject | Attribute::Book | Attribute::FirstSeen | Attribute::Age | Attribute::Call => {
                vec![withdrawal.clone()]
            }
        }
    }

    /// Whether a list or a book has the destination, so that there is an entry with an age.
    fn has_entry(&self, withdrawal: &Withdrawal) -> bool {
        let has = |item: &Item| {
            let is_listed = |at| self.settings.iter().any(|setting| setting.lists.is_listed(at));
            let is_in_book = item.books.as_ref().is_some_and(|books| books.values().any(|has| *has));
            is_in_book || item.effect.destination().is_some_and(is_listed)
        };
        has_history(withdrawal) && withdrawal.items.first().is_some_and(has)
    }

    /// The bounds of the active rules: of single amounts, of sums, or of both.
    pub(super) fn bounds(&self, active: &Active, sums_only: bool) -> Vec<Bounds> {
        let rules = self.rules.iter().zip(active).filter(|(_, is_active)| **is_active);
        let of = |(rule, _): (&Rule<'w>, _)| {
            let sums = rule
                .conditions
                .iter()
                .filter(|condition| !sums_only || is_sum(condition));
            let mut bounds: Vec<Bounds> = sums.filter_map(Condition::bounds).cloned().collect();
            bounds.extend(
                rule.limit
                    .map(|limit| super::cells::meter_bounds(limit.meter()))
                    .unwrap_or_default(),
            );
            bounds
        };
        rules.flat_map(of).collect()
    }

    /// How many destinations that were never paid before the active limits allow.
    pub(super) fn new_destinations(&self, active: &Active) -> BTreeSet<u32> {
        let rules = self.rules.iter().zip(active).filter(|(_, is_active)| **is_active);
        let ceilings = rules.filter_map(|(rule, _)| rule.limit).flat_map(|limit| {
            let soft = limit.meter().soft.as_ref().map(|(ceiling, _)| ceiling);
            std::iter::once(&limit.meter().hard).chain(soft)
        });
        ceilings
            .filter_map(|ceiling| match ceiling {
                Ceiling::NewDestinations(bound) => Some(*bound),
                Ceiling::Amounts(_) | Ceiling::Money(..) | Ceiling::Count(_) => None,
            })
            .collect()
    }
}

fn is_sum(condition: &Condition) -> bool {
    matches!(condition, Condition::TotalMax(_) | Condition::TotalOver(_))
}

fn rules<'w>(n: usize, setting: &'w Setting<'w>) -> Vec<Rule<'w>> {
    let rule = |kind, conditions, limit| Rule {
        setting: Some(n),
        kind,
        conditions,
        limit,
        obligations: None,
    };
    let policy = setting.policy;
    let permits = policy
        .permits()
        .map(|permit| rule(RuleKind::Permit, permit.conditions(), None));
    let requires = policy.requires().map(|require| Rule {
        obligations: Some(require.obligations()),
        ..rule(RuleKind::Require, require.conditions(), None)
    });
    let limits = policy
        .limits()
        .map(|limit| rule(RuleKind::Limit, limit.conditions(), Some(limit)));
    let forbids = policy
        .forbids()
        .map(|forbid| rule(RuleKind::Forbid, forbid.conditions(), None));
    permits.chain(requires).chain(limits).chain(forbids).collect()
}

/// Whether somebody can be behind the effect: fees and moves between own wallets have nobody.
fn has_subject(withdrawal: &Withdrawal) -> bool {
    withdrawal
        .items
        .first()
        .is_some_and(|item| !matches!(item.effect, Effect::Fee { .. } | Effect::Internal { .. }))
}

fn has_known_subject(withdrawal: &Withdrawal) -> bool {
    withdrawal.items.first().is_some_and(|item| item.subject.is_some())
}

/// Whether the effect goes to a stranger, whom books and history know or do not know.
fn has_history(withdrawal: &Withdrawal) -> bool {
    has_subject(withdrawal)
        && withdrawal
            .items
            .first()
            .is_some_and(|item| item.effect.destination().is_some())
}

fn is_call(withdrawal: &Withdrawal) -> bool {
    withdrawal
        .items
        .first()
        .is_some_and(|item| matches!(item.effect, Effect::ContractCall { .. }))
}

/// Whether every permit of the last setting is out: nothing below is allowed.
pub(super) fn is_uncovered(rules: &[Rule<'_>], active: &[bool], setting: usize) -> bool {
    let mut permits = rules
        .iter()
        .zip(active)
        .filter(|(rule, _)| rule.setting == Some(setting) && rule.kind == RuleKind::Permit);
    !permits.any(|(_, is_active)| *is_active)
}

#[cfg(test)]
mod tests;
