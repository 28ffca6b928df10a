//! The configuration file: TOML, unknown fields are errors, relative paths start at the file's own folder.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use countersign_backend_pkcs11::{DEFAULT_SESSIONS, MAX_SESSIONS};
use countersign_proto::tls::Pem;
use countersign_types::PublicKey;
use serde::Deserialize;

use crate::files::{self, FileError};

/// Everything that the signer process is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Journal, anchor, log key and genesis.
    pub state_dir: PathBuf,
    /// Where `serve` writes its addresses once it listens.
    pub ready_file: PathBuf,
    /// Where the journal is.
    pub journal: JournalPlace,
    /// Where the keys are.
    pub backend: Backend,
    /// For orchestrators.
    pub orchestrator_listener: Listener,
    /// For people and auditors.
    pub people_listener: Listener,
}

/// Where the journal is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JournalPlace {
    /// In a file, for this signer alone.
    Sqlite(PathBuf),
    /// In a PostgreSQL database that several signers share; its address, a secret, is in this file.
    Postgres {
        /// The file.
        url_file: PathBuf,
    },
}

/// Where the keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Backend {
    /// In a PKCS#11 token.
    Pkcs11(Pkcs11),
    /// In an encrypted file, for development.
    InsecureDev(InsecureDev),
}

/// A token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pkcs11 {
    /// The module, a shared library.
    pub module: PathBuf,
    /// The token's label.
    pub token: String,
    /// The file with the user PIN.
    pub pin_file: PathBuf,
    /// The file with the security officer's PIN; only `token-init` reads it.
    pub so_pin_file: Option<PathBuf>,
    /// Sessions, and so threads.
    pub sessions: usize,
    /// The keys to open.
    pub keys: Vec<PublicKey>,
}

/// A keystore for development.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InsecureDev {
    /// The keystore file.
    pub keystore: PathBuf,
    /// The file with its passphrase.
    pub passphrase_file: PathBuf,
    /// The keys to open.
    pub keys: Vec<PublicKey>,
}

/// One listener.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// The address; port 0 takes a free one, and the ready line says which.
    pub listen: SocketAddr,
    /// Our certificate chain (PEM).
    pub certificate: PathBuf,
    /// Its private key (PEM), a secret.
    pub key: PathBuf,
    /// The CA that clients' certificates come from (PEM).
    pub client_ca: PathBuf,
}

/// Why the configuration does not load.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// Not the TOML that is expected; the message has line and column.
    #[error("`{}`: {source}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What and where.
        source: Box<toml::de::Error>,
    },
    /// A field that the backend's kind needs.
    #[error("`backend.{field}` is missing; kind `{kind}` needs it")]
    Missing {
        /// The kind.
        kind: &'static str,
        /// The field.
        field: &'static str,
    },
    /// A field of the other kind.
    #[error("`backend.{field}` does not belong to kind `{kind}`; remove it")]
    Foreign {
        /// The kind.
        kind: &'static str,
        /// The field.
        field: &'static str,
    },
    /// Neither kind.
    #[error("`backend.kind` is `{0}`; it is `pkcs11` or `insecure-dev`")]
    UnknownKind(String),
    /// No session, or more than a token needs.
    #[error("`backend.sessions` is {0}; it is 1 to {MAX_SESSIONS}")]
    BadSessions(usize),
    /// Both places of a journal, or none.
    #[error("`journal` has one of `sqlite` and `postgres_url_file`; without `journal` it is a file in `state_dir`")]
    BadJournal,
    /// A key twice.
    #[error("`backend.keys` names `{0}` twice")]
    RepeatedKey(PublicKey),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConfig {
    state_dir: PathBuf,
    ready_file: PathBuf,
    journal: Option<RawJournal>,
    backend: RawBackend,
    orchestrator_listener: Listener,
    people_listener: Listener,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawJournal {
    sqlite: Option<PathBuf>,
    postgres_url_file: Option<PathBuf>,
}

impl RawJournal {
    fn certify(self, folder: &Path) -> Result<JournalPlace, ConfigError> {
        match (self.sqlite, self.postgres_url_file) {
            (Some(path), None) => Ok(JournalPlace::Sqlite(folder.join(path))),
            (None, Some(path)) => Ok(JournalPlace::Postgres {
                url_file: folder.join(path),
            }),
            (None, None) | (Some(_), Some(_)) => Err(ConfigError::BadJournal),
        }
    }
}

/// Flat: a tagged enum would lose line and column.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBackend {
    kind: String,
    #[serde(default)]
    keys: Vec<PublicKey>,
    module: Option<PathBuf>,
    token: Option<String>,
    pin_file: Option<PathBuf>,
    so_pin_file: Option<PathBuf>,
    sessions: Option<usize>,
    keystore: Option<PathBuf>,
    passphrase_file: Option<PathBuf>,
}

