//! SSHSIG blobs (OpenSSH PROTOCOL.sshsig, PROTOCOL.u2f), read and verified strictly.
//!
//! ssh-key decodes version 0, verifies Ed25519 without the checks of `verify_strict`, reads an sk-ecdsa signature that it
//! would write differently, and accepts trailing bytes. So the bytes are read here, and only its key types are used.

use ed25519_dalek::Signature as EdSignature;
use p256::ecdsa::{Signature as P256Signature, VerifyingKey as P256Key, signature::Verifier as _};
use sha2::{Digest as _, Sha256};
use ssh_encoding::{Decode as _, Encode as _};
use ssh_key::{HashAlg, SshSig, public::KeyData};

use crate::key::p256_point;

const ARMOR_BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
const ARMOR_END: &str = "-----END SSH SIGNATURE-----";
/// The user-present flag of a security key's signature.
const SK_USER_PRESENT: u8 = 0x01;

/// The public key inside a blob.
#[derive(Debug)]
pub(crate) enum EmbeddedKey {
    /// Of a type that a roster may list.
    Known(Box<KeyData>),
    /// RSA, certificates and whatever else: no roster lists it.
    Foreign(String),
}

/// A blob taken apart; that it holds is [`Self::verify`]'s to say.
#[derive(Debug)]
pub(crate) struct SshSignature<'a> {
    pub(crate) key: EmbeddedKey,
    namespace: &'a [u8],
    reserved: &'a [u8],
    hash: HashAlg,
    algorithm: &'a [u8],
    signature: &'a [u8],
    trailer: &'a [u8],
}

impl<'a> SshSignature<'a> {
    /// Reads the whole of `blob`. The only version is 1, the only hashes are SHA-256 and SHA-512.
    pub(crate) fn parse(mut blob: &'a [u8]) -> Option<Self> {
        let input = &mut blob;
        let is_version_1 = take(input, 6)? == b"SSHSIG" && take(input, 4)? == [0, 0, 0, 1];
        let key = parse_key(string(input)?)?;
        let namespace = string(input)?;
        let reserved = string(input)?;
        let hash = match string(input)? {
            b"sha256" => HashAlg::Sha256,
            b"sha512" => HashAlg::Sha512,
            _ => return None,
        };
        let mut inner = string(input)?;
        let algorithm = string(&mut inner)?;
        let signature = string(&mut inner)?;
        (is_version_1 && input.is_empty()).then_some(Self {
            key,
            namespace,
            reserved,
            hash,
            algorithm,
            signature,
            trailer: inner,
        })
    }

    /// Whether the security key, if it is one, says that somebody touched it.
    pub(crate) fn is_touched(&self) -> bool {
        let is_security_key =
            matches!(&self.key, EmbeddedKey::Known(key) if key.is_sk_ed25519() || key.is_sk_ecdsa_p256());
        let flags = self.trailer.first();
        !is_security_key || flags.is_some_and(|flags| flags & SK_USER_PRESENT == SK_USER_PRESENT)
    }

