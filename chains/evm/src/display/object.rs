//! JSON objects read strictly: every member is one that is expected, and stands once.

use std::collections::BTreeSet;

use alloy_primitives::Address;

use super::DescriptorError;
use crate::{address::parse_address, message::Json};

/// The longest text that stands in a display.
const MAX_TEXT_LEN: usize = 64;

/// An object whose every member is known and stands once.
pub(super) struct Object<'a> {
    at: String,
    members: &'a [(String, Json)],
}

impl<'a> Object<'a> {
    pub(super) fn of(at: &str, json: &'a Json, allowed: &[&str]) -> Result<Self, DescriptorError> {
        let found = Self::open(at, json)?;
        match found.members.iter().find(|(name, _)| !allowed.contains(&name.as_str())) {
            Some((name, _)) => Err(found.unsupported(name)),
            None => Ok(found),
        }
    }

    /// Of members with names that the author chose.
    pub(super) fn open(at: &str, json: &'a Json) -> Result<Self, DescriptorError> {
        let at = at.to_owned();
        let Json::Object(members) = json else {
            return Err(DescriptorError::Bad { at });
        };
        let found = Self { at, members };
        let mut names = BTreeSet::new();
        match members.iter().find(|(name, _)| !names.insert(name)) {
            Some((name, _)) => Err(found.unsupported(name)),
            None => Ok(found),
        }
    }

    pub(super) fn at(&self) -> &str {
        &self.at
    }

    pub(super) fn members(&self) -> &'a [(String, Json)] {
        self.members
    }

    pub(super) fn path(&self, name: &str) -> String {
        format!("{}.{}", self.at, printable(name))
    }

    pub(super) fn bad(&self, name: &str) -> DescriptorError {
        DescriptorError::Bad { at: self.path(name) }
    }

    fn unsupported(&self, name: &str) -> DescriptorError {
        let (at, member) = (self.at.clone(), printable(name));
        DescriptorError::Unsupported { at, member }
    }

    pub(super) fn get(&self, wanted: &str) -> Option<&'a Json> {
        self.members
            .iter()
            .find(|(name, _)| name == wanted)
            .map(|(_, json)| json)
    }

    pub(super) fn object(&self, name: &str, allowed: &[&str]) -> Result<Self, DescriptorError> {
        let json = self.get(name).ok_or_else(|| self.bad(name))?;
        Self::of(&self.path(name), json, allowed)
    }

    pub(super) fn array(&self, name: &str, max: usize) -> Result<&'a [Json], DescriptorError> {
        let Some(Json::Array(items)) = self.get(name) else {
            return Err(self.bad(name));
        };
        certify_count(&self.path(name), items.len(), max)?;
        Ok(items)
    }

    pub(super) fn raw_text(&self, name: &str) -> Result<&'a str, DescriptorError> {
        match self.get(name) {
            Some(Json::Text(text)) => Ok(text),
            Some(_) | None => Err(self.bad(name)),
        }
    }

    /// An address to compare with: with a right checksum, or in lower case without one, as many descriptors have it.
    pub(super) fn address(&self, name: &str) -> Result<Address, DescriptorError> {
        read_address(self.raw_text(name)?).ok_or_else(|| self.bad(name))
    }

    pub(super) fn number<N: std::str::FromStr>(&self, name: &str) -> Result<N, DescriptorError> {
        match self.get(name) {
            Some(Json::Number(number)) => number.parse().map_err(|_| self.bad(name)),
            Some(_) | None => Err(self.bad(name)),
        }
    }

    /// A text that stands in a display: printable ASCII, and no longer than a line.
    pub(super) fn text(&self, name: &str) -> Result<String, DescriptorError> {
        let text = self.raw_text(name)?;
        let is_line = (1..=MAX_TEXT_LEN).contains(&text.len())
            && text.bytes().all(|b| b == b' ' || b.is_ascii_graphic())
            && !text.contains('`')
            && text.trim() == text;
        is_line.then(|| text.to_owned()).ok_or_else(|| self.bad(name))
    }
}

pub(super) fn read_address(text: &str) -> Option<Address> {
    if let Ok(address) = parse_address(text) {
        return Some(address);
    }
    let is_lower = text.len() == 42 && text.starts_with("0x") && !text.bytes().any(|b| b.is_ascii_uppercase());
    is_lower.then(|| text.parse().ok()).flatten()
}

pub(super) fn certify_count(at: &str, found: usize, max: usize) -> Result<(), DescriptorError> {
    if (1..=max).contains(&found) {
        return Ok(());
    }
    let at = at.to_owned();
    Err(DescriptorError::Count { at, found, max })
}

pub(super) fn printable(text: &str) -> String {
    text.chars().take(MAX_TEXT_LEN).flat_map(char::escape_default).collect()
}
