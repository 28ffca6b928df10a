//! The receipt's file: what it holds, and its JSON.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use countersign_audit::Hash;
use countersign_types::{RawSignature, Timestamp, WithdrawalId};
use serde::{Deserialize, Serialize};

use crate::{
    ActivatedBundle, ReceiptError,
    receipt_bundles::{ListStep, pack},
    receipt_error::broken,
};

pub(crate) const FORMAT: &str = "countersign.receipt/1";
/// Larger than a chain of bundles with long lists needs; a bound against hostile files.
pub const MAX_RECEIPT_BYTES: usize = 256 * 1024 * 1024;

/// Bytes in JSON: base64.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Blob(pub(crate) Vec<u8>);

impl TryFrom<String> for Blob {
    type Error = base64::DecodeError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        STANDARD.decode(text).map(Self)
    }
}
impl From<Blob> for String {
    fn from(blob: Blob) -> String {
        STANDARD.encode(blob.0)
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BundleJson {
    /// Without those that the bundle before has as well.
    pub(crate) files: BTreeMap<String, Blob>,
    /// Of lists that the bundle before has: what changed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) lists: BTreeMap<String, ListStep>,
    pub(crate) statements: Vec<StatementJson>,
    pub(crate) activated_at: Timestamp,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StatementJson {
    pub(crate) envelope: Blob,
    pub(crate) first_seen_at: Timestamp,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EntryJson {
    pub(crate) index: u64,
    pub(crate) entry: Blob,
    pub(crate) proof: Vec<Hash>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignedJson {
    pub(crate) signatures: Vec<Blob>,
    pub(crate) transaction: Blob,
    pub(crate) txid: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReceiptJson {
    pub(crate) format: String,
    pub(crate) withdrawal: WithdrawalId,
    pub(crate) genesis: Blob,
    pub(crate) epoch: u64,
    pub(crate) bundles: Vec<BundleJson>,
    pub(crate) request: StatementJson,
    pub(crate) unsigned_transaction: Option<Blob>,
    pub(crate) statements: Vec<StatementJson>,
    pub(crate) entries: Vec<EntryJson>,
    pub(crate) checkpoint: String,
    pub(crate) signed: Option<SignedJson>,
}

/// A statement of a receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptStatement {
    /// The envelope.
    pub envelope: Vec<u8>,
    /// The signer's clock at first sight.
    pub first_seen_at: Timestamp,
}

/// A log entry with its inclusion proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenEntry {
    /// Position in the log.
    pub index: u64,
    /// The entry.
    pub bytes: Vec<u8>,
    /// RFC 6962, leaf to root.
    pub proof: Vec<[u8; 32]>,
}

/// The signed transaction of a receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedFile {
    /// One per signing payload.
    pub signatures: Vec<RawSignature>,
    /// The raw signed transaction.
    pub transaction: Vec<u8>,
    /// The transaction id.
    pub txid: String,
}

/// Everything that a receipt is written from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptFile {
    /// The withdrawal.
    pub withdrawal: WithdrawalId,
    /// The genesis file's bytes.
    pub genesis: Vec<u8>,
    /// The recovery epoch.
    pub epoch: u64,
    /// The chain of bundles from version 1 on.
    pub bundles: Vec<ActivatedBundle>,
    /// The request.
    pub request: ReceiptStatement,
    /// The unsigned bytes of the last signed attempt, or of the last authorized one where none is signed.
    pub unsigned: Option<Vec<u8>>,
    /// The other statements, in the order of first sight.
    pub statements: Vec<ReceiptStatement>,
    /// The log entries about the withdrawal.
    pub entries: Vec<ProvenEntry>,
    /// The checkpoint that the proofs lead to.
    pub checkpoint: Vec<u8>,
    /// The signed transaction, once there is one.
    pub signed: Option<SignedFile>,
}

impl ReceiptFile {
    /// The file's bytes: indented JSON.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ReceiptError> {
        let text = String::from_utf8(self.checkpoint.clone()).map_err(|_| broken("the checkpoint is not text"))?;
        let before = std::iter::once(None).chain(self.bundles.iter().map(Some));
        let json = ReceiptJson {
            format: FORMAT.to_owned(),
            withdrawal: self.withdrawal,
            genesis: Blob(self.genesis.clone()),
            epoch: self.epoch,
            bundles: before.zip(&self.bundles).map(bundle_json).collect(),
            request: statement_json(&self.request),
            unsigned_transaction: self.unsigned.clone().map(Blob),
            statements: self.statements.iter().map(statement_json).collect(),
            entries: self.entries.iter().map(entry_json).collect(),
            checkpoint: text,
            signed: self.signed.as_ref().map(signed_json),
        };
        let mut bytes =
            serde_json::to_vec_pretty(&json).map_err(|error| ReceiptError::Unreadable(error.to_string()))?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}

fn bundle_json((before, bundle): (Option<&ActivatedBundle>, &ActivatedBundle)) -> BundleJson {
    let (files, lists) = pack(&bundle.files, before.map(|before| &before.files));
    BundleJson {
        files,
        lists,
        statements: bundle
            .statements
            .iter()
            .map(|statement| StatementJson {
                envelope: Blob(statement.envelope.clone()),
                first_seen_at: statement.first_seen_at,
            })
            .collect(),
        activated_at: bundle.activated_at,
    }
}

fn statement_json(statement: &ReceiptStatement) -> StatementJson {
    StatementJson {
        envelope: Blob(statement.envelope.clone()),
        first_seen_at: statement.first_seen_at,
    }
}

fn entry_json(entry: &ProvenEntry) -> EntryJson {
    EntryJson {
        index: entry.index,
        entry: Blob(entry.bytes.clone()),
        proof: entry.proof.iter().copied().map(Hash::from_bytes).collect(),
    }
}

fn signed_json(signed: &SignedFile) -> SignedJson {
    SignedJson {
        signatures: signed
            .signatures
            .iter()
            .map(|signature| Blob(signature.as_bytes().to_vec()))
            .collect(),
        transaction: Blob(signed.transaction.clone()),
        txid: signed.txid.clone(),
    }
}
