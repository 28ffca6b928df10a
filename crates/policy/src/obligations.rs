//! What must be there before the key is used: joined over every require that matches.

use std::{borrow::Cow, collections::BTreeMap, fmt, num::NonZeroU32, sync::Arc};

use countersign_types::{AttestationKind, Duration, GroupId, PrincipalId};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How many distinct people of one group must approve: at least one, so that no quorum is of nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seats(NonZeroU32);

impl Seats {
    /// A number of seats; `None` for zero.
    pub fn new(seats: u32) -> Option<Self> {
        NonZeroU32::new(seats).map(Self)
    }

    /// The number.
    pub fn count(self) -> u32 {
        self.0.get()
    }
}
impl fmt::Display for Seats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Seats by group: in order of group, each once. Rows, because there are few, and joins compare them rule by rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Approvals(Vec<(GroupId, Seats)>);

impl Approvals {
    fn iter(&self) -> impl Iterator<Item = (&GroupId, Seats)> {
        self.0.iter().map(|(group, seats)| (group, *seats))
    }

    fn seats_of(&self, group: &GroupId) -> Option<Seats> {
        let row = self.0.iter().find(|(held, _)| held == group);
        row.map(|(_, seats)| *seats)
    }

    fn raise(&mut self, group: &GroupId, seats: Seats) {
        match self.0.binary_search_by(|(held, _)| held.cmp(group)) {
            Ok(at) => self
                .0
                .get_mut(at)
                .into_iter()
                .for_each(|(_, held)| *held = seats.max(*held)),
            Err(at) => self.0.insert(at, (group.clone(), seats)),
        }
    }
}
impl From<BTreeMap<GroupId, Seats>> for Approvals {
    fn from(seats: BTreeMap<GroupId, Seats>) -> Self {
        Self(seats.into_iter().collect())
    }
}
impl Serialize for Approvals {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}
impl<'de> Deserialize<'de> for Approvals {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeMap::deserialize(deserializer).map(Self::from)
    }
}

/// The oldest that an attestation of a kind by a service may be.
type MaxAges = BTreeMap<AttestationKind, BTreeMap<PrincipalId, Duration>>;

/// The obligations of a transaction. Joining never lowers one. Copies share one place: traces name the obligations of rules
/// many times.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Obligations(Arc<Parts>);

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "Obligations", deny_unknown_fields)]
struct Parts {
    approvals: Approvals,
    time_lock: Duration,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    attestations: MaxAges,
}

impl Serialize for Obligations {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}
impl<'de> Deserialize<'de> for Obligations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Parts::deserialize(deserializer).map(|parts| Self(Arc::new(parts)))
    }
}

impl Parts {
    fn ask(&mut self, kind: AttestationKind, by: PrincipalId, max_age: Duration) {
        let held = self.attestations.entry(kind).or_default().entry(by).or_insert(max_age);
        *held = max_age.min(*held);
    }
}

impl Obligations {
    /// Seats by group, and how long to wait after the quorum is complete.
    pub fn new(approvals: BTreeMap<GroupId, Seats>, time_lock: Duration) -> Self {
        Self(Arc::new(Parts {
            approvals: approvals.into(),
            time_lock,
            attestations: BTreeMap::new(),
        }))
    }

    /// Asks for an attestation too; of several maximum ages for one kind and service the shortest holds.
    pub fn with_attestation(mut self, kind: AttestationKind, by: PrincipalId, max_age: Duration) -> Self {
        Arc::make_mut(&mut self.0).ask(kind, by, max_age);
        self
    }

    /// The attestations, each with the oldest that it may be.
    pub fn attestations(&self) -> impl Iterator<Item = (AttestationKind, &PrincipalId, Duration)> {
        self.0
            .attestations
            .iter()
            .flat_map(|(kind, services)| services.iter().map(|(by, max_age)| (*kind, by, *max_age)))
    }

    /// Seats by group, in order of group.
    pub fn approvals(&self) -> impl Iterator<Item = (&GroupId, Seats)> {
        self.0.approvals.iter()
    }

    /// The seats of one group, if any are asked for.
    pub fn seats_of(&self, group: &GroupId) -> Option<Seats> {
        self.0.approvals.seats_of(group)
    }

    /// Seats by group, as numbers.
    pub fn seats(&self) -> BTreeMap<GroupId, u32> {
        let seats = self.approvals();
        seats.map(|(group, seats)| (group.clone(), seats.count())).collect()
    }

