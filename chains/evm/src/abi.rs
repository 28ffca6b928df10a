//! Solidity's ABI, read strictly: of the many layouts that a contract would accept, only the one that encoders write.
//!
//! Every offset points to where the tail before it ended, so that tails neither overlap nor leave gaps, and reading takes
//! time linear in the bytes: no offset can make one tail stand for many. Padding is zero, and nothing follows the last tail.

use alloy_primitives::{Address, U256};
use countersign_types::Amount;

const WORD: usize = 32;

/// The longest list: a payout batch that people can still read. A longer one is not decoded.
pub(crate) const MAX_LIST_ITEMS: usize = 512;

/// Reads the arguments of a function whose parameters take `words` words in the head; `None` if any byte is out of place.
pub(crate) fn read<'a, T>(args: &'a [u8], words: usize, fields: impl FnOnce(&mut Frame<'a>) -> Option<T>) -> Option<T> {
    let (value, extent) = Frame::read(args, words, fields)?;
    (extent == args.len()).then_some(value)
}

/// The heads and tails of one tuple; offsets count from its start.
pub(crate) struct Frame<'a> {
    bytes: &'a [u8],
    /// Where the next head is.
    head: usize,
    /// Where the heads end.
    heads: usize,
    /// Where the next tail is.
    tail: usize,
}

impl<'a> Frame<'a> {
    fn read<T>(bytes: &'a [u8], words: usize, fields: impl FnOnce(&mut Self) -> Option<T>) -> Option<(T, usize)> {
        let heads = words.checked_mul(WORD).filter(|heads| *heads <= bytes.len())?;
        let mut frame = Self {
            bytes,
            head: 0,
            heads,
            tail: heads,
        };
        let value = fields(&mut frame)?;
        (frame.head == heads).then_some((value, frame.tail))
    }

    /// `bytes32`, or any word before its type is looked at.
    pub(crate) fn word(&mut self) -> Option<&'a [u8; WORD]> {
        let end = self.head.checked_add(WORD).filter(|end| *end <= self.heads)?;
        let word = self.bytes.get(self.head..end)?.try_into().ok()?;
        self.head = end;
        Some(word)
    }

    /// `uint256`.
    pub(crate) fn uint(&mut self) -> Option<U256> {
        self.word().map(|word| U256::from_be_bytes(*word))
    }

    /// `uint256` that counts base units.
    pub(crate) fn amount(&mut self) -> Option<Amount> {
        self.word().map(|word| Amount::from_be_bytes(*word))
    }

    /// `address`: twelve zeros and twenty bytes.
    pub(crate) fn address(&mut self) -> Option<Address> {
        let (padding, address) = self.word()?.split_first_chunk::<12>()?;
        (*padding == [0; 12]).then(|| Address::from_slice(address))
    }

    /// `uint8`.
    pub(crate) fn byte(&mut self) -> Option<u8> {
        self.uint()?.try_into().ok()
    }

    /// `bool`: 0 or 1.
    pub(crate) fn boolean(&mut self) -> Option<bool> {
        match self.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    /// `bytes`.
    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = split_length(self.next_tail()?)?;
        let padded = length.checked_next_multiple_of(WORD)?;
        let (data, padding) = rest.get(..padded)?.split_at_checked(length)?;
        self.close_tail(padded.checked_add(WORD)?)?;
        padding.iter().all(|byte| *byte == 0).then_some(data)
    }

    /// A list whose items take `words` words in the list's head: one for a dynamic item, which `item` then reads as such.
    pub(crate) fn list<T>(&mut self, words: usize, mut item: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let (count, rest) = split_length(self.next_tail()?)?;
        if count > MAX_LIST_ITEMS {
            return None;
        }
        let (items, extent) = Self::read(rest, count.checked_mul(words)?, |frame| {
            (0..count).map(|_| item(frame)).collect()
        })?;
        self.close_tail(extent.checked_add(WORD)?)?;
        Some(items)
    }

    /// A tuple with a dynamic field.
    pub(crate) fn tuple<T>(&mut self, words: usize, fields: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let (value, extent) = Self::read(self.next_tail()?, words, fields)?;
        self.close_tail(extent)?;
        Some(value)
    }

    /// The bytes from the next tail on, if the next head points there.
    fn next_tail(&mut self) -> Option<&'a [u8]> {
        let offset: usize = self.uint()?.try_into().ok()?;
        if offset != self.tail {
            return None;
        }
        self.bytes.get(offset..)
    }

    fn close_tail(&mut self, extent: usize) -> Option<()> {
        self.tail = self.tail.checked_add(extent)?;
        Some(())
    }
}

fn split_length(tail: &[u8]) -> Option<(usize, &[u8])> {
    let (length, rest) = tail.split_first_chunk::<WORD>()?;
    Some((U256::from_be_bytes(*length).try_into().ok()?, rest))
}
