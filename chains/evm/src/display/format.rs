//! A value as people read it. Numbers get their decimals from the registry or the descriptor; a token or an address gets a
//! name from the bundle alone. What the descriptor says in a value's place stands beside the value, never instead of it.

use std::collections::BTreeMap;

use alloy_primitives::{Address, I256, U256, hex};
use countersign_types::{Amount, AssetId, AssetRecord, Decimals, UtcSeconds};

use super::{
    leaves::{Leaf, Leaves},
    path::{Meets, Place},
};
use crate::{
    ERC20, Known, Sender,
    address::destination,
    message::{Primitive, Value},
};

/// Longer texts and bytes are cut. The effects bind all of them; of long bytes their text has the length and a digest.
const MAX_TEXT_CHARS: usize = 256;

/// What a value is shown beside.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) sender: &'a Sender<'a>,
    pub(super) known: &'a Known<'a>,
    /// Who is called, or verifies.
    pub(super) contract: Address,
    /// Who calls.
    pub(super) from: Address,
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
    /// An amount of a token.
    TokenAmount {
        /// Without one the number is shown as it is.
        token: Option<Account>,
        /// Addresses that stand for the native asset.
        native: Vec<Address>,
        /// From this on the number has a meaning of its own.
        threshold: Option<(U256, String)>,
    },
    /// A token, by its symbol where the bundle has one.
    TokenTicker,
    /// An item of a collection.
    NftName(Account),
    /// An account, by its name where the bundle has one.
    AddressName {
        /// Addresses that stand for who signs.
        sender: Vec<Address>,
    },
    /// Seconds since 1970.
    Date,
    /// A block's number.
    BlockHeight,
    /// Seconds.
    Duration,
    /// A number with decimals and the name of its unit.
    Unit {
        /// What stands behind the number.
        base: String,
        /// Decimal places.
        decimals: Decimals,
    },
    /// One of some numbers or texts, by the descriptor's name for it.
    Enum(BTreeMap<String, String>),
    /// An EIP-155 chain id.
    ChainId,
    /// A call of another contract.
    Calldata {
        callee: Account,
        /// What is sent along, in wei.
        amount: Option<Place>,
        /// Who calls it, if not the contract that is called around it.
        spender: Option<Account>,
    },
}

/// An address: of the bytes, or of the descriptor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Account {
    At(Place),
    Fixed(Address),
}

/// A value that is shown, or some of its bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece<'a> {
    kind: Primitive,
    value: &'a Value,
    /// Only these, big-endian.
    part: Option<&'a [u8]>,
}

impl<'a> Piece<'a> {
    /// `None` for an array without items and for bytes that are not there.
    pub(super) fn of(leaf: &Leaf<'a>, meets: Meets) -> Option<Self> {
        let (kind, value) = (leaf.kind, leaf.value?);
        let part = match meets {
            Meets::Whole => None,
            Meets::Bytes(range) => {
                let bytes = bytes_of(kind, value)?;
                Some(bytes.get(range.within(bytes.len())?)?)
            }
        };
        Some(Self { kind, value, part })
    }

    fn number(&self) -> Option<U256> {
        match (self.part, self.kind, self.value) {
            (Some(part), ..) => (part.len() <= 32).then(|| U256::from_be_slice(part)),
            (None, Primitive::Uint(_), Value::Word(word)) => Some(U256::from_be_bytes(*word)),
            (None, _, Value::Word(_) | Value::Bytes(_) | Value::Parts(_)) => None,
        }
    }

    /// An address, or a number or bytes in its place.
    fn account(&self) -> Option<Address> {
        match (self.part, self.kind, self.value) {
            (Some(part), ..) => (part.len() == 20).then(|| Address::from_slice(part)),
            (None, Primitive::Address, Value::Word(word)) => Some(Address::from_word(word.into())),
            (None, Primitive::Uint(_), Value::Word(word)) => {
                let (high, low) = word.split_first_chunk::<12>()?;
                (*high == [0; 12]).then(|| Address::from_slice(low))
            }
            (None, Primitive::Bytes, Value::Bytes(bytes)) => (bytes.len() == 20).then(|| Address::from_slice(bytes)),
            (None, _, Value::Word(_) | Value::Bytes(_) | Value::Parts(_)) => None,
        }
    }

