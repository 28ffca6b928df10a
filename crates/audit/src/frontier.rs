//! The right edge of the tree: all that a writer needs to append, in O(log n) hashes.

use countersign_types::Tag;

use crate::{
    Hash, LeafHash, Node, NodeId, ProofError, RootHash, TreeHead, TreeSize, TreeSizeError,
    node::{complete_nodes, fold_hashes},
};

/// The first byte of a stored frontier.
const VERSION: u8 = 1;
/// Version, size and one hash for each set bit of the largest size.
pub const MAX_FRONTIER_BYTES: usize = 1 + 8 + 63 * 32;

/// Why stored bytes are not a frontier. It is the journal's own data: any of these is damage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrontierError {
    /// Shorter than its head.
    #[error("a stored frontier has at least 9 bytes, this has {0}")]
    TooShort(usize),
    /// Another version than this code writes.
    #[error("the stored frontier has version {0}, this program reads version {VERSION}")]
    UnknownVersion(u8),
    /// A size over [`TreeSize::MAX`].
    #[error("the size of the stored frontier is out of bounds: {0}")]
    BadSize(#[from] TreeSizeError),
    /// Not one hash for each set bit of the size.
    #[error("a frontier of {size} entries has {expected} bytes, this has {found}")]
    WrongLength {
        /// The size it states.
        size: TreeSize,
        /// What the size asks for.
        expected: usize,
        /// What there is.
        found: usize,
    },
}

impl FrontierError {
    /// The stable tag.
    pub fn tag(&self) -> Tag {
        Tag::JournalUnavailable
    }
}

/// The complete subtrees along the right edge, largest first: one for each set bit of the size.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: TreeSize,
    peaks: Vec<Node>,
}

impl Frontier {
    /// The frontier of the tree without entries.
    pub fn empty() -> Self {
        Self::default()
    }

    /// The number of entries, which is also the index that the next entry gets.
    pub fn size(&self) -> TreeSize {
        self.size
    }

    /// The root of the whole tree.
    pub fn root(&self) -> RootHash {
        fold_hashes(self.peaks.iter().map(|peak| peak.hash)).map_or_else(RootHash::empty, RootHash::from_hash)
    }

    /// Size and root together.
    pub fn head(&self) -> TreeHead {
        TreeHead::of_frontier(self)
    }

    /// Appends one leaf and returns every subtree that it completes, from the leaf itself upwards. Stored by
    /// [`NodeId`], these are all that proofs and tiles are made of.
    pub fn append(&mut self, leaf: LeafHash) -> Result<Vec<Node>, TreeSizeError> {
        let next = self.size.next()?;
        let mut node = Node {
            id: NodeId {
                level: 0,
                index: self.size.entries(),
            },
            hash: *leaf.hash(),
        };
        let mut completed = vec![node];
        while let Some(left) = self.peaks.pop_if(|peak| peak.id.level == node.id.level) {
            node = Node::parent(&left, &node);
            completed.push(node);
        }
        self.peaks.push(node);
        self.size = next;
        Ok(completed)
    }

    /// The subtrees that [`Frontier::rebuild`] will ask for.
    pub fn required_nodes(size: TreeSize) -> Vec<NodeId> {
        complete_nodes(0..size.entries())
    }

    /// The frontier of an earlier or the present size, from stored nodes.
    pub fn rebuild(size: TreeSize, stored: impl Fn(NodeId) -> Option<Hash>) -> Result<Self, ProofError> {
        let peak = |id| Some(Node { id, hash: stored(id)? });
        let peaks = Self::required_nodes(size)
            .into_iter()
            .map(|id| peak(id).ok_or(ProofError::MissingNode(id)))
            .collect::<Result<_, _>>()?;
        Ok(Self { size, peaks })
    }

