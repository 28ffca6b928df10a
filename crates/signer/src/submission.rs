//! What a caller hands in, and what it gets back.

use countersign_approval::{Envelope, Kind, StatementError};
use countersign_decision::Reason;
use countersign_types::{BundleDigest, GroupId, RequestDigest, SignedTransaction, Timestamp, TransactionDigest};

use crate::SignerError;

/// The most statements of one call, journaled or not. Of these, at most `countersign_decision::MAX_STATEMENTS` count.
pub(crate) const MAX_SUBMITTED_STATEMENTS: usize = 256;

/// Everything there is about one withdrawal, as bytes. All of it is assumed hostile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// The request statement's envelope.
    pub request: Vec<u8>,
    /// The unsigned transaction.
    pub unsigned: Vec<u8>,
    /// Envelopes of approvals, rejections and cancels.
    pub statements: Vec<Vec<u8>>,
}

/// A submission whose envelopes have the right shape. Nothing is verified yet.
pub(crate) struct Decoded {
    pub(crate) request: Envelope,
    pub(crate) digest: RequestDigest,
    pub(crate) unsigned: Vec<u8>,
    pub(crate) transaction: TransactionDigest,
    pub(crate) statements: Vec<Result<Envelope, StatementError>>,
}

impl Submission {
    pub(crate) fn decode(self) -> Result<Decoded, SignerError> {
        if self.statements.len() > MAX_SUBMITTED_STATEMENTS {
            return Err(SignerError::TooManyStatements(self.statements.len()));
        }
        let request = Envelope::parse(&self.request)?;
        let digest = request.request_digest().ok_or_else(|| StatementError::Payload {
            kind: request.kind(),
            reason: format!("a `{}` stands where a request is needed", Kind::Request),
        })?;
        let transaction = TransactionDigest::of(&self.unsigned);
        // One broken approval among many must not stop the rest: it is reported and does not count.
        let statements = self.statements.iter().map(|bytes| Envelope::parse(bytes)).collect();
        Ok(Decoded {
            request,
            digest,
            unsigned: self.unsigned,
            transaction,
            statements,
        })
    }
}

/// What the signing core answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Signed, recorded and released.
    Signed {
        /// The raw signed transaction and its id.
        transaction: SignedTransaction,
        /// The attempt, from 1.
        attempt: u32,
        /// The decision entry; empty where an earlier decision allowed it.
        decision: Vec<u8>,
    },
    /// Would be signed ([`crate::Signer::evaluate`] only).
    Allowed {
        /// The decision entry as it would be logged.
        decision: Vec<u8>,
    },
    /// Something is missing.
    Pending {
        /// Group, required seats, filled seats, for groups with open seats.
        missing: Vec<(GroupId, u32, u32)>,
        /// When a time-lock runs out.
        not_before: Option<Timestamp>,
        /// What is missing, and which statements did not count and why.
        reasons: Vec<Reason>,
        /// The decision entry.
        decision: Vec<u8>,
    },
    /// No.
    Denied {
        /// Why.
        reasons: Vec<Reason>,
        /// Whether nothing that arrives later can change it.
        is_final: bool,
        /// The decision entry; empty where nothing was logged.
        decision: Vec<u8>,
    },
    /// The bytes were not understood.
    Malformed {
        /// Why.
        reasons: Vec<Reason>,
        /// The decision entry.
        decision: Vec<u8>,
    },
}

/// A bundle came into force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activated {
    /// Its version.
    pub version: u64,
    /// Its digest.
    pub digest: BundleDigest,
    /// The signer's acknowledgement of the first of its statements.
    pub acknowledgement: Vec<u8>,
}
