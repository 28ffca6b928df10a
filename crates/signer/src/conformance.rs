//! The conformance kit: what every key backend must pass. For tests only (feature `conformance`, in dev-dependencies).
//!
//! The kit chooses every payload itself, so it is not a way to have bytes of one's own signed. It returns the first
//! [`Violation`] instead of panicking, and its own tests hold it against backends with one fault each.

use countersign_types::{Algorithm, KeyId, PublicKey, RawSignature, Scheme, SigningBytes};
use futures_util::future::{join_all, try_join_all};

use crate::backend::{BackendError, KeyBackend, SigningJob};
use crate::signature::{SignatureError, certify};

/// How many jobs are in flight at once; a backend with a bounded queue is tested with at least this bound.
pub const CONCURRENT_JOBS: usize = 200;

/// A message well over any internal block or buffer of a token.
const LONG_MESSAGE_BYTES: usize = 64 * 1024;

/// The first promise that a backend broke.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// There is nothing to test, which must not look like success.
    #[error("the kit was given no keys")]
    NoKeys,
    /// The backend knows another public key, or none, under the id.
    #[error("the backend knows `{found:?}` as key `{expected}`")]
    WrongPublicKey {
        /// What it should hold.
        expected: PublicKey,
        /// What it says that it holds.
        found: Option<PublicKey>,
    },
    /// A key without schemes, with a scheme twice or with a scheme of another curve.
    #[error("the backend claims the schemes {schemes:?} for key `{key}`")]
    WrongSchemes {
        /// The key.
        key: KeyId,
        /// What the backend claims.
        schemes: Vec<Scheme>,
    },
    /// The backend claims to hold a key that it was not given.
    #[error("the backend claims to hold the unknown key `{0}`")]
    ClaimsUnknownKey(KeyId),
    /// A refusal was due, and came as something else.
    #[error("the backend answered {found:?} where {expected:?} was due")]
    NotRefused {
        /// The due refusal.
        expected: BackendError,
        /// What came.
        found: Result<RawSignature, BackendError>,
    },
    /// A signature was due, and a refusal came.
    #[error("the backend refused: {0}")]
    Refused(BackendError),
    /// The signature does not belong to the key and the payload.
    #[error(transparent)]
    BadSignature(#[from] SignatureError),
}

/// Holds a backend against everything in this kit; `keys` are the keys that it should hold.
pub async fn check(backend: &dyn KeyBackend, keys: &[PublicKey]) -> Result<(), Violation> {
    if keys.is_empty() {
        return Err(Violation::NoKeys);
    }
    for key in keys {
        check_holding(backend, key)?;
        check_unsupported(backend, key).await?;
        check_signs(backend, key).await?;
    }
    for stranger in strangers(keys) {
        check_stranger(backend, stranger).await?;
    }
    check_concurrent(backend, keys).await
}

/// Signs one payload for each scheme of the key and verifies the signatures.
pub async fn check_signs_once(backend: &dyn KeyBackend, key: &PublicKey) -> Result<(), Violation> {
    check_holding(backend, key)?;
    try_join_all(
        backend
            .schemes(&key.id())
            .iter()
            .map(|scheme| sign_and_certify(backend, key, payload(*scheme, 1))),
    )
    .await
    .map(drop)
}

fn check_holding(backend: &dyn KeyBackend, key: &PublicKey) -> Result<(), Violation> {
    let id = key.id();
    let found = backend.public_key(&id);
    if found != Some(*key) {
        return Err(Violation::WrongPublicKey { expected: *key, found });
    }
    let schemes = backend.schemes(&id);
    let mut distinct = schemes.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    let fits = |scheme: &Scheme| algorithm(*scheme) == key.algorithm();
    if schemes.is_empty() || distinct.len() != schemes.len() || !schemes.iter().all(fits) {
        return Err(Violation::WrongSchemes {
            key: id,
            schemes: schemes.to_vec(),
        });
    }
    Ok(())
}

fn algorithm(scheme: Scheme) -> Algorithm {
    match scheme {
        Scheme::Ecdsa | Scheme::Schnorr => Algorithm::Secp256k1,
        Scheme::Ed25519 => Algorithm::Ed25519,
    }
}

const SCHEMES: [Scheme; 3] = [Scheme::Ecdsa, Scheme::Schnorr, Scheme::Ed25519];

