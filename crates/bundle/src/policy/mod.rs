//! `policy.yaml`: permits, requires, limits, forbids, breakers.

mod breakers;
mod conditions;
mod invariants;
mod limits;
mod moments;
mod raw;

use std::collections::BTreeMap;

use countersign_policy::{
    AmountMax, AmountOver, Condition, FeeMax, Forbid, Permit, Policy, PolicyError, PolicyParts, Require, Seats,
    TotalMax, TotalOver, analysis::Invariant,
};
use countersign_types::{GroupId, RuleId};

pub(crate) use self::breakers::read_trip;
pub(crate) use self::conditions::{Names, selector};
pub(crate) use self::moments::word_value;
pub(crate) use self::raw::{RawAttestation, RawTrip};
use self::{
    conditions::Reader,
    limits::Asked,
    raw::{PolicyFile, RawForbid, RawPermit, RawRequire, RawWhen},
};
use crate::{
    confusable::Looks,
    error::Found,
    places::Place,
    problem::Problem,
    yaml::{self, Doc},
};

const FILE: &str = "policy.yaml";
const SCHEMA: &str = "countersign.policy/1";
/// No group has more people (`countersign_approval::MAX_QUORUM_MEMBERS`).
const MAX_SEATS: u64 = 64;

/// The most invariants: each is proven by itself.
const MAX_INVARIANTS: usize = 64;

/// A policy, what must hold of it, and where each require or soft limit asks for its approvals.
pub(crate) struct Loaded {
    pub(crate) policy: Policy,
    pub(crate) invariants: Vec<Invariant>,
    pub(crate) asking: BTreeMap<RuleId, Place>,
    /// Where the id of each rule and of each invariant stands.
    pub(crate) ids: BTreeMap<RuleId, Place>,
}

/// Reads the policy. Every rule is read whatever is wrong with the others.
pub(crate) fn load(bytes: &[u8], names: &Names<'_>, found: &mut Found) -> Option<Loaded> {
    let doc: Doc<'_, PolicyFile> = yaml::read(FILE, bytes, found)?;
    if doc.raw.schema != SCHEMA {
        found.push(doc.value("schema", Problem::BadSchema(SCHEMA)));
        return None;
    }
    let mut rules = Rules {
        reader: Reader {
            doc: &doc,
            names,
            errors: Vec::new(),
        },
        ids: BTreeMap::new(),
        looks: Looks::default(),
    };
    let parts = PolicyParts {
        permits: rules.each("permits", &doc.raw.permits, Rules::permit),
        requires: rules.each("requires", &doc.raw.requires, Rules::require),
        limits: rules.each("limits", &doc.raw.limits, Rules::limit),
        forbids: rules.each("forbids", &doc.raw.forbids, Rules::forbid),
    };
    rules.certify_windows(&doc.raw.limits);
    let raw_breakers = doc.raw.breakers.as_deref().unwrap_or_default();
    let breakers = rules.each("breakers", raw_breakers, Rules::breaker);
    let raw = doc.raw.invariants.as_deref().unwrap_or_default();
    if raw.len() > MAX_INVARIANTS {
        let (what, found, max) = ("invariants", raw.len(), MAX_INVARIANTS);
        rules.fail("invariants", Problem::TooMany { what, found, max });
    }
    let invariants = rules.each("invariants", raw, Rules::invariant);
    let ids = rules.ids;
    let errors = rules.reader.errors;
    let is_whole = errors.is_empty();
    errors.into_iter().for_each(|error| found.push(error));
    let place = |id: &str, path: String| Some((id.parse().ok()?, doc.places.key(&path)));
    let requires = doc.raw.requires.iter().enumerate();
    let requires = requires.filter_map(|(n, raw)| place(&raw.id, format!("requires[{n}].approvals")));
    let limits = doc.raw.limits.iter().enumerate();
    let limits = limits.filter_map(|(n, raw)| place(&raw.id, format!("limits[{n}].over-soft.approvals")));
    let asking = requires.chain(limits).collect();
    match Policy::new(parts).and_then(|policy| policy.with_breakers(breakers)) {
        Ok(policy) => is_whole.then_some(Loaded {
            policy,
            invariants,
            asking,
            ids,
        }),
        Err(error) => {
            found.push(doc.value("permits", error));
            None
        }
    }
}

/// The rules of one file while they are being read.
struct Rules<'r> {
    reader: Reader<'r, PolicyFile>,
    ids: BTreeMap<RuleId, Place>,
    looks: Looks,
}

