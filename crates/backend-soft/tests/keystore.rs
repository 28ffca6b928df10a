//! The keystore as the signer uses it: on disk, through the conformance kit, and in the log.

#![allow(clippy::disallowed_methods, reason = "an I/O shell")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use countersign_backend_soft::{Cost, KeystoreError, Passphrase, SoftBackend};
use countersign_signer::{KeyBackend as _, conformance};
use countersign_types::{Algorithm, PublicKey, Tag};

fn passphrase() -> Passphrase {
    Passphrase::new("correct horse battery staple".into())
}

struct Fixture {
    folder: tempfile::TempDir,
    backend: SoftBackend,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let backend = SoftBackend::create(folder.path().join("keys.json"), &passphrase(), Cost::FOR_TESTS).unwrap();
        Self { folder, backend }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("keys.json")
    }

    fn generate_both(&mut self) -> [PublicKey; 2] {
        [Algorithm::Secp256k1, Algorithm::Ed25519].map(|algorithm| {
            let key = self.backend.generate(algorithm).unwrap();
            assert_eq!(key.algorithm(), algorithm);
            key
        })
    }

    fn open(&self) -> Result<SoftBackend, KeystoreError> {
        SoftBackend::open(self.path(), &passphrase())
    }
}

#[tokio::test]
async fn passes_the_conformance_kit_when_made_and_when_opened() {
    let mut fixture = Fixture::new();
    let keys = [fixture.generate_both(), fixture.generate_both()].concat();
    let opened = fixture.open().unwrap();
    for backend in [&fixture.backend, &opened] {
        assert_eq!(conformance::check(backend, &keys).await, Ok(()));
        assert!(backend.is_development());
        let mut sorted = keys.clone();
        sorted.sort_unstable();
        assert_eq!(backend.public_keys(), sorted);
    }
}

#[test]
fn the_recommended_cost_opens() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    let mut backend = SoftBackend::create(&path, &passphrase(), Cost::RECOMMENDED).unwrap();
    let key = backend.generate(Algorithm::Ed25519).unwrap();
    assert_eq!(SoftBackend::open(&path, &passphrase()).unwrap().public_keys(), [key]);
}

#[test]
fn a_wrong_passphrase_opens_nothing() {
    let mut fixture = Fixture::new();
    fixture.generate_both();
    for wrong in ["", "correct horse battery stapl", "correct horse battery staple "] {
        let error = SoftBackend::open(fixture.path(), &Passphrase::new(wrong.into())).unwrap_err();
        assert!(matches!(error, KeystoreError::WrongPassphrase), "{error}");
        assert_eq!(error.tag(), Tag::BackendUnavailable);
    }
}

#[test]
fn a_keystore_is_never_created_over_another() {
    let mut fixture = Fixture::new();
    let keys = fixture.generate_both();
    let error = SoftBackend::create(fixture.path(), &passphrase(), Cost::FOR_TESTS).unwrap_err();
    assert!(matches!(error, KeystoreError::Exists(path) if path == fixture.path()));
    assert_eq!(fixture.open().unwrap().public_keys().len(), keys.len());
}

#[test]
fn no_key_is_lost_to_another_writer() {
    let mut fixture = Fixture::new();
    let mut other = fixture.open().unwrap();
    let key = fixture.backend.generate(Algorithm::Ed25519).unwrap();
    assert!(matches!(
        other.generate(Algorithm::Ed25519),
        Err(KeystoreError::ChangedOnDisk)
    ));
    assert_eq!(fixture.open().unwrap().public_keys(), [key]);
    assert_eq!(other.public_keys(), []);
}

#[test]
fn every_changed_byte_is_found() {
    let mut fixture = Fixture::new();
    fixture.generate_both();
    let valid = fs::read(fixture.path()).unwrap();
    for at in 0..valid.len() {
        let mut changed = valid.clone();
        changed[at] ^= 1;
        fs::write(fixture.path(), &changed).unwrap();
        assert!(fixture.open().is_err(), "byte {at}: {:?}", char::from(changed[at]));
    }
    for length in [0, 1, valid.len() / 2, valid.len() - 1] {
        fs::write(fixture.path(), &valid[..length]).unwrap();
        assert!(
            matches!(fixture.open(), Err(KeystoreError::Malformed(_))),
            "{length} bytes"
        );
    }
}

#[test]
fn the_file_is_for_its_owner_alone() {
    let mut fixture = Fixture::new();
    fixture.generate_both();
    assert_eq!(
        fs::metadata(fixture.path()).unwrap().permissions().mode() & 0o777,
        0o600
    );
    fs::set_permissions(fixture.path(), fs::Permissions::from_mode(0o644)).unwrap();
    let error = fixture.open().unwrap_err();
    assert!(matches!(error, KeystoreError::Permissions(0o644)));
    assert!(error.to_string().contains("mode is 644"), "{error}");
}