    /// `bytes`, whole.
    pub(super) fn bytes(&self) -> Option<&'a [u8]> {
        match (self.part, self.kind, self.value) {
            (None, Primitive::Bytes, Value::Bytes(bytes)) => Some(bytes),
            (_, _, Value::Word(_) | Value::Bytes(_) | Value::Parts(_)) => None,
        }
    }

    /// As the type has it, whole.
    pub(super) fn raw(&self) -> String {
        if let Some(part) = self.part {
            return hex::encode_prefixed(part);
        }
        match (self.kind, self.value) {
            (Primitive::Address, Value::Word(word)) => Address::from_word(word.into()).to_checksum(None),
            (Primitive::Boolean, Value::Word(word)) => (word.last() == Some(&1)).to_string(),
            (Primitive::Uint(_), Value::Word(word)) => U256::from_be_bytes(*word).to_string(),
            (Primitive::Int(_), Value::Word(word)) => I256::from_raw(U256::from_be_bytes(*word)).to_string(),
            (Primitive::FixedBytes(size), Value::Word(word)) => hex::encode_prefixed(word.get(..size).unwrap_or(word)),
            (Primitive::Text, Value::Bytes(text)) => String::from_utf8_lossy(text).into_owned(),
            (_, Value::Bytes(bytes)) => hex::encode_prefixed(bytes),
            (_, Value::Word(word)) => hex::encode_prefixed(word),
            (_, Value::Parts(parts)) => format!("{} items", parts.len()),
        }
    }

    /// Printable, and no longer than a screen: a text in quotes, with nothing that moves a cursor or closes them.
    fn shown(&self) -> String {
        let raw = self.raw();
        match (self.part, self.kind, self.value) {
            (None, Primitive::Text, Value::Bytes(text)) => {
                let escaped: String = raw.chars().flat_map(char::escape_default).collect();
                format!("\"{}\"", cut(&escaped, text.len()))
            }
            (None, _, Value::Bytes(bytes)) => cut(&raw, bytes.len()),
            (Some(part), ..) => cut(&raw, part.len()),
            (None, _, Value::Word(_) | Value::Parts(_)) => raw,
        }
    }
}

/// The bytes that a range counts: of a word those that its type has.
fn bytes_of(kind: Primitive, value: &Value) -> Option<&[u8]> {
    match (kind, value) {
        (Primitive::Bytes | Primitive::Text, Value::Bytes(bytes)) => Some(bytes),
        (Primitive::FixedBytes(size), Value::Word(word)) => word.get(..size),
        (Primitive::Uint(bits), Value::Word(word)) => {
            let size = bits.checked_div(8)?;
            word.get(word.len().checked_sub(size)?..)
        }
        (Primitive::Address, Value::Word(word)) => word.get(12..),
        (_, Value::Word(_) | Value::Bytes(_) | Value::Parts(_)) => None,
    }
}

