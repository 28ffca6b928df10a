//! Names and verifier keys of C2SP signed-note, Ed25519 alone.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use countersign_types::Tag;
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest as _, Sha256};

/// The longest name: a domain name, with room for a path.
pub const MAX_KEY_NAME_BYTES: usize = 255;
/// The signature type byte of Ed25519.
const ED25519: u8 = 0x01;

/// Why a text is not a key name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a key name has 1 to {MAX_KEY_NAME_BYTES} bytes, without spaces, control characters or `+`")]
pub struct KeyNameError;

impl KeyNameError {
    /// The stable tag.
    pub fn tag(&self) -> Tag {
        Tag::MessageInvalid
    }
}

/// The name of a log or of another signer of notes: a URL without scheme, for example `countersign.example/log`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName(String);

impl KeyName {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl FromStr for KeyName {
    type Err = KeyNameError;
    fn from_str(text: &str) -> Result<Self, KeyNameError> {
        let is_bad = |c: char| c.is_whitespace() || c.is_control() || c == '+';
        if text.is_empty() || text.len() > MAX_KEY_NAME_BYTES || text.contains(is_bad) {
            return Err(KeyNameError);
        }
        Ok(Self(text.to_owned()))
    }
}

/// Why a text or bytes are not a verifier key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifierKeyError {
    /// Not of the form.
    #[error("a verifier key is written `<name>+<8 lower-case hex>+<base64>`")]
    BadText,
    /// The name is none.
    #[error(transparent)]
    BadName(#[from] KeyNameError),
    /// A signature type other than Ed25519.
    #[error("the verifier key has signature type {0:#04x}; only Ed25519 (0x01) is read")]
    UnknownSignatureType(u8),
    /// Not a point of the curve, or one of small order under which anything verifies.
    #[error("the verifier key is not an Ed25519 public key of full order")]
    BadPublicKey,
    /// The stated id is not that of name and key.
    #[error("the verifier key states another key id than its own, {0:08x}")]
    IdMismatch(u32),
}

impl VerifierKeyError {
    /// The stable tag.
    pub fn tag(&self) -> Tag {
        Tag::MessageInvalid
    }
}

/// Who signs notes: a name and an Ed25519 public key. Text: `<name>+<key id>+<base64(0x01 ‖ key)>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: KeyName,
    key: VerifyingKey,
}

impl VerifierKey {
    /// A name and a public key as RFC 8032 encodes it.
    pub fn new(name: KeyName, public_key: &[u8; 32]) -> Result<Self, VerifierKeyError> {
        match VerifyingKey::from_bytes(public_key) {
            Ok(key) if !key.is_weak() => Ok(Self { name, key }),
            Ok(_) | Err(_) => Err(VerifierKeyError::BadPublicKey),
        }
    }

    /// The name.
    pub fn name(&self) -> &KeyName {
        &self.name
    }

    /// The public key as RFC 8032 encodes it.
    pub fn public_key(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// The first four bytes of `SHA-256(name ‖ 0x0A ‖ 0x01 ‖ key)`: a hint which key to try, no proof of anything.
    pub fn id(&self) -> u32 {
        let hash = Sha256::new()
            .chain_update(self.name.as_str())
            .chain_update([b'\n', ED25519])
            .chain_update(self.key.as_bytes());
        let [a, b, c, d, ..] = <[u8; 32]>::from(hash.finalize());
        u32::from_be_bytes([a, b, c, d])
    }

    /// RFC 8032 with the strict checks: one message, one key, one signature that verifies for everybody.
    pub(crate) fn is_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature).is_ok_and(|signature| self.key.verify_strict(message, &signature).is_ok())
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![ED25519];
        bytes.extend(self.key.as_bytes());
        write!(f, "{}+{:08x}+{}", self.name, self.id(), STANDARD.encode(bytes))
    }
}

