//! Seats: an assignment of distinct people to the seats of several groups, by maximum flow.

use std::collections::{BTreeMap, BTreeSet};

use countersign_types::{GroupId, PrincipalId};

/// Who fills which group's seats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seating {
    required: BTreeMap<GroupId, u32>,
    seated: BTreeMap<GroupId, BTreeSet<PrincipalId>>,
}

impl Seating {
    /// How many seats of a group are filled.
    pub fn filled(&self, group: &GroupId) -> u32 {
        self.seated
            .get(group)
            .map_or(0, |people| u32::try_from(people.len()).unwrap_or(u32::MAX))
    }

    /// Whether every seat is filled.
    pub fn is_complete(&self) -> bool {
        self.required.iter().all(|(group, seats)| self.filled(group) >= *seats)
    }

    /// Required and filled seats by group.
    pub fn seats(&self) -> impl Iterator<Item = (&GroupId, u32, u32)> {
        self.required
            .iter()
            .map(|(group, seats)| (group, *seats, self.filled(group)))
    }

    /// Who fills a group's seats.
    pub fn people(&self, group: &GroupId) -> Option<&BTreeSet<PrincipalId>> {
        self.seated.get(group)
    }
}

/// Seats as many of `approvers` as possible: a person fills one seat, even as a member of several groups, and whoever
/// sits in one group's seat moves to another if that lets one more person sit (an augmenting path).
pub fn fill_seats(
    required: &BTreeMap<GroupId, u32>,
    approvers: &BTreeSet<PrincipalId>,
    is_member: impl Fn(&GroupId, &PrincipalId) -> bool,
) -> Seating {
    let mut seating = Seating {
        required: required.clone(),
        seated: BTreeMap::new(),
    };
    for person in approvers {
        seat(&mut seating, person, &is_member, &mut BTreeSet::new());
    }
    seating
}

/// Seats one person, moving others where needed. Each group is visited once per person, so the depth is bounded by the
/// number of groups.
fn seat(
    seating: &mut Seating,
    person: &PrincipalId,
    is_member: &impl Fn(&GroupId, &PrincipalId) -> bool,
    visited: &mut BTreeSet<GroupId>,
) -> bool {
    let groups: Vec<(GroupId, u32)> = seating
        .required
        .iter()
        .map(|(group, seats)| (group.clone(), *seats))
        .collect();
    for (group, seats) in groups {
        if !is_member(&group, person) || !visited.insert(group.clone()) {
            continue;
        }
        if seating.filled(&group) < seats {
            seating.seated.entry(group).or_default().insert(person.clone());
            return true;
        }
        let holders = seating.seated.get(&group).cloned().unwrap_or_default();
        for holder in holders {
            if seat(seating, &holder, is_member, visited) {
                let people = seating.seated.entry(group).or_default();
                people.remove(&holder);
                people.insert(person.clone());
                return true;
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Membership = BTreeSet<(usize, usize)>;

    fn group(n: usize) -> GroupId {
        format!("g{n}").parse().unwrap()
    }

    fn person(n: usize) -> PrincipalId {
        format!("p{n}").parse().unwrap()
    }

    fn fill(required: &[u32], approvers: usize, members: &Membership) -> Seating {
        let required = required
            .iter()
            .enumerate()
            .map(|(n, seats)| (group(n), *seats))
            .collect();
        let approvers = (0..approvers).map(person).collect();
        fill_seats(&required, &approvers, |group_id, person_id| {
            members
                .iter()
                .any(|(g, p)| group(*g) == *group_id && person(*p) == *person_id)
        })
    }

    /// Tries every assignment of people to groups or to none.
    fn most_seats(required: &[u32], next: usize, approvers: usize, members: &Membership) -> u32 {
        if next == approvers {
            return 0;
        }
        let mut best = most_seats(required, next + 1, approvers, members);
        for (n, seats) in required.iter().enumerate() {
            if *seats > 0 && members.contains(&(n, next)) {
                let mut left = required.to_vec();
                left[n] -= 1;
                best = best.max(1 + most_seats(&left, next + 1, approvers, members));
            }
        }
        best
    }

    #[test]
    fn a_person_in_two_groups_fills_one_seat() {
        let members = BTreeSet::from([(0, 0), (1, 0)]);
        let seating = fill(&[1, 1], 1, &members);
        assert!(!seating.is_complete());
        assert_eq!(seating.filled(&group(0)) + seating.filled(&group(1)), 1);
    }

    #[test]
    fn somebody_moves_so_that_another_can_sit() {
        // p0 could sit in either group, p1 only in g0: p0 must move to g1.
        let members = BTreeSet::from([(0, 0), (1, 0), (0, 1)]);
        let seating = fill(&[1, 1], 2, &members);
        assert!(seating.is_complete());
        assert_eq!(seating.people(&group(0)), Some(&BTreeSet::from([person(1)])));
        assert_eq!(seating.people(&group(1)), Some(&BTreeSet::from([person(0)])));
        assert_eq!(seating.people(&group(2)), None);
    }

    #[test]
    fn no_requirement_is_complete_and_no_approver_is_not() {
        assert!(fill(&[], 3, &BTreeSet::new()).is_complete());
        assert!(!fill(&[1], 0, &BTreeSet::from([(0, 0)])).is_complete());
        assert!(!fill(&[1], 3, &BTreeSet::new()).is_complete());
    }

    proptest! {
        #[test]
        fn agrees_with_brute_force(
            required in proptest::collection::vec(0u32..4, 0..4),
            approvers in 0usize..6,
            members in proptest::collection::btree_set((0usize..4, 0usize..6), 0..16),
        ) {
            let seating = fill(&required, approvers, &members);
            let filled: u32 = seating.seats().map(|(_, _, filled)| filled).sum();
            prop_assert_eq!(filled, most_seats(&required, 0, approvers, &members));
            // One person, one seat; every seated person is a member.
            let mut seen = BTreeSet::new();
            for (n, seats) in required.iter().enumerate() {
                for sitter in seating.people(&group(n)).into_iter().flatten() {
                    prop_assert!(seen.insert(sitter.clone()));
                    prop_assert!((0..approvers).any(|p| person(p) == *sitter && members.contains(&(n, p))));
                }
                prop_assert!(seating.filled(&group(n)) <= *seats);
                let sitters = seating.people(&group(n)).map_or(0, BTreeSet::len);
                prop_assert_eq!(seating.filled(&group(n)), u32::try_from(sitters).unwrap());
            }
        }
    }
}
