//! Statements of one withdrawal: what they are about, how they verify now, and which of those that are handed in are new.

use std::collections::BTreeMap;

use countersign_approval::{
    Body, Envelope, Freeze, Kind, Screening, ScreeningResult, Statement, StatementError, Verified, verify,
};
use countersign_bundle::Bundle;
use countersign_decision::{Reason, Seen, matter, spoke_for};
use countersign_types::{ChainId, PrincipalId, RequestDigest, StatementDigest, Tag, Timestamp, WithdrawalId};

use crate::{JournalError, JournaledStatement, SignerError, activation, freezes, submission::Decoded, words::Matter};

/// What an attestation is about and who makes it, and its number. `None` for other statements.
pub(crate) fn whose_matter(verified: &Verified) -> Option<(Matter, u64)> {
    let (matter, sequence) = matter(verified)?;
    Some(((verified.signer().clone(), matter), sequence))
}

/// Whether a statement is one service's word about one matter.
pub(crate) fn is_attestation(kind: Kind) -> bool {
    match kind {
        Kind::Price | Kind::Screening | Kind::AddressBook => true,
        Kind::Request
        | Kind::Approval
        | Kind::Rejection
        | Kind::Cancel
        | Kind::Activation
        | Kind::Observation
        | Kind::Freeze
        | Kind::Thaw
        | Kind::Veto
        | Kind::Replace => false,
    }
}

/// An observer on a network, and where it is in its order. `None` for other statements.
pub(crate) fn sequence(verified: &Verified) -> Option<((PrincipalId, ChainId), u64)> {
    let Body::Observation(observation) = &verified.statement().body else {
        return None;
    };
    let source = (verified.signer().clone(), observation.network.clone());
    Some((source, observation.sequence))
}

/// A statement as it is seen when it is journaled now.
pub(crate) fn first_sight(verified: &Verified, now: Timestamp) -> Seen {
    Seen {
        digest: verified.digest(),
        verified: Ok(verified.clone()),
        first_seen_at: now,
    }
}

/// Splits what was handed in: known already, fresh, or to be ignored.
pub(crate) fn sort_statements(decoded: &Decoded, bundle: &Bundle, journaled: &[Seen]) -> (Vec<Verified>, Vec<Reason>) {
    let withdrawal = WithdrawalId::of(decoded.digest);
    let signer = |seen: &Seen| Some(seen.verified.as_ref().ok()?.signer().clone());
    let known = journaled.iter().map(|seen| (seen.digest, signer(seen)));
    let mut known: BTreeMap<StatementDigest, Option<PrincipalId>> = known.collect();
    let (mut fresh, mut ignored) = (Vec::new(), Vec::new());
    for envelope in &decoded.statements {
        match certify(envelope.as_ref(), bundle, withdrawal) {
            Ok(verified) => match known.get(&verified.digest()) {
                None => {
                    known.insert(verified.digest(), Some(verified.signer().clone()));
                    fresh.push(verified);
                }
                Some(first) if first.as_ref() == Some(verified.signer()) => {}
                Some(_) => ignored.push(not_first(&verified)),
            },
            Err(reason) => ignored.push(reason),
        }
    }
    // An observer's statements in its own order, whatever order they came in; people's keep theirs. Of attestations the latest
    // first: what it replaces is not admitted beside it.
    fresh.sort_by_key(|verified| {
        let observed = sequence(verified).map(|(_, sequence)| sequence);
        observed.or(matter(verified).map(|(_, sequence)| u64::MAX.saturating_sub(sequence)))
    });
    (fresh, ignored)
}

/// Why a statement is ignored whose very text somebody else signed before. A digest names a text, not who signed it.
fn not_first(verified: &Verified) -> Reason {
    let message = SignerError::NotFirst(verified.signer().clone()).to_string();
    Reason::new(Tag::StatementNonceReused, message)
}

/// A journaled statement as it is heard now.
pub(crate) struct Heard {
    pub(crate) seen: Seen,
    pub(crate) kind: Kind,
    /// Who signed it, also where that does not verify any more.
    pub(crate) signer: PrincipalId,
    /// What it says, where it is a failed screening that verifies no more.
    pub(crate) lost: Option<Screening>,
    /// Whether it spoke for the payment, and verifies no more.
    pub(crate) has_lapsed: bool,
}

