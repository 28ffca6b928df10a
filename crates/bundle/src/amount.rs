//! Amounts as people write them: `12.5 ETH`.

use countersign_policy::{Bounds, Ceiling, Currency, Limit, MONEY_DECIMALS, PRICE_DECIMALS, Window};
use countersign_types::{Amount, AssetId, AssetRegistry, AssetSymbol, ChainId, Decimals, Tag};

use crate::{Bundle, problem::Problem};

/// The bound that an amount means: that many of every asset with the symbol, on whatever network; or so much money.
pub(crate) fn bounds(text: &str, assets: &AssetRegistry) -> Result<(AssetSymbol, Bounds), Problem> {
    let (number, symbol) = text.split_once(' ').ok_or(Problem::BadAmount)?;
    let symbol = AssetSymbol::parse(symbol).map_err(|_| Problem::BadAmount)?;
    let digits = |error| Problem::AmountDigits {
        amount: text.chars().take(100).collect(),
        error,
    };
    if let Ok(currency) = symbol.as_str().parse::<Currency>() {
        let decimals = Decimals::new(MONEY_DECIMALS).map_err(digits)?;
        let money = Amount::parse_decimal(number, decimals).map_err(digits)?;
        return Ok((symbol, Bounds::default().with_money(currency, money)));
    }
    let bounds = assets
        .all_by_symbol(&symbol)
        .map(|asset| Ok((asset.id.clone(), Amount::parse_decimal(number, asset.decimals)?)))
        .collect::<Result<Bounds, _>>()
        .map_err(digits)?;
    if bounds.is_empty() {
        return Err(unknown(&symbol));
    }
    Ok((symbol, bounds))
}

/// So much of one asset of a network: `1.5 ETH`; or of one that the bundle lacks: `7 eip155:1/erc20:0x…`.
pub(crate) fn quantity(text: &str, network: &ChainId, assets: &AssetRegistry) -> Result<(AssetId, Amount), Problem> {
    let (number, symbol) = text.split_once(' ').ok_or(Problem::BadAmount)?;
    // An asset that the bundle does not know has no decimals: base units of its id.
    if let Ok(asset) = symbol.parse::<AssetId>()
        && asset.chain() == network
        && assets.asset(&asset).is_none()
    {
        return Ok((asset, number.parse().map_err(|_| Problem::BadAmount)?));
    }
    let symbol = AssetSymbol::parse(symbol).map_err(|_| Problem::BadAmount)?;
    let asset = assets.by_symbol(network, &symbol).ok_or_else(|| unknown(&symbol))?;
    let amount = Amount::parse_decimal(number, asset.decimals).map_err(|error| Problem::AmountDigits {
        amount: text.chars().take(100).collect(),
        error,
    })?;
    Ok((asset.id.clone(), amount))
}

/// A price of one whole unit: `2500.5 USD`, in 10⁻¹⁸ of the currency.
pub(crate) fn money(text: &str) -> Result<(Currency, Amount), Problem> {
    const BAD_PRICE: Problem = Problem::Said(
        Tag::BundleBadAmount,
        "a price is written `2500 USD`: a number, one space, a currency",
    );
    let (number, currency) = text.split_once(' ').ok_or(BAD_PRICE)?;
    let currency = currency.parse::<Currency>().map_err(|_| BAD_PRICE)?;
    let price = Decimals::new(PRICE_DECIMALS).and_then(|decimals| Amount::parse_decimal(number, decimals));
    let price = price.map_err(|_| BAD_PRICE)?;
    Ok((currency, price))
}