impl Config {
    /// Reads and checks a file. It is not a secret, but not everybody may change it.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let bytes = files::read_trusted(path)?;
        let malformed = |source| ConfigError::Malformed {
            path: path.to_owned(),
            source: Box::new(source),
        };
        let raw: RawConfig = toml::from_slice(&bytes).map_err(malformed)?;
        // Absolute: the dynamic loader searches its own folders for a module that is named without one.
        let path = std::path::absolute(path).map_err(|source| FileError::Io {
            action: "find",
            path: path.to_owned(),
            source,
        })?;
        let folder = path.parent().unwrap_or(Path::new("/"));
        let state_dir = folder.join(raw.state_dir);
        let journal = match raw.journal {
            Some(journal) => journal.certify(folder)?,
            None => JournalPlace::Sqlite(state_dir.join("journal.sqlite")),
        };
        Ok(Self {
            state_dir,
            journal,
            ready_file: folder.join(raw.ready_file),
            backend: raw.backend.certify()?.below(folder),
            orchestrator_listener: raw.orchestrator_listener.below(folder),
            people_listener: raw.people_listener.below(folder),
        })
    }

    /// The seed of the log key.
    pub fn log_key_file(&self) -> PathBuf {
        self.state_dir.join("log.key")
    }
    /// The pinned trust root.
    pub fn genesis_file(&self) -> PathBuf {
        self.state_dir.join("genesis.json")
    }
    /// The journal's anchor.
    pub fn anchor_file(&self) -> PathBuf {
        self.state_dir.join("anchor")
    }
}

impl Backend {
    /// The name in configuration and logs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Pkcs11(_) => PKCS11,
            Self::InsecureDev(_) => INSECURE_DEV,
        }
    }

    /// Whether production refuses it.
    pub fn is_development(&self) -> bool {
        matches!(self, Self::InsecureDev(_))
    }

    fn below(mut self, folder: &Path) -> Self {
        match &mut self {
            Self::Pkcs11(token) => {
                token.module = folder.join(&token.module);
                token.pin_file = folder.join(&token.pin_file);
                token.so_pin_file = token.so_pin_file.take().map(|path| folder.join(path));
            }
            Self::InsecureDev(store) => {
                store.keystore = folder.join(&store.keystore);
                store.passphrase_file = folder.join(&store.passphrase_file);
            }
        }
        self
    }
}

const PKCS11: &str = "pkcs11";
const INSECURE_DEV: &str = "insecure-dev";

impl RawBackend {
    fn certify(self) -> Result<Backend, ConfigError> {
        for (at, key) in self.keys.iter().enumerate() {
            if self.keys.iter().take(at).any(|earlier| earlier == key) {
                return Err(ConfigError::RepeatedKey(*key));
            }
        }
        match self.kind.as_str() {
            PKCS11 => self.certify_pkcs11(),
            INSECURE_DEV => self.certify_insecure_dev(),
            _ => Err(ConfigError::UnknownKind(self.kind.escape_default().take(64).collect())),
        }
    }

    fn certify_pkcs11(self) -> Result<Backend, ConfigError> {
        let kind = PKCS11;
        let sessions = self.sessions.unwrap_or(DEFAULT_SESSIONS);
        refuse(kind, "keystore", self.keystore.is_some())?;
        refuse(kind, "passphrase_file", self.passphrase_file.is_some())?;
        if !(1..=MAX_SESSIONS).contains(&sessions) {
            return Err(ConfigError::BadSessions(sessions));
        }
        Ok(Backend::Pkcs11(Pkcs11 {
            module: require(kind, "module", self.module)?,
            token: require(kind, "token", self.token)?,
            pin_file: require(kind, "pin_file", self.pin_file)?,
            so_pin_file: self.so_pin_file,
            sessions,
            keys: self.keys,
        }))
    }

    fn certify_insecure_dev(self) -> Result<Backend, ConfigError> {
        let kind = INSECURE_DEV;
        refuse(kind, "module", self.module.is_some())?;
        refuse(kind, "token", self.token.is_some())?;
        refuse(kind, "pin_file", self.pin_file.is_some())?;
        refuse(kind, "so_pin_file", self.so_pin_file.is_some())?;
        refuse(kind, "sessions", self.sessions.is_some())?;
        Ok(Backend::InsecureDev(InsecureDev {
            keystore: require(kind, "keystore", self.keystore)?,
            passphrase_file: require(kind, "passphrase_file", self.passphrase_file)?,
            keys: self.keys,
        }))
    }
}

fn require<T>(kind: &'static str, field: &'static str, value: Option<T>) -> Result<T, ConfigError> {
    value.ok_or(ConfigError::Missing { kind, field })
}

fn refuse(kind: &'static str, field: &'static str, is_there: bool) -> Result<(), ConfigError> {
    if is_there {
        return Err(ConfigError::Foreign { kind, field });
    }
    Ok(())
}

impl Listener {
    fn below(mut self, folder: &Path) -> Self {
        for path in [&mut self.certificate, &mut self.key, &mut self.client_ca] {
            *path = folder.join(&*path);
        }
        self
    }

    /// The PEM files.
    pub fn pem(&self) -> Result<Pem, FileError> {
        Ok(Pem {
            ca: files::read_trusted(&self.client_ca)?,
            certificate: files::read_trusted(&self.certificate)?,
            key: files::read_secret(&self.key)?.to_vec(),
        })
    }
}

#[cfg(test)]
mod tests;
