//! The values that are no list and no struct, each with its path.

use std::collections::BTreeMap;

use crate::message::{Field, Primitive, Schema, Type, Value};

/// One value that can be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Leaf<'a> {
    /// `details.[2].token`.
    pub(super) path: String,
    /// `details.[].token`.
    pub(super) pattern: String,
    pub(super) kind: Primitive,
    /// Nothing, where an array has no items.
    pub(super) value: Option<&'a Value>,
}

/// Leaves by their path, so that finding one beside another does not take a walk through all.
pub(super) type ByPath<'a> = BTreeMap<&'a str, &'a Leaf<'a>>;

impl Leaf<'_> {
    /// Another pattern in the same place: each `[]` takes the index that this leaf has there.
    pub(super) fn beside(&self, pattern: &str) -> String {
        let mut indexes = self.path.split('.').filter(|step| step.starts_with('['));
        let steps = pattern.split('.').map(|step| match step {
            "[]" => indexes.next().unwrap_or(step),
            step => step,
        });
        steps.collect::<Vec<_>>().join(".")
    }
}

/// Every leaf below these fields, in their order. As many as there are values, which the bytes bound.
pub(super) fn leaves<'a>(fields: &'a [Field], parts: &'a [Value], schema: Option<&'a Schema>) -> Vec<Leaf<'a>> {
    let mut found = Vec::new();
    for (field, value) in fields.iter().zip(parts) {
        let at = (field.name.clone(), field.name.clone());
        collect(&field.kind, Some(value), at, schema, &mut found);
    }
    found
}

fn collect<'a>(
    kind: &'a Type,
    value: Option<&'a Value>,
    (path, pattern): (String, String),
    schema: Option<&'a Schema>,
    found: &mut Vec<Leaf<'a>>,
) {
    match (kind, value) {
        (Type::Primitive(kind), value) => found.push(Leaf {
            path,
            pattern,
            kind: *kind,
            value,
        }),
        (Type::Array(item, _), Some(Value::Parts(parts))) if !parts.is_empty() => {
            for (index, part) in parts.iter().enumerate() {
                let at = (format!("{path}.[{index}]"), format!("{pattern}.[]"));
                collect(item, Some(part), at, schema, found);
            }
        }
        // An array without items is shown as such, once.
        (Type::Array(..), _) => found.push(Leaf {
            path,
            pattern,
            kind: Primitive::Bytes,
            value: None,
        }),
        (Type::Struct(name), value) => {
            let fields = schema
                .and_then(|schema| schema.get(name).ok())
                .map_or(&[][..], |of| of.fields.as_slice());
            let parts = match value {
                Some(Value::Parts(parts)) => parts.as_slice(),
                Some(Value::Word(_) | Value::Bytes(_)) | None => &[],
            };
            for (field, part) in fields.iter().zip(parts) {
                let at = (format!("{path}.{}", field.name), format!("{pattern}.{}", field.name));
                collect(&field.kind, Some(part), at, schema, found);
            }
        }
    }
}