async fn check_unsupported(backend: &dyn KeyBackend, key: &PublicKey) -> Result<(), Violation> {
    let key = key.id();
    for scheme in SCHEMES {
        if !backend.schemes(&key).contains(&scheme) {
            let due = BackendError::SchemeUnsupported { key, scheme };
            check_refused(backend, SigningJob::new(key, payload(scheme, 1)), due).await?;
        }
    }
    Ok(())
}

/// Ids that no backend under test holds.
fn strangers(keys: &[PublicKey]) -> impl Iterator<Item = KeyId> {
    [PublicKey::Secp256k1([2; 33]), PublicKey::Ed25519([7; 32])]
        .into_iter()
        .filter(|stranger| !keys.contains(stranger))
        .map(|stranger| stranger.id())
}

async fn check_stranger(backend: &dyn KeyBackend, stranger: KeyId) -> Result<(), Violation> {
    if backend.public_key(&stranger).is_some() || !backend.schemes(&stranger).is_empty() {
        return Err(Violation::ClaimsUnknownKey(stranger));
    }
    for scheme in SCHEMES {
        let job = SigningJob::new(stranger, payload(scheme, 1));
        check_refused(backend, job, BackendError::KeyMissing(stranger)).await?;
    }
    Ok(())
}

async fn check_refused(backend: &dyn KeyBackend, job: SigningJob, due: BackendError) -> Result<(), Violation> {
    let found = backend.sign(job).await;
    if found.as_ref() == Err(&due) {
        return Ok(());
    }
    Err(Violation::NotRefused { expected: due, found })
}

async fn check_signs(backend: &dyn KeyBackend, key: &PublicKey) -> Result<(), Violation> {
    for scheme in backend.schemes(&key.id()) {
        for bytes in edge_payloads(*scheme) {
            sign_and_certify(backend, key, bytes).await?;
        }
    }
    Ok(())
}

/// Digests at the edges of the scalar field (zero, one, over the group order) and messages of every awkward length.
fn edge_payloads(scheme: Scheme) -> Vec<SigningBytes> {
    let mut one = [0; 32];
    if let Some(last) = one.last_mut() {
        *last = 1;
    }
    let digests = [[0; 32], one, [0xff; 32], [0x5a; 32]];
    match scheme {
        Scheme::Ecdsa => digests.map(SigningBytes::EcdsaPrehash).to_vec(),
        Scheme::Schnorr => digests.map(SigningBytes::SchnorrPrehash).to_vec(),
        Scheme::Ed25519 => [0, 1, 32, 64, LONG_MESSAGE_BYTES]
            .map(|length| SigningBytes::Ed25519Message(vec![0xa5; length]))
            .to_vec(),
    }
}

/// All jobs at once; each signature must belong to its own key and payload.
async fn check_concurrent(backend: &dyn KeyBackend, keys: &[PublicKey]) -> Result<(), Violation> {
    let jobs = keys
        .iter()
        .flat_map(|key| backend.schemes(&key.id()).iter().map(move |scheme| (key, *scheme)))
        .cycle()
        .zip(0..CONCURRENT_JOBS)
        .map(|((key, scheme), number)| sign_and_certify(backend, key, payload(scheme, number)));
    join_all(jobs).await.into_iter().collect()
}

async fn sign_and_certify(backend: &dyn KeyBackend, key: &PublicKey, bytes: SigningBytes) -> Result<(), Violation> {
    let job = SigningJob::new(key.id(), bytes.clone());
    let raw = backend.sign(job).await.map_err(Violation::Refused)?;
    certify(key, &bytes, raw)?;
    Ok(())
}