impl Context<'_> {
    /// The text of a leaf or of some of its bytes. A format that does not fit the value falls back to what it is.
    pub(super) fn text(&self, format: &Format, (leaf, meets): (&Leaf<'_>, Meets), leaves: &Leaves<'_>) -> String {
        let Some(piece) = Piece::of(leaf, meets) else {
            return "(none)".to_owned();
        };
        let number = piece.number();
        let shown = match format {
            Format::Raw | Format::Calldata { .. } => None,
            Format::Amount => number.map(|amount| self.native(amount)),
            Format::TokenAmount {
                token,
                native,
                threshold,
            } => number.and_then(|amount| {
                let token = self.account(token.as_ref()?, leaf, leaves)?;
                let text = self.token_amount(amount, token, native);
                Some(match threshold {
                    Some((from, message)) if amount >= *from => format!("{text} (\"{message}\")"),
                    Some(_) | None => text,
                })
            }),
            Format::TokenTicker => piece.account().map(|token| self.token(token)),
            Format::NftName(collection) => number.and_then(|item| {
                let collection = self.account(collection, leaf, leaves)?;
                Some(format!("item {item} of {}", self.name(collection)))
            }),
            Format::AddressName { sender } => piece.account().map(|address| {
                let name = self.name(address);
                if sender.contains(&address) {
                    return format!("{name} (stands for the sender)");
                }
                name
            }),
            Format::Date => number.and_then(date),
            Format::BlockHeight => number.map(|height| format!("block {height}")),
            Format::Duration => number.map(duration),
            Format::Unit { base, decimals } => {
                let text = number.map(|number| format!("{} {base}", amount(number).to_decimal(*decimals)));
                text.map(|text| text.trim_end().to_owned())
            }
            Format::Enum(names) => {
                let shown = piece.shown();
                names.get(&piece.raw()).map(|name| format!("{name} ({shown})"))
            }
            Format::ChainId => number.map(|id| format!("chain {id}")),
        };
        shown.unwrap_or_else(|| piece.shown())
    }

    pub(super) fn native(&self, wei: U256) -> String {
        quantity(amount(wei), self.sender.network.native())
    }

    /// The account, and the own wallet that it is of.
    pub(super) fn name(&self, address: Address) -> String {
        let text = address.to_checksum(None);
        let own = destination(self.sender.network.chain(), address).ok();
        match own.and_then(|destination| self.known.own.get(&destination)) {
            Some(wallet) => format!("{text} (wallet {wallet})"),
            None => text,
        }
    }

    /// An address beside a leaf.
    pub(super) fn account(&self, account: &Account, leaf: &Leaf<'_>, leaves: &Leaves<'_>) -> Option<Address> {
        match account {
            Account::Fixed(address) => Some(*address),
            Account::At(Place::Contract) => Some(self.contract),
            Account::At(Place::Sender) => Some(self.from),
            Account::At(place @ (Place::Data(_) | Place::Value)) => beside(place, leaf, leaves)?.account(),
        }
    }

    /// An amount of wei beside a leaf.
    pub(super) fn wei(&self, place: &Place, leaf: &Leaf<'_>, leaves: &Leaves<'_>) -> Option<U256> {
        match place {
            Place::Value => Some(self.value),
            Place::Data(_) | Place::Contract | Place::Sender => beside(place, leaf, leaves)?.number(),
        }
    }

    fn token_amount(&self, number: U256, token: Address, native: &[Address]) -> String {
        let address = token.to_checksum(None);
        if native.contains(&token) {
            return format!("{} ({address} stands for it)", self.native(number));
        }
        match self.record(token) {
            Some(record) => quantity(amount(number), record),
            None => format!("{number} base units of {address} (unregistered asset)"),
        }
    }

    fn token(&self, token: Address) -> String {
        let address = token.to_checksum(None);
        match self.record(token) {
            Some(record) => format!("{} ({address})", record.symbol),
            None => format!("{address} (unregistered asset)"),
        }
    }

    fn record(&self, token: Address) -> Option<&AssetRecord> {
        let id = AssetId::new(self.sender.network.chain(), ERC20, &token.to_checksum(None)).ok()?;
        self.known.assets.asset(&id)
    }
}

fn beside<'a>(place: &Place, leaf: &Leaf<'_>, leaves: &Leaves<'a>) -> Option<Piece<'a>> {
    match place {
        Place::Data(path) => {
            let (path, meets) = path.beside(leaf, |array| leaves.length(array))?;
            Piece::of(leaves.at(&path)?, meets)
        }
        Place::Contract | Place::Sender | Place::Value => None,
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

fn date(seconds: U256) -> Option<String> {
    let seconds = i64::try_from(seconds).ok()?;
    UtcSeconds::from_unix_seconds(seconds).ok().map(|time| time.to_string())
}

/// `1d 02:03:04`; the seconds alone where there are too many for days to say anything.
fn duration(seconds: U256) -> String {
    let Ok(total) = u32::try_from(seconds) else {
        return format!("{seconds} seconds");
    };
    let [minute, hour, day] = [60, 3_600, 86_400];
    let part = |of: u32, unit: u32| {
        total
            .checked_rem(of)
            .and_then(|rest| rest.checked_div(unit))
            .unwrap_or_default()
    };
    let clock = format!(
        "{:02}:{:02}:{:02}",
        part(day, hour),
        part(hour, minute),
        part(minute, 1)
    );
    match part(u32::MAX, day) {
        0 => clock,
        days => format!("{days}d {clock}"),
    }
}

fn cut(text: &str, bytes: usize) -> String {
    match text.char_indices().nth(MAX_TEXT_CHARS) {
        Some((at, _)) => format!("{}... ({bytes} bytes)", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}
