//! The subcommands that set a signer up. Each does one thing, prints it, and refuses to do it over what exists.

use std::{
    fs::File,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use countersign_approval::Environment;
use countersign_decision::{Entry, EntryError, GenesisEntry};
use countersign_journal::{BadUrl, Database, JournalConfig, Limits, OpenError, PostgresUrl, SqlJournal};
use countersign_types::{Algorithm, GenesisHash, KeyId, PublicKey};
use serde::Serialize;

use crate::{
    clock::system_clock,
    config::{Config, JournalPlace},
    files::{self, FileError},
    genesis::{TrustError, TrustRoot},
    keys::{self, KeysError},
    log_key::{LogKey, LogKeyError, LogSeed},
};

/// Why a subcommand did nothing, or did not finish.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// A file or folder.
    #[error(transparent)]
    File(#[from] FileError),
    /// The log key.
    #[error(transparent)]
    LogKey(#[from] LogKeyError),
    /// The trust root.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The keys.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] NotOpened),
    /// The first log entry.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// The address of the journal's database.
    #[error("`{}`: {source}", path.display())]
    BadUrl {
        /// The file that holds it.
        path: PathBuf,
        /// What is wrong with it.
        source: BadUrl,
    },
    /// `join` with a journal of one's own.
    #[error("the configuration names no shared journal: set `journal.postgres_url_file` to join one, or use `init`")]
    NotShared,
    /// A journal or an anchor is there.
    #[error("`{}` exists: this signer was initialized before, and a journal is never made anew", .0.display())]
    Initialized(PathBuf),
    /// Another signer process works in the state directory.
    #[error("another signer process works in `{}`; stop it first", .0.display())]
    InUse(PathBuf),
}

/// The journal does not open. Where its database is a secret address, this names the file that the address was read from, and the
/// database as far as that is no secret.
#[derive(Debug, thiserror::Error)]
#[error("{source}{place}")]
pub struct NotOpened {
    /// Why.
    pub source: OpenError,
    /// Nothing, or words behind the message.
    place: String,
}

impl NotOpened {
    /// What the journal of a configuration said.
    pub(crate) fn at(config: &Config, database: &Database, source: OpenError) -> Self {
        let place = match (&config.journal, &source) {
            (JournalPlace::Postgres { url_file }, _) => {
                format!(
                    "; the journal is in {database}, whose address is in `{}`",
                    url_file.display()
                )
            }
            (JournalPlace::Sqlite(path), OpenError::Database(_)) => format!("; the journal is `{}`", path.display()),
            // These name the file, or another one that is meant.
            (JournalPlace::Sqlite(_), _) => String::new(),
        };
        Self { source, place }
    }
}

/// What `log-key` prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogKeyMade {
    /// `ed25519:` and the public key in hex, as genesis files have it.
    pub log_key: String,
}

/// What `keygen` prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyMade {
    /// The public key.
    pub public_key: PublicKey,
    /// Its id.
    pub key_id: KeyId,
}

/// What `token-init` prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BackendMade {
    /// The kind of backend.
    pub backend: &'static str,
}

/// What `init` prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Initialized {
    /// The genesis hash.
    pub deployment: GenesisHash,
    /// Production or development.
    pub environment: Environment,
}

/// Makes the state directory, if it is missing, and the log key.
pub fn log_key(config: &Config) -> Result<LogKeyMade, CommandError> {
    make_state_dir(&config.state_dir)?;
    let seed = LogSeed::generate(&config.log_key_file())?;
    Ok(LogKeyMade {
        log_key: format!("ed25519:{}", hex::encode(seed.public_key())),
    })
}

fn make_state_dir(path: &Path) -> Result<(), FileError> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| FileError::Io {
        action: "create",
        path: path.to_owned(),
        source,
    })?;
    files::verify_folder(path)
}

/// Sets up the token or keystore. Blocks.
pub fn token_init(config: &Config) -> Result<BackendMade, CommandError> {
    keys::init(&config.backend)?;
    Ok(BackendMade {
        backend: config.backend.kind(),
    })
}

/// Generates a key. Blocks.
pub fn keygen(config: &Config, label: &str, algorithm: Algorithm) -> Result<KeyMade, CommandError> {
    let public_key = keys::generate(&config.backend, label, algorithm)?;
    Ok(KeyMade {
        public_key,
        key_id: public_key.id(),
    })
}

