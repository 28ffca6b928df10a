//! RFC 6962 hashing: a leaf is `SHA-256(0x00 ‖ entry)`, a node `SHA-256(0x01 ‖ left ‖ right)`, so that a node can never
//! pass for an entry.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use countersign_types::Tag;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The longest entry: C2SP entry bundles prefix each with its length in 16 bits. Larger things are logged by digest.
pub const MAX_ENTRY_BYTES: usize = 65_535;

/// Why bytes or a text are not hashed, or are no hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// Longer than [`MAX_ENTRY_BYTES`].
    #[error("the entry has {0} bytes; at most {MAX_ENTRY_BYTES} are logged")]
    EntryTooLarge(usize),
    /// Not the base64 of 32 bytes.
    #[error("a hash is written as the padded standard base64 of 32 bytes")]
    BadText,
}

impl HashError {
    /// The stable tag.
    pub fn tag(&self) -> Tag {
        match self {
            Self::EntryTooLarge(_) => Tag::MessageTooLarge,
            Self::BadText => Tag::ReceiptInvalid,
        }
    }
}

/// One hash of the tree, a leaf's or a node's. Text: standard base64, as C2SP writes it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hash([u8; 32]);

impl Hash {
    /// A hash that was computed earlier and stored.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(crate) fn of_children(left: &Self, right: &Self) -> Self {
        let hash = Sha256::new()
            .chain_update([0x01])
            .chain_update(left.0)
            .chain_update(right.0);
        Self(hash.finalize().into())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}
impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}
impl FromStr for Hash {
    type Err = HashError;
    fn from_str(text: &str) -> Result<Self, HashError> {
        let bytes = STANDARD.decode(text).map_err(|_| HashError::BadText)?;
        bytes.try_into().map(Self).map_err(|_| HashError::BadText)
    }
}
impl TryFrom<String> for Hash {
    type Error = HashError;
    fn try_from(text: String) -> Result<Self, HashError> {
        text.parse()
    }
}
impl From<Hash> for String {
    fn from(hash: Hash) -> String {
        hash.to_string()
    }
}

/// The hash of an entry, at level 0 of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LeafHash(Hash);

impl LeafHash {
    /// Hashes an entry; refuses one over [`MAX_ENTRY_BYTES`], which could not be exported.
    pub fn of(entry: &[u8]) -> Result<Self, HashError> {
        if entry.len() > MAX_ENTRY_BYTES {
            return Err(HashError::EntryTooLarge(entry.len()));
        }
        let hash = Sha256::new().chain_update([0x00]).chain_update(entry);
        Ok(Self(Hash(hash.finalize().into())))
    }

    /// A leaf hash that was computed earlier and stored.
    pub const fn from_hash(hash: Hash) -> Self {
        Self(hash)
    }

    /// The hash.
    pub const fn hash(&self) -> &Hash {
        &self.0
    }
}

/// The hash of a whole tree. It does not bind the tree's size; a checkpoint does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RootHash(Hash);

impl RootHash {
    /// The root of the tree without entries: SHA-256 of nothing.
    pub fn empty() -> Self {
        Self(Hash(Sha256::digest(b"").into()))
    }

    /// A root that was computed earlier and stored.
    pub const fn from_hash(hash: Hash) -> Self {
        Self(hash)
    }

    /// The hash.
    pub const fn hash(&self) -> &Hash {
        &self.0
    }
}

impl fmt::Display for RootHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_entry_longer_than_a_bundle_holds_is_refused() {
        assert!(LeafHash::of(&[7; MAX_ENTRY_BYTES]).is_ok());
        let error = LeafHash::of(&[7; MAX_ENTRY_BYTES + 1]).unwrap_err();
        assert_eq!(error, HashError::EntryTooLarge(MAX_ENTRY_BYTES + 1));
        assert_eq!(error.tag(), Tag::MessageTooLarge);
    }

    /// RFC 6962 §2.1: the prefix keeps the hash of two hashes apart from the entry made of the same 64 bytes.
    #[test]
    fn leaves_and_nodes_are_domain_separated() {
        let (left, right) = (Hash([1; 32]), Hash([2; 32]));
        let entry = [[1; 32], [2; 32]].concat();
        assert_ne!(Hash::of_children(&left, &right), LeafHash::of(&entry).unwrap().0);
    }

    #[test]
    fn text_has_one_spelling() {
        let text = Hash([0xff; 32]).to_string();
        assert_eq!(text, "//////////////////////////////////////////8=");
        for bad in [
            text.replace('=', ""),
            text.replace("8=", "9="), // non-zero bits behind the last byte
            text.replace('/', "_"),
            format!("{text}\n"),
            format!(" {text}"),
            "AAAA".to_owned(),
            String::new(),
        ] {
            assert_eq!(bad.parse::<Hash>(), Err(HashError::BadText), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn text_round_trips(bytes: [u8; 32]) {
            let hash = Hash(bytes);
            prop_assert_eq!(hash.to_string().parse::<Hash>(), Ok(hash));
            let json = serde_json::to_string(&LeafHash(hash)).unwrap();
            prop_assert_eq!(serde_json::from_str::<LeafHash>(&json).unwrap(), LeafHash(hash));
        }
    }
}
