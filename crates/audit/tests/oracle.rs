//! Cross-checks against the crates `tlog_tiles` and `signed_note`, which port Go's `golang.org/x/mod/sumdb`: what we make
//! they accept, byte for byte as they would make it, and the other way round.
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
    Checkpoint, ConsistencyProof, Frontier, Hash, HashTile, InclusionProof, LeafHash, NodeId, NoteSignature,
    SignedCheckpoint, SignedNote, TreeHead, TreeSize, VerifierKey, hash_tiles_between,
};
use countersign_types::Timestamp;
use ed25519_dalek::{Signer as _, SigningKey};
use proptest::prelude::*;
use tlog_tiles::{HashReader, Tile};

/// One log kept twice: as ours, and in the oracle's order of stored hashes.
#[derive(Default)]
struct Logs {
    frontier: Frontier,
    nodes: BTreeMap<NodeId, Hash>,
    oracle: Oracle,
}

#[derive(Default)]
struct Oracle(Vec<tlog_tiles::Hash>);

impl HashReader for Oracle {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog_tiles::Hash>, tlog_tiles::Error> {
        Ok(indexes.iter().map(|index| self.0[*index as usize]).collect())
    }
}

impl Logs {
    fn of_size(size: u64) -> Self {
        let mut logs = Self::default();
        for index in 0..size {
            let entry = index.to_be_bytes();
            let completed = logs.frontier.append(LeafHash::of(&entry).unwrap()).unwrap();
            logs.nodes
                .extend(completed.into_iter().map(|node| (node.id, node.hash)));
            let hashes = tlog_tiles::stored_hashes(index, &entry, &logs.oracle).unwrap();
            logs.oracle.0.extend(hashes);
        }
        logs
    }

    fn stored(&self, id: NodeId) -> Option<Hash> {
        self.nodes.get(&id).copied()
    }

    fn head(&self, size: u64) -> TreeHead {
        let size = TreeSize::new(size).unwrap();
        Frontier::rebuild(size, |id| self.stored(id)).unwrap().head()
    }
}

fn theirs(hash: &Hash) -> tlog_tiles::Hash {
    tlog_tiles::Hash(*hash.as_bytes())
}

fn all_theirs(hashes: &[Hash]) -> Vec<tlog_tiles::Hash> {
    hashes.iter().map(theirs).collect()
}

fn all_ours(hashes: &[tlog_tiles::Hash]) -> Vec<Hash> {
    hashes.iter().map(|hash| Hash::from_bytes(hash.0)).collect()
}

/// Go's paths name the height of the tile, which C2SP fixed at 8 and left out.
fn c2sp_path(tile: &Tile) -> String {
    tile.path().replacen("tile/8/", "tile/", 1)
}

fn log_key(seed: [u8; 32]) -> (VerifierKey, SigningKey) {
    let key = SigningKey::from_bytes(&seed);
    let name = "log.example/1".parse().unwrap();
    (VerifierKey::new(name, key.verifying_key().as_bytes()).unwrap(), key)
}

fn oracle_verifies(note: &str, key: &VerifierKey) -> Result<Vec<u8>, signed_note::NoteError> {
    let verifier = signed_note::StandardVerifier::new(&key.to_string()).unwrap();
    let note = signed_note::Note::from_bytes(note.as_bytes())?;
    note.verify(&signed_note::VerifierList::new(vec![Box::new(verifier)]))?;
    Ok(note.text().to_vec())
}

