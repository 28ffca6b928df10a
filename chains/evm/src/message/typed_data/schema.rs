//! The types of typed data: their texts (`encodeType`), the hashes of those, and what belongs to what.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use alloy_primitives::{B256, keccak256};

use super::{TypedDataError, json::Json};

/// The most struct types: protocols that are in use have a dozen. The hash of each takes in all that it rests on, so this is
/// also how often the types' text is hashed.
pub const MAX_STRUCT_TYPES: usize = 32;
/// The most fields of one struct type.
pub const MAX_STRUCT_FIELDS: usize = 64;
/// The longest name of a type or a field.
pub const MAX_TYPE_NAME_BYTES: usize = 64;
/// The deepest array of arrays.
const MAX_DIMENSIONS: usize = 4;

/// The type of the domain (EIP-712).
pub(super) const DOMAIN: &str = "EIP712Domain";
/// The fields that a domain may have, in their order.
pub(super) const DOMAIN_FIELDS: [(&str, &str); 5] = [
    ("name", "string"),
    ("version", "string"),
    ("chainId", "uint256"),
    ("verifyingContract", "address"),
    ("salt", "bytes32"),
];

/// A type that is not made of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Primitive {
    Address,
    Boolean,
    Text,
    Bytes,
    /// 1 to 32 bytes.
    FixedBytes(usize),
    /// 8 to 256 bits, whole bytes.
    Uint(usize),
    /// 8 to 256 bits, whole bytes, two's complement.
    Int(usize),
}

impl Primitive {
    fn parse(text: &str) -> Option<Self> {
        let size = |prefix: &str, unit: usize| {
            let digits = text.strip_prefix(prefix)?;
            let size: usize = digits.parse().ok()?;
            let is_size = size.to_string() == digits && size.checked_rem(unit) == Some(0);
            (is_size && (1..=32).contains(&size.checked_div(unit)?)).then_some(size)
        };
        match text {
            "address" => Some(Self::Address),
            "bool" => Some(Self::Boolean),
            "string" => Some(Self::Text),
            "bytes" => Some(Self::Bytes),
            _ => (size("bytes", 1).map(Self::FixedBytes))
                .or_else(|| size("uint", 8).map(Self::Uint))
                .or_else(|| size("int", 8).map(Self::Int)),
        }
    }
}

/// The type of a field or of an array's items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Type {
    Primitive(Primitive),
    /// By its name, which the schema has.
    Struct(String),
    /// Of a length that is part of the type, or of any.
    Array(Box<Self>, Option<usize>),
}

impl Type {
    fn parse(text: &str) -> Option<Self> {
        let base_end = text.find('[').unwrap_or(text.len());
        let (base, mut rest) = text.split_at_checked(base_end)?;
        let mut found = match Primitive::parse(base) {
            Some(primitive) => Self::Primitive(primitive),
            None => Self::Struct(struct_name(base)?.to_owned()),
        };
        let mut dimensions = 0_usize;
        while !rest.is_empty() {
            dimensions = dimensions.checked_add(1).filter(|count| *count <= MAX_DIMENSIONS)?;
            let (length, behind) = rest.strip_prefix('[')?.split_once(']')?;
            found = Self::Array(Box::new(found), array_length(length)?);
            rest = behind;
        }
        Some(found)
    }

    /// The struct type that values of this one are made of.
    pub(crate) fn part(&self) -> Option<&str> {
        match self {
            Self::Primitive(_) => None,
            Self::Struct(name) => Some(name),
            Self::Array(item, _) => item.part(),
        }
    }
}

fn array_length(text: &str) -> Option<Option<usize>> {
    if text.is_empty() {
        return Some(None);
    }
    let length: usize = text.parse().ok()?;
    (length > 0 && length.to_string() == text).then_some(Some(length))
}

fn is_name(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'$');
    let mut bytes = text.bytes();
    bytes.next().is_some_and(is_letter)
        && bytes.all(|byte| is_letter(byte) || byte.is_ascii_digit())
        && text.len() <= MAX_TYPE_NAME_BYTES
}

