//! `wallets.yaml`: wallets pin their public keys and their networks.

use std::collections::{BTreeMap, BTreeSet};

use countersign_chains::Network;
use countersign_types::{
    AgesFrom, ChainId, KeyError, KeyTable, PublicKey, RegistryError, ScriptForm, Tier, WalletId, WalletNetwork,
    WalletRecord, WalletRegistry,
};
use serde::Deserialize;

use crate::{
    LoadError,
    assets::unknown_network,
    confusable::Looks,
    error::Found,
    key_tables,
    problem::Problem,
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
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct RawWallet {
    pub(crate) id: String,
    tier: String,
    keys: Vec<String>,
    pub(crate) key_table: Option<String>,
    networks: Vec<RawWalletNetwork>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawWalletNetwork {
    chain: String,
    first_nonce: Option<u64>,
    forms: Option<Vec<String>>,
    ages_from: Option<String>,
}

/// What a wallet may name.
struct Known<'k> {
    networks: &'k BTreeMap<ChainId, Network>,
    tables: &'k BTreeMap<String, KeyTable>,
}

/// Reads the wallets, each on networks of the bundle, and the key tables that they name.
pub(crate) fn load<'a>(
    files: &BTreeMap<String, Vec<u8>>,
    networks: &BTreeMap<ChainId, Network>,
    found: &mut Found,
) -> Option<(Doc<'a, WalletsFile>, WalletRegistry)> {
    let tables = key_tables::load(files, found);
    let bytes = files.get(FILE).map(Vec::as_slice).unwrap_or_default();
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
    key_tables::certify_named(files, &doc, found);
    let known = Known {
        networks,
        tables: &tables,
    };
    let (mut records, mut looks) = (Vec::new(), Looks::default());
    for (n, raw) in doc.raw.wallets.iter().enumerate() {
        if let Some(problem) = looks.add("wallet", &raw.id) {
            found.push(doc.value(&format!("wallets[{n}].id"), problem));
        }
        records.extend(record(&doc, n, raw, &known, found));
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
    known: &Known<'_>,
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
        let Some((chain, site)) = site(doc, &path, network, known, found) else {
            continue;
        };
        let id = chain.to_string();
        if networks.insert(chain, site).is_some() {
            found.push(doc.value(&format!("{path}.chain"), Problem::Duplicate { what: "network", id }));
        }
    }
    let table = raw.key_table.as_ref().and_then(|path| known.tables.get(path)).cloned();
    let is_whole = keys.len() == raw.keys.len()
        && networks.len() == raw.networks.len()
        && table.is_some() == raw.key_table.is_some();
    let (id, tier) = (id.ok()?, tier.ok()?);
    is_whole.then_some(WalletRecord {
        id,
        tier,
        keys,
        table,
        networks,
    })
}

fn site(
    doc: &Doc<'_, WalletsFile>,
    path: &str,
    raw: &RawWalletNetwork,
    known: &Known<'_>,
    found: &mut Found,
) -> Option<(ChainId, WalletNetwork)> {
    let at = format!("{path}.chain");
    let chain = raw
        .chain
        .parse::<ChainId>()
        .map_err(|error| found.push(doc.value(&at, error)))
        .ok()?;
    if !known.networks.contains_key(&chain) {
        found.push(doc.value(&at, unknown_network(&chain)));
        return None;
    }
    let at = format!("{path}.first-nonce");
    let nonce = raw
        .first_nonce
        .map_or(Ok(0), |nonce| doc.places.number(&at, nonce, (0, MAX_FIRST_NONCE)));
    let first_nonce = nonce.map_err(|problem| found.push(doc.value(&at, problem))).ok();
    let forms = match &raw.forms {
        Some(words) => forms(doc, path, words, found).map(Some),
        None => Some(None),
    };
    let ages_from = ages_from(raw.ages_from.as_deref());
    let ages_from = ages_from.map_err(|problem| found.push(doc.value(&format!("{path}.ages-from"), problem)));
    let (first_nonce, forms, ages_from) = (first_nonce?, forms?, ages_from.ok()?);
    let site = WalletNetwork {
        first_nonce,
        forms,
        ages_from,
    };
    Some((chain, site))
}

fn ages_from(word: Option<&str>) -> Result<AgesFrom, Problem> {
    match word {
        None | Some("mined") => Ok(AgesFrom::Mined),
        Some("signature") => Ok(AgesFrom::Signature),
        Some(other) => Err(Problem::BadWord {
            word: other.chars().take(64).collect(),
            allowed: "`mined`, `signature`",
        }),
    }
}

/// Each form once; `None` once an error was found.
fn forms(doc: &Doc<'_, WalletsFile>, path: &str, words: &[String], found: &mut Found) -> Option<BTreeSet<ScriptForm>> {
    let mut forms = BTreeSet::new();
    let mut is_whole = true;
    for (m, word) in words.iter().enumerate() {
        let problem = match word.parse::<ScriptForm>() {
            Ok(form) if forms.insert(form) => continue,
            Ok(form) => Problem::Duplicate {
                what: "form",
                id: form.to_string(),
            },
            Err(error) => error.into(),
        };
        found.push(doc.value(&format!("{path}.forms[{m}]"), problem));
        is_whole = false;
    }
    is_whole.then_some(forms)
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
        RegistryError::RepeatedKey { wallet, .. } => Some(wallet),
        RegistryError::DuplicateAsset(_) | RegistryError::AmbiguousSymbol { .. } => None,
    };
    doc.value(&place_of(doc, wallet), Problem::from(error))
}

/// The path of a wallet's id.
pub(crate) fn place_of(doc: &Doc<'_, WalletsFile>, wallet: Option<&WalletId>) -> String {
    let is_it = |raw: &RawWallet| wallet.is_some_and(|wallet| raw.id == wallet.as_str());
    let n = doc.raw.wallets.iter().rposition(is_it);
    n.map_or_else(|| "wallets".to_owned(), |n| format!("wallets[{n}].id"))
}
