//! `destinations.yaml`: lists of addresses that policies name.

use std::collections::{BTreeMap, BTreeSet};

use countersign_chains::Registry;
use countersign_types::{Destination, ListId};
use serde::Deserialize;

use crate::{
    LoadError,
    assets::unknown_network,
    confusable::Looks,
    error::{Found, Problem},
    yaml::{self, Doc},
};

const FILE: &str = "destinations.yaml";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DestinationsFile {
    lists: Vec<RawList>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawList {
    id: String,
    entries: Vec<RawEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEntry {
    name: String,
    address: String,
}

/// The name of each destination, by list.
pub(crate) type NamedLists = BTreeMap<ListId, BTreeMap<Destination, String>>;

/// Reads the lists; every address is in the one canonical form of a network of the bundle, and not an own one.
pub(crate) fn load(bytes: &[u8], registry: &Registry, found: &mut Found) -> Option<NamedLists> {
    let doc: Doc<'_, DestinationsFile> = yaml::read(FILE, bytes, found)?;
    let mut lists = NamedLists::new();
    let (mut errors, mut looks) = (Vec::new(), Looks::default());
    for (n, raw) in doc.raw.lists.iter().enumerate() {
        let path = format!("lists[{n}].id");
        errors.extend(looks.add("list", &raw.id).map(|problem| doc.value(&path, problem)));
        let entries = entries(&doc, n, raw, registry, &mut errors);
        match ListId::parse(raw.id.as_str()) {
            Err(error) => errors.push(doc.value(&path, error)),
            Ok(id) if lists.contains_key(&id) => {
                errors.push(doc.value(
                    &path,
                    Problem::Duplicate {
                        what: "list",
                        id: id.to_string(),
                    },
                ));
            }
            Ok(id) => drop(lists.insert(id, entries)),
        }
    }
    let is_whole = errors.is_empty();
    errors.into_iter().for_each(|error| found.push(error));
    is_whole.then_some(lists)
}

fn entries(
    doc: &Doc<'_, DestinationsFile>,
    n: usize,
    raw: &RawList,
    registry: &Registry,
    errors: &mut Vec<LoadError>,
) -> BTreeMap<Destination, String> {
    let mut entries = BTreeMap::new();
    let mut names = BTreeSet::new();
    for (m, entry) in raw.entries.iter().enumerate() {
        let path = |field: &str| format!("lists[{n}].entries[{m}].{field}");
        if !is_name(&entry.name) {
            errors.push(doc.value(&path("name"), Problem::BadName));
        } else if !names.insert(&entry.name) {
            let problem = Problem::Duplicate {
                what: "name",
                id: entry.name.clone(),
            };
            errors.push(doc.value(&path("name"), problem));
        }
        match destination(&entry.address, registry) {
            Err(problem) => errors.push(doc.value(&path("address"), problem)),
            Ok(destination) => {
                let id = destination.to_string();
                if entries.insert(destination, entry.name.clone()).is_some() {
                    errors.push(doc.value(&path("address"), Problem::Duplicate { what: "address", id }));
                }
            }
        }
    }
    entries
}

fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|b| (b' '..=b'~').contains(&b)) && name.trim() == name
}

fn destination(text: &str, registry: &Registry) -> Result<Destination, Problem> {
    let bad = |error: String| Problem::BadDestination {
        address: text.chars().take(128).collect(),
        error,
    };
    let shape: Destination = text
        .parse()
        .map_err(|error: countersign_types::DestinationError| bad(error.to_string()))?;
    let network = registry
        .network(shape.chain())
        .ok_or_else(|| unknown_network(shape.chain()))?;
    let destination = network
        .parse_destination(shape.address())
        .map_err(|error| bad(error.to_string()))?;
    match registry.own_wallet(&destination) {
        Some(wallet) => Err(Problem::OwnDestination(wallet.clone())),
        None => Ok(destination),
    }
}
