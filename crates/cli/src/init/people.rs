//! The people and the service of a development environment, with their keys.

use countersign_approval::{
    AdminsRecord, GroupRecord, InitiatorRecord, ObserverRecord, PersonRecord, RosterFile, ServiceRecord,
};
use countersign_types::{ChainId, GroupId, IdError, PrincipalId, TenantId};

use super::{INITIATOR, TENANT};
use crate::{
    environment::Layout,
    failure::{Failure, Result},
    keys,
};

/// Everybody; the last one operates the payout service and may cancel.
pub(super) const NAMES: [&str; 4] = ["alice", "bob", "carol", "dave"];
/// Of three admins, two activate a bundle.
pub(super) const ADMIN_THRESHOLD: u32 = 2;

/// Observers, where some are asked for, and who operates each: nobody two, for then they would be one voice.
pub(super) const OBSERVERS: [(&str, &str); 3] = [("watch-1", "alice"), ("watch-2", "bob"), ("watch-3", "carol")];
/// Of three observers, two make a fact.
const OBSERVER_THRESHOLD: u32 = 2;

const OFFICER: &str = "dave";
const GROUP: &str = "treasury";

/// People and service with their public keys.
pub(super) struct People {
    people: Vec<PersonRecord>,
    service: ServiceRecord,
    observers: Vec<ServiceRecord>,
    observed: Vec<ChainId>,
}

/// Makes and writes everybody's keys; those of observers where networks are observed.
pub(super) fn generate(layout: &Layout, observed: &[ChainId]) -> Result<People> {
    let mut people = Vec::new();
    for name in NAMES {
        let id = PrincipalId::parse(name).map_err(Failure::failed)?;
        let line = keys::generate_openssh(&layout.person_key(&id), name)?;
        people.push(PersonRecord { id, keys: vec![line] });
    }
    let mut observers = Vec::new();
    if !observed.is_empty() {
        for (name, operator) in OBSERVERS {
            observers.push(service(layout, name, operator)?);
        }
    }
    Ok(People {
        people,
        service: service(layout, INITIATOR, OFFICER)?,
        observers,
        observed: observed.to_vec(),
    })
}

/// A service with a new key, operated by one person.
fn service(layout: &Layout, name: &str, operator: &str) -> Result<ServiceRecord> {
    let id = PrincipalId::parse(name).map_err(Failure::failed)?;
    let key = keys::generate_seed(&layout.service_key(&id))?;
    Ok(ServiceRecord {
        id,
        operators: vec![PrincipalId::parse(operator).map_err(Failure::failed)?],
        keys: vec![key],
    })
}

impl People {
    /// The treasury's people are the admins too.
    pub(super) fn admins(&self) -> Vec<PersonRecord> {
        let is_admin = |person: &&PersonRecord| person.id.as_str() != OFFICER;
        self.people.iter().filter(is_admin).cloned().collect()
    }

    /// The networks that have observers.
    pub(super) fn observed(&self) -> &[ChainId] {
        &self.observed
    }

    fn observers_of(&self, network: &ChainId) -> ObserverRecord {
        ObserverRecord {
            network: network.clone(),
            threshold: OBSERVER_THRESHOLD,
            members: self.observers.iter().map(|service| service.id.clone()).collect(),
        }
    }

    /// The roster of version 1.
    pub(super) fn roster(&self) -> Result<RosterFile> {
        self.build().map_err(Failure::failed)
    }

    fn build(&self) -> std::result::Result<RosterFile, IdError> {
        let members: Vec<PrincipalId> = self.admins().into_iter().map(|person| person.id).collect();
        Ok(RosterFile {
            people: self.people.clone(),
            services: std::iter::once(&self.service).chain(&self.observers).cloned().collect(),
            groups: vec![GroupRecord {
                id: GroupId::parse(GROUP)?,
                members: members.clone(),
            }],
            initiators: vec![InitiatorRecord {
                tenant: TenantId::parse(TENANT)?,
                principals: vec![self.service.id.clone()],
            }],
            admins: AdminsRecord {
                threshold: ADMIN_THRESHOLD,
                members,
                time_lock: None,
            },
            officers: vec![PrincipalId::parse(OFFICER)?],
            observers: self.observed.iter().map(|network| self.observers_of(network)).collect(),
            thaw_delay: None,
            price_sources: Vec::new(),
        })
    }
}
