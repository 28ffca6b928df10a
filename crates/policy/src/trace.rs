//! The computed trace: it goes into the audit log and into receipts, and an auditor recomputes it bit for bit.
//!
//! The JSON form is part of the log's format: ordered maps and vectors, amounts as decimal strings, no floats, absent
//! parts written as `null`; parts that came with later rules are left out where they say nothing, so that a trace without
//! them keeps its bytes. A change of what it says for the same policy and facts is a new [`SEMANTICS`].

use std::collections::{BTreeMap, BTreeSet};

use countersign_types::{
    Amount, AssetId, ChainId, CounterId, Destination, EffectKind, PrincipalId, RuleId, SubjectId, Tag, TenantId, Tier,
    WalletId,
};
use serde::{Deserialize, Serialize};

use crate::{Charge, Currency, Obligations, Window};

/// The version of what effects and rules mean. Decision entries name it.
pub const SEMANTICS: &str = "cs-eval/1";

/// The most reasons a trace carries; what is left out is counted.
pub const MAX_REASONS: usize = 64;

/// What the policy says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// No.
    Deny,
    /// Yes, once the obligations are met.
    Allow(Obligations),
}

/// The answer and how it came about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// [`SEMANTICS`].
    pub semantics: String,
    /// The answer.
    pub outcome: Outcome,
    /// Why it is a denial, forbids first; empty if it is not.
    pub reasons: Vec<Reason>,
    /// How many reasons there are beyond [`MAX_REASONS`].
    pub reasons_left_out: u32,
    /// Every effect that policy sees, with the rules that matched it.
    pub effects: Vec<EffectTrace>,
    /// Every require that matched, with what it asked for and why.
    pub requires: Vec<RequireTrace>,
    /// Every charge, with its limit before and after.
    pub limits: Vec<LimitTrace>,
}

/// One reason of a denial.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// What kind of reason.
    pub tag: Tag,
    /// The rule that said no.
    pub rule: Option<RuleId>,
    /// The effect at fault, by its place in the transaction.
    pub effect: Option<u32>,
    /// The numbers that were compared.
    pub detail: Option<Comparison>,
}

/// A number against its bound: in base units of the asset, or in 10⁻⁸ of the currency, or a count where there is neither.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// The asset.
    pub asset: Option<AssetId>,
    /// The currency, of money.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
    /// The amount; `None` is unknown.
    pub value: Option<Amount>,
    /// The bound.
    pub bound: Option<Amount>,
}

/// One effect and the rules that matched it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EffectTrace {
    /// Its place in the transaction.
    pub index: u32,
    /// Its kind.
    pub kind: EffectKind,
    /// The permits that cover it.
    pub permits: Vec<RuleId>,
    /// The requires that it matches, by itself or in a sum.
    pub requires: Vec<RuleId>,
    /// The forbids that it matches, by itself or in a sum.
    pub forbids: Vec<RuleId>,
}

/// A require that matched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequireTrace {
    /// The rule.
    pub rule: RuleId,
    /// What it asks for.
    pub obligations: Obligations,
    /// The sums and amounts that were over its bounds; empty where no number decided.
    pub over: Vec<Comparison>,
}

/// What one limit counts separately.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitKey {
    /// The asset; `None` where the charge cannot be valued.
    pub asset: Option<AssetId>,
    /// The destination, for limits scoped by it.
    pub destination: Option<Destination>,
    /// The signing wallet, for limits scoped by it.
    pub wallet: Option<WalletId>,
    /// The customer, for limits scoped by them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<SubjectId>,
    /// Who asked, for limits scoped by them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initiator: Option<PrincipalId>,
    /// The network, for limits scoped by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<ChainId>,
    /// The tier, for limits scoped by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
    /// The tenant, for limits scoped by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantId>,
}

/// One charge to one limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitTrace {
    /// The limit.
    pub rule: RuleId,
    /// What was charged.
    pub key: LimitKey,
    /// What was charged before this transaction: nothing, for a limit of one transaction; `None` is unknown.
    pub before: Option<Amount>,
    /// What this transaction charges; `None` is unknown.
    pub charge: Option<Amount>,
    /// Both together; `None` is unknown, and over every bound.
    pub after: Option<Amount>,
    /// The hard maximum; `None` where the charge cannot be valued.
    pub hard: Option<Amount>,
    /// The currency, of a limit in money.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
    /// The window, unless it is one transaction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// The counter that the journal charges, for a limit over more than one transaction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counter: Option<CounterId>,
    /// The soft maximum, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soft: Option<Amount>,
    /// What being over the soft maximum asks for, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over_soft: Option<Obligations>,
}

impl Evaluation {
    /// What the journal charges if this is authorized: each counter once, and never less than any limit charged it.
    pub fn charges(&self) -> Vec<Charge> {
        charges([self])
    }

    /// The effects that no permit covers, as far as the reasons name them: what [`nearest`](crate::nearest) is asked about.
    pub fn uncovered(&self) -> BTreeSet<u32> {
        let uncovered = self.reasons.iter().filter(|reason| reason.tag == Tag::PermitUncovered);
        uncovered.filter_map(|reason| reason.effect).collect()
    }
}

/// What the journal charges if all of these are what one authorization rests on: the largest charge of each counter.
pub fn charges<'e>(evaluations: impl IntoIterator<Item = &'e Evaluation>) -> Vec<Charge> {
    let limits = evaluations.into_iter().flat_map(|evaluation| &evaluation.limits);
    let mut charges: BTreeMap<CounterId, Amount> = BTreeMap::new();
    for (counter, amount) in limits.filter_map(|limit| limit.counter.zip(limit.charge)) {
        let charged = charges.entry(counter).or_default();
        *charged = amount.max(*charged);
    }
    let charge = |(counter, amount)| Charge { counter, amount };
    charges.into_iter().map(charge).collect()
}
