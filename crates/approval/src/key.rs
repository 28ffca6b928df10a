//! Keys of the roster: the record fixes the scheme.

use std::fmt;

use ssh_key::{PublicKey as SshPublicKey, public::KeyData};

/// A key line of OpenSSH with a long comment.
const MAX_KEY_BYTES: usize = 1_024;

/// The types of an OpenSSH key line that are accepted.
const ACCEPTED: [&str; 4] = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

/// Why a text is no key of the roster.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Neither an OpenSSH public key line nor `ed25519:<64 hex>`.
    #[error("a key is an OpenSSH public key line (`ssh-ed25519 AAAA…`) or `ed25519:` and 64 lower-case hex characters")]
    BadShape,
    /// RSA, DSA, other curves, certificates.
    #[error("key type `{0}` is not accepted: use ed25519, ecdsa-sha2-nistp256 or their sk- forms")]
    Unsupported(String),
    /// An accepted type, and no key of that type behind it.
    #[error(
        "the key behind `{0}` is cut off or mistyped: copy the line of the .pub file again, with one space behind the type"
    )]
    Damaged(&'static str),
    /// Not a point of the curve, a second way to write one, or a low-order point, under which anybody can sign.
    #[error("the key is not a point of its curve in its usual encoding, or is weak")]
    Weak,
}

/// What identifies the key material whatever form it is written in: two records with one of these are one key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(String);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A key and, with it, the only scheme that its signatures may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyRecord {
    /// SSHSIG with this very key: ed25519, ecdsa-p256 or a security key (whose application is part of it).
    Ssh(Box<KeyData>),
    /// A plain Ed25519 signature over the pre-authentication encoding; for services only.
    Ed25519([u8; 32]),
}

impl KeyRecord {
    /// Reads an OpenSSH public key line or `ed25519:<hex>`.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        // Comments are shown to people, so nothing that a terminal would obey.
        let is_line = text.len() <= MAX_KEY_BYTES && text.bytes().all(|b| (b' '..=b'~').contains(&b));
        if !is_line {
            return Err(KeyError::BadShape);
        }
        if let Some(hex) = text.strip_prefix("ed25519:") {
            return Ok(Self::Ed25519(strong(decode_hex(hex).ok_or(KeyError::BadShape)?)?));
        }
        let key = SshPublicKey::from_openssh(text).map_err(|_| unreadable(text))?;
        let data = key.key_data();
        let edwards = data.ed25519().or_else(|| data.sk_ed25519().map(|key| key.public_key()));
        match edwards {
            Some(point) => drop(strong(point.0)?),
            None if p256_point(data).is_some_and(is_p256_point) => {}
            None if p256_point(data).is_some() => return Err(KeyError::Weak),
            None => return Err(KeyError::Unsupported(key.algorithm().to_string())),
        }
        Ok(Self::Ssh(Box::new(data.clone())))
    }

    /// The identity of the key material.
    pub fn fingerprint(&self) -> Fingerprint {
        match self {
            Self::Ed25519(point) => ed25519_fingerprint(point),
            Self::Ssh(data) => fingerprint_of(data),
        }
    }
}

/// The identity of an SSH key, as an embedded key of a signature has it.
pub(crate) fn fingerprint_of(data: &KeyData) -> Fingerprint {
    if let Some(point) = data.ed25519() {
        return ed25519_fingerprint(&point.0);
    }
    if let Some(key) = data.sk_ed25519() {
        return ed25519_fingerprint(&key.public_key().0);
    }
    match p256_point(data) {
        Some(point) => Fingerprint(format!("p256:{}", hex(point))),
        None => Fingerprint(ssh_key_id(data)),
    }
}

pub(crate) fn ed25519_fingerprint(point: &[u8; 32]) -> Fingerprint {
    Fingerprint(format!("ed25519:{}", hex(point)))
}

/// The `keyid` of an SSH signature: what `ssh-keygen -l` prints.
pub(crate) fn ssh_key_id(data: &KeyData) -> String {
    data.fingerprint(ssh_key::HashAlg::Sha256).to_string()
}

