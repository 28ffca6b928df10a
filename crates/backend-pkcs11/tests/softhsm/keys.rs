//! Keys: generation, protection, and what `open` refuses.

use countersign_backend_pkcs11::{Token, TokenError};
use countersign_signer::{KeyBackend as _, conformance};
use countersign_types::{Algorithm, PublicKey, Tag};
use cryptoki::{
    error::{Error, RvError},
    mechanism::Mechanism,
    object::{Attribute, AttributeInfo, AttributeType, KeyType, ObjectClass, ObjectHandle},
    session::Session,
};

use crate::fixture::{block_on, only_object, open, own_session, with_token};

fn generate_both(token: &Token) -> [PublicKey; 2] {
    [Algorithm::Secp256k1, Algorithm::Ed25519].map(|algorithm| {
        let key = token.generate("hot wallet", algorithm).unwrap();
        assert_eq!(key.algorithm(), algorithm);
        key
    })
}

fn object(session: &Session, class: ObjectClass, key: &PublicKey) -> ObjectHandle {
    let id = Attribute::Id(key.id().cka_id().to_vec());
    only_object(session, &[Attribute::Class(class), id])
}

#[test]
fn passes_the_conformance_kit() {
    with_token("keys::passes_the_conformance_kit", |token| {
        let keys = [generate_both(token), generate_both(token)].concat();
        let backend = open(token, &keys).unwrap();
        assert_eq!(block_on(conformance::check(&backend, &keys)), Ok(()));
        assert!(!backend.is_development());
        assert!(!format!("{backend:?}").contains(crate::fixture::PIN));
    });
}

#[test]
fn holds_only_what_it_was_told_to_hold() {
    with_token("keys::holds_only_what_it_was_told_to_hold", |token| {
        let [held, other] = generate_both(token);
        let backend = open(token, &[held]).unwrap();
        assert_eq!(backend.public_key(&other.id()), None);
        assert!(block_on(conformance::check_signs_once(&backend, &other)).is_err());
        assert_eq!(block_on(conformance::check_signs_once(&backend, &held)), Ok(()));
    });
}

#[test]
fn generated_keys_cannot_leave_the_token() {
    with_token("keys::generated_keys_cannot_leave_the_token", |token| {
        for key in generate_both(token) {
            let session = own_session(token);
            let private = object(&session, ObjectClass::PRIVATE_KEY, &key);
            let info = session.get_attribute_info(private, &[AttributeType::Value]).unwrap();
            assert!(matches!(info.as_slice(), [AttributeInfo::Sensitive]), "{info:?}");
            assert_eq!(session.get_attributes(private, &[AttributeType::Value]).unwrap(), []);

            let error = session
                .wrap_key(&Mechanism::AesKeyWrapPad, wrapping_key(&session), private)
                .unwrap_err();
            assert!(
                matches!(error, Error::Pkcs11(RvError::KeyUnextractable, _)),
                "{error:?}"
            );
            for loosening in [Attribute::Sensitive(false), Attribute::Extractable(true)] {
                assert!(session.update_attributes(private, &[loosening]).is_err());
            }
            let facts = [
                Attribute::AlwaysSensitive(true),
                Attribute::NeverExtractable(true),
                Attribute::Local(true),
                Attribute::Private(true),
                Attribute::Sign(true),
                Attribute::Decrypt(false),
                Attribute::Unwrap(false),
                Attribute::Derive(false),
            ];
            let types = facts.each_ref().map(Attribute::attribute_type);
            assert_eq!(session.get_attributes(private, &types).unwrap(), facts);
        }
    });
}

fn wrapping_key(session: &Session) -> ObjectHandle {
    let template = [
        Attribute::ValueLen(32.into()),
        Attribute::Wrap(true),
        Attribute::Token(false),
    ];
    session.generate_key(&Mechanism::AesKeyGen, &template).unwrap()
}

/// Why the kit's low-S step is not idle: this token returns both halves.
#[test]
fn the_token_returns_either_half_of_s() {
    with_token("keys::the_token_returns_either_half_of_s", |token| {
        let key = token.generate("half", Algorithm::Secp256k1).unwrap();
        let session = own_session(token);
        let private = object(&session, ObjectClass::PRIVATE_KEY, &key);
        let high = (0..64u8).filter(|number| {
            let raw = session.sign(&Mechanism::Ecdsa, private, &[*number; 32]).unwrap();
            let signature = k256::ecdsa::Signature::from_slice(&raw).unwrap();
            signature.normalize_s() != signature
        });
        assert!((1..64).contains(&high.count()));
    });
}

/// A key pair that was made outside, so that every attribute can be wrong.
struct Import {
    key: PublicKey,
    private: Vec<Attribute>,
    public: Vec<Attribute>,
}

