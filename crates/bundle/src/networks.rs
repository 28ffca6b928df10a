//! `networks/*.yaml`: one network in each file, as its family writes it.

use std::collections::BTreeMap;

use countersign_chains::Network;
use countersign_policy::Currency;
use countersign_types::{ChainId, Tag};

use crate::{
    confusable::Looks,
    error::Found,
    problem::Problem,
    yaml::{self, Doc},
};

/// The fields of network files that hold numbers, whatever the family.
const NUMBERS: [&str; 9] = [
    "native.slip44",
    "max-gas-limit",
    "addresses.p2pkh",
    "addresses.p2sh",
    "max-money-sat",
    "dust-sat",
    "max-fee-sat",
    "max-fee-rate-sat-vb",
    "max-fee-percent",
];

/// Reads every network file. Chain ids are unique: a signature must not be valid on a second network.
pub(crate) fn load(files: &BTreeMap<String, Vec<u8>>, found: &mut Found) -> BTreeMap<ChainId, Network> {
    let (mut networks, mut looks) = (BTreeMap::new(), Looks::default());
    for (file, bytes) in files.iter().filter(|(path, _)| path.starts_with("networks/")) {
        let Some(doc) = yaml::read(file, bytes, found) else {
            continue;
        };
        let doc: Doc<'_, Network> = doc;
        certify_numbers(&doc, found);
        certify_native(&doc, &mut looks, found);
        let chain = doc.raw.chain().clone();
        if networks.contains_key(&chain) {
            let id = chain.to_string();
            found.push(doc.value("evm.chain", Problem::Duplicate { what: "network", id }));
            continue;
        }
        networks.insert(chain, doc.raw);
    }
    networks
}

/// The symbol of the native asset is no currency's, which would take its place in bounds, and looks like no other network's.
fn certify_native(doc: &Doc<'_, Network>, looks: &mut Looks, found: &mut Found) {
    let symbol = &doc.raw.native().symbol;
    let currency = symbol.as_str().parse::<Currency>().ok();
    let problem = currency.map(Problem::CurrencySymbol);
    if let Some(problem) = problem.or_else(|| looks.add("asset", symbol.as_str())) {
        found.push(doc.value(&format!("{}.native.symbol", family(&doc.raw)), problem));
    }
}

/// The key that everything in a network file stands below.
fn family(network: &Network) -> &'static str {
    match network {
        Network::Evm(_) => "evm",
        Network::Bitcoin(_) => "bitcoin",
        Network::Solana(_) => "solana",
    }
}

/// A family reads its numbers itself, and takes them in other bases, in quotes and with underscores.
fn certify_numbers(doc: &Doc<'_, Network>, found: &mut Found) {
    for path in NUMBERS.map(|field| format!("{}.{field}", family(&doc.raw))) {
        if doc.places.is_number(&path) == Some(false) {
            found.push(doc.value(&path, Problem::Yaml(Tag::BundleBadValue, yaml::PLAIN_NUMBER.to_owned())));
        }
    }
}