/// Pins the trust root, in the token and in the state directory, and makes the journal with its first log entry.
pub async fn init(config: &Config, trust_root: &Path) -> Result<Initialized, CommandError> {
    files::verify_folder(&config.state_dir)?;
    let _lock = Lock::acquire(&config.state_dir)?;
    let own = match &config.journal {
        JournalPlace::Sqlite(path) => Some(path.clone()),
        JournalPlace::Postgres { .. } => None,
    };
    for path in own.into_iter().chain([config.anchor_file()]) {
        if std::fs::symlink_metadata(&path).is_ok() {
            return Err(CommandError::Initialized(path));
        }
    }
    let root = TrustRoot::read(trust_root, config)?;
    let (deployment, environment) = (root.genesis.hash(), root.genesis.environment());
    // The token first: what it refuses leaves nothing behind, and what was interrupted is done again.
    keys::pin_deployment(&config.backend, deployment)?;
    root.pin(config)?;
    let first = Entry::Genesis(GenesisEntry { deployment }).to_bytes()?;
    let journal = journal_config(config, deployment, Arc::new(root.log_key))?;
    let database = journal.database.clone();
    let created = SqlJournal::create(journal, first).await;
    let journal = created.map_err(|error| NotOpened::at(config, &database, error))?;
    journal.close().await;
    Ok(Initialized {
        deployment,
        environment,
    })
}

/// Sets up one more signer of a shared journal: pins the trust root, and verifies the journal against an anchor that was
/// copied from a signer that runs. An anchor is never invented.
pub async fn join(config: &Config, trust_root: &Path) -> Result<Initialized, CommandError> {
    files::verify_folder(&config.state_dir)?;
    let _lock = Lock::acquire(&config.state_dir)?;
    let JournalPlace::Postgres { .. } = &config.journal else {
        return Err(CommandError::NotShared);
    };
    let root = TrustRoot::read(trust_root, config)?;
    let (deployment, environment) = (root.genesis.hash(), root.genesis.environment());
    keys::pin_deployment(&config.backend, deployment)?;
    root.pin(config)?;
    let journal = journal_config(config, deployment, Arc::new(root.log_key))?;
    open_journal(config, journal).await?.close().await;
    Ok(Initialized {
        deployment,
        environment,
    })
}

/// The journal of the configuration.
pub fn journal_config(
    config: &Config,
    deployment: GenesisHash,
    log_key: Arc<LogKey>,
) -> Result<JournalConfig, CommandError> {
    Ok(JournalConfig {
        database: database(&config.journal)?,
        anchor_path: config.anchor_file(),
        deployment,
        checkpoint_signer: log_key,
        clock: system_clock(),
        limits: Limits::default(),
    })
}

/// Opens the journal of the configuration.
pub(crate) async fn open_journal(config: &Config, journal: JournalConfig) -> Result<SqlJournal, NotOpened> {
    let database = journal.database.clone();
    let opened = SqlJournal::open(journal).await;
    opened.map_err(|error| NotOpened::at(config, &database, error))
}

fn database(place: &JournalPlace) -> Result<Database, CommandError> {
    match place {
        JournalPlace::Sqlite(path) => Ok(Database::Sqlite(path.clone())),
        JournalPlace::Postgres { url_file } => {
            let url = files::read_secret_line(url_file)?;
            let url = PostgresUrl::parse(url.as_str()).map_err(|source| CommandError::BadUrl {
                path: url_file.clone(),
                source,
            })?;
            Ok(Database::Postgres(url))
        }
    }
}

/// Held by the one process that works in a state directory; the system releases it with the process. It is for the
/// operator who starts a second signer by mistake: what protects the journal is its own fence.
#[derive(Debug)]
pub struct Lock(File);

impl Drop for Lock {
    /// Closing is not enough: a child that was forked just now has the file until it becomes another program.
    fn drop(&mut self) {
        // Nothing is lost where it fails: the file is closed next.
        drop(self.0.unlock());
    }
}

impl Lock {
    /// Takes the lock, or says who is meant to stop.
    pub fn acquire(state_dir: &Path) -> Result<Self, CommandError> {
        let path = state_dir.join("lock");
        let opened = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path);
        let file = opened.map_err(|source| FileError::Io {
            action: "open",
            path: path.clone(),
            source,
        })?;
        match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self(file)),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(CommandError::InUse(state_dir.to_owned())),
            Err(errno) => Err(FileError::Io {
                action: "lock",
                path,
                source: errno.into(),
            }
            .into()),
        }
    }
}
