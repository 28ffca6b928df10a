//! Conditions: one file each. A new one is a file, a variant of [`Condition`], a row in `docs/policy.md`, a vector.

mod amount;
mod asset;
mod attribute;
mod bounds;
mod call;
mod destination;
mod effect_kind;
mod fee;
mod hours;
mod initiator;
mod network;
mod one_of;
mod subject;
#[cfg(test)]
mod tests;
mod tier;
mod total;
mod wallet;

use std::{fmt, ops::Range};

use countersign_types::{AssetId, RuleId};
use serde::{Deserialize, Serialize};

pub use self::{
    amount::{AmountMax, AmountOver},
    asset::Assets,
    attribute::Attributes,
    bounds::Bounds,
    call::{MAX_WORD, Selectors, Word, WordTest, Words},
    destination::To,
    effect_kind::Effects,
    fee::{FeeMax, FeeRate, FeeShare},
    hours::{Day, Hours},
    initiator::{InitiatorGroups, Initiators},
    network::Networks,
    one_of::OneOf,
    subject::Subjects,
    tier::{Tiers, tier_word},
    total::{TotalMax, TotalOver},
    wallet::Wallets,
};
pub(crate) use self::{bounds::Valued, effect_kind::Kinds, total::Totals};
use crate::{Actor, EffectFact, Facts, PolicyError, RuleKind, Truth};

/// One effect, seen by a condition.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) facts: &'a Facts<'a>,
    pub(crate) fact: &'a EffectFact<'a>,
    pub(crate) kind: Kinds,
    /// The amount that rules compare (see [`crate::sums::Sums::amount_of`]).
    pub(crate) amount: Valued<'a>,
}

impl<'a> View<'a> {
    /// The effect's asset, whether the bundle knows it or not.
    pub(crate) fn asset(&self) -> Option<&'a AssetId> {
        self.amount.registered.or_else(|| self.fact.effect.asset())
    }
}

/// Something that a rule asks of an effect, or of the sum of all effects that the rule's other conditions select.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// The kind of the effect.
    Effects(Effects),
    /// Who asked.
    Initiators(Initiators),
    /// A group of the one who asked.
    InitiatorGroups(InitiatorGroups),
    /// The wallet that signs.
    Wallets(Wallets),
    /// The tier of the wallet that signs.
    Tiers(Tiers),
    /// The network.
    Networks(Networks),
    /// The asset of the effect.
    Assets(Assets),
    /// Where the effect goes.
    To(To),
    /// The customer behind the payment.
    Subjects(Subjects),
    /// The function that is called.
    Selectors(Selectors),
    /// The arguments of the call.
    Words(Words),
    /// When.
    Hours(Hours),
    /// What the request says of itself.
    Attributes(Attributes),
    /// The amount is at most the bound of its asset. Permits only.
    AmountMax(AmountMax),
    /// The amount is over the bound of its asset. Requires and forbids only.
    AmountOver(AmountOver),
    /// The fee is at most the bound. Permits only.
    FeeMax(FeeMax),
    /// The fee is at most a share of what is transferred. Permits only.
    FeeShare(FeeShare),
    /// The fee is at most the bound for each unit that it is paid for. Permits only.
    FeeRate(FeeRate),
    /// The sum by asset is at most its bound. Permits only.
    TotalMax(TotalMax),
    /// The sum by asset is over its bound. Requires and forbids only.
    TotalOver(TotalOver),
}

/// Which condition, without its content; the order is the order of the documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConditionKind {
    /// See [`Condition::Effects`].
    Effects,
    /// See [`Condition::Initiators`].
    Initiators,
    /// See [`Condition::InitiatorGroups`].
    InitiatorGroups,
    /// See [`Condition::Wallets`].
    Wallets,
    /// See [`Condition::Tiers`].
    Tiers,
    /// See [`Condition::Networks`].
    Networks,
    /// See [`Condition::Assets`].
    Assets,
    /// See [`Condition::To`].
    To,
    /// See [`Condition::Subjects`].
    Subjects,
    /// See [`Condition::Selectors`].
    Selectors,
    /// See [`Condition::Words`].
    Words,
    /// See [`Condition::Hours`].
    Hours,
    /// See [`Condition::Attributes`].
    Attributes,
    /// See [`Condition::AmountMax`].
    AmountMax,
    /// See [`Condition::AmountOver`].
    AmountOver,
    /// See [`Condition::FeeMax`].
    FeeMax,
    /// See [`Condition::FeeShare`].
    FeeShare,
    /// See [`Condition::FeeRate`].
    FeeRate,
    /// See [`Condition::TotalMax`].
    TotalMax,
    /// See [`Condition::TotalOver`].
    TotalOver,
    /// The bound of a limit, which is not a condition but may be wrong like one.
    Hard,
    /// The soft bound of a limit, likewise.
    Soft,
}

