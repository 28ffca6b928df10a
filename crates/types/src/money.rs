//! Money: what amounts of different assets are compared in. Nothing that a chain moves; a price turns one into the other.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{Amount, AmountError, Decimals};

/// Decimal places of an amount of money: finer than any bound that a person writes, so that rounding up stays small.
pub const MONEY_DECIMALS: u8 = 8;
/// Decimal places of a price of one whole unit: coins at a millionth of a cent still have ten digits.
pub const PRICE_DECIMALS: u8 = 18;

/// A text that is no currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a currency is one of CHF, CNY, EUR, GBP, JPY and USD")]
pub struct UnknownCurrency;

/// A unit of money. A closed set: an asset symbol can never be mistaken for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Currency {
    /// Swiss francs.
    Chf,
    /// Renminbi.
    Cny,
    /// Euros.
    Eur,
    /// Pounds sterling.
    Gbp,
    /// Yen.
    Jpy,
    /// Dollars of the United States.
    Usd,
}

impl Currency {
    /// Every currency.
    pub const ALL: [Self; 6] = [Self::Chf, Self::Cny, Self::Eur, Self::Gbp, Self::Jpy, Self::Usd];

    /// An amount in 10⁻⁸ as people read it: `12.5 USD`.
    pub fn shown(self, amount: Amount) -> String {
        let places = Decimals::new(MONEY_DECIMALS);
        let amount = places.map_or_else(|_| format!("{amount}e-8"), |places| amount.to_decimal(places));
        format!("{amount} {self}")
    }

    /// The ISO 4217 code.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chf => "CHF",
            Self::Cny => "CNY",
            Self::Eur => "EUR",
            Self::Gbp => "GBP",
            Self::Jpy => "JPY",
            Self::Usd => "USD",
        }
    }
}
impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
impl FromStr for Currency {
    type Err = UnknownCurrency;
    fn from_str(text: &str) -> Result<Self, UnknownCurrency> {
        Self::ALL
            .into_iter()
            .find(|currency| currency.as_str() == text)
            .ok_or(UnknownCurrency)
    }
}

/// The most that one whole unit of an asset is worth, in 10⁻¹⁸ of a currency. Whoever builds it has verified the quotes
/// and taken the highest, so that whatever is valued by it is valued too high rather than too low. Its text is the shortest
/// decimal in whole units of the currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Price(Amount);

impl Price {
    /// A price in 10⁻¹⁸ of its currency.
    pub fn from_atto(price: Amount) -> Self {
        Self(price)
    }

    /// In 10⁻¹⁸ of its currency.
    pub fn atto(self) -> Amount {
        self.0
    }

    /// What an amount is worth, in 10⁻⁸ of the currency, rounded up; `None` where it does not fit 256 bits.
    pub fn value(self, amount: Amount, decimals: Decimals) -> Option<Amount> {
        let excess = u8::from(decimals).checked_add(PRICE_DECIMALS.checked_sub(MONEY_DECIMALS)?)?;
        amount.checked_mul(self.0)?.checked_div_ceil(power_of_ten(excess)?)
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = Decimals::new(PRICE_DECIMALS).map_err(|_| fmt::Error)?;
        f.write_str(&self.0.to_decimal(decimals))
    }
}
impl FromStr for Price {
    type Err = AmountError;
    fn from_str(text: &str) -> Result<Self, AmountError> {
        Amount::parse_decimal(text, Decimals::new(PRICE_DECIMALS)?).map(Self)
    }
}
impl TryFrom<String> for Price {
    type Error = AmountError;
    fn try_from(text: String) -> Result<Self, AmountError> {
        text.parse()
    }
}
impl From<Price> for String {
    fn from(price: Price) -> String {
        price.to_string()
    }
}

fn power_of_ten(exponent: u8) -> Option<Amount> {
    let ten = Amount::from_base_units(10);
    (0..exponent).try_fold(Amount::from_base_units(1), |power, _| power.checked_mul(ten))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decimal(text: &str, decimals: u8) -> Amount {
        Amount::parse_decimal(text, Decimals::new(decimals).unwrap()).unwrap()
    }

    fn value(price: &str, amount: &str, decimals: u8) -> String {
        let value = Price::from_atto(decimal(price, PRICE_DECIMALS))
            .value(decimal(amount, decimals), Decimals::new(decimals).unwrap())
            .unwrap();
        value.to_decimal(Decimals::new(MONEY_DECIMALS).unwrap())
    }

    #[test]
    fn a_value_is_exact_where_it_can_be_and_rounded_up_where_it_cannot() {
        assert_eq!(value("2500.25", "2", 18), "5000.5");
        assert_eq!(value("60000", "0.00000001", 8), "0.0006");
        assert_eq!(value("1.0001", "1", 6), "1.0001");
        assert_eq!(value("2500", "0.000000000000000001", 18), "0.00000001", "never zero");
        assert_eq!(value("0.000000000000000001", "1", 0), "0.00000001", "never zero");
        assert_eq!(value("2500", "0", 18), "0");
    }

    #[test]
    fn what_does_not_fit_is_unknown() {
        let price = Price::from_atto(Amount::from_base_units(2));
        assert_eq!(price.value(Amount::MAX, Decimals::new(18).unwrap()), None);
    }

    #[test]
    fn a_currency_has_one_text() {
        for currency in Currency::ALL {
            assert_eq!(currency.as_str().parse(), Ok(currency));
            assert_eq!(serde_json::to_string(&currency).unwrap(), format!("\"{currency}\""));
        }
        for bad in ["usd", "USDC", "", "US"] {
            assert_eq!(bad.parse::<Currency>(), Err(UnknownCurrency), "{bad:?}");
        }
    }

    #[test]
    fn a_price_is_written_as_a_decimal() {
        let price: Price = "2500.25".parse().unwrap();
        assert_eq!(serde_json::to_string(&price).unwrap(), "\"2500.25\"");
        assert_eq!(serde_json::from_str::<Price>("\"2500.25\"").unwrap(), price);
        for bad in ["", "1.", "-1", "1e3", "0.0000000000000000001", "01"] {
            assert!(bad.parse::<Price>().is_err(), "{bad:?}");
        }
    }

    proptest! {
        /// Two halves are never worth less than the whole: splitting never helps.
        #[test]
        fn splitting_never_lowers_a_value(a: u64, b: u64, price in 1_u64.., decimals in 0_u8..=36) {
            let (price, decimals) = (Price::from_atto(price.into()), Decimals::new(decimals).unwrap());
            let value = |amount: Amount| price.value(amount, decimals).unwrap();
            let whole = Amount::from_base_units(a).checked_add(b.into()).unwrap();
            prop_assert!(value(a.into()).checked_add(value(b.into())).unwrap() >= value(whole));
        }
    }
}
