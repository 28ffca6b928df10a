//! The append-only Merkle log: tiles, checkpoints, proofs.
