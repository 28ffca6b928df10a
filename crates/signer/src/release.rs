//! What keeps a recorded signature in, on whichever way somebody asks for it (docs/adr/0008, 0016).

use std::sync::Arc;

use countersign_approval::{Body, Envelope, Request, ScreeningResult, Statement, verify};
use countersign_bundle::Bundle;
use countersign_decision::{Decision, FreezeFact, Reading, Reason, Seen, stopped_by};
use countersign_types::{ChainFacts, PrincipalId, Tag, Timestamp, WithdrawalId};

use crate::{
    AttemptRecord, Basis, JournalError, JournaledStatement, LedgerView, Reads, Signer, SignerError, Verdict,
    WithdrawalHistory, freezes::freeze_fact, propose,
};

/// What a statement says against a withdrawal, whoever made it.
fn against(statement: &Statement) -> Option<Tag> {
    match &statement.body {
        Body::Rejection(_) => Some(Tag::ApprovalRejected),
        Body::Cancel(_) => Some(Tag::WithdrawalCancelled),
        Body::Screening(screening) => match screening.result {
            ScreeningResult::Fail => Some(Tag::AttestationFailed),
            ScreeningResult::Pass => None,
        },
        Body::Request(_)
        | Body::Approval(_)
        | Body::Activation(_)
        | Body::Observation(_)
        | Body::Freeze(_)
        | Body::Thaw(_)
        | Body::Veto(_)
        | Body::Replace(_)
        | Body::Price(_)
        | Body::AddressBook(_) => None,
    }
}

/// Whether a decision counted a screening that failed: what is signed is kept in, as by an end, until there is a later word.
pub(crate) fn has_failed(decision: &Decision) -> bool {
    let mut reasons = decision.entry.reasons.iter();
    reasons.any(|reason| reason.tag == Tag::AttestationFailed)
}

/// Whether somebody said no after signatures were recorded, and the decision did not get as far as asking who that was: a
/// price is missing, say, which is the orchestrator's to bring.
pub(crate) fn is_unheard(decision: &Decision, statements: &[Seen], recorded_at: Timestamp) -> bool {
    let says_no = |seen: &Seen| {
        let said = seen.verified.as_ref().ok();
        seen.first_seen_at >= recorded_at && said.is_some_and(|verified| against(verified.statement()).is_some())
    };
    decision.entry.statements.is_empty() && statements.iter().any(says_no)
}

/// Who asked for a withdrawal, and what for.
struct Asked {
    request: Request,
    initiator: PrincipalId,
}

impl Signer {
    /// The receipt of one withdrawal, for an orchestrator. It holds signatures, so it is refused while something keeps one of
    /// them in: a freeze, an end, or anybody's no since they were recorded. People and auditors have theirs as it is.
    pub async fn released_receipt(&self, withdrawal: WithdrawalId) -> Result<Vec<u8>, SignerError> {
        let history = self.history(withdrawal).await?;
        // Behind the reading, so that what was acknowledged before the answer counts.
        self.certify_released(&history).await?;
        self.receipt_of(withdrawal, history).await
    }

    async fn certify_released(&self, history: &WithdrawalHistory) -> Result<(), SignerError> {
        let is_signed = |attempt: &&AttemptRecord| attempt.signed.is_some();
        let signed: Vec<&AttemptRecord> = history.record.attempts.iter().filter(is_signed).collect();
        let recorded = signed.iter().filter_map(|attempt| attempt.signed.as_ref());
        let Some(recorded_at) = recorded.map(|signed| signed.recorded_at).min() else {
            return Ok(());
        };
        let reads = Reads {
            request: Some(history.record.request),
            ..Reads::default()
        };
        let stand = |view: &LedgerView, _| {
            let freezes: Vec<FreezeFact> = view.freezes.iter().map(freeze_fact).collect();
            Verdict::unchanged((Basis::of(view), freezes))
        };
        let ((basis, freezes), _) = propose(self.journal.as_ref(), reads, stand).await?;
        if u64::try_from(history.statements.len()) != Ok(basis.statements) {
            return Err(SignerError::Contended);
        }
        let said = said_since(&history.statements, recorded_at)?;
        if let Some(tag) = basis.ended.or(said) {
            return Err(SignerError::KeptIn(Reason::new(tag, tag.meaning())));
        }
        let asked = asked(self.bundle(history.record.first_bundle).await?, history)?;
        let active = self.active().await?;
        let reason = signed
            .iter()
            .find_map(|attempt| stops(&freezes, &asked, &active, attempt));
        reason.map_or(Ok(()), |reason| Err(SignerError::KeptIn(reason)))
    }
}

/// What somebody said against a withdrawal since a moment.
fn said_since(statements: &[JournaledStatement], since: Timestamp) -> Result<Option<Tag>, SignerError> {
    for said in statements.iter().filter(|said| said.first_seen_at >= since) {
        let envelope = Envelope::parse(&said.envelope)?;
        let statement = Statement::parse(envelope.kind(), envelope.payload())?;
        if let Some(tag) = against(&statement) {
            return Ok(Some(tag));
        }
    }
    Ok(None)
}

/// Whoever asked may have left the roster since: the one of the first sight knows.
fn asked(first: Arc<Bundle>, history: &WithdrawalHistory) -> Result<Asked, SignerError> {
    let verified = verify(&Envelope::parse(&history.request.envelope)?, first.roster())?;
    let Body::Request(request) = &verified.statement().body else {
        return Err(JournalError::Damaged("a withdrawal without a request".to_owned()).into());
    };
    Ok(Asked {
        request: request.as_ref().clone(),
        initiator: verified.signer().clone(),
    })
}

/// Why freezes stop an attempt. It is read without what observers attest: what is not known then may be what is frozen.
fn stops(freezes: &[FreezeFact], asked: &Asked, active: &Bundle, attempt: &AttemptRecord) -> Option<Reason> {
    let reading = Reading::new(active, &asked.request, &attempt.unsigned, ChainFacts::none().clone());
    let reasons = stopped_by(freezes, &asked.request, &asked.initiator, reading.parsed().ok());
    reasons.into_iter().next()
}
