//! Reading the fields of a format: what is shown, under which label, and how.

use std::collections::BTreeMap;

use alloy_primitives::{Address, U256};
use countersign_types::Decimals;

use super::{
    DescriptorError,
    format::{Account, Format},
    object::{Object, certify_count, read_address},
    path::{Path, Place, Step},
    signature::Shape,
};
use crate::message::Json;

/// The most fields of one function or message, those of groups included.
const MAX_DISPLAY_FIELDS: usize = 128;
/// How deep groups in one another go.
const MAX_GROUP_DEPTH: usize = 4;
/// The most values that a rule or a parameter lists.
const MAX_LIST: usize = 64;

/// A field, of a group or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DisplayField {
    pub(super) what: What,
    /// Without one it is shown under its own path.
    pub(super) label: Option<String>,
    pub(super) format: Format,
    /// What the value must be, says the descriptor.
    pub(super) must_be: Option<Vec<String>>,
    /// How many of a path's first `[]` belong to the groups around: lines of one item stand together.
    pub(super) bundle: usize,
    /// Fields of one group have the same number.
    pub(super) group: Option<usize>,
}

/// What a field shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    At(Place),
    /// Words of the descriptor.
    Text(String),
}

/// What fields refer to.
pub(super) struct Source<'a> {
    pub(super) shape: &'a Shape,
    /// `display.definitions`.
    pub(super) definitions: Option<&'a Json>,
    /// `metadata.constants`.
    pub(super) constants: Option<&'a Json>,
    /// `metadata.enums`.
    pub(super) enums: Option<&'a Json>,
}

/// Where a list of fields stands.
struct Group<'a> {
    base: &'a [Step],
    depth: usize,
    /// The outermost group.
    number: Option<usize>,
}

