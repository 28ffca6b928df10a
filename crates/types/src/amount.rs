//! Amounts: unsigned 256-bit counts of an asset's base unit. Decimals exist only at the edges.

use std::{fmt, str::FromStr};

use alloy_primitives::U256;
use serde::{Deserialize, Serialize};

/// Why a text is not an amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Not a plain decimal number.
    #[error("an amount is decimal digits without sign, exponent, leading zeros or spaces")]
    NotDecimal,
    /// More than 256 bits.
    #[error("the amount is over 256 bits")]
    Overflow,
    /// More fraction digits than the asset has decimals.
    #[error("the amount has {found} fraction digits; the asset has {decimals}")]
    ExcessDigits {
        /// Digits behind the point.
        found: usize,
        /// The asset's decimals.
        decimals: u8,
    },
    /// More decimals than any asset may have.
    #[error("an asset has at most {} decimals", Decimals::MAX)]
    TooManyDecimals,
}

/// A count of base units (wei, satoshi, lamport). Text and JSON: a decimal string. Storage: 32 bytes, big-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Amount(U256);

impl Amount {
    /// No units at all.
    pub const ZERO: Self = Self(U256::ZERO);
    /// The largest amount that can be written.
    pub const MAX: Self = Self(U256::MAX);

    /// A number of base units.
    pub const fn from_base_units(units: u64) -> Self {
        Self(U256::from_limbs([units, 0, 0, 0]))
    }

    /// The amount that a chain format wrote as 32 big-endian bytes.
    pub const fn from_be_bytes(bytes: [u8; 32]) -> Self {
        Self(U256::from_be_bytes(bytes))
    }

    /// The storage form.
    pub const fn to_be_bytes(self) -> [u8; 32] {
        self.0.to_be_bytes()
    }

    /// Whether this is zero.
    pub fn is_zero(&self) -> bool {
        self.0.is_zero()
    }

    /// The sum, or `None` over 256 bits: an unknown amount, never a wrapped one.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference, or `None` below zero.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// The product, or `None` over 256 bits.
    pub fn checked_mul(self, other: Self) -> Option<Self> {
        self.0.checked_mul(other.0).map(Self)
    }

    /// The quotient rounded up, or `None` for a division by zero.
    pub fn checked_div_ceil(self, by: Self) -> Option<Self> {
        let whole = self.0.checked_div(by.0)?;
        if self.0.checked_rem(by.0)?.is_zero() {
            return Some(Self(whole));
        }
        whole.checked_add(U256::from(1)).map(Self)
    }

    /// Parses whole and fraction digits of an asset with `decimals` (`1.5` with 18 decimals is 15·10¹⁷).
    pub fn parse_decimal(text: &str, decimals: Decimals) -> Result<Self, AmountError> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let canonical_whole = whole == "0" || !whole.starts_with('0');
        let has_empty_fraction = text.contains('.') && fraction.is_empty();
        if whole.is_empty() || !canonical_whole || has_empty_fraction || !all_digits(whole) || !all_digits(fraction) {
            return Err(AmountError::NotDecimal);
        }
        let Some(padding) = usize::from(decimals.0).checked_sub(fraction.len()) else {
            return Err(AmountError::ExcessDigits {
                found: fraction.len(),
                decimals: decimals.0,
            });
        };
        let digits = format!("{whole}{fraction}{}", "0".repeat(padding));
        U256::from_str_radix(&digits, 10)
            .map(Self)
            .map_err(|_| AmountError::Overflow)
    }

    /// The shortest decimal text of this amount (`1.5`, `0.00042`, `3`).
    pub fn to_decimal(self, decimals: Decimals) -> String {
        let places = usize::from(decimals.0);
        let units = self.to_string();
        // At least one digit stands before the point.
        let zeros = places.saturating_add(1).saturating_sub(units.len());
        let mut digits = "0".repeat(zeros);
        digits.push_str(&units);
        let (_, fraction) = digits.split_at(digits.len().saturating_sub(places));
        let kept = fraction.trim_end_matches('0').len();
        let point = digits.len().saturating_sub(places);
        digits.truncate(point.saturating_add(kept));
        if kept > 0 {
            digits.insert(point, '.');
        }
        digits
    }
}

