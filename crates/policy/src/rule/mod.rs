//! The closed set of rule kinds, one file each.

mod breaker;
mod charge;
mod forbid;
mod ladder;
mod limit;
mod matched;
mod meter;
mod permit;
mod require;
mod scope;

use std::fmt;

use countersign_types::AssetId;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

pub use self::{
    breaker::{Breaker, Frozen, MAX_BREAKER_WINDOW, Trip},
    forbid::Forbid,
    limit::Limit,
    meter::{Ceiling, Meter},
    permit::Permit,
    require::Require,
    scope::ScopeBy,
};
pub(crate) use self::{
    charge::{ChargeKey, Charged},
    ladder::{Ladder, Step, asked_by},
    matched::{amount_overruns, may_be_over, may_match, total_overruns},
};
use crate::{
    EffectFact, Facts, Truth,
    condition::{Conditions, Kinds, Valued, View},
    sums::Sums,
};

/// The kind of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleKind {
    /// Covers effects.
    Permit,
    /// Adds obligations.
    Require,
    /// Bounds amounts.
    Limit,
    /// Denies.
    Forbid,
    /// Freezes.
    Breaker,
}

impl RuleKind {
    /// The name of the kind.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Permit => "permit",
            Self::Require => "require",
            Self::Limit => "limit",
            Self::Forbid => "forbid",
            Self::Breaker => "breaker",
        }
    }
}
impl fmt::Display for RuleKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Transactions seldom have more effects that policy sees: so many need no memory of their own.
const USUAL_EFFECTS: usize = 4;

/// An effect that policy sees: not proven own change.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen<'a> {
    /// Its place in the transaction.
    pub(crate) index: u32,
    pub(crate) view: View<'a>,
}

impl<'a> Seen<'a> {
    /// The effects of a transaction that policy sees (POLICY.md step 1), in their order.
    pub(crate) fn all(facts: &'a Facts<'a>) -> SmallVec<[Self; USUAL_EFFECTS]> {
        let sums = Sums::of(facts);
        let mut last = (None, None);
        let mut registered = |asset: Option<&'a AssetId>| {
            // Most transactions are about one asset.
            if last.0 != asset {
                let record = asset.and_then(|asset| facts.assets.asset(asset));
                last = (asset, record.map(|record| &record.id));
            }
            last.1
        };
        let policed = facts
            .effects
            .iter()
            .zip(0_u32..)
            .filter(|(fact, _)| !fact.effect.is_own_change());
        let mut seen = SmallVec::new();
        seen.extend(policed.map(|(fact, index)| Self {
            index,
            view: View {
                facts,
                fact,
                kind: Kinds::of(fact.effect.kind()),
                amount: Valued {
                    registered: registered(fact.effect.asset()),
                    sum: sums.amount_of(fact),
                    values: facts.values(),
                },
            },
        }));
        seen
    }

    pub(crate) fn fact(&self) -> &'a EffectFact<'a> {
        self.view.fact
    }
}

/// The effects that a rule's conditions select, totals aside: everything not known to be outside.
pub(crate) fn select<'s, 'a>(
    conditions: &'s Conditions,
    seen: &'s [Seen<'a>],
) -> impl Iterator<Item = (&'s Seen<'a>, Truth)> {
    seen.iter()
        .map(|effect| (effect, conditions.matches(&effect.view)))
        .filter(|(_, truth)| truth.is_possible())
}
