//! The roster: people, services, groups, initiators, admins and officers.

use std::collections::{BTreeMap, BTreeSet};

use countersign_types::{ChainId, Currency, Duration, GroupId, PrincipalId, Tag, TenantId};
use serde::{Deserialize, Serialize};

use crate::{Fingerprint, KeyError, KeyRecord, PriceSourceRecord, PriceSources, Quorum, QuorumError, quorum::unique};

/// The most people and the most services of a roster.
const MAX_PRINCIPALS: usize = 1_024;
/// The most keys of one person or service.
const MAX_KEYS: usize = 8;
/// The most networks with observers.
const MAX_OBSERVED_NETWORKS: usize = 256;

/// How long a quorum's thaw takes where the roster does not say.
pub const DEFAULT_THAW_DELAY: Duration = Duration::from_secs(86_400);
/// The longest time-lock of a roster: a mistake in it keeps every admin from correcting it for that long.
pub const MAX_TIME_LOCK: Duration = Duration::from_secs(30 * 86_400);

/// `roster.yaml`, before it is checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RosterFile {
    /// People with their keys.
    pub people: Vec<PersonRecord>,
    /// Services with their keys and the people who operate them.
    pub services: Vec<ServiceRecord>,
    /// Groups of people who fill approval seats.
    pub groups: Vec<GroupRecord>,
    /// Who may initiate, by tenant.
    pub initiators: Vec<InitiatorRecord>,
    /// Who activates the next bundle, and how long that takes.
    pub admins: AdminsRecord,
    /// Who may cancel and freeze alone.
    pub officers: Vec<PrincipalId>,
    /// Whose observations are facts, by network. Without observers of a network nothing about it is known.
    #[serde(default)]
    pub observers: Vec<ObserverRecord>,
    /// How long after the statement that completed the quorum a thaw takes effect; [`DEFAULT_THAW_DELAY`] where it is absent.
    #[serde(rename = "thaw-delay", default, skip_serializing_if = "Option::is_none")]
    pub thaw_delay: Option<Duration>,
    /// Whose quotes make prices, by currency. Without sources in a currency nothing has a worth in it.
    #[serde(default, rename = "price-sources")]
    pub price_sources: Vec<PriceSourceRecord>,
}

/// A person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersonRecord {
    /// The identity.
    pub id: PrincipalId,
    /// OpenSSH public key lines.
    pub keys: Vec<String>,
}

/// A service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceRecord {
    /// The identity.
    pub id: PrincipalId,
    /// The people who operate it: they count as the initiator of what it initiates.
    pub operators: Vec<PrincipalId>,
    /// OpenSSH public key lines or `ed25519:<hex>`.
    pub keys: Vec<String>,
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupRecord {
    /// The identity.
    pub id: GroupId,
    /// Its people.
    pub members: Vec<PrincipalId>,
}

/// Who may initiate for a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InitiatorRecord {
    /// The tenant.
    pub tenant: TenantId,
    /// People and services.
    pub principals: Vec<PrincipalId>,
}

/// A quorum, before it is checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuorumRecord {
    /// How many.
    pub threshold: u32,
    /// Of whom.
    pub members: Vec<PrincipalId>,
}

/// The admins, before they are checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminsRecord {
    /// How many.
    pub threshold: u32,
    /// Of whom.
    pub members: Vec<PrincipalId>,
    /// How long a bundle that loosens waits behind the statement that completes its quorum; at most [`MAX_TIME_LOCK`].
    #[serde(rename = "time-lock", default, skip_serializing_if = "Option::is_none")]
    pub time_lock: Option<Duration>,
}

impl AdminsRecord {
    /// Who, without how long.
    pub fn quorum(&self) -> QuorumRecord {
        QuorumRecord {
            threshold: self.threshold,
            members: self.members.clone(),
        }
    }
}

/// Nothing waits behind the statement that completes the quorum.
impl From<QuorumRecord> for AdminsRecord {
    fn from(quorum: QuorumRecord) -> Self {
        Self {
            threshold: quorum.threshold,
            members: quorum.members,
            time_lock: None,
        }
    }
}

/// The observers of a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObserverRecord {
    /// The network (CAIP-2).
    pub network: ChainId,
    /// How many of them make a fact.
    pub threshold: u32,
    /// Services, each with a node of its own, no two operated by the same person, and none by one behind an initiator.
    pub members: Vec<PrincipalId>,
}

