//! What limits add up over time: counters, which the journal maintains by id and knows nothing else about.
//!
//! A counter's identity is *what* it adds up: the measure, the conditions that select, the values of its scope. The rule's
//! id, its bounds and its window are no part of it, so renaming a rule or moving a bound never starts a new count.

use std::collections::BTreeMap;

use countersign_types::{Amount, AssetId, CounterDigest, CounterId};
use serde::{Deserialize, Serialize};

use crate::{Currency, ScopeBy, Window};

/// What a counter adds up.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Measure {
    /// Base units of one asset.
    Amount(AssetId),
    /// Money, in 10⁻⁸ of the currency, whatever the asset.
    Money(Currency),
    /// Transactions: an attempt that replaces another of its withdrawal is not one more.
    Count,
    /// Destinations that were never paid before.
    NewDestinations,
}

impl Measure {
    fn text(&self) -> String {
        match self {
            Self::Amount(asset) => format!("amount {asset}"),
            Self::Money(currency) => format!("money {currency}"),
            Self::Count => "count".to_owned(),
            Self::NewDestinations => "new-destinations".to_owned(),
        }
    }
}

/// The counters of one measure and one selection; the values of a scope make one of them. A policy writes and digests what
/// they have in common once, when it is loaded.
#[derive(Debug, Clone)]
pub struct Counters {
    /// The lines that all of them have in common.
    head: String,
    /// The digest that these lines begin.
    begun: CounterDigest,
    /// The one without scope.
    whole: CounterId,
}

impl Counters {
    /// `filter` has the canonical lines of the conditions, in the order of [`crate::ConditionKind`].
    pub fn new(measure: &Measure, filter: &[String]) -> Self {
        let mut head = format!("measure {}\n", measure.text());
        for words in filter {
            head.extend(["filter ", words, "\n"]);
        }
        let mut begun = CounterDigest::new();
        begun.update(head.as_bytes());
        Self {
            whole: begun.clone().finish(),
            begun,
            head,
        }
    }

    /// The canonical text that the id digests, for a person who asks what a counter is: `scope` in order of [`ScopeBy`].
    pub fn text<V: AsRef<str>>(&self, scope: impl IntoIterator<Item = (ScopeBy, V)>) -> String {
        let mut text = self.head.clone();
        lines(scope, |piece| text.push_str(piece));
        text
    }

    /// The identity: `scope` in order of [`ScopeBy`].
    pub fn id<V: AsRef<str>>(&self, scope: impl IntoIterator<Item = (ScopeBy, V)>) -> CounterId {
        let mut scope = scope.into_iter().peekable();
        if scope.peek().is_none() {
            return self.whole;
        }
        let mut digest = self.begun.clone();
        lines(scope, |piece| digest.update(piece.as_bytes()));
        digest.finish()
    }
}

/// The lines of a scope, piece by piece.
fn lines<V: AsRef<str>>(scope: impl IntoIterator<Item = (ScopeBy, V)>, mut with: impl FnMut(&str)) {
    for (by, value) in scope {
        [by.line(), value.as_ref(), "\n"].into_iter().for_each(&mut with);
    }
}

/// The lines are everything; the rest follows from them.
impl PartialEq for Counters {
    fn eq(&self, other: &Self) -> bool {
        self.head == other.head
    }
}
impl Eq for Counters {}

/// What an authorization adds to a counter. The journal keeps, for each counter and lineage, the largest charge of any
/// attempt: a replacement adds only what goes beyond it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Charge {
    /// The counter.
    pub counter: CounterId,
    /// The whole charge of this attempt.
    pub amount: Amount,
}

/// What an evaluation needs to know of a counter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct UsageQuery {
    /// The counter.
    pub counter: CounterId,
    /// Over which spans, each by [`Window::last_outside`] of the clock that was read behind the lock.
    pub window: Window,
}

/// What the journal knows of one counter, for one lineage.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CounterUsage {
    /// By window: what was charged after [`Window::last_outside`], and live and pending charges of any age, those of the
    /// lineage in question included.
    pub windows: BTreeMap<Window, Amount>,
    /// What this lineage has already been charged; part of each sum above whose window it has not left.
    pub lineage: Amount,
}

/// What the journal knows of every counter that was asked for. What is absent is unknown, and unknown denies.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Usage {
    counters: BTreeMap<CounterId, CounterUsage>,
}

impl Usage {
    /// Usage by counter.
    pub fn new(counters: BTreeMap<CounterId, CounterUsage>) -> Self {
        Self { counters }
    }

