//! How old the entries of lists are (docs/adr/0019, docs/adr/0028).
//!
//! A list that a bundle brings is noted as a whole; of a list that was there before, only what is new in it and what is gone
//! from it. So the journal writes as much as changes, and the age of an entry is the same as if each had a note of its own.
//! What is gone is noted so that no removal makes a destination older that has another entry: that is why one officer may
//! remove entries alone (docs/adr/0023).

use std::collections::{BTreeMap, BTreeSet};

use countersign_policy::{DestinationList, DestinationLists};
use countersign_types::{Destination, ListId, Timestamp};

use crate::Write;

/// What the journal noted, as a view has it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Noted<'a> {
    /// Of single destinations.
    pub(crate) listed: &'a BTreeMap<Destination, Timestamp>,
    /// Of whole lists.
    pub(crate) lists: &'a BTreeMap<ListId, Timestamp>,
}

/// What comes and goes on the step from the lists in force to those that come into force. Lists may have a million entries: they are
/// compared before the journal's lock.
#[derive(Debug, Default)]
pub(crate) struct Moves {
    /// The new lists, as a whole.
    begun: BTreeSet<ListId>,
    /// The lists that are there before and after.
    staying: Vec<ListId>,
    /// New in some list that stays.
    added: BTreeSet<Destination>,
    /// Gone from a list that stays, and in none of them new.
    gone: Vec<(ListId, Destination)>,
}

impl Moves {
    pub(crate) fn between(old: &DestinationLists, new: &DestinationLists) -> Self {
        let mut moves = Self::default();
        for (id, list) in new.iter() {
            match old.list(id) {
                None => drop(moves.begun.insert(id.clone())),
                Some(before) => moves.added.extend(list.beyond(Some(before))),
            }
        }
        for (id, list) in old.iter() {
            let Some(after) = new.list(id) else { continue };
            moves.staying.push(id.clone());
            let gone = list.beyond(Some(after)).filter(|gone| !moves.added.contains(gone));
            moves.gone.extend(gone.map(|gone| (id.clone(), gone)));
        }
        moves
    }

    /// The lists whose notes [`Self::noted`] takes.
    pub(crate) fn staying(&self) -> &[ListId] {
        &self.staying
    }

    /// What is noted of it; nothing where nothing came or went. `begun` is what the journal noted of [`Self::staying`].
    pub(crate) fn noted(&self, begun: &BTreeMap<ListId, Timestamp>, now: Timestamp) -> Option<Write> {
        let mut kept = BTreeMap::new();
        for (list, gone) in &self.gone {
            // A list without a note is from a journal that did not note lists yet: its entries are as young as can be.
            let since = begun.get(list).copied().unwrap_or(now);
            let noted = kept.entry(gone.clone()).or_insert(since);
            *noted = since.max(*noted);
        }
        let is_changed = !self.begun.is_empty() || !self.added.is_empty() || !kept.is_empty();
        is_changed.then(|| Write::Listed {
            lists: self.begun.clone(),
            added: self.added.clone(),
            kept,
        })
    }
}

/// The lists that have one of the destinations.
pub(crate) fn having(lists: &DestinationLists, destinations: &BTreeSet<&Destination>) -> Vec<ListId> {
    let has = |(_, list): &(&ListId, &DestinationList)| destinations.iter().any(|at| list.contains(at));
    lists.iter().filter(has).map(|(id, _)| id.clone()).collect()
}

/// From when the ages of destinations count: the youngest note, of the destination itself or of a list in force that has it.
/// What was noted of a destination stays when no list names it any more: a book may.
pub(crate) fn since(
    lists: &DestinationLists,
    destinations: &BTreeSet<&Destination>,
    noted: Noted<'_>,
) -> BTreeMap<Destination, Timestamp> {
    let youngest = |at: &Destination| {
        let having = lists.iter().filter(|(_, list)| list.contains(at));
        let whole = having.filter_map(|(id, _)| noted.lists.get(id));
        whole.chain(noted.listed.get(at)).copied().max()
    };
    let since = destinations
        .iter()
        .filter_map(|at| Some(((*at).clone(), youngest(at)?)));
    since.collect()
}

#[cfg(test)]
mod tests;
