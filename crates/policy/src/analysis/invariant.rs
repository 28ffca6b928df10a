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
        true
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

#[cfg(test)]
mod tests {
    use countersign_types::EffectKind;

    use super::*;
    use crate::{
        AmountMax, Outcome,
        analysis::testing::{
            Bundle, amount_over, effects, forbid, limit, permit, require, short, to_list, total_max, total_over,
            transfers, treasury, unlisted, withdrawal, witness, worth_at_most,
        },
        testing::{asset, bounds, one_of, rule, transfer},
    };

    fn bundle(parts: PolicyParts) -> Bundle {
        Bundle::new(PolicyParts {
            permits: [vec![permit("p", vec![to_list("customers")])], parts.permits].concat(),
            ..parts
        })
    }

    #[test]
    fn an_invariant_promises_something_under_conditions_of_a_require() {
        let new = |when, then| Invariant::new(rule("inv"), when, then);
        let promise = Promise::Asks(treasury(2));
        let invariant = new(vec![transfers()], promise.clone()).unwrap();
        assert_eq!((invariant.id(), invariant.then()), (&rule("inv"), &promise));
        assert_eq!(invariant.when().iter().cloned().collect::<Vec<_>>(), [transfers()]);
        let nothing = Promise::Asks(Obligations::default());
        let empty = PolicyError::EmptyRequire { rule: rule("inv") };
        assert_eq!(new(vec![transfers()], nothing), Err(empty));
        let max = Condition::AmountMax(AmountMax(bounds(&[("eth", 1)])));
        assert!(new(vec![max], Promise::Deny).is_err());
    }

    #[test]
    fn a_promise_is_kept_by_a_denial_or_by_as_much_as_it_says() {
        let asking = bundle(PolicyParts {
            requires: vec![require("r", vec![], treasury(2))],
            ..PolicyParts::default()
        });
        let decide = |to| asking.setting().decide(&withdrawal(&[transfer("eth", 1, to)]));
        let (allowed, denied) = (decide("a"), decide("z"));
        let is_kept = |then: &Promise, evaluation: Option<&Evaluation>| {
            let invariant = Invariant::new(rule("inv"), vec![], then.clone()).unwrap();
            invariant.is_kept(evaluation)
        };
        let asks = |seats| Promise::Asks(treasury(seats));
        for (then, is_kept_if_allowed) in [
            (Promise::Deny, false),
            (asks(1), true),
            (asks(2), true),
            (asks(3), false),
        ] {
            assert_eq!(is_kept(&then, allowed.as_ref()), is_kept_if_allowed, "{then:?}");
            assert!(is_kept(&then, denied.as_ref()));
            assert!(is_kept(&then, None), "what the bundle does not know is refused");
        }
    }

    /// The policy, what is promised of what, and the withdrawal that breaks it, or nothing where it holds.
    #[test]
    fn what_breaks_a_promise_is_shown_and_was_decided_so() {
        let none = PolicyParts::default;
        let asking = || PolicyParts {
            requires: vec![require("r", vec![amount_over(5)], treasury(2))],
            ..none()
        };
        let more = |id: &str, conditions| PolicyParts {
            permits: vec![permit(id, conditions)],
            ..asking()
        };
        let asks = |seats| Promise::Asks(treasury(seats));
        let to_a = |amount: u64| format!("transfer {amount} ETH to a for customer-1, never paid before, entry 1d old");
        let rows = [
            (none(), vec![unlisted()], Promise::Deny, None),
            (none(), vec![transfers()], Promise::Deny, Some(to_a(1))),
            (asking(), vec![amount_over(5)], asks(2), None),
            (asking(), vec![amount_over(5)], asks(1), None),
            (asking(), vec![amount_over(5)], asks(3), Some(to_a(6))),
            (asking(), vec![amount_over(4)], asks(1), Some(to_a(5))),
            (asking(), vec![amount_over(5)], Promise::Deny, Some(to_a(6))),
            (more("q", vec![]), vec![unlisted(), amount_over(5)], asks(2), None),
            (
                more("q", vec![]),
                vec![unlisted()],
                asks(2),
                Some("transfer 5 ETH to stranger-1 for customer-1, never paid before".into()),
            ),
            (
                more("q", vec![to_list("nobody")]),
                vec![unlisted()],
                Promise::Deny,
                None,
            ),
        ];
        for (n, (parts, when, then, broken_by)) in rows.into_iter().enumerate() {
            let bundle = bundle(parts);
            let conclusion = bundle.prove(when.clone(), then.clone());
            let Some(broken_by) = broken_by else {
                assert_eq!(conclusion, Conclusion::Holds, "{n}");
                continue;
            };
            let (found, evaluation) = witness(&conclusion);
            assert_eq!(short(found), broken_by, "{n}");
            assert_eq!(bundle.setting().decide(found).as_ref(), Some(evaluation));
            assert_ne!(evaluation.outcome, Outcome::Deny);
            let invariant = Invariant::new(rule("inv"), when, then).unwrap();
            assert!(!invariant.is_kept(Some(evaluation)) && may_match(&bundle.setting(), invariant.when(), found));
        }
    }

