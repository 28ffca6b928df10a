//! Cancels and bundle activations.

use std::collections::BTreeSet;

use countersign_types::{BundleDigest, PrincipalId, Tag, UtcSeconds, WithdrawalId};
use serde::{Deserialize, Serialize};

use crate::{Body, Quorum, Verified, statement::Bounded};

/// A cancel statement's body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cancel {
    /// The withdrawal.
    pub withdrawal: WithdrawalId,
    /// Why, for people; at most 512 characters.
    pub reason: String,
}

/// An activation statement's body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Activation {
    /// The bundle's digest: its manifest and so every file.
    pub bundle: BundleDigest,
    /// Its version.
    pub version: u64,
    /// The bundle that it replaces; none for version 1.
    pub previous: Option<BundleDigest>,
    /// Not in force before this moment.
    pub not_before: Option<UtcSeconds>,
}

impl Bounded for Cancel {
    fn certify(&self) -> Result<(), String> {
        if self.reason.len() > 512 {
            return Err("a reason is at most 512 characters".to_owned());
        }
        Ok(())
    }
}

impl Bounded for Activation {
    fn certify(&self) -> Result<(), String> {
        if (self.version == 1) != self.previous.is_none() {
            return Err("version 1 has no previous bundle, and every other version has one".to_owned());
        }
        Ok(())
    }
}

/// Why an activation is not certified.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ActivationError {
    /// A statement is of another kind or about another bundle.
    #[error("a statement of `{0}` is not about this bundle, version and predecessor")]
    OtherBundle(PrincipalId),
    /// Its signer is no admin.
    #[error("`{0}` is not an admin of the bundle in force")]
    NotAdmin(PrincipalId),
    /// Too few distinct admins.
    #[error("{found} distinct admins signed; the bundle in force asks for {required}")]
    QuorumShort {
        /// Distinct admins.
        found: u32,
        /// The threshold.
        required: u32,
    },
}

impl ActivationError {
    /// The stable tag.
    pub fn tag(&self) -> Tag {
        match self {
            Self::OtherBundle(_) => Tag::BundleDigestMismatch,
            Self::NotAdmin(_) => Tag::StatementNotPermitted,
            Self::QuorumShort { .. } => Tag::BundleQuorumShort,
        }
    }
}

/// Certifies that the admin quorum in force signed exactly this activation. One person counts once, whatever the keys.
pub fn certify_activation(
    statements: &[Verified],
    bundle: BundleDigest,
    version: u64,
    previous: Option<BundleDigest>,
    admins: &Quorum,
) -> Result<(), ActivationError> {
    let mut people = BTreeSet::new();
    for statement in statements {
        let signer = statement.signer();
        let is_about = matches!(&statement.statement().body, Body::Activation(activation)
            if activation.bundle == bundle && activation.version == version && activation.previous == previous);
        if !is_about {
            return Err(ActivationError::OtherBundle(signer.clone()));
        }
        if !admins.members().contains(signer) {
            return Err(ActivationError::NotAdmin(signer.clone()));
        }
        people.insert(signer);
    }
    let found = u32::try_from(people.len()).unwrap_or(u32::MAX);
    if found < admins.threshold() {
        return Err(ActivationError::QuorumShort {
            found,
            required: admins.threshold(),
        });
    }
    Ok(())
}
