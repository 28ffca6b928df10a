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
        let Some(Write::Listed { lists, added, kept }) = write else {
            return assert_eq!(write, None);
        };
        assert!(!lists.is_empty() || !added.is_empty() || !kept.is_empty());
        assert!(!kept.keys().any(|at| added.contains(at)), "a row is written once");
        self.lists.extend(lists.into_iter().map(|id| (id, now)));
        self.listed.extend(added.into_iter().map(|at| (at, now)));
        for (at, since) in kept {
            let noted = self.listed.entry(at).or_insert(since);
            *noted = since.max(*noted);
        }
    }

    /// The next lists come into force.
    fn step(&mut self, (old, new): (&DestinationLists, &DestinationLists), now: Timestamp) {
        let moves = Moves::between(old, new);
        let begun = moves.staying().iter();
        let begun = begun.filter_map(|id| Some((id.clone(), *self.lists.get(id)?)));
        self.apply(moves.noted(&begun.collect(), now), now);
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
        tables.step((&old, &new), at(n));
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
            prop_assert!(law.is_none() || said == law, "{:?} {:?}", said, law);
        }
    }

    /// On several lists a destination is never older than its youngest entry, and never younger than the last time that any list
    /// gained it.
    #[test]
    fn nothing_makes_an_entry_older(steps in vec(sets(&["a", "b", "c"]), 1..12)) {
        for [said, law, gained] in ages(&steps) {
            prop_assert!(said >= law && said <= gained, "{:?} {:?} {:?}", said, law, gained);
        }
    }

    /// While the lists stay, whatever goes from them, the moment from which a destination's age counts never goes back: who may
    /// remove entries makes nothing older, in a list or in a book.
    #[test]
    fn what_is_taken_from_a_list_becomes_no_older(
        steps in vec([btree_set((0_u8..5).prop_map(destination), 0..5), btree_set((0_u8..5).prop_map(destination), 0..5)], 1..12),
    ) {
        let named = |[a, b]: [BTreeSet<Destination>; 2]| Sets::from([("a".parse().unwrap(), a), ("b".parse().unwrap(), b)]);
        let steps: Vec<Sets> = steps.into_iter().map(named).collect();
        for (before, after) in ages(&steps).iter().zip(ages(&steps).iter().skip(5)) {
            prop_assert!(after[0] >= before[0], "{:?} {:?}", before, after);
        }
    }
}

/// A list's id and its entries.
type Entries<'a> = (&'a str, &'a [u8]);

#[test]
fn a_new_list_is_one_note_and_a_change_is_as_many_as_entries_come_and_go() {
    let lists = |sets: &[Entries<'_>]| {
        let set = |entries: &[u8]| entries.iter().map(|n| destination(*n)).collect::<BTreeSet<_>>();
        let sets: Sets = sets
            .iter()
            .map(|(id, entries)| (id.parse().unwrap(), set(entries)))
            .collect();
        DestinationLists::new(sets)
    };
    let written = |ids: &[&str], entries: &[u8], gone: &[(u8, usize)]| {
        Some(Write::Listed {
            lists: ids.iter().map(|id| id.parse().unwrap()).collect(),
            added: entries.iter().map(|n| destination(*n)).collect(),
            kept: gone.iter().map(|(n, since)| (destination(*n), at(*since))).collect(),
        })
    };
    let begun = |known: &[(&str, usize)]| -> BTreeMap<ListId, Timestamp> {
        known
            .iter()
            .map(|(id, since)| (id.parse().unwrap(), at(*since)))
            .collect()
    };
    let base = lists(&[("a", &[1, 2, 3]), ("b", &[3])]);
    let table: [(_, &[Entries<'_>], _); 9] = [
        (
            &DestinationLists::default(),
            &[("a", &[1, 2, 3])],
            written(&["a"], &[], &[]),
        ),
        (&base, &[("a", &[1, 2, 3]), ("b", &[3])], None),
        // Gone from one list, from both (the younger counts), from one and into the other.
        (&base, &[("a", &[1, 3]), ("b", &[3])], written(&[], &[], &[(2, 4)])),
        (&base, &[("a", &[1, 2]), ("b", &[])], written(&[], &[], &[(3, 6)])),
        (&base, &[("a", &[1, 3]), ("b", &[2, 3])], written(&[], &[2], &[])),
        (&base, &[("a", &[2, 3, 4]), ("b", &[3])], written(&[], &[4], &[(1, 4)])),
        // A list that goes is not noted; one that comes is, as a whole.
        (&base, &[("a", &[1, 2, 3])], None),
        (&base, &[], None),
        (
            &base,
            &[("a", &[1, 2, 3]), ("b", &[3]), ("c", &[1, 5])],
            written(&["c"], &[], &[]),
        ),
    ];
    for (old, new, expected) in table {
        let new = lists(new);
        let noted = Moves::between(old, &new).noted(&begun(&[("a", 4), ("b", 6)]), at(9));
        assert_eq!(noted, expected, "{new:?}");
    }
    let gone = lists(&[("a", &[1, 3]), ("b", &[3])]);
    let unknown = Moves::between(&base, &gone).noted(&begun(&[("b", 6)]), at(9));
    assert_eq!(
        unknown,
        written(&[], &[], &[(2, 9)]),
        "no note of the list: as young as can be"
    );
    assert_eq!(
        Moves::between(&base, &lists(&[("b", &[]), ("c", &[])])).staying(),
        ["b".parse().unwrap()]
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
