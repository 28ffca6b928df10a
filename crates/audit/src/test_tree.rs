//! A log in memory that keeps what a journal would store.

use std::collections::BTreeMap;

use crate::{Frontier, Hash, LeafHash, NodeId, TreeHead, TreeSize};

pub(crate) struct TestTree {
    pub(crate) frontier: Frontier,
    nodes: BTreeMap<NodeId, Hash>,
}

impl TestTree {
    pub(crate) fn entry(index: usize) -> Vec<u8> {
        format!("entry {index}").into_bytes()
    }

    pub(crate) fn leaf(index: usize) -> LeafHash {
        LeafHash::of(&Self::entry(index)).unwrap()
    }

    pub(crate) fn of_size(size: usize) -> Self {
        Self::of_entries(&(0..size).map(Self::entry).collect::<Vec<_>>())
    }

    pub(crate) fn of_entries(entries: &[Vec<u8>]) -> Self {
        let mut tree = Self {
            frontier: Frontier::empty(),
            nodes: BTreeMap::new(),
        };
        for entry in entries {
            let completed = tree.frontier.append(LeafHash::of(entry).unwrap()).unwrap();
            for node in completed {
                assert!(tree.nodes.insert(node.id, node.hash).is_none(), "{} twice", node.id);
            }
        }
        tree
    }

    pub(crate) fn stored(&self, id: NodeId) -> Option<Hash> {
        self.nodes.get(&id).copied()
    }

    pub(crate) fn head_at(&self, size: usize) -> TreeHead {
        let size = TreeSize::new(size as u64).unwrap();
        Frontier::rebuild(size, |id| self.stored(id)).unwrap().head()
    }
}
