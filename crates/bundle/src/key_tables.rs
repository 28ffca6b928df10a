//! `keys/*.keys`: the key tables of wallets with more keys than a person reads.

use std::collections::BTreeMap;

use countersign_types::{KeyTable, Tag};

use crate::{
    LoadError, error::Found, manifest::is_key_table, places::TOP, problem::Problem, wallets::WalletsFile, yaml::Doc,
};

/// Reads every key table.
pub(crate) fn load(files: &BTreeMap<String, Vec<u8>>, found: &mut Found) -> BTreeMap<String, KeyTable> {
    let mut tables = BTreeMap::new();
    for (path, bytes) in files.iter().filter(|(path, _)| is_key_table(path)) {
        match KeyTable::parse(path, bytes) {
            Ok(table) => drop(tables.insert(path.clone(), table)),
            Err(error) => found.push(LoadError::new(path, TOP, error)),
        }
    }
    tables
}

/// Each table that a wallet names is there, and each that is there is named by one wallet: keys that nobody names are
/// keys that somebody believes to be in use.
pub(crate) fn certify_named(files: &BTreeMap<String, Vec<u8>>, doc: &Doc<'_, WalletsFile>, found: &mut Found) {
    let mut named = BTreeMap::new();
    for (n, wallet) in doc.raw.wallets.iter().enumerate() {
        let Some(path) = &wallet.key_table else {
            continue;
        };
        let id = || path.chars().take(64).flat_map(char::escape_default).collect();
        let problem = match files.contains_key(path) && is_key_table(path) {
            false => Problem::Unknown {
                what: "key table",
                id: id(),
                hint: "the bundle has no such file in `keys/`",
            },
            true if named.insert(path, n).is_some() => Problem::Duplicate {
                what: "key table",
                id: id(),
            },
            true => continue,
        };
        found.push(doc.value(&format!("wallets[{n}].key-table"), problem));
    }
    for path in files.keys().filter(|path| is_key_table(path)) {
        if !named.contains_key(path) {
            let problem = Problem::Said(
                Tag::BundleInconsistent,
                "no wallet names this key table: name it as `key-table`, or remove it",
            );
            found.push(LoadError::new(path, TOP, problem));
        }
    }
}
