//! The message format, legacy and version 0: strictly read, and written again.

use std::collections::BTreeSet;

use crate::{
    Address, ParseError,
    bytes::{ReadError, Reader, write_bytes, write_compact_u16},
};

/// A transaction is one packet of 1232 bytes: the count of signatures, 64 bytes each, and the message.
pub const MAX_MESSAGE_BYTES: usize = 1_232 - 1 - 64;
/// The high bit of the first byte says "versioned"; the rest is the version.
const VERSION_0: u8 = 0x80;
/// Instructions name accounts by one byte.
const MAX_ACCOUNTS: usize = 256;

/// One instruction: indices into the accounts, and data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Instruction {
    pub(crate) program: u8,
    pub(crate) accounts: Vec<u8>,
    pub(crate) data: Vec<u8>,
}

/// Accounts taken from a lookup table, by index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lookup {
    pub(crate) table: Address,
    pub(crate) writable: Vec<u8>,
    pub(crate) readonly: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) required_signatures: u8,
    pub(crate) readonly_signed: u8,
    pub(crate) readonly_unsigned: u8,
}

/// A message. Its first key pays the fee.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) header: Header,
    pub(crate) keys: Vec<Address>,
    pub(crate) blockhash: [u8; 32],
    pub(crate) instructions: Vec<Instruction>,
    /// `None`: the legacy format, which has no place for them.
    pub(crate) lookups: Option<Vec<Lookup>>,
}

impl From<ReadError> for ParseError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::TooShort => Self::Truncated,
            ReadError::NotMinimal => Self::NotMinimal,
        }
    }
}

impl Message {
    /// Decodes a whole message, certifies its structure and that it is written in the one way to write it.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, ParseError> {
        if bytes.is_empty() {
            return Err(ParseError::Empty);
        }
        if bytes.len() > MAX_MESSAGE_BYTES {
            return Err(ParseError::TooLarge { found: bytes.len() });
        }
        let mut reader = Reader::new(bytes);
        let message = Self::read(&mut reader)?;
        if !reader.is_empty() {
            return Err(ParseError::TrailingBytes);
        }
        message.certify()?;
        if message.encode() != bytes {
            return Err(ParseError::NotCanonical);
        }
        Ok(message)
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, ParseError> {
        let first = reader.u8()?;
        let (versioned, required_signatures) = match first {
            0..VERSION_0 => (false, first),
            VERSION_0 => (true, reader.u8()?),
            version => return Err(ParseError::UnsupportedVersion(version & 0x7f)),
        };
        let header = Header {
            required_signatures,
            readonly_signed: reader.u8()?,
            readonly_unsigned: reader.u8()?,
        };
        // Every element takes at least one byte of a bounded message, so a false count ends in `Truncated` early.
        let keys = (0..reader.compact_u16()?)
            .map(|_| reader.address())
            .collect::<Result<_, _>>()?;
        let blockhash = reader.array()?;
        let instructions = (0..reader.compact_u16()?)
            .map(|_| {
                Ok(Instruction {
                    program: reader.u8()?,
                    accounts: reader.bytes()?.to_vec(),
                    data: reader.bytes()?.to_vec(),
                })
            })
            .collect::<Result<_, ReadError>>()?;
        let lookups = if versioned { Some(read_lookups(reader)?) } else { None };
        Ok(Self {
            header,
            keys,
            blockhash,
            instructions,
            lookups,
        })
    }

    /// What validators check before they execute anything, and no more than one way to say it.
    fn certify(&self) -> Result<(), ParseError> {
        let keys = self.keys.len();
        let required = usize::from(self.header.required_signatures);
        let is_header = required > 0
            && self.header.readonly_signed < self.header.required_signatures
            && required.saturating_add(usize::from(self.header.readonly_unsigned)) <= keys;
        if !is_header {
            return Err(ParseError::BadHeader);
        }
        if self.keys.iter().collect::<BTreeSet<_>>().len() != keys {
            return Err(ParseError::DuplicateAccount);
        }
        let tables: BTreeSet<_> = self.lookups().iter().map(|lookup| lookup.table).collect();
        if tables.len() != self.lookups().len() || self.lookups().iter().any(Lookup::is_empty) {
            return Err(ParseError::BadLookup);
        }
        let accounts = self.accounts();
        if accounts > MAX_ACCOUNTS {
            return Err(ParseError::TooManyAccounts(accounts));
        }
        let in_range = |instruction: &Instruction| {
            // The fee payer is no program, and a program is never looked up.
            (1..keys).contains(&usize::from(instruction.program))
                && instruction.accounts.iter().all(|index| usize::from(*index) < accounts)
        };
        if !self.instructions.iter().all(in_range) {
            return Err(ParseError::BadIndex);
        }
        self.certify_used(accounts)
    }

    /// Every account but the fee payer is named by an instruction. Validators do not ask for that; but an account that
    /// nothing uses is locked and loaded, and no effect would show it.
    fn certify_used(&self, accounts: usize) -> Result<(), ParseError> {
        let named = |instruction: &'_ Instruction| {
            let indices = instruction.accounts.iter().chain([&instruction.program]);
            indices.copied().map(usize::from).collect::<Vec<_>>()
        };
        let used: BTreeSet<usize> = self.instructions.iter().flat_map(named).collect();
        (1..accounts)
            .all(|at| used.contains(&at))
            .then_some(())
            .ok_or(ParseError::UnusedAccount)
    }

    pub(crate) fn lookups(&self) -> &[Lookup] {
        self.lookups.as_deref().unwrap_or_default()
    }

    /// The accounts written out, and those in tables.
    fn accounts(&self) -> usize {
        let looked_up = self.lookups().iter().map(Lookup::len);
        looked_up.fold(self.keys.len(), usize::saturating_add)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(MAX_MESSAGE_BYTES);
        if self.lookups.is_some() {
            out.push(VERSION_0);
        }
        out.extend([
            self.header.required_signatures,
            self.header.readonly_signed,
            self.header.readonly_unsigned,
        ]);
        write_compact_u16(&mut out, self.keys.len());
        for key in &self.keys {
            out.extend_from_slice(key.as_bytes());
        }
        out.extend_from_slice(&self.blockhash);
        write_compact_u16(&mut out, self.instructions.len());
        for instruction in &self.instructions {
            out.push(instruction.program);
            write_bytes(&mut out, &instruction.accounts);
            write_bytes(&mut out, &instruction.data);
        }
        if let Some(lookups) = &self.lookups {
            write_compact_u16(&mut out, lookups.len());
            for lookup in lookups {
                out.extend_from_slice(lookup.table.as_bytes());
                write_bytes(&mut out, &lookup.writable);
                write_bytes(&mut out, &lookup.readonly);
            }
        }
        out
    }
}

impl Lookup {
    fn len(&self) -> usize {
        self.writable.len().saturating_add(self.readonly.len())
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn read_lookups(reader: &mut Reader<'_>) -> Result<Vec<Lookup>, ReadError> {
    (0..reader.compact_u16()?)
        .map(|_| {
            Ok(Lookup {
                table: reader.address()?,
                writable: reader.bytes()?.to_vec(),
                readonly: reader.bytes()?.to_vec(),
            })
        })
        .collect()
}
