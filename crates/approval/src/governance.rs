//! Cancels, bundle activations and vetoes.

use std::collections::BTreeSet;

use countersign_types::{BundleDigest, PrincipalId, Tag, UtcSeconds, WithdrawalId};
use serde::{Deserialize, Serialize};

use crate::{Body, FeeCeiling, Quorum, Verified, review::certify_reason, statement::Bounded};

/// A cancel statement's body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cancel {
    /// The withdrawal.
    pub withdrawal: WithdrawalId,
    /// The most that the fee of a cancel attempt may be, which takes the place of what is signed and pays nobody. Without one
    /// nothing is signed any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fee_ceiling: Option<FeeCeiling>,
    /// Why, for people: one line of at most 512 printable ASCII characters.
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

/// A veto statement's body: one officer stops a bundle that waits, whatever was signed for it so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Veto {
    /// The bundle's digest.
    pub bundle: BundleDigest,
    /// The bundle in force, which it was to follow.
    pub previous: BundleDigest,
    /// Why, for people: one line of at most 512 printable ASCII characters.
    pub reason: String,
}

impl Bounded for Veto {
    fn certify(&self) -> Result<(), String> {
        certify_reason(&self.reason)
    }
}

impl Bounded for Cancel {
    fn certify(&self) -> Result<(), String> {
        certify_reason(&self.reason)
    }
}

impl Bounded for Activation {
    fn certify(&self) -> Result<(), String> {
        if self.version == 0 {
            return Err("versions start at 1".to_owned());
        }
        if (self.version == 1) != self.previous.is_none() {
            return Err("version 1 has no previous bundle, and every other version has one".to_owned());
        }
        Ok(())
    }
}

/// Why an activation is not certified.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ActivationError {
    /// A statement is of another kind, about another bundle, or names another `not_before` than the others.
    #[error("a statement of `{0}` is not about this bundle, version and predecessor, or disagrees on `not_before`")]
    OtherBundle(PrincipalId),
    /// Its signer is no admin.
    #[error("`{0}` is not an admin of the bundle in force")]
    NotAdmin(PrincipalId),
    /// Too few distinct admins.
    #[error("{found} distinct admins signed; it takes {required}")]
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

/// Certifies that every statement is exactly this activation, by whomever, and that all agree on `not_before`, which is
/// returned. No statements agree on nothing: `None`.
pub fn certify_subject(
    statements: &[Verified],
    bundle: BundleDigest,
    version: u64,
    previous: Option<BundleDigest>,
) -> Result<Option<UtcSeconds>, ActivationError> {
    // Half a quorum for now and half for next month is no quorum for either.
    let agreed = statements.iter().find_map(|first| {
        let Body::Activation(activation) = &first.statement().body else {
            return None;
        };
        Some(activation.not_before)
    });
    for statement in statements {
        let signer = statement.signer();
        let is_about = matches!(&statement.statement().body, Body::Activation(activation)
            if activation.bundle == bundle && activation.version == version && activation.previous == previous
                && Some(activation.not_before) == agreed);
        if !is_about {
            return Err(ActivationError::OtherBundle(signer.clone()));
        }
    }
    Ok(agreed.flatten())
}

/// Certifies that the admin quorum in force signed exactly this activation. One person counts once, whatever the keys.
/// Headers and the agreed `not_before` meet the clock where the bundle is put in force.
pub fn certify_activation(
    statements: &[Verified],
    bundle: BundleDigest,
    version: u64,
    previous: Option<BundleDigest>,
    admins: &Quorum,
) -> Result<(), ActivationError> {
    certify_subject(statements, bundle, version, previous)?;
    let mut people = BTreeSet::new();
    for statement in statements {
        let signer = statement.signer();
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
