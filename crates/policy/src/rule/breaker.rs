//! `breaker`: when things look like an attack, the signer freezes by itself. It never loosens anything.

use std::{collections::BTreeSet, fmt};

use countersign_types::{Duration, RuleId};

use crate::PolicyError;

/// The longest window of a breaker: it looks for bursts, and the journal counts what stands in it.
pub const MAX_BREAKER_WINDOW: Duration = Duration::from_secs(7 * 86_400);

/// Freezes what it names once its trip is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breaker {
    id: RuleId,
    trip: Trip,
    freezes: BTreeSet<Frozen>,
}

/// What trips a breaker: a number that is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trip {
    /// So many people rejected one withdrawal, or gave approvals of it that ran out.
    RejectionsOnLineage(u32),
    /// Within the time one wallet authorized payments to so many destinations that it had never paid before.
    NewDestinations(u32, Duration),
    /// Within the time payments were authorized on so many networks.
    Networks(u32, Duration),
}

/// What a breaker freezes, as seen from the withdrawal that tips it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Frozen {
    /// Everything.
    All,
    /// Its wallet.
    Wallet,
    /// Its network.
    Network,
    /// Its initiator.
    Initiator,
    /// Its tenant.
    Tenant,
}

impl Frozen {
    /// Every kind, in the order of the reference.
    pub const ALL: [Self; 5] = [Self::All, Self::Wallet, Self::Network, Self::Initiator, Self::Tenant];

    /// The word in policies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Wallet => "wallet",
            Self::Network => "network",
            Self::Initiator => "initiator",
            Self::Tenant => "tenant",
        }
    }
}
impl fmt::Display for Frozen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Trip {
    /// How many it takes.
    pub fn count(self) -> u32 {
        match self {
            Self::RejectionsOnLineage(count) | Self::NewDestinations(count, _) | Self::Networks(count, _) => count,
        }
    }

    /// Whether so many are enough, counted in its own time.
    pub fn is_reached(self, counted: u64) -> bool {
        counted >= u64::from(self.count())
    }

    /// Whether it is reached by what is counted at once, or within a time: what happened within a longer time than this looks back
    /// need not have happened in it.
    pub fn is_reached_by(self, counted: Self) -> bool {
        let is_of_the_kind = match (self, counted) {
            (Self::RejectionsOnLineage(_), Self::RejectionsOnLineage(_)) => true,
            (Self::NewDestinations(_, within), Self::NewDestinations(_, counted))
            | (Self::Networks(_, within), Self::Networks(_, counted)) => counted <= within,
            (Self::RejectionsOnLineage(_) | Self::NewDestinations(..) | Self::Networks(..), _) => false,
        };
        is_of_the_kind && self.is_reached(u64::from(counted.count()))
    }

    /// Within which time; `None` where it does not pass.
    pub fn within(self) -> Option<Duration> {
        match self {
            Self::RejectionsOnLineage(_) => None,
            Self::NewDestinations(_, within) | Self::Networks(_, within) => Some(within),
        }
    }
}

impl Breaker {
    /// A breaker is reached by at least one, looks back for 1 s to [`MAX_BREAKER_WINDOW`], and freezes something.
    pub fn new(id: RuleId, trip: Trip, freezes: BTreeSet<Frozen>) -> Result<Self, PolicyError> {
        if freezes.is_empty() {
            return Err(PolicyError::BreakerWithoutFreeze { rule: id });
        }
        let is_window = |within: Duration| within > Duration::ZERO && within <= MAX_BREAKER_WINDOW;
        if trip.count() == 0 || !trip.within().is_none_or(is_window) {
            return Err(PolicyError::BadTrip { rule: id });
        }
        Ok(Self { id, trip, freezes })
    }

    /// The id.
    pub fn id(&self) -> &RuleId {
        &self.id
    }

    /// What trips it.
    pub fn trip(&self) -> Trip {
        self.trip
    }

    /// What it freezes.
    pub fn freezes(&self) -> &BTreeSet<Frozen> {
        &self.freezes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::rule;

    #[test]
    fn a_breaker_can_trip_and_freezes_something() {
        let hour = Duration::from_secs(3_600);
        let wallet = || BTreeSet::from([Frozen::Wallet]);
        assert!(Breaker::new(rule("b"), Trip::Networks(2, hour), wallet()).is_ok());
        let nothing = Breaker::new(rule("b"), Trip::Networks(2, hour), BTreeSet::new());
        assert_eq!(nothing, Err(PolicyError::BreakerWithoutFreeze { rule: rule("b") }));
        let week = Duration::from_secs(604_800);
        assert!(Breaker::new(rule("b"), Trip::Networks(2, week), wallet()).is_ok());
        let too_long = Duration::from_secs(week.secs() + 1);
        for trip in [
            Trip::RejectionsOnLineage(0),
            Trip::NewDestinations(0, hour),
            Trip::Networks(2, Duration::ZERO),
            Trip::Networks(2, too_long),
        ] {
            let error = PolicyError::BadTrip { rule: rule("b") };
            assert_eq!(Breaker::new(rule("b"), trip, wallet()), Err(error), "{trip:?}");
        }
    }

    #[test]
    fn a_breaker_says_what_it_freezes() {
        let freezes = BTreeSet::from(Frozen::ALL);
        let breaker = Breaker::new(rule("b"), Trip::RejectionsOnLineage(2), freezes.clone()).unwrap();
        assert_eq!(breaker.freezes(), &freezes);
        let names = ["all", "wallet", "network", "initiator", "tenant"];
        assert_eq!(Frozen::ALL.map(|frozen| frozen.to_string()), names);
    }

    #[test]
    fn it_takes_as_many_in_no_longer_a_time() {
        let minutes = |minutes: u32| Duration::from_secs(minutes * 60);
        let trip = Trip::Networks(3, minutes(10));
        for (counted, is_reached) in [
            (Trip::Networks(3, minutes(10)), true),
            (Trip::Networks(4, minutes(1)), true),
            (Trip::Networks(2, minutes(10)), false),
            (Trip::Networks(3, minutes(11)), false),
            (Trip::NewDestinations(3, minutes(10)), false),
            (Trip::RejectionsOnLineage(3), false),
        ] {
            assert_eq!(trip.is_reached_by(counted), is_reached, "{counted:?}");
        }
        let rejections = Trip::RejectionsOnLineage(2);
        assert!(rejections.is_reached_by(Trip::RejectionsOnLineage(2)));
        assert!(!rejections.is_reached_by(Trip::RejectionsOnLineage(1)));
        assert!(!rejections.is_reached_by(trip));
    }
}