#[test]
fn nodes_and_roots_are_the_oracles() {
    let logs = Logs::of_size(300);
    assert_eq!(logs.nodes.len() as u64, tlog_tiles::stored_hash_count(300));
    for (id, hash) in &logs.nodes {
        let at = tlog_tiles::stored_hash_index(id.level, id.index);
        assert_eq!(theirs(hash).0, logs.oracle.0[at as usize].0, "node {id}");
    }
    for size in 0..=300 {
        let root = tlog_tiles::tree_hash(size, &logs.oracle).unwrap();
        assert_eq!(theirs(logs.head(size).root().hash()).0, root.0, "size {size}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn inclusion_proofs_are_the_oracles(size in 1u64..1200, at: prop::sample::Index) {
        let (logs, index) = (Logs::of_size(size), at.index(size as usize) as u64);
        let (head, leaf) = (logs.head(size), LeafHash::of(&index.to_be_bytes()).unwrap());
        let proof = InclusionProof::build(index, head.size(), |id| logs.stored(id)).unwrap();
        let oracle = tlog_tiles::prove_record(size, index, &logs.oracle).unwrap();
        prop_assert_eq!(proof.hashes(), all_ours(&oracle));
        prop_assert!(head.verify_inclusion(index, &leaf, &proof).is_ok());
        let root = theirs(head.root().hash());
        tlog_tiles::check_record(&all_theirs(proof.hashes()), size, root, index, theirs(leaf.hash())).unwrap();
    }

    #[test]
    fn consistency_proofs_are_the_oracles(size in 1u64..1200, at: prop::sample::Index) {
        let (logs, older) = (Logs::of_size(size), at.index(size as usize) as u64 + 1);
        let (head, older_head) = (logs.head(size), logs.head(older));
        let proof = ConsistencyProof::build(older_head.size(), head.size(), |id| logs.stored(id)).unwrap();
        let oracle = tlog_tiles::prove_tree(size, older, &logs.oracle).unwrap();
        prop_assert_eq!(proof.hashes(), all_ours(&oracle));
        prop_assert!(head.verify_consistency(&older_head, &proof).is_ok());
        let [root, older_root] = [&head, &older_head].map(|head| theirs(head.root().hash()));
        tlog_tiles::check_tree(&all_theirs(proof.hashes()), size, root, older, older_root).unwrap();
    }

    /// Two verifiers that were written apart agree on any claim, also on a wrong one.
    #[test]
    fn verifiers_agree_on_claims(
        size in 1u64..40, claimed_size in 1u64..40, claimed_index in 0u64..40, leaf in 0u64..40, cut in 0usize..3,
    ) {
        prop_assume!(leaf < size);
        let logs = Logs::of_size(size);
        let root = logs.head(size).root();
        let path = InclusionProof::build(leaf, TreeSize::new(size).unwrap(), |id| logs.stored(id)).unwrap();
        let path = &path.hashes()[cut.min(path.hashes().len())..];
        let hash = LeafHash::of(&leaf.to_be_bytes()).unwrap();
        let claim = TreeHead::new(TreeSize::new(claimed_size).unwrap(), root).unwrap();
        let ours = claim.verify_inclusion(claimed_index, &hash, &path.to_vec().try_into().unwrap()).is_ok();
        let root = theirs(root.hash());
        let theirs = tlog_tiles::check_record(&all_theirs(path), claimed_size, root, claimed_index, theirs(hash.hash()));
        prop_assert_eq!(ours, theirs.is_ok());
    }

    #[test]
    fn verifiers_agree_on_continuations(
        newer in 1u64..40, older in 1u64..40, claimed_newer in 1u64..40, claimed_older in 1u64..40,
    ) {
        prop_assume!(older <= newer);
        let logs = Logs::of_size(newer);
        let [newer_head, older_head] = [newer, older].map(|size| logs.head(size));
        let proof = ConsistencyProof::build(older_head.size(), newer_head.size(), |id| logs.stored(id)).unwrap();
        let claim = |head: &TreeHead, size| TreeHead::new(TreeSize::new(size).unwrap(), head.root()).unwrap();
        let ours = claim(&newer_head, claimed_newer).verify_consistency(&claim(&older_head, claimed_older), &proof);
        let [root, older_root] = [&newer_head, &older_head].map(|head| theirs(head.root().hash()));
        let theirs =
            tlog_tiles::check_tree(&all_theirs(proof.hashes()), claimed_newer, root, claimed_older, older_root);
        prop_assert_eq!(ours.is_ok(), theirs.is_ok());
    }

    #[test]
    fn tiles_are_the_oracles(size in 1u64..1200, old in 0u64..1200) {
        prop_assume!(old < size);
        let logs = Logs::of_size(size);
        let [old, new] = [old, size].map(|size| TreeSize::new(size).unwrap());
        let tiles: Vec<HashTile> = hash_tiles_between(old, new).collect();
        let mut oracle = Tile::new_tiles(8, old.entries(), new.entries());
        oracle.sort_by_key(|tile| (tile.level(), tile.level_index()));
        let paths: Vec<String> = tiles.iter().map(ToString::to_string).collect();
        let oracle_paths: Vec<String> = oracle.iter().map(c2sp_path).collect();
        prop_assert_eq!(paths, oracle_paths);
        for (tile, oracle) in tiles.iter().zip(&oracle) {
            prop_assert_eq!(tile.encode(|id| logs.stored(id)).unwrap(), oracle.read_data(&logs.oracle).unwrap());
        }
    }

    #[test]
    fn tile_paths_are_the_oracles(level in 0u8..8, index in 0u64..1 << 55, width in 1u16..=256) {
        let tile = HashTile::new(level, index, width).unwrap();
        let oracle = Tile::new(8, level, index, u32::from(width), false);
        prop_assert_eq!(tile.to_string(), c2sp_path(&oracle));
    }

    #[test]
    fn notes_and_checkpoints_are_read_by_the_oracle(seed: [u8; 32], size in 0u64..300, millis in 0i64..) {
        let (verifier, key) = log_key(seed);
        let head = Logs::of_size(size).frontier.head();
        let checkpoint = Checkpoint::new(verifier.name().clone(), head, Timestamp::from_unix_millis(millis)).unwrap();
        let signed = SignedCheckpoint::sign(checkpoint, &verifier, |message| key.sign(message).to_bytes()).unwrap();
        let text = oracle_verifies(&signed.to_string(), &verifier).unwrap();
        let oracle = tlog_tiles::Checkpoint::from_bytes(&text).unwrap();
        prop_assert_eq!(oracle.origin(), verifier.name().as_str());
        prop_assert_eq!((oracle.size(), oracle.hash().0), (size, *head.root().hash().as_bytes()));
        prop_assert_eq!(oracle.extension(), format!("time {millis}\n"));
    }

    /// What the oracle signs we read; of a damaged note, neither believes anything.
    #[test]
    fn readers_of_notes_agree(seed: [u8; 32], text in "[a-z \n]{1,60}\n", at: prop::sample::Index, bit in 0u8..7) {
        let (verifier, key) = log_key(seed);
        let signature = NoteSignature::new(&verifier, &key.sign(text.as_bytes()).to_bytes());
        let line = signature.to_string();
        let parsed = signed_note::Signature::from_bytes(line.as_bytes()).unwrap();
        let oracle = signed_note::Note::new(text.as_bytes(), &[parsed]).unwrap().to_bytes();
        let note = SignedNote::parse(&oracle).unwrap();
        prop_assert_eq!(note.verify(&verifier), Ok(text.as_str()));
        prop_assert_eq!(note.to_string().into_bytes(), oracle.clone());
        let mut damaged = oracle;
        let at = at.index(damaged.len());
        damaged[at] ^= 1 << bit;
        let ours = SignedNote::parse(&damaged).is_ok_and(|note| note.verify(&verifier).is_ok());
        let theirs = str::from_utf8(&damaged).is_ok_and(|note| oracle_verifies(note, &verifier).is_ok());
        prop_assert_eq!((ours, theirs), (false, false));
    }
}
