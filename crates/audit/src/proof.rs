//! Building inclusion and consistency proofs (RFC 6962 §2.1.1, §2.1.2) from stored nodes.

use std::ops::Range;

use countersign_types::Tag;
use serde::{Deserialize, Serialize};

use crate::{
    Hash, NodeId, TreeSize,
    node::{complete_nodes, fold_hashes},
};

/// The most hashes of a proof: one a level, and one more for the start of a consistency proof.
pub const MAX_PROOF_HASHES: usize = 64;

/// Why there is no proof, or why a proof does not verify.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The tree has no entry of that index.
    #[error("entry {index} is not in a log of {size} entries")]
    IndexOutsideTree {
        /// The index asked for.
        index: u64,
        /// The size of the tree.
        size: TreeSize,
    },
    /// The older tree is the larger one.
    #[error("a log of {newer} entries cannot continue one of {older}")]
    SizesReversed {
        /// The older size.
        older: TreeSize,
        /// The newer size.
        newer: TreeSize,
    },
    /// A tree head of no entries with a root other than that of nothing.
    #[error("the root of an empty log is the hash of nothing")]
    EmptyRootMismatch,
    /// The store lacks a complete subtree.
    #[error("the store has no hash of node {0}")]
    MissingNode(NodeId),
    /// More than [`MAX_PROOF_HASHES`].
    #[error("the proof has {0} hashes; at most {MAX_PROOF_HASHES} are read")]
    TooManyHashes(usize),
    /// The path ends below the root.
    #[error("the proof is too short for the size of the log")]
    TooShort,
    /// The path goes on above the root.
    #[error("the proof is too long for the size of the log")]
    TooLong,
    /// The path does not lead to the root.
    #[error("the proof does not lead to the root of the log")]
    RootMismatch,
    /// The path does not start from the older root.
    #[error("the proof does not lead to the root of the older log")]
    OlderRootMismatch,
}

impl ProofError {
    /// The stable tag.
    pub fn tag(&self) -> Tag {
        match self {
            Self::MissingNode(_) => Tag::JournalUnavailable,
            Self::IndexOutsideTree { .. }
            | Self::SizesReversed { .. }
            | Self::EmptyRootMismatch
            | Self::TooManyHashes(_)
            | Self::TooShort
            | Self::TooLong
            | Self::RootMismatch
            | Self::OlderRootMismatch => Tag::ReceiptInvalid,
        }
    }
}

macro_rules! proofs {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(try_from = "Vec<Hash>", into = "Vec<Hash>")]
        pub struct $name(Vec<Hash>);

        impl $name {
            /// The hashes, from the leaves towards the root.
            pub fn hashes(&self) -> &[Hash] {
                &self.0
            }
        }
        impl TryFrom<Vec<Hash>> for $name {
            type Error = ProofError;
            fn try_from(hashes: Vec<Hash>) -> Result<Self, ProofError> {
                if hashes.len() > MAX_PROOF_HASHES {
                    return Err(ProofError::TooManyHashes(hashes.len()));
                }
                Ok(Self(hashes))
            }
        }
        impl From<$name> for Vec<Hash> {
            fn from(proof: $name) -> Self {
                proof.0
            }
        }
    )+};
}

proofs! {
    /// That one entry stands at one index of a log: its audit path. JSON: an array of base64 hashes.
    InclusionProof;
    /// That a log is another one continued. JSON: an array of base64 hashes.
    ConsistencyProof;
}

impl InclusionProof {
    /// The stored nodes that [`InclusionProof::build`] will ask for, so that a database is asked once.
    pub fn required_nodes(index: u64, size: TreeSize) -> Result<Vec<NodeId>, ProofError> {
        Ok(nodes_of(inclusion_ranges(index, size)?))
    }