impl ConditionKind {
    /// Every condition that a rule may carry.
    pub const ALL: [Self; 20] = [
        Self::Effects,
        Self::Initiators,
        Self::InitiatorGroups,
        Self::Wallets,
        Self::Tiers,
        Self::Networks,
        Self::Assets,
        Self::To,
        Self::Subjects,
        Self::Selectors,
        Self::Words,
        Self::Hours,
        Self::Attributes,
        Self::AmountMax,
        Self::AmountOver,
        Self::FeeMax,
        Self::FeeShare,
        Self::FeeRate,
        Self::TotalMax,
        Self::TotalOver,
    ];

    /// The key in a policy file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Effects => "effects",
            Self::Initiators => "initiators",
            Self::InitiatorGroups => "initiator-groups",
            Self::Wallets => "wallets",
            Self::Tiers => "tiers",
            Self::Networks => "networks",
            Self::Assets => "assets",
            Self::To => "to",
            Self::Subjects => "subjects",
            Self::Selectors => "selectors",
            Self::Words => "words",
            Self::Hours => "hours",
            Self::Attributes => "attributes",
            Self::AmountMax => "amount.max",
            Self::AmountOver => "amount.over",
            Self::FeeMax => "fee.max",
            Self::FeeShare => "fee.share",
            Self::FeeRate => "fee.rate",
            Self::TotalMax => "total.max",
            Self::TotalOver => "total.over",
            Self::Hard => "hard",
            Self::Soft => "soft",
        }
    }

    /// Whether a rule of this kind may carry the condition. A maximum widens what matches as it grows and a minimum
    /// narrows it: each stands only where that keeps permits loosening and everything else tightening.
    pub fn is_allowed_in(self, rule: RuleKind) -> bool {
        match self {
            Self::AmountMax | Self::FeeMax | Self::FeeShare | Self::FeeRate | Self::TotalMax => {
                rule == RuleKind::Permit
            }
            Self::AmountOver | Self::TotalOver => rule == RuleKind::Require || rule == RuleKind::Forbid,
            Self::Hard | Self::Soft => rule == RuleKind::Limit,
            Self::Effects
            | Self::Initiators
            | Self::InitiatorGroups
            | Self::Wallets
            | Self::Tiers
            | Self::Networks
            | Self::Assets
            | Self::To
            | Self::Subjects
            | Self::Selectors
            | Self::Words
            | Self::Hours
            | Self::Attributes => true,
        }
    }
}
impl fmt::Display for ConditionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Condition {
    /// Which condition it is.
    pub fn kind(&self) -> ConditionKind {
        match self {
            Self::Effects(_) => ConditionKind::Effects,
            Self::Initiators(_) => ConditionKind::Initiators,
            Self::InitiatorGroups(_) => ConditionKind::InitiatorGroups,
            Self::Wallets(_) => ConditionKind::Wallets,
            Self::Tiers(_) => ConditionKind::Tiers,
            Self::Networks(_) => ConditionKind::Networks,
            Self::Assets(_) => ConditionKind::Assets,
            Self::To(_) => ConditionKind::To,
            Self::Subjects(_) => ConditionKind::Subjects,
            Self::Selectors(_) => ConditionKind::Selectors,
            Self::Words(_) => ConditionKind::Words,
            Self::Hours(_) => ConditionKind::Hours,
            Self::Attributes(_) => ConditionKind::Attributes,
            Self::AmountMax(_) => ConditionKind::AmountMax,
            Self::AmountOver(_) => ConditionKind::AmountOver,
            Self::FeeMax(_) => ConditionKind::FeeMax,
            Self::FeeShare(_) => ConditionKind::FeeShare,
            Self::FeeRate(_) => ConditionKind::FeeRate,
            Self::TotalMax(_) => ConditionKind::TotalMax,
            Self::TotalOver(_) => ConditionKind::TotalOver,
        }
    }

