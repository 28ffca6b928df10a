//! Requests are stored before they are sent (docs/adr/0001): a retry sends the same payload, and so gets the same withdrawal.

use std::path::PathBuf;

use countersign_approval::{Body, Envelope, Request, Statement};
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

/// What a reference may hold and a file name may not is escaped.
pub(super) fn escaped(reference: &Reference) -> String {
    reference.as_str().replace('/', "%2F").replace(':', "%3A")
}

/// `requests/<reference>.json`.
fn path(layout: &Layout, reference: &Reference) -> PathBuf {
    layout.requests().join(format!("{}.json", escaped(reference)))
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
        let Some(stored) = Self::load(layout, &asked.reference)? else {
            return Ok(None);
        };
        if stored.asked != *asked {
            let why = format!(
                "reference `{}` already names another request, {}",
                asked.reference, stored.id
            );
            return Err(Failure::usage(why).tagged(Tag::ReferenceConflict).advise(format!(
                "use a new reference, or repeat the flags that `{}` was made from",
                path(layout, &asked.reference).display()
            )));
        }
        Ok(Some(stored))
    }

    /// The stored request of a withdrawal, if it was made here.
    pub(super) fn of(layout: &Layout, reference: &Reference, id: WithdrawalId) -> Result<Option<Self>> {
        Ok(Self::load(layout, reference)?.filter(|stored| stored.id == id))
    }

    fn load(layout: &Layout, reference: &Reference) -> Result<Option<Self>> {
        let path = path(layout, reference);
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
        Ok(Some(stored))
    }

    /// What was asked for.
    pub(super) fn request(&self) -> Result<Request> {
        let statement = Statement::parse(self.envelope.kind(), self.envelope.payload());
        let statement = statement.map_err(|error| Failure::failed(format!("the stored request: {error}")))?;
        let Body::Request(request) = statement.body else {
            return Err(Failure::failed("the stored request is none"));
        };
        Ok(*request)
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

#[cfg(test)]
mod tests {
    use clap::Parser;
    use countersign_approval::{Cancel, seal};
    use countersign_types::{Duration, GenesisHash, RequestDigest};

    use super::*;
    use crate::{clock, failure::Exit, init::fixture::Fixture};

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        ask: Ask,
    }

    fn ask(reference: &str, amount: &str) -> Ask {
        let line = [
            "ask",
            "--wallet",
            "eth-hot",
            "--network",
            "eip155:31337",
            "--to",
            "0x0",
            "--reference",
        ];
        Line::try_parse_from(line.into_iter().chain([reference, "--amount", amount]))
            .unwrap()
            .ask
    }

    /// A stored request; the storage does not care what is asked for.
    fn stored(fixture: &Fixture, asked: Ask) -> Stored {
        let payload = format!("{{\"reference\":\"{}\"}}\n", asked.reference);
        let message = countersign_approval::Kind::Request;
        let envelope = Envelope::new(message, payload.into_bytes(), "key".to_owned(), vec![1; 64]).unwrap();
        let stored = Stored::new(asked, envelope, vec![2, 3]).unwrap();
        stored.write(&fixture.layout).unwrap();
        stored
    }

    #[test]
    fn the_same_ask_gets_the_same_request_and_another_one_a_conflict() {
        let fixture = Fixture::new();
        assert_eq!(Stored::read(&fixture.layout, &ask("a/b:c", "1 ETH")).unwrap(), None);
        let first = stored(&fixture, ask("a/b:c", "1 ETH"));
        assert_eq!(
            Stored::read(&fixture.layout, &ask("a/b:c", "1 ETH")).unwrap(),
            Some(first)
        );
        let failure = Stored::read(&fixture.layout, &ask("a/b:c", "2 ETH")).unwrap_err();
        assert_eq!(
            (failure.exit(), failure.tag()),
            (Exit::Usage, Some(Tag::ReferenceConflict))
        );
        assert!(fixture.layout.requests().join("a%2Fb%3Ac.json").is_file());
    }

    #[test]
    fn one_changed_field_of_the_file_is_noticed() {
        let fixture = Fixture::new();
        let good = stored(&fixture, ask("r", "1 ETH"));
        let path = path(&fixture.layout, &good.asked.reference);
        let text = files::read_text(&path).unwrap();
        let other = WithdrawalId::of(RequestDigest::of(b"other")).to_string();
        for (from, to) in [
            ("stored-request/1", "stored-request/2"),
            (good.id.to_string().as_str(), other.as_str()),
            ("0x0203", "0203"),
            ("\"keyid\"", "\"kid\""),
            ("\"asked\"", "\"ask\""),
        ] {
            files::write(&path, text.replace(from, to).as_bytes()).unwrap();
            let failure = Stored::read(&fixture.layout, &good.asked).unwrap_err();
            assert!(failure.message().contains("cannot understand"), "{from}: {failure}");
        }
    }

    #[test]
    fn only_requests_are_stored() {
        let fixture = Fixture::new();
        let cancel = Statement {
            header: clock::header(GenesisHash::of(b"x"), Duration::from_secs(60)).unwrap(),
            body: Body::Cancel(Cancel {
                withdrawal: WithdrawalId::of(RequestDigest::of(b"x")),
                fee_ceiling: None,
                reason: String::new(),
            }),
        };
        let envelope = seal(&cancel, &fixture.service()).unwrap();
        Stored::new(ask("r", "1 ETH"), envelope, vec![]).unwrap_err();
    }
}