impl Rules<'_> {
    fn each<Raw, Rule>(
        &mut self,
        section: &str,
        raw: &[Raw],
        read: impl Fn(&mut Self, &str, &Raw) -> Option<Rule>,
    ) -> Vec<Rule> {
        raw.iter()
            .enumerate()
            .filter_map(|(n, raw)| read(self, &format!("{section}[{n}]"), raw))
            .collect()
    }

    fn fail(&mut self, path: &str, problem: impl Into<Problem>) {
        self.reader.fail(path, problem);
    }

    /// A rule's id, unique among rules of all kinds.
    fn id(&mut self, path: &str, text: &str) -> Option<RuleId> {
        let path = format!("{path}.id");
        let id = RuleId::parse(text).map_err(|error| self.fail(&path, error)).ok()?;
        let place = self.reader.doc.places.value(&path);
        if self.ids.insert(id.clone(), place).is_some() {
            self.fail(&path, PolicyError::DuplicateRule { rule: id });
            return None;
        }
        if let Some(problem) = self.looks.add("rule", id.as_str()) {
            self.fail(&path, problem);
        }
        Some(id)
    }

    /// The rule, unless something in it was wrong already; then what follows from that is not worth saying.
    fn made<R>(&mut self, path: &str, errors_before: usize, made: Result<R, PolicyError>) -> Option<R> {
        if self.reader.errors.len() > errors_before {
            return None;
        }
        made.map_err(|error| {
            let place = self.place(path, &error);
            self.reader.errors.push(self.reader.doc.at(place, error));
        })
        .ok()
    }

    /// The key of the condition at fault, or the rule's id.
    fn place(&self, path: &str, error: &PolicyError) -> Place {
        let places = &self.reader.doc.places;
        let kind = error.condition().map(|kind| kind.as_str()).unwrap_or_default();
        [format!("{path}.{kind}"), format!("{path}.when.{kind}")]
            .iter()
            .find_map(|path| places.exact_key(path))
            .unwrap_or_else(|| places.value(&format!("{path}.id")))
    }

    fn permit(&mut self, path: &str, raw: &RawPermit) -> Option<Permit> {
        let before = self.reader.errors.len();
        let id = self.id(path, &raw.id);
        let mut conditions = self.reader.selection(path, &raw.selection());
        if let Some(amount) = &raw.amount {
            let max = self.reader.bounds(&format!("{path}.amount.max"), &amount.max);
            conditions.push(Condition::AmountMax(AmountMax(max)));
        }
        if let Some(fee) = &raw.fee {
            if fee.max.is_none() && fee.share.is_none() && fee.rate.is_none() {
                self.fail(&format!("{path}.fee"), Problem::BadFee);
            }
            if let Some(max) = &fee.max {
                let max = self.reader.bound(&format!("{path}.fee.max"), max);
                conditions.push(Condition::FeeMax(FeeMax(max)));
            }
            let rate = fee.rate.as_ref();
            conditions.extend(rate.map(|rate| self.reader.rate(&format!("{path}.fee.rate"), rate)));
            let share = fee.share.as_ref();
            conditions.extend(share.and_then(|share| self.reader.share(&format!("{path}.fee.share"), share)));
        }
        if let Some(total) = &raw.total {
            let max = self.reader.bounds(&format!("{path}.total.max"), &total.max);
            conditions.push(Condition::TotalMax(TotalMax(max)));
        }
        self.reader.certify_prices(path, &conditions, []);
        self.made(path, before, Permit::new(id?, conditions))
    }

    /// The conditions of the require or forbid at `rule`.
    fn when(&mut self, rule: &str, raw: &RawWhen) -> Vec<Condition> {
        let path = &format!("{rule}.when");
        let mut conditions = self.reader.selection(path, &raw.selection());
        if let Some(amount) = &raw.amount {
            let over = self.reader.bounds(&format!("{path}.amount.over"), &amount.over);
            conditions.push(Condition::AmountOver(AmountOver(over)));
        }
        if let Some(total) = &raw.total {
            let over = self.reader.bounds(&format!("{path}.total.over"), &total.over);
            conditions.push(Condition::TotalOver(TotalOver(over)));
        }
        self.reader.certify_prices(rule, &conditions, []);
        conditions
    }

    fn require(&mut self, path: &str, raw: &RawRequire) -> Option<Require> {
        let before = self.reader.errors.len();
        let id = self.id(path, &raw.id);
        let conditions = raw.when.as_ref().map(|when| self.when(path, when)).unwrap_or_default();
        let asked = Asked {
            approvals: raw.approvals.as_ref(),
            time_lock: raw.time_lock.as_ref(),
            attestations: raw.attestations.as_ref(),
        };
        let obligations = self.obligations(path, &asked);
        self.made(path, before, Require::new(id?, conditions, obligations))
    }

    fn seats(&mut self, path: &str, group: &str, seats: u64) -> Option<(GroupId, Seats)> {
        let at = format!("{path}.approvals.{group}");
        let id = self.reader.names.group(group);
        let count = self.reader.doc.places.seats(&at, seats, MAX_SEATS);
        let id = id
            .map_err(|problem| self.reader.errors.push(self.reader.doc.key(&at, problem)))
            .ok()?;
        let count = count.map_err(|problem| self.fail(&at, problem)).ok()?;
        Some((id, u32::try_from(count).ok().and_then(Seats::new)?))
    }

    fn forbid(&mut self, path: &str, raw: &RawForbid) -> Option<Forbid> {
        let before = self.reader.errors.len();
        let id = self.id(path, &raw.id);
        let conditions = self.when(path, &raw.when);
        self.made(path, before, Forbid::new(id?, conditions))
    }
}
