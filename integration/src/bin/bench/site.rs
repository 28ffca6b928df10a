//! A deployment with many wallets: what `countersign init` makes, then more keys, and a second bundle that its admins
//! activate. Withdrawals of one wallet follow each other (its nonces have no gaps), so many in flight need many wallets.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};
use clap::ValueEnum;
use countersign_approval::Ed25519Signer;
use countersign_integration::{self as integration, Deployment};
use countersign_types::{GenesisHash, WalletId};
use serde::Serialize;

use crate::process::{cpu_of, end};

/// What one orchestrator with its default bounds serves: 256 watchers, 256 streams of one connection.
pub(crate) const MAX_WALLETS: u32 = 128;
/// The wallet that `countersign init` makes.
const FIRST_WALLET: &str = "eth-hot";

/// Where the wallet keys live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Backend {
    /// In a SoftHSM token.
    Pkcs11,
    /// In the encrypted development keystore.
    InsecureDev,
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pkcs11 => "pkcs11",
            Self::InsecureDev => "insecure-dev",
        })
    }
}

impl From<Backend> for integration::Backend {
    fn from(backend: Backend) -> Self {
        match backend {
            Backend::Pkcs11 => Self::Pkcs11,
            Backend::InsecureDev => Self::InsecureDev,
        }
    }
}

/// A wallet and the nonce that its next withdrawal takes.
#[derive(Debug, Clone)]
pub(crate) struct Wallet {
    pub(crate) id: WalletId,
    pub(crate) next_nonce: u64,
}

/// A deployment whose processes run when they are measured.
pub(crate) struct Site {
    pub(crate) deployment: Deployment,
    pub(crate) backend: Backend,
    pub(crate) genesis: GenesisHash,
    pub(crate) initiator: Ed25519Signer,
    pub(crate) wallets: Vec<Wallet>,
}

impl Site {
    /// Makes the deployment and puts a bundle with `wallets` wallets in force. Nothing runs yet.
    pub(crate) async fn make(backend: Backend, wallets: u32) -> Result<Self> {
        let made = Deployment::init_on(backend.into());
        let deployment = made.context("where SoftHSM is missing: --backend insecure-dev")?;
        let mut site = Self {
            genesis: deployment.genesis()?.hash(),
            initiator: deployment.initiator()?,
            wallets: vec![wallet(FIRST_WALLET)?],
            deployment,
            backend,
        };
        if wallets > 1 {
            site.add_wallets(wallets).await?;
        }
        Ok(site)
    }

    async fn add_wallets(&mut self, wallets: u32) -> Result<()> {
        let mut keys = Vec::new();
        for number in 2..=wallets {
            let id = format!("bench-{number}");
            keys.push((id.clone(), self.deployment.generate_key(&id, "secp256k1")?));
            self.wallets.push(wallet(&id)?);
        }
        let texts: Vec<String> = keys.iter().map(|(_, key)| key.clone()).collect();
        self.deployment.open_keys(&texts)?;
        let files = self.path("bench-bundle");
        copy_folder(&self.path("bundle"), &files)?;
        fs::remove_file(files.join("manifest.json"))?;
        rewrite(&files.join("wallets.yaml"), |yaml| Ok(with_wallets(yaml, &keys)))?;
        rewrite(&files.join("policy.yaml"), |yaml| permitting(yaml, &keys))?;
        self.activate(&files).await
    }

    async fn activate(&mut self, files: &Path) -> Result<()> {
        self.deployment.start_signer().await?;
        let keys = ["alice", "bob"].map(|admin| self.path(&format!("people/{admin}/id_ed25519")));
        let mut arguments: Vec<_> = ["bundle", "activate", "--as", "alice", "--files"]
            .map(Into::into)
            .to_vec();
        arguments.push(files.as_os_str().to_owned());
        for key in keys {
            arguments.extend(["--key".into(), key.into_os_string()]);
        }
        let activated = self.deployment.countersign(arguments, true)?;
        if !activated.status.success() {
            bail!(
                "the bundle was not activated: {}",
                String::from_utf8_lossy(&activated.stderr).trim()
            );
        }
        self.stop_signer().await
    }