    /// What is known where nothing was ever charged to these counters.
    pub fn uncharged(queries: impl IntoIterator<Item = UsageQuery>) -> Self {
        let mut counters: BTreeMap<CounterId, CounterUsage> = BTreeMap::new();
        for UsageQuery { counter, window } in queries {
            let usage = counters.entry(counter).or_default();
            usage.windows.insert(window, Amount::ZERO);
        }
        Self { counters }
    }

    /// What is known here, and what another knows of windows that are not known here.
    #[must_use]
    pub fn or(mut self, other: Self) -> Self {
        for (counter, known) in other.counters {
            let usage = self.counters.entry(counter).or_insert_with(|| CounterUsage {
                windows: BTreeMap::new(),
                lineage: known.lineage,
            });
            for (window, sum) in known.windows {
                usage.windows.entry(window).or_insert(sum);
            }
        }
        self
    }

    /// Nothing is known.
    pub fn unknown() -> &'static Self {
        static UNKNOWN: Usage = Usage {
            counters: BTreeMap::new(),
        };
        &UNKNOWN
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.counters.is_empty()
    }

    /// What a counter stands at over a window; `None` is unknown.
    pub fn before(&self, counter: CounterId, window: &Window) -> Option<Amount> {
        Some(self.standing(counter, window)?.before)
    }

    /// What a counter stands at with this charge; `None` is unknown, or over 256 bits.
    pub fn after(&self, charge: &Charge, window: &Window) -> Option<Amount> {
        self.standing(charge.counter, window)?.after(charge.amount)
    }

    pub(crate) fn standing(&self, counter: CounterId, window: &Window) -> Option<Standing> {
        let usage = self.counters.get(&counter)?;
        Some(Standing {
            before: *usage.windows.get(window)?,
            lineage: usage.lineage,
        })
    }
}

/// Where a counter stands before a charge.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    pub(crate) before: Amount,
    lineage: Amount,
}

