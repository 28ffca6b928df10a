//! Public keys, key ids and signature schemes.

use std::{fmt, str::FromStr};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Why bytes or a text are not a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not `secp256k1:<66 hex>` or `ed25519:<64 hex>`.
    #[error("a public key is written `secp256k1:` and 66, or `ed25519:` and 64 lower-case hex characters")]
    BadPublicKey,
    /// Not `sha256:<64 hex>`.
    #[error("a key id is written `sha256:` and 64 lower-case hex characters")]
    BadKeyId,
}

/// The curve of a key. One algorithm and one purpose per key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// SEC 2 secp256k1.
    Secp256k1,
    /// RFC 8032 Ed25519.
    Ed25519,
}

impl Algorithm {
    /// The name in texts and in key ids.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Secp256k1 => "secp256k1",
            Self::Ed25519 => "ed25519",
        }
    }
}

/// How a payload is signed. A key backend says which of these it can do for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// ECDSA over a 32-byte digest, low-S, with recovery id.
    Ecdsa,
    /// BIP 340 Schnorr over a 32-byte digest.
    Schnorr,
    /// Pure Ed25519 over the whole message.
    Ed25519,
}

/// A public key of a wallet, in its compressed form. That the bytes are a point on the curve is checked where the
/// curve is known: by the chain family when a bundle loads and by the backend when a key is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum PublicKey {
    /// SEC 1 compressed, 33 bytes.
    Secp256k1([u8; 33]),
    /// RFC 8032 encoding, 32 bytes.
    Ed25519([u8; 32]),
}

impl PublicKey {
    /// The curve.
    pub fn algorithm(&self) -> Algorithm {
        match self {
            Self::Secp256k1(_) => Algorithm::Secp256k1,
            Self::Ed25519(_) => Algorithm::Ed25519,
        }
    }

    /// The encoded key.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Secp256k1(bytes) => bytes,
            Self::Ed25519(bytes) => bytes,
        }
    }

    /// The identity of the key everywhere: journal, token (its first 20 bytes are CKA_ID), log.
    pub fn id(&self) -> KeyId {
        let hash = Sha256::new()
            .chain_update("countersign/key/v1\n")
            .chain_update(self.algorithm().as_str())
            .chain_update("\n")
            .chain_update(self.as_bytes())
            .finalize();
        KeyId(hash.into())
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm().as_str(), HEXLOWER.encode(self.as_bytes()))
    }
}
impl FromStr for PublicKey {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        let (algorithm, hex) = text.split_once(':').ok_or(KeyError::BadPublicKey)?;
        let bytes = HEXLOWER.decode(hex.as_bytes()).map_err(|_| KeyError::BadPublicKey)?;
        match algorithm {
            "secp256k1" => bytes
                .try_into()
                .map(Self::Secp256k1)
                .map_err(|_| KeyError::BadPublicKey),
            "ed25519" => bytes.try_into().map(Self::Ed25519).map_err(|_| KeyError::BadPublicKey),
            _ => Err(KeyError::BadPublicKey),
        }
    }
}
impl TryFrom<String> for PublicKey {
    type Error = KeyError;
    fn try_from(text: String) -> Result<Self, KeyError> {
        text.parse()
    }
}
impl From<PublicKey> for String {
    fn from(key: PublicKey) -> String {
        key.to_string()
    }
}

/// SHA-256 over `"countersign/key/v1\n"`, the algorithm's name, a newline and the encoded public key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyId([u8; 32]);

impl KeyId {
    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The PKCS#11 CKA_ID: the first 20 bytes.
    pub fn cka_id(&self) -> [u8; 20] {
        let mut id = [0; 20];
        for (to, from) in id.iter_mut().zip(self.0) {
            *to = from;
        }
        id
    }
}
impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", HEXLOWER.encode(&self.0))
    }
}
impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}
impl FromStr for KeyId {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        let hex = text.strip_prefix("sha256:").ok_or(KeyError::BadKeyId)?;
        let bytes = HEXLOWER.decode(hex.as_bytes()).map_err(|_| KeyError::BadKeyId)?;
        Ok(Self(bytes.try_into().map_err(|_| KeyError::BadKeyId)?))
    }
}
impl TryFrom<String> for KeyId {
    type Error = KeyError;
    fn try_from(text: String) -> Result<Self, KeyError> {
        text.parse()
    }
}
impl From<KeyId> for String {
    fn from(id: KeyId) -> String {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GENERATOR: &str = "secp256k1:0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";

    #[test]
    fn text_round_trips_and_is_strict() {
        let key: PublicKey = GENERATOR.parse().unwrap();
        assert_eq!(key.to_string(), GENERATOR);
        assert!(GENERATOR.to_uppercase().parse::<PublicKey>().is_err());
        assert!(GENERATOR.replace("secp256k1", "ed25519").parse::<PublicKey>().is_err());
        assert_eq!(key.id().to_string().parse::<KeyId>().unwrap(), key.id());
    }

    /// Golden: CKA_ID of stored tokens depends on it; also in `docs/formats.md`.
    #[test]
    fn golden_key_id() {
        let key: PublicKey = GENERATOR.parse().unwrap();
        let formats = include_str!("../../../docs/formats.md");
        let row = format!("| `key` | `{GENERATOR}` | `{}` |", key.id());
        assert!(formats.contains(&row), "docs/formats.md lacks the row {row}");
        assert_eq!(key.id().cka_id(), key.id().as_bytes()[..20]);
    }

    #[test]
    fn algorithm_is_part_of_the_id() {
        assert_ne!(PublicKey::Ed25519([1; 32]).id(), PublicKey::Secp256k1([1; 33]).id());
    }
}
