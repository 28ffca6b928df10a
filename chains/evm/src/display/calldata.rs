//! Arguments by the types of a function's signature, read as strictly as every other call.

use alloy_primitives::{Address, B256, I256, U256};

use crate::{
    abi,
    message::{Field, Primitive, Type, Value},
};

/// `name(type name,…)`, of types that are their own word, `bytes`, `string`, and arrays of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signature {
    pub(super) selector: [u8; 4],
    pub(super) fields: Vec<Field>,
}

impl Signature {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (name, rest) = text.split_once('(')?;
        let params = rest.strip_suffix(')')?;
        let params = params.split(',').filter(|_| !params.is_empty());
        let fields: Vec<Field> = params.map(parameter).collect::<Option<_>>()?;
        let types: Vec<&str> = fields.iter().map(Field::text).collect();
        let is_name = !name.is_empty()
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$'));
        let names: std::collections::BTreeSet<_> = fields.iter().map(|field| &field.name).collect();
        let hash = alloy_primitives::keccak256(format!("{name}({})", types.join(",")));
        let selector = *hash.first_chunk()?;
        (is_name && names.len() == fields.len()).then_some(Self { selector, fields })
    }
}

fn parameter(text: &str) -> Option<Field> {
    let (kind, name) = text.split_once(' ')?;
    let field = Field::parse(kind, name)?;
    let is_readable = match &field.kind {
        Type::Primitive(_) => true,
        Type::Array(item, None) => matches!(**item, Type::Primitive(_)),
        Type::Array(_, Some(_)) | Type::Struct(_) => false,
    };
    is_readable.then_some(field)
}

/// The arguments, if they are the canonical encoding of the parameters.
pub(super) fn read(fields: &[Field], args: &[u8]) -> Option<Vec<Value>> {
    abi::read(args, fields.len(), |frame| {
        fields.iter().map(|field| read_value(&field.kind, frame)).collect()
    })
}

fn read_value(kind: &Type, frame: &mut abi::Frame<'_>) -> Option<Value> {
    match kind {
        Type::Primitive(primitive) => read_primitive(*primitive, frame),
        Type::Array(item, None) => frame.list(1, |frame| read_value(item, frame)).map(Value::Parts),
        Type::Array(_, Some(_)) | Type::Struct(_) => None,
    }
}

fn read_primitive(primitive: Primitive, frame: &mut abi::Frame<'_>) -> Option<Value> {
    match primitive {
        Primitive::Bytes => frame.bytes().map(|bytes| Value::Bytes(bytes.to_vec())),
        Primitive::Text => {
            let bytes = frame.bytes()?.to_vec();
            String::from_utf8(bytes)
                .ok()
                .map(|text| Value::Bytes(text.into_bytes()))
        }
        Primitive::Address | Primitive::Boolean | Primitive::FixedBytes(_) | Primitive::Uint(_) | Primitive::Int(_) => {
            let word = *frame.word()?;
            is_of(primitive, &word).then_some(Value::Word(word))
        }
    }
}

/// Whether a word is the encoding of a value of the type.
fn is_of(primitive: Primitive, word: &[u8; 32]) -> bool {
    let number = U256::from_be_bytes(*word);
    match primitive {
        Primitive::Address => Address::from_word(word.into()).into_word() == B256::from(*word),
        Primitive::Boolean => number <= U256::from(1),
        Primitive::FixedBytes(size) => word.iter().skip(size).all(|byte| *byte == 0),
        Primitive::Uint(bits) => number.bit_len() <= bits,
        Primitive::Int(bits) => {
            let number = I256::from_raw(number);
            let magnitude = if number.is_negative() {
                !number.into_raw()
            } else {
                number.into_raw()
            };
            magnitude.bit_len() < bits
        }
        Primitive::Text | Primitive::Bytes => false,
    }
}
