//! `wallets`: the wallet that signs.

use countersign_types::WalletId;

use super::OneOf;
use crate::{Actor, Truth};

/// The signing wallet is one of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wallets(pub OneOf<WalletId>);

impl Wallets {
    pub(crate) fn matches(&self, actor: &Actor<'_>) -> Truth {
        self.0.contains(actor.wallet).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, one_of};

    #[test]
    fn compares_the_wallet() {
        let world = World::default();
        assert_eq!(Wallets(one_of(&["hot"])).matches(&world.facts().actor), Truth::True);
        assert_eq!(Wallets(one_of(&["warm"])).matches(&world.facts().actor), Truth::False);
    }
}
