//! Verifying proofs against tree heads: the algorithms of RFC 9162 §2.1.3.2 and §2.1.4.2, written apart from the code
//! that builds proofs.

use serde::Serialize;

use crate::{ConsistencyProof, Frontier, Hash, InclusionProof, LeafHash, ProofError, RootHash, TreeSize};

/// The size and root of a log at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct TreeHead {
    size: TreeSize,
    root: RootHash,
}

impl TreeHead {
    /// Size and root from outside. Only the empty tree's root can be checked against its size.
    pub fn new(size: TreeSize, root: RootHash) -> Result<Self, ProofError> {
        if size == TreeSize::ZERO && root != RootHash::empty() {
            return Err(ProofError::EmptyRootMismatch);
        }
        Ok(Self { size, root })
    }

    pub(crate) fn of_frontier(frontier: &Frontier) -> Self {
        Self {
            size: frontier.size(),
            root: frontier.root(),
        }
    }

    /// The number of entries.
    pub fn size(&self) -> TreeSize {
        self.size
    }

    /// The root hash.
    pub fn root(&self) -> RootHash {
        self.root
    }

    /// Verifies that `leaf` is entry `index` of this tree.
    pub fn verify_inclusion(&self, index: u64, leaf: &LeafHash, proof: &InclusionProof) -> Result<(), ProofError> {
        if index >= self.size.entries() {
            let size = self.size;
            return Err(ProofError::IndexOutsideTree { index, size });
        }
        let mut edge = Edge::from_leaf(index, self.size);
        let mut hash = *leaf.hash();
        for sibling in proof.hashes() {
            hash = match edge.climb()? {
                Side::Left => Hash::of_children(sibling, &hash),
                Side::Right => Hash::of_children(&hash, sibling),
            };
        }
        edge.verify_at_root()?;
        if hash != *self.root.hash() {
            return Err(ProofError::RootMismatch);
        }
        Ok(())
    }

    /// Verifies that this tree is `older` continued.
    pub fn verify_consistency(&self, older: &Self, proof: &ConsistencyProof) -> Result<(), ProofError> {
        if older.size > self.size {
            return Err(ProofError::SizesReversed {
                older: older.size,
                newer: self.size,
            });
        }
        if older.size == self.size || older.size == TreeSize::ZERO {
            return self.verify_trivial_consistency(older, proof);
        }
        let is_complete = older.size.entries().is_power_of_two();
        let (start, path) = match proof.hashes().split_first() {
            _ if is_complete => (older.root.hash(), proof.hashes()),
            Some((start, path)) => (start, path),
            None => return Err(ProofError::TooShort),
        };
        let (older_root, root) = replay_consistency(Edge::from_tree(older.size, self.size), *start, path)?;
        if older_root != *older.root.hash() {
            return Err(ProofError::OlderRootMismatch);
        }
        if root != *self.root.hash() {
            return Err(ProofError::RootMismatch);
        }
        Ok(())
    }

    /// Equal trees are equal, and every tree continues the empty one: there is nothing to prove.
    fn verify_trivial_consistency(&self, older: &Self, proof: &ConsistencyProof) -> Result<(), ProofError> {
        if !proof.hashes().is_empty() {
            return Err(ProofError::TooLong);
        }
        if older.size == self.size && older.root != self.root {
            return Err(ProofError::RootMismatch);
        }
        Ok(())
    }
}

/// The roots of the older and the newer tree that a consistency path leads to.
fn replay_consistency(mut edge: Edge, start: Hash, path: &[Hash]) -> Result<(Hash, Hash), ProofError> {
    let (mut older, mut newer) = (start, start);
    for sibling in path {
        match edge.climb()? {
            Side::Left => {
                older = Hash::of_children(sibling, &older);
                newer = Hash::of_children(sibling, &newer);
            }
            Side::Right => newer = Hash::of_children(&newer, sibling),
        }
    }
    edge.verify_at_root()?;
    Ok((older, newer))
}

