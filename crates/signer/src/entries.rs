//! How old the entries of lists are (docs/adr/0019, docs/adr/0028).
//!
//! A list that a bundle brings is noted as a whole; of a list that was there before, only what is new in it. So the journal
//! writes as much as changes, and the age of an entry is the same as if each had a note of its own.

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

/// What is noted when these lists come into force behind those; nothing where nothing is new.
pub(crate) fn begun(old: &DestinationLists, new: &DestinationLists) -> Option<Write> {
    let (mut lists, mut added) = (BTreeSet::new(), BTreeSet::new());
    for (id, list) in new.iter() {
        match old.list(id) {
            None => drop(lists.insert(id.clone())),
            Some(before) => added.extend(list.beyond(Some(before))),
        }
    }
    let is_changed = !lists.is_empty() || !added.is_empty();
    is_changed.then_some(Write::Listed { lists, added })
}

/// The lists that have one of the destinations.
pub(crate) fn having(lists: &DestinationLists, destinations: &BTreeSet<&Destination>) -> Vec<ListId> {
    let has = |(_, list): &(&ListId, &DestinationList)| destinations.iter().any(|at| list.contains(at));
    lists.iter().filter(has).map(|(id, _)| id.clone()).collect()
}

/// Since when the lists in force name destinations: the youngest note counts, of the destination or of a list that has it. What
/// has none is absent, and so is what no list names any more, whatever was noted of it.
pub(crate) fn since(
    lists: &DestinationLists,
    destinations: &BTreeSet<&Destination>,
    noted: Noted<'_>,
) -> BTreeMap<Destination, Timestamp> {
    let youngest = |at: &Destination| {
        let having = lists.iter().filter(|(_, list)| list.contains(at));
        let having: Vec<&ListId> = having.map(|(id, _)| id).collect();
        let own = noted.listed.get(at).copied().filter(|_| !having.is_empty());
        let whole = having.into_iter().filter_map(|id| noted.lists.get(id).copied());
        whole.chain(own).max()
    };
    let since = destinations
        .iter()
        .filter_map(|at| Some(((*at).clone(), youngest(at)?)));
    since.collect()
}

#[cfg(test)]
mod tests;
