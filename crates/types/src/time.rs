//! Time. Statements carry RFC 3339 UTC whole seconds; storage carries Unix milliseconds; nothing here reads a clock.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, PrimitiveDateTime, format_description::BorrowedFormatItem, macros::format_description};

/// Why a text is not a time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// Not RFC 3339 UTC whole seconds.
    #[error("a time is written `2026-01-31T23:59:59Z` (RFC 3339, UTC, whole seconds)")]
    BadTime,
    /// Not a whole number and a unit.
    #[error("a duration is a whole number and a unit, for example `30s`, `15m`, `24h` or `7d`")]
    BadDuration,
    /// Ends before it starts, or is empty.
    #[error("a validity must end after it starts")]
    EmptyValidity,
}

/// Unix milliseconds: the signer's clock, and every stored time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Unix milliseconds.
    pub const fn from_unix_millis(millis: i64) -> Self {
        Self(millis)
    }
    /// Unix milliseconds.
    pub const fn unix_millis(self) -> i64 {
        self.0
    }
    /// The moment `duration` later; saturates at the end of time, which no validity reaches.
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration.millis()))
    }
    /// How long from this moment until another, in whole seconds rounded down; zero where the other comes first.
    pub fn until(self, later: Self) -> Duration {
        let millis = later.0.saturating_sub(self.0).max(0);
        Duration(u32::try_from(millis.div_euclid(1000)).unwrap_or(u32::MAX))
    }
    /// The whole second that this moment lies in.
    pub fn to_seconds(self) -> UtcSeconds {
        UtcSeconds(self.0.div_euclid(1000))
    }
}
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_seconds().fmt(f)
    }
}

const FORMAT: &[BorrowedFormatItem<'static>] = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");

/// The first and last second that the four-digit year of RFC 3339 can write.
const WRITABLE: std::ops::RangeInclusive<i64> = -62_167_219_200..=253_402_300_799;

/// A whole second, as statements write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UtcSeconds(i64);

impl UtcSeconds {
    /// Unix seconds; refuses what RFC 3339 cannot write.
    pub fn from_unix_seconds(seconds: i64) -> Result<Self, TimeError> {
        if !WRITABLE.contains(&seconds) {
            return Err(TimeError::BadTime);
        }
        Ok(Self(seconds))
    }
    /// Its first millisecond.
    pub fn to_timestamp(self) -> Timestamp {
        Timestamp(self.0.saturating_mul(1000))
    }
}
impl fmt::Display for UtcSeconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clamped = self.0.clamp(*WRITABLE.start(), *WRITABLE.end());
        let time = OffsetDateTime::from_unix_timestamp(clamped).map_err(|_| fmt::Error)?;
        f.write_str(&time.format(FORMAT).map_err(|_| fmt::Error)?)
    }
}
impl FromStr for UtcSeconds {
    type Err = TimeError;
    fn from_str(text: &str) -> Result<Self, TimeError> {
        let time = PrimitiveDateTime::parse(text, FORMAT).map_err(|_| TimeError::BadTime)?;
        let seconds = Self(time.assume_utc().unix_timestamp());
        // One second has one text: whatever else the parser accepted is refused.
        if seconds.to_string() != text {
            return Err(TimeError::BadTime);
        }
        Ok(seconds)
    }
}
impl TryFrom<String> for UtcSeconds {
    type Error = TimeError;
    fn try_from(text: String) -> Result<Self, TimeError> {
        text.parse()
    }
}
impl From<UtcSeconds> for String {
    fn from(time: UtcSeconds) -> String {
        time.to_string()
    }
}

/// A span of whole seconds, written `30s`, `15m`, `24h` or `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(try_from = "String", into = "String")]
pub struct Duration(u32);

