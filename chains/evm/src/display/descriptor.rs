//! Reading a descriptor: ERC-7730, versions 1 and 2, strictly; what is not known is an error, because what a descriptor meant
//! and a display left out would be missed by nobody. What only says how to lay out or what to leave out is read and has no
//! effect: everything is shown.

use std::collections::BTreeSet;

use alloy_primitives::Address;

use super::{
    field::{DisplayField, Source},
    object::{Object, certify_count},
    signature::{Shape, Signature},
};
use crate::message::{Json, TypedData};

/// The largest descriptor.
pub const MAX_DESCRIPTOR_BYTES: usize = 64 * 1024;
/// The most contracts of one descriptor.
const MAX_DEPLOYMENTS: usize = 256;
/// The most functions or messages of one descriptor.
const MAX_FORMATS: usize = 64;
/// The most parts of an intent that is a list.
const MAX_INTENTS: usize = 8;
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
    /// Another file, which would have to be fetched.
    #[error("`includes` names another file: merge it into this one, as ERC-7730 says, and take `includes` out")]
    Includes,
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
    pub(super) owner: String,
    /// Chain id and contract.
    deployments: BTreeSet<(u64, Address)>,
    /// What else a message's domain must have.
    domain: Domain,
    formats: Vec<FormatOf>,
}

/// Members of an EIP-712 domain.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Domain {
    name: Option<String>,
    version: Option<String>,
    chain_id: Option<u64>,
    verifying_contract: Option<Address>,
}

/// How one function or message is displayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FormatOf {
    /// The function's signature with parameter names, or the message's `encodeType`.
    key: String,
    /// For functions.
    selector: Option<[u8; 4]>,
    pub(super) shape: Shape,
    pub(super) intent: String,
    pub(super) fields: Vec<DisplayField>,
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
        let known = ["$schema", "$comment", "context", "metadata", "display", "includes"];
        let top = Object::of("descriptor", &json, &known)?;
        if top.get("includes").is_some() {
            return Err(DescriptorError::Includes);
        }
        let context = top.object("context", &["$id", "contract", "eip712"])?;
        let known = ["owner", "contractName", "info", "token", "constants", "enums"];
        let metadata = top.object("metadata", &known)?;
        let is_contract = context.get("contract").is_some();
        if is_contract == context.get("eip712").is_some() {
            return Err(context.bad("contract"));
        }
        // Version 1 says the ABI or the schemas as well; the formats' own keys have all that is needed of them.
        let (on, domain) = if is_contract {
            (context.object("contract", &["deployments", "abi"])?, Domain::default())
        } else {
            let on = context.object("eip712", &["deployments", "domain", "schemas"])?;
            let domain = Domain::read(&on)?;
            (on, domain)
        };
        let display = top.object("display", &["definitions", "formats"])?;
        Ok(Self {
            owner: metadata.text("owner")?,
            deployments: read_deployments(&on)?,
            domain,
            formats: read_formats(&display, &metadata, is_contract)?,
        })
    }

    fn is_for(&self, chain_id: u64, contract: Address) -> bool {
        self.deployments.contains(&(chain_id, contract))
    }

    pub(super) fn call(&self, chain_id: u64, contract: Address, input: &[u8]) -> Option<&FormatOf> {
        let selector = input.first_chunk::<4>()?;
        let mut formats = self.formats.iter().filter(|_| self.is_for(chain_id, contract));
        formats.find(|format| format.selector.as_ref() == Some(selector))
    }

    pub(super) fn message(&self, chain_id: u64, contract: Address, data: &TypedData) -> Option<&FormatOf> {
        let type_text = data.type_text()?;
        let is_for = self.is_for(chain_id, contract) && self.domain.is_of(chain_id, contract, data);
        let mut formats = self.formats.iter().filter(|_| is_for);
        formats.find(|format| format.selector.is_none() && format.key == type_text)
    }
}

