//! Amounts as people write them: `1.5 ETH`, `30 gwei`.

use countersign_chains::Registry;
use countersign_types::{Amount, AssetRecord, AssetSymbol, ChainId, Decimals, Tag};

use crate::failure::{Failure, Result};

/// An amount of an asset of the network, with decimals from the bundle.
pub(super) fn parse<'r>(text: &str, network: &ChainId, registry: &'r Registry) -> Result<(&'r AssetRecord, Amount)> {
    let (number, symbol) = split(text)?;
    let symbol = AssetSymbol::parse(symbol).map_err(|error| Failure::usage(format!("`{text}`: {error}")))?;
    if registry.network(network).is_none() {
        let why = format!("the bundle has no network `{network}`");
        return Err(Failure::refused(Tag::RequestUnknownNetwork, why));
    }
    let asset = registry.assets().by_symbol(network, &symbol).ok_or_else(|| {
        Failure::refused(
            Tag::RequestUnknownAsset,
            format!("the bundle has no `{symbol}` on `{network}`"),
        )
    })?;
    let amount = Amount::parse_decimal(number, asset.decimals);
    Ok((
        asset,
        amount.map_err(|error| Failure::usage(format!("`{text}`: {error}")))?,
    ))
}

/// A price of gas, in wei.
pub(super) fn parse_gwei(text: &str) -> Result<u128> {
    let wrong = |why: String| Failure::usage(format!("`{text}`: {why}"));
    let (number, unit) = split(text)?;
    if unit != "gwei" {
        return Err(wrong("a gas price is written `30 gwei`".to_owned()));
    }
    let decimals = Decimals::new(9).map_err(Failure::failed)?;
    let wei = Amount::parse_decimal(number, decimals).map_err(|error| wrong(error.to_string()))?;
    wei.to_string()
        .parse()
        .map_err(|_| wrong("that is more than any gas price".to_owned()))
}

fn split(text: &str) -> Result<(&str, &str)> {
    let parts = text
        .split_once(' ')
        .filter(|(number, unit)| !number.is_empty() && !unit.contains(' '));
    parts.ok_or_else(|| {
        Failure::usage(format!(
            "`{text}`: a number, one space and a unit, for example `1.5 ETH`"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_asset_is_one_of_the_bundle_on_a_network_of_the_bundle() {
        let fixture = crate::init::fixture::Fixture::new();
        let bundle = crate::bundle_files::load_own(&fixture.layout).unwrap();
        let tag = |text: &str, network: &str| {
            let parsed = parse(text, &network.parse().unwrap(), bundle.registry());
            parsed.map(drop).map_err(|failure| failure.tag())
        };
        assert_eq!(tag("1.5 ETH", "eip155:31337"), Ok(()));
        assert_eq!(tag("1.5 FOO", "eip155:31337"), Err(Some(Tag::RequestUnknownAsset)));
        assert_eq!(tag("1.5 ETH", "eip155:5"), Err(Some(Tag::RequestUnknownNetwork)));
        assert_eq!(tag("1.0000000000000000001 ETH", "eip155:31337"), Err(None));
    }

    #[test]
    fn gas_prices_are_exact() {
        assert_eq!(parse_gwei("30 gwei").unwrap(), 30_000_000_000);
        assert_eq!(parse_gwei("0.000000001 gwei").unwrap(), 1);
        for bad in [
            "30",
            "30gwei",
            "30  gwei",
            " gwei",
            "30 wei",
            "-1 gwei",
            "1e9 gwei",
            "0.0000000001 gwei",
        ] {
            parse_gwei(bad).unwrap_err();
        }
        parse_gwei(&format!("1{} gwei", "0".repeat(40))).unwrap_err();
    }
}