impl Source<'_> {
    /// Every field of a format, groups laid flat.
    pub(super) fn fields(&self, of: &Object<'_>) -> Result<Vec<DisplayField>, DescriptorError> {
        let mut fields = Vec::new();
        let top = Group {
            base: &[],
            depth: 0,
            number: None,
        };
        self.collect(of, &top, &mut fields)?;
        Ok(fields)
    }

    fn collect(
        &self,
        of: &Object<'_>,
        group: &Group<'_>,
        fields: &mut Vec<DisplayField>,
    ) -> Result<(), DescriptorError> {
        let at = of.path("fields");
        let Some(Json::Array(list)) = of.get("fields") else {
            return Err(of.bad("fields"));
        };
        for json in list {
            if let Ok(inner) = Object::of(&at, json, &["$id", "path", "label", "iteration", "fields"])
                && inner.get("fields").is_some()
            {
                self.collect_group(&inner, group, fields)?;
            } else {
                fields.extend(self.field(&at, json, group)?);
            }
            if fields.len() > MAX_DISPLAY_FIELDS {
                certify_count(&at, fields.len(), MAX_DISPLAY_FIELDS)?;
            }
        }
        Ok(())
    }

    fn collect_group(
        &self,
        of: &Object<'_>,
        outer: &Group<'_>,
        fields: &mut Vec<DisplayField>,
    ) -> Result<(), DescriptorError> {
        let depth = outer.depth.saturating_add(1);
        if depth > MAX_GROUP_DEPTH {
            return Err(of.bad("fields"));
        }
        let base = match of.get("path") {
            None => outer.base.to_vec(),
            Some(_) => {
                let path = Path::parse(of.raw_text("path")?, outer.base).ok_or_else(|| of.bad("path"))?;
                if !path.fits(self.shape, true) {
                    return Err(of.bad("path"));
                }
                path.steps().to_vec()
            }
        };
        let number = outer.number.or(Some(fields.len()));
        let group = Group {
            base: &base,
            depth,
            number,
        };
        self.collect(of, &group, fields)
    }

    /// `None` for a whole struct that is not to be visible: what is in it is shown where no field shows it.
    fn field(&self, at: &str, json: &Json, group: &Group<'_>) -> Result<Option<DisplayField>, DescriptorError> {
        let merged = self.with_definition(at, json)?;
        let known = [
            "$id",
            "path",
            "value",
            "label",
            "format",
            "params",
            "visible",
            "separator",
        ];
        let of = Object::of(at, &merged, &known)?;
        if matches!(of.get("visible"), Some(Json::Text(rule)) if rule == "never") && self.is_struct(&of, group) {
            return Ok(None);
        }
        let what = self.what(&of, group)?;
        let label = match of.get("label") {
            Some(_) => Some(of.text("label")?),
            None if matches!(what, What::Text(_)) => return Err(of.bad("label")),
            None => None,
        };
        Ok(Some(DisplayField {
            what,
            label,
            format: self.format(&of, group)?,
            must_be: must_be(&of)?,
            bundle: group.base.iter().filter(|step| **step == Step::Each).count(),
            group: group.number,
        }))
    }

    fn is_struct(&self, of: &Object<'_>, group: &Group<'_>) -> bool {
        let path = of.raw_text("path").ok().and_then(|path| Path::parse(path, group.base));
        path.is_some_and(|path| path.fits(self.shape, true) && !path.fits(self.shape, false))
    }

    /// A field that refers to a definition has its members, but for those that it has itself.
    fn with_definition(&self, at: &str, json: &Json) -> Result<Json, DescriptorError> {
        let own = Object::open(at, json)?;
        let Some(Json::Text(reference)) = own.get("$ref") else {
            return Ok(json.clone());
        };
        let name = reference.strip_prefix("$.display.definitions.");
        let definition = name.and_then(|name| member(self.definitions, name));
        let definition = Object::open(at, definition.ok_or_else(|| own.bad("$ref"))?)?;
        let without = |left_out: &'static [&str], of: &Object<'_>| -> Vec<(String, Json)> {
            let kept = of
                .members()
                .iter()
                .filter(|(name, _)| !left_out.contains(&name.as_str()));
            kept.cloned().collect()
        };
        let mut params = match definition.get("params") {
            Some(Json::Object(params)) => params.clone(),
            Some(_) | None => Vec::new(),
        };
        if let Some(Json::Object(overriding)) = own.get("params") {
            params.retain(|(name, _)| overriding.iter().all(|(own, _)| own != name));
            params.extend(overriding.iter().cloned());
        }
        let mut members = without(&["$ref", "params"], &own);
        for member in without(&["$id", "params"], &definition) {
            if members.iter().all(|(name, _)| *name != member.0) {
                members.push(member);
            }
        }
        if !params.is_empty() {
            members.push(("params".to_owned(), Json::Object(params)));
        }
        Ok(Json::Object(members))
    }

    fn what(&self, of: &Object<'_>, group: &Group<'_>) -> Result<What, DescriptorError> {
        if of.get("value").is_some() == of.get("path").is_some() {
            return Err(of.bad("path"));
        }
        if let Some(value) = of.get("value") {
            let text = self.constant(value).and_then(scalar).ok_or_else(|| of.bad("value"))?;
            let is_line = text.len() <= MAX_WORDS && text.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
            return is_line.then_some(What::Text(text)).ok_or_else(|| of.bad("value"));
        }
        self.place(of, "path", group).map(What::At)
    }

    fn place(&self, of: &Object<'_>, name: &str, group: &Group<'_>) -> Result<Place, DescriptorError> {
        let place = Place::parse(of.raw_text(name)?, group.base).ok_or_else(|| of.bad(name))?;
        match &place {
            Place::Data(path) if !path.fits(self.shape, false) => Err(of.bad(name)),
            Place::Data(_) | Place::Contract | Place::Sender | Place::Value => Ok(place),
        }
    }

    fn format(&self, of: &Object<'_>, group: &Group<'_>) -> Result<Format, DescriptorError> {
        let empty = Json::Object(Vec::new());
        let params = of.get("params").unwrap_or(&empty);
        let params = |known: &[&str]| Object::of(&of.path("params"), params, known);
        if of.get("format").is_none() {
            return params(&[]).map(|_| Format::Raw);
        }
        Ok(match of.raw_text("format")? {
            "raw" => params(&[]).map(|_| Format::Raw)?,
            "amount" => params(&[]).map(|_| Format::Amount)?,
            "duration" => params(&[]).map(|_| Format::Duration)?,
            "chainId" => params(&[]).map(|_| Format::ChainId)?,
            "tokenTicker" => params(&[]).map(|_| Format::TokenTicker)?,
            "tokenAmount" => self.token_amount(
                &params(&["tokenPath", "token", "nativeCurrencyAddress", "threshold", "message"])?,
                group,
            )?,
            "nftName" => {
                let params = params(&["collectionPath", "collection"])?;
                Format::NftName(self.account(&params, ["collectionPath", "collection"], group)?)
            }
            // Which kind of account the author expects, and where wallets find names, changes nothing here.
            "addressName" => Format::AddressName {
                sender: self.addresses(&params(&["types", "sources", "senderAddress"])?, "senderAddress")?,
            },
            "date" => {
                let params = params(&["encoding"])?;
                match params.raw_text("encoding")? {
                    "timestamp" => Format::Date,
                    "blockheight" => Format::BlockHeight,
                    _ => return Err(params.bad("encoding")),
                }
            }
            "unit" => {
                // With an SI prefix or without one: the number is whole.
                let params = params(&["base", "decimals", "prefix"])?;
                let is_blank = params.raw_text("base")?.trim().is_empty();
                Format::Unit {
                    base: if is_blank { String::new() } else { params.text("base")? },
                    decimals: read_decimals(&params)?,
                }
            }
            "enum" => Format::Enum(self.enumeration(&params(&["$ref"])?)?),
            "calldata" => self.calldata(
                &params(&["calleePath", "callee", "amountPath", "spenderPath", "spender"])?,
                group,
            )?,
            _ => return Err(of.bad("format")),
        })
    }

    fn token_amount(&self, params: &Object<'_>, group: &Group<'_>) -> Result<Format, DescriptorError> {
        let threshold = match params.get("threshold") {
            None => None,
            Some(threshold) => {
                let threshold = self.constant(threshold).and_then(scalar);
                let threshold = threshold.and_then(|text| text.parse::<U256>().ok());
                let message = match params.get("message") {
                    Some(_) => params.text("message")?,
                    None => "unlimited".to_owned(),
                };
                Some((threshold.ok_or_else(|| params.bad("threshold"))?, message))
            }
        };
        let token = ["tokenPath", "token"];
        let is_named = token.iter().any(|name| params.get(name).is_some());
        Ok(Format::TokenAmount {
            token: is_named.then(|| self.account(params, token, group)).transpose()?,
            native: self.addresses(params, "nativeCurrencyAddress")?,
            threshold,
        })
    }

    fn calldata(&self, params: &Object<'_>, group: &Group<'_>) -> Result<Format, DescriptorError> {
        let amount = match params.get("amountPath") {
            Some(_) => match self.place(params, "amountPath", group)? {
                Place::Contract | Place::Sender => return Err(params.bad("amountPath")),
                place @ (Place::Data(_) | Place::Value) => Some(place),
            },
            None => None,
        };
        let spender = ["spenderPath", "spender"];
        let is_named = spender.iter().any(|name| params.get(name).is_some());
        Ok(Format::Calldata {
            callee: self.account(params, ["calleePath", "callee"], group)?,
            amount,
            spender: is_named.then(|| self.account(params, spender, group)).transpose()?,
        })
    }

    /// An address by its path or as it is: one of the two.
    fn account(
        &self,
        of: &Object<'_>,
        [path, fixed]: [&str; 2],
        group: &Group<'_>,
    ) -> Result<Account, DescriptorError> {
        match (of.get(path), of.get(fixed)) {
            (None, Some(json)) => self.address(json).map(Account::Fixed).ok_or_else(|| of.bad(fixed)),
            (Some(_), Some(_)) => Err(of.bad(fixed)),
            (Some(_) | None, None) => match self.place(of, path, group)? {
                Place::Value => Err(of.bad(path)),
                place @ (Place::Data(_) | Place::Contract | Place::Sender) => Ok(Account::At(place)),
            },
        }
    }

    fn addresses(&self, of: &Object<'_>, name: &str) -> Result<Vec<Address>, DescriptorError> {
        let items = match of.get(name) {
            None => &[],
            Some(Json::Array(items)) if items.len() <= MAX_LIST => items.as_slice(),
            Some(item) => std::slice::from_ref(item),
        };
        let addresses: Option<_> = items.iter().map(|item| self.address(item)).collect();
        addresses.ok_or_else(|| of.bad(name))
    }

    fn address(&self, json: &Json) -> Option<Address> {
        match self.constant(json)? {
            Json::Text(text) => read_address(text),
            Json::Boolean(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => None,
        }
    }

    /// The value that `$.metadata.constants.NAME` stands for; other values stand for themselves.
    fn constant<'j>(&'j self, json: &'j Json) -> Option<&'j Json> {
        match json {
            Json::Text(text) if text.starts_with("$.") => {
                member(self.constants, text.strip_prefix("$.metadata.constants.")?)
            }
            Json::Text(_) | Json::Boolean(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => Some(json),
        }
    }

    fn enumeration(&self, params: &Object<'_>) -> Result<BTreeMap<String, String>, DescriptorError> {
        let reference = params.raw_text("$ref")?;
        let name = reference.strip_prefix("$.metadata.enums.");
        let found = name.and_then(|name| member(self.enums, name));
        let of = Object::open(reference, found.ok_or_else(|| params.bad("$ref"))?)?;
        certify_count(of.at(), of.members().len(), MAX_LIST.saturating_mul(4))?;
        let names = of
            .members()
            .iter()
            .map(|(value, _)| Ok((value.clone(), of.text(value)?)));
        names.collect()
    }
}

/// The longest words of a descriptor in a value's place.
const MAX_WORDS: usize = 256;

/// Shown is everything, so of the rules only one is left: what a value must be.
fn must_be(of: &Object<'_>) -> Result<Option<Vec<String>>, DescriptorError> {
    let rule = match of.get("visible") {
        None => return Ok(None),
        Some(Json::Text(rule)) if matches!(rule.as_str(), "always" | "never" | "optional") => return Ok(None),
        Some(rule @ Json::Object(_)) => Object::of(&of.path("visible"), rule, &["ifNotIn", "mustBe"])?,
        Some(Json::Text(_) | Json::Boolean(_) | Json::Number(_) | Json::Array(_)) => return Err(of.bad("visible")),
    };
    if rule.get("ifNotIn").is_some() == rule.get("mustBe").is_some() {
        return Err(of.bad("visible"));
    }
    if rule.get("ifNotIn").is_some() {
        return rule.array("ifNotIn", MAX_LIST).map(|_| None);
    }
    let values = rule.array("mustBe", MAX_LIST)?.iter().map(scalar);
    let values: Option<Vec<String>> = values.collect();
    values.map(Some).ok_or_else(|| rule.bad("mustBe"))
}

fn scalar(json: &Json) -> Option<String> {
    match json {
        Json::Text(text) | Json::Number(text) => Some(text.clone()),
        Json::Boolean(value) => Some(value.to_string()),
        Json::Array(_) | Json::Object(_) => None,
    }
}

fn member<'a>(of: Option<&'a Json>, wanted: &str) -> Option<&'a Json> {
    match of? {
        Json::Object(members) => members.iter().find(|(name, _)| name == wanted).map(|(_, json)| json),
        Json::Boolean(_) | Json::Number(_) | Json::Text(_) | Json::Array(_) => None,
    }
}

fn read_decimals(params: &Object<'_>) -> Result<Decimals, DescriptorError> {
    let decimals = match params.get("decimals") {
        Some(Json::Number(number)) => number.parse().ok().and_then(|number| Decimals::new(number).ok()),
        Some(_) => None,
        None => Decimals::new(0).ok(),
    };
    decimals.ok_or_else(|| params.bad("decimals"))
}
