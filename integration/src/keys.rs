//! More wallet keys than the one that `countersign init` makes.

use std::{fs, process::Command};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::{Binaries, Deployment};

impl Deployment {
    /// Generates a key in the token or keystore, with the signer's own command; `algorithm` is `secp256k1` or `ed25519`. The
    /// public key's text.
    pub fn generate_key(&self, label: &str, algorithm: &str) -> Result<String> {
        let mut keygen = Command::new(Binaries::locate()?.path("countersign-signer"));
        keygen
            .arg("keygen")
            .arg("--config")
            .arg(self.path("signer/signer.toml"));
        keygen.args(["--algorithm", algorithm, "--label", label]);
        // Other backends ignore it.
        keygen.env("SOFTHSM2_CONF", self.path("signer/token/softhsm2.conf"));
        let made = keygen.output().context("cannot run `countersign-signer`")?;
        if !made.status.success() {
            bail!("keygen failed:\n{}", String::from_utf8_lossy(&made.stderr));
        }
        let made: Value = serde_json::from_slice(&made.stdout)?;
        let key = made.get("public_key").and_then(Value::as_str);
        Ok(key.context("keygen printed no `public_key`")?.to_owned())
    }

    /// Has the signer open these keys too, from its next start on.
    pub fn open_keys(&self, keys: &[String]) -> Result<()> {
        let path = self.path("signer/signer.toml");
        let config = fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
        let changed = with_keys(&config, keys)?;
        fs::write(&path, changed).with_context(|| format!("cannot write `{}`", path.display()))
    }
}

/// signer.toml, opening these keys as well.
fn with_keys(config: &str, keys: &[String]) -> Result<String> {
    let (head, tail) = config.split_once("\nkeys = [").context("signer.toml has no `keys`")?;
    let more: String = keys.iter().map(|key| format!("\"{key}\", ")).collect();
    Ok(format!("{head}\nkeys = [{more}{tail}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_keys_are_opened() {
        let keys = [2, 3].map(|n| format!("secp256k1:0{n}"));
        let config = "[backend]\nkind = \"pkcs11\"\nkeys = [\"secp256k1:01\"]\n[x]\n";
        let expected =
            "[backend]\nkind = \"pkcs11\"\nkeys = [\"secp256k1:02\", \"secp256k1:03\", \"secp256k1:01\"]\n[x]\n";
        assert_eq!(with_keys(config, &keys).unwrap(), expected);
        assert!(with_keys("[backend]\n", &keys).is_err());
    }
}
