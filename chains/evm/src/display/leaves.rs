//! The values that are no list and no struct, each with its path.

use std::{collections::BTreeMap, fmt::Write as _};

use crate::message::{Field, Primitive, Type, Value};

/// The fields of a struct type by its name.
pub(super) type Structs<'a> = dyn Fn(&str) -> Option<&'a [Field]> + 'a;

/// One step from the top to a leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LeafStep<'a> {
    Name(&'a str),
    /// An item of as many.
    Item {
        at: usize,
        of: usize,
    },
}

/// One value that can be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Leaf<'a> {
    pub(super) steps: Vec<LeafStep<'a>>,
    pub(super) kind: Primitive,
    /// Nothing, where an array has no items.
    pub(super) value: Option<&'a Value>,
}

impl Leaf<'_> {
    /// `details.[2].token`.
    pub(super) fn path(&self) -> String {
        path_of(&self.steps)
    }
}

/// All of them, found by their path without a walk through all.
pub(super) struct Leaves<'a> {
    pub(super) list: Vec<Leaf<'a>>,
    by_path: BTreeMap<String, usize>,
    /// The arrays' lengths.
    lengths: BTreeMap<String, usize>,
}

impl<'a> Leaves<'a> {
    /// Every leaf below these fields, in their order. As many as there are values, which the bytes bound.
    pub(super) fn of(fields: &'a [Field], parts: &'a [Value], structs: &Structs<'a>) -> Self {
        let mut found = Self {
            list: Vec::new(),
            by_path: BTreeMap::new(),
            lengths: BTreeMap::new(),
        };
        let mut steps = Vec::new();
        found.collect_fields(fields, parts, &mut steps, structs);
        found.by_path = (found.list.iter().enumerate())
            .map(|(at, leaf)| (leaf.path(), at))
            .collect();
        found
    }

    pub(super) fn at(&self, path: &str) -> Option<&Leaf<'a>> {
        self.list.get(*self.by_path.get(path)?)
    }

    pub(super) fn length(&self, path: &str) -> Option<usize> {
        self.lengths.get(path).copied()
    }

    fn collect_fields(
        &mut self,
        fields: &'a [Field],
        parts: &'a [Value],
        steps: &mut Vec<LeafStep<'a>>,
        structs: &Structs<'a>,
    ) {
        for (field, part) in fields.iter().zip(parts) {
            steps.push(LeafStep::Name(&field.name));
            self.collect(&field.kind, Some(part), steps, structs);
            steps.pop();
        }
    }

    fn collect(
        &mut self,
        kind: &'a Type,
        value: Option<&'a Value>,
        steps: &mut Vec<LeafStep<'a>>,
        structs: &Structs<'a>,
    ) {
        match (kind, value) {
            (Type::Primitive(kind), value) => self.push(steps, *kind, value),
            (Type::Array(item, _), Some(Value::Parts(parts))) if !parts.is_empty() => {
                self.lengths.insert(path_of(steps), parts.len());
                for (at, part) in parts.iter().enumerate() {
                    steps.push(LeafStep::Item { at, of: parts.len() });
                    self.collect(item, Some(part), steps, structs);
                    steps.pop();
                }
            }
            // An array without items is shown as such, once.
            (Type::Array(..), _) => self.push(steps, Primitive::Bytes, None),
            (Type::Struct(name), value) => {
                let parts = match value {
                    Some(Value::Parts(parts)) => parts.as_slice(),
                    Some(Value::Word(_) | Value::Bytes(_)) | None => &[],
                };
                self.collect_fields(structs(name).unwrap_or_default(), parts, steps, structs);
            }
        }
    }

    fn push(&mut self, steps: &[LeafStep<'a>], kind: Primitive, value: Option<&'a Value>) {
        let steps = steps.to_vec();
        self.list.push(Leaf { steps, kind, value });
    }
}

fn path_of(steps: &[LeafStep<'_>]) -> String {
    let mut path = String::new();
    for step in steps {
        let dot = if path.is_empty() { "" } else { "." };
        // Writing to a String cannot fail.
        let written = match step {
            LeafStep::Name(name) => write!(path, "{dot}{name}"),
            LeafStep::Item { at, .. } => write!(path, "{dot}[{at}]"),
        };
        if written.is_err() {
            return path;
        }
    }
    path
}