    /// How long to wait after the quorum is complete.
    pub fn time_lock(&self) -> Duration {
        self.0.time_lock
    }

    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.0.approvals.0.is_empty() && self.0.time_lock == Duration::ZERO && self.0.attestations.is_empty()
    }

    /// Adds other obligations: per group the largest number of seats, the longest time-lock, every attestation.
    pub fn join(&mut self, other: &Self) {
        // Most often one of the two is the join already, as with tiers: nothing is copied.
        if other.covers(self) {
            self.clone_from(other);
        } else if !self.covers(other) {
            self.merge(other);
        }
    }

    fn merge(&mut self, other: &Self) {
        let parts = Arc::make_mut(&mut self.0);
        for (group, seats) in other.approvals() {
            parts.approvals.raise(group, seats);
        }
        parts.time_lock = parts.time_lock.max(other.0.time_lock);
        for (kind, services) in &other.0.attestations {
            for (by, max_age) in services {
                parts.ask(*kind, by.clone(), *max_age);
            }
        }
    }

    /// The same obligations one by one: seats of one group, the time-lock, one attestation each.
    pub fn parts(&self) -> Vec<Self> {
        let seats = self.approvals();
        let seats = seats.map(|(group, seats)| Self::new(BTreeMap::from([(group.clone(), seats)]), Duration::ZERO));
        let lock = (self.time_lock() != Duration::ZERO).then(|| Self::new(BTreeMap::new(), self.time_lock()));
        let attested = self
            .attestations()
            .map(|(kind, by, max_age)| Self::default().with_attestation(kind, by.clone(), max_age));
        seats.chain(lock).chain(attested).collect()
    }

    /// Whether these obligations ask for at least everything that the other ones ask for.
    pub fn covers(&self, other: &Self) -> bool {
        // Whole, without `..`: what may be asked for besides must be compared here too.
        let Parts {
            approvals,
            time_lock,
            attestations,
        } = &*other.0;
        let has_seats = |(group, seats): (&GroupId, Seats)| self.seats_of(group).is_some_and(|held| held >= seats);
        let has_attestation = |(kind, by, max_age): (AttestationKind, &PrincipalId, Duration)| {
            let held = self.0.attestations.get(&kind).and_then(|services| services.get(by));
            held.is_some_and(|held| *held <= max_age)
        };
        self.0.time_lock >= *time_lock
            && approvals.iter().all(has_seats)
            && (attestations.is_empty() || other.attestations().all(has_attestation))
    }
}

/// The join of the obligations of rules: one rule's own as long as they cover the others, as those of the highest tier do.
#[derive(Debug, Default)]
pub(crate) struct Joined<'p>(Option<Cow<'p, Obligations>>);

impl<'p> Joined<'p> {
    /// Adds the obligations of one more rule.
    pub(crate) fn join(&mut self, other: &'p Obligations) {
        match &mut self.0 {
            Some(held) if !other.covers(held) => {
                if !held.covers(other) {
                    held.to_mut().merge(other);
                }
            }
            Some(_) | None => self.0 = Some(Cow::Borrowed(other)),
        }
    }

