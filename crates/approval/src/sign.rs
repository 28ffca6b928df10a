//! The signing side, for the command line and for services. Keys are arguments; nothing here reads a file or an agent.

use ed25519_dalek::Signer as _;
use ssh_encoding::Encode as _;
use ssh_key::HashAlg;

use crate::{
    Envelope, Kind, Statement, StatementError,
    envelope::pae,
    key::{ed25519_fingerprint, ssh_key_id},
    sshsig::{EmbeddedKey, SshSignature, parse_armor},
};

/// Why no envelope was made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The key did not sign.
    #[error("the key did not sign: {0}")]
    Signer(String),
    /// The signature is not one that a verifier accepts.
    #[error("the signature cannot be used: {0}")]
    Unusable(String),
    /// The statement is over a bound.
    #[error(transparent)]
    Statement(#[from] StatementError),
}

/// Signs pre-authentication encodings.
pub trait StatementSigner {
    /// The envelope's `keyid` and signature bytes over `message` in `namespace`.
    fn sign(&self, namespace: &str, message: &[u8]) -> Result<(String, Vec<u8>), SealError>;
}

/// A service's plain Ed25519 key.
pub struct Ed25519Signer(ed25519_dalek::SigningKey);

impl Ed25519Signer {
    /// Wraps a key.
    pub fn new(key: ed25519_dalek::SigningKey) -> Self {
        Self(key)
    }
}

impl StatementSigner for Ed25519Signer {
    fn sign(&self, _namespace: &str, message: &[u8]) -> Result<(String, Vec<u8>), SealError> {
        let key_id = ed25519_fingerprint(&self.0.verifying_key().to_bytes()).to_string();
        Ok((key_id, self.0.sign(message).to_bytes().to_vec()))
    }
}

/// An OpenSSH private key: ed25519 or ecdsa-p256, decrypted.
pub struct SshSigner(ssh_key::PrivateKey);

impl SshSigner {
    /// Wraps a key.
    pub fn new(key: ssh_key::PrivateKey) -> Self {
        Self(key)
    }
}

impl StatementSigner for SshSigner {
    fn sign(&self, namespace: &str, message: &[u8]) -> Result<(String, Vec<u8>), SealError> {
        let sshsig = self
            .0
            .sign(namespace, HashAlg::Sha512, message)
            .map_err(|error| SealError::Signer(error.to_string()))?;
        let mut blob = Vec::new();
        sshsig
            .encode(&mut blob)
            .map_err(|error| SealError::Signer(error.to_string()))?;
        Ok((ssh_key_id(sshsig.public_key()), blob))
    }
}

/// Signs a statement.
pub fn seal(statement: &Statement, signer: &dyn StatementSigner) -> Result<Envelope, SealError> {
    let kind = statement.body.kind();
    let payload = statement.to_payload();
    // A statement that would be refused is not signed in the first place.
    Statement::parse(kind, &payload)?;
    let (key_id, signature) = signer.sign(&kind.namespace(), &pae(kind, &payload))?;
    Ok(Envelope::new(kind, payload, key_id, signature)?)
}

impl Envelope {
    /// What `ssh-keygen -Y sign -n countersign-<kind>-v1` must be given to sign this payload.
    pub fn message_to_sign(kind: Kind, payload: &[u8]) -> Vec<u8> {
        pae(kind, payload)
    }

    /// Attaches the armored output of `ssh-keygen -Y sign` (agents, security keys, air-gapped machines).
    pub fn from_ssh_signature(kind: Kind, payload: Vec<u8>, armored: &str) -> Result<Self, SealError> {
        let unusable = || SealError::Unusable("it is no armored ssh signature of an accepted key".to_owned());
        let blob = parse_armor(armored).ok_or_else(unusable)?;
        let EmbeddedKey::Known(key) = SshSignature::parse(&blob).ok_or_else(unusable)?.key else {
            return Err(unusable());
        };
        Ok(Self::new(kind, payload, ssh_key_id(&key), blob)?)
    }
}
