//! `to`: where the effect goes.

use countersign_types::{Duration, Effect, ListId, PrincipalId, WalletId};

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
    /// In the book of this service, for the subject of the payment; unknown if the facts lack the books.
    AddressBook(PrincipalId),
    /// Not an own wallet, and never paid before by what this deployment signed.
    FirstSeen,
    /// Its entry, in a list or in a book, took effect less than this long ago.
    EntryUnder(Duration),
    /// Its entry took effect at least this long ago.
    EntryOver(Duration),
}

impl To {
    #[inline(never)]
    pub(super) fn matches(&self, view: &View<'_>) -> Truth {
        if matches!(view.fact.effect, Effect::Fee { .. }) {
            return Truth::False;
        }
        let Some(destination) = view.fact.effect.destination() else {
            return Truth::Unknown;
        };
        let receiver = own_receiver(view.fact.effect);
        if receiver.is_some() && self.is_about_others() {
            return Truth::False;
        }
        let known = view.fact.destination;
        match self {
            Self::List(id) => view
                .facts
                .lists
                .list(id)
                .map_or(Truth::Unknown, |list| list.contains(destination).into()),
            Self::Own(wallets) => receiver.is_some_and(|wallet| wallets.contains(wallet)).into(),
            Self::Unlisted => (!view.facts.lists.is_listed(destination)).into(),
            Self::AddressBook(service) => known.address_books.and_then(|books| books.get(service).copied()).into(),
            Self::FirstSeen => known.is_first_seen.into(),
            Self::EntryUnder(age) => known.entry_age.map(|known| known < *age).into(),
            Self::EntryOver(age) => known.entry_age.map(|known| known >= *age).into(),
        }
    }

    /// Whether an own wallet can never be meant.
    fn is_about_others(&self) -> bool {
        match self {
            Self::List(_) | Self::Own(_) => false,
            Self::Unlisted | Self::AddressBook(_) | Self::FirstSeen | Self::EntryUnder(_) | Self::EntryOver(_) => true,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Own(wallets) => wallets.is_empty(),
            Self::EntryUnder(age) | Self::EntryOver(age) => *age == Duration::ZERO,
            Self::List(_) | Self::Unlisted | Self::AddressBook(_) | Self::FirstSeen => false,
        }
    }

    /// The words of a counter's text.
    pub(super) fn canonical(&self) -> Vec<String> {
        let words = |form: &str, value: &dyn ToString| vec![form.to_owned(), value.to_string()];
        match self {
            Self::List(id) => words("list", id),
            Self::Own(wallets) => {
                let ids = wallets.iter().map(ToString::to_string);
                std::iter::once("own".to_owned()).chain(ids).collect()
            }
            Self::Unlisted => vec!["unknown".to_owned()],
            Self::AddressBook(service) => words("address-book", service),
            Self::FirstSeen => vec!["first-seen".to_owned()],
            Self::EntryUnder(age) => words("entry-under", age),
            Self::EntryOver(age) => words("entry-over", age),
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
    use crate::{
        DestinationFacts,
        rule::Seen,
        testing::{World, fee, internal, one_of, opaque, transfer},
    };

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

    #[test]
    fn what_is_not_known_of_a_destination_is_unknown() {
        use Truth::{False, True, Unknown};
        let hour = Duration::from_secs(3_600);
        let books =
            std::collections::BTreeMap::from([("book".parse().unwrap(), true), ("past".parse().unwrap(), false)]);
        let facts = [
            DestinationFacts::default(),
            DestinationFacts {
                is_first_seen: Some(true),
                entry_age: Some(hour),
                address_books: Some(&books),
            },
            DestinationFacts {
                is_first_seen: Some(false),
                entry_age: Some(Duration::from_secs(3_599)),
                address_books: Some(&books),
            },
        ];
        let table = [
            (To::FirstSeen, [Unknown, True, False]),
            (To::EntryUnder(hour), [Unknown, False, True]),
            (To::EntryOver(hour), [Unknown, True, False]),
            (To::AddressBook("book".parse().unwrap()), [Unknown, True, True]),
            (To::AddressBook("past".parse().unwrap()), [Unknown, False, False]),
            (To::AddressBook("other".parse().unwrap()), [Unknown, Unknown, Unknown]),
        ];
        let effects = [transfer("eth", 1, "a"), internal("eth", 1, "warm"), fee(1), opaque()];
        let world = World::with(&effects);
        for (to, expected) in table {
            for (known, expected) in facts.iter().zip(expected) {
                let mut facts = world.facts();
                facts.effects.iter_mut().for_each(|effect| effect.destination = *known);
                let found: Vec<Truth> = Seen::all(&facts)
                    .iter()
                    .map(|effect| to.matches(&effect.view))
                    .collect();
                assert_eq!(found, [expected, False, False, Unknown], "{to:?} {known:?}");
            }
        }
    }
}
