//! Data objects: small public facts that a token keeps, such as the genesis hash.

use cryptoki::{
    object::{Attribute, AttributeType, ObjectClass, ObjectHandle},
    session::Session,
};

use crate::{
    Token, TokenError,
    token::{Access, check_label},
};

/// CKA_APPLICATION of our data objects.
const APPLICATION: &[u8] = b"countersign";
/// Digests and tree heads are far smaller; tokens have little memory.
const MAX_DATA_BYTES: usize = 4_096;

impl Token {
    /// Writes a data object once. The same bytes again are fine, other bytes are refused. Blocks.
    pub fn store_data_object(&self, label: &str, bytes: &[u8]) -> Result<(), TokenError> {
        check_label(label)?;
        check_size(bytes)?;
        let (_, _, session) = self.log_in(Access::ReadWrite)?;
        match read(&session, label)? {
            None => {}
            Some(stored) if stored == bytes => return Ok(()),
            Some(_) => return Err(TokenError::DataDifferent(label.to_owned())),
        }
        session.create_object(&[
            Attribute::Class(ObjectClass::DATA),
            Attribute::Token(true),
            Attribute::Private(false),
            Attribute::Modifiable(false),
            Attribute::Application(APPLICATION.to_vec()),
            Attribute::Label(label.into()),
            Attribute::Value(bytes.to_vec()),
        ])?;
        // Another process may have written at the same time: then there are two, and this fails.
        match read(&session, label)? {
            Some(stored) if stored == bytes => Ok(()),
            Some(_) | None => Err(TokenError::DataDifferent(label.to_owned())),
        }
    }

    /// Reads a data object. Needs no login. Blocks.
    pub fn read_data_object(&self, label: &str) -> Result<Vec<u8>, TokenError> {
        check_label(label)?;
        let (_, _, session) = self.open_session(Access::ReadOnly)?;
        read(&session, label)?.ok_or_else(|| TokenError::DataMissing(label.to_owned()))
    }
}

/// `None`: there is none. Several must all say the same.
fn read(session: &Session, label: &str) -> Result<Option<Vec<u8>>, TokenError> {
    let objects = session.find_objects(&[
        Attribute::Class(ObjectClass::DATA),
        Attribute::Token(true),
        Attribute::Application(APPLICATION.to_vec()),
        Attribute::Label(label.into()),
    ])?;
    let mut values = Vec::with_capacity(objects.len());
    for object in objects {
        values.push(value(session, object)?);
    }
    values.dedup();
    match values.as_slice() {
        [_, _, ..] => Err(TokenError::DataDifferent(label.to_owned())),
        [] | [_] => Ok(values.pop()),
    }
}

fn value(session: &Session, object: ObjectHandle) -> Result<Vec<u8>, TokenError> {
    let attributes = session.get_attributes(object, &[AttributeType::Value])?;
    let value = attributes.into_iter().find_map(|attribute| {
        if let Attribute::Value(bytes) = attribute {
            return Some(bytes);
        }
        None
    });
    let value = value.unwrap_or_default();
    check_size(&value)?;
    Ok(value)
}

fn check_size(bytes: &[u8]) -> Result<(), TokenError> {
    if (1..=MAX_DATA_BYTES).contains(&bytes.len()) {
        return Ok(());
    }
    Err(TokenError::DataSize {
        max: MAX_DATA_BYTES,
        found: bytes.len(),
    })
}