/// What a limit has added up, in what it counts: an amount of one of its assets, money in its currency, or a number. Anything
/// else would be compared all the same, and mean nothing that the author of a test could mean.
pub(crate) fn spent(text: &str, limit: &Limit, network: &ChainId, bundle: &Bundle) -> Result<Amount, Problem> {
    if limit.meter().window == Window::Transaction {
        return Err(Problem::Said(
            Tag::BundleBadValue,
            "the limit is of one transaction: it has added up nothing before",
        ));
    }
    let assets = bundle.registry().assets();
    match &limit.meter().hard {
        Ceiling::Amounts(counted) => {
            let (asset, amount) = quantity(text, network, assets)?;
            let other = "the limit counts another asset: write what it has added up in its own";
            counted
                .bound(&asset)
                .map(|_| amount)
                .ok_or(Problem::Said(Tag::BundleBadAmount, other))
        }
        Ceiling::Money(currency, _) => {
            let (_, bounds) = bounds(text, assets)?;
            let mut money = bounds.money().filter(|(other, _)| other == currency);
            let other = "the limit counts money in its currency: write what it has added up as `700 USD`";
            money
                .next()
                .map(|(_, money)| money)
                .ok_or(Problem::Said(Tag::BundleBadAmount, other))
        }
        Ceiling::Count(_) | Ceiling::NewDestinations(_) => {
            let other = "the limit counts transactions or destinations: write how many, as `\"3\"`";
            text.parse().map_err(|_| Problem::Said(Tag::BundleBadValue, other))
        }
    }
}

/// A symbol that no asset has.
pub(crate) fn unknown(symbol: &AssetSymbol) -> Problem {
    Problem::Unknown {
        what: "asset",
        id: symbol.to_string(),
        hint: "assets.yaml has no asset with this symbol",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_types::{AssetRecord, Decimals};

    fn assets() -> AssetRegistry {
        let record = |id: &str, symbol: &str, decimals| AssetRecord {
            id: id.parse().unwrap(),
            symbol: symbol.parse().unwrap(),
            decimals: Decimals::new(decimals).unwrap(),
            quirks: std::collections::BTreeSet::new(),
        };
        AssetRegistry::new([
            record("eip155:1/slip44:60", "ETH", 18),
            record("eip155:8453/slip44:60", "ETH", 18),
            record("eip155:1/erc20:0xa", "USDC", 6),
            record("eip155:56/erc20:0xb", "USDC", 18),
        ])
        .unwrap()
    }

    #[test]
    fn a_symbol_bounds_each_of_its_assets_in_its_own_decimals() {
        let (_, bounds) = bounds("1.5 USDC", &assets()).unwrap();
        let bound = |id: &str| bounds.bound(&id.parse().unwrap()).unwrap().to_string();
        assert_eq!(bound("eip155:1/erc20:0xa"), "1500000");
        assert_eq!(bound("eip155:56/erc20:0xb"), "1500000000000000000");
    }

    #[test]
    fn money_is_in_hundred_millionths() {
        let (_, bounds) = bounds("10000.5 USD", &assets()).unwrap();
        assert_eq!(
            bounds,
            Bounds::default().with_money(Currency::Usd, 1_000_050_000_000_u64.into())
        );
    }

    #[test]
    fn everything_else_is_an_error() {
        for bad in ["", "5", "ETH", "5ETH", "5  ETH", " 5 ETH", "5 ETH ", "5 eth", "5\tETH"] {
            assert_eq!(bounds(bad, &assets()), Err(Problem::BadAmount), "{bad:?}");
        }
        for bad in [
            "-5 ETH",
            "+5 ETH",
            "1e3 ETH",
            "1_000 ETH",
            "1,5 ETH",
            "05 ETH",
            ".5 ETH",
            "5. ETH",
            "0x5 ETH",
        ] {
            assert!(
                matches!(bounds(bad, &assets()), Err(Problem::AmountDigits { .. })),
                "{bad:?}"
            );
        }
        // 7 digits fit one USDC and not the other: the same words would mean different bounds.
        assert!(matches!(
            bounds("0.0000001 USDC", &assets()),
            Err(Problem::AmountDigits { .. })
        ));
        assert!(matches!(
            bounds("5.123456789 USD", &assets()),
            Err(Problem::AmountDigits { .. })
        ));
        assert!(matches!(bounds("5 BTC", &assets()), Err(Problem::Unknown { .. })));
    }
}
