//! `destinations.yaml` and `lists/*.list`: lists of addresses that policies name.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
};

use countersign_chains::Registry;
use countersign_policy::{DestinationList, DestinationLists};
use countersign_types::{Destination, ListId, Tag};
use serde::Deserialize;

use crate::{
    LoadError,
    assets::unknown_network,
    confusable::Looks,
    error::Found,
    manifest::is_list,
    places::TOP,
    problem::Problem,
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
    entries: Option<Vec<RawEntry>>,
    /// A file of `lists/` with the destinations.
    file: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEntry {
    name: String,
    address: String,
}

/// The name of each destination that `destinations.yaml` holds itself, by list.
pub(crate) type Names = BTreeMap<ListId, BTreeMap<Destination, String>>;

/// Every list of a bundle.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    pub(crate) lists: DestinationLists,
    pub(crate) names: Names,
}

/// Reads the lists; every address is in the one canonical form of a network of the bundle, and not an own one.
pub(crate) fn load(files: &BTreeMap<String, Vec<u8>>, registry: &Registry, found: &mut Found) -> Option<Listed> {
    let bytes = files.get(FILE).map(Vec::as_slice).unwrap_or_default();
    let doc: Doc<'_, DestinationsFile> = yaml::read(FILE, bytes, found)?;
    let (mut lists, mut names) = (BTreeMap::new(), Names::new());
    let (mut errors, mut looks) = (Vec::new(), Looks::default());
    certify_named(files, &doc, &mut errors);
    for (n, raw) in doc.raw.lists.iter().enumerate() {
        let path = format!("lists[{n}].id");
        errors.extend(looks.add("list", &raw.id).map(|problem| doc.value(&path, problem)));
        let mut named = None;
        let list = match (&raw.entries, &raw.file) {
            (Some(raw), None) => {
                let entries = entries(&doc, n, raw, registry, &mut errors);
                let list = entries.keys().cloned().collect();
                named = Some(entries);
                list
            }
            (None, Some(path)) => of_file(files, path, registry, &mut errors),
            (Some(_), Some(_)) | (None, None) => {
                errors.push(doc.value(&format!("lists[{n}]"), Problem::BadList));
                DestinationList::default()
            }
        };
        match ListId::parse(raw.id.as_str()) {
            Err(error) => errors.push(doc.value(&path, error)),
            Ok(id) if lists.contains_key(&id) => {
                let (what, id) = ("list", id.to_string());
                errors.push(doc.value(&path, Problem::Duplicate { what, id }));
            }
            Ok(id) => {
                names.extend(named.map(|named| (id.clone(), named)));
                lists.insert(id, list);
            }
        }
    }
    let is_whole = errors.is_empty();
    errors.into_iter().for_each(|error| found.push(error));
    let lists = DestinationLists::new(lists);
    is_whole.then_some(Listed { lists, names })
}

/// Each file that a list names is there, and each that is there is named by one list: destinations that nobody names are
/// destinations that somebody believes to be listed.
fn certify_named(files: &BTreeMap<String, Vec<u8>>, doc: &Doc<'_, DestinationsFile>, errors: &mut Vec<LoadError>) {
    let mut named = BTreeSet::new();
    for (n, list) in doc.raw.lists.iter().enumerate() {
        let Some(path) = &list.file else {
            continue;
        };
        let (what, id) = (
            "list file",
            path.chars().take(64).flat_map(char::escape_default).collect(),
        );
        let problem = match files.contains_key(path) && is_list(path) {
            false => Problem::Unknown {
                what,
                id,
                hint: "the bundle has no such file in `lists/`",
            },
            true if !named.insert(path) => Problem::Duplicate { what, id },
            true => continue,
        };
        errors.push(doc.value(&format!("lists[{n}].file"), problem));
    }
    for path in files.keys().filter(|path| is_list(path) && !named.contains(path)) {
        let problem = Problem::Said(
            Tag::BundleInconsistent,
            "no list names this file: name it as `file`, or remove it",
        );
        errors.push(LoadError::new(path, TOP, problem));
    }
}

/// A list of a file of its own; what is wrong has the line in that file. A file that is not there is reported where it is named.
fn of_file(
    files: &BTreeMap<String, Vec<u8>>,
    path: &str,
    registry: &Registry,
    errors: &mut Vec<LoadError>,
) -> DestinationList {
    let Some(bytes) = files.get(path).filter(|_| is_list(path)) else {
        return DestinationList::default();
    };
    let at = |line: usize| (u32::try_from(line).unwrap_or(u32::MAX), 1);
    match DestinationList::parse(bytes) {
        Err((line, error)) => {
            errors.push(LoadError::new(path, at(line), error));
            DestinationList::default()
        }
        Ok(list) => {
            for (line, destination) in (1..).zip(list.iter()) {
                if let Err(problem) = certify(&destination, registry) {
                    errors.push(LoadError::new(path, at(line), problem));
                }
            }
            list
        }
    }
}

fn entries(
    doc: &Doc<'_, DestinationsFile>,
    n: usize,
    raw: &[RawEntry],
    registry: &Registry,
    errors: &mut Vec<LoadError>,
) -> BTreeMap<Destination, String> {
    let mut entries = BTreeMap::new();
    let mut names = BTreeSet::new();
    for (m, entry) in raw.iter().enumerate() {
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
    let destination: Destination = text.parse().map_err(|error| bad(text, &error))?;
    certify(&destination, registry)?;
    Ok(destination)
}

/// It is written as parses of its network write it, and nobody's of the bundle.
fn certify(destination: &Destination, registry: &Registry) -> Result<(), Problem> {
    let chain = destination.chain();
    let network = registry.network(chain).ok_or_else(|| unknown_network(chain))?;
    let written = network.parse_destination(destination.address());
    written.map_err(|error| bad(&destination.to_string(), &error))?;
    match registry.own_wallet(destination) {
        Some(wallet) => Err(Problem::OwnDestination(wallet.clone())),
        None => Ok(()),
    }
}

fn bad(address: &str, error: &dyn Display) -> Problem {
    Problem::BadDestination {
        address: address.chars().take(128).collect(),
        error: error.to_string(),
    }
}
