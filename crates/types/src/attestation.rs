//! What services attest about payments.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a service attests about a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AttestationKind {
    /// The destination was screened against sanctions.
    Sanctions,
    /// The counterparty's data went along with the payment.
    TravelRule,
}

impl AttestationKind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Sanctions, Self::TravelRule];

    /// The word in a policy file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sanctions => "sanctions",
            Self::TravelRule => "travel-rule",
        }
    }
}
impl fmt::Display for AttestationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
