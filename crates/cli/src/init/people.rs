//! The people and the service of a development environment, with their keys.

use countersign_approval::{
    AdminsRecord, GroupRecord, InitiatorRecord, ObserverRecord, PersonRecord, PriceSourceRecord, RosterFile,
    ServiceRecord,
};
use countersign_types::{ChainId, Currency, Duration, GroupId, PrincipalId, TenantId};

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

/// Attesters, where they are asked for, and who operates each: two that quote prices, and one that screens and keeps a book.
pub(super) const ATTESTERS: [(&str, &str); 3] = [("prices-1", "alice"), ("prices-2", "bob"), ("desk", "carol")];
/// How many of them quote prices, all of which make one.
const PRICE_SOURCES: u32 = 2;
/// The oldest that a quote may be, and how far two may lie apart.
const QUOTE_AGE: Duration = Duration::from_secs(5 * 60);
const QUOTE_SPREAD: &str = "2 %";

const OFFICER: &str = "dave";
const GROUP: &str = "treasury";

/// People and service with their public keys.
pub(super) struct People {
    people: Vec<PersonRecord>,
    service: ServiceRecord,
    observers: Vec<ServiceRecord>,
    observed: Vec<ChainId>,
    attesters: Vec<ServiceRecord>,
}

/// Makes and writes everybody's keys; those of observers where networks are observed, and of attesters where they are asked for.
pub(super) fn generate(layout: &Layout, observed: &[ChainId], with_attesters: bool) -> Result<People> {
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
    let mut attesters = Vec::new();
    if with_attesters {
        for (name, operator) in ATTESTERS {
            attesters.push(service(layout, name, operator)?);
        }
    }
    Ok(People {
        people,
        service: service(layout, INITIATOR, OFFICER)?,
        observers,
        observed: observed.to_vec(),
        attesters,
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

    /// Who quotes prices, where anybody does.
    fn price_sources(&self) -> Result<Vec<PriceSourceRecord>> {
        let sources = usize::try_from(PRICE_SOURCES).map_err(Failure::failed)?;
        let members: Vec<PrincipalId> = self
            .attesters
            .iter()
            .map(|service| service.id.clone())
            .take(sources)
            .collect();
        if members.is_empty() {
            return Ok(Vec::new());
        }
        Ok(vec![PriceSourceRecord {
            currency: "USD".parse::<Currency>().map_err(Failure::failed)?,
            threshold: PRICE_SOURCES,
            members,
            max_age: QUOTE_AGE,
            max_spread: QUOTE_SPREAD.parse().map_err(Failure::failed)?,
        }])
    }

    /// The roster of version 1.
    pub(super) fn roster(&self) -> Result<RosterFile> {
        let members: Vec<PrincipalId> = self.admins().into_iter().map(|person| person.id).collect();
        let services = std::iter::once(&self.service)
            .chain(&self.observers)
            .chain(&self.attesters);
        Ok(RosterFile {
            people: self.people.clone(),
            services: services.cloned().collect(),
            groups: vec![GroupRecord {
                id: GroupId::parse(GROUP).map_err(Failure::failed)?,
                members: members.clone(),
            }],
            initiators: vec![InitiatorRecord {
                tenant: TenantId::parse(TENANT).map_err(Failure::failed)?,
                principals: vec![self.service.id.clone()],
            }],
            admins: AdminsRecord {
                threshold: ADMIN_THRESHOLD,
                members,
                time_lock: None,
            },
            officers: vec![PrincipalId::parse(OFFICER).map_err(Failure::failed)?],
            observers: self.observed.iter().map(|network| self.observers_of(network)).collect(),
            thaw_delay: None,
            price_sources: self.price_sources()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::{bundle_files, init::fixture::Fixture};

    /// What `countersign attest` needs is there: a key that the roster knows, and two sources that make a price.
    #[test]
    fn attesters_have_keys_that_the_roster_knows() {
        let fixture = Fixture::attesting();
        let bundle = bundle_files::load(&fixture.layout.bundle()).unwrap();
        let roster = bundle.roster();
        for (name, _) in super::ATTESTERS {
            let id = name.parse().unwrap();
            assert!(roster.contains(&id), "{name}");
            crate::keys::SigningKey::read(&fixture.layout.service_key(&id)).unwrap();
        }
        let sources = roster.price_sources("USD".parse().unwrap()).unwrap();
        assert_eq!((sources.quorum().threshold(), sources.quorum().members().len()), (2, 2));
        let without = bundle_files::load(&Fixture::new().layout.bundle()).unwrap();
        assert!(without.roster().price_sources("USD".parse().unwrap()).is_none());
    }
}