/// A name that nobody can take for a type of Solidity's own: an alias, or a size that does not exist.
fn struct_name(text: &str) -> Option<&str> {
    let is_elementary = [
        "address", "bool", "string", "function", "byte", "bytes", "uint", "int", "fixed", "ufixed",
    ]
    .iter()
    .filter_map(|prefix| text.strip_prefix(prefix))
    .any(|size| size.bytes().all(|byte| byte.is_ascii_digit() || byte == b'x'));
    (is_name(text) && !is_elementary).then_some(text)
}

/// A field of a struct type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) kind: Type,
    /// The type as it is written.
    text: String,
}

impl Field {
    /// A field of a type that is written as EIP-712 and Solidity both have it.
    pub(crate) fn parse(text: &str, name: &str) -> Option<Self> {
        is_name(name).then_some(())?;
        Some(Self {
            name: name.to_owned(),
            kind: Type::parse(text)?,
            text: text.to_owned(),
        })
    }
}

/// A struct type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Struct {
    pub(crate) fields: Vec<Field>,
    /// `Name(type name,…)`, without the types that it rests on.
    pub(super) own_text: String,
    /// `encodeType`: its own text and, sorted by name, those of the types that it rests on.
    pub(super) full_text: String,
    /// `typeHash`.
    pub(super) hash: B256,
}

/// The struct types of one message, every one of them used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Schema {
    structs: BTreeMap<String, Struct>,
}

impl Schema {
    /// Reads the member `types`; keeps what `primary` and the domain rest on.
    pub(super) fn read(types: &Json, domain: &Json, primary: &str) -> Result<Self, TypedDataError> {
        let mut fields = read_types(types)?;
        fields.entry(DOMAIN.to_owned()).or_insert(domain_fields_of(domain)?);
        certify_domain_type(&fields)?;
        if primary == DOMAIN {
            return Err(TypedDataError::BadPrimaryType);
        }
        let used = closure(&fields, primary)?;
        fields.retain(|name, _| name == DOMAIN || used.contains(name));
        let own: BTreeMap<_, _> = fields
            .iter()
            .map(|(name, of)| (name.clone(), own_text(name, of)))
            .collect();
        let mut structs = BTreeMap::new();
        for (name, of) in &fields {
            let mut parts = closure(&fields, name)?;
            parts.remove(name);
            let own_text = own.get(name).cloned().unwrap_or_default();
            let rest = parts.iter().filter_map(|part| own.get(part)).map(String::as_str);
            let full_text: String = std::iter::once(own_text.as_str()).chain(rest).collect();
            let hash = keccak256(&full_text);
            let fields = of.clone();
            structs.insert(
                name.clone(),
                Struct {
                    fields,
                    own_text,
                    full_text,
                    hash,
                },
            );
        }
        Ok(Self { structs })
    }

    pub(crate) fn get(&self, name: &str) -> Result<&Struct, TypedDataError> {
        self.structs
            .get(name)
            .ok_or_else(|| TypedDataError::UnknownType(printable(name)))
    }

    /// The canonical text of the member `types`: sorted by name.
    pub(super) fn write(&self, out: &mut String) {
        out.push('{');
        for (at, (name, of)) in self.structs.iter().enumerate() {
            out.push_str(if at == 0 { "\"" } else { ",\"" });
            out.push_str(name);
            out.push_str("\":[");
            for (at, field) in of.fields.iter().enumerate() {
                let separator = if at == 0 { "" } else { "," };
                // Names and types need no escapes, and writing to a String cannot fail.
                let (name, kind) = (&field.name, &field.text);
                if write!(out, "{separator}{{\"name\":\"{name}\",\"type\":\"{kind}\"}}").is_err() {
                    return;
                }
            }
            out.push(']');
        }
        out.push('}');
    }
}

