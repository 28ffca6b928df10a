//! Keys and SSHSIG blobs written byte by byte from OpenSSH's PROTOCOL.sshsig and PROTOCOL.u2f, apart from the code under
//! test, so that each field can be made wrong.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD, engine::general_purpose::STANDARD_NO_PAD};
use countersign_approval::{SealError, StatementSigner};
use ed25519_dalek::Signer as _;
use sha2::{Digest as _, Sha256, Sha512};

pub(crate) const APPLICATION: &str = "ssh:";
/// A touch, without and with user verification.
pub(crate) const TOUCHED: u8 = 0x01;

#[derive(Clone)]
enum Secret {
    Ed25519(ed25519_dalek::SigningKey),
    P256(p256::ecdsa::SigningKey),
}

/// A key in software; a security key is one with an application.
#[derive(Clone)]
pub(crate) struct SoftKey {
    secret: Secret,
    pub(crate) application: Option<String>,
    pub(crate) flags: u8,
    pub(crate) counter: u32,
}

impl SoftKey {
    fn new(secret: Secret) -> Self {
        Self {
            secret,
            application: None,
            flags: TOUCHED,
            counter: 0x0102_0304,
        }
    }
    pub(crate) fn ed25519(seed: u8) -> Self {
        Self::new(Secret::Ed25519(ed25519_dalek::SigningKey::from_bytes(&[seed; 32])))
    }
    pub(crate) fn p256(seed: u8) -> Self {
        Self::new(Secret::P256(
            p256::ecdsa::SigningKey::from_bytes(&[seed; 32].into()).unwrap(),
        ))
    }
    pub(crate) fn security_key(self) -> Self {
        self.with_application(APPLICATION)
    }
    pub(crate) fn with_application(self, application: &str) -> Self {
        Self {
            application: Some(application.to_owned()),
            ..self
        }
    }
    pub(crate) fn without_application(self) -> Self {
        Self {
            application: None,
            ..self
        }
    }
    pub(crate) fn with_flags(self, flags: u8) -> Self {
        Self { flags, ..self }
    }

    pub(crate) fn algorithm(&self) -> &'static str {
        match (&self.secret, &self.application) {
            (Secret::Ed25519(_), None) => "ssh-ed25519",
            (Secret::Ed25519(_), Some(_)) => "sk-ssh-ed25519@openssh.com",
            (Secret::P256(_), None) => "ecdsa-sha2-nistp256",
            (Secret::P256(_), Some(_)) => "sk-ecdsa-sha2-nistp256@openssh.com",
        }
    }

    pub(crate) fn point(&self, compressed: bool) -> Vec<u8> {
        match &self.secret {
            Secret::Ed25519(key) => key.verifying_key().to_bytes().to_vec(),
            Secret::P256(key) => key.verifying_key().to_encoded_point(compressed).as_bytes().to_vec(),
        }
    }

    pub(crate) fn blob(&self) -> Vec<u8> {
        self.blob_with_point(&self.point(false))
    }

    pub(crate) fn blob_with_point(&self, point: &[u8]) -> Vec<u8> {
        let mut blob = string(self.algorithm());
        if let Secret::P256(_) = self.secret {
            blob.extend(string("nistp256"));
        }
        blob.extend(string(point));
        blob.extend(self.application.as_ref().map(string).unwrap_or_default());
        blob
    }

    /// The line of a `.pub` file.
    pub(crate) fn line(&self) -> String {
        line(self.algorithm(), &self.blob())
    }

    pub(crate) fn key_id(&self) -> String {
        key_id(&self.blob())
    }

    /// A plain signature's `ed25519:<hex>`.
    pub(crate) fn plain_id(&self) -> String {
        format!("ed25519:{}", hex::encode(self.point(false)))
    }

    pub(crate) fn raw(&self, message: &[u8]) -> Vec<u8> {
        match &self.secret {
            Secret::Ed25519(key) => key.sign(message).to_bytes().to_vec(),
            Secret::P256(key) => {
                let signature: p256::ecdsa::Signature = p256::ecdsa::signature::Signer::sign(key, message);
                let (r, s) = signature.split_bytes();
                [mpint(&r), mpint(&s)].concat()
            }
        }
    }

    /// A complete, valid blob over `message`, as parts.
    pub(crate) fn sshsig(&self, namespace: &str, message: &[u8]) -> Blob {
        let mut blob = Blob {
            version: 1,
            key: self.blob(),
            namespace: namespace.to_owned(),
            reserved: Vec::new(),
            hash: "sha512",
            algorithm: self.algorithm().to_owned(),
            signature: Vec::new(),
            trailer: Vec::new(),
            after: Vec::new(),
        };
        self.sign_again(&mut blob, message);
        blob
    }

    /// Signs what the blob says now.
    pub(crate) fn sign_again(&self, blob: &mut Blob, message: &[u8]) {
        let signed = blob.signed_data(message);
        if self.application.is_none() {
            blob.signature = self.raw(&signed);
            return;
        }
        blob.trailer = [[self.flags].as_slice(), &self.counter.to_be_bytes()].concat();
        self.sign_with_trailer(blob, message);
    }

    /// As a security key signs, with whatever stands for flags and counter in the blob.
    pub(crate) fn sign_with_trailer(&self, blob: &mut Blob, message: &[u8]) {
        let signed = blob.signed_data(message);
        let application = self.application.as_ref().unwrap();
        let message = [
            Sha256::digest(application).as_slice(),
            &blob.trailer,
            &Sha256::digest(&signed),
        ]
        .concat();
        blob.signature = self.raw(&message);
    }
}

