//! CKA_EC_POINT: what tokens return as a public key.

use countersign_types::{Algorithm, PublicKey};

/// The tag and a short-form length: PKCS#11 v2.40 says DER OCTET STRING, v3.x tokens return the bare point too.
const OCTET_STRING: u8 = 0x04;

/// Parses a CKA_EC_POINT and checks that it is a point of the curve. `None`: it is not.
///
/// The length tells the forms apart; the first byte does not, since `04` starts an uncompressed point as well.
pub(crate) fn parse(algorithm: Algorithm, ec_point: &[u8]) -> Option<PublicKey> {
    match algorithm {
        Algorithm::Secp256k1 => secp256k1(unwrap(ec_point, &[33, 65])?),
        Algorithm::Ed25519 => ed25519(unwrap(ec_point, &[32])?),
    }
}

/// The point inside the OCTET STRING, or the bytes themselves when they have the length of a point.
fn unwrap<'a>(bytes: &'a [u8], lengths: &[usize]) -> Option<&'a [u8]> {
    if lengths.contains(&bytes.len()) {
        return Some(bytes);
    }
    let [OCTET_STRING, length, point @ ..] = bytes else {
        return None;
    };
    (usize::from(*length) == point.len() && lengths.contains(&point.len())).then_some(point)
}

/// SEC 1, either form.
fn secp256k1(point: &[u8]) -> Option<PublicKey> {
    let key = k256::ecdsa::VerifyingKey::from_sec1_bytes(point).ok()?;
    let compressed = key.to_sec1_point(true);
    Some(PublicKey::Secp256k1(compressed.as_bytes().try_into().ok()?))
}

/// RFC 8032; keys of small order verify anything and are none.
fn ed25519(point: &[u8]) -> Option<PublicKey> {
    let bytes = point.try_into().ok()?;
    let key = ed25519_dalek::VerifyingKey::from_bytes(&bytes).ok()?;
    (!key.is_weak()).then_some(PublicKey::Ed25519(bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secp256k1_point(compress: bool) -> Vec<u8> {
        let key = k256::ecdsa::SigningKey::from_slice(&[3; 32]).unwrap();
        key.verifying_key().to_sec1_point(compress).as_bytes().to_vec()
    }

    fn ed25519_point() -> Vec<u8> {
        let key = ed25519_dalek::SigningKey::from_bytes(&[3; 32]);
        key.verifying_key().to_bytes().to_vec()
    }

    fn octet_string(point: &[u8]) -> Vec<u8> {
        [&[OCTET_STRING, u8::try_from(point.len()).unwrap()], point].concat()
    }

    #[test]
    fn every_form_is_the_same_key() {
        let expected = PublicKey::Secp256k1(secp256k1_point(true).try_into().unwrap());
        for point in [secp256k1_point(true), secp256k1_point(false)] {
            assert_eq!(parse(Algorithm::Secp256k1, &point), Some(expected));
            assert_eq!(parse(Algorithm::Secp256k1, &octet_string(&point)), Some(expected));
        }
        let expected = PublicKey::Ed25519(ed25519_point().try_into().unwrap());
        assert_eq!(parse(Algorithm::Ed25519, &ed25519_point()), Some(expected));
        assert_eq!(
            parse(Algorithm::Ed25519, &octet_string(&ed25519_point())),
            Some(expected)
        );
    }

    #[test]
    fn anything_else_is_no_key() {
        let valid = octet_string(&secp256k1_point(false));
        let change = |at: usize| {
            let mut bytes = valid.clone();
            bytes[at] ^= 0x40;
            bytes
        };
        // The generator of NIST P-256 (SEC 2): a point, but of the other curve with 65-byte points.
        let p256 = "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296\
                    4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";
        let cases: [(&str, Algorithm, Vec<u8>); 9] = [
            ("tag", Algorithm::Secp256k1, change(0)),
            ("length", Algorithm::Secp256k1, change(1)),
            ("form of the point", Algorithm::Secp256k1, change(2)),
            ("off the curve", Algorithm::Secp256k1, change(66)),
            ("trailing byte", Algorithm::Secp256k1, [valid.clone(), vec![0]].concat()),
            ("another curve", Algorithm::Secp256k1, hex::decode(p256).unwrap()),
            ("empty", Algorithm::Secp256k1, vec![]),
            ("small order", Algorithm::Ed25519, octet_string(&[0; 32])),
            ("the other algorithm", Algorithm::Ed25519, valid.clone()),
        ];
        for (name, algorithm, bytes) in cases {
            assert_eq!(parse(algorithm, &bytes), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            for algorithm in [Algorithm::Secp256k1, Algorithm::Ed25519] {
                if let Some(key) = parse(algorithm, &bytes) {
                    prop_assert_eq!(key.algorithm(), algorithm);
                    prop_assert_eq!(parse(algorithm, key.as_bytes()), Some(key));
                }
            }
        }
    }
}
