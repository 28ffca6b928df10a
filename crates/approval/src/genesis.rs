//! The genesis: the root of trust that signer, command line and auditors pin out of band.

use std::collections::BTreeMap;

use countersign_types::{GenesisHash, PrincipalId, StatementNonce, Tag};
use serde::{Deserialize, Serialize};

use crate::{
    Fingerprint, KeyDirectory, KeyRecord, PersonRecord, Quorum, QuorumRecord, Roster, RosterError, RosterFile,
    error::shown, key::ed25519_fingerprint,
};

/// The one format.
const FORMAT: &str = "countersign.genesis/1";
/// Larger than 64 admins with eight keys each ever need.
const MAX_GENESIS_BYTES: usize = 256 * 1024;

/// Whether real money may depend on a deployment. There is no way from one to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// Refuses development key backends and unlimited wallets.
    Production,
    /// For development and tests.
    Development,
}

/// The genesis file as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisFile {
    /// Always `countersign.genesis/1`.
    pub format: String,
    /// 16 random bytes: two deployments never share a hash.
    pub id: StatementNonce,
    /// Production or development.
    pub environment: Environment,
    /// The first admins.
    pub people: Vec<PersonRecord>,
    /// How many of them activate version 1.
    pub admins: QuorumRecord,
    /// The log's origin line (C2SP tlog-checkpoint).
    pub log_origin: String,
    /// The log's Ed25519 public key, `ed25519:<hex>`.
    pub log_key: String,
}

/// Why bytes are no genesis.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GenesisError {
    /// Not the JSON of a genesis file.
    #[error("the genesis file is malformed: {0}")]
    Malformed(String),
    /// The admins are no quorum.
    #[error("the genesis file's admins: {0}")]
    Admins(RosterError),
}

/// A checked genesis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Genesis {
    hash: GenesisHash,
    file: GenesisFile,
    log_key: [u8; 32],
    roster: Roster,
}

impl GenesisFile {
    /// The format that every genesis file names.
    pub fn format() -> String {
        FORMAT.to_owned()
    }

    /// The bytes of the file.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Every field has a JSON text by its type; empty bytes would be refused by `Genesis::parse`.
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }
}

impl Genesis {
    /// Reads and checks a genesis file. Its hash is over these very bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, GenesisError> {
        let malformed = |reason: &str| GenesisError::Malformed(reason.to_owned());
        if bytes.len() > MAX_GENESIS_BYTES {
            return Err(malformed("it is too large"));
        }
        let file: GenesisFile = serde_json::from_slice(bytes).map_err(|error| malformed(&shown(error)))?;
        if file.format != FORMAT {
            return Err(malformed("`format` is not `countersign.genesis/1`"));
        }
        let is_origin = (1..=255).contains(&file.log_origin.len())
            && file.log_origin.bytes().all(|b| b.is_ascii_graphic() && b != b'+');
        // Acknowledgements are notes of the same key whose first line starts like this: no log may be named so.
        let is_reserved = file.log_origin.starts_with("countersign/");
        if !is_origin || is_reserved {
            return Err(malformed(
                "`log_origin` is 1 to 255 printable ASCII characters without spaces and `+`, not starting with `countersign/`",
            ));
        }
        let Ok(KeyRecord::Ed25519(log_key)) = KeyRecord::parse(&file.log_key) else {
            return Err(malformed("`log_key` is `ed25519:` and 64 lower-case hex characters"));
        };
        let roster = Roster::new(admins_only(&file)).map_err(|errors| {
            let first = errors.into_iter().next();
            GenesisError::Admins(first.unwrap_or(RosterError {
                path: "admins".to_owned(),
                problem: "unknown".to_owned(),
                tag: Tag::BundleMalformed,
            }))
        })?;
        if roster.key(&ed25519_fingerprint(&log_key)).is_some() {
            return Err(malformed("`log_key` is a person's key: one key has one purpose"));
        }
        Ok(Self {
            hash: GenesisHash::of(bytes),
            file,
            log_key,
            roster,
        })
    }

    /// The identity of the deployment.
    pub fn hash(&self) -> GenesisHash {
        self.hash
    }
    /// Production or development.
    pub fn environment(&self) -> Environment {
        self.file.environment
    }
    /// Who activates version 1.
    pub fn admins(&self) -> &Quorum {
        self.roster.admins()
    }
    /// The log's origin line.
    pub fn log_origin(&self) -> &str {
        &self.file.log_origin
    }
    /// The log's Ed25519 public key.
    pub fn log_key(&self) -> &[u8; 32] {
        &self.log_key
    }
    /// The admins' names and the number of keys of each, for people to compare out of band.
    pub fn admin_keys(&self) -> BTreeMap<&PrincipalId, &[String]> {
        self.file
            .people
            .iter()
            .map(|person| (&person.id, person.keys.as_slice()))
            .collect()
    }
    /// The fingerprints of the admins' keys.
    pub fn fingerprints(&self) -> impl Iterator<Item = (&Fingerprint, &PrincipalId)> {
        self.roster.fingerprints()
    }
}

impl KeyDirectory for Genesis {
    fn key(&self, fingerprint: &Fingerprint) -> Option<(&PrincipalId, &KeyRecord)> {
        self.roster.key(fingerprint)
    }
}

/// A roster of nobody but the first admins.
fn admins_only(file: &GenesisFile) -> RosterFile {
    RosterFile {
        people: file.people.clone(),
        services: Vec::new(),
        groups: Vec::new(),
        initiators: Vec::new(),
        admins: file.admins.clone().into(),
        officers: Vec::new(),
        observers: Vec::new(),
        thaw_delay: None,
        price_sources: Vec::new(),
    }
}
