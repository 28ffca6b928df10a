//! Millions of public keys of one wallet, in the memory that they need and not much more.

use std::{fmt, sync::Arc};

use crate::{KeyId, PublicKey};

/// The most keys of one table: 66 MB of file, which loads in seconds.
pub const MAX_TABLE_KEYS: usize = 2_000_000;
/// A compressed secp256k1 key (SEC 1).
pub const TABLE_RECORD_BYTES: usize = 33;

/// Why bytes are not a key table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyTableError {
    /// No key, or a piece of one.
    #[error("a key table is one or more compressed public keys of {TABLE_RECORD_BYTES} bytes; this one has {0} bytes")]
    BadLength(usize),
    /// More than [`MAX_TABLE_KEYS`].
    #[error("{0} keys; at most {MAX_TABLE_KEYS} are accepted in one table")]
    TooManyKeys(usize),
    /// Not a compressed key.
    #[error("key {0} does not start with 02 or 03")]
    BadPrefix(usize),
    /// Not above its predecessor.
    #[error("key {0} is not above the one before it: keys ascend, and each is there once")]
    Unordered(usize),
    /// Two keys with one x coordinate: whoever holds one secret holds the other.
    #[error("key {0} is the negation of another key of the table")]
    Negated(usize),
}

/// Public keys of a wallet in a file of their own: ascending, each once. That they are points on the curve is checked by
/// the chain family, as for all keys.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyTable {
    path: Arc<str>,
    keys: Arc<[[u8; TABLE_RECORD_BYTES]]>,
    /// The first four bytes of each key's id and its index, ascending: a key is found by its id without 32 bytes for each.
    by_id: Arc<[(u32, u32)]>,
}

impl KeyTable {
    /// Reads the file at `path` of the bundle.
    pub fn parse(path: &str, bytes: &[u8]) -> Result<Self, KeyTableError> {
        let (keys, rest) = bytes.as_chunks::<TABLE_RECORD_BYTES>();
        if keys.is_empty() || !rest.is_empty() {
            return Err(KeyTableError::BadLength(bytes.len()));
        }
        if keys.len() > MAX_TABLE_KEYS {
            return Err(KeyTableError::TooManyKeys(keys.len()));
        }
        certify(keys)?;
        let mut by_id: Vec<(u32, u32)> = (0..).zip(keys).map(|(index, key)| (head(&id(key)), index)).collect();
        by_id.sort_unstable();
        Ok(Self {
            path: path.into(),
            keys: keys.into(),
            by_id: by_id.into(),
        })
    }

    /// Where it stands in the bundle.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The encoded keys, ascending.
    pub fn keys(&self) -> &[[u8; TABLE_RECORD_BYTES]] {
        &self.keys
    }

    /// Whether the key is there.
    pub fn contains(&self, key: &PublicKey) -> bool {
        match key {
            PublicKey::Secp256k1(key) => self.keys.binary_search(key).is_ok(),
            PublicKey::Ed25519(_) => false,
        }
    }

    /// The key with an id.
    pub fn key(&self, wanted: &KeyId) -> Option<PublicKey> {
        let head = head(wanted);
        let first = self.by_id.partition_point(|(found, _)| *found < head);
        let same = self.by_id.get(first..)?.iter().take_while(|(found, _)| *found == head);
        let mut keys = same.filter_map(|(_, index)| self.keys.get(usize::try_from(*index).ok()?));
        let key = keys.find(|key| id(key) == *wanted)?;
        Some(PublicKey::Secp256k1(*key))
    }

    /// The key with an x coordinate: there is one at most.
    pub fn key_of_x(&self, x: &[u8; 32]) -> Option<PublicKey> {
        let found = [2, 3].into_iter().find_map(|prefix| {
            let mut key = [prefix; TABLE_RECORD_BYTES];
            let (_, rest) = key.split_first_mut()?;
            rest.copy_from_slice(x);
            self.keys.binary_search(&key).is_ok().then_some(key)
        });
        found.map(PublicKey::Secp256k1)
    }
}

impl fmt::Debug for KeyTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyTable({}, {} keys)", self.path, self.keys.len())
    }
}

fn id(key: &[u8; TABLE_RECORD_BYTES]) -> KeyId {
    PublicKey::Secp256k1(*key).id()
}

