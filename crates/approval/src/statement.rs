//! The payload of a statement: short JSON that a person can read.

use countersign_types::{GenesisHash, StatementNonce, Timestamp, UtcSeconds, Validity};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    Activation, Approval, Attestation, BookEntry, Cancel, Freeze, Kind, Observation, Quote, Rejection, Replace,
    Request, Screening, StatementError, Thaw, Veto, error::shown,
};

/// The recovery epoch that a journal starts in; each recovery by the quorum adds one and voids older statements.
pub const FIRST_EPOCH: u64 = 1;

/// What every statement carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The deployment that it is for.
    pub deployment: GenesisHash,
    /// The journal's recovery epoch that it is for.
    pub epoch: u64,
    /// Unique to its signer.
    pub nonce: StatementNonce,
    /// From when until when it counts.
    pub validity: Validity,
}

impl Header {
    /// Checks the header against the deployment, its epoch and a moment.
    pub fn certify(&self, deployment: GenesisHash, epoch: u64, now: Timestamp) -> Result<(), StatementError> {
        if self.deployment != deployment {
            return Err(StatementError::WrongDeployment {
                found: self.deployment,
                expected: deployment,
            });
        }
        if self.epoch != epoch {
            return Err(StatementError::WrongEpoch {
                found: self.epoch,
                expected: epoch,
            });
        }
        if self.validity.is_future(now) {
            return Err(StatementError::NotYetValid {
                issued_at: self.validity.issued_at(),
                now,
            });
        }
        if self.validity.is_expired(now) {
            return Err(StatementError::Expired {
                expires_at: self.validity.expires_at(),
                now,
            });
        }
        Ok(())
    }
}

/// A statement: who may make it and whether it was signed is not known here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// What every statement carries.
    pub header: Header,
    /// What it states.
    pub body: Body,
}

/// What a statement states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// See [`Kind::Request`].
    Request(Box<Request>),
    /// See [`Kind::Approval`].
    Approval(Approval),
    /// See [`Kind::Rejection`].
    Rejection(Rejection),
    /// See [`Kind::Cancel`].
    Cancel(Cancel),
    /// See [`Kind::Activation`].
    Activation(Activation),
    /// See [`Kind::Observation`].
    Observation(Observation),
    /// See [`Kind::Freeze`].
    Freeze(Freeze),
    /// See [`Kind::Thaw`].
    Thaw(Thaw),
    /// See [`Kind::Replace`].
    Replace(Replace),
    /// See [`Kind::Price`].
    Price(Quote),
    /// See [`Kind::Screening`].
    Screening(Screening),
    /// See [`Kind::AddressBook`].
    AddressBook(BookEntry),
    /// See [`Kind::Veto`].
    Veto(Veto),
}

