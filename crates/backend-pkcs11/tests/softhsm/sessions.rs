//! Sessions and tokens that go away under the backend.

use std::{fs, time::Instant};

use countersign_backend_pkcs11::{Pkcs11Backend, Token, TokenError};
use countersign_signer::{
    BackendError,
    conformance::{self, Violation},
};
use countersign_types::Algorithm;
use cryptoki::{context::Pkcs11, error::RvError, object::Attribute};

use crate::fixture::{block_on, config, open, own_session, pin, with_token};

#[test]
fn signs_again_after_a_logout() {
    with_token("sessions::signs_again_after_a_logout", |token| {
        let keys = [
            token.generate("a", Algorithm::Secp256k1).unwrap(),
            token.generate("b", Algorithm::Ed25519).unwrap(),
        ];
        let backend = open(token, &keys).unwrap();
        for _ in 0..3 {
            // A login belongs to the process: this takes the private keys away from every session of the backend.
            own_session(token).logout().unwrap();
            assert_eq!(block_on(conformance::check(&backend, &keys)), Ok(()));
        }
    });
}

#[test]
fn signs_again_after_the_module_was_finalized() {
    with_token("sessions::signs_again_after_the_module_was_finalized", |token| {
        let key = token.generate("k", Algorithm::Secp256k1).unwrap();
        // One session, because C_Finalize beside calls of other threads is undefined.
        let mut config = config(token, &[key]);
        config.sessions = 1;
        let backend = Pkcs11Backend::open(config).unwrap();
        for _ in 0..3 {
            Pkcs11::new(&token.module).unwrap().finalize().unwrap();
            assert_eq!(block_on(conformance::check(&backend, &[key])), Ok(()));
        }
    });
}

#[test]
fn a_key_destroyed_under_the_backend_is_missing() {
    with_token("sessions::a_key_destroyed_under_the_backend_is_missing", |token| {
        let key = token.generate("k", Algorithm::Secp256k1).unwrap();
        let backend = open(token, &[key]).unwrap();
        let session = own_session(token);
        for object in session
            .find_objects(&[Attribute::Id(key.id().cka_id().to_vec())])
            .unwrap()
        {
            session.destroy_object(object).unwrap();
        }
        let violation = block_on(conformance::check_signs_once(&backend, &key));
        assert_eq!(violation, Err(Violation::Refused(BackendError::KeyMissing(key.id()))));
    });
}

#[test]
fn a_dead_token_is_unavailable_and_not_a_hang() {
    with_token("sessions::a_dead_token_is_unavailable_and_not_a_hang", |token| {
        let key = token.generate("k", Algorithm::Ed25519).unwrap();
        let mut config = config(token, &[key]);
        config.sessions = 1;
        let timeout = config.timeout;
        let backend = Pkcs11Backend::open(config).unwrap();
        let configuration = fs::read_to_string(std::env::var("SOFTHSM2_CONF").unwrap()).unwrap();
        let tokens = configuration.trim().strip_prefix("directories.tokendir = ").unwrap();
        fs::remove_dir_all(tokens).unwrap();
        Pkcs11::new(&token.module).unwrap().finalize().unwrap();

        let begun = Instant::now();
        let violation = block_on(conformance::check_signs_once(&backend, &key));
        assert!(
            matches!(violation, Err(Violation::Refused(BackendError::Unavailable(_)))),
            "{violation:?}"
        );
        assert!(begun.elapsed() < timeout);
    });
}

#[test]
fn a_wrong_pin_is_tried_once() {
    with_token("sessions::a_wrong_pin_is_tried_once", |token| {
        let key = token.generate("k", Algorithm::Ed25519).unwrap();
        let wrong = Token {
            pin: pin("11111111"),
            ..token.clone()
        };
        let error = open(&wrong, &[key]).unwrap_err();
        assert!(
            matches!(error, TokenError::PinRefused(RvError::PinIncorrect)),
            "{error}"
        );
        assert!(!error.to_string().contains("11111111"));
        assert!(open(token, &[key]).is_ok(), "the token is not locked");
    });
}

#[test]
fn two_backends_share_a_token() {
    with_token("sessions::two_backends_share_a_token", |token| {
        let keys = [
            token.generate("a", Algorithm::Secp256k1).unwrap(),
            token.generate("b", Algorithm::Ed25519).unwrap(),
        ];
        let first = open(token, &keys).unwrap();
        let second = open(token, &keys[..1]).unwrap();
        assert_eq!(block_on(conformance::check(&first, &keys)), Ok(()));
        drop(first);
        assert_eq!(block_on(conformance::check(&second, &keys[..1])), Ok(()));
    });
}
