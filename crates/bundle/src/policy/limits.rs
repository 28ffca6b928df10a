//! `limits`: how much over which window, and what it takes above a soft maximum.

use std::collections::{BTreeMap, BTreeSet};

use countersign_policy::{
    AttestationKind, Bounds, Ceiling, Condition, Limit, MAX_WINDOWS, Meter, Obligations, ScopeBy, Window, WindowError,
};
use countersign_types::{Duration, PrincipalId, Tag};

use super::{
    Rules,
    raw::{RawAttestation, RawLimit, RawObligations},
};
use crate::problem::Problem;

const COUNT_OF_ONE: &str = "one transaction is never over a `count`: write a window over time, such as `24h`";
/// The largest count: a limit of more transactions than this in 90 days limits nothing.
const MAX_COUNT: u64 = 1_000_000_000;
/// The longest time-lock: the approvals that complete the quorum must be valid still when it is over.
const MAX_TIME_LOCK: Duration = Duration::from_secs(90 * 86_400);
/// The most attestations that one rule asks for.
const MAX_ATTESTATIONS: usize = 8;

/// What a require, or a limit above its soft maximum, asks for, as it is written.
pub(super) struct Asked<'a> {
    pub(super) approvals: Option<&'a BTreeMap<String, u64>>,
    pub(super) time_lock: Option<&'a String>,
    pub(super) attestations: Option<&'a Vec<RawAttestation>>,
}

impl Rules<'_> {
    pub(super) fn limit(&mut self, path: &str, raw: &RawLimit) -> Option<Limit> {
        let before = self.reader.errors.len();
        let id = self.id(path, &raw.id);
        let conditions = self.reader.selection(path, &raw.selection());
        let window = self.window(path, raw);
        let hard = self.hard(path, raw, &conditions);
        let soft = self.soft(path, raw);
        let mut scope = BTreeSet::new();
        for (n, word) in raw.scope.iter().flatten().enumerate() {
            let is_new = scope_by(word).map(|by| scope.insert(by));
            if let Some(problem) = listed_twice(is_new, word) {
                self.fail(&format!("{path}.scope[{n}]"), problem);
            }
        }
        let meter = Meter {
            window: window?,
            hard: hard?,
            soft,
        };
        self.made(path, before, Limit::new(id?, conditions, scope, meter))
    }

    /// A duration stands alone; a unit of the calendar needs its zone beside it.
    fn window(&mut self, path: &str, raw: &RawLimit) -> Option<Window> {
        read_window(raw)
            .map_err(|error| self.fail(&format!("{path}.window"), error))
            .ok()
    }

    /// Told at the first limit that brings one window too many: a journal would refuse to look all of them up.
    pub(super) fn certify_windows(&mut self, limits: &[RawLimit]) {
        let mut windows = BTreeSet::new();
        let mut surplus = None;
        for (n, raw) in limits.iter().enumerate() {
            let window = read_window(raw).ok().filter(|window| *window != Window::Transaction);
            if window.is_some_and(|window| windows.insert(window)) && windows.len() > MAX_WINDOWS {
                surplus.get_or_insert(n);
            }
        }
        if let Some(n) = surplus {
            let (what, found, max) = ("different windows", windows.len(), MAX_WINDOWS);
            self.fail(&format!("limits[{n}].window"), Problem::TooMany { what, found, max });
        }
    }

    fn hard(&mut self, path: &str, raw: &RawLimit, conditions: &[Condition]) -> Option<Ceiling> {
        match (&raw.hard, raw.count, raw.new_destinations) {
            (Some(hard), None, None) => {
                let bounds = self.reader.bound(&format!("{path}.hard"), hard);
                self.reader
                    .certify_prices(path, conditions, bounds.money().map(|(currency, _)| currency));
                Some(ceiling(bounds))
            }
            (None, Some(count), None) => {
                if read_window(raw) == Ok(Window::Transaction) {
                    let problem = Problem::Said(Tag::BundleBadRule, COUNT_OF_ONE);
                    self.fail(&format!("{path}.window"), problem);
                }
                self.count(&format!("{path}.count"), count).map(Ceiling::Count)
            }
            (None, None, Some(count)) => {
                let count = self.count(&format!("{path}.new-destinations"), count);
                count.map(Ceiling::NewDestinations)
            }
            (_, _, _) => {
                self.fail(&format!("{path}.id"), Problem::BadLimit);
                None
            }
        }
    }

    fn count(&mut self, path: &str, count: u64) -> Option<u32> {
        if count == 0 {
            self.fail(path, Problem::NoCount { max: MAX_COUNT });
            return None;
        }
        let count = self.reader.doc.places.number(path, count, (1, MAX_COUNT));
        let count = count.map_err(|problem| self.fail(path, problem)).ok()?;
        u32::try_from(count).ok()
    }

    fn soft(&mut self, path: &str, raw: &RawLimit) -> Option<(Ceiling, Obligations)> {
        match (&raw.soft, &raw.over_soft, &raw.hard) {
            (None, None, _) => None,
            (Some(soft), Some(over), Some(_)) => {
                let ceiling = ceiling(self.reader.bound(&format!("{path}.soft"), soft));
                let RawObligations {
                    approvals,
                    time_lock,
                    attestations,
                } = over;
                let asked = Asked {
                    approvals: approvals.as_ref(),
                    time_lock: time_lock.as_ref(),
                    attestations: attestations.as_ref(),
                };
                Some((ceiling, self.obligations(&format!("{path}.over-soft"), &asked)))
            }
            (_, _, _) => {
                self.fail(&format!("{path}.id"), Problem::BadSoft);
                None
            }
        }
    }

    pub(super) fn obligations(&mut self, path: &str, asked: &Asked<'_>) -> Obligations {
        if asked.approvals.is_some_and(BTreeMap::is_empty) {
            let problem = Problem::Said(
                Tag::BundleEmptyQuorum,
                "`approvals` asks nobody: name a group, or leave it out",
            );
            self.fail(&format!("{path}.approvals"), problem);
        }
        if asked.attestations.is_some_and(Vec::is_empty) {
            let problem = Problem::Said(
                Tag::BundleBadRule,
                "`attestations` asks for none: name one, or leave it out",
            );
            self.fail(&format!("{path}.attestations"), problem);
        }
        let approvals = asked
            .approvals
            .into_iter()
            .flatten()
            .filter_map(|(group, seats)| self.seats(path, group, *seats));
        let approvals = approvals.collect();
        let time_lock = asked.time_lock.map_or(Ok(Duration::ZERO), |text| text.parse());
        let time_lock = time_lock
            .map_err(|error| self.fail(&format!("{path}.time-lock"), error))
            .unwrap_or_default();
        if time_lock > MAX_TIME_LOCK {
            self.fail(&format!("{path}.time-lock"), Problem::LongTimeLock);
        }
        let attestations = asked.attestations.map(Vec::as_slice).unwrap_or_default();
        if attestations.len() > MAX_ATTESTATIONS {
            let found = attestations.len();
            let (what, max) = ("attestations", MAX_ATTESTATIONS);
            self.fail(&format!("{path}.attestations"), Problem::TooMany { what, found, max });
        }
        let mut obligations = Obligations::new(approvals, time_lock);
        for (n, raw) in attestations.iter().enumerate() {
            if let Some((kind, by, max_age)) = self.attestation(&format!("{path}.attestations[{n}]"), raw) {
                obligations = obligations.with_attestation(kind, by, max_age);
            }
        }
        obligations
    }

    fn attestation(&mut self, path: &str, raw: &RawAttestation) -> Option<(AttestationKind, PrincipalId, Duration)> {
        let kind = raw
            .kind()
            .map_err(|problem| self.fail(&format!("{path}.kind"), problem));
        let by = self.reader.names.service(&raw.by);
        let by = by.map_err(|problem| self.fail(&format!("{path}.by"), problem));
        let max_age = raw.max_age.parse::<Duration>();
        let max_age = max_age.map_err(|error| self.fail(&format!("{path}.max-age"), error));
        if max_age == Ok(Duration::ZERO) {
            self.fail(&format!("{path}.max-age"), Problem::NeverFresh);
        }
        Some((kind.ok()?, by.ok()?, max_age.ok()?))
    }
}