/// What is wrong with a roster. `path` names the field, as `people[2].keys[0]`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct RosterError {
    /// Where.
    pub path: String,
    /// What.
    pub problem: String,
    /// The stable tag.
    pub tag: Tag,
}

/// Where a verifier looks keys up.
pub trait KeyDirectory {
    /// Whose key this is, and the record that fixes its scheme.
    fn key(&self, fingerprint: &Fingerprint) -> Option<(&PrincipalId, &KeyRecord)>;
}

/// A checked roster: ids unique across people and services, keys unique across everybody, no empty group, every
/// quorum reachable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roster {
    people: BTreeSet<PrincipalId>,
    operators: BTreeMap<PrincipalId, BTreeSet<PrincipalId>>,
    keys: BTreeMap<Fingerprint, (PrincipalId, KeyRecord)>,
    groups: BTreeMap<GroupId, BTreeSet<PrincipalId>>,
    initiators: BTreeMap<TenantId, BTreeSet<PrincipalId>>,
    admins: Quorum,
    time_lock: Duration,
    officers: BTreeSet<PrincipalId>,
    observers: BTreeMap<ChainId, Quorum>,
    thaw_delay: Duration,
    price_sources: BTreeMap<Currency, PriceSources>,
}

fn wrong(path: impl Into<String>, tag: Tag, problem: impl ToString) -> RosterError {
    RosterError {
        path: path.into(),
        problem: problem.to_string(),
        tag,
    }
}

/// See [`Roster::conflict`].
fn conflict<'r>(
    operators: &'r BTreeMap<PrincipalId, BTreeSet<PrincipalId>>,
    initiators: &'r BTreeMap<TenantId, BTreeSet<PrincipalId>>,
    service: &PrincipalId,
) -> Option<(&'r PrincipalId, &'r PrincipalId)> {
    let people = operators.get(service)?;
    initiators.values().flatten().find_map(|initiator| {
        let person = match operators.get(initiator) {
            Some(operators) => people.intersection(operators).next(),
            None => people.get(initiator),
        };
        Some((person?, initiator))
    })
}

impl Roster {
    /// Checks a roster file. All that is wrong is reported, not just the first.
    pub fn new(file: RosterFile) -> Result<Self, Vec<RosterError>> {
        // Before anything is built; whatever refers to these people would only repeat the one thing that is wrong.
        for (path, count, max) in [
            ("people", file.people.len(), MAX_PRINCIPALS),
            ("services", file.services.len(), MAX_PRINCIPALS),
            ("observers", file.observers.len(), MAX_OBSERVED_NETWORKS),
            ("price-sources", file.price_sources.len(), Currency::ALL.len()),
        ] {
            if count > max {
                let problem = format!("{count} {path}; at most {max} are accepted");
                return Err(vec![wrong(path, Tag::BundleTooMany, problem)]);
            }
        }
        let mut build = Build::default();
        build.principals(&file);
        build.groups(&file.groups);
        build.initiators(&file.initiators);
        let officers = build.people_of("officers", &file.officers);
        let admins = build.admins(&file.admins);
        build.observers(&file.observers);
        build.price_sources(&file.price_sources);
        match (admins, officers) {
            (Some(admins), Some(officers)) if build.errors.is_empty() => Ok(Self {
                people: build.people,
                operators: build.operators,
                keys: build.keys,
                groups: build.groups,
                initiators: build.initiators,
                admins,
                time_lock: file.admins.time_lock.unwrap_or_default(),
                officers,
                observers: build.observers,
                thaw_delay: file.thaw_delay.unwrap_or(DEFAULT_THAW_DELAY),
                price_sources: build.price_sources,
            }),
            _ => Err(build.errors),
        }
    }