/// On which side of the climbing hash its sibling stands.
enum Side {
    Left,
    Right,
}

/// The `fn` and `sn` of RFC 9162: the positions, at the level reached, of the node climbed from and of the last node.
struct Edge {
    node: u64,
    last: u64,
}

impl Edge {
    fn from_leaf(index: u64, size: TreeSize) -> Self {
        Self {
            node: index,
            last: size.entries().saturating_sub(1),
        }
    }

    /// Starts at the root of the last complete subtree of the older tree. Neither size is zero.
    fn from_tree(older: TreeSize, newer: TreeSize) -> Self {
        let mut edge = Self::from_leaf(older.entries().saturating_sub(1), newer);
        while edge.node & 1 == 1 {
            edge.rise();
        }
        edge
    }

    fn rise(&mut self) {
        self.node >>= 1;
        self.last >>= 1;
    }

    /// Takes the next sibling of the path.
    fn climb(&mut self) -> Result<Side, ProofError> {
        if self.last == 0 {
            return Err(ProofError::TooLong);
        }
        let is_right_child = self.node & 1 == 1;
        let side = if is_right_child || self.node == self.last {
            // The last node of an incomplete level has no sibling there: it rises until it is a right child.
            while self.node & 1 == 0 && self.node != 0 {
                self.rise();
            }
            Side::Left
        } else {
            Side::Right
        };
        self.rise();
        Ok(side)
    }