    /// Whether the condition holds for one effect. The two totals hold for every effect here: they look at the sum of
    /// what is selected, in [`Conditions::total_max`] and [`Conditions::total_over`].
    pub(crate) fn matches(&self, view: &View<'_>) -> Truth {
        match self {
            Self::Effects(effects) => effects.matches(view),
            Self::Initiators(initiators) => initiators.matches(&view.facts.actor),
            Self::InitiatorGroups(groups) => groups.matches(&view.facts.actor),
            Self::Wallets(wallets) => wallets.matches(&view.facts.actor),
            Self::Tiers(tiers) => tiers.matches(&view.facts.actor),
            Self::Networks(networks) => networks.matches(view.facts),
            Self::Assets(assets) => assets.matches(view),
            Self::To(to) => to.matches(view),
            Self::Subjects(subjects) => subjects.matches(view),
            Self::Selectors(selectors) => selectors.matches(view),
            Self::Words(words) => words.matches(view),
            Self::Hours(hours) => hours.matches(view.facts),
            Self::Attributes(attributes) => attributes.matches(view.facts),
            Self::AmountMax(max) => max.matches(view),
            Self::AmountOver(over) => over.matches(view),
            Self::FeeMax(max) => max.matches(view),
            Self::FeeShare(share) => share.matches(view),
            Self::FeeRate(rate) => rate.matches(view),
            Self::TotalMax(_) | Self::TotalOver(_) => Truth::True,
        }
    }

    /// The part that needs no transaction; everything else is not known yet.
    fn matches_actor(&self, actor: &Actor<'_>) -> Truth {
        match self {
            Self::Initiators(initiators) => initiators.matches(actor),
            Self::InitiatorGroups(groups) => groups.matches(actor),
            Self::Wallets(wallets) => wallets.matches(actor),
            Self::Tiers(tiers) => tiers.matches(actor),
            Self::Effects(_)
            | Self::Networks(_)
            | Self::Assets(_)
            | Self::To(_)
            | Self::Subjects(_)
            | Self::Selectors(_)
            | Self::Words(_)
            | Self::Hours(_)
            | Self::Attributes(_)
            | Self::AmountMax(_)
            | Self::AmountOver(_)
            | Self::FeeMax(_)
            | Self::FeeShare(_)
            | Self::FeeRate(_)
            | Self::TotalMax(_)
            | Self::TotalOver(_) => Truth::Unknown,
        }
    }