/// What is wrong with one word of a list, which is new in it or not.
pub(super) fn listed_twice(is_new: Result<bool, Problem>, word: &str) -> Option<Problem> {
    match is_new {
        Ok(true) => None,
        Ok(false) => {
            let (what, id) = ("name", word.to_owned());
            Some(Problem::Duplicate { what, id })
        }
        Err(problem) => Some(problem),
    }
}

/// `"10000 USD"` is money, everything else a number of base units for each asset with the symbol.
fn ceiling(bounds: Bounds) -> Ceiling {
    let money = bounds.money().next();
    match money {
        Some((currency, money)) => Ceiling::Money(currency, money),
        None => Ceiling::Amounts(bounds),
    }
}

fn read_window(raw: &RawLimit) -> Result<Window, WindowError> {
    let text = match &raw.zone {
        Some(zone) => format!("{} {zone}", raw.window),
        None => raw.window.clone(),
    };
    // One key holds one part: a zone hidden in `window` would read well and be found nowhere.
    if raw.window.contains(' ') {
        return Err(WindowError::BadWindow);
    }
    text.parse()
}

fn scope_by(word: &str) -> Result<ScopeBy, Problem> {
    let by = ScopeBy::ALL.into_iter().find(|by| by.as_str() == word);
    by.ok_or_else(|| Problem::BadWord {
        word: word.chars().take(64).collect(),
        allowed: "`asset`, `destination`, `wallet`, `subject`, `initiator`, `network`, `tier`, `tenant`",
    })
}
