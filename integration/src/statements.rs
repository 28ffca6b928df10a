//! Signed statements of a deployment's people and services.

use std::{
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result, anyhow};
use countersign_approval::{
    Body, Ed25519Signer, Envelope, FIRST_EPOCH, Header, SealError, SshSigner, Statement, StatementSigner, seal,
};
use countersign_types::{GenesisHash, StatementNonce, UtcSeconds, Validity};
use ssh_key::{
    PrivateKey,
    private::{Ed25519Keypair, KeypairData},
};

/// A statement of tests counts long enough for the slowest machine.
const VALIDITY_SECS: i64 = 86_400;

/// This machine's clock, in Unix seconds.
pub fn now_secs() -> Result<i64> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).context("before 1970")?;
    i64::try_from(since.as_secs()).context("the clock is out of range")
}

/// Unique to its signer.
pub fn random_nonce() -> StatementNonce {
    StatementNonce::from_bytes(rand::random())
}

/// A header that counts from now for a day.
pub fn header(deployment: GenesisHash) -> Result<Header> {
    let now = now_secs()?;
    header_between(deployment, now, now.saturating_add(VALIDITY_SECS))
}

/// A header that counts from one Unix second until before another.
pub fn header_between(deployment: GenesisHash, issued_at: i64, expires_at: i64) -> Result<Header> {
    let validity = Validity::new(
        UtcSeconds::from_unix_seconds(issued_at)?,
        UtcSeconds::from_unix_seconds(expires_at)?,
    )?;
    Ok(Header {
        deployment,
        epoch: FIRST_EPOCH,
        nonce: random_nonce(),
        validity,
    })
}

/// The key of a service: a file with the hex of an Ed25519 seed.
pub fn service_key(path: &Path) -> Result<Ed25519Signer> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let seed = hex::decode(text.trim()).ok().and_then(|bytes| bytes.try_into().ok());
    let seed: [u8; 32] = seed.ok_or_else(|| anyhow!("`{}` is no seed in hex", path.display()))?;
    Ok(Ed25519Signer::new(ed25519_dalek::SigningKey::from_bytes(&seed)))
}

fn unusable(error: ssh_key::Error) -> anyhow::Error {
    anyhow!("the ssh key cannot be used: {error}")
}

/// An OpenSSH key of a person.
pub struct Person {
    signer: SshSigner,
    public: String,
}

impl Person {
    /// Reads an OpenSSH private key file without a passphrase.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
        Self::of(PrivateKey::from_openssh(text).map_err(unusable)?)
    }

    /// A new ed25519 key.
    pub fn generate(comment: &str) -> Result<Self> {
        let pair = Ed25519Keypair::from_seed(&rand::random());
        Self::of(PrivateKey::new(KeypairData::Ed25519(pair), comment).map_err(unusable)?)
    }

    fn of(key: PrivateKey) -> Result<Self> {
        let public = key.public_key().to_openssh().map_err(unusable)?;
        let signer = SshSigner::new(key);
        Ok(Self { signer, public })
    }

    /// The public key line, as a roster lists it.
    pub fn public_line(&self) -> &str {
        &self.public
    }

    /// Signs a statement.
    pub fn seal(&self, header: Header, body: Body) -> Result<Envelope> {
        Ok(seal(&Statement { header, body }, self)?)
    }
}

impl StatementSigner for Person {
    fn sign(&self, namespace: &str, message: &[u8]) -> Result<(String, Vec<u8>), SealError> {
        self.signer.sign(namespace, message)
    }
}
