//! Arguments by the types of a function's signature, read as strictly as every other call.

use alloy_primitives::{Address, B256, I256, U256};

use super::signature::{Shape, head_words, static_words};
use crate::{
    abi::{self, MAX_LIST_ITEMS},
    message::{Field, Primitive, Type, Value},
};

/// The arguments, if they are the canonical encoding of the parameters.
pub(super) fn read(shape: &Shape, args: &[u8]) -> Option<Vec<Value>> {
    abi::read(args, head_words(&shape.fields, shape)?, |frame| {
        read_fields(&shape.fields, shape, frame)
    })
}

fn read_fields(fields: &[Field], shape: &Shape, frame: &mut abi::Frame<'_>) -> Option<Vec<Value>> {
    fields
        .iter()
        .map(|field| read_value(&field.kind, shape, frame))
        .collect()
}

fn read_value(kind: &Type, shape: &Shape, frame: &mut abi::Frame<'_>) -> Option<Value> {
    let is_static = static_words(kind, shape).is_some();
    match kind {
        Type::Primitive(primitive) => read_primitive(*primitive, frame),
        Type::Array(item, None) => {
            let words = static_words(item, shape).unwrap_or(1);
            frame
                .list(words, |frame| read_value(item, shape, frame))
                .map(Value::Parts)
        }
        Type::Array(item, Some(length)) => {
            (*length <= MAX_LIST_ITEMS).then_some(())?;
            let items = |frame: &mut abi::Frame<'_>| (0..*length).map(|_| read_value(item, shape, frame)).collect();
            let items: Option<Vec<Value>> = if is_static {
                items(frame)
            } else {
                frame.tuple(*length, items)
            };
            items.map(Value::Parts)
        }
        Type::Struct(name) => {
            let fields = shape.part(name)?;
            let parts = if is_static {
                read_fields(fields, shape, frame)
            } else {
                frame.tuple(head_words(fields, shape)?, |frame| read_fields(fields, shape, frame))
            };
            parts.map(Value::Parts)
        }
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

impl Primitive {
    /// Whether its values lie in the tail.
    pub(super) fn is_dynamic(self) -> bool {
        match self {
            Self::Bytes | Self::Text => true,
            Self::Address | Self::Boolean | Self::FixedBytes(_) | Self::Uint(_) | Self::Int(_) => false,
        }
    }
}