impl Standing {
    /// POLICY.md step 6: only what goes beyond the lineage's largest charge so far is added. `None` is over 256 bits. What the lineage was
    /// charged may have aged and left the window, and with it the sum; the attempt at hand has not.
    pub(crate) fn after(self, charge: Amount) -> Option<Amount> {
        let increment = charge.checked_sub(self.lineage).unwrap_or_default();
        self.before.checked_add(increment).map(|after| after.max(charge))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn text(measure: Measure, filter: &[&str], scope: &[(ScopeBy, &str)]) -> (String, CounterId) {
        let filter: Vec<String> = filter.iter().map(|line| (*line).to_owned()).collect();
        let counters = Counters::new(&measure, &filter);
        let scope = || scope.iter().copied();
        (counters.text(scope()), counters.id(scope()))
    }

    /// What was known stays, and what was not is taken over, window by window.
    #[test]
    fn one_usage_completes_another() {
        let counter = |name: &str| Counters::new(&Measure::Count, &[name.to_owned()]).id([] as [(ScopeBy, &str); 0]);
        let usage = |name: &str, lineage: u64, windows: &[(&str, u64)]| {
            let amount = Amount::from_base_units;
            let windows = windows.iter().map(|(text, sum)| (text.parse().unwrap(), amount(*sum)));
            let (windows, lineage) = (windows.collect(), amount(lineage));
            Usage::new([(counter(name), CounterUsage { windows, lineage })].into())
        };
        let one = usage("a", 1, &[("1h", 5)]);
        let both = one
            .clone()
            .or(usage("a", 9, &[("1h", 6), ("2h", 7)]))
            .or(usage("b", 2, &[("1h", 8)]));
        let expected = usage("a", 1, &[("1h", 5), ("2h", 7)]).counters.into_iter();
        assert_eq!(
            both,
            Usage::new(expected.chain(usage("b", 2, &[("1h", 8)]).counters).collect())
        );
    }

    /// Golden: journals store this id. Computed independently: see `docs/formats.md`.
    #[test]
    fn golden_counter() {
        let asset = "eip155:1/slip44:60".parse().unwrap();
        let (text, id) = text(
            Measure::Amount(asset),
            &["effects transfer"],
            &[(ScopeBy::Wallet, "eth-hot")],
        );
        assert_eq!(
            text,
            "measure amount eip155:1/slip44:60\nfilter effects transfer\nscope wallet eth-hot\n"
        );
        let formats = include_str!("../../../docs/formats.md");
        assert!(formats.contains(&text) && formats.contains(&id.to_string()), "{id}");
    }

    #[test]
    fn every_part_is_part_of_the_identity() {
        let wallet = &[(ScopeBy::Wallet, "a")][..];
        let texts = [
            text(Measure::Count, &["effects fee"], wallet),
            text(Measure::NewDestinations, &["effects fee"], wallet),
            text(Measure::Money(Currency::Usd), &["effects fee"], wallet),
            text(Measure::Count, &[], wallet),
            text(Measure::Count, &["effects fee"], &[]),
            text(Measure::Count, &["effects fee"], &[(ScopeBy::Wallet, "b")]),
            text(Measure::Count, &["effects fee"], &[(ScopeBy::Initiator, "a")]),
        ];
        let ids: BTreeSet<CounterId> = texts.iter().map(|(_, id)| *id).collect();
        assert_eq!(ids.len(), texts.len(), "{texts:?}");
        for (text, id) in texts {
            assert_eq!(CounterId::of(text.as_bytes()), id, "{text}");
        }
    }

    #[test]
    fn counters_are_equal_where_all_of_their_ids_are() {
        let counters = |measure: Measure, filter: &[&str]| {
            let filter: Vec<String> = filter.iter().map(|line| (*line).to_owned()).collect();
            Counters::new(&measure, &filter)
        };
        let of_fees = counters(Measure::Count, &["effects fee"]);
        assert_eq!(of_fees, counters(Measure::Count, &["effects fee"]));
        assert_ne!(of_fees, counters(Measure::Count, &[]));
        assert_ne!(of_fees, counters(Measure::NewDestinations, &["effects fee"]));
    }

    fn usage(sum: u64, lineage: u64) -> (Charge, Usage, Window) {
        let counter = CounterId::of(b"x");
        let window: Window = "24h".parse().unwrap();
        let windows = BTreeMap::from([(window.clone(), Amount::from_base_units(sum))]);
        let usage = Usage::new(BTreeMap::from([(
            counter,
            CounterUsage {
                windows,
                lineage: lineage.into(),
            },
        )]));
        let charge = Charge {
            counter,
            amount: Amount::from_base_units(10),
        };
        (charge, usage, window)
    }

    #[test]
    fn a_replacement_adds_only_what_goes_beyond_its_lineage() {
        for (sum, lineage, after) in [
            (0, 0, 10),
            (5, 0, 15),
            (8, 8, 10),
            (30, 10, 30),
            (30, 12, 30),
            // What the lineage was charged has left the window.
            (0, 10, 10),
            (0, 12, 10),
        ] {
            let (charge, usage, window) = usage(sum, lineage);
            assert_eq!(
                usage.after(&charge, &window),
                Some(Amount::from_base_units(after)),
                "{sum} {lineage}"
            );
        }
    }

    #[test]
    fn what_is_absent_or_too_large_is_unknown() {
        let (charge, usage, window) = usage(5, 0);
        assert_eq!(usage.after(&charge, &"1h".parse().unwrap()), None, "another window");
        let other = Charge {
            counter: CounterId::of(b"y"),
            ..charge.clone()
        };
        assert_eq!(usage.after(&other, &window), None, "another counter");
        let most = Charge {
            amount: Amount::MAX,
            ..charge
        };
        assert_eq!(usage.after(&most, &window), None, "over 256 bits");
        assert_eq!(Usage::unknown().after(&most, &window), None);
    }

    #[test]
    fn json_round_trips_and_is_stable() {
        let (charge, usage, _) = usage(5, 2);
        let json = serde_json::to_string(&usage).unwrap();
        let counter = charge.counter;
        assert_eq!(
            json,
            format!(r#"{{"{counter}":{{"windows":{{"1d":"5"}},"lineage":"2"}}}}"#)
        );
        assert_eq!(serde_json::from_str::<Usage>(&json).unwrap(), usage);
    }

    #[test]
    fn what_was_never_charged_stands_at_nothing() {
        let query = |name: &[u8], window: &str| UsageQuery {
            counter: CounterId::of(name),
            window: window.parse().unwrap(),
        };
        let asked = [query(b"x", "1h"), query(b"x", "24h"), query(b"y", "1h")];
        let usage = Usage::uncharged(asked.clone());
        for UsageQuery { counter, window } in &asked {
            assert_eq!(usage.before(*counter, window), Some(Amount::ZERO), "{window}");
        }
        let UsageQuery { counter, window } = query(b"y", "24h");
        assert_eq!(usage.before(counter, &window), None, "nobody asked");
        assert!(!usage.is_empty() && Usage::unknown().is_empty());
    }

    #[test]
    fn what_stands_in_a_window_includes_the_lineage() {
        let (charge, usage, window) = usage(5, 2);
        assert_eq!(usage.before(charge.counter, &window), Some(Amount::from_base_units(5)));
    }
}
