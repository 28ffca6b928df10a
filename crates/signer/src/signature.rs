//! What a token returned is checked here before anything else sees it.

use countersign_types::{KeyId, PublicKey, RawSignature, SigningBytes, Tag};
use k256::ecdsa::signature::hazmat::PrehashVerifier as _;

/// Why a token's signature is not released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The signature is of another scheme than the payload asks for.
    #[error("the backend returned a signature of another scheme for key `{0}`")]
    OtherScheme(KeyId),
    /// The signature does not verify under the wallet's public key.
    #[error("the backend's signature does not verify under key `{0}`")]
    DoesNotVerify(KeyId),
}

impl SignatureError {
    /// The stable tag.
    pub fn tag(&self) -> Tag {
        match self {
            Self::OtherScheme(_) | Self::DoesNotVerify(_) => Tag::BackendBadSignature,
        }
    }
}

/// Makes ECDSA low-S (BIP 62, EIP-2: tokens return either half) and verifies under the wallet's public key.
pub(crate) fn certify(
    key: &PublicKey,
    bytes: &SigningBytes,
    raw: RawSignature,
) -> Result<RawSignature, SignatureError> {
    match (key, bytes, raw) {
        (PublicKey::Secp256k1(point), SigningBytes::EcdsaPrehash(digest), RawSignature::Ecdsa(r_s)) => {
            certify_ecdsa(point, digest, &r_s).ok_or_else(|| SignatureError::DoesNotVerify(key.id()))
        }
        (PublicKey::Ed25519(point), SigningBytes::Ed25519Message(message), RawSignature::Ed25519(bytes)) => {
            verify_ed25519(point, message, &bytes).ok_or_else(|| SignatureError::DoesNotVerify(key.id()))?;
            Ok(raw)
        }
        (PublicKey::Secp256k1(point), SigningBytes::SchnorrPrehash(digest), RawSignature::Schnorr(bytes)) => {
            verify_schnorr(point, digest, &bytes).ok_or_else(|| SignatureError::DoesNotVerify(key.id()))?;
            Ok(raw)
        }
        (
            PublicKey::Secp256k1(_) | PublicKey::Ed25519(_),
            SigningBytes::EcdsaPrehash(_) | SigningBytes::SchnorrPrehash(_) | SigningBytes::Ed25519Message(_),
            RawSignature::Ecdsa(_) | RawSignature::Schnorr(_) | RawSignature::Ed25519(_),
        ) => Err(SignatureError::OtherScheme(key.id())),
    }
}

fn certify_ecdsa(point: &[u8; 33], digest: &[u8; 32], r_s: &[u8; 64]) -> Option<RawSignature> {
    let key = k256::ecdsa::VerifyingKey::from_sec1_bytes(point).ok()?;
    let signature = k256::ecdsa::Signature::from_slice(r_s).ok()?.normalize_s();
    key.verify_prehash(digest, &signature).ok()?;
    Some(RawSignature::Ecdsa(signature.to_bytes().into()))
}

/// BIP 340: the key is the point's x coordinate, whichever of the two points with it the record pins.
fn verify_schnorr([_, x @ ..]: &[u8; 33], digest: &[u8; 32], signature: &[u8; 64]) -> Option<()> {
    let key = k256::schnorr::VerifyingKey::from_slice(x).ok()?;
    let signature = k256::schnorr::Signature::from_slice(signature).ok()?;
    key.verify_raw(digest, &signature).ok()
}

