//! Values of the types: read from JSON, written as the one canonical JSON, and hashed (`encodeData`).

use alloy_primitives::{Address, B256, I256, U256, hex, keccak256};

use super::{
    TypedDataError,
    json::{Json, push_text},
    schema::{Primitive, Schema, Type, printable},
};
use crate::{abi::MAX_LIST_ITEMS, address::parse_address};

/// How deep structs and arrays in one another go: orders of batches of permits take six.
pub const MAX_VALUE_DEPTH: usize = 16;

/// A value; what it is a value of stands in the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// A static type, as it is hashed: numbers big-endian, `bytesN` at the left.
    Word([u8; 32]),
    /// `bytes` or the UTF-8 of a `string`.
    Bytes(Vec<u8>),
    /// The items of an array, or the fields of a struct in the type's order.
    Parts(Vec<Self>),
}

impl Schema {
    /// Reads a value of a struct type: every field once, and nothing else.
    pub(super) fn read_struct(&self, name: &str, json: &Json, depth: usize) -> Result<Value, TypedDataError> {
        let fields = &self.get(name)?.fields;
        let Json::Object(members) = json else {
            return Err(TypedDataError::NotAStruct(name.to_owned()));
        };
        // As many members as fields, and each field is one of them: none stands twice, and none is unknown.
        if members.len() != fields.len() {
            return Err(TypedDataError::BadMembers(name.to_owned()));
        }
        let parts = fields.iter().enumerate().map(|(at, field)| {
            let in_place = members.get(at).filter(|(name, _)| *name == field.name);
            let member = in_place.or_else(|| members.iter().find(|(name, _)| *name == field.name));
            let (_, json) = member.ok_or_else(|| TypedDataError::BadMembers(name.to_owned()))?;
            self.read_value(&field.kind, json, &field.name, depth)
        });
        Ok(Value::Parts(parts.collect::<Result<_, _>>()?))
    }

    fn read_value(&self, kind: &Type, json: &Json, field: &str, depth: usize) -> Result<Value, TypedDataError> {
        let depth = depth.saturating_add(1);
        if depth > MAX_VALUE_DEPTH {
            return Err(TypedDataError::TooDeep);
        }
        let bad = || TypedDataError::BadValue(printable(field));
        match kind {
            Type::Primitive(primitive) => read_primitive(*primitive, json).ok_or_else(bad),
            Type::Struct(name) => self.read_struct(name, json, depth),
            Type::Array(item, length) => {
                let Json::Array(items) = json else {
                    return Err(bad());
                };
                if items.len() > MAX_LIST_ITEMS {
                    return Err(TypedDataError::TooManyItems {
                        field: printable(field),
                        found: items.len(),
                    });
                }
                if length.is_some_and(|length| length != items.len()) {
                    return Err(bad());
                }
                let items = items.iter().map(|json| self.read_value(item, json, field, depth));
                Ok(Value::Parts(items.collect::<Result<_, _>>()?))
            }
        }
    }

    pub(super) fn write_struct(&self, out: &mut String, name: &str, value: &Value) -> Result<(), TypedDataError> {
        let (fields, parts) = (&self.get(name)?.fields, parts(value));
        out.push('{');
        for (at, (field, part)) in fields.iter().zip(parts).enumerate() {
            out.push_str(if at == 0 { "\"" } else { ",\"" });
            out.push_str(&field.name);
            out.push_str("\":");
            self.write_value(out, &field.kind, part)?;
        }
        out.push('}');
        Ok(())
    }

    fn write_value(&self, out: &mut String, kind: &Type, value: &Value) -> Result<(), TypedDataError> {
        match (kind, value) {
            (Type::Primitive(primitive), Value::Word(word)) => write_word(out, *primitive, word),
            (Type::Primitive(Primitive::Text), Value::Bytes(text)) => push_text(out, &String::from_utf8_lossy(text)),
            (Type::Primitive(_), Value::Bytes(bytes)) => push_hex(out, bytes),
            (Type::Primitive(_), Value::Parts(_)) => {}
            (Type::Struct(name), value) => self.write_struct(out, name, value)?,
            (Type::Array(item, _), value) => {
                out.push('[');
                for (at, part) in parts(value).iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    self.write_value(out, item, part)?;
                }
                out.push(']');
            }
        }
        Ok(())
    }

    /// `hashStruct`.
    pub(super) fn hash_struct(&self, name: &str, value: &Value) -> Result<B256, TypedDataError> {
        let of = self.get(name)?;
        let mut encoded = of.hash.to_vec();
        for (field, part) in of.fields.iter().zip(parts(value)) {
            encoded.extend(self.hash_value(&field.kind, part)?);
        }
        Ok(keccak256(encoded))
    }

    /// The word that stands for a value in what is hashed.
    fn hash_value(&self, kind: &Type, value: &Value) -> Result<B256, TypedDataError> {
        match (kind, value) {
            (_, Value::Word(word)) => Ok(word.into()),
            (_, Value::Bytes(bytes)) => Ok(keccak256(bytes)),
            (Type::Struct(name), Value::Parts(_)) => self.hash_struct(name, value),
            (Type::Array(item, _), Value::Parts(parts)) => {
                let mut encoded = Vec::new();
                for part in parts {
                    encoded.extend(self.hash_value(item, part)?);
                }
                Ok(keccak256(encoded))
            }
            // No value that was read is like this.
            (Type::Primitive(_), Value::Parts(_)) => Err(TypedDataError::BadValue("array".to_owned())),
        }
    }
}

