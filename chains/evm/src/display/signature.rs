//! What a format's key says: a function with its parameters, or a message with its types (EIP-712's `encodeType`).

use std::collections::{BTreeMap, BTreeSet};

use crate::message::{Field, MAX_STRUCT_FIELDS, MAX_STRUCT_TYPES, Type};

/// How deep tuples in one another go.
const MAX_TUPLE_DEPTH: usize = 8;

/// Parameters or members, and the structs that they are made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) fields: Vec<Field>,
    /// Of a function's tuples, which have no names, the names are their numbers.
    pub(super) structs: BTreeMap<String, Vec<Field>>,
}

impl Shape {
    pub(super) fn part(&self, name: &str) -> Option<&[Field]> {
        self.structs.get(name).map(Vec::as_slice)
    }

    /// `Name(type name,…)Other(type name,…)`: every type is there, once, and none rests on itself.
    pub(super) fn of_message(text: &str) -> Option<Self> {
        let mut structs = BTreeMap::new();
        let mut first = None;
        let mut rest = text;
        while !rest.is_empty() {
            let (head, behind) = rest.split_once(')')?;
            let (name, params) = head.split_once('(')?;
            let members = params.split(',').map(|member| {
                let (kind, name) = member.split_once(' ')?;
                Field::parse(kind, name)
            });
            let members: Vec<Field> = members.collect::<Option<_>>()?;
            certify_names(&members)?;
            first.get_or_insert(name);
            structs.insert(name.to_owned(), members).is_none().then_some(())?;
            (structs.len() <= MAX_STRUCT_TYPES).then_some(())?;
            rest = behind;
        }
        let shape = Self {
            fields: structs.get(first?)?.clone(),
            structs,
        };
        shape.is_finite().then_some(shape)
    }

    /// Whether every struct is there and none rests on itself: its paths would have no end.
    fn is_finite(&self) -> bool {
        let mut done = BTreeSet::new();
        loop {
            let is_ready = |fields: &[Field]| {
                fields
                    .iter()
                    .filter_map(|field| field.kind.part())
                    .all(|part| done.contains(part))
            };
            let ready: Vec<&str> = (self.structs.iter())
                .filter(|(name, fields)| !done.contains(name.as_str()) && is_ready(fields))
                .map(|(name, _)| name.as_str())
                .collect();
            if ready.is_empty() {
                return done.len() == self.structs.len();
            }
            done.extend(ready);
        }
    }
}

/// `name(type name,…)`, with tuples as `(type name,…) name`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signature {
    pub(super) selector: [u8; 4],
    pub(super) shape: Shape,
}

impl Signature {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let open = text.find('(')?;
        let (name, rest) = text.split_at_checked(open)?;
        let is_name = !name.is_empty()
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$'));
        let mut reader = Reader {
            rest,
            structs: BTreeMap::new(),
        };
        let (fields, types) = reader.tuple(0)?;
        let hash = alloy_primitives::keccak256(format!("{name}{types}"));
        let shape = Shape {
            fields,
            structs: reader.structs,
        };
        (is_name && reader.rest.is_empty()).then_some(Self {
            selector: *hash.first_chunk()?,
            shape,
        })
    }
}

struct Reader<'a> {
    rest: &'a str,
    structs: BTreeMap<String, Vec<Field>>,
}

impl<'a> Reader<'a> {
    /// `(…)`: its fields, and its types as the selector has them.
    fn tuple(&mut self, depth: usize) -> Option<(Vec<Field>, String)> {
        (depth < MAX_TUPLE_DEPTH).then_some(())?;
        self.take('(')?;
        let (mut fields, mut types) = (Vec::new(), Vec::new());
        while self.take(')').is_none() {
            if !fields.is_empty() {
                self.take(',')?;
            }
            let (field, kind) = self.parameter(depth)?;
            fields.push(field);
            types.push(kind);
            (fields.len() <= MAX_STRUCT_FIELDS).then_some(())?;
        }
        certify_names(&fields)?;
        Some((fields, format!("({})", types.join(","))))
    }

    fn parameter(&mut self, depth: usize) -> Option<(Field, String)> {
        self.rest = self.rest.trim_start();
        let behind = self.rest.strip_prefix("tuple").unwrap_or(self.rest).trim_start();
        if behind.starts_with('(') {
            self.rest = behind;
            let (fields, types) = self.tuple(depth.checked_add(1)?)?;
            // A tuple without fields takes no bytes: a list of them could be of any length.
            (!fields.is_empty() && self.structs.len() < MAX_STRUCT_TYPES).then_some(())?;
            let number = format!("tuple{}", self.structs.len());
            self.structs.insert(number.clone(), fields);
            let dimensions = self.until(char::is_whitespace);
            let name = self.name()?;
            let field = Field::parse(&format!("{number}{dimensions}"), name)?;
            return Some((field, format!("{types}{dimensions}")));
        }
        let written = self.until(char::is_whitespace);
        let kind = canonical(written);
        let field = Field::parse(&kind, self.name()?)?;
        // Only tuples are made of others.
        field.kind.part().is_none().then_some((field, kind))
    }

    /// A parameter's name, behind the place where Solidity says that it lies.
    fn name(&mut self) -> Option<&'a str> {
        let mut name = self.word();
        if matches!(name, "memory" | "calldata" | "storage" | "payable") {
            name = self.word();
        }
        (!name.is_empty()).then_some(name)
    }

    fn word(&mut self) -> &'a str {
        self.rest = self.rest.trim_start();
        self.until(|c| c.is_whitespace() || matches!(c, ',' | ')' | '('))
    }

    fn until(&mut self, is_end: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(is_end).unwrap_or(self.rest.len());
        let (word, behind) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.rest = behind;
        word
    }

    fn take(&mut self, wanted: char) -> Option<()> {
        self.rest = self.rest.trim_start().strip_prefix(wanted)?;
        Some(())
    }
}

/// Solidity's aliases of 256 bits, as the selector has them.
fn canonical(written: &str) -> String {
    let end = written.find('[').unwrap_or(written.len());
    let (base, dimensions) = written.split_at_checked(end).unwrap_or((written, ""));
    match base {
        "uint" | "int" => format!("{base}256{dimensions}"),
        _ => written.to_owned(),
    }
}

fn certify_names(fields: &[Field]) -> Option<()> {
    let names: BTreeSet<_> = fields.iter().map(|field| &field.name).collect();
    (names.len() == fields.len() && fields.len() <= MAX_STRUCT_FIELDS).then_some(())
}

/// How many words values of a type take in the head; `None` for those that lie in the tail.
pub(super) fn static_words(kind: &Type, shape: &Shape) -> Option<usize> {
    match kind {
        Type::Primitive(primitive) => (!primitive.is_dynamic()).then_some(1),
        Type::Array(_, None) => None,
        Type::Array(item, Some(length)) => static_words(item, shape)?.checked_mul(*length),
        Type::Struct(name) => {
            let words = shape.part(name)?.iter().map(|field| static_words(&field.kind, shape));
            words.sum_checked()
        }
    }
}

trait SumChecked {
    fn sum_checked(self) -> Option<usize>;
}

impl<I: Iterator<Item = Option<usize>>> SumChecked for I {
    fn sum_checked(mut self) -> Option<usize> {
        self.try_fold(0_usize, |sum, words| sum.checked_add(words?))
    }
}

/// The same with one word for what lies in the tail.
pub(super) fn head_words(fields: &[Field], shape: &Shape) -> Option<usize> {
    let words = fields
        .iter()
        .map(|field| Some(static_words(&field.kind, shape).unwrap_or(1)));
    words.sum_checked()
}