impl Body {
    /// The kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Request(_) => Kind::Request,
            Self::Approval(_) => Kind::Approval,
            Self::Rejection(_) => Kind::Rejection,
            Self::Cancel(_) => Kind::Cancel,
            Self::Activation(_) => Kind::Activation,
            Self::Observation(_) => Kind::Observation,
            Self::Freeze(_) => Kind::Freeze,
            Self::Thaw(_) => Kind::Thaw,
            Self::Replace(_) => Kind::Replace,
            Self::Price(_) => Kind::Price,
            Self::Screening(_) => Kind::Screening,
            Self::AddressBook(_) => Kind::AddressBook,
            Self::Veto(_) => Kind::Veto,
        }
    }

    /// What a service attests; `None` where it is anything else.
    pub fn attestation(&self) -> Option<Attestation<'_>> {
        match self {
            Self::Price(quote) => Some(Attestation::Price(quote)),
            Self::Screening(screening) => Some(Attestation::Screening(screening)),
            Self::AddressBook(entry) => Some(Attestation::AddressBook(entry)),
            Self::Request(_)
            | Self::Approval(_)
            | Self::Rejection(_)
            | Self::Cancel(_)
            | Self::Activation(_)
            | Self::Observation(_)
            | Self::Freeze(_)
            | Self::Thaw(_)
            | Self::Veto(_)
            | Self::Replace(_) => None,
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload<B> {
    kind: Kind,
    deployment: GenesisHash,
    epoch: u64,
    nonce: StatementNonce,
    issued_at: UtcSeconds,
    expires_at: UtcSeconds,
    body: B,
}

/// Text that people read in a statement: one line of printable ASCII, so that no terminal obeys it.
pub(crate) fn is_line(text: &str, max_bytes: usize) -> bool {
    text.len() <= max_bytes && text.bytes().all(|b| (b' '..=b'~').contains(&b))
}

/// A rule of a body that its types alone do not hold.
pub(crate) trait Bounded {
    fn certify(&self) -> Result<(), String>;
}

impl Statement {
    /// Reads a payload of a kind: byte for byte what [`Self::to_payload`] writes, every list bounded.
    ///
    /// One statement has one payload, so escapes, arrays in place of objects, absent optional fields and white space
    /// cannot hide from a person what a program reads, and a request has one digest.
    pub fn parse(kind: Kind, payload: &[u8]) -> Result<Self, StatementError> {
        let is_printable = payload.iter().all(|b| *b == b'\n' || (b' '..=b'~').contains(b));
        if !is_printable {
            return Err(StatementError::Payload {
                kind,
                reason: "only printable ASCII is accepted".to_owned(),
            });
        }
        let statement = match kind {
            Kind::Request => read(kind, payload, |body| Body::Request(Box::new(body))),
            Kind::Approval => read(kind, payload, Body::Approval),
            Kind::Rejection => read(kind, payload, Body::Rejection),
            Kind::Cancel => read(kind, payload, Body::Cancel),
            Kind::Activation => read(kind, payload, Body::Activation),
            Kind::Observation => read(kind, payload, Body::Observation),
            Kind::Freeze => read(kind, payload, Body::Freeze),
            Kind::Thaw => read(kind, payload, Body::Thaw),
            Kind::Replace => read(kind, payload, Body::Replace),
            Kind::Price => read(kind, payload, Body::Price),
            Kind::Screening => read(kind, payload, Body::Screening),
            Kind::AddressBook => read(kind, payload, Body::AddressBook),
            Kind::Veto => read(kind, payload, Body::Veto),
        }?;
        if statement.to_payload() != payload {
            return Err(StatementError::Payload {
                kind,
                reason: "it is not written in its one form (docs/formats.md)".to_owned(),
            });
        }
        Ok(statement)
    }

    /// The payload that is signed: indented JSON with a fixed field order.
    pub fn to_payload(&self) -> Vec<u8> {
        match &self.body {
            Body::Request(body) => self.write(body.as_ref()),
            Body::Approval(body) => self.write(body),
            Body::Rejection(body) => self.write(body),
            Body::Cancel(body) => self.write(body),
            Body::Activation(body) => self.write(body),
            Body::Observation(body) => self.write(body),
            Body::Freeze(body) => self.write(body),
            Body::Thaw(body) => self.write(body),
            Body::Replace(body) => self.write(body),
            Body::Price(body) => self.write(body),
            Body::Screening(body) => self.write(body),
            Body::AddressBook(body) => self.write(body),
            Body::Veto(body) => self.write(body),
        }
    }

    fn write<B: Serialize>(&self, body: &B) -> Vec<u8> {
        let payload = Payload {
            kind: self.body.kind(),
            deployment: self.header.deployment,
            epoch: self.header.epoch,
            nonce: self.header.nonce,
            issued_at: self.header.validity.issued_at(),
            expires_at: self.header.validity.expires_at(),
            body,
        };
        // Every field has a JSON text by its type; an empty payload would be refused by `parse`.
        let mut bytes = serde_json::to_vec_pretty(&payload).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }
}

fn read<B: DeserializeOwned + Bounded>(
    kind: Kind,
    payload: &[u8],
    body: fn(B) -> Body,
) -> Result<Statement, StatementError> {
    let malformed = |reason: String| StatementError::Payload { kind, reason };
    let read: Payload<B> = serde_json::from_slice(payload).map_err(|error| malformed(shown(error)))?;
    if read.kind != kind {
        return Err(malformed(format!("`kind` is `{}`", read.kind)));
    }
    let validity = Validity::new(read.issued_at, read.expires_at).map_err(|error| malformed(error.to_string()))?;
    let longest = kind.max_validity();
    if validity.issued_at().to_timestamp().after(longest) < validity.expires_at().to_timestamp() {
        return Err(malformed(format!("a statement is valid for at most {longest}")));
    }
    read.body.certify().map_err(malformed)?;
    let header = Header {
        deployment: read.deployment,
        epoch: read.epoch,
        nonce: read.nonce,
        validity,
    };
    Ok(Statement {
        header,
        body: body(read.body),
    })
}
