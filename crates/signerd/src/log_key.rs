//! The log key: an Ed25519 seed in a file. It signs checkpoints and acknowledgements, never transactions.

use std::{fmt, path::Path};

use countersign_audit::{KeyName, VerifierKey};
use countersign_journal::{CheckpointSigner, SignCheckpointError};
use countersign_signer::Notary;
use ed25519_dalek::{Signer as _, SigningKey};
use hex::FromHex as _;
use zeroize::Zeroizing;

use crate::files::{self, Access, FileError};

/// Why there is no log key.
#[derive(Debug, thiserror::Error)]
pub enum LogKeyError {
    /// The file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The system has no randomness.
    #[error("the system gave no randomness: {0}")]
    NoRandomness(getrandom::Error),
    /// The log's origin is no name of a C2SP key.
    #[error("the genesis' log origin: {0}")]
    BadOrigin(#[from] countersign_audit::KeyNameError),
    /// The key is weak.
    #[error("the log key: {0}")]
    BadKey(#[from] countersign_audit::VerifierKeyError),
}

/// The private half; zeroized when dropped, never printed.
pub struct LogSeed(SigningKey);

impl LogSeed {
    /// Generates a seed and writes it to a new file. Never overwrites one: a log whose key is lost has ended.
    pub fn generate(path: &Path) -> Result<Self, LogKeyError> {
        let mut seed = Zeroizing::new([0_u8; 32]);
        getrandom::fill(&mut *seed).map_err(LogKeyError::NoRandomness)?;
        let mut text = Zeroizing::new([0_u8; 65]);
        let [hex @ .., newline] = &mut *text;
        *newline = b'\n';
        hex::encode_to_slice(*seed, hex).map_err(|_| malformed(path))?;
        files::write_new(path, &*text, Access::Secret)?;
        Ok(Self(SigningKey::from_bytes(&seed)))
    }

    /// Reads a seed: 64 lower-case hex characters, and a newline or none.
    pub fn read(path: &Path) -> Result<Self, LogKeyError> {
        let bytes = files::read_secret(path)?;
        let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        if line.iter().any(u8::is_ascii_uppercase) {
            return Err(malformed(path).into());
        }
        let seed = Zeroizing::new(<[u8; 32]>::from_hex(line).map_err(|_| malformed(path))?);
        Ok(Self(SigningKey::from_bytes(&seed)))
    }

    /// The public key (RFC 8032).
    pub fn public_key(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    /// The key under the name of its log.
    pub fn with_origin(self, origin: &str) -> Result<LogKey, LogKeyError> {
        let name: KeyName = origin.parse()?;
        let verifier = VerifierKey::new(name, &self.public_key())?;
        Ok(LogKey { seed: self, verifier })
    }
}

impl fmt::Debug for LogSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogSeed(…)")
    }
}

fn malformed(path: &Path) -> FileError {
    FileError::Malformed {
        path: path.to_owned(),
        expected: "an ed25519 seed in 64 lower-case hex characters",
    }
}

/// The log key of a deployment.
#[derive(Debug)]
pub struct LogKey {
    seed: LogSeed,
    verifier: VerifierKey,
}

impl LogKey {
    /// An Ed25519 signature (RFC 8032).
    fn sign_bytes(&self, bytes: &[u8]) -> [u8; 64] {
        self.seed.0.sign(bytes).to_bytes()
    }
}

impl CheckpointSigner for LogKey {
    fn verifier_key(&self) -> &VerifierKey {
        &self.verifier
    }

    fn sign(&self, text: &[u8]) -> Result<[u8; 64], SignCheckpointError> {
        Ok(self.sign_bytes(text))
    }
}

impl Notary for LogKey {
    fn sign(&self, text: &[u8]) -> [u8; 64] {
        self.sign_bytes(text)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_seed_is_written_once_and_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.key");
        let made = LogSeed::generate(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(LogSeed::read(&path).unwrap().public_key(), made.public_key());
        let again = LogSeed::generate(&path).unwrap_err();
        assert!(matches!(again, LogKeyError::File(FileError::Exists(_))), "{again}");
        assert_eq!(LogSeed::read(&path).unwrap().public_key(), made.public_key());
        assert_eq!(format!("{made:?}"), "LogSeed(…)");
    }

    /// RFC 8032, section 7.1, test 1.
    #[test]
    fn published_vector() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.key");
        let seed = b"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
        files::write_new(&path, seed, Access::Secret).unwrap();
        let key = LogSeed::read(&path).unwrap().with_origin("log.example/1").unwrap();
        let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        assert_eq!(hex::encode(key.verifier_key().public_key()), public);
        assert_eq!(
            hex::encode(CheckpointSigner::sign(&key, b"").unwrap()),
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
        );
    }

    #[test]
    fn what_is_no_seed_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
        let table = [
            String::new(),
            seed.replacen(char::is_alphanumeric, "", 1),
            format!("{seed}00"),
            format!("{seed}\n\n"),
            format!(" {seed}"),
            seed.to_uppercase(),
            seed.replace('9', "g"),
        ];
        for (at, text) in table.into_iter().enumerate() {
            let path = folder.path().join(at.to_string());
            files::write_new(&path, text.as_bytes(), Access::Secret).unwrap();
            let error = LogSeed::read(&path).unwrap_err();
            assert!(
                matches!(error, LogKeyError::File(FileError::Malformed { .. })),
                "{text}: {error}"
            );
            assert!(!error.to_string().contains("61b19d"), "{error}");
        }
    }

    #[test]
    fn an_origin_that_is_no_key_name_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let seed = LogSeed::generate(&folder.path().join("log.key")).unwrap();
        assert!(matches!(seed.with_origin("a+b"), Err(LogKeyError::BadOrigin(_))));
    }
}
