//! `assets.yaml`: what the policy may name; native assets come with their network and need no entry.

use std::collections::{BTreeMap, BTreeSet};

use countersign_chains::Network;
use countersign_policy::Currency;
use countersign_types::{
    AssetId, AssetQuirk, AssetRecord, AssetRegistry, AssetSymbol, ChainId, Decimals, RegistryError, Tag,
};
use serde::Deserialize;

use crate::{
    confusable::Looks,
    error::Found,
    problem::Problem,
    yaml::{self, Doc},
};

const FILE: &str = "assets.yaml";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AssetsFile {
    pub(crate) assets: Vec<RawAsset>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawAsset {
    pub(crate) id: String,
    symbol: String,
    decimals: u64,
    /// Absent where the token does what people expect.
    #[serde(default)]
    quirks: Vec<String>,
    /// The currencies in which the deployment's price services quote the asset.
    #[serde(rename = "priced-in")]
    priced_in: Option<Vec<String>>,
}

/// In which currencies assets have prices.
pub(crate) type PricedAssets = BTreeSet<(AssetId, Currency)>;

/// The prices that the file declares; what is no currency is an error.
pub(crate) fn priced(doc: &Doc<'_, AssetsFile>, found: &mut Found) -> PricedAssets {
    let mut priced = PricedAssets::new();
    for (n, raw) in doc.raw.assets.iter().enumerate() {
        for (m, word) in raw.priced_in.iter().flatten().enumerate() {
            let bad = |_| Problem::BadWord {
                word: word.chars().take(64).collect(),
                allowed: "`CHF`, `CNY`, `EUR`, `GBP`, `JPY`, `USD`",
            };
            let place = format!("assets[{n}].priced-in[{m}]");
            match (raw.id.parse::<AssetId>(), word.parse::<Currency>().map_err(bad)) {
                (Ok(id), Ok(currency)) if !priced.insert((id.clone(), currency)) => {
                    let (what, id) = ("currency", word.clone());
                    found.push(doc.value(&place, Problem::Duplicate { what, id }));
                }
                (_, Err(problem)) => found.push(doc.value(&place, problem)),
                (Ok(_) | Err(_), Ok(_)) => {}
            }
        }
        if raw.priced_in.as_ref().is_some_and(Vec::is_empty) {
            let problem = Problem::Said(
                Tag::BundleMissingValue,
                "`priced-in` names no currency: name one, or leave it out",
            );
            found.push(doc.value(&format!("assets[{n}].priced-in"), problem));
        }
    }
    priced
}

/// Reads the assets, each on a network of the bundle.
pub(crate) fn load<'a>(
    bytes: &[u8],
    networks: &BTreeMap<ChainId, Network>,
    found: &mut Found,
) -> Option<(Doc<'a, AssetsFile>, AssetRegistry)> {
    let doc: Doc<'a, AssetsFile> = yaml::read(FILE, bytes, found)?;
    let (mut records, mut looks) = (Vec::new(), Looks::default());
    // Native assets need no entry, and policies name them all the same. Whether two of them look alike was judged with the networks.
    for network in networks.values() {
        drop(looks.add("asset", network.native().symbol.as_str()));
    }
    for (n, raw) in doc.raw.assets.iter().enumerate() {
        if let Some(problem) = looks.add("asset", &raw.symbol) {
            found.push(doc.value(&format!("assets[{n}].symbol"), problem));
        }
        records.extend(record(&doc, n, raw, networks, found));
    }
    let is_whole = records.len() == doc.raw.assets.len();
    match AssetRegistry::new(records) {
        Ok(assets) if is_whole => Some((doc, assets)),
        Ok(_) => None,
        Err(error) => {
            found.push(duplicate(&doc, &error));
            None
        }
    }
}

fn record(
    doc: &Doc<'_, AssetsFile>,
    n: usize,
    raw: &RawAsset,
    networks: &BTreeMap<ChainId, Network>,
    found: &mut Found,
) -> Option<AssetRecord> {
    let path = |field: &str| format!("assets[{n}].{field}");
    let id = raw
        .id
        .parse::<AssetId>()
        .map_err(|error| found.push(doc.value(&path("id"), error)));
    let symbol = AssetSymbol::parse(raw.symbol.as_str()).map_err(|error| found.push(doc.value(&path("symbol"), error)));
    let decimals = doc
        .places
        .number(&path("decimals"), raw.decimals, (0, Decimals::MAX.into()))
        .map_err(|problem| found.push(doc.value(&path("decimals"), problem)));
    let quirks = quirks(raw).map_err(|(at, problem)| found.push(doc.value(&path(&at), problem)));
    let (id, symbol, decimals, quirks) = (id.ok()?, symbol.ok()?, decimals.ok()?, quirks.ok()?);
    if let Ok(currency) = symbol.as_str().parse::<Currency>() {
        found.push(doc.value(&path("symbol"), Problem::CurrencySymbol(currency)));
        return None;
    }
    if !networks.contains_key(id.chain()) {
        let problem = unknown_network(id.chain());
        found.push(doc.value(&path("id"), problem));
        return None;
    }
    let decimals = u8::try_from(decimals)
        .ok()
        .and_then(|decimals| Decimals::new(decimals).ok())?;
    Some(AssetRecord {
        id,
        symbol,
        decimals,
        quirks,
    })
}

/// Each known, and listed once; an error carries where in the asset it stands.
fn quirks(raw: &RawAsset) -> Result<BTreeSet<AssetQuirk>, (String, Problem)> {
    let mut quirks = BTreeSet::new();
    for (n, text) in raw.quirks.iter().enumerate() {
        let at = || format!("quirks[{n}]");
        let quirk = AssetQuirk::ALL.into_iter().find(|quirk| quirk.as_str() == text);
        let Some(quirk) = quirk else {
            let problem = Problem::BadWord {
                word: text.chars().take(64).collect(),
                allowed: "`fee-on-transfer`, `no-return-value`, `pausable`, `freezable`, `rebasing`",
            };
            return Err((at(), problem));
        };
        if !quirks.insert(quirk) {
            let (what, id) = ("quirk", text.clone());
            return Err((at(), Problem::Duplicate { what, id }));
        }
    }
    Ok(quirks)
}

pub(crate) fn unknown_network(chain: &ChainId) -> Problem {
    Problem::Unknown {
        what: "network",
        id: chain.to_string(),
        hint: "no file in networks/ has this chain",
    }
}

/// The later of two entries that cannot both stand.
fn duplicate(doc: &Doc<'_, AssetsFile>, error: &RegistryError) -> crate::LoadError {
    let is_at_fault = |raw: &RawAsset| match error {
        RegistryError::DuplicateAsset(id) => raw.id == id.to_string(),
        RegistryError::AmbiguousSymbol { symbol, chain } => {
            raw.symbol == symbol.as_str() && raw.id.starts_with(&format!("{chain}/"))
        }
        RegistryError::DuplicateWallet(_)
        | RegistryError::SharedKey { .. }
        | RegistryError::RepeatedKey { .. }
        | RegistryError::EmptyWallet(_) => false,
    };
    let n = doc.raw.assets.iter().rposition(is_at_fault).unwrap_or_default();
    doc.value(&format!("assets[{n}].id"), Problem::from(error))
}
