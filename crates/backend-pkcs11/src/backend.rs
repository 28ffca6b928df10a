//! The backend itself.

use std::{collections::HashMap, fmt, time::Duration};

use countersign_signer::{BackendError, KeyBackend, SigningJob};
use countersign_types::{Algorithm, KeyId, PublicKey, RawSignature, Scheme, SigningBytes};
use cryptoki::{
    mechanism::{
        Mechanism,
        eddsa::{EddsaParams, EddsaSignatureScheme},
    },
    object::ObjectHandle,
    session::Session,
};
use futures_core::future::BoxFuture;

use crate::{
    Token, TokenError, keys,
    pool::{Bounds, Dial, Line, Pool},
    token::Access,
};

/// The most sessions, each with its thread: more than any token signs in parallel.
pub const MAX_SESSIONS: usize = 64;
/// The longest queue: over a minute of work for a slow token.
pub const MAX_QUEUE: usize = 65_536;
/// The most keys; every new session looks at each of them.
pub const MAX_KEYS: usize = 10_000;
/// Two sessions keep one token busy on a small machine.
pub const DEFAULT_SESSIONS: usize = 2;
/// About a quarter of a second of work for a software token.
pub const DEFAULT_QUEUE: usize = 1_024;
/// Far over what a healthy token needs for a full queue.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// What to open.
#[derive(Debug, Clone)]
pub struct Pkcs11Config {
    /// The token.
    pub token: Token,
    /// How many sessions sign in parallel, 1 to [`MAX_SESSIONS`].
    pub sessions: usize,
    /// How many jobs wait at most, 1 to [`MAX_QUEUE`]; more are refused as busy.
    pub queue: usize,
    /// How long to wait for a session to open, and for an answer to each job.
    pub timeout: Duration,
    /// The keys to hold, at most [`MAX_KEYS`].
    pub keys: Vec<PublicKey>,
}

impl Pkcs11Config {
    /// The defaults for a token and its keys.
    pub fn new(token: Token, keys: Vec<PublicKey>) -> Self {
        Self {
            token,
            sessions: DEFAULT_SESSIONS,
            queue: DEFAULT_QUEUE,
            timeout: DEFAULT_TIMEOUT,
            keys,
        }
    }

    fn check(&self) -> Result<(), TokenError> {
        let bounds = [
            ("the number of sessions", MAX_SESSIONS, self.sessions),
            ("the length of the queue", MAX_QUEUE, self.queue),
            ("the number of keys", MAX_KEYS, self.keys.len()),
        ];
        match bounds.into_iter().find(|(_, max, found)| !(1..=*max).contains(found)) {
            None => Ok(()),
            Some((what, max, found)) => Err(TokenError::OutOfBounds { what, max, found }),
        }
    }
}

/// Keys in a PKCS#11 token.
///
/// Dropping it waits up to two seconds for running calls into the token.
pub struct Pkcs11Backend {
    keys: HashMap<KeyId, PublicKey>,
    pool: Pool,
}

impl Pkcs11Backend {
    /// Opens the sessions and finds every key, or fails. Blocks: call it at start-up, outside of async tasks.
    pub fn open(config: Pkcs11Config) -> Result<Self, TokenError> {
        config.check()?;
        let bounds = Bounds {
            sessions: config.sessions,
            queue: config.queue,
            timeout: config.timeout,
        };
        let keys = config.keys.iter().map(|key| (key.id(), *key)).collect();
        let dial = TokenDial {
            token: config.token,
            keys: config.keys,
        };
        let pool = Pool::start(dial, bounds)?;
        Ok(Self { keys, pool })
    }
}

impl fmt::Debug for Pkcs11Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pkcs11Backend")
            .field("keys", &self.keys.values())
            .finish_non_exhaustive()
    }
}

impl KeyBackend for Pkcs11Backend {
    fn public_key(&self, key: &KeyId) -> Option<PublicKey> {
        self.keys.get(key).copied()
    }

    fn schemes(&self, key: &KeyId) -> &[Scheme] {
        match self.keys.get(key).map(PublicKey::algorithm) {
            None => &[],
            Some(Algorithm::Secp256k1) => &[Scheme::Ecdsa],
            Some(Algorithm::Ed25519) => &[Scheme::Ed25519],
        }
    }

    fn is_development(&self) -> bool {
        false
    }

    /// Must be polled in a tokio runtime with its timer on. `Unavailable` after the configured timeout: the token may
    /// have signed all the same, so that the authorization counts as used.
    fn sign(&self, job: SigningJob) -> BoxFuture<'_, Result<RawSignature, BackendError>> {
        Box::pin(async move {
            let (key, scheme) = (job.key(), job.bytes().scheme());
            if !self.keys.contains_key(&key) {
                return Err(BackendError::KeyMissing(key));
            }
            if !self.schemes(&key).contains(&scheme) {
                return Err(BackendError::SchemeUnsupported { key, scheme });
            }
            self.pool.sign(key, job.bytes().clone()).await
        })
    }
}

struct TokenDial {
    token: Token,
    keys: Vec<PublicKey>,
}

impl Dial for TokenDial {
    type Line = TokenLine;

    fn dial(&self) -> Result<TokenLine, TokenError> {
        let (module, slot, session) = self.token.log_in(Access::ReadOnly)?;
        let offered = module.get_mechanism_list(slot)?;
        for key in &self.keys {
            if !offered.contains(&keys::signing_mechanism(key.algorithm())) {
                return Err(TokenError::MechanismMissing(key.algorithm()));
            }
        }
        let handles = keys::find(&session, &self.keys)?;
        Ok(TokenLine { session, handles })
    }
}

/// One session and the handles that are valid in it.
struct TokenLine {
    session: Session,
    handles: HashMap<KeyId, ObjectHandle>,
}

impl Line for TokenLine {
    fn sign(&mut self, key: &KeyId, bytes: &SigningBytes) -> Result<RawSignature, TokenError> {
        let handle = *self.handles.get(key).ok_or(TokenError::KeyMissing(*key))?;
        let sign = |mechanism, data: &[u8]| -> Result<[u8; 64], TokenError> {
            let signature = self.session.sign(&mechanism, handle, data)?;
            <[u8; 64]>::try_from(signature).map_err(|bytes| TokenError::SignatureMalformed(bytes.len()))
        };
        match bytes {
            // The type says 32 bytes: tokens sign 31 and 33 in silence.
            SigningBytes::EcdsaPrehash(digest) => sign(Mechanism::Ecdsa, digest).map(RawSignature::Ecdsa),
            SigningBytes::Ed25519Message(message) => {
                let pure = EddsaParams::new(EddsaSignatureScheme::Ed25519);
                sign(Mechanism::Eddsa(pure), message).map(RawSignature::Ed25519)
            }
            SigningBytes::SchnorrPrehash(_) => Err(TokenError::MechanismMissing(Algorithm::Secp256k1)),
        }
    }
}