pub(crate) fn heard_now(statement: JournaledStatement, bundle: &Bundle) -> Result<Heard, SignerError> {
    let damaged = |error: StatementError| JournalError::Damaged(format!("a journaled statement: {error}"));
    let envelope = Envelope::parse(&statement.envelope).map_err(damaged)?;
    // A signer who has left the roster since does not count any more, and the decision says so.
    let verified = verify(&envelope, bundle.roster());
    let (lost, has_lapsed) = match &verified {
        Ok(_) => (None, false),
        Err(_) => (failed_screening(&envelope).map_err(damaged)?, spoke_for(&envelope)),
    };
    Ok(Heard {
        kind: envelope.kind(),
        signer: statement.signer,
        lost,
        has_lapsed,
        seen: Seen {
            digest: envelope.statement_digest(),
            verified,
            first_seen_at: statement.first_seen_at,
        },
    })
}

/// What a statement says, where it says that a screening failed.
fn failed_screening(envelope: &Envelope) -> Result<Option<Screening>, StatementError> {
    if envelope.kind() != Kind::Screening {
        return Ok(None);
    }
    let statement = Statement::parse(envelope.kind(), envelope.payload())?;
    let Body::Screening(screening) = statement.body else {
        return Ok(None);
    };
    Ok((screening.result == ScreeningResult::Fail).then_some(screening))
}

/// A statement that may be journaled for this withdrawal: it verifies, and it is about it.
fn certify(
    envelope: Result<&Envelope, &StatementError>,
    bundle: &Bundle,
    withdrawal: WithdrawalId,
) -> Result<Verified, Reason> {
    let refused = |error: &StatementError| Reason::new(error.tag(), error.to_string());
    let verified = verify(envelope.map_err(refused)?, bundle.roster()).map_err(|error| refused(&error))?;
    if names_none(verified.envelope().kind()) || subjects(&verified).contains(&withdrawal) {
        return Ok(verified);
    }
    let message = format!("a statement of `{}` is not about {withdrawal}", verified.signer());
    Err(Reason::new(Tag::ApprovalOtherWithdrawal, message))
}

/// Whether statements of the kind name no withdrawal, and are about those that need what they say.
fn names_none(kind: Kind) -> bool {
    match kind {
        Kind::Observation | Kind::Price | Kind::AddressBook => true,
        Kind::Request
        | Kind::Approval
        | Kind::Rejection
        | Kind::Cancel
        | Kind::Activation
        | Kind::Screening
        | Kind::Freeze
        | Kind::Thaw
        | Kind::Veto
        | Kind::Replace => false,
    }
}

/// What the journal files a statement under: the withdrawals that it names, the bundle that it would put in force or stop, or the
/// freeze that it makes or thaws.
pub(crate) fn about(verified: &Verified) -> Vec<RequestDigest> {
    match &verified.statement().body {
        Body::Activation(activation) => vec![activation::subject(activation.bundle)],
        Body::Veto(veto) => vec![
            activation::subject(veto.bundle),
            activation::vetoes_behind(veto.previous),
        ],
        Body::Freeze(_) => vec![freezes::subject(Freeze::id(verified.digest()))],
        Body::Thaw(thaw) => vec![freezes::subject(thaw.freeze)],
        Body::Request(_)
        | Body::Approval(_)
        | Body::Rejection(_)
        | Body::Cancel(_)
        | Body::Observation(_)
        | Body::Replace(_)
        | Body::Price(_)
        | Body::Screening(_)
        | Body::AddressBook(_) => subjects(verified).iter().map(WithdrawalId::request).collect(),
    }
}

/// The withdrawals that a statement names. An observation names none: it is about those that need what it says.
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
        Body::Replace(replace) => vec![replace.withdrawal],
        Body::Screening(screening) => vec![screening.withdrawal],
        Body::Activation(_)
        | Body::Observation(_)
        | Body::Freeze(_)
        | Body::Thaw(_)
        | Body::Veto(_)
        | Body::Price(_)
        | Body::AddressBook(_) => Vec::new(),
    }
}
