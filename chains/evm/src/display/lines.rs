//! A display line by line: what the fields show, then everything that none of them shows.

use std::collections::BTreeSet;

use alloy_primitives::{Address, U256};

use super::{
    Descriptor, Display, DisplayLine, calldata,
    descriptor::FormatOf,
    field::{DisplayField, What},
    format::{Account, Context, Format, Piece},
    leaves::{Leaf, LeafStep, Leaves},
    path::{Meets, Path, Place},
};
use crate::message::{Field, Value};

/// How deep calls in calls are displayed as such.
const MAX_CALL_DEPTH: usize = 3;

/// Where a display is made.
#[derive(Clone, Copy)]
pub(super) struct Page<'a> {
    pub(super) context: Context<'a>,
    pub(super) descriptors: &'a [Descriptor],
    /// How many calls are around.
    pub(super) depth: usize,
}

/// What is shown so far.
#[derive(Default)]
struct Written {
    lines: Vec<Placed>,
    /// The paths of leaves that are shown whole.
    shown: BTreeSet<String>,
}

/// A line, and where in its group it stands.
struct Placed {
    group: Option<usize>,
    items: Vec<usize>,
    line: DisplayLine,
}

impl Page<'_> {
    /// A call of the context's contract.
    pub(super) fn call(&self, input: &[u8]) -> Option<Display> {
        let (chain_id, contract) = (self.context.sender.network.chain_id(), self.context.contract);
        let mut found = self.descriptors.iter();
        let (of, format) = found.find_map(|of| Some((of, of.call(chain_id, contract, input)?)))?;
        let parts = calldata::read(&format.shape, input.get(4..)?)?;
        let structs = |name: &str| format.shape.part(name);
        Some(self.display(of, format, &Leaves::of(&format.shape.fields, &parts, &structs)))
    }

    /// Members of a message, as its own types have them.
    pub(super) fn message(&self, of: &Descriptor, format: &FormatOf, (fields, parts): (&[Field], &[Value])) -> Display {
        let structs = |name: &str| format.shape.part(name);
        self.display(of, format, &Leaves::of(fields, parts, &structs))
    }

    fn display(&self, of: &Descriptor, format: &FormatOf, leaves: &Leaves<'_>) -> Display {
        Display {
            owner: of.owner.clone(),
            intent: format.intent.clone(),
            lines: self.lines(format, leaves),
        }
    }

    /// Every leaf once, or more often: by the fields, and those that no field shows as they are.
    fn lines(&self, format: &FormatOf, leaves: &Leaves<'_>) -> Vec<DisplayLine> {
        let mut written = Written::default();
        let mut is_value_shown = self.context.value.is_zero();
        for field in &format.fields {
            let text = match &field.what {
                What::Text(words) => format!("\"{words}\""),
                What::At(Place::Contract) => self.context.name(self.context.contract),
                What::At(Place::Sender) => self.context.name(self.context.from),
                What::At(Place::Value) => {
                    is_value_shown = true;
                    self.context.native(self.context.value)
                }
                What::At(Place::Data(path)) => {
                    self.data(field, path, leaves, &mut written);
                    continue;
                }
            };
            let label = field.label.clone().unwrap_or_else(|| "`@`".to_owned());
            written.lines.push(placed(field, None, DisplayLine { label, text }));
        }
        let Written { lines, shown } = written;
        let mut lines = bundled(lines);
        if !is_value_shown {
            lines.push(DisplayLine {
                label: "`@.value`".to_owned(),
                text: self.context.native(self.context.value),
            });
        }
        for leaf in leaves.list.iter().filter(|leaf| !shown.contains(leaf.path().as_str())) {
            lines.push(DisplayLine {
                label: format!("`{}`", leaf.path()),
                text: self.context.text(&Format::Raw, (leaf, Meets::Whole), leaves),
            });
        }
        lines
    }

    fn data(&self, field: &DisplayField, path: &Path, leaves: &Leaves<'_>, written: &mut Written) {
        for leaf in &leaves.list {
            let Some(meets) = path.meets(leaf) else {
                continue;
            };
            let label = (field.label.clone()).unwrap_or_else(|| format!("`{}`", leaf.path()));
            // Some of a value's bytes are not the value: it is shown as well.
            let is_first = meets == Meets::Whole && written.shown.insert(leaf.path());
            // A call once: each would be shown with all that is in it.
            let inner = if is_first {
                self.inner(field, leaf, leaves)
            } else {
                None
            };
            if let Some(inner) = inner {
                let head = format!("{} ({})", inner.display.intent, inner.display.owner);
                let text = format!("{head}, a call of {}", self.context.name(inner.callee));
                let line = |label, text| placed(field, Some(leaf), DisplayLine { label, text });
                written.lines.push(line(label.clone(), text));
                let within = inner.display.lines.into_iter();
                written
                    .lines
                    .extend(within.map(|inner| line(format!("{label}: {}", inner.label), inner.text)));
                continue;
            }
            let mut text = self.context.text(&field.format, (leaf, meets), leaves);
            if !is_as_expected(field, leaf, meets) {
                text.push_str(" (NOT what its descriptor expects)");
            }
            written
                .lines
                .push(placed(field, Some(leaf), DisplayLine { label, text }));
        }
    }

    /// A call in the arguments, in the words of its own descriptor.
    fn inner(&self, field: &DisplayField, leaf: &Leaf<'_>, leaves: &Leaves<'_>) -> Option<Inner> {
        let Format::Calldata {
            callee,
            amount,
            spender,
        } = &field.format
        else {
            return None;
        };
        let account = |account: &Account| self.context.account(account, leaf, leaves);
        let callee = account(callee)?;
        let value = match amount {
            Some(place) => self.context.wei(place, leaf, leaves)?,
            None => U256::ZERO,
        };
        let from = match spender {
            Some(spender) => account(spender)?,
            None => self.context.contract,
        };
        let depth = self.depth.checked_add(1).filter(|depth| *depth <= MAX_CALL_DEPTH)?;
        let page = Page {
            context: Context {
                contract: callee,
                from,
                value,
                ..self.context
            },
            depth,
            ..*self
        };
        let display = page.call(Piece::of(leaf, Meets::Whole)?.bytes()?)?;
        Some(Inner { callee, display })
    }
}

struct Inner {
    callee: Address,
    display: Display,
}

fn placed(field: &DisplayField, leaf: Option<&Leaf<'_>>, line: DisplayLine) -> Placed {
    let steps = leaf.map_or(&[][..], |leaf| leaf.steps.as_slice());
    let items = steps.iter().filter_map(|step| match step {
        LeafStep::Item { at, .. } => Some(*at),
        LeafStep::Name(_) => None,
    });
    Placed {
        group: field.group,
        items: items.take(field.bundle).collect(),
        line,
    }
}

/// Within a group, what belongs to one item stands together.
fn bundled(mut lines: Vec<Placed>) -> Vec<DisplayLine> {
    for group in lines.chunk_by_mut(|a, b| a.group.is_some() && a.group == b.group) {
        group.sort_by(|a, b| a.items.cmp(&b.items));
    }
    lines.into_iter().map(|placed| placed.line).collect()
}

fn is_as_expected(field: &DisplayField, leaf: &Leaf<'_>, meets: Meets) -> bool {
    let Some(expected) = &field.must_be else {
        return true;
    };
    let raw = Piece::of(leaf, meets).map(|piece| piece.raw());
    raw.is_some_and(|raw| expected.iter().any(|value| value.eq_ignore_ascii_case(&raw)))
}