    /// Whether both are the same, or compare the same with bounds of which none is above the other's.
    fn is_below(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::AmountOver(AmountOver(low)), Self::AmountOver(AmountOver(high)))
            | (Self::TotalOver(TotalOver(low)), Self::TotalOver(TotalOver(high))) => low.are_below(high),
            (one, other) => one == other,
        }
    }

    /// Whether it is about nothing but the kind of an effect.
    fn is_kinds(&self) -> bool {
        matches!(self, Self::Effects(_))
    }

    /// Whether it is about the sum of what the others select.
    fn is_total(&self) -> bool {
        matches!(self, Self::TotalMax(_) | Self::TotalOver(_))
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Effects(effects) => effects.0.is_empty(),
            Self::Initiators(initiators) => initiators.0.is_empty(),
            Self::InitiatorGroups(groups) => groups.0.is_empty(),
            Self::Wallets(wallets) => wallets.0.is_empty(),
            Self::Tiers(tiers) => tiers.0.is_empty(),
            Self::Networks(networks) => networks.0.is_empty(),
            Self::Assets(assets) => assets.0.is_empty(),
            Self::To(to) => to.is_empty(),
            Self::Subjects(subjects) => subjects.0.is_empty(),
            Self::Selectors(selectors) => selectors.0.is_empty(),
            Self::Words(words) => words.is_empty(),
            Self::Hours(hours) => hours.is_empty(),
            Self::Attributes(attributes) => attributes.is_empty(),
            Self::FeeShare(_) => false,
            Self::AmountMax(_)
            | Self::AmountOver(_)
            | Self::FeeMax(_)
            | Self::FeeRate(_)
            | Self::TotalMax(_)
            | Self::TotalOver(_) => self.bounds().is_none_or(Bounds::is_empty),
        }
    }

    /// The bounds of a comparing condition.
    pub fn bounds(&self) -> Option<&Bounds> {
        match self {
            Self::AmountMax(AmountMax(bounds))
            | Self::AmountOver(AmountOver(bounds))
            | Self::FeeMax(FeeMax(bounds))
            | Self::FeeRate(FeeRate(bounds))
            | Self::TotalMax(TotalMax(bounds))
            | Self::TotalOver(TotalOver(bounds)) => Some(bounds),
            Self::Effects(_)
            | Self::Initiators(_)
            | Self::InitiatorGroups(_)
            | Self::Wallets(_)
            | Self::Tiers(_)
            | Self::Networks(_)
            | Self::Assets(_)
            | Self::To(_)
            | Self::Subjects(_)
            | Self::Selectors(_)
            | Self::Words(_)
            | Self::Hours(_)
            | Self::Attributes(_)
            | Self::FeeShare(_) => None,
        }
    }

    /// The line of a counter's text ([`crate::Counters`]); only for conditions that a limit may carry.
    fn canonical(&self) -> String {
        fn all<T: ToString + Ord>(values: &OneOf<T>) -> Vec<String> {
            values.iter().map(ToString::to_string).collect()
        }
        let words = match self {
            Self::Effects(effects) => all(&effects.0),
            Self::Initiators(initiators) => all(&initiators.0),
            Self::InitiatorGroups(groups) => all(&groups.0),
            Self::Wallets(wallets) => all(&wallets.0),
            Self::Tiers(tiers) => tiers.0.iter().map(|tier| tier_word(*tier).to_owned()).collect(),
            Self::Networks(networks) => all(&networks.0),
            Self::Assets(assets) => all(&assets.0),
            Self::To(to) => to.canonical(),
            Self::Subjects(subjects) => all(&subjects.0),
            Self::Selectors(selectors) => all(&selectors.0),
            Self::Words(words) => words.canonical(),
            Self::Hours(hours) => hours.canonical(),
            Self::Attributes(attributes) => attributes.canonical(),
            Self::AmountMax(_)
            | Self::AmountOver(_)
            | Self::FeeMax(_)
            | Self::FeeShare(_)
            | Self::FeeRate(_)
            | Self::TotalMax(_)
            | Self::TotalOver(_) => Vec::new(),
        };
        format!("{} {}", self.kind(), words.join(" "))
    }
}

/// The conditions of one rule: all of them must hold, each kind stands at most once, none is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conditions {
    /// In the order of [`ConditionKind`].
    all: Vec<Condition>,
    /// The kinds of effects that they can hold for.
    kinds: Kinds,
    /// Those in between: what is left to ask of one effect of these kinds.
    each: Range<usize>,
    /// Those of `each` that are no bound to be over: tiers of each other share them.
    shared: Range<usize>,
}

impl Conditions {
    /// Checks the conditions of a rule.
    pub(crate) fn new(rule: &RuleId, kind: RuleKind, mut conditions: Vec<Condition>) -> Result<Self, PolicyError> {
        conditions.sort_by_key(Condition::kind);
        for condition in &conditions {
            check(rule, kind, condition)?;
        }
        for pair in conditions.windows(2) {
            if let [first, second] = pair
                && first.kind() == second.kind()
            {
                return Err(PolicyError::RepeatedCondition {
                    rule: rule.clone(),
                    condition: first.kind(),
                });
            }
        }
        // `effects` stands first, and the totals stand last.
        let is_each = |condition: &Condition| !condition.is_kinds() && !condition.is_total();
        let start = conditions.iter().take_while(|condition| condition.is_kinds()).count();
        let end = start.saturating_add(conditions.iter().filter(|condition| is_each(condition)).count());
        let is_over = |condition: &Condition| matches!(condition, Condition::AmountOver(_));
        // What stands behind it stands in permits, and it does not.
        let shared = conditions.iter().position(is_over).unwrap_or(end);
        Ok(Self {
            kinds: Kinds::among(&conditions),
            all: conditions,
            each: start..end,
            shared: start..shared,
        })
    }