    /// The proof for entry `index` in the tree of the first `size` entries.
    pub fn build(index: u64, size: TreeSize, stored: impl Fn(NodeId) -> Option<Hash>) -> Result<Self, ProofError> {
        hash_ranges(inclusion_ranges(index, size)?, stored).map(Self)
    }
}

impl ConsistencyProof {
    /// The stored nodes that [`ConsistencyProof::build`] will ask for, so that a database is asked once.
    pub fn required_nodes(older: TreeSize, newer: TreeSize) -> Result<Vec<NodeId>, ProofError> {
        Ok(nodes_of(consistency_ranges(older, newer)?))
    }

    /// The proof that the first `newer` entries continue the first `older` ones. It is empty when `older` is zero, which
    /// RFC 6962 leaves undefined: every log continues the empty one.
    pub fn build(
        older: TreeSize,
        newer: TreeSize,
        stored: impl Fn(NodeId) -> Option<Hash>,
    ) -> Result<Self, ProofError> {
        hash_ranges(consistency_ranges(older, newer)?, stored).map(Self)
    }
}

/// Where RFC 6962 splits a range of at least two entries: behind the largest power of two that leaves a rest.
fn split(range: &Range<u64>) -> u64 {
    let last = range.end.saturating_sub(range.start).saturating_sub(1);
    let left = last.checked_ilog2().and_then(|level| 1u64.checked_shl(level));
    range.start.saturating_add(left.unwrap_or_default())
}

/// The ranges whose hashes make PATH(index, D[0:size]), leaf end first.
fn inclusion_ranges(index: u64, size: TreeSize) -> Result<Vec<Range<u64>>, ProofError> {
    if index >= size.entries() {
        return Err(ProofError::IndexOutsideTree { index, size });
    }
    let mut siblings = Vec::new();
    let mut around = 0..size.entries();
    while around.end.saturating_sub(around.start) > 1 {
        let middle = split(&around);
        let (sibling, rest) = if index < middle {
            (middle..around.end, around.start..middle)
        } else {
            (around.start..middle, middle..around.end)
        };
        siblings.push(sibling);
        around = rest;
    }
    siblings.reverse();
    Ok(siblings)
}

/// The ranges whose hashes make PROOF(older, D[0:newer]), leaf end first.
fn consistency_ranges(older: TreeSize, newer: TreeSize) -> Result<Vec<Range<u64>>, ProofError> {
    if older > newer {
        return Err(ProofError::SizesReversed { older, newer });
    }
    if older == TreeSize::ZERO {
        return Ok(Vec::new());
    }
    let mut ranges = Vec::new();
    let mut around = 0..newer.entries();
    while around.end != older.entries() {
        let middle = split(&around);
        let (sibling, rest) = if older.entries() <= middle {
            (middle..around.end, around.start..middle)
        } else {
            (around.start..middle, middle..around.end)
        };
        ranges.push(sibling);
        around = rest;
    }
    if around.start != 0 {
        // The older tree is not one complete subtree of the newer: the verifier cannot start from its root.
        ranges.push(around);
    }
    ranges.reverse();
    Ok(ranges)
}

fn nodes_of(ranges: Vec<Range<u64>>) -> Vec<NodeId> {
    ranges.into_iter().flat_map(complete_nodes).collect()
}

