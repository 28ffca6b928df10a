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

/// The step from the lists in force to those that come into force.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step<'a> {
    pub(crate) old: &'a DestinationLists,
    pub(crate) new: &'a DestinationLists,
    /// What the journal noted of the lists in both ([`staying`]).
    pub(crate) begun: &'a BTreeMap<ListId, Timestamp>,
    pub(crate) now: Timestamp,
}

/// What is noted at a step; nothing where nothing came or went.
pub(crate) fn noted(step: Step<'_>) -> Option<Write> {
    let Step { old, new, begun, now } = step;
    let (mut lists, mut added) = (BTreeSet::new(), BTreeSet::new());
    for (id, list) in new.iter() {
        match old.list(id) {
            None => drop(lists.insert(id.clone())),
            Some(before) => added.extend(list.beyond(Some(before))),
        }
    }
    let mut kept = BTreeMap::new();
    for (id, list) in old.iter() {
        let Some(after) = new.list(id) else { continue };
        // A list without a note is from a journal that did not note lists yet: its entries are as young as can be.
        let since = begun.get(id).copied().unwrap_or(now);
        for gone in list.beyond(Some(after)).filter(|gone| !added.contains(gone)) {
            let noted = kept.entry(gone).or_insert(since);
            *noted = since.max(*noted);
        }
    }
    let is_changed = !lists.is_empty() || !added.is_empty() || !kept.is_empty();
    is_changed.then_some(Write::Listed { lists, added, kept })
}

/// The lists that are there before and after: a step asks for their notes.
pub(crate) fn staying(old: &DestinationLists, new: &DestinationLists) -> Vec<ListId> {
    let stays = |id: &&ListId| new.list(id).is_some();
    old.iter().map(|(id, _)| id).filter(stays).cloned().collect()
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
