//! `roster.yaml`: people, services, groups, initiators, admins, officers, observers, price sources.

use std::collections::BTreeMap;

use countersign_approval::{Roster, RosterFile};
use countersign_chains::Network;
use countersign_types::ChainId;

use crate::{
    confusable::Looks,
    error::Found,
    problem::Problem,
    yaml::{self, Doc},
};

const FILE: &str = "roster.yaml";

/// Checks the roster; each of its errors names a path, and the path has a place. `networks` where all of them load.
pub(crate) fn load(bytes: &[u8], networks: Option<&BTreeMap<ChainId, Network>>, found: &mut Found) -> Option<Roster> {
    let doc: Doc<'_, RosterFile> = yaml::read(FILE, bytes, found)?;
    certify_thresholds(&doc, found)?;
    certify_names(&doc, found);
    if let Some(networks) = networks {
        certify_networks(&doc, networks, found);
    }
    match Roster::new(doc.raw.clone()) {
        Ok(roster) => Some(roster),
        Err(errors) => {
            for error in errors {
                found.push(doc.value(&error.path, Problem::Roster(error.tag, error.problem)));
            }
            None
        }
    }
}

/// Nobody's name looks like somebody else's.
fn certify_names(doc: &Doc<'_, RosterFile>, found: &mut Found) {
    let file = &doc.raw;
    let people = file
        .people
        .iter()
        .enumerate()
        .map(|(n, person)| (format!("people[{n}].id"), &person.id));
    let services = file
        .services
        .iter()
        .enumerate()
        .map(|(n, service)| (format!("services[{n}].id"), &service.id));
    let mut looks = Looks::default();
    for (path, id) in people.chain(services) {
        if let Some(problem) = looks.add("principal", id.as_str()) {
            found.push(doc.value(&path, problem));
        }
    }
    let mut looks = Looks::default();
    for (n, group) in file.groups.iter().enumerate() {
        if let Some(problem) = looks.add("group", group.id.as_str()) {
            found.push(doc.value(&format!("groups[{n}].id"), problem));
        }
    }
    let mut looks = Looks::default();
    for (n, record) in file.initiators.iter().enumerate() {
        if let Some(problem) = looks.add("tenant", record.tenant.as_str()) {
            found.push(doc.value(&format!("initiators[{n}].tenant"), problem));
        }
    }
}

fn certify_thresholds(doc: &Doc<'_, RosterFile>, found: &mut Found) -> Option<()> {
    let observers = doc.raw.observers.iter().enumerate();
    let observers = observers.map(|(n, record)| (format!("observers[{n}].threshold"), record.threshold));
    let sources = doc.raw.price_sources.iter().enumerate();
    let sources = sources.map(|(n, record)| (format!("price-sources[{n}].threshold"), record.threshold));
    let admins = ("admins.threshold".to_owned(), doc.raw.admins.threshold);
    for (path, threshold) in std::iter::once(admins).chain(observers).chain(sources) {
        if let Err(problem) = doc.places.seats(&path, u64::from(threshold), 64) {
            found.push(doc.value(&path, problem));
            return None;
        }
    }
    Some(())
}

fn certify_networks(doc: &Doc<'_, RosterFile>, networks: &BTreeMap<ChainId, Network>, found: &mut Found) {
    for (n, record) in doc.raw.observers.iter().enumerate() {
        if !networks.contains_key(&record.network) {
            let problem = Problem::Unknown {
                what: "network",
                id: record.network.to_string(),
                hint: "no file in networks/ has this chain",
            };
            found.push(doc.value(&format!("observers[{n}].network"), problem));
        }
    }
}
