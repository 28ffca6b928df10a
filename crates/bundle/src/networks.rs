//! `networks/*.yaml`: one network in each file, as its family writes it.

use std::collections::BTreeMap;

use countersign_chains::Network;
use countersign_types::ChainId;

use crate::{
    error::{Found, Problem},
    yaml::{self, Doc},
};

/// Reads every network file. Chain ids are unique: a signature must not be valid on a second network.
pub(crate) fn load(files: &BTreeMap<String, Vec<u8>>, found: &mut Found) -> BTreeMap<ChainId, Network> {
    let mut networks = BTreeMap::new();
    for (file, bytes) in files.iter().filter(|(path, _)| path.starts_with("networks/")) {
        let Some(doc) = yaml::read(file, bytes, found) else {
            continue;
        };
        let doc: Doc<'_, Network> = doc;
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
