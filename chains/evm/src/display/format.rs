//! A value as people read it. Numbers get their decimals from the registry or the descriptor; a token or an address gets a
//! name from the bundle alone.

use alloy_primitives::{Address, I256, U256, hex};
use countersign_types::{Amount, AssetId, AssetRecord, Decimals, UtcSeconds};

use super::leaves::{ByPath, Leaf};
use crate::{
    ERC20, EvmNetwork, Known,
    address::destination,
    message::{Primitive, Value},
};

/// Longer texts and bytes are cut: the whole of them is in the effects.
const MAX_TEXT_CHARS: usize = 256;

/// What a value is shown beside.
pub(super) struct Context<'a> {
    pub(super) network: &'a EvmNetwork,
    pub(super) known: &'a Known<'a>,
    /// Who is called, or verifies.
    pub(super) contract: Address,
    /// In wei.
    pub(super) value: U256,
}

/// How a field is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Format {
    /// As the type has it.
    Raw,
    /// An amount of the native asset.
    Amount,
    /// An amount of the token whose address stands at a path.
    TokenAmount(Place),
    /// An account, by its name where the bundle has one.
    AddressName,
    /// Seconds since 1970.
    Date,
    /// A number with decimals and the name of its unit.
    Unit {
        /// What stands behind the number.
        base: String,
        /// Decimal places.
        decimals: Decimals,
    },
}

/// Where a value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// Among the arguments or members.
    Data(String),
    /// `@.to`: the contract itself.
    Contract,
    /// `@.value`: what is sent along.
    Value,
}

impl Context<'_> {
    /// The text of a leaf. A format that does not fit the value falls back to what it is.
    pub(super) fn text(&self, format: &Format, leaf: &Leaf<'_>, leaves: &ByPath<'_>) -> String {
        let Some(value) = leaf.value else {
            return "(none)".to_owned();
        };
        let number = unsigned(leaf.kind, value);
        let shown = match format {
            Format::Raw => None,
            Format::Amount => number.map(|amount| self.native(amount)),
            Format::TokenAmount(place) => number.and_then(|amount| {
                let token = self.token(place, leaf, leaves)?;
                Some(self.token_amount(amount, token))
            }),
            Format::AddressName => account(leaf.kind, value).map(|address| self.name(address)),
            Format::Date => number.and_then(date),
            Format::Unit { base, decimals } => {
                number.map(|number| format!("{} {base}", amount(number).to_decimal(*decimals)))
            }
        };
        shown.unwrap_or_else(|| raw(leaf.kind, value))
    }

    pub(super) fn native(&self, wei: U256) -> String {
        quantity(amount(wei), self.network.native())
    }

    /// The account, and the own wallet that it is of.
    pub(super) fn name(&self, address: Address) -> String {
        let text = address.to_checksum(None);
        let own = destination(self.network.chain(), address).ok();
        match own.and_then(|destination| self.known.own.get(&destination)) {
            Some(wallet) => format!("{text} (wallet {wallet})"),
            None => text,
        }
    }

    fn token(&self, place: &Place, leaf: &Leaf<'_>, leaves: &ByPath<'_>) -> Option<Address> {
        match place {
            Place::Contract => Some(self.contract),
            Place::Value => None,
            Place::Data(pattern) => {
                let path = leaf.beside(pattern);
                let token = leaves.get(path.as_str())?;
                account(token.kind, token.value?)
            }
        }
    }

    fn token_amount(&self, number: U256, token: Address) -> String {
        let address = token.to_checksum(None);
        let id = AssetId::new(self.network.chain(), ERC20, &address).ok();
        match id.and_then(|id| self.known.assets.asset(&id)) {
            Some(record) => quantity(amount(number), record),
            None => format!("{number} base units of {address} (unregistered asset)"),
        }
    }
}

/// The amount, and what is odd about the asset.
fn quantity(amount: Amount, record: &AssetRecord) -> String {
    let mut text = format!("{} {}", amount.to_decimal(record.decimals), record.symbol);
    if amount == Amount::MAX {
        text.push_str(" (everything)");
    }
    for quirk in &record.quirks {
        text.push_str(&format!(" ({quirk})"));
    }
    text
}

fn amount(number: U256) -> Amount {
    Amount::from_be_bytes(number.to_be_bytes())
}

fn unsigned(kind: Primitive, value: &Value) -> Option<U256> {
    match (kind, value) {
        (Primitive::Uint(_), Value::Word(word)) => Some(U256::from_be_bytes(*word)),
        (_, Value::Word(_) | Value::Bytes(_) | Value::Parts(_)) => None,
    }
}

fn account(kind: Primitive, value: &Value) -> Option<Address> {
    match (kind, value) {
        (Primitive::Address, Value::Word(word)) => Some(Address::from_word(word.into())),
        (_, Value::Word(_) | Value::Bytes(_) | Value::Parts(_)) => None,
    }
}

fn date(seconds: U256) -> Option<String> {
    let seconds = i64::try_from(seconds).ok()?;
    UtcSeconds::from_unix_seconds(seconds).ok().map(|time| time.to_string())
}

fn raw(kind: Primitive, value: &Value) -> String {
    match (kind, value) {
        (Primitive::Address, Value::Word(word)) => Address::from_word(word.into()).to_checksum(None),
        (Primitive::Boolean, Value::Word(word)) => (word.last() == Some(&1)).to_string(),
        (Primitive::Uint(_), Value::Word(word)) => U256::from_be_bytes(*word).to_string(),
        (Primitive::Int(_), Value::Word(word)) => I256::from_raw(U256::from_be_bytes(*word)).to_string(),
        (Primitive::FixedBytes(size), Value::Word(word)) => hex::encode_prefixed(word.get(..size).unwrap_or(word)),
        (Primitive::Text, Value::Bytes(text)) => format!("\"{}\"", printable(&String::from_utf8_lossy(text))),
        (_, Value::Bytes(bytes)) => cut(&hex::encode_prefixed(bytes), bytes.len()),
        (_, Value::Word(word)) => hex::encode_prefixed(word),
        (_, Value::Parts(parts)) => format!("{} items", parts.len()),
    }
}

/// Nothing that moves a cursor, closes the quotes or looks like something else.
fn printable(text: &str) -> String {
    let escaped: String = text.chars().flat_map(char::escape_default).collect();
    cut(&escaped, text.len())
}

fn cut(text: &str, bytes: usize) -> String {
    match text.char_indices().nth(MAX_TEXT_CHARS) {
        Some((at, _)) => format!("{}... ({bytes} bytes)", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}