    /// Verifies the signature over `message` in `namespace` under `key`, the roster's.
    pub(crate) fn verify(&self, key: &KeyData, namespace: &str, message: &[u8]) -> Result<(), &'static str> {
        // A fingerprint names key material; the record also fixes its form: sk or not, and the sk application.
        if !matches!(&self.key, EmbeddedKey::Known(embedded) if embedded.as_ref() == key) {
            return Err("the key is not in the form that the roster lists");
        }
        if self.namespace != namespace.as_bytes() {
            return Err("it was made for another namespace");
        }
        if !self.reserved.is_empty() {
            return Err("its reserved field is not empty");
        }
        if self.algorithm != key.algorithm().as_str().as_bytes() {
            return Err("its algorithm is not the key's");
        }
        let signed = SshSig::signed_data(namespace, self.hash, message).map_err(|_| "its namespace is empty")?;
        self.verify_signed_data(key, &signed).ok_or("it does not verify")
    }

    fn verify_signed_data(&self, key: &KeyData, signed: &[u8]) -> Option<()> {
        if let Some(point) = key.ed25519() {
            return verify_ed25519(&point.0, self.untrailed(signed)?, self.signature);
        }
        if let Some(key) = key.sk_ed25519() {
            return verify_ed25519(
                &key.public_key().0,
                &self.sk_data(key.application(), signed)?,
                self.signature,
            );
        }
        let point = P256Key::from_sec1_bytes(p256_point(key)?).ok()?;
        let signature = parse_p256_signature(self.signature)?;
        match key.sk_ecdsa_p256() {
            Some(key) => point.verify(&self.sk_data(key.application(), signed)?, &signature).ok(),
            None => point.verify(self.untrailed(signed)?, &signature).ok(),
        }
    }

    fn untrailed<'m>(&self, signed: &'m [u8]) -> Option<&'m [u8]> {
        self.trailer.is_empty().then_some(signed)
    }

    /// What a security key signs: SHA-256 of the application, flags (1 byte), counter (4 bytes), SHA-256 of the message.
    fn sk_data(&self, application: &str, signed: &[u8]) -> Option<Vec<u8>> {
        let application = Sha256::digest(application.as_bytes());
        let message = Sha256::digest(signed);
        (self.trailer.len() == 5).then(|| [application.as_slice(), self.trailer, message.as_slice()].concat())
    }
}

/// Verifies strictly: no low-order key or nonce point, no non-canonical encoding.
pub(crate) fn verify_ed25519(point: &[u8; 32], message: &[u8], signature: &[u8]) -> Option<()> {
    let key = ed25519_dalek::VerifyingKey::from_bytes(point).ok()?;
    let signature = EdSignature::from_slice(signature).ok()?;
    key.verify_strict(message, &signature).ok()
}

/// The blob inside the output of `ssh-keygen -Y sign`.
pub(crate) fn parse_armor(text: &str) -> Option<Vec<u8>> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let body = text.trim().strip_prefix(ARMOR_BEGIN)?.strip_suffix(ARMOR_END)?;
    let body: String = body.lines().map(str::trim).collect();
    STANDARD.decode(body).ok()
}

fn parse_key(blob: &[u8]) -> Option<EmbeddedKey> {
    match string(&mut &*blob)? {
        b"ssh-ed25519"
        | b"sk-ssh-ed25519@openssh.com"
        | b"ecdsa-sha2-nistp256"
        | b"sk-ecdsa-sha2-nistp256@openssh.com" => {
            let key = KeyData::decode(&mut &*blob).ok()?;
            // Decoders leave trailing bytes: one key has one blob.
            let mut again = Vec::new();
            key.encode(&mut again).ok()?;
            (again == blob).then(|| EmbeddedKey::Known(Box::new(key)))
        }
        other => Some(EmbeddedKey::Foreign(
            other
                .iter()
                .take(64)
                .copied()
                .flat_map(std::ascii::escape_default)
                .map(char::from)
                .collect(),
        )),
    }
}

/// Two RFC 4251 mpints, r and s.
fn parse_p256_signature(mut bytes: &[u8]) -> Option<P256Signature> {
    let (r, s) = (scalar(&mut bytes)?, scalar(&mut bytes)?);
    bytes.is_empty().then(|| P256Signature::from_scalars(r, s).ok())?
}

/// A positive mpint of at most 32 bytes in its one canonical form, left-padded.
fn scalar(input: &mut &[u8]) -> Option<[u8; 32]> {
    let written = string(input)?;
    let magnitude = match written {
        [0, rest @ ..] => rest.first().is_some_and(|high| *high >= 0x80).then_some(rest)?,
        [high, ..] => (*high < 0x80).then_some(written)?,
        [] => return None,
    };
    let padding = 32usize.checked_sub(magnitude.len())?;
    [vec![0; padding].as_slice(), magnitude].concat().try_into().ok()
}

fn string<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = u32::from_be_bytes(take(input, 4)?.try_into().ok()?);
    take(input, usize::try_from(length).ok()?)
}

fn take<'a>(input: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (head, tail) = input.split_at_checked(count)?;
    *input = tail;
    Some(head)
}
