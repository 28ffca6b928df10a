//! Price sources: which services quote assets in a currency, and when their quotes make a price.

use std::{fmt, str::FromStr};

use countersign_types::{Currency, Duration, PrincipalId};
use serde::{Deserialize, Serialize};

use crate::Quorum;

/// The widest spread that a roster may accept: quotes further apart are not of one market.
const MAX_SPREAD_BASIS_POINTS: u32 = 5_000;

/// How far quotes that agree may lie apart, in hundredths of a percent of the lowest of them. Its text is `2 %` or `0.25 %`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Spread(u32);

/// A text that is no spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a spread is written `2 %` or `0.25 %`: at most two decimals, and at most 50 %")]
pub struct BadSpread;

impl Spread {
    /// In hundredths of a percent.
    pub fn basis_points(self) -> u32 {
        self.0
    }
}
impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, hundredths) = (self.0.div_euclid(100), self.0.rem_euclid(100));
        match (hundredths, hundredths.rem_euclid(10)) {
            (0, _) => write!(f, "{whole} %"),
            (_, 0) => write!(f, "{whole}.{} %", hundredths.div_euclid(10)),
            (_, _) => write!(f, "{whole}.{hundredths:02} %"),
        }
    }
}
impl FromStr for Spread {
    type Err = BadSpread;
    fn from_str(text: &str) -> Result<Self, BadSpread> {
        let number = text.strip_suffix(" %").ok_or(BadSpread)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits: u32 = format!("{whole}{fraction:0<2}").parse().map_err(|_| BadSpread)?;
        let spread = Self(digits);
        // One text for one spread: signs, leading zeros and more decimals than two are none.
        if digits <= MAX_SPREAD_BASIS_POINTS && spread.to_string() == text {
            Ok(spread)
        } else {
            Err(BadSpread)
        }
    }
}
impl TryFrom<String> for Spread {
    type Error = BadSpread;
    fn try_from(text: String) -> Result<Self, BadSpread> {
        text.parse()
    }
}
impl From<Spread> for String {
    fn from(spread: Spread) -> String {
        spread.to_string()
    }
}

/// The price sources of a currency, before they are checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PriceSourceRecord {
    /// What they quote in.
    pub currency: Currency,
    /// How many of them make a price.
    pub threshold: u32,
    /// Services, no two operated by the same person, and none by one behind an initiator.
    pub members: Vec<PrincipalId>,
    /// The oldest that a quote may be.
    pub max_age: Duration,
    /// How far the quotes that make a price may lie apart.
    pub max_spread: Spread,
}

/// Checked price sources of a currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceSources {
    pub(crate) quorum: Quorum,
    pub(crate) max_age: Duration,
    pub(crate) max_spread: Spread,
}

impl PriceSources {
    /// Who quotes, and how many of them make a price.
    pub fn quorum(&self) -> &Quorum {
        &self.quorum
    }
    /// The oldest that a quote may be.
    pub fn max_age(&self) -> Duration {
        self.max_age
    }
    /// How far the quotes that make a price may lie apart.
    pub fn max_spread(&self) -> Spread {
        self.max_spread
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_has_one_text() {
        for (text, basis_points) in [("2 %", 200), ("0.25 %", 25), ("0.5 %", 50), ("0 %", 0), ("50 %", 5_000)] {
            let spread: Spread = text.parse().unwrap();
            assert_eq!(
                (spread.basis_points(), spread.to_string()),
                (basis_points, text.to_owned())
            );
            let json = serde_json::to_string(&spread).unwrap();
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<Spread>(&json).unwrap(), spread);
        }
        for bad in [
            "",
            "2",
            "2%",
            "2.0 %",
            "2.50 %",
            "0.125 %",
            "50.01 %",
            "51 %",
            "-1 %",
            "02 %",
            "+2 %",
            ".5 %",
            "100 %",
            "002 %",
            "2.500 %",
            "0.2500 %",
            "2. %",
            "42949673.1 %",
            "2.-1 %",
        ] {
            assert_eq!(bad.parse::<Spread>(), Err(BadSpread), "{bad:?}");
        }
    }
}
