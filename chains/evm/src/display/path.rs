//! Paths of ERC-7730: into the arguments or members, to what the transaction says itself, or to a constant of the descriptor.

use super::{
    leaves::{Leaf, LeafStep},
    signature::Shape,
};
use crate::message::{Field, Primitive, Type};

/// The longest path.
const MAX_PATH_LEN: usize = 512;

/// Where a value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// Among the arguments or members.
    Data(Path),
    /// `@.to`: the contract itself.
    Contract,
    /// `@.from`: who signs.
    Sender,
    /// `@.value`: what is sent along.
    Value,
}

impl Place {
    /// `base` is the path of the group that the path stands in.
    pub(super) fn parse(text: &str, base: &[Step]) -> Option<Self> {
        match text {
            "@.to" => Some(Self::Contract),
            "@.from" => Some(Self::Sender),
            "@.value" => Some(Self::Value),
            _ => Path::parse(text, base).map(Self::Data),
        }
    }
}

/// One step into arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Name(String),
    /// `[]`: every item.
    Each,
    /// `[n]`: one item; below zero from the end.
    At(i64),
    /// `[a:b]`: some items, or at the end of a path some bytes; the end is not one of them.
    Range(Range),
}

/// Without a bound it goes to that end; below zero it counts from the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    start: Option<i64>,
    end: Option<i64>,
}

impl Range {
    /// The bounds within a length; `None` if something of it lies outside.
    pub(super) fn within(self, length: usize) -> Option<std::ops::Range<usize>> {
        let bound = |bound: Option<i64>, open: usize| bound.map_or(Some(open), |at| index(at, length));
        let (start, end) = (bound(self.start, 0)?, bound(self.end, length)?);
        (start < end && end <= length).then_some(start..end)
    }
}

/// From the start or, below zero, from the end.
fn index(at: i64, length: usize) -> Option<usize> {
    let magnitude = usize::try_from(at.unsigned_abs()).ok()?;
    if at < 0 {
        length.checked_sub(magnitude)
    } else {
        Some(magnitude)
    }
}

/// Names, items and at the end perhaps a range of bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path {
    steps: Vec<Step>,
}

/// How a path meets a leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meets {
    Whole,
    /// Only these bytes.
    Bytes(Range),
}

impl Path {
    /// Names, `[]`, `[n]` and `[a:b]` with dots between them; behind `#.` from the top, otherwise from the group's path.
    pub(super) fn parse(text: &str, base: &[Step]) -> Option<Self> {
        (text.len() <= MAX_PATH_LEN).then_some(())?;
        let (base, text) = match text.strip_prefix("#.") {
            Some(absolute) => (&[][..], absolute),
            None => (base, text),
        };
        let steps = text.split('.').map(step).collect::<Option<Vec<_>>>()?;
        let steps = base.iter().cloned().chain(steps).collect();
        Some(Self { steps })
    }

    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Whether there is something at this path: whole structs only for a group.
    pub(super) fn fits(&self, shape: &Shape, is_group: bool) -> bool {
        let Some((Step::Name(first), steps)) = self.steps.split_first() else {
            return false;
        };
        let Some(mut kind) = kind_of(&shape.fields, first) else {
            return false;
        };
        for (at, step) in steps.iter().enumerate() {
            kind = match (step, kind) {
                (Step::Name(name), Type::Struct(of)) => match shape.part(of).and_then(|of| kind_of(of, name)) {
                    Some(kind) => kind,
                    None => return false,
                },
                (Step::Each | Step::At(_) | Step::Range(_), Type::Array(item, _)) => item,
                (Step::Range(_), Type::Primitive(primitive)) if !is_group && primitive.has_bytes() => {
                    return at.checked_add(1) == Some(steps.len());
                }
                (_, Type::Primitive(_) | Type::Array(..) | Type::Struct(_)) => return false,
            };
        }
        is_group || !matches!(kind, Type::Struct(_))
    }

    /// Whether the leaf is one that the path means. An array that the path ends at stands for its items.
    pub(super) fn meets(&self, leaf: &Leaf<'_>) -> Option<Meets> {
        let mut steps = leaf.steps.iter();
        for (at, step) in self.steps.iter().enumerate() {
            let is_last = at.checked_add(1) == Some(self.steps.len());
            match (step, steps.next()) {
                (Step::Name(name), Some(LeafStep::Name(found))) if name == found => {}
                (Step::Each, Some(LeafStep::Item { .. })) => {}
                // An array without items is one leaf, which its items' paths mean.
                (Step::Each, None) if is_last && leaf.value.is_none() => return Some(Meets::Whole),
                (Step::At(wanted), Some(LeafStep::Item { at, of })) if index(*wanted, *of) == Some(*at) => {}
                (Step::Range(range), Some(LeafStep::Item { at, of }))
                    if range.within(*of).is_some_and(|range| range.contains(at)) => {}
                (Step::Range(range), None) if is_last => return Some(Meets::Bytes(*range)),
                (Step::Name(_) | Step::Each | Step::At(_) | Step::Range(_), _) => return None,
            }
        }
        steps
            .all(|step| matches!(step, LeafStep::Item { .. }))
            .then_some(Meets::Whole)
    }

    /// The path of one leaf beside another: each `[]` takes the index that `leaf` has there. With the bytes that it means.
    pub(super) fn beside(&self, leaf: &Leaf<'_>, length: impl Fn(&str) -> Option<usize>) -> Option<(String, Meets)> {
        let mut indexes = leaf.steps.iter().filter_map(|step| match step {
            LeafStep::Item { at, .. } => Some(*at),
            LeafStep::Name(_) => None,
        });
        let mut path = String::new();
        for step in &self.steps {
            let at = match step {
                Step::Name(name) => {
                    path.push_str(if path.is_empty() { "" } else { "." });
                    path.push_str(name);
                    continue;
                }
                Step::Each => indexes.next()?,
                Step::At(wanted) => index(*wanted, length(&path)?)?,
                Step::Range(range) => return Some((path, Meets::Bytes(*range))),
            };
            path.push_str(&format!(".[{at}]"));
        }
        Some((path, Meets::Whole))
    }
}

fn kind_of<'a>(fields: &'a [Field], name: &str) -> Option<&'a Type> {
    fields.iter().find(|field| field.name == name).map(|field| &field.kind)
}

fn step(text: &str) -> Option<Step> {
    if let Some(inner) = text.strip_prefix('[') {
        let inner = inner.strip_suffix(']')?;
        return match inner.split_once(':') {
            None if inner.is_empty() => Some(Step::Each),
            None => number(inner).map(Step::At),
            Some((start, end)) => {
                let bound = |text: &str| match text {
                    "" => Some(None),
                    _ => number(text).map(Some),
                };
                let (start, end) = (bound(start)?, bound(end)?);
                Some(Step::Range(Range { start, end }))
            }
        };
    }
    let is_name = !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$'));
    is_name.then(|| Step::Name(text.to_owned()))
}

fn number(text: &str) -> Option<i64> {
    let number: i64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

impl Primitive {
    /// What a range of bytes can be taken of.
    fn has_bytes(self) -> bool {
        match self {
            Self::Bytes | Self::Text | Self::FixedBytes(_) | Self::Uint(_) | Self::Address => true,
            Self::Boolean | Self::Int(_) => false,
        }
    }
}