    pub(crate) fn into_obligations(self) -> Obligations {
        self.0.map(Cow::into_owned).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn obligations(approvals: &[(&str, u32)], secs: u32) -> Obligations {
        let approvals = approvals
            .iter()
            .map(|(group, seats)| (group.parse().unwrap(), Seats::new(*seats).unwrap()))
            .collect();
        Obligations::new(approvals, Duration::from_secs(secs))
    }

    #[test]
    fn join_takes_the_larger_of_each() {
        let mut joined = obligations(&[("treasury", 2)], 60);
        joined.join(&obligations(&[("treasury", 1), ("risk", 3)], 30));
        assert_eq!(joined, obligations(&[("treasury", 2), ("risk", 3)], 60));
        joined.join(&obligations(&[("treasury", 4)], 90));
        assert_eq!(joined, obligations(&[("treasury", 4), ("risk", 3)], 90));
    }

    fn any_obligations() -> impl Strategy<Value = Obligations> {
        let seats = prop::collection::btree_map(0_u8..3, 1_u32..4, 0..3);
        let asked = prop::collection::vec((prop::bool::ANY, 0_u8..2, 1_u32..4), 0..3);
        (seats, 0_u32..3, asked).prop_map(|(seats, secs, asked)| {
            let seats = seats.into_iter().map(|(group, seats)| (format!("g{group}"), seats));
            let seats: Vec<(String, u32)> = seats.collect();
            let seats: Vec<(&str, u32)> = seats.iter().map(|(group, seats)| (group.as_str(), *seats)).collect();
            asked
                .into_iter()
                .fold(obligations(&seats, secs), |held, (is_screening, by, age)| {
                    let kind = if is_screening {
                        AttestationKind::Sanctions
                    } else {
                        AttestationKind::TravelRule
                    };
                    held.with_attestation(kind, format!("s{by}").parse().unwrap(), Duration::from_secs(age))
                })
        })
    }

    /// The higher one after the lower, the lower after the higher, and two of which neither covers the other.
    #[test]
    fn joined_rules_ask_for_what_each_of_them_asks() {
        let (one, two, lock) = (
            obligations(&[("g", 1)], 0),
            obligations(&[("g", 2)], 0),
            obligations(&[], 60),
        );
        let joined = |all: &[&Obligations]| {
            let mut joined = Joined::default();
            for asked in all {
                joined.join(asked);
            }
            joined.into_obligations()
        };
        assert_eq!(joined(&[]), Obligations::default());
        for all in [[&one, &two], [&two, &one], [&two, &two]] {
            assert_eq!(joined(&all), two);
        }
        assert_eq!(joined(&[&two, &lock, &one]), obligations(&[("g", 2)], 60));
    }

    proptest! {
        /// Whichever of the two is larger, or neither: the join is the least that covers both.
        #[test]
        fn the_join_is_the_larger_of_every_part(a in any_obligations(), b in any_obligations()) {
            let mut joined = a.clone();
            joined.join(&b);
            let larger = |group: &GroupId| a.seats_of(group).max(b.seats_of(group));
            let groups = a.approvals().chain(b.approvals());
            let approvals = groups.map(|(group, _)| (group.clone(), larger(group).unwrap())).collect();
            let expected = Obligations::new(approvals, a.time_lock().max(b.time_lock()));
            let asked = a.attestations().chain(b.attestations());
            let expected = asked.fold(expected, |held, (kind, by, age)| held.with_attestation(kind, by.clone(), age));
            prop_assert_eq!(&joined, &expected);
            prop_assert!(joined.covers(&a) && joined.covers(&b));
            let mut other = b.clone();
            other.join(&a);
            prop_assert_eq!(joined, other);
        }
    }

    #[test]
    fn covers_compares_every_part() {
        let base = obligations(&[("treasury", 2)], 60);
        assert!(base.covers(&base) && base.covers(&Obligations::default()));
        for more in [
            obligations(&[("treasury", 3)], 0),
            obligations(&[("risk", 1)], 0),
            obligations(&[], 61),
        ] {
            assert!(!base.covers(&more), "{more:?}");
        }
    }

    #[test]
    fn attestations_join_to_the_shortest_age() {
        let asked = |by: &str, secs| {
            obligations(&[], 0).with_attestation(
                AttestationKind::Sanctions,
                by.parse().unwrap(),
                Duration::from_secs(secs),
            )
        };
        let mut joined = asked("a", 60);
        assert!(!joined.is_empty());
        joined.join(&asked("a", 30));
        joined.join(&asked("a", 90));
        joined.join(&asked("b", 90));
        let found: Vec<_> = joined
            .attestations()
            .map(|(_, by, age)| (by.as_str().to_owned(), age.secs()))
            .collect();
        assert_eq!(found, [("a".to_owned(), 30), ("b".to_owned(), 90)]);
        for (less, covered) in [
            (asked("a", 30), true),
            (asked("a", 31), true),
            (asked("a", 29), false),
            (asked("c", 99), false),
        ] {
            assert_eq!(joined.covers(&less), covered, "{less:?}");
        }
        let json = serde_json::to_string(&asked("a", 60)).unwrap();
        assert_eq!(
            json,
            r#"{"approvals":{},"time_lock":"0s","attestations":{"sanctions":{"a":"1m"}}}"#
        );
    }

    #[test]
    fn there_is_no_quorum_of_zero() {
        assert_eq!(Seats::new(0), None);
        assert!(serde_json::from_str::<Seats>("0").is_err());
    }

    #[test]
    fn json_is_stable() {
        let json = serde_json::to_string(&obligations(&[("treasury", 2), ("risk", 1)], 1800)).unwrap();
        assert_eq!(json, r#"{"approvals":{"risk":1,"treasury":2},"time_lock":"30m"}"#);
    }

    #[test]
    fn seats_are_numbers() {
        let seats = Seats::new(12).unwrap();
        assert_eq!((seats.count(), seats.to_string()), (12, "12".to_owned()));
        let asked = obligations(&[("treasury", 2), ("risk", 1)], 60);
        let expected = BTreeMap::from([("risk".parse().unwrap(), 1), ("treasury".parse().unwrap(), 2)]);
        assert_eq!(asked.seats(), expected);
    }

    proptest! {
        /// Taken apart, each part asks for one thing; together they ask for the same.
        #[test]
        fn parts_join_to_the_whole(whole in any_obligations()) {
            let parts = whole.parts();
            let mut joined = Obligations::default();
            for part in &parts {
                let asked = part.approvals().count() + usize::from(part.time_lock() != Duration::ZERO);
                prop_assert_eq!(asked + part.attestations().count(), 1, "{:?}", part);
                prop_assert!(!joined.covers(part), "{:?} is asked for twice", part);
                joined.join(part);
            }
            prop_assert_eq!(joined, whole);
        }
    }
}
