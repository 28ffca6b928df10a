//! Key generation inside a token.

use countersign_types::{Algorithm, PublicKey};
use cryptoki::{
    mechanism::{Mechanism, MechanismType},
    object::{Attribute, ObjectHandle},
    session::Session,
};

use crate::{
    Token, TokenError, keys,
    token::{Access, check_label},
};

/// CKA_EC_PARAMS: OID 1.3.132.0.10 (SEC 2).
const SECP256K1_OID: [u8; 7] = [0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a];
/// CKA_EC_PARAMS: OID 1.3.101.112 (RFC 8410).
const ED25519_OID: [u8; 5] = [0x06, 0x03, 0x2b, 0x65, 0x70];

impl Token {
    /// Generates a key pair that never leaves the token: private, sensitive, not extractable, for signing alone. Its
    /// CKA_ID is the start of its [`countersign_types::KeyId`]; the label is for people. Blocks.
    pub fn generate(&self, label: &str, algorithm: Algorithm) -> Result<PublicKey, TokenError> {
        check_label(label)?;
        let (module, slot, session) = self.log_in(Access::ReadWrite)?;
        let (mechanism, kind) = generation(algorithm);
        let offered = module.get_mechanism_list(slot)?;
        if !offered.contains(&kind) || !offered.contains(&keys::signing_mechanism(algorithm)) {
            return Err(TokenError::MechanismMissing(algorithm));
        }
        let (public, private) =
            session.generate_key_pair(&mechanism, &public_template(label, algorithm), &private_template(label))?;
        let named = name(&session, algorithm, public, private);
        if named.is_err() {
            // A key that could not be named or is not protected must not stay; the first error is the one to tell.
            for object in [public, private] {
                if let Err(error) = session.destroy_object(object) {
                    tracing::warn!(%error, "an unfinished key stays in the token");
                }
            }
        }
        named
    }
}

fn generation(algorithm: Algorithm) -> (Mechanism<'static>, MechanismType) {
    match algorithm {
        Algorithm::Secp256k1 => (Mechanism::EccKeyPairGen, MechanismType::ECC_KEY_PAIR_GEN),
        Algorithm::Ed25519 => (Mechanism::EccEdwardsKeyPairGen, MechanismType::ECC_EDWARDS_KEY_PAIR_GEN),
    }
}

fn public_template(label: &str, algorithm: Algorithm) -> [Attribute; 5] {
    let curve = match algorithm {
        Algorithm::Secp256k1 => SECP256K1_OID.to_vec(),
        Algorithm::Ed25519 => ED25519_OID.to_vec(),
    };
    [
        Attribute::Token(true),
        Attribute::Private(false),
        Attribute::Verify(true),
        Attribute::EcParams(curve),
        Attribute::Label(label.into()),
    ]
}

fn private_template(label: &str) -> [Attribute; 10] {
    [
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Sign(true),
        Attribute::SignRecover(false),
        Attribute::Decrypt(false),
        Attribute::Unwrap(false),
        Attribute::Derive(false),
        Attribute::Label(label.into()),
    ]
}

/// Names both objects after the public key, and looks at them as [`crate::Pkcs11Backend::open`] will.
fn name(
    session: &Session,
    algorithm: Algorithm,
    public: ObjectHandle,
    private: ObjectHandle,
) -> Result<PublicKey, TokenError> {
    let key = keys::read_public_key(session, public, algorithm)?;
    let id = [Attribute::Id(key.id().cka_id().to_vec())];
    session.update_attributes(private, &id)?;
    session.update_attributes(public, &id)?;
    keys::find(session, &[key])?;
    Ok(key)
}
