//! Tokens, configurations and data objects.

use countersign_backend_pkcs11::{MAX_QUEUE, MAX_SESSIONS, Pkcs11Backend, Pkcs11Config, Token, TokenError, init_token};
use countersign_types::{Algorithm, PublicKey};
use cryptoki::object::{Attribute, ObjectClass};

use crate::fixture::{LABEL, PIN, SO_PIN, config, only_object, own_session, pin, with_token};

#[test]
fn a_token_is_never_initialized_twice() {
    with_token("setup::a_token_is_never_initialized_twice", |token| {
        let key = token.generate("k", Algorithm::Ed25519).unwrap();
        let again = |label: &str| init_token(&token.module, label, &pin(SO_PIN), &pin(PIN));
        assert!(matches!(again(LABEL), Err(TokenError::TokenExists(label)) if label == LABEL));
        assert!(matches!(again(" padded "), Err(TokenError::BadLabel(_))));
        // A second token beside the first leaves the first one alone.
        again("second").unwrap();
        assert!(Pkcs11Backend::open(config(token, &[key])).is_ok());
        let second = Token {
            label: "second".into(),
            ..token.clone()
        };
        let error = Pkcs11Backend::open(config(&second, &[key])).unwrap_err();
        assert!(matches!(error, TokenError::KeyMissing(id) if id == key.id()));
    });
}

#[test]
fn a_configuration_that_is_wrong_is_refused() {
    with_token("setup::a_configuration_that_is_wrong_is_refused", |token| {
        let key = token.generate("k", Algorithm::Ed25519).unwrap();
        type Mutation = fn(&mut Pkcs11Config);
        type Expected = fn(&TokenError) -> bool;
        let bounds: Expected = |e| matches!(e, TokenError::OutOfBounds { .. });
        let table: [(&str, Mutation, Expected); 8] = [
            ("no session", |c| c.sessions = 0, bounds),
            ("too many sessions", |c| c.sessions = MAX_SESSIONS + 1, bounds),
            ("no queue", |c| c.queue = 0, bounds),
            ("too long a queue", |c| c.queue = MAX_QUEUE + 1, bounds),
            ("no keys", |c| c.keys.clear(), bounds),
            (
                "no such token",
                |c| c.token.label = "other".into(),
                |e| matches!(e, TokenError::TokenMissing(_)),
            ),
            (
                "no such module",
                |c| c.token.module = "/none.so".into(),
                |e| matches!(e, TokenError::ModuleUnusable { .. }),
            ),
            (
                "no such key",
                |c| c.keys.push(PublicKey::Ed25519([1; 32])),
                |e| matches!(e, TokenError::KeyMissing(_)),
            ),
        ];
        assert!(Pkcs11Backend::open(config(token, &[key])).is_ok());
        for (name, mutate, expected) in table {
            let mut config = config(token, &[key]);
            mutate(&mut config);
            let error = Pkcs11Backend::open(config).expect_err(name);
            assert!(expected(&error), "{name}: {error}");
        }
    });
}

#[test]
fn data_objects_are_written_once() {
    with_token("setup::data_objects_are_written_once", |token| {
        let read = |label: &str| token.read_data_object(label);
        assert!(matches!(read("genesis"), Err(TokenError::DataMissing(label)) if label == "genesis"));
        for _ in 0..2 {
            token.store_data_object("genesis", b"sha256:aa").unwrap();
            assert_eq!(read("genesis").unwrap(), b"sha256:aa");
        }
        let error = token.store_data_object("genesis", b"sha256:bb").unwrap_err();
        assert!(matches!(error, TokenError::DataDifferent(_)), "{error}");
        assert_eq!(read("genesis").unwrap(), b"sha256:aa");
        token.store_data_object("other", b"x").unwrap();
        for size in [0, 4_097] {
            let error = token.store_data_object("size", &vec![0; size]).unwrap_err();
            assert!(matches!(error, TokenError::DataSize { found, .. } if found == size));
        }

        let session = own_session(token);
        let ours = [
            Attribute::Class(ObjectClass::DATA),
            Attribute::Label(b"genesis".to_vec()),
        ];
        let object = only_object(&session, &ours);
        let facts = [
            Attribute::Application(b"countersign".to_vec()),
            Attribute::Private(false),
            Attribute::Modifiable(false),
        ];
        let types = facts.each_ref().map(Attribute::attribute_type);
        assert_eq!(session.get_attributes(object, &types).unwrap(), facts);
        assert!(
            session
                .update_attributes(object, &[Attribute::Value(b"changed".to_vec())])
                .is_err()
        );
    });
}

#[test]
fn two_data_objects_that_disagree_are_an_error() {
    with_token("setup::two_data_objects_that_disagree_are_an_error", |token| {
        token.store_data_object("genesis", b"one").unwrap();
        let forge = |value: &[u8], application: &[u8]| {
            let template = [
                Attribute::Class(ObjectClass::DATA),
                Attribute::Token(true),
                Attribute::Private(false),
                Attribute::Application(application.to_vec()),
                Attribute::Label(b"genesis".to_vec()),
                Attribute::Value(value.to_vec()),
            ];
            own_session(token).create_object(&template).unwrap()
        };
        forge(b"two", b"another application");
        assert_eq!(token.read_data_object("genesis").unwrap(), b"one");
        forge(b"two", b"countersign");
        let error = token.read_data_object("genesis").unwrap_err();
        assert!(matches!(error, TokenError::DataDifferent(_)), "{error}");
    });
}