/// User input in messages: bounded, and nothing that moves a cursor.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .take(MAX_TYPE_NAME_BYTES)
        .flat_map(char::escape_default)
        .collect()
}

fn own_text(name: &str, fields: &[Field]) -> String {
    let fields: Vec<_> = fields
        .iter()
        .map(|field| format!("{} {}", field.text, field.name))
        .collect();
    format!("{name}({})", fields.join(","))
}

type Fields = BTreeMap<String, Vec<Field>>;

fn read_types(types: &Json) -> Result<Fields, TypedDataError> {
    let Json::Object(members) = types else {
        return Err(TypedDataError::BadMember("types"));
    };
    if members.len() > MAX_STRUCT_TYPES {
        return Err(TypedDataError::TooManyTypes { found: members.len() });
    }
    let mut structs = Fields::new();
    for (name, fields) in members {
        let bad = || TypedDataError::BadType(printable(name));
        let name = struct_name(name).ok_or_else(bad)?;
        let Json::Array(fields) = fields else {
            return Err(bad());
        };
        if fields.is_empty() || fields.len() > MAX_STRUCT_FIELDS {
            return Err(TypedDataError::BadFieldCount {
                name: name.to_owned(),
                found: fields.len(),
            });
        }
        let fields: Vec<Field> = fields
            .iter()
            .map(|field| read_field(field).ok_or_else(bad))
            .collect::<Result<_, _>>()?;
        let names: BTreeSet<_> = fields.iter().map(|field| &field.name).collect();
        if names.len() != fields.len() || structs.insert(name.to_owned(), fields.clone()).is_some() {
            return Err(TypedDataError::NamedTwice(name.to_owned()));
        }
    }
    Ok(structs)
}

/// `{"name":…,"type":…}`, in either order.
fn read_field(field: &Json) -> Option<Field> {
    let Json::Object(members) = field else {
        return None;
    };
    let text_of = |wanted: &str| match members.iter().find(|(name, _)| name == wanted) {
        Some((_, Json::Text(text))) => Some(text),
        Some(_) | None => None,
    };
    let (name, text) = (text_of("name")?, text_of("type")?);
    (members.len() == 2).then(|| Field::parse(text, name)).flatten()
}

/// The domain's type, where a wallet's JSON leaves it out: it follows from which members the domain has.
fn domain_fields_of(domain: &Json) -> Result<Vec<Field>, TypedDataError> {
    let Json::Object(members) = domain else {
        return Err(TypedDataError::BadMember("domain"));
    };
    let is_there = |wanted: &str| members.iter().any(|(name, _)| name == wanted);
    let fields = DOMAIN_FIELDS.iter().filter(|(name, _)| is_there(name));
    Ok(fields.filter_map(|(name, text)| Field::parse(text, name)).collect())
}

/// A domain has some of EIP-712's five fields, in their order and of their types, and is part of nothing else.
fn certify_domain_type(fields: &Fields) -> Result<(), TypedDataError> {
    let domain = fields.get(DOMAIN).map_or(&[][..], Vec::as_slice);
    let mut standard = DOMAIN_FIELDS.iter();
    let is_standard = domain
        .iter()
        .all(|field| standard.any(|(name, text)| field.name == *name && field.text == *text));
    let is_part = fields.values().flatten().any(|field| field.kind.part() == Some(DOMAIN));
    if domain.is_empty() || !is_standard || is_part {
        return Err(TypedDataError::BadDomainType);
    }
    Ok(())
}

/// A struct type and all that it rests on.
fn closure(fields: &Fields, start: &str) -> Result<BTreeSet<String>, TypedDataError> {
    let mut found = BTreeSet::new();
    let mut open = vec![start];
    while let Some(name) = open.pop() {
        if !found.insert(name.to_owned()) {
            continue;
        }
        let of = fields
            .get(name)
            .ok_or_else(|| TypedDataError::UnknownType(printable(name)))?;
        open.extend(of.iter().filter_map(|field| field.kind.part()));
    }
    Ok(found)
}
