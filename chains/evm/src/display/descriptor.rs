//! Reading a descriptor: the part of ERC-7730 that this displays, strictly; what it does not know is an error, because what
//! a descriptor meant and a display left out would be missed by nobody.

use std::collections::BTreeSet;

use alloy_primitives::Address;
use countersign_types::Decimals;

use super::{
    Display, DisplayLine,
    calldata::Signature,
    format::{Context, Format, Place},
    leaves::{ByPath, Leaf},
};
use crate::{address::parse_address, message::Json};

/// The largest descriptor.
pub const MAX_DESCRIPTOR_BYTES: usize = 64 * 1024;
/// The most contracts of one descriptor.
const MAX_DEPLOYMENTS: usize = 64;
/// The most functions or messages of one descriptor.
const MAX_FORMATS: usize = 64;
/// The most fields of one of them.
const MAX_DISPLAY_FIELDS: usize = 64;
/// The longest text that stands in a display.
const MAX_TEXT_LEN: usize = 64;
/// The longest function signature or type text.
const MAX_KEY_LEN: usize = 2_048;

/// Why JSON is no descriptor. Places are paths of its members.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DescriptorError {
    /// Over [`MAX_DESCRIPTOR_BYTES`].
    #[error("the descriptor has {found} bytes; at most {MAX_DESCRIPTOR_BYTES} are accepted")]
    TooLarge {
        /// The number of bytes.
        found: usize,
    },
    /// No JSON, or null, a fraction or a number of more than 64 bits in it.
    #[error(
        "line {line}, column {column} is not JSON of objects, arrays, strings, whole numbers up to 64 bits, true and false"
    )]
    NotJson {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// A member that is missing, of another kind, out of its range, or not of its form.
    #[error("`{at}` is missing, or not what ERC-7730 has there")]
    Bad {
        /// Where.
        at: String,
    },
    /// A member that is not displayed, or stands twice.
    #[error("`{at}` has a member `{member}` that is listed twice or not supported: take it out")]
    Unsupported {
        /// Where.
        at: String,
        /// Printable and bounded.
        member: String,
    },
    /// Nothing that the descriptor is for, or too much of it.
    #[error("`{at}` has {found} entries; 1 to {max} are accepted")]
    Count {
        /// Where.
        at: String,
        /// How many there are.
        found: usize,
        /// The bound.
        max: usize,
    },
}

/// A descriptor of one contract's functions, or of the messages that it verifies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    owner: String,
    /// Chain id and contract.
    deployments: BTreeSet<(u64, Address)>,
    formats: Vec<FormatOf>,
}

/// How one function or message is displayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FormatOf {
    /// The function's signature with parameter names, or the message's `encodeType`.
    key: String,
    /// For functions.
    pub(super) signature: Option<Signature>,
    intent: String,
    fields: Vec<DisplayField>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct DisplayField {
    place: Place,
    label: String,
    format: Format,
}

impl Descriptor {
    /// Reads a descriptor whole.
    pub fn read(bytes: &[u8]) -> Result<Self, DescriptorError> {
        if bytes.len() > MAX_DESCRIPTOR_BYTES {
            return Err(DescriptorError::TooLarge { found: bytes.len() });
        }
        let json: Json = serde_json::from_slice(bytes).map_err(|error| DescriptorError::NotJson {
            line: error.line(),
            column: error.column(),
        })?;
        let top = Object::of("descriptor", &json, &["$schema", "context", "metadata", "display"])?;
        let context = top.object("context", &["$id", "contract", "eip712"])?;
        let metadata = top.object("metadata", &["owner"])?;
        let is_contract = context.get("contract").is_some();
        if is_contract == context.get("eip712").is_some() {
            return Err(context.bad("contract"));
        }
        let on = context.object(if is_contract { "contract" } else { "eip712" }, &["deployments"])?;
        let display = top.object("display", &["formats"])?;
        Ok(Self {
            owner: metadata.text("owner")?,
            deployments: read_deployments(&on)?,
            formats: read_formats(&display, is_contract)?,
        })
    }

    fn is_for(&self, chain_id: u64, contract: Address) -> bool {
        self.deployments.contains(&(chain_id, contract))
    }

    pub(super) fn call(&self, chain_id: u64, contract: Address, input: &[u8]) -> Option<&FormatOf> {
        let selector = input.first_chunk::<4>()?;
        let is_called = |format: &&FormatOf| format.signature.as_ref().is_some_and(|of| of.selector == *selector);
        self.formats
            .iter()
            .find(is_called)
            .filter(|_| self.is_for(chain_id, contract))
    }

    pub(super) fn message(&self, chain_id: u64, contract: Address, type_text: &str) -> Option<&FormatOf> {
        let is_of = |format: &&FormatOf| format.signature.is_none() && format.key == type_text;
        self.formats
            .iter()
            .find(is_of)
            .filter(|_| self.is_for(chain_id, contract))
    }

