//! Where a hash stands in the tree, and which complete subtrees make up a range of entries.

use std::{fmt, ops::Range};

use countersign_types::Tag;
use serde::{Deserialize, Serialize};

use crate::Hash;

/// More entries than databases and other verifiers count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a log has at most {} entries", TreeSize::MAX)]
pub struct TreeSizeError;

impl TreeSizeError {
    /// The stable tag.
    pub fn tag(&self) -> Tag {
        Tag::MessageInvalid
    }
}

/// A number of entries. Text: decimal, no leading zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct TreeSize(u64);

impl TreeSize {
    /// The tree without entries.
    pub const ZERO: Self = Self(0);
    /// 2⁶³ − 1: SQL databases and Go's verifiers count in signed 64 bits.
    pub const MAX: Self = Self(i64::MAX.unsigned_abs());

    /// Checks the bound.
    pub const fn new(entries: u64) -> Result<Self, TreeSizeError> {
        if entries > Self::MAX.0 {
            return Err(TreeSizeError);
        }
        Ok(Self(entries))
    }

    /// The number of entries.
    pub const fn entries(self) -> u64 {
        self.0
    }

    /// The size after one more entry.
    pub(crate) fn next(self) -> Result<Self, TreeSizeError> {
        Self::new(self.0.saturating_add(1))
    }
}

impl fmt::Display for TreeSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
impl TryFrom<u64> for TreeSize {
    type Error = TreeSizeError;
    fn try_from(entries: u64) -> Result<Self, TreeSizeError> {
        Self::new(entries)
    }
}
impl From<TreeSize> for u64 {
    fn from(size: TreeSize) -> u64 {
        size.0
    }
}

/// A complete subtree: of `2^level` entries, starting at entry `index · 2^level`. Level 0 are the leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId {
    /// The height over the leaves, at most 63.
    pub level: u8,
    /// The position within the level.
    pub index: u64,
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.level, self.index)
    }
}

/// A complete subtree and its hash: it never changes, so it is what a log stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    /// Where it stands.
    pub id: NodeId,
    /// Its hash.
    pub hash: Hash,
}

impl Node {
    /// The parent of a complete left child and its right sibling.
    pub(crate) fn parent(left: &Self, right: &Self) -> Self {
        let id = NodeId {
            level: left.id.level.saturating_add(1), // at most 63, see `TreeSize::MAX`
            index: left.id.index >> 1,
        };
        Self {
            id,
            hash: Hash::of_children(&left.hash, &right.hash),
        }
    }
}

/// The complete subtrees that cover a range of entries, left to right. `begin` must be a multiple of the largest power of
/// two that fits the range, as in every range that RFC 6962 hashes; then they shrink from left to right.
pub(crate) fn complete_nodes(range: Range<u64>) -> Vec<NodeId> {
    let mut nodes = Vec::new();
    let mut begin = range.start;
    while let Some(highest) = range.end.saturating_sub(begin).checked_ilog2() {
        let level = highest.min(begin.trailing_zeros());
        nodes.push(NodeId {
            level: u8::try_from(level).unwrap_or(u8::MAX), // at most 63
            index: begin.checked_shr(level).unwrap_or_default(),
        });
        begin = begin.saturating_add(1u64.checked_shl(level).unwrap_or(u64::MAX));
    }
    nodes
}

/// The hash of adjacent complete subtrees that shrink from left to right; `None` for none.
pub(crate) fn fold_hashes(hashes: impl DoubleEndedIterator<Item = Hash>) -> Option<Hash> {
    hashes.rev().reduce(|right, left| Hash::of_children(&left, &right))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_bounded() {
        assert_eq!(TreeSize::new(u64::MAX >> 1), Ok(TreeSize::MAX));
        assert_eq!(TreeSize::new(1 << 63), Err(TreeSizeError));
        assert_eq!(TreeSize::MAX.next(), Err(TreeSizeError));
        assert!(serde_json::from_str::<TreeSize>("9223372036854775808").is_err());
    }

    #[test]
    fn ranges_are_covered_by_complete_subtrees() {
        let ids = |range| {
            let nodes = complete_nodes(range);
            nodes.iter().map(NodeId::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(ids(0..0), "");
        assert_eq!(ids(0..1), "0/0");
        assert_eq!(ids(0..7), "2/0 1/2 0/6");
        assert_eq!(ids(4..7), "1/2 0/6");
        assert_eq!(ids(6..8), "1/3");
        assert_eq!(complete_nodes(0..TreeSize::MAX.entries()).len(), 63);
    }
}
