//! What limits count separately.

use serde::{Deserialize, Serialize};

/// What a limit counts separately. Amounts of different assets are always counted separately.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScopeBy {
    /// By asset, which is so anyway.
    Asset,
    /// By destination.
    Destination,
    /// By signing wallet; within one transaction there is one.
    Wallet,
    /// By the customer behind the payment. Fees and moves between own wallets have none, and are not counted.
    Subject,
    /// By who asked.
    Initiator,
    /// By network.
    Network,
    /// By tier of the signing wallet.
    Tier,
    /// By tenant.
    Tenant,
}

impl ScopeBy {
    /// Every scope.
    pub const ALL: [Self; 8] = [
        Self::Asset,
        Self::Destination,
        Self::Wallet,
        Self::Subject,
        Self::Initiator,
        Self::Network,
        Self::Tier,
        Self::Tenant,
    ];

    /// How its line of a counter's text begins.
    pub(crate) fn line(self) -> &'static str {
        match self {
            Self::Asset => "scope asset ",
            Self::Destination => "scope destination ",
            Self::Wallet => "scope wallet ",
            Self::Subject => "scope subject ",
            Self::Initiator => "scope initiator ",
            Self::Network => "scope network ",
            Self::Tier => "scope tier ",
            Self::Tenant => "scope tenant ",
        }
    }

    /// The word in a policy file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Asset => "asset",
            Self::Destination => "destination",
            Self::Wallet => "wallet",
            Self::Subject => "subject",
            Self::Initiator => "initiator",
            Self::Network => "network",
            Self::Tier => "tier",
            Self::Tenant => "tenant",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_begins_with_the_word() {
        for by in ScopeBy::ALL {
            assert_eq!(by.line(), format!("scope {} ", by.as_str()));
        }
    }
}