impl std::fmt::Debug for SoftKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.line())
    }
}

impl StatementSigner for SoftKey {
    fn sign(&self, namespace: &str, message: &[u8]) -> Result<(String, Vec<u8>), SealError> {
        Ok((self.key_id(), self.sshsig(namespace, message).bytes()))
    }
}

/// The fields of an SSHSIG blob.
#[derive(Clone)]
pub(crate) struct Blob {
    pub(crate) version: u32,
    pub(crate) key: Vec<u8>,
    pub(crate) namespace: String,
    pub(crate) reserved: Vec<u8>,
    pub(crate) hash: &'static str,
    pub(crate) algorithm: String,
    pub(crate) signature: Vec<u8>,
    /// Flags and counter of a security key.
    pub(crate) trailer: Vec<u8>,
    /// Behind the end.
    pub(crate) after: Vec<u8>,
}

impl Blob {
    fn signed_data(&self, message: &[u8]) -> Vec<u8> {
        let digest = match self.hash {
            "sha256" => Sha256::digest(message).to_vec(),
            _ => Sha512::digest(message).to_vec(),
        };
        [
            b"SSHSIG".to_vec(),
            string(&self.namespace),
            string(&self.reserved),
            string(self.hash),
            string(digest),
        ]
        .concat()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let signature = [string(&self.algorithm), string(&self.signature), self.trailer.clone()].concat();
        [
            b"SSHSIG".to_vec(),
            self.version.to_be_bytes().to_vec(),
            string(&self.key),
            string(&self.namespace),
            string(&self.reserved),
            string(self.hash),
            string(signature),
            self.after.clone(),
        ]
        .concat()
    }

    pub(crate) fn armored(&self) -> String {
        let base64 = STANDARD.encode(self.bytes());
        let mut text = "-----BEGIN SSH SIGNATURE-----\n".to_owned();
        for line in base64.as_bytes().chunks(70) {
            writeln!(text, "{}", std::str::from_utf8(line).unwrap()).unwrap();
        }
        text + "-----END SSH SIGNATURE-----\n"
    }
}

pub(crate) fn line(algorithm: &str, blob: &[u8]) -> String {
    format!("{algorithm} {} somebody@example.com", STANDARD.encode(blob))
}

pub(crate) fn key_id(blob: &[u8]) -> String {
    format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(blob)))
}

/// RFC 4251 string.
pub(crate) fn string(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

/// RFC 4251 mpint of a positive number.
pub(crate) fn mpint(bytes: &[u8]) -> Vec<u8> {
    let digits: Vec<u8> = bytes.iter().copied().skip_while(|byte| *byte == 0).collect();
    let sign = if digits.first().is_some_and(|high| *high >= 0x80) {
        vec![0]
    } else {
        vec![]
    };
    string([sign, digits].concat())
}
