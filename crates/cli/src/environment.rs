//! The environment folder: where everything of one deployment lies (made by `countersign init`).

use std::path::{Path, PathBuf};

use countersign_approval::Genesis;
use countersign_types::{PrincipalId, TenantId};
use serde::{Deserialize, Serialize};

use crate::{
    failure::{Failure, Result},
    files,
};

const FORMAT: &str = "countersign.environment/1";

/// Where the wallet keys of an environment live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Backend {
    /// In a SoftHSM token, through PKCS#11.
    Pkcs11,
    /// In an encrypted file, for development only.
    InsecureDev,
}

/// `environment.json`: names that the other files do not carry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    format: String,
    backend: Backend,
    tenant: TenantId,
    initiator: PrincipalId,
}

/// One environment folder.
#[derive(Debug, Clone)]
pub(crate) struct Environment {
    folder: PathBuf,
    record: Record,
}

/// The paths below an environment folder. Absolute, so that child processes may run anywhere.
#[derive(Debug, Clone)]
pub(crate) struct Layout(PathBuf);

impl Layout {
    pub(crate) fn new(folder: &Path) -> Result<Self> {
        let absolute = std::path::absolute(folder).map_err(|error| Failure::file(folder, "find", error))?;
        Ok(Self(absolute))
    }

    pub(crate) fn root(&self) -> &Path {
        &self.0
    }
    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.0.join(below)
    }
    pub(crate) fn genesis(&self) -> PathBuf {
        self.path("genesis.json")
    }
    pub(crate) fn bundle(&self) -> PathBuf {
        self.path("bundle")
    }
    pub(crate) fn signer_config(&self) -> PathBuf {
        self.path("signer/signer.toml")
    }
    pub(crate) fn softhsm_config(&self) -> PathBuf {
        self.path("signer/token/softhsm2.conf")
    }
    pub(crate) fn orchestrator_config(&self) -> PathBuf {
        self.path("orchestrator/orchestrator.toml")
    }
    pub(crate) fn signer_ready(&self) -> PathBuf {
        self.path("run/signer.json")
    }
    pub(crate) fn orchestrator_ready(&self) -> PathBuf {
        self.path("run/orchestrator.json")
    }
    /// There while `countersign dev` runs and both processes answer.
    pub(crate) fn ready(&self) -> PathBuf {
        self.path("run/ready.json")
    }
    pub(crate) fn requests(&self) -> PathBuf {
        self.path("requests")
    }
    pub(crate) fn service_key(&self, service: &PrincipalId) -> PathBuf {
        self.path(&format!("services/{service}.key"))
    }
    pub(crate) fn person_key(&self, person: &PrincipalId) -> PathBuf {
        self.path(&format!("people/{person}/id_ed25519"))
    }
    pub(crate) fn certificate(&self, name: &str) -> PathBuf {
        self.path(&format!("tls/{name}.pem"))
    }
    pub(crate) fn certificate_key(&self, name: &str) -> PathBuf {
        self.path(&format!("tls/{name}.key"))
    }
    pub(crate) fn ca(&self) -> PathBuf {
        self.path("ca/ca.pem")
    }

    /// Marks the folder as a complete environment.
    pub(crate) fn complete(&self, backend: Backend, tenant: &TenantId, initiator: &PrincipalId) -> Result<()> {
        let record = Record {
            format: FORMAT.to_owned(),
            backend,
            tenant: tenant.clone(),
            initiator: initiator.clone(),
        };
        files::write_json(&self.path("environment.json"), &record)
    }
}

impl Environment {
    /// Opens a folder that `countersign init` completed.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        let layout = Layout::new(folder)?;
        let path = layout.path("environment.json");
        let advice = "`countersign init --dir …` makes an environment";
        let record: Record = files::read_json(&path).map_err(|failure| failure.advise(advice))?;
        if record.format != FORMAT {
            return Err(Failure::file(&path, "understand", format!("its format is not `{FORMAT}`")).advise(advice));
        }
        Ok(Self {
            folder: layout.0,
            record,
        })
    }

    pub(crate) fn layout(&self) -> Layout {
        Layout(self.folder.clone())
    }
    pub(crate) fn backend(&self) -> Backend {
        self.record.backend
    }
    pub(crate) fn tenant(&self) -> &TenantId {
        &self.record.tenant
    }
    pub(crate) fn initiator(&self) -> &PrincipalId {
        &self.record.initiator
    }

    /// The pinned trust root.
    pub(crate) fn genesis(&self) -> Result<Genesis> {
        read_genesis(&self.layout().genesis())
    }
}

/// Reads a pinned trust root.
pub(crate) fn read_genesis(path: &Path) -> Result<Genesis> {
    Genesis::parse(&files::read(path)?)
        .map_err(|error| Failure::failed(format!("`{}` is no trust root: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_opens_once_it_is_complete() {
        let folder = tempfile::tempdir().unwrap();
        let failure = Environment::open(folder.path()).unwrap_err();
        assert!(failure.to_string().contains("countersign init"), "{failure}");
        let layout = Layout::new(folder.path()).unwrap();
        let (tenant, initiator) = (
            TenantId::parse("main").unwrap(),
            PrincipalId::parse("payout-service").unwrap(),
        );
        layout.complete(Backend::InsecureDev, &tenant, &initiator).unwrap();
        let environment = Environment::open(folder.path()).unwrap();
        assert_eq!(
            (environment.backend(), environment.tenant()),
            (Backend::InsecureDev, &tenant)
        );
        let record = layout.path("environment.json");
        let changed = files::read_text(&record)
            .unwrap()
            .replace("environment/1", "environment/2");
        files::write(&record, changed.as_bytes()).unwrap();
        assert!(
            Environment::open(folder.path())
                .unwrap_err()
                .message()
                .contains("its format is not")
        );
    }
}
