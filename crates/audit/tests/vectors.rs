//! Golden values: `vectors/log.json`, computed by `vectors/generate.py` from the definitions of RFC 6962 and not by this
//! crate. Stored data and other people's verifiers depend on them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::wildcard_enum_match_arm,
    reason = "tests fail by panicking"
)]

use std::collections::BTreeMap;

use countersign_audit::{
    Checkpoint, ConsistencyProof, EntryBundle, Frontier, Hash, HashTile, InclusionProof, LeafHash, NodeId, RootHash,
    SignedCheckpoint, TreeHead, TreeSize, VerifierKey, entry_bundles_between, hash_tiles_between,
};
use countersign_types::Timestamp;
use ed25519_dalek::{Signer as _, SigningKey};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vectors {
    leaves: Vec<String>,
    leaf_hashes: Vec<String>,
    roots: Vec<String>,
    inclusion: Vec<Inclusion>,
    consistency: Vec<Consistency>,
    frontiers: Vec<String>,
    entries_300: Export,
    checkpoint: CheckpointVector,
}

#[derive(Deserialize)]
struct Inclusion {
    index: u64,
    size: TreeSize,
    proof: InclusionProof,
}

#[derive(Deserialize)]
struct Consistency {
    older: TreeSize,
    newer: TreeSize,
    proof: ConsistencyProof,
}

#[derive(Deserialize)]
struct Export {
    root: String,
    tiles: BTreeMap<String, String>,
    bundles: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct CheckpointVector {
    seed: String,
    origin: String,
    time: i64,
    verifier_key: String,
    note: String,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../vectors/log.json")).unwrap()
}

#[derive(Default)]
struct Log {
    frontier: Frontier,
    nodes: BTreeMap<NodeId, Hash>,
}

impl Log {
    fn of<E: AsRef<[u8]>>(entries: &[E]) -> Self {
        let mut log = Self::default();
        for entry in entries {
            let completed = log.frontier.append(LeafHash::of(entry.as_ref()).unwrap()).unwrap();
            log.nodes.extend(completed.into_iter().map(|node| (node.id, node.hash)));
        }
        log
    }

    fn stored(&self, id: NodeId) -> Option<Hash> {
        self.nodes.get(&id).copied()
    }
}

fn leaves(vectors: &Vectors) -> Vec<Vec<u8>> {
    vectors.leaves.iter().map(|leaf| hex::decode(leaf).unwrap()).collect()
}

/// The heads of the eight trees and the empty one, roots from the file.
fn heads(vectors: &Vectors) -> Vec<TreeHead> {
    let head = |(size, root): (usize, &String)| {
        let root = Hash::from_bytes(hex::decode(root).unwrap().try_into().unwrap());
        TreeHead::new(TreeSize::new(size as u64).unwrap(), RootHash::from_hash(root)).unwrap()
    };
    vectors.roots.iter().enumerate().map(head).collect()
}

#[test]
fn hashes_roots_and_frontiers() {
    let vectors = vectors();
    let leaves = leaves(&vectors);
    assert_eq!((leaves.len(), vectors.roots.len(), vectors.frontiers.len()), (8, 9, 9));
    for (leaf, expected) in leaves.iter().zip(&vectors.leaf_hashes) {
        assert_eq!(hex::encode(LeafHash::of(leaf).unwrap().hash().as_bytes()), *expected);
    }
    for (size, head) in heads(&vectors).iter().enumerate() {
        let log = Log::of(&leaves[..size]);
        assert_eq!(log.frontier.head(), *head, "size {size}");
        assert_eq!(
            hex::encode(log.frontier.to_bytes()),
            vectors.frontiers[size],
            "size {size}"
        );
    }
}

#[test]
fn proofs_are_built_and_verify() {
    let vectors = vectors();
    let (leaves, heads) = (leaves(&vectors), heads(&vectors));
    let log = Log::of(&leaves);
    assert_eq!((vectors.inclusion.len(), vectors.consistency.len()), (36, 36));
    for Inclusion { index, size, proof } in &vectors.inclusion {
        let head = &heads[size.entries() as usize];
        let leaf = LeafHash::of(&leaves[*index as usize]).unwrap();
        assert_eq!(head.verify_inclusion(*index, &leaf, proof), Ok(()), "{index} in {size}");
        let built = InclusionProof::build(*index, *size, |id| log.stored(id));
        assert_eq!(built.as_ref(), Ok(proof), "{index} in {size}");
    }
    for Consistency { older, newer, proof } in &vectors.consistency {
        let [older_head, newer_head] = [older, newer].map(|size| &heads[size.entries() as usize]);
        assert_eq!(
            newer_head.verify_consistency(older_head, proof),
            Ok(()),
            "{older} to {newer}"
        );
        let built = ConsistencyProof::build(*older, *newer, |id| log.stored(id));
        assert_eq!(built.as_ref(), Ok(proof), "{older} to {newer}");
    }
}

#[test]
fn an_export_of_300_entries() {
    let export = vectors().entries_300;
    let entries: Vec<Vec<u8>> = (0..300).map(|index| format!("entry {index}").into_bytes()).collect();
    let log = Log::of(&entries);
    assert_eq!(log.frontier.root().to_string(), export.root);
    let size = log.frontier.size();
    let digest = |bytes: Vec<u8>| hex::encode(Sha256::digest(bytes));
    let tile = |tile: HashTile| (tile.to_string(), digest(tile.encode(|id| log.stored(id)).unwrap()));
    let tiles: BTreeMap<_, _> = hash_tiles_between(TreeSize::ZERO, size).map(tile).collect();
    assert_eq!(tiles, export.tiles);
    let bundle = |bundle: EntryBundle| {
        let range = bundle.entries();
        let bytes = bundle.encode(&entries[range.start as usize..range.end as usize]);
        (bundle.to_string(), digest(bytes.unwrap()))
    };
    let bundles: BTreeMap<_, _> = entry_bundles_between(TreeSize::ZERO, size).map(bundle).collect();
    assert_eq!(bundles, export.bundles);
}

#[test]
fn the_checkpoint_is_signed_and_read() {
    let vectors = vectors();
    let head = *heads(&vectors).last().unwrap();
    let golden = vectors.checkpoint;
    let key: VerifierKey = golden.verifier_key.parse().unwrap();
    let signer = SigningKey::from_bytes(&hex::decode(&golden.seed).unwrap().try_into().unwrap());
    assert_eq!(signer.verifying_key().as_bytes(), key.public_key());
    let made_at = Timestamp::from_unix_millis(golden.time);
    let checkpoint = Checkpoint::new(golden.origin.parse().unwrap(), head, made_at).unwrap();
    let signed = SignedCheckpoint::sign(checkpoint.clone(), &key, |message| signer.sign(message).to_bytes()).unwrap();
    assert_eq!(signed.to_string(), golden.note);
    let read = SignedCheckpoint::parse(golden.note.as_bytes()).unwrap();
    assert_eq!(read.verify(&key).unwrap().checkpoint(), &checkpoint);
}
