//! Modules, slots, tokens and logins.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    error::{Error as CryptokiError, RvError},
    session::{Session, UserType},
    slot::Slot,
};

use crate::{Pin, TokenError};

/// The length of a token's label in CK_TOKEN_INFO; object labels keep to it too.
const MAX_LABEL_BYTES: usize = 32;

/// How to reach and log into one token.
#[derive(Debug, Clone)]
pub struct Token {
    /// The PKCS#11 module, a shared library.
    pub module: PathBuf,
    /// The token's label, without padding.
    pub label: String,
    /// The user PIN.
    pub pin: Pin,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    ReadOnly,
    ReadWrite,
}

impl Token {
    /// A session that may use private objects.
    pub(crate) fn log_in(&self, access: Access) -> Result<(Pkcs11, Slot, Session), TokenError> {
        let (module, slot, session) = self.open_session(access)?;
        log_in(&session, UserType::User, &self.pin)?;
        Ok((module, slot, session))
    }

    /// A session as it comes; whether it is logged in depends on the other sessions of this process.
    pub(crate) fn open_session(&self, access: Access) -> Result<(Pkcs11, Slot, Session), TokenError> {
        let module = load(&self.module)?;
        let slot = find_slot(&module, &self.label)?;
        let session = match access {
            Access::ReadOnly => module.open_ro_session(slot)?,
            Access::ReadWrite => module.open_rw_session(slot)?,
        };
        Ok((module, slot, session))
    }
}

/// Logs in. A login belongs to the whole process, so that "already" is normal.
fn log_in(session: &Session, user: UserType, pin: &Pin) -> Result<(), TokenError> {
    match session.login(user, Some(pin.as_auth_pin())) {
        Ok(()) | Err(CryptokiError::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(()),
        Err(CryptokiError::Pkcs11(code, _)) if is_about_the_pin(code) => Err(TokenError::PinRefused(code)),
        Err(error) => Err(error.into()),
    }
}

fn is_about_the_pin(code: RvError) -> bool {
    [
        RvError::PinIncorrect,
        RvError::PinInvalid,
        RvError::PinLenRange,
        RvError::PinExpired,
        RvError::PinLocked,
        RvError::UserPinNotInitialized,
    ]
    .contains(&code)
}

/// Loads and initializes a module. A module is global to the process (so is C_Initialize), and unloading one while its
/// threads run crashes: each is loaded once and stays. Initializing again is for a module that somebody finalized.
pub(crate) fn load(path: &Path) -> Result<Pkcs11, TokenError> {
    static LOADED: Mutex<BTreeMap<PathBuf, Pkcs11>> = Mutex::new(BTreeMap::new());
    let unusable = |error: CryptokiError| TokenError::ModuleUnusable {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    let module = match loaded.get(path) {
        Some(module) => module.clone(),
        None => Pkcs11::new(path).map_err(unusable)?,
    };
    match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Ok(()) | Err(CryptokiError::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
        Err(error) => return Err(unusable(error)),
    }
    loaded.insert(path.to_owned(), module.clone());
    Ok(module)
}

fn find_slot(module: &Pkcs11, label: &str) -> Result<Slot, TokenError> {
    let slots = slots_with_label(module, label)?;
    match slots.as_slice() {
        [slot] => Ok(*slot),
        [] => Err(TokenError::TokenMissing(label.to_owned())),
        [_, _, ..] => Err(TokenError::TokenAmbiguous(label.to_owned())),
    }
}

/// A slot whose token was just removed answers with an error; that is not the slot that we look for.
fn slots_with_label(module: &Pkcs11, label: &str) -> Result<Vec<Slot>, TokenError> {
    let slots = module.get_slots_with_token()?.into_iter().filter(|slot| {
        module
            .get_token_info(*slot)
            .is_ok_and(|token| token.token_initialized() && token.label() == label)
    });
    Ok(slots.collect())
}

/// Initializes a new token in a free slot, with a security officer's and a user's PIN. For development: real tokens are
/// set up with their vendor's tool. An existing token is never touched.
pub fn init_token(module: &Path, label: &str, so_pin: &Pin, pin: &Pin) -> Result<(), TokenError> {
    check_label(label)?;
    let module = load(module)?;
    if !slots_with_label(&module, label)?.is_empty() {
        return Err(TokenError::TokenExists(label.to_owned()));
    }
    let slot = free_slot(&module)?;
    module.init_token(slot, so_pin.as_auth_pin(), label)?;
    let session = module.open_rw_session(slot)?;
    log_in(&session, UserType::So, so_pin)?;
    session.init_pin(pin.as_auth_pin())?;
    // Others cannot open read-only sessions while the security officer is logged in.
    session.logout()?;
    Ok(())
}

fn free_slot(module: &Pkcs11) -> Result<Slot, TokenError> {
    for slot in module.get_slots_with_token()? {
        if !module.get_token_info(slot)?.token_initialized() {
            return Ok(slot);
        }
    }
    Err(TokenError::NoFreeSlot)
}

pub(crate) fn check_label(label: &str) -> Result<(), TokenError> {
    let printable = label.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if printable && label.trim() == label && (1..=MAX_LABEL_BYTES).contains(&label.len()) {
        return Ok(());
    }
    let shown = label.chars().take(64).flat_map(char::escape_default).collect();
    Err(TokenError::BadLabel(shown))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_come_back_as_they_went_in() {
        for good in ["a", "countersign-dev", "a b", &"x".repeat(32)] {
            assert!(check_label(good).is_ok(), "{good}");
        }
        for bad in ["", " ", " a", "a ", "é", "a\nb", "\u{202e}a", &"x".repeat(33)] {
            assert!(matches!(check_label(bad), Err(TokenError::BadLabel(_))), "{bad:?}");
        }
    }

    #[test]
    fn a_missing_module_says_its_path() {
        let error = load(Path::new("/nonexistent/module.so")).unwrap_err();
        assert!(matches!(&error, TokenError::ModuleUnusable { .. }));
        assert!(error.to_string().contains("`/nonexistent/module.so`"), "{error}");
    }
}
