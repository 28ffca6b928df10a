//! Why a token could not be used.

use std::path::PathBuf;

use countersign_signer::BackendError;
use countersign_types::{Algorithm, KeyId, PublicKey, Tag};
use cryptoki::{
    context::Function,
    error::{Error as CryptokiError, RvError},
};

/// Why a token could not be opened, used or set up. No message holds a PIN.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The module is not there, is no PKCS#11 module or does not initialize.
    #[error("the pkcs#11 module `{path}` is not usable: {reason}")]
    ModuleUnusable {
        /// The path of the module.
        path: PathBuf,
        /// What the loader or the module said.
        reason: String,
    },
    /// A number of the configuration is out of bounds.
    #[error("{what} must be 1 to {max}, not {found}")]
    OutOfBounds {
        /// Which number.
        what: &'static str,
        /// The bound.
        max: usize,
        /// What was configured.
        found: usize,
    },
    /// Labels are padded with spaces in PKCS#11, so that some texts would not come back.
    #[error("`{0}` is no label: 1 to 32 printable ascii characters, no space at the ends")]
    BadLabel(String),
    /// No present token has the label.
    #[error("no token with the label `{0}` is present")]
    TokenMissing(String),
    /// Which of them is meant cannot be told.
    #[error("more than one token has the label `{0}`")]
    TokenAmbiguous(String),
    /// A token is never initialized over another.
    #[error("a token with the label `{0}` already exists")]
    TokenExists(String),
    /// Every slot holds an initialized token.
    #[error("no slot has room for a new token")]
    NoFreeSlot,
    /// The token refused the PIN. Not tried again: tokens lock after a few wrong PINs.
    #[error("the token refused the pin: {0:?}")]
    PinRefused(RvError),
    /// The token cannot sign or generate for this curve.
    #[error("the token lacks the mechanism for {} keys", .0.as_str())]
    MechanismMissing(Algorithm),
    /// The private or the public object is missing.
    #[error("the token does not hold key `{0}`")]
    KeyMissing(KeyId),
    /// More than one object has the CKA_ID.
    #[error("the token holds more than one object under the id of key `{0}`")]
    KeyAmbiguous(KeyId),
    /// The CKA_ID is that of the key, the public key is not.
    #[error("the token holds `{found}` under the id of key `{expected}`")]
    KeyDifferent {
        /// The key that was asked for.
        expected: PublicKey,
        /// The key that is there.
        found: PublicKey,
    },
    /// A private key that could leave the token, may not sign, or of which the token does not say so.
    #[error("key `{key}` is not protected as it must be: {attribute}")]
    KeyUnprotected {
        /// The key.
        key: KeyId,
        /// The PKCS#11 attribute that is missing or wrong.
        attribute: String,
    },
    /// The CKA_EC_POINT is missing or is not a point of the curve.
    #[error("the token returned no {} public key", .0.as_str())]
    PointMalformed(Algorithm),
    /// The token returned a signature of another length than 64 bytes.
    #[error("the token returned a signature of {0} bytes")]
    SignatureMalformed(usize),
    /// No data object has the label.
    #[error("the token holds no data object `{0}`")]
    DataMissing(String),
    /// A data object is written once.
    #[error("the token already holds other data under `{0}`")]
    DataDifferent(String),
    /// The value is empty or over the bound.
    #[error("a data object holds 1 to {max} bytes, not {found}")]
    DataSize {
        /// The bound.
        max: usize,
        /// What was given or found.
        found: usize,
    },
    /// The token did not answer in time.
    #[error("the token did not answer in {0:?}")]
    NoAnswer(std::time::Duration),
    /// A thread could not be started.
    #[error("a thread for a token session could not be started: {0}")]
    NoThread(std::io::ErrorKind),
    /// A PKCS#11 function failed.
    #[error("{function:?} failed: {code:?}")]
    Call {
        /// The function.
        function: Function,
        /// The CKR code.
        code: RvError,
    },
    /// The module's answer could not be understood.
    #[error("the module's answer is not valid: {0}")]
    BadAnswer(String),
}

impl TokenError {
    /// The stable tag.
    pub fn tag(&self) -> Tag {
        match self {
            Self::KeyMissing(_)
            | Self::KeyAmbiguous(_)
            | Self::KeyDifferent { .. }
            | Self::KeyUnprotected { .. }
            | Self::PointMalformed(_) => Tag::BackendKeyMissing,
            Self::MechanismMissing(_) => Tag::BackendSchemeUnsupported,
            Self::ModuleUnusable { .. }
            | Self::OutOfBounds { .. }
            | Self::BadLabel(_)
            | Self::TokenMissing(_)
            | Self::TokenAmbiguous(_)
            | Self::TokenExists(_)
            | Self::NoFreeSlot
            | Self::PinRefused(_)
            | Self::SignatureMalformed(_)
            | Self::DataMissing(_)
            | Self::DataDifferent(_)
            | Self::DataSize { .. }
            | Self::NoAnswer(_)
            | Self::NoThread(_)
            | Self::Call { .. }
            | Self::BadAnswer(_) => Tag::BackendUnavailable,
        }
    }

    /// Whether a new session cannot help: what is wrong is in the token or in the configuration.
    pub(crate) fn is_lasting(&self) -> bool {
        match self {
            Self::ModuleUnusable { .. }
            | Self::OutOfBounds { .. }
            | Self::BadLabel(_)
            | Self::TokenAmbiguous(_)
            | Self::TokenExists(_)
            | Self::NoFreeSlot
            | Self::PinRefused(_)
            | Self::MechanismMissing(_)
            | Self::KeyMissing(_)
            | Self::KeyAmbiguous(_)
            | Self::KeyDifferent { .. }
            | Self::KeyUnprotected { .. }
            | Self::PointMalformed(_)
            | Self::DataMissing(_)
            | Self::DataDifferent(_)
            | Self::DataSize { .. } => true,
            Self::TokenMissing(_)
            | Self::SignatureMalformed(_)
            | Self::NoAnswer(_)
            | Self::NoThread(_)
            | Self::Call { .. }
            | Self::BadAnswer(_) => false,
        }
    }
}

impl From<CryptokiError> for TokenError {
    fn from(error: CryptokiError) -> Self {
        if let CryptokiError::Pkcs11(code, function) = error {
            return Self::Call { function, code };
        }
        Self::BadAnswer(error.to_string())
    }
}

impl From<&TokenError> for BackendError {
    fn from(error: &TokenError) -> Self {
        if let TokenError::KeyMissing(key) = error {
            return Self::KeyMissing(*key);
        }
        Self::Unavailable(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_has_its_tag_and_keeps_its_meaning_for_the_signer() {
        let key = PublicKey::Ed25519([1; 32]);
        let device_error = TokenError::from(CryptokiError::Pkcs11(RvError::DeviceError, Function::Sign));
        let unavailable = BackendError::Unavailable("Sign failed: DeviceError".into());
        assert_eq!(device_error.tag(), Tag::BackendUnavailable);
        assert_eq!(BackendError::from(&device_error), unavailable);
        assert!(!device_error.is_lasting());

        let missing = TokenError::KeyMissing(key.id());
        assert_eq!(missing.tag(), Tag::BackendKeyMissing);
        assert_eq!(BackendError::from(&missing), BackendError::KeyMissing(key.id()));
        assert!(missing.is_lasting());

        let lacking = TokenError::MechanismMissing(Algorithm::Ed25519);
        assert_eq!(lacking.tag(), Tag::BackendSchemeUnsupported);
        assert!(lacking.is_lasting());
    }
}
