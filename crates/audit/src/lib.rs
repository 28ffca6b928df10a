//! The append-only Merkle log over opaque entries: RFC 6962 hashing, proofs, C2SP tiles and signed checkpoints.
//!
//! Promises: bytes in, bytes out; storage, clock and keys are arguments. What is written here other people's verifiers
//! read (RFC 9162, C2SP tlog-tiles, signed-note and tlog-checkpoint). Every text and byte form has one spelling.
//! Refuses: entries that no entry bundle can hold, checkpoints without a time, and to show what a checkpoint says before
//! the log's signature was verified ([`SignedCheckpoint`] becomes a [`VerifiedCheckpoint`]).
//!
//! A tree size is bound by the checkpoint's signature, not by the root: some inclusion paths verify for several sizes.
//! So proofs are held against a [`TreeHead`], and a head worth believing comes out of a [`VerifiedCheckpoint`].

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::wildcard_enum_match_arm,
        reason = "tests fail by panicking"
    )
)]

mod checkpoint;
mod frontier;
mod hash;
mod key;
mod node;
mod note;
mod proof;
mod tile;
mod verify;

#[cfg(test)]
mod test_tree;

pub use checkpoint::{Checkpoint, CheckpointError, MAX_CLOCK_SKEW, SignedCheckpoint, VerifiedCheckpoint};
pub use frontier::{Frontier, FrontierError, MAX_FRONTIER_BYTES};
pub use hash::{Hash, HashError, LeafHash, MAX_ENTRY_BYTES, RootHash};
pub use key::{KeyName, KeyNameError, MAX_KEY_NAME_BYTES, VerifierKey, VerifierKeyError};
pub use node::{Node, NodeId, TreeSize, TreeSizeError};
pub use note::{MAX_NOTE_BYTES, MAX_NOTE_SIGNATURES, NoteError, NoteSignature, SignedNote};
pub use proof::{ConsistencyProof, InclusionProof, MAX_PROOF_HASHES, ProofError};
pub use tile::{
    EntryBundle, HashTile, MAX_TILE_LEVEL, TILE_WIDTH, TileError, entry_bundles_between, hash_tiles_between,
};
pub use verify::TreeHead;
