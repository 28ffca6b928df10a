//! CAIP-2 chain ids and CAIP-19 asset ids.

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
    sync::Arc,
};

use serde::{Deserialize, Serialize};

/// Why a text is not a CAIP identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CaipError {
    /// Not `namespace:reference` as CAIP-2 has it.
    #[error("a chain id is written `namespace:reference` (CAIP-2), for example `eip155:1`")]
    BadChainId,
    /// Not `chain/namespace:reference` as CAIP-19 has it.
    #[error("an asset id is written `chain/namespace:reference` (CAIP-19), for example `eip155:1/slip44:60`")]
    BadAssetId,
}

fn is_namespace(text: &str) -> bool {
    (3..=8).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// A network, as `namespace:reference` (CAIP-2). Shared text: every effect and destination holds one, so a copy costs a count.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ChainId {
    text: Arc<str>,
    colon: usize,
}

impl ChainId {
    /// Builds the id from its two parts.
    pub fn new(namespace: &str, reference: &str) -> Result<Self, CaipError> {
        format!("{namespace}:{reference}").parse()
    }

    /// The namespace (`eip155`, `bip122`, `solana`): it decides the chain family.
    pub fn namespace(&self) -> &str {
        self.text.split_at(self.colon).0
    }

    /// The reference within the namespace (for `eip155`, the decimal chain id).
    pub fn reference(&self) -> &str {
        self.text.split_at(self.colon).1.trim_start_matches(':')
    }

    /// The whole id.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for ChainId {
    type Err = CaipError;
    fn from_str(text: &str) -> Result<Self, CaipError> {
        let (namespace, reference) = text.split_once(':').ok_or(CaipError::BadChainId)?;
        let is_reference = (1..=32).contains(&reference.len())
            && reference
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        if !is_namespace(namespace) || !is_reference {
            return Err(CaipError::BadChainId);
        }
        Ok(Self {
            text: text.into(),
            colon: namespace.len(),
        })
    }
}

/// An asset, as `chain/namespace:reference` (CAIP-19): `eip155:1/slip44:60`, `eip155:1/erc20:0x…`. A copy costs a count.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AssetId(Arc<Asset>);

/// Ordered by chain, then namespace, then reference; equal where the texts are.
#[derive(Debug)]
struct Asset {
    chain: ChainId,
    text: String,
    /// Where the reference begins.
    reference: usize,
}

impl Asset {
    fn namespace(&self) -> &str {
        let start = self.chain.as_str().len().saturating_add(1);
        self.text
            .get(start..self.reference.saturating_sub(1))
            .unwrap_or_default()
    }

    fn reference(&self) -> &str {
        self.text.get(self.reference..).unwrap_or_default()
    }
}
impl PartialEq for Asset {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}
impl Eq for Asset {}
impl Hash for Asset {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}
impl Ord for Asset {
    fn cmp(&self, other: &Self) -> Ordering {
        self.chain
            .cmp(&other.chain)
            .then_with(|| self.namespace().cmp(other.namespace()))
            .then_with(|| self.reference().cmp(other.reference()))
    }
}
impl PartialOrd for Asset {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl AssetId {
    /// Builds the id from its parts.
    pub fn new(chain: &ChainId, namespace: &str, reference: &str) -> Result<Self, CaipError> {
        let is_reference = (1..=128).contains(&reference.len())
            && reference
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'%'));
        if !is_namespace(namespace) || !is_reference {
            return Err(CaipError::BadAssetId);
        }
        let before = [chain.as_str(), "/", namespace, ":"].concat();
        Ok(Self(Arc::new(Asset {
            chain: chain.clone(),
            reference: before.len(),
            text: before + reference,
        })))
    }

    /// Whether both are one id in one place. Then they are equal; if not, they may be equal all the same.
    pub fn is_shared_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The network that the asset lives on.
    pub fn chain(&self) -> &ChainId {
        &self.0.chain
    }

    /// The asset namespace (`slip44`, `erc20`).
    pub fn namespace(&self) -> &str {
        self.0.namespace()
    }

    /// The reference within the asset namespace.
    pub fn reference(&self) -> &str {
        self.0.reference()
    }
}

impl FromStr for AssetId {
    type Err = CaipError;
    fn from_str(text: &str) -> Result<Self, CaipError> {
        let (chain, asset) = text.split_once('/').ok_or(CaipError::BadAssetId)?;
        let (namespace, reference) = asset.split_once(':').ok_or(CaipError::BadAssetId)?;
        Self::new(&chain.parse()?, namespace, reference)
    }
}
impl fmt::Display for AssetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}
impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

macro_rules! string_conversions {
    ($($name:ident: $error:ty),+ $(,)?) => {$(
        impl TryFrom<String> for $name {
            type Error = $error;
            fn try_from(text: String) -> Result<Self, $error> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.to_string()
            }
        }
    )+};
}
pub(crate) use string_conversions;

string_conversions!(ChainId: CaipError, AssetId: CaipError);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn caip_examples() {
        let chain: ChainId = "eip155:1".parse().unwrap();
        assert_eq!((chain.namespace(), chain.reference()), ("eip155", "1"));
        let asset: AssetId = "bip122:000000000019d6689c085ae165831e93/slip44:0".parse().unwrap();
        assert_eq!((asset.namespace(), asset.reference()), ("slip44", "0"));
        for bad in [
            "",
            "eip155",
            "eip155:",
            ":1",
            "EIP155:1",
            "ei:1",
            "eip155:1:2",
            "eip155: 1",
        ] {
            assert_eq!(bad.parse::<ChainId>(), Err(CaipError::BadChainId), "{bad:?}");
        }
        for bad in [
            "eip155:1",
            "eip155:1/slip44",
            "eip155:1/slip44:",
            "eip155:1/slip44:60/1",
        ] {
            assert_eq!(bad.parse::<AssetId>(), Err(CaipError::BadAssetId), "{bad:?}");
        }
    }

    #[test]
    fn equal_ids_need_not_be_shared() {
        let asset: AssetId = "eip155:1/slip44:60".parse().unwrap();
        let other: AssetId = "eip155:1/slip44:60".parse().unwrap();
        assert!(asset.clone().is_shared_with(&asset));
        assert!(asset == other && !asset.is_shared_with(&other));
    }

    proptest! {
        #[test]
        fn text_round_trips(text in "[-a-z0-9]{3,8}:[-_a-zA-Z0-9]{1,32}/[-a-z0-9]{3,8}:[-.%a-zA-Z0-9]{1,128}") {
            prop_assert_eq!(text.parse::<AssetId>().unwrap().to_string(), text);
        }
        #[test]
        fn parsing_never_panics(text in "\\PC{0,80}") {
            drop(text.parse::<AssetId>());
            drop(text.parse::<ChainId>());
        }
    }
}
