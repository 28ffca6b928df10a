//! Destinations: an address together with the network it is on (CAIP-10).

use std::{
    fmt,
    hash::{DefaultHasher, Hasher as _},
    str::FromStr,
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use crate::{CaipError, ChainId, caip::string_conversions};

/// Why a text is not a destination.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DestinationError {
    /// Not `chain:address` as CAIP-10 has it.
    #[error("a destination is written `chain:address` (CAIP-10), for example `eip155:1:0x…`")]
    BadShape,
    /// The chain part is not a CAIP-2 id.
    #[error(transparent)]
    Chain(#[from] CaipError),
}

/// An account on one network, as CAIP-10 text. A destination of one network never equals one of another.
///
/// The address part has passed CAIP-10's character set only; that it is canonical for its family (EIP-55, bech32) is
/// the family's promise: everything that comes from a parse or from an activated bundle went through
/// `countersign_chains::Network::parse_destination`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Destination {
    chain: ChainId,
    /// The whole of it. The chain comes first, so that destinations are in order of chain, then of address.
    text: Arc<str>,
    /// Of the text, made where the text is: one destination is looked for in many lists, under many policies.
    text_hash: u64,
}

impl Destination {
    /// An address that its chain family has just written in canonical form.
    pub fn new(chain: &ChainId, address: &str) -> Result<Self, DestinationError> {
        let is_address = (1..=128).contains(&address.len())
            && address
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'%'));
        if !is_address {
            return Err(DestinationError::BadShape);
        }
        let text = [chain.as_str(), ":", address].concat();
        Ok(Self {
            chain: chain.clone(),
            text_hash: Self::hash_text(&text),
            text: text.into(),
        })
    }

    /// The network.
    pub fn chain(&self) -> &ChainId {
        &self.chain
    }

    /// The address within the network.
    pub fn address(&self) -> &str {
        let start = self.chain.as_str().len().saturating_add(1);
        self.text.get(start..).unwrap_or_default()
    }

    /// The whole of it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// [`Self::hash_text`] of the whole of it.
    pub fn text_hash(&self) -> u64 {
        self.text_hash
    }

    /// The hash of a destination's text, for tables in memory: SipHash without a key of its own. Never stored, because another
    /// build may have another one.
    pub fn hash_text(text: &str) -> u64 {
        let mut hasher = DefaultHasher::new();
        hasher.write(text.as_bytes());
        hasher.finish()
    }
}

impl FromStr for Destination {
    type Err = DestinationError;
    fn from_str(text: &str) -> Result<Self, DestinationError> {
        let (chain, address) = text.rsplit_once(':').ok_or(DestinationError::BadShape)?;
        Self::new(&chain.parse()?, address)
    }
}
impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
string_conversions!(Destination: DestinationError);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_is_part_of_the_destination() {
        let address = "0x52908400098527886E0F7030069857D2E4169EE7";
        let mainnet: Destination = format!("eip155:1:{address}").parse().unwrap();
        let base: Destination = format!("eip155:8453:{address}").parse().unwrap();
        assert_ne!(mainnet, base);
        assert_eq!(mainnet.to_string(), format!("eip155:1:{address}"));
        for destination in [&mainnet, &base] {
            assert_eq!(destination.text_hash(), Destination::hash_text(destination.as_str()));
        }
        for bad in ["", "0xabc", "eip155:1", "eip155:1:", "eip155:1:a b", "eip155:1:a/b"] {
            assert!(bad.parse::<Destination>().is_err(), "{bad:?}");
        }
    }
}
