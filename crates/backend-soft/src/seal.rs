//! XChaCha20-Poly1305 under the derived key.

use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::KeystoreError;

const NONCE_BYTES: usize = 24;

/// A nonce and what it seals, in hex.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sealed {
    nonce: String,
    sealed: String,
}

/// The key derived from the passphrase.
pub(crate) struct Sealer(Zeroizing<[u8; 32]>);

impl Sealer {
    pub(crate) fn new(key: Zeroizing<[u8; 32]>) -> Self {
        Self(key)
    }

    /// Random nonces of 24 bytes do not repeat.
    pub(crate) fn seal(&self, plain: &[u8], bound_to: &[u8]) -> Result<Sealed, KeystoreError> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(KeystoreError::NoRandomness)?;
        let payload = Payload {
            msg: plain,
            aad: bound_to,
        };
        let sealed = self
            .cipher()
            .encrypt(XNonce::from_slice(&nonce), payload)
            .map_err(|_| KeystoreError::Malformed("the key is too long to seal".into()))?;
        Ok(Sealed {
            nonce: hex::encode(nonce),
            sealed: hex::encode(sealed),
        })
    }

    /// `None`: another passphrase, other bytes, or bound to something else.
    pub(crate) fn open(&self, sealed: &Sealed, bound_to: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let mut nonce = [0; NONCE_BYTES];
        hex::decode_to_slice(&sealed.nonce, &mut nonce).ok()?;
        let bytes = hex::decode(&sealed.sealed).ok()?;
        let payload = Payload {
            msg: &bytes,
            aad: bound_to,
        };
        let plain = self.cipher().decrypt(XNonce::from_slice(&nonce), payload).ok()?;
        Some(Zeroizing::new(plain))
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.0.as_slice().into())
    }

    #[cfg(test)]
    pub(crate) fn key_hex(&self) -> String {
        hex::encode(*self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(byte: u8) -> Sealer {
        Sealer::new(Zeroizing::new([byte; 32]))
    }

    #[test]
    fn opens_what_it_sealed_and_nothing_else() {
        let sealed = sealer(1).seal(b"secret", b"context").unwrap();
        assert_eq!(sealer(1).open(&sealed, b"context").unwrap().as_slice(), b"secret");
        assert!(sealer(2).open(&sealed, b"context").is_none(), "another key");
        assert!(sealer(1).open(&sealed, b"other").is_none(), "another context");
        let flip = |text: &str| match text.strip_prefix('0') {
            Some(rest) => format!("1{rest}"),
            None => format!("0{}", &text[1..]),
        };
        let mutations = [
            ("nonce", flip(&sealed.nonce), sealed.sealed.clone()),
            ("bytes", sealed.nonce.clone(), flip(&sealed.sealed)),
            ("shorter", sealed.nonce.clone(), sealed.sealed[2..].to_owned()),
            ("empty", sealed.nonce.clone(), String::new()),
            ("short nonce", sealed.nonce[2..].to_owned(), sealed.sealed.clone()),
            ("no hex", sealed.nonce.clone(), "zz".into()),
        ];
        for (name, nonce, changed) in mutations {
            let changed = Sealed { nonce, sealed: changed };
            assert!(sealer(1).open(&changed, b"context").is_none(), "{name}");
        }
    }

    #[test]
    fn nonces_differ() {
        let sealer = sealer(1);
        assert_ne!(sealer.seal(b"x", b"").unwrap(), sealer.seal(b"x", b"").unwrap());
    }
}
