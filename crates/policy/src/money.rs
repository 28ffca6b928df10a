//! The prices that amounts of different assets are valued by.

use std::collections::BTreeMap;

use countersign_types::{Amount, AssetId, AssetRecord, Currency, Price};

/// The prices of one moment. An absent one is unknown, and what it would value is unknown, never zero.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prices {
    by_asset: BTreeMap<(AssetId, Currency), Price>,
}

impl Prices {
    /// Prices by asset and currency.
    pub fn new(by_asset: BTreeMap<(AssetId, Currency), Price>) -> Self {
        Self { by_asset }
    }

    /// No price is known.
    pub fn none() -> &'static Self {
        static NONE: Prices = Prices {
            by_asset: BTreeMap::new(),
        };
        &NONE
    }

    /// The prices, in order of asset and currency.
    pub fn iter(&self) -> impl Iterator<Item = (&AssetId, Currency, Price)> {
        self.by_asset
            .iter()
            .map(|((asset, currency), price)| (asset, *currency, *price))
    }

    /// The prices of an asset, in order of currency.
    pub fn of(&self, asset: &AssetId) -> impl Iterator<Item = (Currency, Price)> {
        let price = |currency| Some((currency, *self.by_asset.get(&(asset.clone(), currency))?));
        Currency::ALL.into_iter().filter_map(price)
    }

    /// The price of an asset in a currency; `None` is unknown.
    pub fn price(&self, asset: &AssetId, currency: Currency) -> Option<Price> {
        self.by_asset.get(&(asset.clone(), currency)).copied()
    }

    /// What an amount of an asset is worth in a currency; `None` is unknown.
    pub fn value(&self, asset: &AssetRecord, amount: Amount, currency: Currency) -> Option<Amount> {
        self.price(&asset.id, currency)?.value(amount, asset.decimals)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_types::{Decimals, MONEY_DECIMALS, PRICE_DECIMALS};

    fn decimal(text: &str, decimals: u8) -> Amount {
        Amount::parse_decimal(text, Decimals::new(decimals).unwrap()).unwrap()
    }

    #[test]
    fn an_absent_price_is_unknown() {
        let record = AssetRecord {
            id: "eip155:1/slip44:60".parse().unwrap(),
            symbol: "ETH".parse().unwrap(),
            decimals: Decimals::new(18).unwrap(),
            quirks: std::collections::BTreeSet::new(),
        };
        let key = (record.id.clone(), Currency::Usd);
        let prices = Prices::new(BTreeMap::from([(key, Price::from_atto(decimal("2", PRICE_DECIMALS)))]));
        let one = decimal("1", 18);
        assert_eq!(
            prices.value(&record, one, Currency::Usd),
            Some(decimal("2", MONEY_DECIMALS))
        );
        assert_eq!(prices.value(&record, one, Currency::Eur), None);
        assert_eq!(Prices::none().value(&record, one, Currency::Usd), None);
    }

    #[test]
    fn prices_come_in_order_of_asset_and_currency() {
        let [eth, gold] = ["eip155:1/slip44:60", "eip155:1/slip44:61"].map(|id| id.parse::<AssetId>().unwrap());
        let of = |text| Price::from_atto(decimal(text, PRICE_DECIMALS));
        let prices = Prices::new(BTreeMap::from([
            ((gold.clone(), Currency::Usd), of("5")),
            ((eth.clone(), Currency::Eur), of("2")),
            ((eth.clone(), Currency::Usd), of("3")),
        ]));
        let mut two = vec![(Currency::Usd, of("3")), (Currency::Eur, of("2"))];
        two.sort();
        assert_eq!(prices.of(&eth).collect::<Vec<_>>(), two);
        let all = two.iter().map(|(currency, price)| (&eth, *currency, *price));
        let all: Vec<_> = all.chain([(&gold, Currency::Usd, of("5"))]).collect();
        assert_eq!(prices.iter().collect::<Vec<_>>(), all);
    }
}