fn hash_ranges(ranges: Vec<Range<u64>>, stored: impl Fn(NodeId) -> Option<Hash>) -> Result<Vec<Hash>, ProofError> {
    let hash_range = |range| {
        let nodes = complete_nodes(range);
        let hash_of = |id| stored(id).ok_or(ProofError::MissingNode(id));
        let hashes = nodes.into_iter().map(hash_of).collect::<Result<Vec<_>, _>>()?;
        Ok(fold_hashes(hashes.into_iter()))
    };
    // No range is empty, so each gives exactly one hash.
    ranges
        .into_iter()
        .filter_map(|range| hash_range(range).transpose())
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::test_tree::TestTree;

    fn size(entries: u64) -> TreeSize {
        TreeSize::new(entries).unwrap()
    }

    /// RFC 6962 §2.1.3, the worked example of seven entries.
    #[test]
    fn the_example_of_the_rfc() {
        let ids = |nodes: Result<Vec<NodeId>, _>| {
            let nodes: Vec<_> = nodes.unwrap().iter().map(NodeId::to_string).collect();
            nodes.join(" ")
        };
        assert_eq!(ids(InclusionProof::required_nodes(0, size(7))), "0/1 1/1 1/2 0/6");
        assert_eq!(ids(InclusionProof::required_nodes(3, size(7))), "0/2 1/0 1/2 0/6");
        assert_eq!(ids(InclusionProof::required_nodes(4, size(7))), "0/5 0/6 2/0");
        assert_eq!(ids(InclusionProof::required_nodes(6, size(7))), "1/2 2/0");
        assert_eq!(
            ids(ConsistencyProof::required_nodes(size(3), size(7))),
            "0/2 0/3 1/0 1/2 0/6"
        );
        assert_eq!(ids(ConsistencyProof::required_nodes(size(4), size(7))), "1/2 0/6");
        assert_eq!(ids(ConsistencyProof::required_nodes(size(6), size(7))), "1/2 0/6 2/0");
    }

    #[test]
    fn what_cannot_be_proved_is_refused() {
        let tree = TestTree::of_size(7);
        let stored = |id| tree.stored(id);
        let outside = ProofError::IndexOutsideTree {
            index: 7,
            size: size(7),
        };
        assert_eq!(InclusionProof::build(7, size(7), stored), Err(outside));
        let empty = ProofError::IndexOutsideTree {
            index: 0,
            size: size(0),
        };
        assert_eq!(InclusionProof::build(0, size(0), stored), Err(empty));
        let reversed = ProofError::SizesReversed {
            older: size(7),
            newer: size(6),
        };
        assert_eq!(ConsistencyProof::build(size(7), size(6), stored), Err(reversed));
        let missing = ProofError::MissingNode(NodeId { level: 0, index: 7 });
        assert_eq!(missing.tag(), Tag::JournalUnavailable);
        assert_eq!(InclusionProof::build(6, size(8), stored), Err(missing));
    }

    #[test]
    fn proofs_are_bounded() {
        let hashes = vec![Hash::from_bytes([0; 32]); MAX_PROOF_HASHES + 1];
        let error = ProofError::TooManyHashes(MAX_PROOF_HASHES + 1);
        assert_eq!(InclusionProof::try_from(hashes.clone()), Err(error));
        let json = serde_json::to_string(&hashes).unwrap();
        assert!(serde_json::from_str::<ConsistencyProof>(&json).is_err());
        let json = serde_json::to_string(&hashes[1..]).unwrap();
        assert!(serde_json::from_str::<ConsistencyProof>(&json).is_ok());
    }

    proptest! {
        /// The bound holds for the largest trees, and what is asked for is exactly what is said to be needed.
        #[test]
        fn required_nodes_are_what_is_read(newer in 1..=TreeSize::MAX.entries(), part: u64) {
            let chosen = part % newer;
            let asked = std::cell::RefCell::new(Vec::new());
            let stored = |id| {
                asked.borrow_mut().push(id);
                Some(Hash::from_bytes([1; 32]))
            };
            let path = InclusionProof::build(chosen, size(newer), stored).unwrap();
            prop_assert!(path.hashes().len() <= 63);
            prop_assert_eq!(asked.take(), InclusionProof::required_nodes(chosen, size(newer)).unwrap());
            let proof = ConsistencyProof::build(size(chosen), size(newer), stored).unwrap();
            prop_assert!(proof.hashes().len() <= MAX_PROOF_HASHES);
            prop_assert_eq!(asked.take(), ConsistencyProof::required_nodes(size(chosen), size(newer)).unwrap());
        }
    }
}
