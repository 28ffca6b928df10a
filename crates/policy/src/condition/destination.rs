//! `to`: where the effect goes.

use countersign_types::{Effect, ListId, WalletId};

use super::{OneOf, View};
use crate::Truth;

/// Where the effect goes. A fee goes nowhere that a rule could name: false. Any other effect without a destination (a
/// new contract, an output of unknown form) may go anywhere: unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum To {
    /// A destination of this list; unknown if the facts lack the list.
    List(ListId),
    /// A key of one of these wallets of the bundle, as the parser proved.
    Own(OneOf<WalletId>),
    /// Neither on any list nor one of the bundle's own wallets.
    Unlisted,
}

impl To {
    pub(super) fn matches(&self, view: &View<'_>) -> Truth {
        if matches!(view.fact.effect, Effect::Fee { .. }) {
            return Truth::False;
        }
        let Some(destination) = view.fact.effect.destination() else {
            return Truth::Unknown;
        };
        let receiver = own_receiver(view.fact.effect);
        match self {
            Self::List(id) => view
                .facts
                .lists
                .list(id)
                .map_or(Truth::Unknown, |list| list.contains(destination).into()),
            Self::Own(wallets) => receiver.is_some_and(|wallet| wallets.contains(wallet)).into(),
            Self::Unlisted => (receiver.is_none() && !view.facts.lists.is_listed(destination)).into(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Own(wallets) => wallets.is_empty(),
            Self::List(_) | Self::Unlisted => false,
        }
    }
}

/// The bundle's own wallet that receives.
fn own_receiver(effect: &Effect) -> Option<&WalletId> {
    if let Effect::Internal { wallet, .. } = effect {
        Some(wallet)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, fee, internal, one_of, opaque, transfer};

    #[test]
    fn each_form_against_each_kind_of_destination() {
        let world = World::with(&[
            transfer("eth", 1, "a"),
            transfer("eth", 1, "stranger"),
            internal("eth", 1, "warm"),
            fee(1),
            opaque(),
        ]);
        use Truth::{False, True, Unknown};
        let table = [
            (
                To::List("customers".parse().unwrap()),
                [True, False, False, False, Unknown],
            ),
            (
                To::List("missing".parse().unwrap()),
                [Unknown, Unknown, Unknown, False, Unknown],
            ),
            (To::Own(one_of(&["warm"])), [False, False, True, False, Unknown]),
            (To::Own(one_of(&["cold"])), [False, False, False, False, Unknown]),
            (To::Unlisted, [False, True, False, False, Unknown]),
        ];
        for (to, expected) in table {
            assert_eq!(world.each(|view| to.matches(view)), expected, "{to:?}");
        }
    }
}
