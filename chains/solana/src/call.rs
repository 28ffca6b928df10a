//! One instruction with its accounts resolved.

use crate::{
    Address, AddressError, ParseError,
    bytes::{ReadError, Reader},
    message::{Instruction, Message},
};

/// An account that an instruction names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    /// Written out in the message.
    Key { key: Address, signer: bool, writable: bool },
    /// In a lookup table at an index that is attested. It never signs.
    Loaded { key: Address, writable: bool },
    /// In a lookup table at an index that nobody attested.
    Unknown { table: Address, index: u8, writable: bool },
}

/// Why an instruction has no effects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unread {
    /// It is not understood: `Opaque`.
    Opaque,
    /// It is understood, and the whole message is refused for it.
    Refused(ParseError),
}

impl From<ReadError> for Unread {
    fn from(_: ReadError) -> Self {
        Self::Opaque
    }
}
impl From<ParseError> for Unread {
    fn from(error: ParseError) -> Self {
        Self::Refused(error)
    }
}
impl From<AddressError> for Unread {
    fn from(error: AddressError) -> Self {
        Self::Refused(error.into())
    }
}

/// An instruction.
#[derive(Debug, Clone)]
pub(crate) struct Call<'a> {
    pub(crate) program: Address,
    pub(crate) accounts: Vec<Entry>,
    pub(crate) data: &'a [u8],
}

impl<'a> Call<'a> {
    /// Every instruction of a message, in order, over its accounts.
    pub(crate) fn all(message: &'a Message, entries: &[Entry]) -> Result<Vec<Self>, ParseError> {
        let resolve = |instruction: &'a Instruction| {
            let program = message.keys.get(usize::from(instruction.program)).copied();
            let accounts = instruction.accounts.iter();
            let accounts = accounts.map(|index| entries.get(usize::from(*index)).copied());
            Ok(Self {
                program: program.ok_or(ParseError::BadIndex)?,
                accounts: accounts.collect::<Option<_>>().ok_or(ParseError::BadIndex)?,
                data: &instruction.data,
            })
        };
        message.instructions.iter().map(resolve).collect()
    }

    /// The keys, if there are exactly as many and all are known.
    pub(crate) fn keys<const N: usize>(&self) -> Result<[Address; N], Unread> {
        let keys: Option<Vec<_>> = self.accounts.iter().map(Entry::key).collect();
        keys.and_then(|keys| keys.try_into().ok()).ok_or(Unread::Opaque)
    }

    /// Whether it touches an account that nobody can name.
    pub(crate) fn has_unknown(&self) -> bool {
        self.accounts.iter().any(|entry| entry.key().is_none())
    }

    pub(crate) fn reader(&self) -> Reader<'a> {
        Reader::new(self.data)
    }

    /// The first four bytes of the data, padded with zeros.
    pub(crate) fn selector(&self) -> [u8; 4] {
        let mut selector = [0; 4];
        for (to, from) in selector.iter_mut().zip(self.data) {
            *to = *from;
        }
        selector
    }

    /// The whole instruction as bytes that say one thing only: the count of accounts (two bytes, little-endian), then each
    /// as 32 bytes of key and a byte of flags (1 signer, 2 writable, 4 the key is a lookup table's and one byte of index
    /// follows), then the data. Whether a known key was written out or loaded makes no difference, on chain or here.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let [low, high, ..] = self.accounts.len().to_le_bytes();
        let mut out = vec![low, high];
        for entry in &self.accounts {
            match entry {
                Entry::Key { key, signer, writable } => {
                    out.extend_from_slice(key.as_bytes());
                    out.push(u8::from(*signer) | u8::from(*writable) << 1);
                }
                Entry::Loaded { key, writable } => {
                    out.extend_from_slice(key.as_bytes());
                    out.push(u8::from(*writable) << 1);
                }
                Entry::Unknown { table, index, writable } => {
                    out.extend_from_slice(table.as_bytes());
                    out.extend([4 | u8::from(*writable) << 1, *index]);
                }
            }
        }
        out.extend_from_slice(self.data);
        out
    }
}

impl Entry {
    pub(crate) fn key(&self) -> Option<Address> {
        match self {
            Self::Key { key, .. } | Self::Loaded { key, .. } => Some(*key),
            Self::Unknown { .. } => None,
        }
    }

    /// The key, if the message itself says it.
    pub(crate) fn written_key(&self) -> Option<Address> {
        match self {
            Self::Key { key, .. } => Some(*key),
            Self::Loaded { .. } | Self::Unknown { .. } => None,
        }
    }

    pub(crate) fn is_writable(&self) -> bool {
        match self {
            Self::Key { writable, .. } | Self::Loaded { writable, .. } | Self::Unknown { writable, .. } => *writable,
        }
    }
}

/// Nothing may follow what was read.
pub(crate) fn end(reader: &Reader<'_>) -> Result<(), Unread> {
    reader.is_empty().then_some(()).ok_or(Unread::Opaque)
}
