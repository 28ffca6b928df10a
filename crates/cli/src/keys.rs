//! Keys that sign statements: OpenSSH files of people, plain seeds of services, keys inside an ssh-agent.
//!
//! Private keys are read from files whose paths are arguments, never from the command line itself. An encrypted OpenSSH key
//! is not decrypted here: `ssh-add` it and use `--agent`.

use std::path::Path;

use countersign_approval::{Ed25519Signer, KeyRecord, SealError, SshSigner, StatementSigner};
use ssh_key::{
    LineEnding, PrivateKey,
    private::{Ed25519Keypair, KeypairData},
    public::KeyData,
};
use zeroize::{Zeroize as _, Zeroizing};

use crate::{
    agent::{Agent, AgentSigner},
    clock,
    failure::{Failure, Result},
    files,
};

/// A key that can sign, and what a roster would list it as.
pub(crate) struct SigningKey {
    signer: Box<dyn StatementSigner>,
    record: KeyRecord,
}

impl SigningKey {
    /// Reads a key file: an OpenSSH private key, or the 64 hex characters of a service's Ed25519 seed.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let bytes = files::read_secret(path)?;
        let is_openssh = bytes.starts_with(b"-----BEGIN");
        let key = if is_openssh {
            Self::openssh(&bytes)
        } else {
            Self::seed(&bytes)
        };
        key.map_err(|failure| failure.within(format!("key `{}`", path.display())))
    }

    fn openssh(bytes: &[u8]) -> Result<Self> {
        let key = PrivateKey::from_openssh(bytes)
            .map_err(|error| Failure::failed(format!("not an OpenSSH private key: {error}")))?;
        if key.is_encrypted() {
            return Err(Failure::failed("the key is encrypted, and is not decrypted here")
                .advise("add it to an agent with `ssh-add` and use `--agent`"));
        }
        let record = record_of(key.public_key().key_data())?;
        Ok(Self {
            signer: Box::new(SshSigner::new(key)),
            record,
        })
    }

    fn seed(bytes: &[u8]) -> Result<Self> {
        let mut seed = Zeroizing::new([0; 32]);
        hex::decode_to_slice(bytes.trim_ascii_end(), seed.as_mut_slice())
            .map_err(|_| Failure::failed("neither an OpenSSH private key nor 64 hex characters"))?;
        let key = ed25519_dalek::SigningKey::from_bytes(&seed);
        let record = KeyRecord::Ed25519(key.verifying_key().to_bytes());
        Ok(Self {
            signer: Box::new(Ed25519Signer::new(key)),
            record,
        })
    }

    /// A key inside the agent behind `SSH_AUTH_SOCK`, named by its public key file.
    pub(crate) fn in_agent(public: &Path) -> Result<Self> {
        let text = files::read_text(public)?;
        let key = ssh_key::PublicKey::from_openssh(text.trim_end())
            .map_err(|error| Failure::file(public, "understand", error))?;
        let record = record_of(key.key_data())?;
        let signer = AgentSigner::new(Agent::from_environment()?, key.key_data().clone())?;
        Ok(Self {
            signer: Box::new(signer),
            record,
        })
    }

    /// The key as a roster knows it.
    pub(crate) fn record(&self) -> &KeyRecord {
        &self.record
    }
}

impl StatementSigner for SigningKey {
    fn sign(&self, namespace: &str, message: &[u8]) -> std::result::Result<(String, Vec<u8>), SealError> {
        self.signer.sign(namespace, message)
    }
}

fn record_of(key: &KeyData) -> Result<KeyRecord> {
    let line = ssh_key::PublicKey::new(key.clone(), "")
        .to_openssh()
        .map_err(Failure::failed)?;
    KeyRecord::parse(&line).map_err(Failure::failed)
}

/// Makes an OpenSSH key without a passphrase and returns its public line.
pub(crate) fn generate_openssh(path: &Path, comment: &str) -> Result<String> {
    let mut seed = clock::random::<32>()?;
    let pair = Ed25519Keypair::from_seed(&seed);
    seed.zeroize();
    let key = PrivateKey::new(KeypairData::Ed25519(pair), comment).map_err(Failure::failed)?;
    let private = key.to_openssh(LineEnding::LF).map_err(Failure::failed)?;
    files::write_secret(path, private.as_bytes())?;
    let public = key.public_key().to_openssh().map_err(Failure::failed)?;
    files::write(&path.with_extension("pub"), format!("{public}\n").as_bytes())?;
    Ok(public)
}

/// Makes a service's Ed25519 seed and returns its public key as a roster lists it.
pub(crate) fn generate_seed(path: &Path) -> Result<String> {
    let mut seed = clock::random::<32>()?;
    let public = ed25519_dalek::SigningKey::from_bytes(&seed).verifying_key();
    let text = Zeroizing::new(format!("{}\n", Zeroizing::new(hex::encode(seed)).as_str()));
    seed.zeroize();
    files::write_secret(path, text.as_bytes())?;
    Ok(format!("ed25519:{}", hex::encode(public.as_bytes())))
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt as _, process::Command};

    use super::*;

    #[test]
    fn generated_keys_read_back_as_the_roster_lists_them() {
        let folder = tempfile::tempdir().unwrap();
        let (ssh, seed) = (folder.path().join("id_ed25519"), folder.path().join("service.key"));
        let lines = [generate_openssh(&ssh, "alice").unwrap(), generate_seed(&seed).unwrap()];
        for (path, line) in [&ssh, &seed].into_iter().zip(&lines) {
            assert_eq!(
                *SigningKey::read(path).unwrap().record(),
                KeyRecord::parse(line).unwrap()
            );
            assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let public = files::read_text(&folder.path().join("id_ed25519.pub")).unwrap();
        assert_eq!(public, format!("{}\n", lines[0]));
    }

    #[test]
    fn ssh_keygen_reads_what_we_write() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("id_ed25519");
        let line = generate_openssh(&path, "alice").unwrap();
        let out = Command::new("ssh-keygen")
            .arg("-y")
            .arg("-f")
            .arg(&path)
            .output()
            .unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        assert_eq!(String::from_utf8(out.stdout).unwrap().trim_end(), line);
    }

    #[test]
    fn other_files_are_refused_and_encrypted_keys_lead_to_the_agent() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        for bad in [
            "",
            "zz",
            &"0".repeat(63),
            &"0".repeat(65),
            "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n",
        ] {
            files::write_secret(&path, bad.as_bytes()).unwrap();
            let failure = SigningKey::read(&path).map(drop).unwrap_err();
            assert!(failure.message().contains("/key`: "), "{failure}");
        }
        let locked = folder.path().join("locked");
        let mut keygen = Command::new("ssh-keygen");
        keygen
            .args(["-q", "-t", "ed25519", "-N", "hunter22", "-f"])
            .arg(&locked);
        assert!(keygen.status().unwrap().success());
        let failure = SigningKey::read(&locked).map(drop).unwrap_err();
        assert!(failure.to_string().contains("--agent"), "{failure}");
    }
}
