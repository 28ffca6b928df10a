//! The people and the service of a development environment, with their keys.

use countersign_approval::{AdminsRecord, GroupRecord, InitiatorRecord, PersonRecord, RosterFile, ServiceRecord};
use countersign_types::{GroupId, IdError, PrincipalId, TenantId};

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

const OFFICER: &str = "dave";
const GROUP: &str = "treasury";

/// People and service with their public keys.
pub(super) struct People {
    people: Vec<PersonRecord>,
    service: ServiceRecord,
}

/// Makes and writes everybody's keys.
pub(super) fn generate(layout: &Layout) -> Result<People> {
    let mut people = Vec::new();
    for name in NAMES {
        let id = PrincipalId::parse(name).map_err(Failure::failed)?;
        let line = keys::generate_openssh(&layout.person_key(&id), name)?;
        people.push(PersonRecord { id, keys: vec![line] });
    }
    let id = PrincipalId::parse(INITIATOR).map_err(Failure::failed)?;
    let key = keys::generate_seed(&layout.service_key(&id))?;
    let operators = vec![PrincipalId::parse(OFFICER).map_err(Failure::failed)?];
    let service = ServiceRecord {
        id,
        operators,
        keys: vec![key],
    };
    Ok(People { people, service })
}

impl People {
    /// The treasury's people are the admins too.
    pub(super) fn admins(&self) -> Vec<PersonRecord> {
        let is_admin = |person: &&PersonRecord| person.id.as_str() != OFFICER;
        self.people.iter().filter(is_admin).cloned().collect()
    }

    /// The roster of version 1.
    pub(super) fn roster(&self) -> Result<RosterFile> {
        self.build().map_err(Failure::failed)
    }

    fn build(&self) -> std::result::Result<RosterFile, IdError> {
        let members: Vec<PrincipalId> = self.admins().into_iter().map(|person| person.id).collect();
        Ok(RosterFile {
            people: self.people.clone(),
            services: vec![self.service.clone()],
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
            observers: Vec::new(),
            thaw_delay: None,
        })
    }
}