/// The payload with this number; different numbers are different payloads.
fn payload(scheme: Scheme, number: usize) -> SigningBytes {
    let mut digest = [0x5a; 32];
    for (to, from) in digest.iter_mut().zip(number.to_be_bytes()) {
        *to = from;
    }
    match scheme {
        Scheme::Ecdsa => SigningBytes::EcdsaPrehash(digest),
        Scheme::Schnorr => SigningBytes::SchnorrPrehash(digest),
        Scheme::Ed25519 => SigningBytes::Ed25519Message(digest.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::Signer as _;
    use futures_core::future::BoxFuture;
    use k256::ecdsa::signature::hazmat::PrehashSigner as _;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// A correct backend, but for one fault.
    struct Faulty {
        fault: Fault,
        ecdsa: k256::ecdsa::SigningKey,
        ed25519: ed25519_dalek::SigningKey,
        keys: [PublicKey; 2],
        signed: AtomicUsize,
    }

    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Fault {
        None,
        HoldsNothing,
        NoSchemes,
        DoubleScheme,
        ForeignScheme,
        ClaimsEverything,
        SignsForStrangers,
        WrongRefusalForStrangers,
        WrongRefusalForScheme,
        SignsOtherSchemes,
        HashesAgain,
        TruncatesMessages,
        RefusesEmptyMessages,
        RefusesLongMessages,
        MixesUpJobs,
        BusyUnderLoad,
    }

    impl Faulty {
        fn new(fault: Fault) -> Self {
            let ecdsa = k256::ecdsa::SigningKey::from_slice(&[1; 32]).unwrap();
            let ed25519 = ed25519_dalek::SigningKey::from_bytes(&[1; 32]);
            let point = ecdsa.verifying_key().to_sec1_point(true);
            let keys = [
                PublicKey::Secp256k1(point.as_bytes().try_into().unwrap()),
                PublicKey::Ed25519(ed25519.verifying_key().to_bytes()),
            ];
            Self {
                fault,
                ecdsa,
                ed25519,
                keys,
                signed: AtomicUsize::new(0),
            }
        }

        fn refuse(&self, job: &SigningJob) -> Option<BackendError> {
            let (key, scheme) = (job.key(), job.bytes().scheme());
            let held = self.keys.iter().find(|held| held.id() == key);
            match (self.fault, held) {
                (Fault::SignsForStrangers, None) => None,
                (Fault::WrongRefusalForStrangers, None) => Some(BackendError::Busy),
                (_, None) => Some(BackendError::KeyMissing(key)),
                (_, Some(held)) if algorithm(scheme) == held.algorithm() && scheme != Scheme::Schnorr => None,
                (Fault::SignsOtherSchemes, Some(_)) => None,
                (Fault::WrongRefusalForScheme, Some(_)) => Some(BackendError::KeyMissing(key)),
                (_, Some(_)) => Some(BackendError::SchemeUnsupported { key, scheme }),
            }
        }

        fn sign_now(&self, job: &SigningJob) -> Result<RawSignature, BackendError> {
            if let Some(refusal) = self.refuse(job) {
                return Err(refusal);
            }
            let number = self.signed.fetch_add(1, Ordering::SeqCst);
            if self.fault == Fault::BusyUnderLoad && number > CONCURRENT_JOBS / 2 {
                return Err(BackendError::Busy);
            }
            match job.bytes() {
                SigningBytes::EcdsaPrehash(digest) | SigningBytes::SchnorrPrehash(digest) => {
                    Ok(self.sign_digest(*digest, number))
                }
                SigningBytes::Ed25519Message(message) => self.sign_message(message),
            }
        }

        fn sign_digest(&self, mut digest: [u8; 32], number: usize) -> RawSignature {
            if self.fault == Fault::MixesUpJobs && number > CONCURRENT_JOBS / 2 {
                digest[7] ^= 1;
            }
            let signature: k256::ecdsa::Signature = if self.fault == Fault::HashesAgain {
                k256::ecdsa::signature::Signer::sign(&self.ecdsa, &digest)
            } else {
                self.ecdsa.sign_prehash(&digest).unwrap()
            };
            RawSignature::Ecdsa(signature.to_bytes().into())
        }

        fn sign_message(&self, message: &[u8]) -> Result<RawSignature, BackendError> {
            let message = match (self.fault, message.len()) {
                (Fault::RefusesEmptyMessages, 0) | (Fault::RefusesLongMessages, 4097..) => {
                    return Err(BackendError::Unavailable("bad length".into()));
                }
                (Fault::TruncatesMessages, 4097..) => &message[..4096],
                _ => message,
            };
            Ok(RawSignature::Ed25519(self.ed25519.sign(message).to_bytes()))
        }
    }

    impl KeyBackend for Faulty {
        fn public_key(&self, key: &KeyId) -> Option<PublicKey> {
            let held = self.keys.into_iter().find(|held| held.id() == *key);
            match self.fault {
                Fault::HoldsNothing => None,
                Fault::ClaimsEverything => held.or(Some(self.keys[0])),
                _ => held,
            }
        }

        fn schemes(&self, key: &KeyId) -> &[Scheme] {
            let held = self
                .keys
                .iter()
                .find(|held| held.id() == *key)
                .map(PublicKey::algorithm);
            match (held, self.fault) {
                (_, Fault::NoSchemes) | (None, _) => &[],
                (_, Fault::ForeignScheme) => &[Scheme::Ed25519],
                (Some(Algorithm::Secp256k1), Fault::DoubleScheme) => &[Scheme::Ecdsa, Scheme::Ecdsa],
                (Some(Algorithm::Secp256k1), _) => &[Scheme::Ecdsa],
                (Some(Algorithm::Ed25519), _) => &[Scheme::Ed25519],
            }
        }

        fn is_development(&self) -> bool {
            true
        }

        fn sign(&self, job: SigningJob) -> BoxFuture<'_, Result<RawSignature, BackendError>> {
            Box::pin(async move { self.sign_now(&job) })
        }
    }

    async fn verdict(fault: Fault) -> Result<(), Violation> {
        let backend = Faulty::new(fault);
        check(&backend, &backend.keys).await
    }

    #[tokio::test]
    async fn a_correct_backend_passes() {
        assert_eq!(verdict(Fault::None).await, Ok(()));
    }

    #[tokio::test]
    async fn nothing_to_test_is_no_success() {
        assert_eq!(check(&Faulty::new(Fault::None), &[]).await, Err(Violation::NoKeys));
    }

    #[tokio::test]
    async fn each_fault_is_found() {
        type Expected = fn(&Violation) -> bool;
        let table: [(Fault, Expected); 15] = [
            (Fault::HoldsNothing, |v| {
                matches!(v, Violation::WrongPublicKey { found: None, .. })
            }),
            (Fault::NoSchemes, |v| matches!(v, Violation::WrongSchemes { .. })),
            (Fault::DoubleScheme, |v| matches!(v, Violation::WrongSchemes { .. })),
            (Fault::ForeignScheme, |v| matches!(v, Violation::WrongSchemes { .. })),
            (Fault::ClaimsEverything, |v| matches!(v, Violation::ClaimsUnknownKey(_))),
            (Fault::SignsForStrangers, |v| {
                matches!(v, Violation::NotRefused { found: Ok(_), .. })
            }),
            (Fault::WrongRefusalForStrangers, |v| {
                matches!(
                    v,
                    Violation::NotRefused {
                        expected: BackendError::KeyMissing(_),
                        ..
                    }
                )
            }),
            (Fault::WrongRefusalForScheme, |v| {
                matches!(
                    v,
                    Violation::NotRefused {
                        expected: BackendError::SchemeUnsupported { .. },
                        ..
                    }
                )
            }),
            (Fault::SignsOtherSchemes, |v| {
                matches!(v, Violation::NotRefused { found: Ok(_), .. })
            }),
            (Fault::HashesAgain, |v| matches!(v, Violation::BadSignature(_))),
            (Fault::TruncatesMessages, |v| matches!(v, Violation::BadSignature(_))),
            (Fault::RefusesEmptyMessages, |v| matches!(v, Violation::Refused(_))),
            (Fault::RefusesLongMessages, |v| matches!(v, Violation::Refused(_))),
            (Fault::MixesUpJobs, |v| matches!(v, Violation::BadSignature(_))),
            (Fault::BusyUnderLoad, |v| {
                matches!(v, Violation::Refused(BackendError::Busy))
            }),
        ];
        for (fault, expected) in table {
            let violation = verdict(fault).await.expect_err(&format!("{fault:?} was not found"));
            assert!(expected(&violation), "{fault:?} was found as {violation:?}");
        }
    }

    #[tokio::test]
    async fn one_signature_of_each_scheme_is_verified() {
        let backend = Faulty::new(Fault::None);
        for key in &backend.keys {
            assert_eq!(check_signs_once(&backend, key).await, Ok(()));
        }
        let backend = Faulty::new(Fault::HashesAgain);
        assert!(check_signs_once(&backend, &backend.keys[0]).await.is_err());
        let backend = Faulty::new(Fault::NoSchemes);
        assert!(check_signs_once(&backend, &backend.keys[0]).await.is_err());
    }

    #[test]
    fn payloads_are_distinct() {
        for scheme in SCHEMES {
            let all: std::collections::HashSet<_> =
                (0..CONCURRENT_JOBS).map(|number| payload(scheme, number)).collect();
            assert_eq!(all.len(), CONCURRENT_JOBS);
        }
    }
}
