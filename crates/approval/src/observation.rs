//! Observations: what an observer's own node has of a chain at finality.
//!
//! One observer is a voice; what `k` of them say is a fact (`countersign_decision::observed`).

use std::collections::BTreeSet;

use countersign_types::{ChainId, ConflictKey, Destination, MAX_TABLE_ADDRESSES, TransactionDigest};
use serde::{Deserialize, Serialize};

use crate::statement::Bounded;

/// The most facts of one observation: every lookup table that one message can name, and its lineage.
pub const MAX_FACTS: usize = 64;
/// The longest transaction id: a Solana signature has 88 characters.
const MAX_TXID_BYTES: usize = 128;

/// An observation statement's body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Observation {
    /// The network (CAIP-2).
    pub network: ChainId,
    /// The observer's own count on this network; a later observation never has a lower one.
    pub sequence: u64,
    /// The finalised height at which its node was read: the block height, on Solana too, and not the slot.
    pub height: u64,
    /// 1 to [`MAX_FACTS`], nothing twice.
    pub facts: Vec<ObservedFact>,
}

/// One thing that is so at the observation's height.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ObservedFact {
    /// Solana: an address lookup table holds these addresses, the first ones first.
    LookupTable {
        /// The table.
        account: Destination,
        /// 1 to 256 addresses, each as 64 lower-case hex characters.
        #[serde(with = "hex32_list")]
        addresses: Vec<[u8; 32]>,
    },
    /// Solana: a durable nonce account stores this value.
    NonceAccount {
        /// The nonce account.
        account: Destination,
        /// Who may advance it.
        authority: Destination,
        /// The stored value, as 64 lower-case hex characters.
        #[serde(with = "hex32")]
        value: [u8; 32],
    },
    /// Solana: a message with a plain blockhash has not landed and cannot land any more.
    Expired {
        /// The digest of the unsigned message.
        transaction: TransactionDigest,
        /// The last block height at which its blockhash was valid; the observation's is higher.
        last_valid_height: u64,
    },
    /// A transaction used up a conflict key.
    Spent {
        /// The key, as its text in docs/formats.md.
        conflict_key: ConflictKey,
        /// Which transaction did, as explorers of the network write its id.
        txid: String,
        /// What became of that transaction.
        outcome: ObservedOutcome,
    },
    /// A transaction without conflict keys landed.
    Mined {
        /// The digest of the unsigned bytes.
        transaction: TransactionDigest,
        /// As explorers of the network write its id.
        txid: String,
        /// What became of it.
        outcome: ObservedOutcome,
    },
}

/// What became of a transaction that is final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ObservedOutcome {
    /// It did what it says.
    Succeeded,
    /// It did nothing but pay its fee and use up its conflict keys (reverted, or a failed Solana transaction).
    Failed,
}

impl ObservedFact {
    /// What the fact is about: an observation says one thing about it.
    fn subject(&self) -> (&'static str, String) {
        match self {
            Self::LookupTable { account, .. } => ("lookup-table", account.to_string()),
            Self::NonceAccount { account, .. } => ("nonce-account", account.to_string()),
            Self::Expired { transaction, .. } | Self::Mined { transaction, .. } => {
                ("transaction", transaction.to_string())
            }
            Self::Spent { conflict_key, .. } => ("conflict key", conflict_key.to_string()),
        }
    }

    fn certify(&self, network: &ChainId, height: u64) -> Result<(), String> {
        let on_network = |chain: &ChainId| {
            if chain == network {
                return Ok(());
            }
            let (what, subject) = self.subject();
            Err(format!("{what} `{subject}` names another network than `{network}`"))
        };
        match self {
            Self::LookupTable { account, addresses } => {
                if !(1..=MAX_TABLE_ADDRESSES).contains(&addresses.len()) {
                    return Err(format!(
                        "lookup table `{account}` has {} addresses; 1 to {MAX_TABLE_ADDRESSES} are accepted",
                        addresses.len()
                    ));
                }
                on_network(account.chain())
            }
            Self::NonceAccount { account, authority, .. } => {
                on_network(account.chain())?;
                on_network(authority.chain())
            }
            Self::Expired { last_valid_height, .. } if *last_valid_height < height => Ok(()),
            Self::Expired { last_valid_height, .. } => Err(format!(
                "a transaction that can land until height {last_valid_height} has not expired at {height}"
            )),
            Self::Spent { conflict_key, txid, .. } => {
                certify_txid(txid)?;
                on_network(conflict_key.chain())
            }
            Self::Mined { txid, .. } => certify_txid(txid),
        }
    }
}

fn certify_txid(txid: &str) -> Result<(), String> {
    let is_txid = (1..=MAX_TXID_BYTES).contains(&txid.len()) && txid.bytes().all(|b| b.is_ascii_alphanumeric());
    if is_txid {
        Ok(())
    } else {
        Err(format!("a txid has 1 to {MAX_TXID_BYTES} letters and digits"))
    }
}

impl Bounded for Observation {
    fn certify(&self) -> Result<(), String> {
        let count = self.facts.len();
        if !(1..=MAX_FACTS).contains(&count) {
            return Err(format!("`facts` has {count} items; 1 to {MAX_FACTS} are accepted"));
        }
        let mut seen = BTreeSet::new();
        for fact in &self.facts {
            fact.certify(&self.network, self.height)?;
            let (what, subject) = fact.subject();
            if !seen.insert((what, subject.clone())) {
                return Err(format!("{what} `{subject}` stands twice"));
            }
        }
        Ok(())
    }
}

/// 32 bytes as 64 lower-case hex characters.
mod hex32 {
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&data_encoding::HEXLOWER.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
        parse(&String::deserialize(deserializer)?)
    }

    pub(super) fn parse<E: serde::de::Error>(text: &str) -> Result<[u8; 32], E> {
        let bytes = data_encoding::HEXLOWER.decode(text.as_bytes()).ok();
        let bytes = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        bytes.ok_or_else(|| E::custom("32 bytes are written as 64 lower-case hex characters"))
    }
}

mod hex32_list {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(super) fn serialize<S: Serializer>(list: &[[u8; 32]], serializer: S) -> Result<S::Ok, S::Error> {
        let texts: Vec<String> = list.iter().map(|bytes| data_encoding::HEXLOWER.encode(bytes)).collect();
        texts.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<[u8; 32]>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        texts.iter().map(|text| super::hex32::parse(text)).collect()
    }
}
