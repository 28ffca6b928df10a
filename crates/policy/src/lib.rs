//! The policy engine: `evaluate(policy, facts) -> evaluation`, total, pure and deterministic (POLICY.md, `cs-eval/1`), and
//! `decide(policy, facts) -> outcome`, the same without the trace.
//!
//! Promises: default deny; the order of rules never matters; a fact that is unknown counts against the withdrawal in
//! every kind of rule; nothing overrides a forbid; a permit never lowers an obligation; splitting a payment meets the
//! tiers of the whole; the trace is computed and serialises to the same bytes wherever it is recomputed.
//! Refuses: an error path. Whatever the facts are, the answer is deny, or allow with obligations; a rule that could be
//! skipped by an error does not exist, because a policy that holds together is the only one that can be constructed.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::wildcard_enum_match_arm,
        reason = "tests fail by panicking"
    )
)]

pub mod analysis;
pub mod change;
mod condition;
mod counter;
mod error;
mod evaluate;
mod facts;
mod list;
mod money;
mod nearest;
mod obligations;
mod policy;
mod record;
mod rule;
mod sums;
#[cfg(test)]
mod testing;
mod trace;
mod truth;
mod wants;
mod window;

pub use condition::{
    AmountMax, AmountOver, Assets, Attributes, Bounds, Condition, ConditionKind, Conditions, Day, Effects, FeeMax,
    FeeRate, FeeShare, Hours, InitiatorGroups, Initiators, MAX_WORD, Networks, OneOf, Selectors, Subjects, Tiers, To,
    TotalMax, TotalOver, Wallets, Word, WordTest, Words, tier_word,
};
pub use counter::{Charge, CounterUsage, Counters, Measure, Usage, UsageQuery};
pub use countersign_types::{AttestationKind, Currency, MONEY_DECIMALS, PRICE_DECIMALS, Price, UnknownCurrency};
pub use error::PolicyError;
pub use evaluate::{decide, evaluate};
pub use facts::{Actor, Context, DestinationFacts, EffectFact, Facts};
pub use list::{DestinationList, DestinationLists, ListError, MAX_LIST_BYTES, MAX_LIST_ENTRIES};
pub use money::Prices;
pub use nearest::{Near, nearest};
pub use obligations::{Obligations, Seats};
pub use policy::{Asking, MAX_RULES, MAX_WINDOWS, Policy, PolicyParts};
pub use rule::{
    Breaker, Ceiling, Forbid, Frozen, Limit, MAX_BREAKER_WINDOW, Meter, Permit, Require, RuleKind, ScopeBy, Trip,
};
pub use trace::{
    Comparison, EffectTrace, Evaluation, LimitKey, LimitTrace, MAX_REASONS, Outcome, Reason, RequireTrace, SEMANTICS,
    charges,
};
pub use truth::Truth;
pub use wants::Wants;
pub use window::{CalendarUnit, MAX_ROLLING, MIN_ROLLING, Rolling, Window, WindowError, Zone};