    /// Nothing at all has a worth as soon as there is a price, and is within every bound in money.
    #[test]
    fn a_payment_of_nothing_is_looked_at_with_a_price() {
        let bundle = Bundle::new(PolicyParts {
            permits: vec![permit("p", vec![to_list("customers"), worth_at_most(1_000)])],
            requires: vec![require("r", vec![amount_over(0)], treasury(2))],
            ..PolicyParts::default()
        });
        let asks = Promise::Asks(treasury(2));
        assert_eq!(bundle.prove(vec![amount_over(0)], asks.clone()), Conclusion::Holds);
        let conclusion = bundle.prove(vec![transfers()], asks);
        let (found, _) = witness(&conclusion);
        assert!(short(found).starts_with("transfer 0 ETH to a"), "{}", short(found));
    }

    /// No list of assets has it, and no limit of another asset counts a move.
    #[test]
    fn an_asset_that_the_bundle_lacks_can_be_asked_about() {
        let all = Permit::new(rule("all"), vec![effects(&EffectKind::ALL)]).unwrap();
        let bundle = Bundle::new(PolicyParts {
            permits: vec![all],
            ..PolicyParts::default()
        });
        let stray = Condition::Assets(crate::Assets([asset("stray")].into_iter().collect()));
        let conclusion = bundle.prove(vec![transfers(), stray], Promise::Deny);
        let (found, _) = witness(&conclusion);
        assert_eq!(found.items[0].effect.asset(), Some(&asset("stray")));
    }

    /// One step: the only wallet.
    #[test]
    fn where_nothing_is_permitted_or_meant_nothing_is_looked_for() {
        let steps = |bundle: &Bundle, when| {
            let invariant = Invariant::new(rule("inv"), when, Promise::Deny).unwrap();
            prove(&invariant, &bundle.setting(), Budget::new(1))
        };
        let elsewhere = Condition::Wallets(crate::Wallets(one_of(&["other"])));
        assert_eq!(
            steps(&bundle(PolicyParts::default()), vec![elsewhere]),
            Conclusion::Holds
        );
        let empty = Bundle::new(PolicyParts::default());
        assert_eq!(steps(&empty, vec![transfers(), total_over(10)]), Conclusion::Holds);
        let beside = Conclusion::Undecided(Doubt::RanOut);
        assert_eq!(steps(&bundle(PolicyParts::default()), vec![transfers()]), beside);
    }

    #[test]
    fn a_policy_without_shares_is_proven_as_it_is() {
        let all = bundle(PolicyParts {
            permits: vec![permit("q", vec![total_max(5)])],
            requires: vec![require("r", vec![], treasury(1))],
            limits: vec![limit("l", "24h", 9, None, &[])],
            forbids: vec![forbid("f", vec![unlisted()])],
        });
        assert_eq!(without_fee_shares(&all.policy), None);
    }
}
