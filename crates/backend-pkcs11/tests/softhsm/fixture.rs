//! A fresh token in a child process.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use countersign_backend_pkcs11::{Pin, Pkcs11Backend, Pkcs11Config, Token, TokenError, init_token};
use countersign_signer::conformance::CONCURRENT_JOBS;
use countersign_types::PublicKey;
use cryptoki::{
    context::Pkcs11,
    object::{Attribute, ObjectHandle},
    session::{Session, UserType},
    types::AuthPin,
};

const MODULE: &str = "COUNTERSIGN_PKCS11_MODULE";
const CHILD: &str = "COUNTERSIGN_PKCS11_TEST_DONE";
pub(crate) const LABEL: &str = "countersign-test";
pub(crate) const PIN: &str = "87654321";
pub(crate) const SO_PIN: &str = "12345678";

/// Runs `body` in a child process with a token of its own. `name` is the path of the test, as `cargo test` prints it.
pub(crate) fn with_token(name: &str, body: impl FnOnce(&Token)) {
    let Some(module) = module() else {
        eprintln!("SKIPPED {name}: {MODULE} is not set and SoftHSM (Debian package softhsm2) is not installed");
        return;
    };
    if let Some(done) = env::var_os(CHILD) {
        init_token(&module, LABEL, &pin(SO_PIN), &pin(PIN)).unwrap();
        body(&token(&module));
        fs::write(done, "").unwrap();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens");
    fs::create_dir(&tokens).unwrap();
    let configuration = folder.path().join("softhsm2.conf");
    fs::write(&configuration, format!("directories.tokendir = {}\n", tokens.display())).unwrap();
    let done = folder.path().join("done");
    let status = Command::new(env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env("SOFTHSM2_CONF", &configuration)
        .env(MODULE, &module)
        .env(CHILD, &done)
        .status()
        .unwrap();
    assert!(
        status.success(),
        "{name} failed in its own process ({status}); its output is above"
    );
    assert!(done.exists(), "no test is called {name}, so nothing was tested");
}

fn module() -> Option<PathBuf> {
    let set = env::var_os(MODULE).filter(|path| !path.is_empty()).map(PathBuf::from);
    let multiarch = format!("/usr/lib/{}-linux-gnu/softhsm/libsofthsm2.so", env::consts::ARCH);
    let usual = [
        "/usr/lib/softhsm/libsofthsm2.so",
        &multiarch,
        "/usr/lib64/softhsm/libsofthsm2.so",
    ];
    set.or_else(|| usual.iter().map(PathBuf::from).find(|path| path.is_file()))
}

pub(crate) fn pin(text: &str) -> Pin {
    Pin::new(text.to_owned())
}

fn token(module: &Path) -> Token {
    Token {
        module: module.to_owned(),
        label: LABEL.to_owned(),
        pin: pin(PIN),
    }
}

pub(crate) fn config(token: &Token, keys: &[PublicKey]) -> Pkcs11Config {
    Pkcs11Config {
        sessions: 3,
        queue: CONCURRENT_JOBS,
        timeout: Duration::from_secs(20),
        ..Pkcs11Config::new(token.clone(), keys.to_vec())
    }
}

pub(crate) fn open(token: &Token, keys: &[PublicKey]) -> Result<Pkcs11Backend, TokenError> {
    Pkcs11Backend::open(config(token, keys))
}

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(future)
}

/// A session of the test's own, beside the backend, to look at the token and to tamper with it.
pub(crate) fn own_session(token: &Token) -> Session {
    let module = Pkcs11::new(&token.module).unwrap();
    let slots = module.get_slots_with_initialized_token().unwrap();
    let slot = slots
        .into_iter()
        .find(|slot| module.get_token_info(*slot).unwrap().label() == token.label)
        .unwrap();
    let session = module.open_rw_session(slot).unwrap();
    // "Already logged in" is as good.
    drop(session.login(UserType::User, Some(&AuthPin::new(PIN.into()))));
    session
}

pub(crate) fn only_object(session: &Session, template: &[Attribute]) -> ObjectHandle {
    let objects = session.find_objects(template).unwrap();
    assert_eq!(objects.len(), 1, "{template:?}");
    objects[0]
}
