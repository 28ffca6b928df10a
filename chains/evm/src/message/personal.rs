//! EIP-191 version `E`: `0x19 ‖ "Ethereum Signed Message:\n" ‖ length ‖ data`, the length in decimal.
//!
//! The unsigned bytes are the whole preimage, so that what is hashed is what was submitted. Other versions of EIP-191 are
//! refused: the preimage of typed data (`0x19 0x01`) is two hashes that say nothing.

use alloy_primitives::{B256, keccak256};
use countersign_types::Effect;

use crate::{MAX_TRANSACTION_BYTES, ParseError};

const PREFIX: &[u8] = b"\x19Ethereum Signed Message:\n";

/// A message and the bytes that are hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PersonalMessage<'a> {
    preimage: &'a [u8],
    data: &'a [u8],
}

impl<'a> PersonalMessage<'a> {
    /// Where the length ends is not marked. One reading at most is true to its own length: a digit more makes the length
    /// tenfold and the data shorter.
    pub(crate) fn decode(preimage: &'a [u8]) -> Result<Self, ParseError> {
        if preimage.len() > MAX_TRANSACTION_BYTES {
            return Err(ParseError::TooLarge { found: preimage.len() });
        }
        let rest = preimage.strip_prefix(PREFIX).ok_or(ParseError::NotAPersonalMessage)?;
        let digits = MAX_TRANSACTION_BYTES.to_string().len();
        let data = (1..=digits.min(rest.len()))
            .filter_map(|digits| rest.split_at_checked(digits))
            .find(|(length, data)| *length == data.len().to_string().as_bytes())
            .map(|(_, data)| data);
        let data = data.ok_or(ParseError::PersonalMessageLength)?;
        Ok(Self { preimage, data })
    }

    pub(crate) fn signing_hash(&self) -> B256 {
        keccak256(self.preimage)
    }

    pub(crate) fn effect(&self) -> Effect {
        Effect::PersonalMessage {
            bytes: self.data.to_vec(),
        }
    }
}
