//! The slow, pure part of the pipeline, before the journal's lock: verify statements, parse bytes (docs/adr/0003).

use std::collections::BTreeSet;
use std::sync::Arc;

use countersign_approval::{Body, Envelope, Kind, Request, StatementError, Verified, verify};
use countersign_bundle::Bundle;
use countersign_chains::ParseError;
use countersign_decision::{Reason, Seen};
use countersign_types::{ChainFacts, ParsedTransaction, StatementDigest, Tag, WithdrawalId};

use crate::{JournalError, JournaledStatement, Reads, SignerError, submission::Decoded};

/// Everything that was verified and parsed under one bundle. The decision uses it only while that bundle is in force and
/// the journal holds exactly these statements.
pub(crate) struct Prepared {
    pub(crate) bundle: Arc<Bundle>,
    pub(crate) verified: Verified,
    pub(crate) request: Request,
    pub(crate) decoded: Arc<Decoded>,
    pub(crate) parsed: Result<ParsedTransaction, ParseError>,
    /// Journaled earlier, in the order of first sight.
    pub(crate) journaled: Vec<Seen>,
    /// Verified and about this withdrawal, not journaled yet.
    pub(crate) fresh: Vec<Verified>,
    /// Why other statements were ignored.
    pub(crate) ignored: Vec<Reason>,
}

impl Prepared {
    pub(crate) fn new(
        bundle: Arc<Bundle>,
        decoded: Arc<Decoded>,
        journaled: Vec<JournaledStatement>,
    ) -> Result<Self, SignerError> {
        let verified = verify(&decoded.request, bundle.roster())?;
        let request = match &verified.statement().body {
            Body::Request(request) => request.as_ref().clone(),
            Body::Approval(_) | Body::Rejection(_) | Body::Cancel(_) | Body::Activation(_) | Body::Observation(_) => {
                let reason = "it is not a request".to_owned();
                return Err(StatementError::Payload {
                    kind: Kind::Request,
                    reason,
                }
                .into());
            }
        };
        let parsed = bundle
            .registry()
            .parse(&request.network, &request.wallet, &decoded.unsigned, ChainFacts::none());
        let journaled: Result<Vec<Seen>, SignerError> = journaled
            .into_iter()
            .map(|statement| seen(statement, &bundle))
            .collect();
        let mut prepared = Self {
            bundle,
            verified,
            request,
            decoded,
            parsed,
            journaled: journaled?,
            fresh: Vec::new(),
            ignored: Vec::new(),
        };
        prepared.sort_statements();
        Ok(prepared)
    }

    /// Splits what was handed in: known already, fresh, or to be ignored.
    fn sort_statements(&mut self) {
        let withdrawal = WithdrawalId::of(self.decoded.digest);
        let mut known: BTreeSet<StatementDigest> = self.journaled.iter().map(|seen| seen.digest).collect();
        for envelope in &self.decoded.statements {
            match certify(envelope.as_ref(), &self.bundle, withdrawal) {
                Ok(verified) if known.insert(verified.digest()) => self.fresh.push(verified),
                Ok(_) => {}
                Err(reason) => self.ignored.push(reason),
            }
        }
    }

    /// What the decision needs to see of the ledger.
    pub(crate) fn reads(&self) -> Reads {
        let tenant = &self.request.tenant;
        let statements = std::iter::once(&self.verified).chain(&self.fresh);
        Reads {
            request: Some(self.decoded.digest),
            reference: Some((tenant.clone(), self.request.reference.clone())),
            payments: self
                .request
                .payments
                .iter()
                .map(|payment| (tenant.clone(), payment.reference.clone()))
                .collect(),
            conflict_keys: self
                .parsed
                .as_ref()
                .map(|parsed| parsed.conflict_keys().to_vec())
                .unwrap_or_default(),
            statements: statements.clone().map(Verified::digest).collect(),
            nonces: statements
                .map(|verified| (verified.signer().clone(), verified.statement().header.nonce))
                .collect(),
            voices: self
                .fresh
                .iter()
                .map(|verified| verified.signer())
                .collect::<BTreeSet<_>>()
                .into_iter()
                .map(|signer| (self.decoded.digest, signer.clone()))
                .collect(),
            usage: Vec::new(),
            spends_since: None,
        }
    }
}

fn seen(statement: JournaledStatement, bundle: &Bundle) -> Result<Seen, SignerError> {
    let damaged = |error: StatementError| JournalError::Damaged(format!("a journaled statement: {error}"));
    let envelope = Envelope::parse(&statement.envelope).map_err(damaged)?;
    Ok(Seen {
        digest: envelope.statement_digest(),
        // A signer who has left the roster since does not count any more, and the decision says so.
        verified: verify(&envelope, bundle.roster()),
        first_seen_at: statement.first_seen_at,
    })
}

/// A statement that may be journaled for this withdrawal: it verifies, and it is about it.
fn certify(
    envelope: Result<&Envelope, &StatementError>,
    bundle: &Bundle,
    withdrawal: WithdrawalId,
) -> Result<Verified, Reason> {
    let refused = |error: &StatementError| Reason::new(error.tag(), error.to_string());
    let verified = verify(envelope.map_err(refused)?, bundle.roster()).map_err(|error| refused(&error))?;
    if subjects(&verified).contains(&withdrawal) {
        return Ok(verified);
    }
    let message = format!("a statement of `{}` is not about {withdrawal}", verified.signer());
    Err(Reason::new(Tag::ApprovalOtherWithdrawal, message))
}

/// How many statements of one person about one withdrawal leave room for another of this kind. One person cannot make a
/// decision's entry outgrow the log, and whoever has approved too often can still reject and cancel.
pub(crate) fn room(kind: Kind) -> u64 {
    match kind {
        Kind::Approval => 4,
        Kind::Rejection => 8,
        Kind::Cancel => 12,
        Kind::Request | Kind::Activation | Kind::Observation => 0,
    }
}

/// The withdrawals that a statement is about.
pub(crate) fn subjects(verified: &Verified) -> Vec<WithdrawalId> {
    match &verified.statement().body {
        Body::Request(_) => verified
            .envelope()
            .request_digest()
            .map(WithdrawalId::of)
            .into_iter()
            .collect(),
        Body::Approval(approval) => approval.items.iter().map(|item| item.withdrawal).collect(),
        Body::Rejection(rejection) => rejection.items.iter().map(|item| item.withdrawal).collect(),
        Body::Cancel(cancel) => vec![cancel.withdrawal],
        Body::Activation(_) | Body::Observation(_) => Vec::new(),
    }
}
