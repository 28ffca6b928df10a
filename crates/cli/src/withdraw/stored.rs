//! Requests are stored before they are sent (docs/adr/0001): a retry sends the same payload, and so gets the same withdrawal.

use std::path::PathBuf;

use countersign_approval::Envelope;
use countersign_types::{Reference, Tag, WithdrawalId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ask::Ask;
use crate::{
    environment::Layout,
    failure::{Failure, Result},
    files,
};

const FORMAT: &str = "countersign.stored-request/1";

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    format: String,
    withdrawal: WithdrawalId,
    /// The flags that it was made from.
    asked: Ask,
    /// The DSSE envelope.
    envelope: Value,
    /// `0x…`
    unsigned_transaction: String,
}

/// A request that is ready to be sent, again and again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) id: WithdrawalId,
    pub(super) asked: Ask,
    pub(super) envelope: Envelope,
    pub(super) unsigned: Vec<u8>,
}

/// `requests/<reference>.json`; what a reference may hold and a file name may not is escaped.
pub(super) fn path(layout: &Layout, reference: &Reference) -> PathBuf {
    let escaped = reference.as_str().replace('/', "%2F").replace(':', "%3A");
    layout.requests().join(format!("{escaped}.json"))
}

impl Stored {
    pub(super) fn new(asked: Ask, envelope: Envelope, unsigned: Vec<u8>) -> Result<Self> {
        let digest = envelope
            .request_digest()
            .ok_or_else(|| Failure::failed("not a request"))?;
        Ok(Self {
            id: WithdrawalId::of(digest),
            asked,
            envelope,
            unsigned,
        })
    }

    /// The stored request of a reference, if there is one. Another ask under the same reference is refused.
    pub(super) fn read(layout: &Layout, asked: &Ask) -> Result<Option<Self>> {
        let path = path(layout, &asked.reference);
        if !path.is_file() {
            return Ok(None);
        }
        let record: Record = files::read_json(&path)?;
        let broken = |why: &str| Failure::file(&path, "understand", why);
        if record.format != FORMAT {
            return Err(broken("it has another format"));
        }
        let envelope = serde_json::to_vec(&record.envelope).map_err(Failure::failed)?;
        let envelope = Envelope::parse(&envelope).map_err(|error| broken(&error.to_string()))?;
        let unsigned = record
            .unsigned_transaction
            .strip_prefix("0x")
            .and_then(|text| hex::decode(text).ok());
        let unsigned = unsigned.ok_or_else(|| broken("`unsigned_transaction` is not `0x…`"))?;
        let stored = Self::new(record.asked, envelope, unsigned)?;
        if stored.id != record.withdrawal {
            return Err(broken("its id is not that of its envelope"));
        }
        if stored.asked != *asked {
            let why = format!(
                "reference `{}` already names another request, {}",
                asked.reference, stored.id
            );
            return Err(Failure::usage(why).tagged(Tag::ReferenceConflict).advise(format!(
                "use a new reference, or repeat the flags that `{}` was made from",
                path.display()
            )));
        }
        Ok(Some(stored))
    }

    /// Makes it durable.
    pub(super) fn write(&self, layout: &Layout) -> Result<()> {
        let envelope = serde_json::from_slice(&self.envelope.to_bytes()).map_err(Failure::failed)?;
        let record = Record {
            format: FORMAT.to_owned(),
            withdrawal: self.id,
            asked: self.asked.clone(),
            envelope,
            unsigned_transaction: format!("0x{}", hex::encode(&self.unsigned)),
        };
        files::create_folder(&layout.requests())?;
        files::write_json(&path(layout, &self.asked.reference), &record)
    }
}
