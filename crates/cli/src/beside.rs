//! What helps people to read effects: the text of typed data, a descriptor's words, and how assets stray from what is expected.
//! Never instead of the effects, which alone are decided and approved.

use std::{collections::BTreeSet, fmt};

use countersign_bundle::Bundle;
use countersign_chains::Network;
use countersign_types::{AssetId, AssetQuirk, AssetRecord, AssetRegistry, ParsedTransaction};
use serde::Serialize;

use crate::{
    failure::{Failure, Result},
    output::harmless,
};

/// `{"typed_data","display":{"owner","intent","lines":[{"label","text"}]},"quirks":[{"asset","symbol","quirks":[…]}]}`
#[derive(Debug, Serialize)]
pub(crate) struct Beside {
    /// Typed data as it is signed: effects have long messages as a digest.
    typed_data: Option<String>,
    display: Option<Display>,
    quirks: Vec<Quirky>,
}

/// What an ERC-7730 descriptor of the bundle says; its author's claim.
#[derive(Debug, Serialize)]
struct Display {
    owner: String,
    intent: String,
    lines: Vec<Line>,
}

#[derive(Debug, Serialize)]
struct Line {
    label: String,
    text: String,
}

/// An asset among the effects, with what the bundle warns of.
#[derive(Debug, Serialize)]
struct Quirky {
    asset: AssetId,
    symbol: String,
    quirks: Vec<&'static str>,
}

impl Beside {
    /// Reads what a bundle has for bytes that were parsed with it.
    pub(crate) fn of(parsed: &ParsedTransaction, unsigned: &[u8], bundle: &Bundle) -> Result<Self> {
        let registry = bundle.registry();
        let display = registry.display(parsed.network(), parsed.wallet(), unsigned, bundle.descriptors());
        let display = display.map_err(|error| Failure::refused(error.tag(), format!("the transaction: {error}")))?;
        let network = registry.network(parsed.network());
        Ok(Self {
            typed_data: network.and_then(|network| typed_data(network, unsigned)),
            display: display.map(|display| Display {
                owner: display.owner,
                intent: display.intent,
                lines: display
                    .lines
                    .into_iter()
                    .map(|line| Line {
                        label: line.label,
                        text: line.text,
                    })
                    .collect(),
            }),
            quirks: quirks(parsed, registry.assets()),
        })
    }

    fn is_empty(&self) -> bool {
        self.typed_data.is_none() && self.display.is_none() && self.quirks.is_empty()
    }
}

/// Of the bytes that the family accepts, only typed data starts with a brace.
fn typed_data(network: &Network, unsigned: &[u8]) -> Option<String> {
    match network {
        Network::Evm(_) if unsigned.starts_with(b"{") => String::from_utf8(unsigned.to_vec()).ok(),
        Network::Evm(_) | Network::Bitcoin(_) | Network::Solana(_) => None,
    }
}

fn quirks(parsed: &ParsedTransaction, assets: &AssetRegistry) -> Vec<Quirky> {
    let touched: BTreeSet<&AssetId> = parsed.effects().iter().filter_map(|effect| effect.asset()).collect();
    let records = touched.into_iter().filter_map(|asset| assets.asset(asset));
    let quirky = |record: &AssetRecord| Quirky {
        asset: record.id.clone(),
        symbol: record.symbol.to_string(),
        quirks: record.quirks.iter().copied().map(AssetQuirk::as_str).collect(),
    };
    records.filter(|record| !record.quirks.is_empty()).map(quirky).collect()
}

impl fmt::Display for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return Ok(());
        }
        writeln!(
            f,
            "to help reading (what is decided and approved are the effects above):"
        )?;
        if let Some(text) = &self.typed_data {
            writeln!(f, "  typed data {}", harmless(text))?;
        }
        if let Some(display) = &self.display {
            writeln!(f, "  in the words of {}: {}", display.owner, display.intent)?;
            for line in &display.lines {
                writeln!(f, "    {}: {}", line.label, line.text)?;
            }
        }
        for Quirky { asset, symbol, quirks } in &self.quirks {
            writeln!(f, "  {symbol} ({asset}) has quirks: {}", quirks.join(", "))?;
        }
        Ok(())
    }
}