    /// Whether this is a person (not a service).
    pub fn is_person(&self, id: &PrincipalId) -> bool {
        self.people.contains(id)
    }
    /// The people of a group.
    pub fn group(&self, id: &GroupId) -> Option<&BTreeSet<PrincipalId>> {
        self.groups.get(id)
    }
    /// The groups that a principal is a member of.
    pub fn groups(&self) -> impl Iterator<Item = (&GroupId, &BTreeSet<PrincipalId>)> {
        self.groups.iter()
    }
    /// The groups that somebody is a member of.
    pub fn groups_of(&self, id: &PrincipalId) -> BTreeSet<GroupId> {
        let of = |(group, members): (&GroupId, &BTreeSet<PrincipalId>)| members.contains(id).then(|| group.clone());
        self.groups.iter().filter_map(of).collect()
    }
    /// Whether a principal may initiate for a tenant.
    pub fn may_initiate(&self, tenant: &TenantId, id: &PrincipalId) -> bool {
        self.initiators
            .get(tenant)
            .is_some_and(|principals| principals.contains(id))
    }
    /// Every principal that may initiate for some tenant.
    pub fn initiators(&self) -> BTreeSet<&PrincipalId> {
        self.initiators.values().flatten().collect()
    }
    /// Whether there is such a person or service.
    pub fn contains(&self, id: &PrincipalId) -> bool {
        self.people.contains(id) || self.operators.contains_key(id)
    }
    /// The people who count as the initiator: the person itself, or the operators of the service.
    pub fn initiating_people(&self, id: &PrincipalId) -> BTreeSet<PrincipalId> {
        self.operators
            .get(id)
            .cloned()
            .unwrap_or_else(|| BTreeSet::from([id.clone()]))
    }
    /// A person behind a service who is behind an initiator too, and that initiator: what the service says of withdrawals is
    /// their own word about what they ask for.
    pub fn conflict(&self, service: &PrincipalId) -> Option<(&PrincipalId, &PrincipalId)> {
        conflict(&self.operators, &self.initiators, service)
    }
    /// Who activates the next bundle.
    pub fn admins(&self) -> &Quorum {
        &self.admins
    }
    /// How long a bundle that loosens waits behind the statement that completes its quorum.
    pub fn time_lock(&self) -> Duration {
        self.time_lock
    }
    /// Whether a person may cancel and freeze alone.
    pub fn is_officer(&self, id: &PrincipalId) -> bool {
        self.officers.contains(id)
    }
    /// Who may cancel and freeze alone.
    pub fn officers(&self) -> &BTreeSet<PrincipalId> {
        &self.officers
    }
    /// Every tenant with initiators.
    pub fn tenants(&self) -> impl Iterator<Item = &TenantId> {
        self.initiators.keys()
    }
    /// How long after the statement that completed the quorum a thaw takes effect.
    pub fn thaw_delay(&self) -> Duration {
        self.thaw_delay
    }
    /// Who observes a network, and how many of them make a fact. No two of them are operated by the same person.
    pub fn observers(&self, network: &ChainId) -> Option<&Quorum> {
        self.observers.get(network)
    }
    /// Every network with observers.
    pub fn observed_networks(&self) -> impl Iterator<Item = (&ChainId, &Quorum)> {
        self.observers.iter()
    }
    /// Whether this is a service (not a person).
    pub fn is_service(&self, id: &PrincipalId) -> bool {
        self.operators.contains_key(id)
    }
    /// Who quotes in a currency, and when their quotes make a price.
    pub fn price_sources(&self, currency: Currency) -> Option<&PriceSources> {
        self.price_sources.get(&currency)
    }
    /// The sources of prices in a currency that this service is one of; `None` where it is not.
    pub fn price_sources_with(&self, currency: Currency, service: &PrincipalId) -> Option<&PriceSources> {
        let sources = self.price_sources(currency);
        sources.filter(|sources| sources.quorum().members().contains(service))
    }
    /// The fingerprints of every key.
    pub fn fingerprints(&self) -> impl Iterator<Item = (&Fingerprint, &PrincipalId)> {
        self.keys.iter().map(|(fingerprint, (owner, _))| (fingerprint, owner))
    }
}

impl KeyDirectory for Roster {
    fn key(&self, fingerprint: &Fingerprint) -> Option<(&PrincipalId, &KeyRecord)> {
        self.keys.get(fingerprint).map(|(owner, record)| (owner, record))
    }
}

#[derive(Default)]
struct Build {
    people: BTreeSet<PrincipalId>,
    operators: BTreeMap<PrincipalId, BTreeSet<PrincipalId>>,
    keys: BTreeMap<Fingerprint, (PrincipalId, KeyRecord)>,
    groups: BTreeMap<GroupId, BTreeSet<PrincipalId>>,
    initiators: BTreeMap<TenantId, BTreeSet<PrincipalId>>,
    observers: BTreeMap<ChainId, Quorum>,
    price_sources: BTreeMap<Currency, PriceSources>,
    errors: Vec<RosterError>,
}

