//! Quorums: `0 < k <= n <= 64`, members unique. No other quorum can be constructed, and none is ever lowered.

use std::collections::BTreeSet;

use countersign_types::{PrincipalId, Tag};

/// The most members of a quorum or group.
pub const MAX_QUORUM_MEMBERS: usize = 64;

/// Why numbers and members are no quorum.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuorumError {
    /// A threshold of zero would approve everything.
    #[error("a threshold is at least 1")]
    Zero,
    /// More than there are members.
    #[error("a threshold of {threshold} can never be reached by {members} members")]
    Unreachable {
        /// Asked for.
        threshold: u32,
        /// There are.
        members: usize,
    },
    /// Too many members.
    #[error("{0} members; at most {MAX_QUORUM_MEMBERS} are accepted")]
    TooManyMembers(usize),
    /// A member twice.
    #[error("`{0}` is listed twice")]
    Repeated(PrincipalId),
}

impl QuorumError {
    /// The stable tag.
    pub fn tag(&self) -> Tag {
        match self {
            Self::Zero => Tag::BundleEmptyQuorum,
            Self::Unreachable { .. } => Tag::BundleUnreachableQuorum,
            Self::TooManyMembers(_) => Tag::BundleTooMany,
            Self::Repeated(_) => Tag::BundleListedTwice,
        }
    }
}

/// `k` of `n` distinct people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quorum {
    threshold: u32,
    members: BTreeSet<PrincipalId>,
}

impl Quorum {
    /// Checks `0 < k <= n <= 64` and that no member repeats.
    pub fn new(threshold: u32, members: impl IntoIterator<Item = PrincipalId>) -> Result<Self, QuorumError> {
        let members = unique(members)?;
        if threshold == 0 {
            return Err(QuorumError::Zero);
        }
        if usize::try_from(threshold).map_or(true, |threshold| threshold > members.len()) {
            return Err(QuorumError::Unreachable {
                threshold,
                members: members.len(),
            });
        }
        Ok(Self { threshold, members })
    }

    /// How many must sign.
    pub fn threshold(&self) -> u32 {
        self.threshold
    }

    /// Who may sign.
    pub fn members(&self) -> &BTreeSet<PrincipalId> {
        &self.members
    }
}

/// A bounded set of distinct members.
pub(crate) fn unique(members: impl IntoIterator<Item = PrincipalId>) -> Result<BTreeSet<PrincipalId>, QuorumError> {
    let mut set = BTreeSet::new();
    for member in members {
        if set.contains(&member) {
            return Err(QuorumError::Repeated(member));
        }
        set.insert(member);
    }
    if set.len() > MAX_QUORUM_MEMBERS {
        return Err(QuorumError::TooManyMembers(set.len()));
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn people(count: usize) -> Vec<PrincipalId> {
        (0..count).map(|n| format!("p{n}").parse().unwrap()).collect()
    }

    #[test]
    fn only_reachable_quorums_exist() {
        assert_eq!(Quorum::new(0, people(3)), Err(QuorumError::Zero));
        assert_eq!(
            Quorum::new(1, people(0)),
            Err(QuorumError::Unreachable {
                threshold: 1,
                members: 0
            })
        );
        assert_eq!(
            Quorum::new(4, people(3)),
            Err(QuorumError::Unreachable {
                threshold: 4,
                members: 3
            })
        );
        assert!(Quorum::new(3, people(3)).is_ok() && Quorum::new(64, people(64)).is_ok());
        assert_eq!(Quorum::new(1, people(65)), Err(QuorumError::TooManyMembers(65)));
    }

    #[test]
    fn a_repeated_member_is_an_error_not_a_second_voice() {
        let twice = [people(2), people(1)].concat();
        assert_eq!(Quorum::new(3, twice), Err(QuorumError::Repeated("p0".parse().unwrap())));
    }
}