fn head(id: &KeyId) -> u32 {
    let [a, b, c, d, ..] = *id.as_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// Prefixes, order, and no x coordinate twice. Ascending keys are two runs, of prefix 02 and 03, each ascending in x.
fn certify(keys: &[[u8; TABLE_RECORD_BYTES]]) -> Result<(), KeyTableError> {
    let bad = keys.iter().position(|[prefix, ..]| !matches!(prefix, 2 | 3));
    if let Some(index) = bad {
        return Err(KeyTableError::BadPrefix(index));
    }
    let unordered = keys.array_windows().position(|[first, second]| first >= second);
    if let Some(before) = unordered {
        return Err(KeyTableError::Unordered(before.saturating_add(1)));
    }
    let odd_at = keys.partition_point(|[prefix, ..]| *prefix == 2);
    let (even, odd) = keys.split_at(odd_at);
    let mut even = even.iter().map(|[_, x @ ..]| x).peekable();
    for (index, [_, x @ ..]) in (odd_at..).zip(odd) {
        while even.next_if(|other| *other < x).is_some() {}
        if even.peek() == Some(&x) {
            return Err(KeyTableError::Negated(index));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(prefix: u8, x: u8) -> [u8; TABLE_RECORD_BYTES] {
        let mut key = [x; TABLE_RECORD_BYTES];
        key[0] = prefix;
        key
    }

    fn parse(keys: &[[u8; TABLE_RECORD_BYTES]]) -> Result<KeyTable, KeyTableError> {
        KeyTable::parse("keys/hot.keys", keys.as_flattened())
    }

    #[test]
    fn one_change_of_a_table_and_its_error() {
        let valid = [record(2, 1), record(2, 5), record(3, 2), record(3, 7)];
        assert_eq!(parse(&valid).unwrap().keys(), valid);
        let bytes = valid.as_flattened();
        let cases: [(&str, Vec<u8>, KeyTableError); 8] = [
            ("nothing", vec![], KeyTableError::BadLength(0)),
            ("a byte less", bytes[1..].to_vec(), KeyTableError::BadLength(131)),
            ("a byte more", [bytes, &[0]].concat(), KeyTableError::BadLength(133)),
            (
                "another prefix",
                [bytes, &record(4, 8)].concat(),
                KeyTableError::BadPrefix(4),
            ),
            (
                "a key twice",
                [bytes, &record(3, 7)].concat(),
                KeyTableError::Unordered(4),
            ),
            (
                "out of order",
                [&record(2, 6), bytes].concat(),
                KeyTableError::Unordered(1),
            ),
            (
                "a negated key",
                [record(2, 1), record(2, 5), record(3, 2), record(3, 5)].concat(),
                KeyTableError::Negated(3),
            ),
            (
                "too many",
                vec![2; (MAX_TABLE_KEYS + 1) * TABLE_RECORD_BYTES],
                KeyTableError::TooManyKeys(MAX_TABLE_KEYS + 1),
            ),
        ];
        for (name, bytes, error) in cases {
            assert_eq!(KeyTable::parse("keys/hot.keys", &bytes), Err(error), "{name}");
        }
    }

    proptest! {
        /// Every key is found by its id and its x coordinate, and no other key is.
        #[test]
        fn keys_are_found(xs in prop::collection::btree_map(any::<[u8; 32]>(), any::<bool>(), 1..40), other: [u8; 32]) {
            let key = |x: &[u8; 32], is_odd: bool| {
                let mut key = [2 + u8::from(is_odd); TABLE_RECORD_BYTES];
                key[1..].copy_from_slice(x);
                key
            };
            let mut keys: Vec<_> = xs.iter().map(|(x, is_odd)| key(x, *is_odd)).collect();
            keys.sort();
            let table = parse(&keys).unwrap();
            for (x, is_odd) in &xs {
                let (own, negated) = (PublicKey::Secp256k1(key(x, *is_odd)), PublicKey::Secp256k1(key(x, !is_odd)));
                prop_assert_eq!(table.key(&own.id()), Some(own));
                prop_assert_eq!(table.key_of_x(x), Some(own));
                prop_assert!(table.contains(&own) && !table.contains(&negated));
                prop_assert_eq!(table.key(&negated.id()), None);
            }
            prop_assert_eq!(table.key_of_x(&other).is_some(), xs.contains_key(&other));
            prop_assert!(!table.contains(&PublicKey::Ed25519(other)));
        }
    }
}
