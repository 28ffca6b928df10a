//! `wallets.yaml`: wallets pin their public keys and their networks.

use std::collections::BTreeMap;

use countersign_chains::Network;
use countersign_types::{ChainId, KeyError, PublicKey, RegistryError, Tier, WalletId, WalletRecord, WalletRegistry};
use serde::Deserialize;

use crate::{
    LoadError,
    assets::unknown_network,
    error::{Found, Problem},
    yaml::{self, Doc},
};

const FILE: &str = "wallets.yaml";
/// The most wallets: reachability is checked for each with each initiator.
const MAX_WALLETS: usize = 1_024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WalletsFile {
    pub(crate) wallets: Vec<RawWallet>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawWallet {
    pub(crate) id: String,
    tier: String,
    keys: Vec<String>,
    networks: Vec<RawWalletNetwork>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawWalletNetwork {
    chain: String,
    first_nonce: Option<u64>,
}

/// Reads the wallets, each on networks of the bundle.
pub(crate) fn load<'a>(
    bytes: &[u8],
    networks: &BTreeMap<ChainId, Network>,
    found: &mut Found,
) -> Option<(Doc<'a, WalletsFile>, WalletRegistry)> {
    let doc: Doc<'a, WalletsFile> = yaml::read(FILE, bytes, found)?;
    let count = doc.raw.wallets.len();
    if count > MAX_WALLETS {
        let problem = Problem::TooMany {
            what: "wallets",
            found: count,
            max: MAX_WALLETS,
        };
        found.push(doc.key("wallets", problem));
        return None;
    }
    let mut records = Vec::new();
    for (n, raw) in doc.raw.wallets.iter().enumerate() {
        records.extend(record(&doc, n, raw, networks, found));
    }
    let is_whole = records.len() == doc.raw.wallets.len();
    match WalletRegistry::new(records) {
        Ok(wallets) if is_whole => Some((doc, wallets)),
        Ok(_) => None,
        Err(error) => {
            found.push(at_fault(&doc, &error));
            None
        }
    }
}

fn record(
    doc: &Doc<'_, WalletsFile>,
    n: usize,
    raw: &RawWallet,
    known: &BTreeMap<ChainId, Network>,
    found: &mut Found,
) -> Option<WalletRecord> {
    let path = format!("wallets[{n}]");
    let id = WalletId::parse(raw.id.as_str()).map_err(|error| found.push(doc.value(&format!("{path}.id"), error)));
    let tier = tier(&raw.tier).map_err(|problem| found.push(doc.value(&format!("{path}.tier"), problem)));
    let mut keys = Vec::new();
    for (m, text) in raw.keys.iter().enumerate() {
        match public_key(text) {
            Ok(key) => keys.push(key),
            Err(error) => found.push(doc.value(&format!("{path}.keys[{m}]"), error)),
        }
    }
    let mut networks = BTreeMap::new();
    for (m, network) in raw.networks.iter().enumerate() {
        let path = format!("{path}.networks[{m}]");
        let Some((chain, nonce)) = site(doc, &path, network, known, found) else {
            continue;
        };
        let id = chain.to_string();
        if networks.insert(chain, nonce).is_some() {
            found.push(doc.value(&format!("{path}.chain"), Problem::Duplicate { what: "network", id }));
        }
    }
    let is_whole = keys.len() == raw.keys.len() && networks.len() == raw.networks.len();
    let (id, tier) = (id.ok()?, tier.ok()?);
    is_whole.then_some(WalletRecord {
        id,
        tier,
        keys,
        networks,
    })
}

fn site(
    doc: &Doc<'_, WalletsFile>,
    path: &str,
    raw: &RawWalletNetwork,
    known: &BTreeMap<ChainId, Network>,
    found: &mut Found,
) -> Option<(ChainId, u64)> {
    let at = format!("{path}.chain");
    let chain = raw
        .chain
        .parse::<ChainId>()
        .map_err(|error| found.push(doc.value(&at, error)))
        .ok()?;
    if !known.contains_key(&chain) {
        found.push(doc.value(&at, unknown_network(&chain)));
        return None;
    }
    let at = format!("{path}.first-nonce");
    let nonce = raw
        .first_nonce
        .map_or(Ok(0), |nonce| doc.places.number(&at, nonce, (0, MAX_FIRST_NONCE)));
    let nonce = nonce.map_err(|problem| found.push(doc.value(&at, problem))).ok()?;
    Some((chain, nonce))
}

/// A public key in its one form. SEC 1 libraries also read the x-only prefix 05, under which one account would have a
/// second key id.
fn public_key(text: &str) -> Result<PublicKey, KeyError> {
    let key: PublicKey = text.parse()?;
    if let PublicKey::Secp256k1([prefix, ..]) = key
        && !matches!(prefix, 2 | 3)
    {
        return Err(KeyError::BadPublicKey);
    }
    Ok(key)
}

/// EIP-2681 bounds account nonces by 2^64 - 2.
const MAX_FIRST_NONCE: u64 = u64::MAX - 2;

/// The tier that a word names.
pub(crate) fn tier(word: &str) -> Result<Tier, Problem> {
    match word {
        "hot" => Ok(Tier::Hot),
        "warm" => Ok(Tier::Warm),
        "cold" => Ok(Tier::Cold),
        _ => Err(Problem::BadWord {
            word: word.chars().take(64).collect(),
            allowed: "`hot`, `warm`, `cold`",
        }),
    }
}

/// The wallet that the records' error is about; of two, the later.
fn at_fault(doc: &Doc<'_, WalletsFile>, error: &RegistryError) -> LoadError {
    let wallet = match error {
        RegistryError::DuplicateWallet(id) | RegistryError::EmptyWallet(id) => Some(id),
        RegistryError::SharedKey { second, .. } => Some(second),
        RegistryError::DuplicateAsset(_) | RegistryError::AmbiguousSymbol { .. } => None,
    };
    doc.value(&place_of(doc, wallet), Problem::Registry(error.to_string()))
}

/// The path of a wallet's id.
pub(crate) fn place_of(doc: &Doc<'_, WalletsFile>, wallet: Option<&WalletId>) -> String {
    let is_it = |raw: &RawWallet| wallet.is_some_and(|wallet| raw.id == wallet.as_str());
    let n = doc.raw.wallets.iter().rposition(is_it);
    n.map_or_else(|| "wallets".to_owned(), |n| format!("wallets[{n}].id"))
}
