//! What must be there before the key is used: joined over every require that matches.

use std::{collections::BTreeMap, fmt, num::NonZeroU32};

use countersign_types::{Duration, GroupId};
use serde::{Deserialize, Serialize};

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

/// The obligations of a transaction. Joining never lowers one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Obligations {
    approvals: BTreeMap<GroupId, Seats>,
    time_lock: Duration,
}

impl Obligations {
    /// Seats by group, and how long to wait after the quorum is complete.
    pub fn new(approvals: BTreeMap<GroupId, Seats>, time_lock: Duration) -> Self {
        Self { approvals, time_lock }
    }

    /// Seats by group.
    pub fn approvals(&self) -> &BTreeMap<GroupId, Seats> {
        &self.approvals
    }

    /// Seats by group, as numbers.
    pub fn seats(&self) -> BTreeMap<GroupId, u32> {
        self.approvals
            .iter()
            .map(|(group, seats)| (group.clone(), seats.count()))
            .collect()
    }

    /// How long to wait after the quorum is complete.
    pub fn time_lock(&self) -> Duration {
        self.time_lock
    }

    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.approvals.is_empty() && self.time_lock == Duration::ZERO
    }

    /// Adds other obligations: per group the largest number of seats, the longest time-lock.
    pub fn join(&mut self, other: &Self) {
        for (group, seats) in &other.approvals {
            self.approvals
                .entry(group.clone())
                .and_modify(|held| *held = (*held).max(*seats))
                .or_insert(*seats);
        }
        self.time_lock = self.time_lock.max(other.time_lock);
    }

    /// Whether these obligations ask for at least everything that the other ones ask for.
    pub fn covers(&self, other: &Self) -> bool {
        let has_seats =
            |(group, seats): (&GroupId, &Seats)| self.approvals.get(group).is_some_and(|held| held >= seats);
        self.time_lock >= other.time_lock && other.approvals.iter().all(has_seats)
    }
}

#[cfg(test)]
mod tests {
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
    fn there_is_no_quorum_of_zero() {
        assert_eq!(Seats::new(0), None);
        assert!(serde_json::from_str::<Seats>("0").is_err());
    }

    #[test]
    fn json_is_stable() {
        let json = serde_json::to_string(&obligations(&[("treasury", 2), ("risk", 1)], 1800)).unwrap();
        assert_eq!(json, r#"{"approvals":{"risk":1,"treasury":2},"time_lock":"30m"}"#);
    }
}