    fn verify_at_root(&self) -> Result<(), ProofError> {
        if self.last != 0 {
            return Err(ProofError::TooShort);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::test_tree::TestTree;

    fn inclusion(tree: &TestTree, index: usize, head: &TreeHead) -> InclusionProof {
        InclusionProof::build(index as u64, head.size(), |id| tree.stored(id)).unwrap()
    }

    fn consistency(tree: &TestTree, older: &TreeHead, newer: &TreeHead) -> ConsistencyProof {
        ConsistencyProof::build(older.size(), newer.size(), |id| tree.stored(id)).unwrap()
    }

    fn flip(hash: &Hash, bit: usize) -> Hash {
        let mut bytes = *hash.as_bytes();
        bytes[bit / 8 % 32] ^= 1 << (bit % 8);
        Hash::from_bytes(bytes)
    }

    fn with_root(head: &TreeHead, root: Hash) -> TreeHead {
        TreeHead::new(head.size(), RootHash::from_hash(root)).unwrap()
    }

    #[test]
    fn one_mutation_of_an_inclusion_is_one_error() {
        let tree = TestTree::of_size(7);
        let (head, leaf) = (tree.head_at(7), TestTree::leaf(3));
        let path: Vec<Hash> = inclusion(&tree, 3, &head).into();
        let verify = |index, leaf: &LeafHash, head: &TreeHead, path: &[Hash]| {
            head.verify_inclusion(index, leaf, &path.to_vec().try_into().unwrap())
        };
        let longer = [path.as_slice(), &path[..1]].concat();
        let swapped = [path[1], path[0], path[2]];
        let outside = ProofError::IndexOutsideTree {
            index: 7,
            size: head.size(),
        };
        assert_eq!(verify(3, &leaf, &head, &path), Ok(()));
        assert_eq!(verify(2, &leaf, &head, &path), Err(ProofError::RootMismatch));
        assert_eq!(verify(7, &leaf, &head, &path), Err(outside));
        assert_eq!(
            verify(3, &TestTree::leaf(4), &head, &path),
            Err(ProofError::RootMismatch)
        );
        assert_eq!(verify(3, &leaf, &tree.head_at(6), &path), Err(ProofError::RootMismatch));
        assert_eq!(verify(3, &leaf, &tree.head_at(4), &path), Err(ProofError::TooLong));
        assert_eq!(
            verify(3, &leaf, &TestTree::of_size(9).head_at(9), &path),
            Err(ProofError::TooShort)
        );
        assert_eq!(verify(3, &leaf, &head, &path[..2]), Err(ProofError::TooShort));
        assert_eq!(verify(3, &leaf, &head, &[]), Err(ProofError::TooShort));
        assert_eq!(verify(3, &leaf, &head, &longer), Err(ProofError::TooLong));
        assert_eq!(verify(3, &leaf, &head, &swapped), Err(ProofError::RootMismatch));
    }

    #[test]
    fn one_mutation_of_a_consistency_is_one_error() {
        let tree = TestTree::of_size(7);
        let (older, newer) = (tree.head_at(3), tree.head_at(7));
        let path: Vec<Hash> = consistency(&tree, &older, &newer).into();
        let verify = |older: &TreeHead, newer: &TreeHead, path: &[Hash]| {
            newer.verify_consistency(older, &path.to_vec().try_into().unwrap())
        };
        let reversed = ProofError::SizesReversed {
            older: newer.size(),
            newer: older.size(),
        };
        let longer = [path.as_slice(), &path[..1]].concat();
        let forged_older = with_root(&older, flip(older.root().hash(), 5));
        let forged_newer = with_root(&newer, flip(newer.root().hash(), 5));
        assert_eq!(verify(&older, &newer, &path), Ok(()));
        assert_eq!(verify(&newer, &older, &path), Err(reversed));
        assert_eq!(verify(&forged_older, &newer, &path), Err(ProofError::OlderRootMismatch));
        assert_eq!(verify(&older, &forged_newer, &path), Err(ProofError::RootMismatch));
        assert_eq!(verify(&older, &newer, &path[..3]), Err(ProofError::TooShort));
        assert_eq!(verify(&older, &newer, &[]), Err(ProofError::TooShort));
        assert_eq!(verify(&older, &newer, &longer), Err(ProofError::TooLong));
        // No proof is needed, and none accepted, where there is nothing to prove.
        let empty = tree.head_at(0);
        assert_eq!(verify(&empty, &newer, &[]), Ok(()));
        assert_eq!(verify(&empty, &newer, &path), Err(ProofError::TooLong));
        assert_eq!(verify(&newer, &newer, &[]), Ok(()));
        assert_eq!(verify(&newer, &newer, &path), Err(ProofError::TooLong));
        assert_eq!(verify(&forged_newer, &newer, &[]), Err(ProofError::RootMismatch));
    }

    #[test]
    fn the_empty_tree_has_one_root() {
        let other = RootHash::from_hash(*TestTree::leaf(0).hash());
        assert_eq!(TreeHead::new(TreeSize::ZERO, other), Err(ProofError::EmptyRootMismatch));
        assert_eq!(
            TreeHead::new(TreeSize::ZERO, RootHash::empty()),
            Ok(Frontier::empty().head())
        );
    }

    /// Why proofs are held against heads out of a signed checkpoint: a root alone does not fix the size.
    #[test]
    fn the_root_does_not_bind_the_size() {
        let tree = TestTree::of_size(5);
        let head = tree.head_at(5);
        let proof = inclusion(&tree, 0, &head);
        let lie = TreeHead::new(TreeSize::new(7).unwrap(), head.root()).unwrap();
        assert_eq!(lie.verify_inclusion(0, &TestTree::leaf(0), &proof), Ok(()));
    }

    proptest! {
        #[test]
        fn every_inclusion_verifies_and_one_changed_bit_does_not(
            size in 1usize..400, at: prop::sample::Index, hash: prop::sample::Index, bit in 0usize..256,
        ) {
            let (tree, index) = (TestTree::of_size(size), at.index(size));
            let (head, leaf) = (tree.head_at(size), TestTree::leaf(index));
            let proof = inclusion(&tree, index, &head);
            prop_assert_eq!(head.verify_inclusion(index as u64, &leaf, &proof), Ok(()));
            let forged = LeafHash::from_hash(flip(leaf.hash(), bit));
            prop_assert_eq!(head.verify_inclusion(index as u64, &forged, &proof), Err(ProofError::RootMismatch));
            let forged = with_root(&head, flip(head.root().hash(), bit));
            prop_assert_eq!(forged.verify_inclusion(index as u64, &leaf, &proof), Err(ProofError::RootMismatch));
            let other = index as u64 ^ (1 << (bit % 64));
            prop_assert!(head.verify_inclusion(other, &leaf, &proof).is_err());
            let mut path: Vec<Hash> = proof.into();
            if !path.is_empty() {
                let hash = hash.index(path.len());
                path[hash] = flip(&path[hash], bit);
                let forged = path.try_into().unwrap();
                prop_assert_eq!(head.verify_inclusion(index as u64, &leaf, &forged), Err(ProofError::RootMismatch));
            }
        }

        #[test]
        fn every_consistency_verifies_and_one_changed_bit_does_not(
            size in 1usize..400, at: prop::sample::Index, hash: prop::sample::Index, bit in 0usize..256,
        ) {
            let tree = TestTree::of_size(size);
            let (older, newer) = (tree.head_at(at.index(size + 1)), tree.head_at(size));
            let proof = consistency(&tree, &older, &newer);
            prop_assert_eq!(newer.verify_consistency(&older, &proof), Ok(()));
            if older.size() != TreeSize::ZERO {
                let forged = with_root(&older, flip(older.root().hash(), bit));
                prop_assert!(newer.verify_consistency(&forged, &proof).is_err());
                let forged = with_root(&newer, flip(newer.root().hash(), bit));
                prop_assert_eq!(forged.verify_consistency(&older, &proof), Err(ProofError::RootMismatch));
            }
            let mut path: Vec<Hash> = proof.into();
            if !path.is_empty() {
                let hash = hash.index(path.len());
                path[hash] = flip(&path[hash], bit);
                prop_assert!(newer.verify_consistency(&older, &path.try_into().unwrap()).is_err());
            }
        }

        /// A changed size verifies at most where the true proof of that size has the same shape: the checkpoint binds it.
        #[test]
        fn a_changed_size_changes_the_length_or_is_left_to_the_checkpoint(
            size in 1usize..400, at: prop::sample::Index, bit in 0u32..63,
        ) {
            let (tree, index) = (TestTree::of_size(size), at.index(size) as u64);
            let proof = inclusion(&tree, index as usize, &tree.head_at(size));
            let other = TreeSize::new(size as u64 ^ (1 << bit)).unwrap();
            let leaf = TestTree::leaf(index as usize);
            let Ok(lie) = TreeHead::new(other, tree.head_at(size).root()) else { return Ok(()) };
            if lie.verify_inclusion(index, &leaf, &proof).is_ok() {
                let shape = InclusionProof::build(index, other, |_| Some(*leaf.hash())).unwrap();
                prop_assert_eq!(shape.hashes().len(), proof.hashes().len());
            }
        }

        #[test]
        fn verifying_never_panics(
            older in 0u64..1 << 63, newer in 0u64..1 << 63, index: u64, path in prop::collection::vec(any::<[u8; 32]>(), 0..=64),
        ) {
            let root = RootHash::from_hash(Hash::from_bytes([1; 32]));
            let path: Vec<Hash> = path.into_iter().map(Hash::from_bytes).collect();
            if let (Ok(older), Ok(newer)) =
                (TreeHead::new(TreeSize::new(older).unwrap(), root), TreeHead::new(TreeSize::new(newer).unwrap(), root))
            {
                prop_assert!(newer.verify_inclusion(index, &TestTree::leaf(0), &path.clone().try_into().unwrap()).is_err());
                prop_assert!(older == newer || newer.verify_consistency(&older, &path.try_into().unwrap()).is_err());
            }
        }
    }
}
