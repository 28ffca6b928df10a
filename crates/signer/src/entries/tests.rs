//! The ages of entries over any steps of bundles, beside a count of every entry's own moment.

use std::collections::{BTreeMap, BTreeSet};

use countersign_policy::DestinationLists;
use countersign_types::{Destination, ListId, Timestamp};
use proptest::{collection::btree_map, collection::btree_set, collection::vec, prelude::*};

use super::*;

type Sets = BTreeMap<ListId, BTreeSet<Destination>>;

fn destination(n: u8) -> Destination {
    format!("dev:1:{n}").parse().unwrap()
}

fn at(n: usize) -> Timestamp {
    Timestamp::from_unix_millis(1_780_000_000_000 + i64::try_from(n).unwrap())
}

/// The journal's two tables.
#[derive(Default)]
struct Tables {
    listed: BTreeMap<Destination, Timestamp>,
    lists: BTreeMap<ListId, Timestamp>,
}

impl Tables {
    fn apply(&mut self, write: Option<Write>, now: Timestamp) {
        let Some(Write::Listed { lists, added }) = write else {
            return assert_eq!(write, None);
        };
        assert!(!lists.is_empty() || !added.is_empty());
        self.lists.extend(lists.into_iter().map(|id| (id, now)));
        self.listed.extend(added.into_iter().map(|at| (at, now)));
    }

    fn since(&self, lists: &DestinationLists, destination: &Destination) -> Option<Timestamp> {
        let noted = Noted {
            listed: &self.listed,
            lists: &self.lists,
        };
        since(lists, &BTreeSet::from([destination]), noted).remove(destination)
    }
}

/// Every entry's own moment, by list: what the law is about.
#[derive(Default)]
struct Law {
    since: BTreeMap<(ListId, Destination), Timestamp>,
    /// When any list last gained the destination.
    gained: BTreeMap<Destination, Timestamp>,
}

impl Law {
    fn step(&mut self, sets: &Sets, now: Timestamp) {
        let entries = sets
            .iter()
            .flat_map(|(id, set)| set.iter().map(move |at| (id.clone(), at.clone())));
        let entries: BTreeSet<(ListId, Destination)> = entries.collect();
        self.since.retain(|entry, _| entries.contains(entry));
        for (id, at) in entries {
            let gained = &mut self.gained;
            self.since.entry((id, at.clone())).or_insert_with(|| {
                gained.insert(at, now);
                now
            });
        }
    }

    /// The youngest entry's moment.
    fn youngest(&self, destination: &Destination) -> Option<Timestamp> {
        let of = self.since.iter().filter(|((_, at), _)| at == destination);
        of.map(|(_, since)| *since).max()
    }
}

fn sets(lists: &'static [&'static str]) -> impl Strategy<Value = Sets> {
    let id = proptest::sample::select(lists).prop_map(|id| id.parse::<ListId>().unwrap());
    btree_map(id, btree_set((0_u8..5).prop_map(destination), 0..5), 0..=lists.len())
}

/// After each step: what the tables say of each destination, what the law says, and when a list last gained it.
fn ages(steps: &[Sets]) -> Vec<[Option<Timestamp>; 3]> {
    let (mut tables, mut law, mut old) = (Tables::default(), Law::default(), DestinationLists::default());
    let mut found = Vec::new();
    for (n, sets) in steps.iter().enumerate() {
        let new = DestinationLists::new(sets.clone());
        tables.apply(begun(&old, &new), at(n));
        law.step(sets, at(n));
        for destination in (0..5).map(destination) {
            let gained = law.gained.get(&destination).copied();
            found.push([tables.since(&new, &destination), law.youngest(&destination), gained]);
        }
        old = new;
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// In one list an entry is as old as it is there without a gap, however the list changes around it, and also if the list
    /// itself goes and comes back.
    #[test]
    fn an_entry_is_as_old_as_it_is_there(steps in vec(sets(&["a"]), 1..12)) {
        for [said, law, _] in ages(&steps) {
            prop_assert_eq!(said, law);
        }
    }

    /// On several lists a destination is never older than its youngest entry, and never younger than the last time that any list
    /// gained it; what no list names has no age.
    #[test]
    fn nothing_makes_an_entry_older(steps in vec(sets(&["a", "b", "c"]), 1..12)) {
        for [said, law, gained] in ages(&steps) {
            prop_assert_eq!(said.is_some(), law.is_some());
            prop_assert!(said >= law && said <= gained, "{:?} {:?} {:?}", said, law, gained);
        }
    }
}

#[test]
fn a_new_list_is_one_note_and_a_change_is_as_many_as_entries_are_new() {
    let lists = |sets: &[(&str, &[u8])]| {
        let set = |entries: &[u8]| entries.iter().map(|n| destination(*n)).collect::<BTreeSet<_>>();
        let sets: Sets = sets
            .iter()
            .map(|(id, entries)| (id.parse().unwrap(), set(entries)))
            .collect();
        DestinationLists::new(sets)
    };
    let noted = |ids: &[&str], entries: &[u8]| {
        Some(Write::Listed {
            lists: ids.iter().map(|id| id.parse().unwrap()).collect(),
            added: entries.iter().map(|n| destination(*n)).collect(),
        })
    };
    let base = lists(&[("a", &[1, 2, 3])]);
    assert_eq!(begun(&DestinationLists::default(), &base), noted(&["a"], &[]));
    assert_eq!(begun(&base, &base), None);
    assert_eq!(begun(&base, &lists(&[("a", &[1])])), None, "what is gone needs no note");
    assert_eq!(begun(&base, &lists(&[])), None);
    assert_eq!(begun(&base, &lists(&[("a", &[2, 3, 4])])), noted(&[], &[4]));
    assert_eq!(
        begun(&base, &lists(&[("a", &[1, 2, 3]), ("b", &[1, 5])])),
        noted(&["b"], &[])
    );
    let two = lists(&[("a", &[1]), ("b", &[2])]);
    let having = |entries: &[u8]| {
        let entries: Vec<Destination> = entries.iter().map(|n| destination(*n)).collect();
        having(&two, &entries.iter().collect()).len()
    };
    assert_eq!(
        [having(&[]), having(&[1]), having(&[3]), having(&[1, 2, 3])],
        [0, 1, 0, 2]
    );
}
