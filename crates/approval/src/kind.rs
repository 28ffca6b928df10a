//! The kinds of statements: a closed set, each with its payload type and SSH namespace.

use std::fmt;

use countersign_types::Duration;
use serde::{Deserialize, Serialize};

/// What a statement states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// An initiator asks for a withdrawal.
    Request,
    /// An approver agrees.
    Approval,
    /// An approver refuses.
    Rejection,
    /// An initiator or officer withdraws a request.
    Cancel,
    /// An admin wants a bundle in force.
    Activation,
    /// An observer says what its own node has of a chain, at finality.
    Observation,
    /// An officer stops everything that a scope names, from now on.
    Freeze,
    /// An admin wants a freeze lifted.
    Thaw,
    /// An initiator or officer raises the fee ceiling of a request that is stuck.
    Replace,
    /// A price source says what an asset is worth.
    Price,
    /// A service screened a payment of a withdrawal.
    Screening,
    /// An address book says whether a destination belongs to a customer.
    AddressBook,
    /// An officer stops a bundle that waits to come into force.
    Veto,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 13] = [
        Self::Request,
        Self::Approval,
        Self::Rejection,
        Self::Cancel,
        Self::Activation,
        Self::Observation,
        Self::Freeze,
        Self::Thaw,
        Self::Replace,
        Self::Price,
        Self::Screening,
        Self::AddressBook,
        Self::Veto,
    ];

    /// The name in payloads, payload types and namespaces.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Approval => "approval",
            Self::Rejection => "rejection",
            Self::Cancel => "cancel",
            Self::Activation => "activation",
            Self::Observation => "observation",
            Self::Freeze => "freeze",
            Self::Thaw => "thaw",
            Self::Replace => "replace",
            Self::Price => "price",
            Self::Screening => "screening",
            Self::AddressBook => "address-book",
            Self::Veto => "veto",
        }
    }

    /// The longest validity of a statement of the kind. What somebody keeps back (a later price, a removal) hides no longer
    /// than what it replaces is valid.
    pub fn max_validity(self) -> Duration {
        let seconds = match self {
            Self::Request
            | Self::Approval
            | Self::Rejection
            | Self::Cancel
            | Self::Activation
            | Self::Observation
            | Self::Freeze
            | Self::Thaw
            | Self::Replace
            | Self::Veto => 366 * 86_400,
            Self::Price => 86_400,
            Self::Screening | Self::AddressBook => 31 * 86_400,
        };
        Duration::from_secs(seconds)
    }

    /// The DSSE payload type: `application/vnd.countersign.<kind>.v1+json`.
    pub fn payload_type(self) -> String {
        format!("application/vnd.countersign.{self}.v1+json")
    }

    /// The SSHSIG namespace: `countersign-<kind>-v1`. A signature of one kind never verifies as another.
    pub fn namespace(self) -> String {
        format!("countersign-{self}-v1")
    }

    pub(crate) fn of_payload_type(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.payload_type() == text)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
