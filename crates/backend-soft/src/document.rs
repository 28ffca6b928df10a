//! The file: JSON with everything but the passphrase.

use countersign_types::PublicKey;
use serde::{Deserialize, Serialize};

use crate::{
    Cost, KeystoreError, Passphrase,
    key::PrivateKey,
    seal::{Sealed, Sealer},
};

const FORMAT: &str = "countersign/insecure-dev-keystore/v1";
const KDF: &str = "argon2id-0x13";
/// Far more than a development environment has wallets.
pub(crate) const MAX_KEYS: usize = 1_024;

/// What the sealed parts are bound to, so that none can take the place of another.
const CHECK: &[u8] = b"countersign/insecure-dev-check/v1\n";
const INVENTORY: &str = "countersign/insecure-dev-inventory/v1\n";
const KEY: &str = "countersign/insecure-dev-key/v1\n";

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Document {
    format: String,
    kdf: Kdf,
    /// Nothing, sealed: opens under the right passphrase.
    check: Sealed,
    /// Nothing, sealed and bound to the list of keys: records cannot be taken out or put back.
    inventory: Sealed,
    keys: Vec<Record>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kdf {
    algorithm: String,
    salt: String,
    cost: Cost,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    public_key: PublicKey,
    private_key: Sealed,
}

impl Document {
    /// A document without keys, and what seals it.
    pub(crate) fn create(passphrase: &Passphrase, cost: Cost) -> Result<(Self, Sealer), KeystoreError> {
        if passphrase.as_bytes().is_empty() {
            return Err(KeystoreError::EmptyPassphrase);
        }
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).map_err(KeystoreError::NoRandomness)?;
        let sealer = cost.derive(passphrase, &salt)?;
        let document = Self {
            format: FORMAT.to_owned(),
            kdf: Kdf {
                algorithm: KDF.to_owned(),
                salt: hex::encode(salt),
                cost,
            },
            check: sealer.seal(&[], CHECK)?,
            inventory: sealer.seal(&[], &inventory(&[]))?,
            keys: Vec::new(),
        };
        Ok((document, sealer))
    }

    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, KeystoreError> {
        let document: Self =
            serde_json::from_slice(bytes).map_err(|error| KeystoreError::Malformed(error.to_string()))?;
        let malformed = |what: &str| Err(KeystoreError::Malformed(what.to_owned()));
        if document.format != FORMAT {
            return malformed("another format or version");
        }
        if document.kdf.algorithm != KDF {
            return malformed("another key derivation");
        }
        if document.keys.len() > MAX_KEYS {
            return Err(KeystoreError::TooManyKeys(MAX_KEYS));
        }
        Ok(document)
    }

    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, KeystoreError> {
        serde_json::to_vec_pretty(self).map_err(|error| KeystoreError::Malformed(error.to_string()))
    }

    /// Opens every key, or fails.
    pub(crate) fn unseal(
        &self,
        passphrase: &Passphrase,
    ) -> Result<(Vec<(PublicKey, PrivateKey)>, Sealer), KeystoreError> {
        let mut salt = [0; 16];
        hex::decode_to_slice(&self.kdf.salt, &mut salt)
            .map_err(|_| KeystoreError::Malformed("the salt is not 16 bytes of hex".into()))?;
        let sealer = self.kdf.cost.derive(passphrase, &salt)?;
        sealer.open(&self.check, CHECK).ok_or(KeystoreError::WrongPassphrase)?;
        sealer
            .open(&self.inventory, &inventory(&self.keys))
            .ok_or(KeystoreError::InventoryChanged)?;
        let mut keys: Vec<(PublicKey, PrivateKey)> = Vec::with_capacity(self.keys.len());
        for record in &self.keys {
            if keys.iter().any(|(known, _)| *known == record.public_key) {
                return Err(KeystoreError::Duplicate(record.public_key));
            }
            let key = record.unseal(&sealer);
            keys.push((
                record.public_key,
                key.ok_or(KeystoreError::Tampered(record.public_key))?,
            ));
        }
        Ok((keys, sealer))
    }

    /// The document with one more key.
    pub(crate) fn with(&self, key: &PrivateKey, public_key: PublicKey, sealer: &Sealer) -> Result<Self, KeystoreError> {
        if self.keys.len() >= MAX_KEYS {
            return Err(KeystoreError::TooManyKeys(MAX_KEYS));
        }
        let mut document = self.clone();
        document.keys.push(Record {
            public_key,
            private_key: sealer.seal(key.secret().as_slice(), &bound_to(&public_key))?,
        });
        document.inventory = sealer.seal(&[], &inventory(&document.keys))?;
        Ok(document)
    }
}

impl Record {
    fn unseal(&self, sealer: &Sealer) -> Option<PrivateKey> {
        let secret = sealer.open(&self.private_key, &bound_to(&self.public_key))?;
        let secret: &[u8; 32] = secret.as_slice().try_into().ok()?;
        let key = PrivateKey::from_secret(self.public_key.algorithm(), secret)?;
        (key.public_key() == Some(self.public_key)).then_some(key)
    }
}

/// The text of a public key starts with its algorithm.
fn bound_to(public_key: &PublicKey) -> Vec<u8> {
    format!("{KEY}{public_key}").into_bytes()
}

fn inventory(keys: &[Record]) -> Vec<u8> {
    let lines = keys.iter().map(|record| format!("{}\n", record.public_key));
    format!("{INVENTORY}{}", lines.collect::<String>()).into_bytes()
}

#[cfg(test)]
mod tests;
