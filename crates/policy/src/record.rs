//! What an evaluation tells on its way.

use countersign_types::{RuleId, Tag};

use crate::{
    Comparison, EffectTrace, Evaluation, Forbid, Limit, LimitTrace, MAX_REASONS, Outcome, Permit, Policy, Reason,
    Require, RequireTrace, SEMANTICS, Window,
    rule::{Charged, Seen, Step, amount_overruns, select, total_overruns},
};

/// So many rules of one kind seldom match one effect.
const USUAL_RULES: usize = 8;

/// Is told what an evaluation finds. It is never asked, so it cannot change an outcome.
pub(crate) trait Recorder<'p> {
    /// A forbid matched.
    fn forbidden(&mut self, forbid: &Forbid, seen: &[Seen<'_>]);
    /// A permit covers an effect.
    fn covered(&mut self, permit: &Permit, effect: &Seen<'_>);
    /// No permit covers an effect, or there is none.
    fn uncovered(&mut self, effect: Option<&Seen<'_>>);
    /// Requires matched.
    fn required(&mut self, steps: &'p [Step]);
    /// A limit is charged.
    fn charged(&mut self, limit: &Limit, charged: &Charged<'_>);
}

/// Keeps nothing.
pub(crate) struct Silence;

impl<'p> Recorder<'p> for Silence {
    fn forbidden(&mut self, _: &Forbid, _: &[Seen<'_>]) {}
    fn covered(&mut self, _: &Permit, _: &Seen<'_>) {}
    fn uncovered(&mut self, _: Option<&Seen<'_>>) {}
    fn required(&mut self, _: &'p [Step]) {}
    fn charged(&mut self, _: &Limit, _: &Charged<'_>) {}
}

/// Keeps the trace.
pub(crate) struct TraceRecorder<'p> {
    reasons: Vec<Reason>,
    reasons_left_out: u32,
    /// In order of index.
    effects: Vec<EffectTrace>,
    /// In the order of evaluation.
    requires: Vec<&'p Step>,
    limits: Vec<LimitTrace>,
}

impl<'p> TraceRecorder<'p> {
    pub(crate) fn of(policy: &'p Policy, seen: &[Seen<'_>]) -> Self {
        let effects = seen.iter().map(|effect| EffectTrace {
            index: effect.index,
            kind: effect.fact().effect.kind(),
            permits: Vec::new(),
            requires: Vec::new(),
            forbids: Vec::new(),
        });
        Self {
            effects: effects.collect(),
            reasons: Vec::new(),
            reasons_left_out: 0,
            requires: Vec::with_capacity(policy.kinds().requires.len()),
            limits: Vec::with_capacity(policy.kinds().limits.len()),
        }
    }

    pub(crate) fn into_evaluation(mut self, seen: &[Seen<'_>], outcome: Outcome) -> Evaluation {
        let requires = self.take_requires(seen);
        Evaluation {
            semantics: SEMANTICS.to_owned(),
            outcome,
            reasons: self.reasons,
            reasons_left_out: self.reasons_left_out,
            effects: self.effects,
            requires,
            limits: self.limits,
        }
    }

    /// What matched, in order of id.
    fn take_requires(&mut self, seen: &[Seen<'_>]) -> Vec<RequireTrace> {
        let mut steps = std::mem::take(&mut self.requires);
        steps.sort_unstable_by_key(|step| step.place);
        let requires = steps.into_iter().map(|step| self.required_by(&step.require, seen));
        requires.collect()
    }

    fn required_by(&mut self, require: &Require, seen: &[Seen<'_>]) -> RequireTrace {
        let mut over = total_overruns(require.conditions(), seen);
        for (effect, _) in select(require.conditions(), seen) {
            self.note(effect.index, require.id(), |effect| &mut effect.requires);
            amount_overruns(require.conditions(), effect, |amount| {
                if over.is_empty() {
                    // Most often it is the only one.
                    over.reserve_exact(1);
                }
                over.push(amount);
            });
        }
        over.sort_unstable();
        over.dedup();
        RequireTrace {
            rule: require.id().clone(),
            obligations: require.obligations().clone(),
            over,
        }
    }

    fn reason(&mut self, reason: Reason) {
        if self.reasons.len() < MAX_REASONS {
            self.reasons.push(reason);
        } else {
            self.reasons_left_out = self.reasons_left_out.saturating_add(1);
        }
    }

    fn note(&mut self, index: u32, rule: &RuleId, list: impl Fn(&mut EffectTrace) -> &mut Vec<RuleId>) {
        let at = self.effects.binary_search_by_key(&index, |effect| effect.index).ok();
        if let Some(effect) = at.and_then(|at| self.effects.get_mut(at)) {
            let rules = list(effect);
            if rules.is_empty() {
                rules.reserve_exact(USUAL_RULES);
            }
            rules.push(rule.clone());
        }
    }
}

impl<'p> Recorder<'p> for TraceRecorder<'p> {
    fn forbidden(&mut self, forbid: &Forbid, seen: &[Seen<'_>]) {
        let reason = |effect, detail| Reason {
            tag: Tag::ForbidMatched,
            rule: Some(forbid.id().clone()),
            effect,
            detail,
        };
        let selected = || select(forbid.conditions(), seen).map(|(effect, _)| effect);
        let sums = total_overruns(forbid.conditions(), seen);
        let mut has_number = !sums.is_empty();
        sums.into_iter().for_each(|sum| self.reason(reason(None, Some(sum))));
        for effect in selected() {
            amount_overruns(forbid.conditions(), effect, |amount| {
                has_number = true;
                self.reason(reason(Some(effect.index), Some(amount)));
            });
        }
        for effect in selected() {
            self.note(effect.index, forbid.id(), |effect| &mut effect.forbids);
            if !has_number {
                self.reason(reason(Some(effect.index), None));
            }
        }
    }

    fn covered(&mut self, permit: &Permit, effect: &Seen<'_>) {
        self.note(effect.index, permit.id(), |effect| &mut effect.permits);
    }

    fn uncovered(&mut self, effect: Option<&Seen<'_>>) {
        self.reason(Reason {
            tag: Tag::PermitUncovered,
            rule: None,
            effect: effect.map(|effect| effect.index),
            detail: None,
        });
    }

    fn required(&mut self, steps: &'p [Step]) {
        self.requires.extend(steps);
    }

    fn charged(&mut self, limit: &Limit, charged: &Charged<'_>) {
        let window = Some(&limit.meter().window).filter(|window| **window != Window::Transaction);
        self.limits.push(LimitTrace {
            rule: limit.id().clone(),
            key: charged.key.to_limit_key(),
            before: charged.before,
            charge: charged.charge,
            after: charged.after,
            hard: charged.hard,
            currency: limit.meter().hard.currency(),
            window: window.cloned(),
            counter: charged.counter,
            soft: charged.soft,
            over_soft: limit.over_soft().filter(|_| charged.is_over_soft()).cloned(),
        });
        let over = self.limits.last().filter(|_| !charged.is_within()).map(overrun);
        over.into_iter().for_each(|reason| self.reason(reason));
    }
}

/// Why a charge is not within its limit.
fn overrun(charge: &LimitTrace) -> Reason {
    let is_known = charge.charge.is_some() && charge.hard.is_some();
    let tag = match (&charge.window, charge.before, charge.after) {
        (_, None, _) if is_known => Tag::LimitUsageUnknown,
        (None, _, Some(_)) if is_known => Tag::LimitPerTransactionExceeded,
        (Some(_), _, Some(_)) if is_known => Tag::LimitWindowExceeded,
        (_, _, _) => Tag::LimitUnknownAmount,
    };
    let detail = charge.hard.map(|hard| Comparison {
        asset: charge.key.asset.clone().filter(|_| charge.currency.is_none()),
        currency: charge.currency,
        value: charge.after,
        bound: Some(hard),
    });
    Reason {
        tag,
        rule: Some(charge.rule.clone()),
        effect: None,
        detail,
    }
}