impl Build {
    fn principals(&mut self, file: &RosterFile) {
        for (n, person) in file.people.iter().enumerate() {
            let path = format!("people[{n}]");
            if !self.people.insert(person.id.clone()) {
                self.errors.push(wrong(
                    format!("{path}.id"),
                    Tag::BundleListedTwice,
                    format!("`{}` is listed twice", person.id),
                ));
            }
            self.keys(&path, &person.id, &person.keys, true);
        }
        for (n, service) in file.services.iter().enumerate() {
            let path = format!("services[{n}]");
            let is_taken = self.people.contains(&service.id) || self.operators.contains_key(&service.id);
            if is_taken {
                self.errors.push(wrong(
                    format!("{path}.id"),
                    Tag::BundleListedTwice,
                    format!("`{}` is listed twice", service.id),
                ));
            }
            let operators = self.people_of(&format!("{path}.operators"), &service.operators);
            if operators.as_ref().is_some_and(BTreeSet::is_empty) {
                self.errors.push(wrong(
                    format!("{path}.operators"),
                    Tag::BundleMissingValue,
                    "a service names the people who operate it",
                ));
            }
            self.operators.insert(service.id.clone(), operators.unwrap_or_default());
            self.keys(&path, &service.id, &service.keys, false);
        }
    }

    fn keys(&mut self, path: &str, owner: &PrincipalId, keys: &[String], is_person: bool) {
        if !(1..=MAX_KEYS).contains(&keys.len()) {
            self.errors.push(wrong(
                format!("{path}.keys"),
                Tag::BundleBadValue,
                format!("`{owner}` needs 1 to {MAX_KEYS} keys"),
            ));
        }
        for (n, text) in keys.iter().enumerate() {
            if let Err((tag, problem)) = self.key(owner, text, is_person) {
                self.errors.push(wrong(format!("{path}.keys[{n}]"), tag, problem));
            }
        }
    }

    fn key(&mut self, owner: &PrincipalId, text: &str, is_person: bool) -> Result<(), (Tag, String)> {
        let bad = |problem: String| (Tag::BundleBadValue, problem);
        let record = KeyRecord::parse(text).map_err(|error: KeyError| bad(error.to_string()))?;
        if is_person && matches!(record, KeyRecord::Ed25519(_)) {
            return Err(bad(
                "people sign with ssh keys; plain ed25519 is for services".to_owned()
            ));
        }
        let fingerprint = record.fingerprint();
        if let Some((first, _)) = self.keys.get(&fingerprint) {
            let problem = format!("this key already belongs to `{first}`");
            return Err((Tag::BundleListedTwice, problem));
        }
        self.keys.insert(fingerprint, (owner.clone(), record));
        Ok(())
    }

    fn groups(&mut self, groups: &[GroupRecord]) {
        for (n, group) in groups.iter().enumerate() {
            let members = self.people_of(&format!("groups[{n}].members"), &group.members);
            if members.as_ref().is_some_and(BTreeSet::is_empty) {
                self.errors.push(wrong(
                    format!("groups[{n}].members"),
                    Tag::BundleEmptyGroup,
                    format!("group `{}` has no people", group.id),
                ));
            }
            if self
                .groups
                .insert(group.id.clone(), members.unwrap_or_default())
                .is_some()
            {
                self.errors.push(wrong(
                    format!("groups[{n}].id"),
                    Tag::BundleListedTwice,
                    format!("`{}` is listed twice", group.id),
                ));
            }
        }
    }

    fn initiators(&mut self, initiators: &[InitiatorRecord]) {
        for (n, record) in initiators.iter().enumerate() {
            let path = format!("initiators[{n}]");
            for (m, id) in record.principals.iter().enumerate() {
                if !self.people.contains(id) && !self.operators.contains_key(id) {
                    self.errors.push(wrong(
                        format!("{path}.principals[{m}]"),
                        Tag::BundleUnknownName,
                        format!("`{id}` is not in the roster"),
                    ));
                }
            }
            let principals = unique(record.principals.iter().cloned());
            let principals = self.note(&format!("{path}.principals"), principals);
            if self
                .initiators
                .insert(record.tenant.clone(), principals.unwrap_or_default())
                .is_some()
            {
                self.errors.push(wrong(
                    format!("{path}.tenant"),
                    Tag::BundleListedTwice,
                    format!("`{}` is listed twice", record.tenant),
                ));
            }
        }
    }

    fn admins(&mut self, record: &AdminsRecord) -> Option<Quorum> {
        if record.time_lock.is_some_and(|time_lock| time_lock > MAX_TIME_LOCK) {
            let problem = format!("a time-lock is at most {MAX_TIME_LOCK}: nobody could correct it for that long");
            self.errors
                .push(wrong("admins.time-lock", Tag::BundleBadValue, problem));
        }
        let members = self.people_of("admins.members", &record.members)?;
        let admins = Quorum::new(record.threshold, members);
        admins
            .map_err(|error| self.errors.push(wrong("admins.threshold", error.tag(), error)))
            .ok()
    }

