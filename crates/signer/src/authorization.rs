//! The authorization: the only thing that a key signs for.

use countersign_approval::Request;
use countersign_bundle::Bundle;
use countersign_decision::{AuthorizationRecord, Decision};
use countersign_types::{
    Destination, ParsedTransaction, PayloadDigest, RequestDigest, SigningPayload, Timestamp, TransactionDigest,
};
use std::{collections::BTreeSet, sync::Arc};

use crate::{Basis, SigningJob, breakers::paid, prepare::Prepared};

/// Permission to sign exactly these payloads once, until `sign_by`.
///
/// It has no public constructor: the pipeline makes it from a decision that the journal has committed. It is consumed by
/// value, is neither `Clone` nor `Copy`, and carries the digests of everything that was authorized.
///
/// What may be done with one compiles:
///
/// ```
/// use countersign_signer::Authorization;
/// fn look(authorization: &Authorization) -> u32 { authorization.record().attempt }
/// ```
///
/// Making one from the parts of another does not:
///
/// ```compile_fail,E0451
/// use countersign_signer::Authorization;
/// fn forge(other: Authorization) -> Authorization { Authorization { ..other } }
/// ```
///
/// Nor does using one twice:
///
/// ```compile_fail,E0599
/// use countersign_signer::Authorization;
/// fn twice(authorization: &Authorization) -> Authorization { authorization.clone() }
/// ```
///
/// And there is no job without one:
///
/// ```compile_fail,E0624
/// use countersign_signer::SigningJob;
/// use countersign_types::{KeyId, SigningBytes};
/// fn sign_this(key: KeyId) -> SigningJob { SigningJob::new(key, SigningBytes::EcdsaPrehash([0; 32])) }
/// ```
#[derive(Debug)]
pub struct Authorization {
    record: AuthorizationRecord,
    withdrawal: RequestDigest,
    transaction: TransactionDigest,
    bundle: Arc<Bundle>,
    basis: Basis,
    request: Request,
    unsigned: Vec<u8>,
    payloads: Vec<SigningPayload>,
    paid: BTreeSet<Destination>,
}

impl Authorization {
    /// From a committed decision. `None` if the decision does not authorize exactly what was prepared.
    pub(crate) fn of_committed(decision: &Decision, basis: Basis, prepared: &Prepared) -> Option<Self> {
        let record = decision.entry.authorization.clone()?;
        let parsed: &ParsedTransaction = prepared.reading.parsed().ok()?;
        let payloads = parsed.signing_payloads().to_vec();
        let digests: Vec<PayloadDigest> = payloads.iter().map(SigningPayload::digest).collect();
        let is_whole = digests == record.payloads
            && decision.entry.withdrawal.request() == prepared.decoded.digest
            && decision.entry.transaction == prepared.decoded.transaction
            && parsed.transaction() == prepared.decoded.transaction;
        is_whole.then(|| Self {
            record,
            withdrawal: prepared.decoded.digest,
            transaction: prepared.decoded.transaction,
            bundle: Arc::clone(&prepared.bundle),
            basis,
            request: prepared.request.clone(),
            unsigned: prepared.decoded.unsigned.clone(),
            payloads,
            paid: paid(parsed),
        })
    }

    /// What the log recorded.
    pub fn record(&self) -> &AuthorizationRecord {
        &self.record
    }
    /// The withdrawal.
    pub fn withdrawal(&self) -> RequestDigest {
        self.withdrawal
    }
    /// The unsigned bytes' digest.
    pub fn transaction(&self) -> TransactionDigest {
        self.transaction
    }
    /// Until when the key may be used.
    pub fn sign_by(&self) -> Timestamp {
        self.record.sign_by
    }

    /// What the decision saw: on any other basis the authorization is void.
    pub(crate) fn basis(&self) -> &Basis {
        &self.basis
    }

    /// The jobs for the backend, and what is left to verify and assemble afterwards.
    pub(crate) fn into_jobs(self) -> (Vec<SigningJob>, Spent) {
        let jobs = self
            .payloads
            .iter()
            .map(|payload| SigningJob::new(payload.key(), payload.bytes().clone()))
            .collect();
        (jobs, Spent(self))
    }
}

/// An authorization whose jobs were handed out: it can only be certified and assembled.
pub(crate) struct Spent(Authorization);

impl Spent {
    pub(crate) fn record(&self) -> &AuthorizationRecord {
        &self.0.record
    }
    pub(crate) fn withdrawal(&self) -> RequestDigest {
        self.0.withdrawal
    }
    pub(crate) fn payloads(&self) -> &[SigningPayload] {
        &self.0.payloads
    }
    pub(crate) fn basis(&self) -> &Basis {
        &self.0.basis
    }
    pub(crate) fn bundle(&self) -> &Bundle {
        &self.0.bundle
    }
    pub(crate) fn request(&self) -> &Request {
        &self.0.request
    }
    pub(crate) fn unsigned(&self) -> &[u8] {
        &self.0.unsigned
    }
    /// Whom the bytes pay: nobody, where they take the place of a payment.
    pub(crate) fn paid(&self) -> &BTreeSet<Destination> {
        &self.0.paid
    }
}