impl Import {
    fn new(seed: u8) -> Self {
        let secret = k256::ecdsa::SigningKey::from_slice(&[seed; 32]).unwrap();
        let point = secret.verifying_key().to_sec1_point(false);
        let key = PublicKey::Secp256k1(
            secret
                .verifying_key()
                .to_sec1_point(true)
                .as_bytes()
                .try_into()
                .unwrap(),
        );
        let common = [
            Attribute::KeyType(KeyType::EC),
            Attribute::EcParams(vec![0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a]),
            Attribute::Id(key.id().cka_id().to_vec()),
            Attribute::Token(true),
        ];
        let private = [
            Attribute::Class(ObjectClass::PRIVATE_KEY),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Sign(true),
            Attribute::Value(secret.to_bytes().to_vec()),
        ];
        let public = [
            Attribute::Class(ObjectClass::PUBLIC_KEY),
            Attribute::Private(false),
            Attribute::EcPoint([&[0x04, 0x41], point.as_bytes()].concat()),
        ];
        Self {
            key,
            private: [private.as_slice(), &common].concat(),
            public: [public.as_slice(), &common].concat(),
        }
    }

    fn store(&self, token: &Token) {
        let session = own_session(token);
        for template in [&self.private, &self.public] {
            if !template.is_empty() {
                session.create_object(template).unwrap();
            }
        }
    }
}

fn set(template: &mut [Attribute], attribute: Attribute) {
    let place = template
        .iter_mut()
        .find(|found| found.attribute_type() == attribute.attribute_type())
        .unwrap();
    assert_ne!(*place, attribute, "the mutation changes nothing");
    *place = attribute;
}

type Mutation = fn(&mut Import, &Token);
type Expected = fn(&TokenError) -> bool;

fn unprotected(error: &TokenError, wrong: &str) -> bool {
    matches!(error, TokenError::KeyUnprotected { attribute, .. } if attribute == wrong)
}

const REFUSED: [(&str, Mutation, Expected); 11] = [
    (
        "no private object",
        |i, _| i.private.clear(),
        |e| matches!(e, TokenError::KeyMissing(_)),
    ),
    (
        "no public object",
        |i, _| i.public.clear(),
        |e| matches!(e, TokenError::KeyMissing(_)),
    ),
    (
        "not sensitive",
        |i, _| set(&mut i.private, Attribute::Sensitive(false)),
        |e| unprotected(e, "CKA_SENSITIVE"),
    ),
    (
        "extractable",
        |i, _| set(&mut i.private, Attribute::Extractable(true)),
        |e| unprotected(e, "CKA_EXTRACTABLE"),
    ),
    (
        "may not sign",
        |i, _| set(&mut i.private, Attribute::Sign(false)),
        |e| unprotected(e, "CKA_SIGN"),
    ),
    (
        "visible without login",
        |i, _| set(&mut i.private, Attribute::Private(false)),
        |e| unprotected(e, "CKA_PRIVATE"),
    ),
    (
        "session object",
        |i, _| set(&mut i.private, Attribute::Token(false)),
        |e| matches!(e, TokenError::KeyMissing(_)),
    ),
    (
        "another id",
        |i, _| set(&mut i.private, Attribute::Id(vec![1; 20])),
        |e| matches!(e, TokenError::KeyMissing(_)),
    ),
    (
        "another key under the id",
        |i, _| {
            let mut other = Import::new(8);
            set(&mut other.public, Attribute::Id(i.key.id().cka_id().to_vec()));
            i.public = other.public;
        },
        |e| matches!(e, TokenError::KeyDifferent { .. }),
    ),
    (
        "two private objects under the id",
        |i, token| {
            let mut other = Import::new(8);
            set(&mut other.private, Attribute::Id(i.key.id().cka_id().to_vec()));
            other.store(token);
        },
        |e| matches!(e, TokenError::KeyAmbiguous(_)),
    ),
    (
        "no point of the curve",
        |i, _| set(&mut i.public, Attribute::EcPoint(vec![0x04; 67])),
        |e| matches!(e, TokenError::PointMalformed(Algorithm::Secp256k1)),
    ),
];

#[test]
fn open_refuses_what_is_not_the_key_or_not_protected() {
    with_token("keys::open_refuses_what_is_not_the_key_or_not_protected", |token| {
        let valid = Import::new(7);
        valid.store(token);
        let backend = open(token, &[valid.key]).unwrap();
        assert_eq!(block_on(conformance::check_signs_once(&backend, &valid.key)), Ok(()));
        drop(backend);
        for (seed, (name, mutate, expected)) in (20..).zip(REFUSED) {
            let mut import = Import::new(seed);
            mutate(&mut import, token);
            import.store(token);
            let error = open(token, &[valid.key, import.key]).expect_err(name);
            assert!(expected(&error), "{name}: {error}");
            assert_eq!(error.tag(), Tag::BackendKeyMissing, "{name}");
            destroy(token, &Import::new(8).key);
        }
    });
}

/// Key 8 plays the impostor more than once.
fn destroy(token: &Token, key: &PublicKey) {
    let session = own_session(token);
    for object in session
        .find_objects(&[Attribute::Id(key.id().cka_id().to_vec())])
        .unwrap()
    {
        session.destroy_object(object).unwrap();
    }
}