    /// The conditions, in the order of [`ConditionKind`].
    pub fn iter(&self) -> impl Iterator<Item = &Condition> {
        self.all.iter()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether all conditions but the totals hold for an effect.
    pub(crate) fn matches(&self, view: &View<'_>) -> Truth {
        self.all_match(&self.each, view)
    }

    /// Whether all conditions may hold for an effect, but for the bounds that its amount or a sum must be over.
    pub(crate) fn may_match_beside_bounds(&self, view: &View<'_>) -> bool {
        self.all_match(&self.shared, view).is_possible()
    }

    #[inline]
    fn all_match(&self, asked: &Range<usize>, view: &View<'_>) -> Truth {
        if !self.kinds.meet(view.kind) {
            return Truth::False;
        }
        let mut truth = Truth::True;
        for condition in self.all.get(asked.clone()).unwrap_or_default() {
            truth = truth.and(condition.matches(view));
            // Nothing makes it true again: most rules are decided by their first conditions.
            if truth == Truth::False {
                break;
            }
        }
        truth
    }

    /// Whether both are the same but for the bounds that something must be over, and none of these is above the other's: then
    /// these conditions may hold wherever the others may.
    pub(crate) fn are_below(&self, other: &Self) -> bool {
        let each = self.all.iter().zip(&other.all);
        self.all.len() == other.all.len() && { each }.all(|(low, high)| low.is_below(high))
    }

    /// Whether the rule can concern what this initiator does through this wallet, whatever the transaction is.
    pub fn may_concern(&self, actor: &Actor<'_>) -> bool {
        self.all
            .iter()
            .all(|condition| condition.matches_actor(actor).is_possible())
    }

    /// The lines of a counter's text, without a kind of condition that the measure implies.
    pub(crate) fn canonical(&self, implied: Option<ConditionKind>) -> Vec<String> {
        let said = self.all.iter().filter(|condition| Some(condition.kind()) != implied);
        said.map(Condition::canonical).collect()
    }

    /// The condition of a kind, if the rule has it.
    pub fn of(&self, kind: ConditionKind) -> Option<&Condition> {
        self.all.iter().find(|condition| condition.kind() == kind)
    }

    /// The upper bound on the sum of what is selected.
    pub(crate) fn total_max(&self) -> Option<&TotalMax> {
        if let Some(Condition::TotalMax(max)) = self.all.last() {
            Some(max)
        } else {
            None
        }
    }

    /// The bound that the sum of what is selected must be over.
    pub(crate) fn total_over(&self) -> Option<&TotalOver> {
        if let Some(Condition::TotalOver(over)) = self.all.last() {
            Some(over)
        } else {
            None
        }
    }

    /// The bound that an effect's amount must be over.
    pub(crate) fn amount_over(&self) -> Option<&AmountOver> {
        if let Some(Condition::AmountOver(over)) = self.all.get(self.shared.end) {
            Some(over)
        } else {
            None
        }
    }
}

fn check(rule: &RuleId, kind: RuleKind, condition: &Condition) -> Result<(), PolicyError> {
    let (rule, name) = (rule.clone(), condition.kind());
    if !name.is_allowed_in(kind) {
        return Err(PolicyError::MisplacedCondition {
            rule,
            kind,
            condition: name,
        });
    }
    if let Condition::Words(Words(words)) = condition
        && !words.iter().all(|word| word.test.is_allowed_in(kind))
    {
        let condition = name;
        return Err(PolicyError::MisplacedCondition { rule, kind, condition });
    }
    if condition.is_empty() {
        return Err(PolicyError::EmptyCondition { rule, condition: name });
    }
    // "over 0" is how one says "any amount at all"; a maximum of zero is a forbid in disguise.
    let is_maximum = matches!(
        name,
        ConditionKind::AmountMax | ConditionKind::FeeMax | ConditionKind::FeeRate | ConditionKind::TotalMax
    );
    if is_maximum && condition.bounds().is_some_and(Bounds::has_zero) {
        return Err(PolicyError::ZeroBound { rule, condition: name });
    }
    Ok(())
}
