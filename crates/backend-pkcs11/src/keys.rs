//! The keys of a token: found once a session, compared with what they should be.

use std::collections::HashMap;

use countersign_types::{Algorithm, KeyId, PublicKey};
use cryptoki::{
    mechanism::MechanismType,
    object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle},
    session::Session,
};

use crate::{TokenError, point};

pub(crate) fn key_type(algorithm: Algorithm) -> KeyType {
    match algorithm {
        Algorithm::Secp256k1 => KeyType::EC,
        Algorithm::Ed25519 => KeyType::EC_EDWARDS,
    }
}

pub(crate) fn signing_mechanism(algorithm: Algorithm) -> MechanismType {
    match algorithm {
        Algorithm::Secp256k1 => MechanismType::ECDSA,
        Algorithm::Ed25519 => MechanismType::EDDSA,
    }
}

/// Finds every key, or fails. All objects are listed once: a search per key costs a token with many keys seconds.
pub(crate) fn find(session: &Session, keys: &[PublicKey]) -> Result<HashMap<KeyId, ObjectHandle>, TokenError> {
    let private = Objects::list(session, ObjectClass::PRIVATE_KEY)?;
    let public = Objects::list(session, ObjectClass::PUBLIC_KEY)?;
    keys.iter()
        .map(|key| {
            let handle = private.only(key)?;
            certify_public(session, public.only(key)?, key)?;
            certify_private(session, handle, key)?;
            Ok((key.id(), handle))
        })
        .collect()
}

/// The token objects of one class by CKA_ID.
struct Objects(HashMap<Vec<u8>, Vec<ObjectHandle>>);

impl Objects {
    fn list(session: &Session, class: ObjectClass) -> Result<Self, TokenError> {
        let mut by_id: HashMap<Vec<u8>, Vec<ObjectHandle>> = HashMap::new();
        for object in session.find_objects(&[Attribute::Class(class), Attribute::Token(true)])? {
            for attribute in session.get_attributes(object, &[AttributeType::Id])? {
                if let Attribute::Id(id) = attribute {
                    by_id.entry(id).or_default().push(object);
                }
            }
        }
        Ok(Self(by_id))
    }

    fn only(&self, key: &PublicKey) -> Result<ObjectHandle, TokenError> {
        let id = key.id();
        match self.0.get(id.cka_id().as_slice()).map(Vec::as_slice) {
            Some([object]) => Ok(*object),
            None | Some([]) => Err(TokenError::KeyMissing(id)),
            Some([_, _, ..]) => Err(TokenError::KeyAmbiguous(id)),
        }
    }
}

/// CKA_ID is 20 bytes that anybody may set: the whole public key decides.
fn certify_public(session: &Session, public: ObjectHandle, expected: &PublicKey) -> Result<(), TokenError> {
    let found = read_public_key(session, public, expected.algorithm())?;
    if found == *expected {
        return Ok(());
    }
    Err(TokenError::KeyDifferent {
        expected: *expected,
        found,
    })
}

pub(crate) fn read_public_key(
    session: &Session,
    public: ObjectHandle,
    algorithm: Algorithm,
) -> Result<PublicKey, TokenError> {
    let attributes = session.get_attributes(public, &[AttributeType::EcPoint])?;
    let key = attributes.iter().find_map(|attribute| {
        if let Attribute::EcPoint(bytes) = attribute {
            return point::parse(algorithm, bytes);
        }
        None
    });
    key.ok_or(TokenError::PointMalformed(algorithm))
}

/// Fail closed: an attribute that the token does not show counts as wrong.
pub(crate) fn certify_private(session: &Session, private: ObjectHandle, key: &PublicKey) -> Result<(), TokenError> {
    let required = [
        Attribute::KeyType(key_type(key.algorithm())),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Sign(true),
    ];
    let types = required.each_ref().map(Attribute::attribute_type);
    let found = session.get_attributes(private, &types)?;
    match required.iter().find(|attribute| !found.contains(attribute)) {
        None => Ok(()),
        Some(wrong) => Err(TokenError::KeyUnprotected {
            key: key.id(),
            attribute: wrong.attribute_type().to_string(),
        }),
    }
}
