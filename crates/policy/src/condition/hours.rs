//! `hours`: when, by the clocks of a zone.

use std::fmt;

use countersign_types::Timestamp;
use jiff::civil::Weekday;

use super::OneOf;
use crate::{Facts, Truth, Zone};

/// Seconds of a day that no clock skips.
const DAY_SECS: u32 = 86_400;

/// A day of the week, from Monday.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Day {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

impl Day {
    /// The week.
    pub const ALL: [Self; 7] = [
        Self::Mon,
        Self::Tue,
        Self::Wed,
        Self::Thu,
        Self::Fri,
        Self::Sat,
        Self::Sun,
    ];

    /// The word in a policy file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mon => "mon",
            Self::Tue => "tue",
            Self::Wed => "wed",
            Self::Thu => "thu",
            Self::Fri => "fri",
            Self::Sat => "sat",
            Self::Sun => "sun",
        }
    }

    fn of(weekday: Weekday) -> Self {
        match weekday {
            Weekday::Monday => Self::Mon,
            Weekday::Tuesday => Self::Tue,
            Weekday::Wednesday => Self::Wed,
            Weekday::Thursday => Self::Thu,
            Weekday::Friday => Self::Fri,
            Weekday::Saturday => Self::Sat,
            Weekday::Sunday => Self::Sun,
        }
    }
}
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The hours of some days: `[from, to)` in seconds of the day, within one day. Hours over midnight are two rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hours {
    zone: Zone,
    days: OneOf<Day>,
    from_secs: u32,
    to_secs: u32,
}

impl Hours {
    /// Refuses hours that are empty or reach over midnight.
    pub fn new(zone: Zone, days: OneOf<Day>, from_secs: u32, to_secs: u32) -> Option<Self> {
        let is_sound = from_secs < to_secs && to_secs <= DAY_SECS;
        is_sound.then_some(Self {
            zone,
            days,
            from_secs,
            to_secs,
        })
    }

    /// The days.
    pub fn days(&self) -> &OneOf<Day> {
        &self.days
    }

    /// Whose clocks.
    pub(crate) fn zone(&self) -> &Zone {
        &self.zone
    }

    /// From the first second of the day that counts to the first one that does not any more.
    pub fn span_secs(&self) -> (u32, u32) {
        (self.from_secs, self.to_secs)
    }

    #[inline(never)]
    pub(super) fn matches(&self, facts: &Facts<'_>) -> Truth {
        facts.context.now.and_then(|now| self.hold_at(now)).into()
    }

    /// Whether a moment lies within the hours; `None` for a moment that clocks cannot show.
    pub(crate) fn hold_at(&self, moment: Timestamp) -> Option<bool> {
        let (date, second) = self.zone.civil(moment)?;
        let is_hour = (i64::from(self.from_secs)..i64::from(self.to_secs)).contains(&second);
        Some(is_hour && self.days.contains(&Day::of(date.weekday())))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.days.is_empty()
    }

    /// The words of a counter's text.
    pub(super) fn canonical(&self) -> Vec<String> {
        let hours = [self.zone.to_string(), format!("{}-{}", self.from_secs, self.to_secs)];
        hours
            .into_iter()
            .chain(self.days.iter().map(ToString::to_string))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::World;
    use countersign_types::UtcSeconds;

    fn office() -> Hours {
        let days = [Day::Mon, Day::Tue, Day::Wed, Day::Thu, Day::Fri].into_iter().collect();
        Hours::new("Europe/Berlin".parse().unwrap(), days, 9 * 3_600, 17 * 3_600).unwrap()
    }

    #[test]
    fn hours_are_half_open_by_the_clocks_of_the_zone() {
        let table = [
            ("2026-03-04T07:59:59Z", Truth::False), // 08:59:59 in winter
            ("2026-03-04T08:00:00Z", Truth::True),
            ("2026-03-04T15:59:59Z", Truth::True),
            ("2026-03-04T16:00:00Z", Truth::False),
            ("2026-07-01T07:00:00Z", Truth::True),  // 09:00 in summer
            ("2026-03-07T10:00:00Z", Truth::False), // a Saturday
        ];
        for (now, expected) in table {
            let now: UtcSeconds = now.parse().unwrap();
            let world = World {
                now: Some(now.to_timestamp()),
                ..World::default()
            };
            assert_eq!(office().matches(&world.facts()), expected, "{now}");
        }
        let nobody_knows = World {
            now: None,
            ..World::default()
        };
        assert_eq!(office().matches(&nobody_knows.facts()), Truth::Unknown);
    }

    #[test]
    fn empty_and_overnight_hours_are_refused() {
        let make = |from, to| Hours::new("UTC".parse().unwrap(), Day::ALL.into_iter().collect(), from, to);
        for (from, to, is_sound) in [
            (0, DAY_SECS, true),
            (0, DAY_SECS + 1, false),
            (5, 5, false),
            (6, 5, false),
        ] {
            assert_eq!(make(from, to).is_some(), is_sound, "{from} {to}");
        }
    }

    #[test]
    fn hours_are_within_one_day_and_say_what_they_span() {
        assert_eq!(office().span_secs(), (32_400, 61_200));
        let of = |from, to| Hours::new("UTC".parse().unwrap(), [Day::Sun].into_iter().collect(), from, to);
        assert_eq!(of(0, 86_400).map(|whole| whole.span_secs()), Some((0, 86_400)));
        for (from, to) in [(0, 0), (5, 5), (6, 5), (0, 86_401)] {
            assert_eq!(of(from, to), None, "{from} {to}");
        }
    }
}