pub(crate) fn p256_point(data: &KeyData) -> Option<&[u8]> {
    if let Some(ssh_key::public::EcdsaPublicKey::NistP256(point)) = data.ecdsa() {
        return Some(point.as_bytes());
    }
    data.sk_ecdsa_p256().map(|key| key.ec_point().as_bytes())
}

/// A point of the curve, uncompressed as OpenSSH writes it: the compressed form would be a second identity of one key.
fn is_p256_point(bytes: &[u8]) -> bool {
    bytes.len() == 65 && p256::ecdsa::VerifyingKey::from_sec1_bytes(bytes).is_ok()
}

fn strong(point: [u8; 32]) -> Result<[u8; 32], KeyError> {
    match ed25519_dalek::VerifyingKey::from_bytes(&point) {
        // One key, one text: an encoding that decompresses to the same point as another would be a second identity.
        Ok(key) if !key.is_weak() && key.to_edwards().compress().to_bytes() == point => Ok(point),
        Ok(_) | Err(_) => Err(KeyError::Weak),
    }
}

/// What is wrong with a line that does not read: where its type is accepted, it is what stands behind that.
fn unreadable(text: &str) -> KeyError {
    let kind = text.split(' ').next();
    if let Some(accepted) = ACCEPTED.into_iter().find(|accepted| kind == Some(accepted)) {
        return KeyError::Damaged(accepted);
    }
    match kind {
        Some(kind) if kind.len() <= 64 && kind.contains('-') && kind.bytes().all(|b| b.is_ascii_graphic()) => {
            KeyError::Unsupported(kind.to_owned())
        }
        Some(_) | None => KeyError::BadShape,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Strict lower-case hex of 32 bytes.
fn decode_hex(text: &str) -> Option<[u8; 32]> {
    let is_hex = text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if !is_hex {
        return None;
    }
    let bytes: Option<Vec<u8>> = text
        .as_bytes()
        .chunks_exact(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect();
    bytes?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti user@example.com";

    #[test]
    fn one_key_in_two_forms_is_one_key() {
        let ssh = KeyRecord::parse(ED25519).unwrap();
        let KeyRecord::Ssh(data) = &ssh else { panic!() };
        let plain = KeyRecord::parse(&format!("ed25519:{}", hex(&data.ed25519().unwrap().0))).unwrap();
        assert_ne!(ssh, plain);
        assert_eq!(ssh.fingerprint(), plain.fingerprint());
    }

    #[test]
    fn a_line_that_is_cut_off_is_not_told_to_be_of_another_type() {
        let body = ED25519.split(' ').nth(1).unwrap();
        for kind in ACCEPTED {
            for text in [
                kind.to_owned(),
                format!("{kind} "),
                format!("{kind} {}", body.get(..61).unwrap()),
                format!("{kind} {}", body.get(..60).unwrap()),
                format!("{kind}  {body} two@spaces"),
                format!("{kind} {}", body.replace("LM+", "LM-")),
                format!("{kind} AAAAB3NzaC1yc2EAAAADAQABAAAAgQ== of@another.type"),
            ] {
                assert_eq!(KeyRecord::parse(&text), Err(KeyError::Damaged(kind)), "{text}");
            }
        }
        assert!(KeyRecord::parse(ED25519).is_ok());
    }

    #[test]
    fn what_is_not_a_strong_key_of_a_known_kind_is_refused() {
        let rsa = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQ==";
        let cert = ED25519.replace("ssh-ed25519 ", "ssh-ed25519-cert-v01@openssh.com ");
        let weak = format!("ed25519:01{}", "00".repeat(31));
        let table = [
            (rsa.to_owned(), KeyError::Unsupported("ssh-rsa".to_owned())),
            (
                cert,
                KeyError::Unsupported("ssh-ed25519-cert-v01@openssh.com".to_owned()),
            ),
            (weak, KeyError::Weak),
            ("ed25519:AB".to_owned(), KeyError::BadShape),
            (format!("ed25519:{}", "AB".repeat(32)), KeyError::BadShape),
            ("hello".to_owned(), KeyError::BadShape),
            (String::new(), KeyError::BadShape),
        ];
        for (text, error) in table {
            assert_eq!(KeyRecord::parse(&text), Err(error), "{text}");
        }
    }
}
