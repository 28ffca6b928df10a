//! What the keystore logs. Alone in its program: tracing remembers for all threads whether anybody listens to a line.

#![allow(clippy::disallowed_methods, reason = "an I/O shell")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use countersign_backend_soft::{Cost, Passphrase, SoftBackend};
use countersign_signer::conformance;
use countersign_types::Algorithm;

fn passphrase() -> Passphrase {
    Passphrase::new("correct horse battery staple".into())
}

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn every_log_line_says_insecure_dev_and_none_says_a_secret() {
    let captured = Captured::default();
    let writer = captured.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        let mut created = SoftBackend::create(&path, &passphrase(), Cost::FOR_TESTS).unwrap();
        let keys = [Algorithm::Secp256k1, Algorithm::Ed25519].map(|algorithm| created.generate(algorithm).unwrap());
        let backend = SoftBackend::open(&path, &passphrase()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime
            .block_on(conformance::check_signs_once(&backend, &keys[0]))
            .unwrap();
        let debug = format!("{backend:?} {:?}", passphrase());
        assert!(
            !debug.contains("horse") && debug.contains(&format!("{:?}", keys[0])),
            "{debug}"
        );
    });
    let log = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    assert_eq!(
        log.lines().count(),
        6,
        "create, two keys, open, sign by ECDSA and Schnorr:\n{log}"
    );
    for line in log.lines() {
        assert!(line.contains("insecure-dev"), "{line}");
        assert!(!line.contains("horse"), "{line}");
    }
}