impl Duration {
    /// No time at all.
    pub const ZERO: Self = Self(0);
    /// A number of seconds.
    pub const fn from_secs(seconds: u32) -> Self {
        Self(seconds)
    }
    /// The number of seconds.
    pub const fn secs(self) -> u32 {
        self.0
    }
    fn millis(self) -> i64 {
        i64::from(self.0).saturating_mul(1000)
    }
}
impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(86_400, 'd'), (3_600, 'h'), (60, 'm')];
        let fits = units
            .iter()
            .find(|(unit, _)| self.0 != 0 && self.0.is_multiple_of(*unit));
        let (unit, name) = fits.copied().unwrap_or((1, 's'));
        write!(f, "{}{name}", self.0.checked_div(unit).unwrap_or_default())
    }
}
impl FromStr for Duration {
    type Err = TimeError;
    fn from_str(text: &str) -> Result<Self, TimeError> {
        let (number, unit) = text
            .char_indices()
            .next_back()
            .map(|(at, unit)| (text.split_at(at).0, unit))
            .ok_or(TimeError::BadDuration)?;
        let unit: u32 = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            _ => return Err(TimeError::BadDuration),
        };
        let is_plain = !number.is_empty()
            && number.bytes().all(|b| b.is_ascii_digit())
            && (number == "0" || !number.starts_with('0'));
        if !is_plain {
            return Err(TimeError::BadDuration);
        }
        let number: u32 = number.parse().map_err(|_| TimeError::BadDuration)?;
        number.checked_mul(unit).map(Self).ok_or(TimeError::BadDuration)
    }
}
impl TryFrom<String> for Duration {
    type Error = TimeError;
    fn try_from(text: String) -> Result<Self, TimeError> {
        text.parse()
    }
}
impl From<Duration> for String {
    fn from(duration: Duration) -> String {
        duration.to_string()
    }
}

/// `[issued, expires)`: valid at its first instant, no longer at its last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    issued_at: UtcSeconds,
    expires_at: UtcSeconds,
}

impl Validity {
    /// Refuses an empty or inverted interval.
    pub fn new(issued_at: UtcSeconds, expires_at: UtcSeconds) -> Result<Self, TimeError> {
        if issued_at >= expires_at {
            return Err(TimeError::EmptyValidity);
        }
        Ok(Self { issued_at, expires_at })
    }
    /// The first instant.
    pub fn issued_at(&self) -> UtcSeconds {
        self.issued_at
    }
    /// The first instant that is no longer inside.
    pub fn expires_at(&self) -> UtcSeconds {
        self.expires_at
    }
    /// Whether `now` lies before the interval.
    pub fn is_future(&self, now: Timestamp) -> bool {
        now < self.issued_at.to_timestamp()
    }
    /// Whether `now` lies behind the interval.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        now >= self.expires_at.to_timestamp()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_second_has_one_text() {
        let time: UtcSeconds = "2026-02-28T23:59:59Z".parse().unwrap();
        assert_eq!(time.to_string(), "2026-02-28T23:59:59Z");
        for bad in [
            "2026-02-29T00:00:00Z",
            "2026-02-28T23:59:60Z",
            "2026-02-28t23:59:59Z",
            "2026-02-28T23:59:59z",
            "2026-02-28T23:59:59.0Z",
            "2026-02-28T23:59:59+00:00",
            "2026-2-28T23:59:59Z",
            "+2026-02-28T23:59:59Z",
            "",
        ] {
            assert_eq!(bad.parse::<UtcSeconds>(), Err(TimeError::BadTime), "{bad:?}");
        }
    }

    #[test]
    fn validity_is_half_open() {
        let validity = Validity::new(
            "2026-01-01T00:00:00Z".parse().unwrap(),
            "2026-01-01T00:00:01Z".parse().unwrap(),
        )
        .unwrap();
        let start = validity.issued_at().to_timestamp().unix_millis();
        let at = Timestamp::from_unix_millis;
        assert!(validity.is_future(at(start - 1)) && !validity.is_future(at(start)));
        assert!(!validity.is_expired(at(start + 999)) && validity.is_expired(at(start + 1000)));
        assert_eq!(
            Validity::new(validity.issued_at(), validity.issued_at()),
            Err(TimeError::EmptyValidity)
        );
    }

    #[test]
    fn durations_are_plain() {
        assert_eq!("24h".parse::<Duration>().unwrap(), Duration::from_secs(86_400));
        for bad in [
            "",
            "h",
            "1",
            "1.5h",
            "-1h",
            "1h30m",
            "01h",
            "1 h",
            "1w",
            "4294967295d",
            "1é",
        ] {
            assert_eq!(bad.parse::<Duration>(), Err(TimeError::BadDuration), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn seconds_round_trip(seconds in WRITABLE) {
            let time = UtcSeconds::from_unix_seconds(seconds).unwrap();
            prop_assert_eq!(time.to_string().parse::<UtcSeconds>(), Ok(time));
        }
        #[test]
        fn durations_round_trip(seconds: u32) {
            let duration = Duration::from_secs(seconds);
            prop_assert_eq!(duration.to_string().parse::<Duration>(), Ok(duration));
        }
        #[test]
        fn parsing_never_panics(text in "\\PC{0,30}") {
            drop(text.parse::<Duration>());
            drop(text.parse::<UtcSeconds>());
        }
    }
}