    /// Every leaf once, or more often: by the fields, and those that no field shows as they are.
    pub(super) fn lines(&self, format: &FormatOf, leaves: &[Leaf<'_>], context: &Context<'_>) -> Display {
        let by_path: ByPath<'_> = leaves.iter().map(|leaf| (leaf.path.as_str(), leaf)).collect();
        let mut lines = Vec::new();
        let mut shown = BTreeSet::new();
        let mut is_value_shown = context.value.is_zero();
        for field in &format.fields {
            let line = |text| DisplayLine {
                label: field.label.clone(),
                text,
            };
            match &field.place {
                Place::Contract => lines.push(line(context.name(context.contract))),
                Place::Value => {
                    is_value_shown = true;
                    lines.push(line(context.native(context.value)));
                }
                Place::Data(pattern) => {
                    for leaf in leaves.iter().filter(|leaf| leaf.pattern == *pattern) {
                        shown.insert(leaf.path.as_str());
                        lines.push(line(context.text(&field.format, leaf, &by_path)));
                    }
                }
            }
        }
        if !is_value_shown {
            lines.push(DisplayLine {
                label: "`@.value`".to_owned(),
                text: context.native(context.value),
            });
        }
        for leaf in leaves.iter().filter(|leaf| !shown.contains(leaf.path.as_str())) {
            lines.push(DisplayLine {
                label: format!("`{}`", leaf.path),
                text: context.text(&Format::Raw, leaf, &by_path),
            });
        }
        Display {
            owner: self.owner.clone(),
            intent: format.intent.clone(),
            lines,
        }
    }
}

fn read_deployments(on: &Object<'_>) -> Result<BTreeSet<(u64, Address)>, DescriptorError> {
    let list = on.array("deployments", MAX_DEPLOYMENTS)?;
    let deployment = |json: &Json| {
        let of = Object::of(&on.path("deployments"), json, &["chainId", "address"])?;
        let chain_id = match of.get("chainId") {
            Some(Json::Number(number)) => number.parse().map_err(|_| of.bad("chainId"))?,
            Some(_) | None => return Err(of.bad("chainId")),
        };
        let address = parse_address(of.raw_text("address")?).map_err(|_| of.bad("address"))?;
        Ok((chain_id, address))
    };
    list.iter().map(deployment).collect()
}

fn read_formats(display: &Object<'_>, is_contract: bool) -> Result<Vec<FormatOf>, DescriptorError> {
    let at = display.path("formats");
    let Some(Json::Object(members)) = display.get("formats") else {
        return Err(display.bad("formats"));
    };
    certify_count(&at, members.len(), MAX_FORMATS)?;
    let mut keys = BTreeSet::new();
    let mut formats = Vec::new();
    for (key, json) in members {
        let bad = || DescriptorError::Bad {
            at: format!("{at}.{}", printable(key)),
        };
        let signature = if is_contract {
            Some(Signature::parse(key).ok_or_else(bad)?)
        } else {
            None
        };
        // Two formats of one function, whatever its parameters are called, would leave open which is meant.
        let identity = signature
            .as_ref()
            .map_or_else(|| key.clone(), |of| format!("{:?}", of.selector));
        if key.len() > MAX_KEY_LEN || !keys.insert(identity) {
            return Err(bad());
        }
        let of = Object::of(&format!("{at}.{}", printable(key)), json, &["$id", "intent", "fields"])?;
        let fields = of.array("fields", MAX_DISPLAY_FIELDS)?;
        let names: Option<BTreeSet<&str>> = signature
            .as_ref()
            .map(|of| of.fields.iter().map(|field| field.name.as_str()).collect());
        formats.push(FormatOf {
            key: key.clone(),
            intent: of.text("intent")?,
            fields: fields
                .iter()
                .map(|json| read_field(&of.path("fields"), json, names.as_ref()))
                .collect::<Result<_, _>>()?,
            signature,
        });
    }
    Ok(formats)
}

fn read_field(at: &str, json: &Json, names: Option<&BTreeSet<&str>>) -> Result<DisplayField, DescriptorError> {
    let of = Object::of(at, json, &["path", "label", "format", "params"])?;
    let place = place(of.raw_text("path")?).ok_or_else(|| of.bad("path"))?;
    if let (Place::Data(pattern), Some(names)) = (&place, names)
        && !names.contains(pattern.split('.').next().unwrap_or_default())
    {
        return Err(of.bad("path"));
    }
    let label = of.text("label")?;
    let params: &[&str] = match of.raw_text("format")? {
        "raw" | "amount" | "addressName" => &[],
        "tokenAmount" => &["tokenPath"],
        "date" => &["encoding"],
        "unit" => &["base", "decimals"],
        _ => return Err(of.bad("format")),
    };
    let empty = Json::Object(Vec::new());
    let params = Object::of(&of.path("params"), of.get("params").unwrap_or(&empty), params)?;
    let format = match of.raw_text("format")? {
        "amount" => Format::Amount,
        "addressName" => Format::AddressName,
        "tokenAmount" => match place_of_token(&params)? {
            Place::Value => return Err(params.bad("tokenPath")),
            place @ (Place::Data(_) | Place::Contract) => Format::TokenAmount(place),
        },
        "date" if params.raw_text("encoding")? == "timestamp" => Format::Date,
        "date" => return Err(params.bad("encoding")),
        "unit" => Format::Unit {
            base: params.text("base")?,
            decimals: read_decimals(&params)?,
        },
        _ => Format::Raw,
    };
    Ok(DisplayField { place, label, format })
}

fn place_of_token(params: &Object<'_>) -> Result<Place, DescriptorError> {
    place(params.raw_text("tokenPath")?).ok_or_else(|| params.bad("tokenPath"))
}

fn read_decimals(params: &Object<'_>) -> Result<Decimals, DescriptorError> {
    let decimals = match params.get("decimals") {
        Some(Json::Number(number)) => number.parse().ok().and_then(|number| Decimals::new(number).ok()),
        Some(_) => None,
        None => Decimals::new(0).ok(),
    };
    decimals.ok_or_else(|| params.bad("decimals"))
}

/// `@.to`, `@.value`, or names and `[]` with dots between them, `#.` in front or not.
fn place(path: &str) -> Option<Place> {
    match path {
        "@.to" => return Some(Place::Contract),
        "@.value" => return Some(Place::Value),
        _ => {}
    }
    let pattern = path.strip_prefix("#.").unwrap_or(path);
    let is_step = |step: &str| {
        let is_name = !step.is_empty()
            && step
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$'));
        is_name || step == "[]"
    };
    (pattern.len() <= MAX_KEY_LEN && pattern.split('.').all(is_step)).then(|| Place::Data(pattern.to_owned()))
}

/// An object whose every member is known and stands once.
struct Object<'a> {
    at: String,
    members: &'a [(String, Json)],
}

