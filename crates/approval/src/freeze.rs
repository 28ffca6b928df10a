//! Freezes and thaws: one officer stops, only the quorum lets go.

use std::{fmt, str::FromStr};

use countersign_types::{AssetId, ChainId, Destination, FreezeId, PrincipalId, StatementDigest, TenantId, WalletId};
use serde::{Deserialize, Serialize};

use crate::{review::certify_reason, statement::Bounded};

/// What a freeze stops. In JSON `"all"`, or an object with the one name as its key: `{"wallet": "eth-hot"}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FreezeScope {
    /// Every signature.
    All,
    /// What this wallet signs.
    Wallet(WalletId),
    /// What is signed for this network (CAIP-2).
    Network(ChainId),
    /// What moves or touches this asset (CAIP-19).
    Asset(AssetId),
    /// What goes to this destination (CAIP-10).
    Destination(Destination),
    /// What this person or service asks for.
    Initiator(PrincipalId),
    /// What is asked for on behalf of this tenant.
    Tenant(TenantId),
}

impl fmt::Display for FreezeScope {
    /// `all`, or the kind, a space and the name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Wallet(wallet) => write!(f, "wallet {wallet}"),
            Self::Network(network) => write!(f, "network {network}"),
            Self::Asset(asset) => write!(f, "asset {asset}"),
            Self::Destination(destination) => write!(f, "destination {destination}"),
            Self::Initiator(initiator) => write!(f, "initiator {initiator}"),
            Self::Tenant(tenant) => write!(f, "tenant {tenant}"),
        }
    }
}

/// A text that is no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a scope is `all`, or `wallet`, `network`, `asset`, `destination`, `initiator` or `tenant`, a space and the name"
)]
pub struct FreezeScopeError;

impl FromStr for FreezeScope {
    type Err = FreezeScopeError;

    /// Reads what [`fmt::Display`] writes.
    fn from_str(text: &str) -> Result<Self, FreezeScopeError> {
        if text == "all" {
            return Ok(Self::All);
        }
        let (kind, name) = text.split_once(' ').ok_or(FreezeScopeError)?;
        let scope = match kind {
            "wallet" => name.parse().ok().map(Self::Wallet),
            "network" => name.parse().ok().map(Self::Network),
            "asset" => name.parse().ok().map(Self::Asset),
            "destination" => name.parse().ok().map(Self::Destination),
            "initiator" => name.parse().ok().map(Self::Initiator),
            "tenant" => name.parse().ok().map(Self::Tenant),
            _ => None,
        };
        scope.ok_or(FreezeScopeError)
    }
}

/// A freeze statement's body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Freeze {
    /// What is stopped.
    pub scope: FreezeScope,
    /// Why, for people: one line of at most 512 printable ASCII characters.
    pub reason: String,
}

impl Freeze {
    /// The name of the freeze that a statement makes.
    pub fn id(statement: StatementDigest) -> FreezeId {
        FreezeId::of(format!("statement {statement}\n").as_bytes())
    }
}

/// A thaw statement's body: one admin's voice. The freeze ends once the admin quorum of the bundle in force has said so and
/// the roster's delay has passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thaw {
    /// The freeze.
    pub freeze: FreezeId,
    /// Why, for people: one line of at most 512 printable ASCII characters.
    pub reason: String,
}

impl Bounded for Freeze {
    fn certify(&self) -> Result<(), String> {
        certify_reason(&self.reason)
    }
}

impl Bounded for Thaw {
    fn certify(&self) -> Result<(), String> {
        certify_reason(&self.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What people write for a scope is what they read.
    #[test]
    fn scopes_are_read_as_they_are_written() {
        let texts = [
            "all",
            "wallet eth-hot",
            "network eip155:1",
            "asset eip155:1/slip44:60",
            "destination eip155:1:0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
            "initiator payout-service",
            "tenant acme",
        ];
        let scopes: Vec<FreezeScope> = texts.iter().map(|text| text.parse().unwrap()).collect();
        let kinds = scopes.iter().map(|scope| match scope {
            FreezeScope::All => "all",
            FreezeScope::Wallet(_) => "wallet",
            FreezeScope::Network(_) => "network",
            FreezeScope::Asset(_) => "asset",
            FreezeScope::Destination(_) => "destination",
            FreezeScope::Initiator(_) => "initiator",
            FreezeScope::Tenant(_) => "tenant",
        });
        for ((text, kind), scope) in texts.iter().zip(kinds).zip(&scopes) {
            assert_eq!(scope.to_string(), *text);
            assert_eq!(text.split(' ').next(), Some(kind));
        }
        for text in [
            "",
            "All",
            "all ",
            "wallet",
            "wallet ",
            "wallet  a",
            "walet a",
            "asset eip155:1",
            "tenant A",
        ] {
            assert_eq!(text.parse::<FreezeScope>(), Err(FreezeScopeError), "{text:?}");
        }
    }
}
