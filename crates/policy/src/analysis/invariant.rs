//! Invariants: what must hold of every withdrawal, and whether it does.

use countersign_types::RuleId;

use super::{
    Budget, Setting, Withdrawal,
    proof::{self, Proven},
    regions::{Rule, Visitor, Walk, is_uncovered},
    setting::{asked, may_match},
};
use crate::{
    Condition, ConditionKind, Conditions, Evaluation, Obligations, Permit, Policy, PolicyError, PolicyParts, RuleKind,
};

/// What must be so whenever the conditions match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Promise {
    /// Denied.
    Deny,
    /// Denied, or allowed with at least these obligations.
    Asks(Obligations),
}

/// A promise about every withdrawal that conditions match; they match as those of a require do, so what is unknown counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invariant {
    id: RuleId,
    when: Conditions,
    then: Promise,
}

impl Invariant {
    /// Checks the conditions as those of a require; a promise that asks for nothing is refused.
    pub fn new(id: RuleId, when: Vec<Condition>, then: Promise) -> Result<Self, PolicyError> {
        let when = Conditions::new(&id, RuleKind::Require, when)?;
        if matches!(&then, Promise::Asks(obligations) if obligations.is_empty()) {
            return Err(PolicyError::EmptyRequire { rule: id });
        }
        Ok(Self { id, when, then })
    }

    /// The id.
    pub fn id(&self) -> &RuleId {
        &self.id
    }

    /// When it applies.
    pub fn when(&self) -> &Conditions {
        &self.when
    }

    /// What is promised.
    pub fn then(&self) -> &Promise {
        &self.then
    }

    /// Whether a decision keeps the promise.
    pub fn is_kept(&self, evaluation: Option<&Evaluation>) -> bool {
        match (&self.then, asked(evaluation)) {
            (_, None) => true,
            (Promise::Deny, Some(_)) => false,
            (Promise::Asks(promised), Some(asked)) => asked.covers(promised),
        }
    }
}

/// What is known of an invariant.
#[derive(Debug, Clone, PartialEq)]
pub enum Conclusion {
    /// It holds for every withdrawal.
    Holds,
    /// It does not hold for this one, which was decided so.
    Violated(Box<(Withdrawal, Evaluation)>),
    /// No withdrawal that breaks it was found, and that none exists does not follow.
    Undecided(Doubt),
}

/// Why nothing is claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// The budget did not suffice, or there were more cells than are looked at.
    RanOut,
    /// No single payment and no batch of equal ones breaks it, and no rule of the policy settles what other batches add up to.
    Batches,
    /// It is broken by fees that are larger than the share that permits allow, and no transfer was found beside which they
    /// are allowed.
    FeeShares,
}

/// Whether an invariant holds under a policy.
///
/// Payments of one effect are exhausted. For larger transactions, adding an effect never loosens, so what matches conditions
/// that compare no amounts matches for one of its effects alone; where sums are compared, a rule of the policy must settle
/// them ([`proof`]). Fee shares are the one condition that more effects can fulfil: they are proven without.
pub fn prove(invariant: &Invariant, setting: &Setting<'_>, budget: Budget) -> Conclusion {
    let (found, ran_out) = search(invariant, setting, budget);
    if let Some(found) = found {
        return Conclusion::Violated(Box::new(found));
    }
    let Some(policy) = without_fee_shares(setting.policy) else {
        return match ran_out {
            true => Conclusion::Undecided(Doubt::RanOut),
            false => of_batches(invariant, setting, budget),
        };
    };
    let wider = Setting {
        policy: &policy,
        ..setting.clone()
    };
    match search(invariant, &wider, budget) {
        (Some(_), _) => Conclusion::Undecided(Doubt::FeeShares),
        (None, true) => Conclusion::Undecided(Doubt::RanOut),
        (None, false) => of_batches(invariant, &wider, budget),
    }
}

fn of_batches(invariant: &Invariant, setting: &Setting<'_>, budget: Budget) -> Conclusion {
    match proof::settle(invariant, setting, budget) {
        Proven::Settled => Conclusion::Holds,
        Proven::Open => Conclusion::Undecided(Doubt::Batches),
        Proven::RanOut => Conclusion::Undecided(Doubt::RanOut),
    }
}

/// The policy with permits that do not ask for a share; `None` if none does.
fn without_fee_shares(policy: &Policy) -> Option<Policy> {
    let is_share = |condition: &&Condition| condition.kind() == ConditionKind::FeeShare;
    policy
        .permits()
        .any(|permit| permit.conditions().iter().any(|condition| is_share(&condition)))
        .then_some(())?;
    let permit = |permit: &Permit| {
        let kept = permit
            .conditions()
            .iter()
            .filter(|condition| !is_share(condition))
            .cloned();
        Permit::new(permit.id().clone(), kept.collect()).ok()
    };
    let parts = PolicyParts {
        permits: policy.permits().map(permit).collect::<Option<_>>()?,
        requires: policy.requires().cloned().collect(),
        limits: policy.limits().cloned().collect(),
        forbids: policy.forbids().cloned().collect(),
    };
    Policy::new(parts).ok()
}

fn search(invariant: &Invariant, setting: &Setting<'_>, budget: Budget) -> (Option<(Withdrawal, Evaluation)>, bool) {
    let (settings, beside) = ([setting], [invariant.when()]);
    let mut walk = Walk::new(&settings, &beside, budget);
    let mut search = Search {
        invariant,
        setting,
        found: None,
    };
    walk.run(&mut search);
    (search.found, walk.ran_out)
}

struct Search<'a> {
    invariant: &'a Invariant,
    setting: &'a Setting<'a>,
    found: Option<(Withdrawal, Evaluation)>,
}

impl Visitor for Search<'_> {
    fn is_worth(&self, rules: &[Rule<'_>], active: &[bool]) -> bool {
        // The conditions of the invariant stand last.
        self.found.is_none() && active.last() == Some(&true) && !is_uncovered(rules, active, 0)
    }

    fn enter(&mut self, _: &[Rule<'_>], _: &[bool], _: &Withdrawal) -> bool {
        self.found.is_none()
    }

    fn visit(&mut self, withdrawal: &Withdrawal) {
        if self.found.is_some() || !may_match(self.setting, self.invariant.when(), withdrawal) {
            return;
        }
        if let Some(evaluation) = self.setting.decide(withdrawal)
            && !self.invariant.is_kept(Some(&evaluation))
        {
            self.found = Some((withdrawal.clone(), evaluation));
        }
    }
}
