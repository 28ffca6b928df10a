//! Key backends: where private keys live. They see typed payloads of an authorization and nothing else.

use futures_core::future::BoxFuture;

use countersign_types::{KeyId, PublicKey, RawSignature, Scheme, SigningBytes, Tag};

/// One signature to make. Comes only out of an [`crate::Authorization`]: there is no public "sign this digest".
#[derive(Debug, PartialEq, Eq)]
pub struct SigningJob {
    key: KeyId,
    bytes: SigningBytes,
}

impl SigningJob {
    pub(crate) fn new(key: KeyId, bytes: SigningBytes) -> Self {
        Self { key, bytes }
    }

    /// The wallet key to use.
    pub fn key(&self) -> KeyId {
        self.key
    }

    /// What to sign.
    pub fn bytes(&self) -> &SigningBytes {
        &self.bytes
    }
}

/// Why a backend did not sign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BackendError {
    /// The backend does not hold the key.
    #[error("the key backend does not hold key `{0}`")]
    KeyMissing(KeyId),
    /// The backend cannot sign with this scheme.
    #[error("the key backend cannot make {scheme:?} signatures with key `{key}`")]
    SchemeUnsupported {
        /// The key.
        key: KeyId,
        /// The scheme asked for.
        scheme: Scheme,
    },
    /// The bounded queue in front of the token is full.
    #[error("the key backend's queue is full")]
    Busy,
    /// The token did not answer, or answered with an error. The message holds no secret.
    #[error("the key backend failed: {0}")]
    Unavailable(String),
}

impl BackendError {
    /// The stable tag.
    pub fn tag(&self) -> Tag {
        match self {
            Self::KeyMissing(_) => Tag::BackendKeyMissing,
            Self::SchemeUnsupported { .. } => Tag::BackendSchemeUnsupported,
            Self::Busy | Self::Unavailable(_) => Tag::BackendUnavailable,
        }
    }
}

/// A store of private keys that signs authorized payloads.
///
/// A backend returns what its token returned: the signing core makes ECDSA low-S, computes the recovery id and verifies
/// every signature before anything is released.
pub trait KeyBackend: Send + Sync {
    /// The public key of a key that the backend holds.
    fn public_key(&self, key: &KeyId) -> Option<PublicKey>;

    /// Which schemes the backend can sign with, for a key that it holds; empty for a key that it does not hold.
    fn schemes(&self, key: &KeyId) -> &[Scheme];

    /// Whether the backend is for development only: such a backend is refused under a production genesis.
    fn is_development(&self) -> bool;

    /// Signs one payload. Never blocks the calling task on the token.
    fn sign(&self, job: SigningJob) -> BoxFuture<'_, Result<RawSignature, BackendError>>;
}
