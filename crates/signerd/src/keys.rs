//! The key backend of the configuration: setting it up, generating keys, opening it; and the genesis in the token.

use std::{path::PathBuf, sync::Arc};

use countersign_backend_pkcs11::{Pin, Pkcs11Backend, Pkcs11Config, Token, TokenError, init_token};
use countersign_backend_soft::{Cost, KeystoreError, Passphrase, SoftBackend};
use countersign_signer::KeyBackend;
use countersign_types::{Algorithm, GenesisHash, PublicKey};

use crate::{
    config::{Backend, InsecureDev, Pkcs11},
    files::{self, FileError},
};

/// The label of the token's data object with the genesis hash as text.
const GENESIS_OBJECT: &str = "countersign-genesis";

/// Why the keys are not available. Every message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A secret file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The token.
    #[error("token `{label}`: {source}")]
    Token {
        /// The token's label.
        label: String,
        /// What is wrong with it.
        source: TokenError,
    },
    /// The keystore for development.
    #[error("keystore `{}`: {source}", path.display())]
    Keystore {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: KeystoreError,
    },
    /// A key of the configuration is not in the keystore.
    #[error("keystore `{}` does not hold `{key}`, which `backend.keys` names", path.display())]
    KeyMissing {
        /// The file.
        path: PathBuf,
        /// The key.
        key: PublicKey,
    },
    /// `token-init` without the security officer's PIN.
    #[error("`backend.so_pin_file` is missing; `token-init` needs the security officer's pin")]
    NoSoPin,
    /// No key to open.
    #[error("`backend.keys` is empty; generate keys with `keygen` and name them there")]
    NoKeys,
    /// The token is of another deployment.
    #[error(
        "token `{label}` belongs to deployment `{found}`, the state directory to `{expected}`; check `backend.token` and \
         `state_dir`"
    )]
    OtherDeployment {
        /// The token's label.
        label: String,
        /// What the token says, printable.
        found: String,
        /// What was pinned.
        expected: GenesisHash,
    },
    /// The token was never part of an `init`.
    #[error("token `{0}` holds no trust root; `countersign-signer init` stores it there, check `backend.token`")]
    NoDeployment(String),
}

impl Pkcs11 {
    fn open_token(&self) -> Result<Token, KeysError> {
        Ok(Token {
            module: self.module.clone(),
            label: self.token.clone(),
            pin: Pin::new(files::read_secret_line(&self.pin_file)?.as_str().to_owned()),
        })
    }

    fn error(&self) -> impl FnOnce(TokenError) -> KeysError {
        let label = self.token.clone();
        move |source| KeysError::Token { label, source }
    }
}

impl InsecureDev {
    fn read_passphrase(&self) -> Result<Passphrase, KeysError> {
        let text = files::read_secret_line(&self.passphrase_file)?;
        Ok(Passphrase::new(text.as_str().to_owned()))
    }

    fn open_keystore(&self) -> Result<SoftBackend, KeysError> {
        SoftBackend::open(&self.keystore, &self.read_passphrase()?).map_err(self.error())
    }

    fn error(&self) -> impl FnOnce(KeystoreError) -> KeysError {
        let path = self.keystore.clone();
        move |source| KeysError::Keystore { path, source }
    }
}

/// Sets up a new token or keystore. Never touches one that exists. Blocks.
pub fn init(backend: &Backend) -> Result<(), KeysError> {
    match backend {
        Backend::Pkcs11(config) => {
            let so_pin_file = config.so_pin_file.as_ref().ok_or(KeysError::NoSoPin)?;
            let so_pin = Pin::new(files::read_secret_line(so_pin_file)?.as_str().to_owned());
            let pin = config.open_token()?.pin;
            init_token(&config.module, &config.token, &so_pin, &pin).map_err(config.error())
        }
        Backend::InsecureDev(config) => {
            let made = SoftBackend::create(&config.keystore, &config.read_passphrase()?, Cost::RECOMMENDED);
            made.map(drop).map_err(config.error())
        }
    }
}

/// Generates a key inside the backend. The label is for people; a keystore has no place for it. Blocks.
pub fn generate(backend: &Backend, label: &str, algorithm: Algorithm) -> Result<PublicKey, KeysError> {
    match backend {
        Backend::Pkcs11(config) => config.open_token()?.generate(label, algorithm).map_err(config.error()),
        Backend::InsecureDev(config) => config.open_keystore()?.generate(algorithm).map_err(config.error()),
    }
}

/// Opens the backend with the keys of the configuration. Blocks.
pub fn open(backend: &Backend) -> Result<Arc<dyn KeyBackend>, KeysError> {
    match backend {
        Backend::Pkcs11(config) if config.keys.is_empty() => Err(KeysError::NoKeys),
        Backend::InsecureDev(config) if config.keys.is_empty() => Err(KeysError::NoKeys),
        Backend::Pkcs11(config) => {
            let mut opening = Pkcs11Config::new(config.open_token()?, config.keys.clone());
            opening.sessions = config.sessions;
            Ok(Arc::new(Pkcs11Backend::open(opening).map_err(config.error())?))
        }
        Backend::InsecureDev(config) => {
            let keystore = config.open_keystore()?;
            match config.keys.iter().find(|key| keystore.public_key(&key.id()).is_none()) {
                Some(key) => Err(KeysError::KeyMissing {
                    path: config.keystore.clone(),
                    key: *key,
                }),
                None => Ok(Arc::new(keystore)),
            }
        }
    }
}

/// Stores the genesis hash in the token, once and for good. A keystore for development has no place for it. Blocks.
pub fn pin_deployment(backend: &Backend, genesis: GenesisHash) -> Result<(), KeysError> {
    let Backend::Pkcs11(config) = backend else {
        return Ok(());
    };
    let token = config.open_token()?;
    match token.store_data_object(GENESIS_OBJECT, genesis.to_string().as_bytes()) {
        Err(TokenError::DataDifferent(_)) => verify_deployment(backend, genesis),
        stored => stored.map_err(config.error()),
    }
}

/// Compares the genesis hash in the token with the pinned one. Blocks.
pub fn verify_deployment(backend: &Backend, genesis: GenesisHash) -> Result<(), KeysError> {
    let Backend::Pkcs11(config) = backend else {
        return Ok(());
    };
    let label = config.token.clone();
    match config.open_token()?.read_data_object(GENESIS_OBJECT) {
        Ok(stored) if stored == genesis.to_string().as_bytes() => Ok(()),
        Ok(stored) => Err(KeysError::OtherDeployment {
            label,
            found: stored
                .iter()
                .take(80)
                .flat_map(|byte| byte.escape_ascii())
                .map(char::from)
                .collect(),
            expected: genesis,
        }),
        Err(TokenError::DataMissing(_)) => Err(KeysError::NoDeployment(label)),
        Err(source) => Err(KeysError::Token { label, source }),
    }
}
