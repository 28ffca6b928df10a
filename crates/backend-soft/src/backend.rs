//! The backend itself.

use std::{
    collections::HashMap,
    fmt,
    path::{Path, PathBuf},
};

use countersign_signer::{BackendError, KeyBackend, SigningJob};
use countersign_types::{Algorithm, KeyId, PublicKey, RawSignature, Scheme};
use futures_core::future::BoxFuture;

use crate::{
    Cost, KeystoreError, Passphrase,
    disk::{self, Lock},
    document::Document,
    key::PrivateKey,
    seal::Sealer,
};

/// The target of every log line of this crate.
const INSECURE_DEV: &str = "insecure-dev";

/// Keys in a file and in this process's memory. For development only.
pub struct SoftBackend {
    path: PathBuf,
    document: Document,
    sealer: Sealer,
    keys: HashMap<KeyId, Held>,
}

struct Held {
    public: PublicKey,
    private: PrivateKey,
}

impl SoftBackend {
    /// Makes a keystore without keys, in a file of mode 0600 that must not exist yet. Blocks while deriving.
    pub fn create(path: impl Into<PathBuf>, passphrase: &Passphrase, cost: Cost) -> Result<Self, KeystoreError> {
        let path = path.into();
        let (document, sealer) = Document::create(passphrase, cost)?;
        let _lock = Lock::acquire(&path)?;
        disk::create(&path, &document.to_bytes()?)?;
        tracing::warn!(target: INSECURE_DEV, path = %path.display(), "created a software keystore, for development only");
        Ok(Self {
            path,
            document,
            sealer,
            keys: HashMap::new(),
        })
    }

    /// Opens every key of a keystore, or fails. Blocks while deriving.
    pub fn open(path: impl Into<PathBuf>, passphrase: &Passphrase) -> Result<Self, KeystoreError> {
        let path = path.into();
        let document = Document::parse(&disk::read(&path)?)?;
        let (keys, sealer) = document.unseal(passphrase)?;
        tracing::warn!(
            target: INSECURE_DEV,
            path = %path.display(),
            keys = keys.len(),
            "keys are in software and in this process's memory, for development only"
        );
        let held = |(public, private): (PublicKey, PrivateKey)| (public.id(), Held { public, private });
        Ok(Self {
            path,
            document,
            sealer,
            keys: keys.into_iter().map(held).collect(),
        })
    }

    /// Generates a key. It is in the file, durably, before it is returned. Blocks.
    pub fn generate(&mut self, algorithm: Algorithm) -> Result<PublicKey, KeystoreError> {
        let private = PrivateKey::generate(algorithm)?;
        let public = private
            .public_key()
            .ok_or_else(|| KeystoreError::Malformed("a generated key has no public key".into()))?;
        let document = self.document.with(&private, public, &self.sealer)?;
        let _lock = Lock::acquire(&self.path)?;
        if disk::read(&self.path)? != self.document.to_bytes()? {
            return Err(KeystoreError::ChangedOnDisk);
        }
        disk::replace(&self.path, &document.to_bytes()?)?;
        tracing::warn!(target: INSECURE_DEV, key = %public.id(), "generated a software key, for development only");
        self.document = document;
        self.keys.insert(public.id(), Held { public, private });
        Ok(public)
    }

    /// The keys that it holds, in the order of their bytes.
    pub fn public_keys(&self) -> Vec<PublicKey> {
        let mut keys: Vec<PublicKey> = self.keys.values().map(|held| held.public).collect();
        keys.sort_unstable();
        keys
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn sign_now(&self, job: &SigningJob) -> Result<RawSignature, BackendError> {
        let (key, scheme) = (job.key(), job.bytes().scheme());
        let held = self.keys.get(&key).ok_or(BackendError::KeyMissing(key))?;
        let signature = held.private.sign(job.bytes());
        tracing::debug!(target: INSECURE_DEV, %key, ?scheme, signed = signature.is_some(), "used a software key");
        signature.ok_or(BackendError::SchemeUnsupported { key, scheme })
    }
}

impl fmt::Debug for SoftBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SoftBackend")
            .field("path", &self.path)
            .field("keys", &self.public_keys())
            .finish_non_exhaustive()
    }
}

impl KeyBackend for SoftBackend {
    fn public_key(&self, key: &KeyId) -> Option<PublicKey> {
        self.keys.get(key).map(|held| held.public)
    }

    fn schemes(&self, key: &KeyId) -> &[Scheme] {
        self.keys.get(key).map_or(&[], |held| held.private.schemes())
    }

    fn is_development(&self) -> bool {
        true
    }

    /// Signs at once: some tens of microseconds are less than another thread costs.
    fn sign(&self, job: SigningJob) -> BoxFuture<'_, Result<RawSignature, BackendError>> {
        Box::pin(async move { self.sign_now(&job) })
    }
}
