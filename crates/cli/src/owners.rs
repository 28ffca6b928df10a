//! Whose a key is, as far as this machine knows: by the bundle under `bundle/`, or else by the genesis.
//!
//! It spares people a statement in another's name, and nothing rests on it: whose word a statement is the signer says, by the roster in force.

use countersign_approval::{Envelope, Fingerprint, Genesis, KeyDirectory, KeyRecord, verify};
use countersign_bundle::Bundle;
use countersign_types::{PrincipalId, Tag};

use crate::{
    bundle_files,
    environment::{Layout, read_genesis},
    failure::{Failure, Result},
    keys::SigningKey,
};

/// What this machine has.
pub(crate) struct Owners {
    bundle: Option<Bundle>,
    genesis: Option<Genesis>,
}

impl KeyDirectory for Owners {
    fn key(&self, fingerprint: &Fingerprint) -> Option<(&PrincipalId, &KeyRecord)> {
        let listed = self.bundle.as_ref().and_then(|bundle| bundle.roster().key(fingerprint));
        listed.or_else(|| self.genesis.as_ref()?.key(fingerprint))
    }
}

impl Owners {
    pub(crate) fn of(layout: &Layout) -> Self {
        Self {
            bundle: bundle_files::load(&layout.bundle()).ok(),
            genesis: read_genesis(&layout.genesis()).ok(),
        }
    }

    /// Whose key it is; `None` where it is not listed.
    pub(crate) fn owner(&self, key: &SigningKey) -> Option<&PrincipalId> {
        self.key(&key.record().fingerprint()).map(|(owner, _)| owner)
    }

    /// Refuses the key of somebody else than who speaks. A key that is not listed here may be so in the roster in force.
    pub(crate) fn certify(&self, person: &PrincipalId, key: &SigningKey) -> Result<()> {
        self.owner(key).map_or(Ok(()), |owner| certify_same(person, owner))
    }

    /// The same of a signature that was made elsewhere.
    pub(crate) fn certify_signed(&self, person: &PrincipalId, envelope: &Envelope) -> Result<()> {
        verify(envelope, self).map_or(Ok(()), |verified| certify_same(person, verified.signer()))
    }
}

/// Refuses what one person signs in another's name.
pub(crate) fn certify_same(person: &PrincipalId, owner: &PrincipalId) -> Result<()> {
    if person == owner {
        return Ok(());
    }
    let why = format!("the key is that of `{owner}`, not of `{person}`");
    Err(Failure::denied(Tag::StatementNotPermitted, why)
        .advise("sign with a key of `--as`, or say `--as` whose key it is; nothing was sent"))
}