fn verify_ed25519(point: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> Option<()> {
    let key = ed25519_dalek::VerifyingKey::from_bytes(point).ok()?;
    key.verify_strict(message, &ed25519_dalek::Signature::from_bytes(signature))
        .ok()
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::Signer as _;
    use k256::ecdsa::signature::hazmat::PrehashSigner as _;

    use super::*;

    const DIGEST: [u8; 32] = [7; 32];

    fn ecdsa() -> (PublicKey, k256::ecdsa::Signature) {
        let key = k256::ecdsa::SigningKey::from_slice(&[1; 32]).unwrap();
        let point = key.verifying_key().to_sec1_point(true).as_bytes().try_into().unwrap();
        (PublicKey::Secp256k1(point), key.sign_prehash(&DIGEST).unwrap())
    }

    fn ed25519() -> (PublicKey, [u8; 64]) {
        let key = ed25519_dalek::SigningKey::from_bytes(&[1; 32]);
        (
            PublicKey::Ed25519(key.verifying_key().to_bytes()),
            key.sign(b"message").to_bytes(),
        )
    }

    fn high_s(signature: &k256::ecdsa::Signature) -> [u8; 64] {
        let (r, s) = signature.split_scalars();
        k256::ecdsa::Signature::from_scalars(r.to_bytes(), (-*s).to_bytes())
            .unwrap()
            .to_bytes()
            .into()
    }

    #[test]
    fn both_halves_of_s_give_the_same_low_s_signature() {
        let (key, signature) = ecdsa();
        let low = signature.normalize_s();
        let bytes = SigningBytes::EcdsaPrehash(DIGEST);
        for raw in [low.to_bytes().into(), high_s(&low)] {
            let certified = certify(&key, &bytes, RawSignature::Ecdsa(raw)).unwrap();
            assert_eq!(certified.as_bytes(), &<[u8; 64]>::from(low.to_bytes()));
        }
    }

    #[test]
    fn a_signature_over_anything_else_is_not_released() {
        let (key, signature) = ecdsa();
        let raw = RawSignature::Ecdsa(signature.to_bytes().into());
        let other = SigningBytes::EcdsaPrehash([8; 32]);
        assert_eq!(certify(&key, &other, raw), Err(SignatureError::DoesNotVerify(key.id())));
        let (key, signature) = ed25519();
        let other = SigningBytes::Ed25519Message(b"other".to_vec());
        assert_eq!(
            certify(&key, &other, RawSignature::Ed25519(signature)),
            Err(SignatureError::DoesNotVerify(key.id()))
        );
    }

    /// BIP 340, test vector 1, and each half of it changed.
    #[test]
    fn schnorr_vector() {
        let bytes = |text: &str| data_encoding::HEXUPPER.decode(text.as_bytes()).unwrap();
        let x = bytes("DFF1D77F2A671C5F36183726DB2341BE58FEAE1DA2DECED843240F7B502BA659");
        let digest = bytes("243F6A8885A308D313198A2E03707344A4093822299F31D0082EFA98EC4E6C89");
        let signature = bytes(
            "6896BD60EEAE296DB48A229FF71DFE071BDE413E6D43F917DC8DCF8C78DE3341\
             8906D11AC976ABCCB20B091292BFF4EA897EFCB639EA871CFA95F6DE339E4B0A",
        );
        let payload = SigningBytes::SchnorrPrehash(digest.try_into().unwrap());
        for parity in [2, 3] {
            let key = PublicKey::Secp256k1([&[parity], &x[..]].concat().try_into().unwrap());
            let raw = RawSignature::Schnorr(signature.clone().try_into().unwrap());
            assert_eq!(certify(&key, &payload, raw), Ok(raw));
            for at in [0, 63] {
                let mut changed: [u8; 64] = signature.clone().try_into().unwrap();
                changed[at] ^= 1;
                let refused = certify(&key, &payload, RawSignature::Schnorr(changed));
                assert_eq!(refused, Err(SignatureError::DoesNotVerify(key.id())));
            }
        }
    }

    #[test]
    fn ed25519_verifies_strictly() {
        let (key, mut signature) = ed25519();
        let bytes = SigningBytes::Ed25519Message(b"message".to_vec());
        assert!(certify(&key, &bytes, RawSignature::Ed25519(signature)).is_ok());
        signature[0] ^= 1;
        assert!(certify(&key, &bytes, RawSignature::Ed25519(signature)).is_err());
    }

    #[test]
    fn schemes_never_mix() {
        let (key, signature) = ecdsa();
        let raw = signature.to_bytes().into();
        let prehash = SigningBytes::EcdsaPrehash(DIGEST);
        let message = SigningBytes::Ed25519Message(DIGEST.to_vec());
        let other = Err(SignatureError::OtherScheme(key.id()));
        assert_eq!(certify(&key, &prehash, RawSignature::Ed25519(raw)), other);
        assert_eq!(certify(&key, &prehash, RawSignature::Schnorr(raw)), other);
        assert_eq!(certify(&key, &message, RawSignature::Ecdsa(raw)), other);
    }

    #[test]
    fn all_zero_signatures_are_refused() {
        let (key, _) = ecdsa();
        let bytes = SigningBytes::EcdsaPrehash(DIGEST);
        assert!(certify(&key, &bytes, RawSignature::Ecdsa([0; 64])).is_err());
    }
}