fn all_digits(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Nearly all amounts fit, and the narrow type is written without divisions of 256 bits.
        match u128::try_from(self.0) {
            Ok(units) => fmt::Display::fmt(&units, f),
            Err(_) => fmt::Display::fmt(&self.0, f),
        }
    }
}
impl FromStr for Amount {
    type Err = AmountError;
    fn from_str(text: &str) -> Result<Self, AmountError> {
        if text.contains('.') {
            return Err(AmountError::NotDecimal);
        }
        Self::parse_decimal(text, Decimals(0))
    }
}
impl TryFrom<String> for Amount {
    type Error = AmountError;
    fn try_from(text: String) -> Result<Self, AmountError> {
        text.parse()
    }
}
impl From<Amount> for String {
    fn from(amount: Amount) -> String {
        amount.to_string()
    }
}
impl From<u64> for Amount {
    fn from(units: u64) -> Self {
        Self::from_base_units(units)
    }
}
impl From<u128> for Amount {
    fn from(units: u128) -> Self {
        Self(U256::from(units))
    }
}

/// How many decimal places separate an asset's base unit from the unit people write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Decimals(u8);

impl Decimals {
    /// No known asset has more than 24 (NEAR); 36 leaves room and keeps every text short.
    pub const MAX: u8 = 36;

    /// Checks the bound.
    pub const fn new(decimals: u8) -> Result<Self, AmountError> {
        if decimals > Self::MAX {
            return Err(AmountError::TooManyDecimals);
        }
        Ok(Self(decimals))
    }
}
impl TryFrom<u8> for Decimals {
    type Error = AmountError;
    fn try_from(decimals: u8) -> Result<Self, AmountError> {
        Self::new(decimals)
    }
}
impl From<Decimals> for u8 {
    fn from(decimals: Decimals) -> u8 {
        decimals.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WEI: Decimals = Decimals(18);

    #[test]
    fn decimals_are_exact() {
        assert_eq!(
            Amount::parse_decimal("1.5", WEI).unwrap().to_string(),
            "1500000000000000000"
        );
        assert_eq!(
            Amount::parse_decimal("0.000000000000000001", WEI).unwrap(),
            Amount::from_base_units(1)
        );
        assert_eq!(
            Amount::parse_decimal("0.0000000000000000001", WEI),
            Err(AmountError::ExcessDigits {
                found: 19,
                decimals: 18
            })
        );
    }

    #[test]
    fn anything_but_plain_digits_is_refused() {
        for bad in [
            "", ".", "1.", ".5", "01", "00", "-1", "+1", "1e3", "1_000", " 1", "1 ", "0x1", "１", "1,5",
        ] {
            assert_eq!(Amount::parse_decimal(bad, WEI), Err(AmountError::NotDecimal), "{bad:?}");
        }
    }

    #[test]
    fn overflow_is_an_error_and_never_wraps() {
        let max = Amount::MAX.to_string();
        assert_eq!(max.parse::<Amount>().unwrap(), Amount::MAX);
        assert_eq!(format!("{max}0").parse::<Amount>(), Err(AmountError::Overflow));
        assert_eq!(Amount::MAX.checked_add(Amount::from_base_units(1)), None);
        assert_eq!(Amount::ZERO.checked_sub(Amount::from_base_units(1)), None);
    }

    #[test]
    fn division_rounds_up_and_refuses_zero() {
        let divided = |a: u64, b: u64| Amount::from_base_units(a).checked_div_ceil(b.into());
        for (a, b, expected) in [(0, 3, 0), (1, 3, 1), (3, 3, 1), (4, 3, 2)] {
            assert_eq!(divided(a, b), Some(Amount::from_base_units(expected)), "{a}/{b}");
        }
        assert_eq!(divided(1, 0), None);
        assert_eq!(Amount::MAX.checked_div_ceil(1_u64.into()), Some(Amount::MAX));
    }

    proptest! {
        #[test]
        fn decimal_text_round_trips(bytes: [u8; 32], decimals in 0u8..=Decimals::MAX) {
            let (amount, decimals) = (Amount::from_be_bytes(bytes), Decimals(decimals));
            prop_assert_eq!(Amount::parse_decimal(&amount.to_decimal(decimals), decimals), Ok(amount));
            prop_assert_eq!(Amount::from_be_bytes(amount.to_be_bytes()), amount);
            prop_assert_eq!(amount.to_string().parse::<Amount>(), Ok(amount));
        }

        #[test]
        fn parsing_never_panics(text in ".{0,90}") {
            drop(text.parse::<Amount>());
        }
    }
}