impl Domain {
    fn read(on: &Object<'_>) -> Result<Self, DescriptorError> {
        if on.get("domain").is_none() {
            return Ok(Self::default());
        }
        let of = on.object("domain", &["name", "version", "chainId", "verifyingContract"])?;
        let text = |name: &str| match of.get(name) {
            Some(_) => of.raw_text(name).map(|text| Some(text.to_owned())),
            None => Ok(None),
        };
        let chain_id = match of.get("chainId") {
            Some(_) => Some(of.number("chainId")?),
            None => None,
        };
        let verifying_contract = match of.get("verifyingContract") {
            Some(_) => Some(of.address("verifyingContract")?),
            None => None,
        };
        Ok(Self {
            name: text("name")?,
            version: text("version")?,
            chain_id,
            verifying_contract,
        })
    }

    fn is_of(&self, chain_id: u64, contract: Address, data: &TypedData) -> bool {
        let is_text = |wanted: &Option<String>, name: &str| {
            wanted
                .as_ref()
                .is_none_or(|wanted| data.domain_text(name) == Some(wanted.as_bytes()))
        };
        is_text(&self.name, "name")
            && is_text(&self.version, "version")
            && self.chain_id.is_none_or(|wanted| wanted == chain_id)
            && self.verifying_contract.is_none_or(|wanted| wanted == contract)
    }
}

fn read_deployments(on: &Object<'_>) -> Result<BTreeSet<(u64, Address)>, DescriptorError> {
    let list = on.array("deployments", MAX_DEPLOYMENTS)?;
    let deployment = |json: &Json| {
        let of = Object::of(&on.path("deployments"), json, &["chainId", "address"])?;
        Ok((of.number("chainId")?, of.address("address")?))
    };
    list.iter().map(deployment).collect()
}

fn read_formats(
    display: &Object<'_>,
    metadata: &Object<'_>,
    is_contract: bool,
) -> Result<Vec<FormatOf>, DescriptorError> {
    let formats = display.get("formats").ok_or_else(|| display.bad("formats"))?;
    let formats = Object::open(&display.path("formats"), formats)?;
    certify_count(formats.at(), formats.members().len(), MAX_FORMATS)?;
    let mut keys = BTreeSet::new();
    let mut found = Vec::new();
    for (key, json) in formats.members() {
        let (selector, shape) = read_key(key, is_contract).ok_or_else(|| formats.bad(key))?;
        // Two formats of one function, whatever its parameters are called, would leave open which is meant.
        if !keys.insert(selector.map_or_else(|| key.clone(), |of| format!("{of:?}"))) {
            return Err(formats.bad(key));
        }
        // `required`, `excluded` and `screens` are version 1's.
        let known = ["$id", "intent", "fields", "required", "excluded", "screens"];
        let of = Object::of(&formats.path(key), json, &known)?;
        let source = Source {
            shape: &shape,
            definitions: display.get("definitions"),
            constants: metadata.get("constants"),
            enums: metadata.get("enums"),
        };
        found.push(FormatOf {
            key: key.clone(),
            selector,
            intent: read_intent(&of)?,
            fields: source.fields(&of)?,
            shape,
        });
    }
    Ok(found)
}

fn read_key(key: &str, is_contract: bool) -> Option<(Option<[u8; 4]>, Shape)> {
    (key.len() <= MAX_KEY_LEN).then_some(())?;
    if is_contract {
        let Signature { selector, shape } = Signature::parse(key)?;
        return Some((Some(selector), shape));
    }
    Some((None, Shape::of_message(key)?))
}

/// A text, or several with their labels.
fn read_intent(of: &Object<'_>) -> Result<String, DescriptorError> {
    let Some(json @ Json::Object(_)) = of.get("intent") else {
        return of.text("intent");
    };
    let parts = Object::open(&of.path("intent"), json)?;
    certify_count(parts.at(), parts.members().len(), MAX_INTENTS)?;
    let part = |(label, _): &(String, Json)| {
        let is_plain = label.bytes().all(|b| b == b' ' || b.is_ascii_alphanumeric());
        let text = parts.text(label)?;
        is_plain
            .then(|| format!("{label}: {text}"))
            .ok_or_else(|| parts.bad(label))
    };
    let parts: Vec<String> = parts.members().iter().map(part).collect::<Result<_, _>>()?;
    Ok(parts.join(", "))
}