    /// The stored form: version 1, the size in 8 bytes big-endian, the hashes largest subtree first.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend(self.size.entries().to_be_bytes());
        bytes.extend(self.peaks.iter().flat_map(|peak| peak.hash.as_bytes()));
        bytes
    }

    /// Reads the stored form, and nothing but it.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FrontierError> {
        let too_short = || FrontierError::TooShort(bytes.len());
        let (version, rest) = bytes.split_first().ok_or_else(too_short)?;
        if *version != VERSION {
            return Err(FrontierError::UnknownVersion(*version));
        }
        let (size, rest) = rest.split_first_chunk().ok_or_else(too_short)?;
        let size = TreeSize::new(u64::from_be_bytes(*size))?;
        let (hashes, tail) = rest.as_chunks::<32>();
        let ids = Self::required_nodes(size);
        if hashes.len() != ids.len() || !tail.is_empty() {
            return Err(FrontierError::WrongLength {
                size,
                expected: ids.len().saturating_mul(32).saturating_add(9),
                found: bytes.len(),
            });
        }
        let peaks = ids.into_iter().zip(hashes).map(|(id, hash)| Node {
            id,
            hash: Hash::from_bytes(*hash),
        });
        Ok(Self {
            size,
            peaks: peaks.collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::test_tree::TestTree;

    #[test]
    fn append_returns_what_it_completes() {
        let mut frontier = Frontier::empty();
        let completed = (0..8u8).map(|entry| {
            let nodes = frontier.append(LeafHash::of(&[entry]).unwrap()).unwrap();
            nodes
                .iter()
                .map(|node| node.id.to_string())
                .collect::<Vec<_>>()
                .join(" ")
        });
        let expected = [
            "0/0",
            "0/1 1/0",
            "0/2",
            "0/3 1/1 2/0",
            "0/4",
            "0/5 1/2",
            "0/6",
            "0/7 1/3 2/1 3/0",
        ];
        assert_eq!(completed.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_full_log_takes_no_more() {
        let full = Frontier::rebuild(TreeSize::MAX, |_| Some(Hash::from_bytes([9; 32]))).unwrap();
        let mut next = full.clone();
        assert_eq!(next.append(LeafHash::of(b"x").unwrap()), Err(TreeSizeError));
        assert_eq!(next, full, "a refused entry leaves no trace");
        assert_eq!(full.to_bytes().len(), MAX_FRONTIER_BYTES);
    }

    #[test]
    fn one_mutation_of_the_stored_form_is_one_error() {
        let good = TestTree::of_size(7).frontier.to_bytes();
        type Mutation = fn(&mut Vec<u8>);
        let wrong_length = |size: u64, expected, found| FrontierError::WrongLength {
            size: TreeSize::new(size).unwrap(),
            expected,
            found,
        };
        let table: [(Mutation, FrontierError); 8] = [
            (|bytes| bytes.clear(), FrontierError::TooShort(0)),
            (|bytes| bytes.truncate(8), FrontierError::TooShort(8)),
            (|bytes| bytes[0] = 0, FrontierError::UnknownVersion(0)),
            (|bytes| bytes[0] = 2, FrontierError::UnknownVersion(2)),
            (|bytes| bytes[1] = 0x80, FrontierError::BadSize(TreeSizeError)),
            (|bytes| bytes[8] = 8, wrong_length(8, 41, 105)),
            (|bytes| bytes.truncate(104), wrong_length(7, 105, 104)),
            (|bytes| bytes.push(0), wrong_length(7, 105, 106)),
        ];
        for (mutate, expected) in table {
            let mut bytes = good.clone();
            mutate(&mut bytes);
            assert_eq!(Frontier::from_bytes(&bytes), Err(expected));
        }
        assert!(Frontier::from_bytes(&good).is_ok());
    }

    #[test]
    fn a_missing_node_is_named() {
        let tree = TestTree::of_size(7);
        let hole = NodeId { level: 1, index: 2 };
        let result = Frontier::rebuild(tree.frontier.size(), |id| tree.stored(id).filter(|_| id != hole));
        assert_eq!(result, Err(ProofError::MissingNode(hole)));
    }

    proptest! {
        #[test]
        fn the_stored_form_round_trips(size in 0usize..600, more in 0usize..20) {
            let tree = TestTree::of_size(size);
            let mut resumed = Frontier::from_bytes(&tree.frontier.to_bytes()).unwrap();
            prop_assert_eq!(&resumed, &tree.frontier);
            for entry in size..size + more {
                resumed.append(TestTree::leaf(entry)).unwrap();
            }
            prop_assert_eq!(resumed, TestTree::of_size(size + more).frontier);
        }

        #[test]
        fn every_earlier_size_can_be_rebuilt(size in 0usize..300, earlier in 0usize..300) {
            prop_assume!(earlier <= size);
            let tree = TestTree::of_size(size);
            let rebuilt = Frontier::rebuild(TreeSize::new(earlier as u64).unwrap(), |id| tree.stored(id));
            prop_assert_eq!(rebuilt, Ok(TestTree::of_size(earlier).frontier));
        }

        #[test]
        fn parsing_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(frontier) = Frontier::from_bytes(&bytes) {
                prop_assert_eq!(frontier.to_bytes(), bytes);
            }
        }
    }
}
