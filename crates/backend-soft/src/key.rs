//! A private key in memory.

use std::fmt;

use countersign_types::{Algorithm, PublicKey, RawSignature, Scheme, SigningBytes};
use ed25519_dalek::Signer as _;
use k256::ecdsa::signature::hazmat::PrehashSigner as _;
use zeroize::Zeroizing;

use crate::KeystoreError;

/// Both kinds zeroize themselves when dropped.
pub(crate) enum PrivateKey {
    Secp256k1(k256::ecdsa::SigningKey),
    Ed25519(ed25519_dalek::SigningKey),
}

impl PrivateKey {
    pub(crate) fn generate(algorithm: Algorithm) -> Result<Self, KeystoreError> {
        let mut secret = Zeroizing::new([0; 32]);
        loop {
            getrandom::fill(secret.as_mut_slice()).map_err(KeystoreError::NoRandomness)?;
            // Ends: 32 random bytes are a secp256k1 scalar but for one in 2^127.
            if let Some(key) = Self::from_secret(algorithm, &secret) {
                return Ok(key);
            }
        }
    }

    /// The scalar, or the seed of RFC 8032.
    pub(crate) fn from_secret(algorithm: Algorithm, secret: &[u8; 32]) -> Option<Self> {
        match algorithm {
            Algorithm::Secp256k1 => k256::ecdsa::SigningKey::from_slice(secret).ok().map(Self::Secp256k1),
            Algorithm::Ed25519 => Some(Self::Ed25519(ed25519_dalek::SigningKey::from_bytes(secret))),
        }
    }

    pub(crate) fn secret(&self) -> Zeroizing<[u8; 32]> {
        match self {
            Self::Secp256k1(key) => Zeroizing::new(key.to_bytes().into()),
            Self::Ed25519(key) => Zeroizing::new(key.to_bytes()),
        }
    }

    /// `None` cannot happen: a compressed point has 33 bytes.
    pub(crate) fn public_key(&self) -> Option<PublicKey> {
        match self {
            Self::Secp256k1(key) => {
                let point = key.verifying_key().to_sec1_point(true);
                point.as_bytes().try_into().ok().map(PublicKey::Secp256k1)
            }
            Self::Ed25519(key) => Some(PublicKey::Ed25519(key.verifying_key().to_bytes())),
        }
    }

    pub(crate) fn schemes(&self) -> &'static [Scheme] {
        match self {
            Self::Secp256k1(_) => &[Scheme::Ecdsa, Scheme::Schnorr],
            Self::Ed25519(_) => &[Scheme::Ed25519],
        }
    }

    /// RFC 6979, BIP 340 with 32 zero bytes of auxiliary randomness, RFC 8032: no randomness. `None`: the key does not sign with the scheme.
    pub(crate) fn sign(&self, bytes: &SigningBytes) -> Option<RawSignature> {
        match (self, bytes) {
            (Self::Secp256k1(key), SigningBytes::EcdsaPrehash(digest)) => {
                let signature: k256::ecdsa::Signature = key.sign_prehash(digest).ok()?;
                Some(RawSignature::Ecdsa(signature.to_bytes().into()))
            }
            (Self::Secp256k1(key), SigningBytes::SchnorrPrehash(digest)) => {
                let key = k256::schnorr::SigningKey::from(*key.as_nonzero_scalar());
                let signature = key.sign_raw(digest, &[0; 32]).ok()?;
                Some(RawSignature::Schnorr(signature.to_bytes()))
            }
            (Self::Ed25519(key), SigningBytes::Ed25519Message(message)) => {
                Some(RawSignature::Ed25519(key.sign(message).to_bytes()))
            }
            (Self::Secp256k1(_), SigningBytes::Ed25519Message(_))
            | (Self::Ed25519(_), SigningBytes::EcdsaPrehash(_) | SigningBytes::SchnorrPrehash(_)) => None,
        }
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8032 section 7.1, test 3.
    #[test]
    fn ed25519_vector() {
        let seed = hex::decode("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7").unwrap();
        let key = PrivateKey::from_secret(Algorithm::Ed25519, &seed.try_into().unwrap()).unwrap();
        let public = "ed25519:fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025";
        assert_eq!(key.public_key().unwrap().to_string(), public);
        let signature = key.sign(&SigningBytes::Ed25519Message(vec![0xaf, 0x82])).unwrap();
        assert_eq!(
            hex::encode(signature.as_bytes()),
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac\
             18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
        );
    }

    /// EIP-155, "Example": the signature over the example's signing hash, nonce by RFC 6979.
    #[test]
    fn ecdsa_vector() {
        let key = PrivateKey::from_secret(Algorithm::Secp256k1, &[0x46; 32]).unwrap();
        let digest = hex::decode("daf5a779ae972f972197303d7b574746c7ef83eadac0f2791ad23db92e4c8e53").unwrap();
        let signature = key
            .sign(&SigningBytes::EcdsaPrehash(digest.try_into().unwrap()))
            .unwrap();
        assert_eq!(
            hex::encode(signature.as_bytes()),
            "28ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276\
             67cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83"
        );
    }

    /// BIP 340, test vector 0: no auxiliary randomness.
    #[test]
    fn schnorr_vector() {
        let mut secret = [0; 32];
        secret[31] = 3;
        let key = PrivateKey::from_secret(Algorithm::Secp256k1, &secret).unwrap();
        let signature = key.sign(&SigningBytes::SchnorrPrehash([0; 32])).unwrap();
        assert_eq!(
            hex::encode(signature.as_bytes()),
            "e907831f80848d1069a5371b402410364bdf1c5f8307b0084c55f1ce2dca8215\
             25f66a4a85ea8b71e482a74f382d2ce5ebeee8fdb2172f477df4900d310536c0"
        );
    }

    #[test]
    fn scalars_out_of_range_are_no_keys() {
        for bad in [[0; 32], [0xff; 32]] {
            assert!(PrivateKey::from_secret(Algorithm::Secp256k1, &bad).is_none());
        }
    }

    #[test]
    fn secrets_round_trip_and_are_never_printed() {
        for algorithm in [Algorithm::Secp256k1, Algorithm::Ed25519] {
            let key = PrivateKey::generate(algorithm).unwrap();
            let again = PrivateKey::from_secret(algorithm, &key.secret()).unwrap();
            assert_eq!(again.public_key(), key.public_key());
            assert_eq!(format!("{key:?}"), "PrivateKey(…)");
        }
    }
}