impl FromStr for VerifierKey {
    type Err = VerifierKeyError;
    fn from_str(text: &str) -> Result<Self, VerifierKeyError> {
        // Base64 has `+` too; the name has none.
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(VerifierKeyError::BadText);
        };
        let bytes = STANDARD.decode(key).map_err(|_| VerifierKeyError::BadText)?;
        let (signature_type, public_key) = bytes.split_first().ok_or(VerifierKeyError::BadText)?;
        if *signature_type != ED25519 {
            return Err(VerifierKeyError::UnknownSignatureType(*signature_type));
        }
        let public_key = public_key.try_into().map_err(|_| VerifierKeyError::BadPublicKey)?;
        let verifier = Self::new(name.parse()?, public_key)?;
        if format!("{:08x}", verifier.id()) != id {
            return Err(VerifierKeyError::IdMismatch(verifier.id()));
        }
        Ok(verifier)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The key of the documentation of Go's `golang.org/x/mod/sumdb/note`.
    const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

    #[test]
    fn the_key_of_the_go_documentation() {
        let key: VerifierKey = PETER.parse().unwrap();
        assert_eq!((key.name().as_str(), key.id()), ("PeterNeumann", 0xc74f_20a3));
        assert_eq!(key.to_string(), PETER);
    }

    #[test]
    fn one_mutation_is_one_error() {
        let small_order = STANDARD.encode([[1].as_slice(), &[1], &[0; 31]].concat());
        let off_curve = STANDARD.encode([[1].as_slice(), &[2], &[0; 31]].concat());
        let with_key = |key: &str| format!("PeterNeumann+c74f20a3+{key}");
        let table = [
            (PETER.replace('+', "-"), VerifierKeyError::BadText),
            ("PeterNeumann+c74f20a3".to_owned(), VerifierKeyError::BadText),
            (format!("{PETER}="), VerifierKeyError::BadText),
            (format!("{PETER}\n"), VerifierKeyError::BadText),
            (with_key(""), VerifierKeyError::BadText),
            (
                PETER.replace("PeterNeumann", ""),
                VerifierKeyError::BadName(KeyNameError),
            ),
            (PETER.replace("rN", "r N"), VerifierKeyError::BadName(KeyNameError)),
            (
                PETER.replace("+AR", "+ZR"),
                VerifierKeyError::UnknownSignatureType(0x65),
            ),
            (with_key("AQ=="), VerifierKeyError::BadPublicKey),
            (format!("{PETER}AAAA"), VerifierKeyError::BadPublicKey),
            (with_key(&small_order), VerifierKeyError::BadPublicKey),
            (with_key(&off_curve), VerifierKeyError::BadPublicKey),
            (
                PETER.replace("c74f20a3", "c74f20a4"),
                VerifierKeyError::IdMismatch(0xc74f_20a3),
            ),
            (
                PETER.replace("c74f20a3", "C74F20A3"),
                VerifierKeyError::IdMismatch(0xc74f_20a3),
            ),
            (
                PETER.replace("c74f20a3", "0c74f20a3"),
                VerifierKeyError::IdMismatch(0xc74f_20a3),
            ),
        ];
        for (text, expected) in table {
            assert_eq!(text.parse::<VerifierKey>(), Err(expected), "{text:?}");
        }
        assert_ne!(PETER.replace("Peter", "Petra").parse::<VerifierKey>(), PETER.parse());
    }

    #[test]
    fn names_are_bounded() {
        assert!("n".repeat(MAX_KEY_NAME_BYTES).parse::<KeyName>().is_ok());
        for bad in [
            "",
            "a b",
            "a\u{a0}b",
            "a\u{2003}b",
            "a+b",
            "a\nb",
            "a\tb",
            "a\u{7f}b",
            &"n".repeat(256),
        ] {
            assert_eq!(bad.parse::<KeyName>(), Err(KeyNameError), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn text_round_trips(name in "[a-z./]{1,40}", seed: [u8; 32]) {
            let public_key = ed25519_dalek::SigningKey::from_bytes(&seed).verifying_key().to_bytes();
            let key = VerifierKey::new(name.parse().unwrap(), &public_key).unwrap();
            prop_assert_eq!(key.to_string().parse(), Ok(key));
        }

        #[test]
        fn parsing_never_panics(text in "[a-zA-Z0-9+/=\\PC]{0,80}") {
            if let Ok(key) = text.parse::<VerifierKey>() {
                prop_assert_eq!(key.to_string(), text);
            }
        }
    }
}
