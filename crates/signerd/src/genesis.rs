//! The trust root and the log key that it pins.

use std::path::{Path, PathBuf};

use countersign_approval::{Environment, Genesis, GenesisError};

use crate::{
    config::Config,
    files::{self, Access, FileError},
    log_key::{LogKey, LogKeyError, LogSeed},
};

/// Why there is no trust root to start under.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// Not a genesis.
    #[error("`{}`: {source}", path.display())]
    Genesis {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: GenesisError,
    },
    /// The log key.
    #[error(transparent)]
    LogKey(#[from] LogKeyError),
    /// The genesis pins another log key.
    #[error(
        "the genesis pins log key `ed25519:{pinned}`, `{}` holds `ed25519:{found}`; use the state directory whose key was \
         pinned, or make the genesis with this key", path.display()
    )]
    OtherLogKey {
        /// What the genesis pins, in hex.
        pinned: String,
        /// What the file holds, in hex.
        found: String,
        /// The file.
        path: PathBuf,
    },
    /// A development backend under a production genesis.
    #[error("kind `insecure-dev` is refused under a production genesis; use a token")]
    DevelopmentBackend,
}

/// A trust root with the log key that it pins.
#[derive(Debug)]
pub struct TrustRoot {
    /// The genesis.
    pub genesis: Genesis,
    /// The bytes that its hash is over.
    pub bytes: Vec<u8>,
    /// The log key.
    pub log_key: LogKey,
}

impl TrustRoot {
    /// Reads a genesis file and holds it against the log key and the backend of the configuration.
    pub fn read(path: &Path, config: &Config) -> Result<Self, TrustError> {
        let bytes = files::read_trusted(path)?;
        let malformed = |source| TrustError::Genesis {
            path: path.to_owned(),
            source,
        };
        let genesis = Genesis::parse(&bytes).map_err(malformed)?;
        if genesis.environment() == Environment::Production && config.backend.is_development() {
            return Err(TrustError::DevelopmentBackend);
        }
        let seed = LogSeed::read(&config.log_key_file())?;
        if seed.public_key() != *genesis.log_key() {
            return Err(TrustError::OtherLogKey {
                pinned: hex::encode(genesis.log_key()),
                found: hex::encode(seed.public_key()),
                path: config.log_key_file(),
            });
        }
        let log_key = seed.with_origin(genesis.log_origin())?;
        Ok(Self {
            genesis,
            bytes,
            log_key,
        })
    }

    /// Pins the genesis in the state directory. The same bytes again are fine: an `init` that was interrupted goes on.
    pub fn pin(&self, config: &Config) -> Result<(), TrustError> {
        let path = config.genesis_file();
        match files::write_new(&path, &self.bytes, Access::Public) {
            Err(FileError::Exists(_)) if files::read_trusted(&path)? == self.bytes => Ok(()),
            written => Ok(written?),
        }
    }
}