fn parts(value: &Value) -> &[Value] {
    match value {
        Value::Parts(parts) => parts,
        Value::Word(_) | Value::Bytes(_) => &[],
    }
}

fn read_primitive(primitive: Primitive, json: &Json) -> Option<Value> {
    match (primitive, json) {
        (Primitive::Address, Json::Text(text)) => read_address(text).map(|address| word(address.into_word())),
        (Primitive::Boolean, Json::Boolean(value)) => Some(word(U256::from(*value).into())),
        (Primitive::Text, Json::Text(text)) => Some(Value::Bytes(text.clone().into_bytes())),
        (Primitive::Bytes, Json::Text(text)) => read_hex(text).map(Value::Bytes),
        (Primitive::FixedBytes(size), Json::Text(text)) => {
            let bytes = read_hex(text).filter(|bytes| bytes.len() == size)?;
            Some(word(B256::right_padding_from(&bytes)))
        }
        (Primitive::Uint(bits), Json::Text(text) | Json::Number(text)) => read_uint(text)
            .filter(|number| number.bit_len() <= bits)
            .map(|number| word(number.into())),
        (Primitive::Int(bits), Json::Text(text) | Json::Number(text)) => {
            read_int(text, bits).map(|number| word(number.into_raw().into()))
        }
        (
            Primitive::Address
            | Primitive::Boolean
            | Primitive::Text
            | Primitive::Bytes
            | Primitive::FixedBytes(_)
            | Primitive::Uint(_)
            | Primitive::Int(_),
            _,
        ) => None,
    }
}

fn word(word: B256) -> Value {
    Value::Word(word.0)
}

/// A checksum that is there must be right; in one case there is none.
fn read_address(text: &str) -> Option<Address> {
    let digits = text.strip_prefix("0x")?;
    let is_mixed = digits.bytes().any(|b| b.is_ascii_lowercase()) && digits.bytes().any(|b| b.is_ascii_uppercase());
    if is_mixed {
        return parse_address(text).ok();
    }
    let bytes: [u8; 20] = read_hex(text)?.try_into().ok()?;
    Some(bytes.into())
}

fn read_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("0x")?;
    // The decoder would strip a second prefix.
    digits
        .bytes()
        .all(|b| b.is_ascii_hexdigit())
        .then(|| hex::decode(digits).ok())
        .flatten()
}

/// Decimal, or hex behind `0x`.
fn read_uint(text: &str) -> Option<U256> {
    let (digits, radix) = text.strip_prefix("0x").map_or((text, 10), |digits| (digits, 16));
    // The reader of numbers would skip underscores and take nothing for zero.
    let is_number = !digits.is_empty()
        && digits
            .bytes()
            .all(|b| char::from(b).is_digit(if radix == 10 { 10 } else { 16 }));
    is_number.then(|| U256::from_str_radix(digits, radix).ok()).flatten()
}

/// From −2ⁿ⁻¹ to 2ⁿ⁻¹ − 1.
fn read_int(text: &str, bits: usize) -> Option<I256> {
    let (is_negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let magnitude = read_uint(digits)?;
    let limit = U256::from(1).checked_shl(bits.checked_sub(1)?)?;
    let is_in_range = if is_negative {
        magnitude <= limit
    } else {
        magnitude < limit
    };
    let raw = if is_negative {
        magnitude.wrapping_neg()
    } else {
        magnitude
    };
    is_in_range.then(|| I256::from_raw(raw))
}

fn write_word(out: &mut String, primitive: Primitive, word: &[u8; 32]) {
    match primitive {
        Primitive::Address => push_text(out, &Address::from_word(word.into()).to_checksum(None)),
        Primitive::Boolean => out.push_str(if word.iter().all(|byte| *byte == 0) {
            "false"
        } else {
            "true"
        }),
        Primitive::Uint(_) => push_text(out, &U256::from_be_bytes(*word).to_string()),
        Primitive::Int(_) => push_text(out, &I256::from_raw(U256::from_be_bytes(*word)).to_string()),
        Primitive::FixedBytes(size) => push_hex(out, word.get(..size).unwrap_or(word)),
        Primitive::Text | Primitive::Bytes => push_hex(out, word),
    }
}

fn push_hex(out: &mut String, bytes: &[u8]) {
    push_text(out, &hex::encode_prefixed(bytes));
}