    /// Stops both, the caller before the called, so that both say their last words and close their databases.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        end(self.orchestrator_id()?).await?;
        self.deployment.kill_orchestrator()?;
        self.stop_signer().await
    }

    async fn stop_signer(&mut self) -> Result<()> {
        end(self.signer_id()?).await?;
        self.deployment.kill_signer()
    }

    pub(crate) fn signer_id(&self) -> Result<u32> {
        let process = self.deployment.signer_process().context("the signer does not run")?;
        Ok(process.id())
    }

    pub(crate) fn orchestrator_id(&self) -> Result<u32> {
        let process = self
            .deployment
            .orchestrator_process()
            .context("the orchestrator does not run")?;
        Ok(process.id())
    }

    /// CPU time of signer and orchestrator so far.
    pub(crate) fn cpu(&self) -> Result<(std::time::Duration, std::time::Duration)> {
        Ok((cpu_of(self.signer_id()?)?, cpu_of(self.orchestrator_id()?)?))
    }

    /// Commits of the signer's journal since it was made. The newer slot of the anchor names the last one, and is written
    /// after every commit before anything is answered (DESIGN.md §8).
    pub(crate) fn journal_commits(&self) -> Result<u32> {
        let path = self.path("signer/state/anchor");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
        let numbers = text.lines().filter_map(|line| line.strip_prefix("commit "));
        let numbers: Result<Vec<u32>, _> = numbers.map(str::parse).collect();
        let newest = numbers.context("the anchor's commit is no number")?.into_iter().max();
        newest.context("the anchor names no commit")
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.deployment.path(below)
    }

    /// For every process that loads SoftHSM's module; others ignore it.
    pub(crate) fn softhsm_config(&self) -> PathBuf {
        self.path("signer/token/softhsm2.conf")
    }

    /// A setting of signer.toml.
    pub(crate) fn signer_setting(&self, name: &str) -> Result<String> {
        let config = fs::read_to_string(self.path("signer/signer.toml"))?;
        setting(&config, name).with_context(|| format!("signer.toml has no `{name}`"))
    }
}

fn wallet(id: &str) -> Result<Wallet> {
    Ok(Wallet {
        id: WalletId::parse(id)?,
        next_nonce: 0,
    })
}

fn rewrite(path: &Path, change: impl Fn(&str) -> Result<String>) -> Result<()> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    fs::write(path, change(&text)?).with_context(|| format!("cannot write `{}`", path.display()))
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn setting(config: &str, name: &str) -> Option<String> {
    let value = |line: &str| {
        Some(
            line.strip_prefix(name)?
                .trim_start()
                .strip_prefix('=')?
                .trim()
                .to_owned(),
        )
    };
    Some(config.lines().find_map(value)?.trim_matches('"').to_owned())
}

/// wallets.yaml with these wallets behind its own.
fn with_wallets(yaml: &str, keys: &[(String, String)]) -> String {
    let entry = |(id, key): &(String, String)| {
        let network = "      - { chain: \"eip155:31337\", first-nonce: 0 }";
        format!("  - id: {id}\n    tier: hot\n    keys:\n      - \"{key}\"\n    networks:\n{network}\n")
    };
    let more: String = keys.iter().map(entry).collect();
    format!("{}\n{more}", yaml.trim_end())
}

/// policy.yaml, permitting them what it permits the first wallet.
fn permitting(yaml: &str, keys: &[(String, String)]) -> Result<String> {
    let one = format!("wallets: [{FIRST_WALLET}]");
    ensure!(yaml.contains(&one), "policy.yaml has no `{one}`");
    let more: String = keys.iter().map(|(id, _)| format!(", {id}")).collect();
    Ok(yaml.replace(&one, &format!("wallets: [{FIRST_WALLET}{more}]")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Vec<(String, String)> {
        [2, 3]
            .map(|n| (format!("bench-{n}"), format!("secp256k1:0{n}")))
            .to_vec()
    }

    #[test]
    fn more_wallets_are_permitted_what_the_first_is() {
        let yaml = "permits:\n  - wallets: [eth-hot]\n  - wallets: [eth-hot]\n  - wallets: [eth-cold]\n";
        let changed = permitting(yaml, &keys()).unwrap();
        assert_eq!(changed.matches("wallets: [eth-hot, bench-2, bench-3]").count(), 2);
        assert!(changed.contains("[eth-cold]"));
        assert!(permitting("permits: []\n", &keys()).is_err());
    }

    #[test]
    fn wallets_stand_behind_the_first() {
        let yaml = with_wallets("wallets:\n  - id: eth-hot\n\n", &keys());
        let ids: Vec<&str> = yaml.lines().filter_map(|line| line.strip_prefix("  - id: ")).collect();
        assert_eq!(ids, ["eth-hot", "bench-2", "bench-3"]);
        assert_eq!(yaml.matches("first-nonce: 0").count(), 2);
    }

    #[test]
    fn settings_are_read_by_their_whole_name() {
        let config = "so_pin_file = \"so-pin\"\npin_file = \"pin\"\nsessions = 2\n";
        assert_eq!(setting(config, "pin_file").as_deref(), Some("pin"));
        assert_eq!(setting(config, "sessions").as_deref(), Some("2"));
        assert_eq!(setting(config, "session"), None);
    }
}