impl<'a> Object<'a> {
    fn of(at: &str, json: &'a Json, allowed: &[&str]) -> Result<Self, DescriptorError> {
        let at = at.to_owned();
        let Json::Object(members) = json else {
            return Err(DescriptorError::Bad { at });
        };
        let mut names = BTreeSet::new();
        for (name, _) in members {
            if !allowed.contains(&name.as_str()) || !names.insert(name) {
                let member = printable(name);
                return Err(DescriptorError::Unsupported { at, member });
            }
        }
        Ok(Self { at, members })
    }

    fn path(&self, name: &str) -> String {
        format!("{}.{name}", self.at)
    }

    fn bad(&self, name: &str) -> DescriptorError {
        DescriptorError::Bad { at: self.path(name) }
    }

    fn get(&self, wanted: &str) -> Option<&'a Json> {
        self.members
            .iter()
            .find(|(name, _)| name == wanted)
            .map(|(_, json)| json)
    }

    fn object(&self, name: &str, allowed: &[&str]) -> Result<Self, DescriptorError> {
        let json = self.get(name).ok_or_else(|| self.bad(name))?;
        Self::of(&self.path(name), json, allowed)
    }

    fn array(&self, name: &str, max: usize) -> Result<&'a [Json], DescriptorError> {
        let Some(Json::Array(items)) = self.get(name) else {
            return Err(self.bad(name));
        };
        certify_count(&self.path(name), items.len(), max)?;
        Ok(items)
    }

    fn raw_text(&self, name: &str) -> Result<&'a str, DescriptorError> {
        match self.get(name) {
            Some(Json::Text(text)) => Ok(text),
            Some(_) | None => Err(self.bad(name)),
        }
    }

    /// A text that stands in a display: printable ASCII, and no longer than a line.
    fn text(&self, name: &str) -> Result<String, DescriptorError> {
        let text = self.raw_text(name)?;
        let is_line = (1..=MAX_TEXT_LEN).contains(&text.len())
            && text.bytes().all(|b| b == b' ' || b.is_ascii_graphic())
            && !text.contains('`')
            && text.trim() == text;
        is_line.then(|| text.to_owned()).ok_or_else(|| self.bad(name))
    }
}

fn certify_count(at: &str, found: usize, max: usize) -> Result<(), DescriptorError> {
    if (1..=max).contains(&found) {
        return Ok(());
    }
    let at = at.to_owned();
    Err(DescriptorError::Count { at, found, max })
}

fn printable(text: &str) -> String {
    text.chars().take(MAX_TEXT_LEN).flat_map(char::escape_default).collect()
}