    fn observers(&mut self, records: &[ObserverRecord]) {
        for (n, record) in records.iter().enumerate() {
            let path = format!("observers[{n}]");
            let Some(quorum) = self.voices(&path, record.threshold, &record.members) else {
                continue;
            };
            if self.observers.insert(record.network.clone(), quorum).is_some() {
                let problem = format!("`{}` is listed twice", record.network);
                self.errors
                    .push(wrong(format!("{path}.network"), Tag::BundleListedTwice, problem));
            }
        }
    }

    fn price_sources(&mut self, records: &[PriceSourceRecord]) {
        for (n, record) in records.iter().enumerate() {
            let path = format!("price-sources[{n}]");
            let Some(quorum) = self.voices(&path, record.threshold, &record.members) else {
                continue;
            };
            let sources = PriceSources {
                quorum,
                max_age: record.max_age,
                max_spread: record.max_spread,
            };
            if self.price_sources.insert(record.currency, sources).is_some() {
                let problem = format!("`{}` is listed twice", record.currency);
                self.errors
                    .push(wrong(format!("{path}.currency"), Tag::BundleListedTwice, problem));
            }
        }
    }

    /// A quorum of services of which no two are one voice.
    fn voices(&mut self, path: &str, threshold: u32, members: &[PrincipalId]) -> Option<Quorum> {
        self.voicing_services(path, members);
        let members = unique(members.iter().cloned());
        let members = self.note(&format!("{path}.members"), members)?;
        let quorum = Quorum::new(threshold, members);
        quorum
            .map_err(|error| self.errors.push(wrong(format!("{path}.threshold"), error.tag(), error)))
            .ok()
    }

    /// Voices are services whose people ask for nothing that they speak of; whoever operates two of them would be two voices.
    fn voicing_services(&mut self, path: &str, members: &[PrincipalId]) {
        let mut operated: BTreeMap<PrincipalId, PrincipalId> = BTreeMap::new();
        for (m, id) in members.iter().enumerate() {
            let path = format!("{path}.members[{m}]");
            let Some(operators) = self.operators.get(id).cloned() else {
                let problem = format!("`{id}` is not a service of the roster");
                self.errors.push(wrong(path, Tag::BundleUnknownName, problem));
                continue;
            };
            if let Some(problem) = self.asks_too(id) {
                self.errors
                    .push(wrong(path.clone(), Tag::BundleConflictingDuties, problem));
            }
            for person in operators {
                if let Some(other) = operated.insert(person.clone(), id.clone())
                    && other != *id
                {
                    let problem = format!("`{person}` operates both `{other}` and `{id}`: they would be one voice");
                    self.errors
                        .push(wrong(path.clone(), Tag::BundleConflictingDuties, problem));
                }
            }
        }
    }

    /// What is wrong with a voice that initiates, or whose people do.
    fn asks_too(&self, service: &PrincipalId) -> Option<String> {
        if self.initiators.values().any(|principals| principals.contains(service)) {
            return Some(format!(
                "`{service}` initiates withdrawals: what it says of them proves nothing"
            ));
        }
        let (person, initiator) = conflict(&self.operators, &self.initiators, service)?;
        Some(format!(
            "`{person}` operates `{service}` and is behind the initiator `{initiator}`: name a service whose people ask for no \
             withdrawals"
        ))
    }

    /// A set of known people; services are refused. None if it repeats somebody or is too large, which is noted.
    fn people_of(&mut self, path: &str, ids: &[PrincipalId]) -> Option<BTreeSet<PrincipalId>> {
        for (n, id) in ids.iter().enumerate() {
            if !self.people.contains(id) {
                self.errors.push(wrong(
                    format!("{path}[{n}]"),
                    Tag::BundleUnknownName,
                    format!("`{id}` is not a person of the roster"),
                ));
            }
        }
        let ids = unique(ids.iter().cloned());
        self.note(path, ids)
    }

    fn note(&mut self, path: &str, ids: Result<BTreeSet<PrincipalId>, QuorumError>) -> Option<BTreeSet<PrincipalId>> {
        ids.map_err(|error| self.errors.push(wrong(path, error.tag(), error)))
            .ok()
    }
}
