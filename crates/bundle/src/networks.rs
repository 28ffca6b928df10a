//! `networks/*.yaml`: one network in each file, as its family writes it.

use std::collections::BTreeMap;

use countersign_chains::Network;
use countersign_types::ChainId;

use crate::{
    error::{Found, Problem},
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
    let mut networks = BTreeMap::new();
    for (file, bytes) in files.iter().filter(|(path, _)| path.starts_with("networks/")) {
        let Some(doc) = yaml::read(file, bytes, found) else {
            continue;
        };
        let doc: Doc<'_, Network> = doc;
        certify_numbers(&doc, found);
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

/// A family reads its numbers itself, and takes them in other bases, in quotes and with underscores.
fn certify_numbers(doc: &Doc<'_, Network>, found: &mut Found) {
    let family = match &doc.raw {
        Network::Evm(_) => "evm",
        Network::Bitcoin(_) => "bitcoin",
        Network::Solana(_) => "solana",
    };
    for path in NUMBERS.map(|field| format!("{family}.{field}")) {
        if doc.places.is_number(&path) == Some(false) {
            found.push(doc.value(&path, Problem::Yaml(yaml::PLAIN_NUMBER.to_owned())));
        }
    }
}
