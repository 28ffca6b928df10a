//! A withdrawal as the approver's own program sees it: statement verified, bytes parsed, decision taken, all of it here.
//!
//! The decision is the signer's own code over the same statement, bytes and bundle. What only the signer's journal knows
//! (other withdrawals' references, payments and nonces) is taken to be in order: the signer still refuses what is not.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use countersign_approval::{Body, Envelope, KeyDirectory, Kind, Request, verify};
use countersign_bundle::Bundle;
use countersign_client::ApprovalTask;
use countersign_decision::{
    Case, DecisionEntry, DestinationsRecord, LedgerFacts, Observatory, Outcome, Reading, Reason, Seen, unspent,
};
use countersign_types::{
    Amount, AssetId, AttributeName, AttributeValue, ConflictKey, Destination, Duration, Effect, EffectsText,
    ParsedTransaction, PolicyDigest, PrincipalId, Tag, Timestamp, TransactionDigest, UtcSeconds, WithdrawalId,
};
use serde::Serialize;

use super::{
    attested::{self, Attestation},
    cancelling::{self, Cancelling},
    ceiling::Ceiling,
    over_soft::{self, OverSoft},
    rejected,
};
use crate::{
    beside::Beside,
    clock,
    failure::{Failure, Result},
    lookalikes::{self, Lookalike},
    transaction,
    trust::Trust,
    withdraw::{Missing, missing},
};

/// Any positive time does: it is not used for anything that is shown.
const SIGN_WITHIN: Duration = Duration::from_secs(60);

/// The result: everything that an approval binds, and what is known around it.
#[derive(Debug, Serialize)]
pub(super) struct Reviewed {
    pub(super) withdrawal: WithdrawalId,
    tenant: String,
    reference: String,
    initiator: PrincipalId,
    expires_at: UtcSeconds,
    pub(super) effects: EffectsText,
    #[serde(flatten)]
    beside: Beside,
    #[serde(skip)]
    pub(super) request: Request,
    #[serde(skip)]
    pub(super) task: ApprovalTask,
    /// Set where the bytes pay nobody, and take the place of what is signed: the payments are not made then.
    cancels: Option<Cancelling>,
    payments: Vec<Payment>,
    /// What the initiator says of the request. It says nothing about the bytes.
    attributes: BTreeMap<AttributeName, AttributeValue>,
    lookalikes: Vec<Lookalike>,
    attestations: Vec<Attestation>,
    fee: Fee,
    pub(super) fee_ceiling: Ceiling,
    transaction: TransactionDigest,
    pub(super) policy: PolicyDigest,
    bundle_version: u64,
    seats: Vec<Missing>,
    may_be_asked: Vec<OverSoft>,
    server_says_missing: Vec<Missing>,
    unreadable_statements: usize,
}

#[derive(Debug, Serialize)]
struct Payment {
    reference: String,
    subject: Option<String>,
    /// What the bundle's lists call the destination.
    known_as: Vec<String>,
    /// The services that attest it as the customer's.
    books: Vec<PrincipalId>,
}

#[derive(Debug, Serialize)]
struct Fee {
    asset: AssetId,
    max: Amount,
    shown: String,
}

/// Reviews a task. Whatever the server claims, an error here means: nothing is shown as fact, and nothing is signed.
pub(super) fn review(trust: &Trust, id: WithdrawalId, task: &ApprovalTask, now: Timestamp) -> Result<Reviewed> {
    review_whatever_happened(trust, id, task, None, now)
}

/// The same with one more statement, which must count: an approval that fills no seat is not handed in.
pub(super) fn certify_counts(
    trust: &Trust,
    id: WithdrawalId,
    task: &ApprovalTask,
    own: &Envelope,
    now: Timestamp,
) -> Result<()> {
    review_whatever_happened(trust, id, task, Some(own), now).map(drop)
}

/// How long lists and books have named a destination, and whether it was paid before, only the signer's journal knows. What would be
/// refused if it had been listed for ever and never been paid may be what a rule about young entries or known destinations asks for.
fn review_whatever_happened(
    trust: &Trust,
    id: WithdrawalId,
    task: &ApprovalTask,
    own: Option<&Envelope>,
    now: Timestamp,
) -> Result<Reviewed> {
    let at = |listed_since, paid| {
        let past = Past {
            now,
            listed_since,
            paid,
        };
        review_with(trust, id, task, own, past)
    };
    let ever = Timestamp::from_unix_millis(0);
    at(ever, false).or_else(|error| {
        let others = [(now, false), (ever, true), (now, true)].into_iter();
        let mut allowed = others.filter_map(|(listed_since, paid)| at(listed_since, paid).ok());
        allowed.next().ok_or(error)
    })
}

/// When a review decides, and what it takes to have happened before: since when lists and books name what they name, and whether what
/// they name was paid.
#[derive(Debug, Clone, Copy)]
struct Past {
    now: Timestamp,
    listed_since: Timestamp,
    paid: bool,
}

fn review_with(
    trust: &Trust,
    id: WithdrawalId,
    task: &ApprovalTask,
    own: Option<&Envelope>,
    at: Past,
) -> Result<Reviewed> {
    let now = at.now;
    let bundle = trust.active()?;
    let digest = task.request.request_digest().map(WithdrawalId::of);
    if digest != Some(id) {
        return Err(Failure::refused(
            Tag::ApprovalOtherWithdrawal,
            "the server sent the request of another withdrawal",
        ));
    }
    let verified = verify(&task.request, bundle.roster())
        .map_err(|error| Failure::refused(error.tag(), format!("the request: {error}")))?;
    let Body::Request(request) = verified.statement().body.clone() else {
        return Err(Failure::refused(
            Tag::StatementUnknownKind,
            "the server sent no request",
        ));
    };
    let unsigned = &task.unsigned_transaction;
    let own = own.filter(|own| {
        task.statements
            .iter()
            .all(|known| known.statement_digest() != own.statement_digest())
    });
    let statements = seen(task.statements.iter().chain(own), bundle.roster(), now);
    let observatory = Observatory {
        deployment: trust.genesis.hash(),
        epoch: clock::epoch(),
        network: &request.network,
        roster: bundle.roster(),
        now,
    };
    let facts = observatory.observe(&statements).facts().clone();
    let reading = Reading::new(bundle, &request, unsigned, facts);
    let parsed = reading.parsed();
    // What windows hold by now is the signer's to know: here it is decided as if nothing was spent before.
    let usage = parsed.map_or_else(
        |_| Default::default(),
        |parsed| unspent([bundle.as_ref()], verified.signer(), &request, parsed),
    );
    let case = Case {
        deployment: trust.genesis.hash(),
        active: bundle,
        first: bundle,
        verified: &verified,
        request: &request,
        first_seen_at: now,
        reading: &reading,
        statements: &statements,
        ledger: &LedgerFacts {
            usage,
            ..undisturbed(parsed.ok(), &statements, bundle, at)
        },
        now,
        sign_within: SIGN_WITHIN,
    };
    let decision = cancelling::decide(&case);
    // A no to the payment is no reason to leave it on its way.
    if !decision.cancels {
        rejected::refuse(&statements, id, &observatory)?;
    }
    refuse_denied(&decision.outcome)?;
    let may_be_asked = over_soft::may_be_asked(&decision, bundle);
    refuse_discounted(&decision.entry, own, |own| {
        over_soft::may_fill(&may_be_asked, own, bundle.roster())
    })?;
    let parsed = parsed.map_err(|error| Failure::refused(error.tag(), error))?;
    let named = |payment: &countersign_approval::Payment| Payment {
        books: attested::books(&statements, &decision.entry, payment, bundle),
        ..Payment::listed(payment, bundle)
    };
    let effects = decision
        .effects
        .clone()
        .ok_or_else(|| Failure::refused(Tag::TransactionMalformed, "the bytes have no effects"))?;
    Ok(Reviewed {
        withdrawal: id,
        tenant: request.tenant.to_string(),
        reference: request.reference.to_string(),
        initiator: verified.signer().clone(),
        expires_at: verified.statement().header.validity.expires_at(),
        effects,
        beside: Beside::of(parsed, unsigned, bundle)?,
        attributes: request.attributes.clone(),
        cancels: Cancelling::of(&decision, &statements),
        payments: request.payments.iter().map(named).collect(),
        lookalikes: lookalikes::among(parsed.effects(), bundle),
        attestations: attested::among(&statements, &decision.entry),
        fee: fee(parsed, bundle)?,
        fee_ceiling: Ceiling::of(&decision, &request, &statements, bundle.registry().assets()),
        transaction: reading.transaction(),
        policy: bundle.policy_digest(),
        bundle_version: bundle.version(),
        seats: seats(&decision.entry.seats),
        may_be_asked,
        server_says_missing: missing(&task.missing),
        unreadable_statements: task.unreadable_statements,
        request: *request,
        task: task.clone(),
    })
}

fn seen<'e>(statements: impl Iterator<Item = &'e Envelope>, roster: &impl KeyDirectory, now: Timestamp) -> Vec<Seen> {
    let one = |envelope: &Envelope| {
        let verified = verify(envelope, roster);
        Seen {
            digest: envelope.statement_digest(),
            first_seen_at: cancelling::first_seen_at(verified.as_ref().ok(), now),
            verified,
        }
    };
    statements.map(one).collect()
}

/// A ledger in which the withdrawal's own nonce is the next one, attestations stand, listed destinations and entries of books have
/// been there since then and were paid or not, and nothing else happened.
fn undisturbed(parsed: Option<&ParsedTransaction>, statements: &[Seen], bundle: &Bundle, at: Past) -> LedgerFacts {
    let nonce = |key: &ConflictKey| match key {
        ConflictKey::AccountNonce { account, nonce } => Some((account.clone(), *nonce)),
        ConflictKey::Outpoint { .. } | ConflictKey::NonceAccount { .. } => None,
    };
    let keys = parsed.map(ParsedTransaction::conflict_keys).unwrap_or_default();
    let mut next_nonces: BTreeMap<Destination, u64> = BTreeMap::new();
    for (account, nonce) in keys.iter().filter_map(nonce) {
        // A transaction can claim several in a row.
        let next = next_nonces.entry(account).or_insert(nonce);
        *next = nonce.min(*next);
    }
    LedgerFacts {
        epoch: clock::epoch(),
        next_nonces,
        standing: statements
            .iter()
            .map(|seen| (seen.digest, stands_since(seen, at)))
            .collect(),
        destinations: Some(DestinationsRecord {
            paid: parsed.filter(|_| at.paid).map(destinations).unwrap_or_default(),
            listed: listed_since(at.listed_since, parsed, bundle),
        }),
        ..LedgerFacts::default()
    }
}

/// An entry of a book is as old as one of a list is taken to be: of that too only the journal knows since when it has it.
fn stands_since(seen: &Seen, at: Past) -> Timestamp {
    let kind = seen.verified.as_ref().map(|verified| verified.envelope().kind());
    match kind {
        Ok(Kind::AddressBook) => at.listed_since,
        Ok(_) | Err(_) => at.now,
    }
}

fn destinations(parsed: &ParsedTransaction) -> BTreeSet<Destination> {
    parsed
        .effects()
        .iter()
        .filter_map(Effect::destination)
        .cloned()
        .collect()
}

fn listed_since(
    since: Timestamp,
    parsed: Option<&ParsedTransaction>,
    bundle: &Bundle,
) -> BTreeMap<Destination, Timestamp> {
    let destinations = parsed.map(destinations).unwrap_or_default().into_iter();
    let listed = destinations.filter(|destination| bundle.destinations().is_listed(destination));
    listed.map(|destination| (destination, since)).collect()
}

fn refuse_denied(outcome: &Outcome) -> Result<()> {
    let (what, reasons) = match outcome {
        Outcome::Allowed | Outcome::Pending { .. } => return Ok(()),
        Outcome::Denied { reasons, .. } => ("decided here, it is denied", reasons),
        Outcome::Malformed { reasons } => ("the bytes are not understood", reasons),
    };
    let tag = reasons.first().map_or(Tag::TransactionMalformed, |reason| reason.tag);
    Err(Failure::refused(tag, format!("{what}: {}", listed(reasons))))
}

/// An approval that the decision does not count is refused with the reason that the signer would give, unless it may fill a seat that
/// nobody knows of here. Membership is the last thing that is looked at: everything else about it is in order then.
fn refuse_discounted(
    entry: &DecisionEntry,
    own: Option<&Envelope>,
    may_fill: impl Fn(&Envelope) -> bool,
) -> Result<()> {
    let Some(own) = own else { return Ok(()) };
    let considered = entry
        .statements
        .iter()
        .find(|considered| considered.statement == own.statement_digest());
    match considered.and_then(|considered| considered.discounted) {
        Some(Tag::ApprovalNotMember) if may_fill(own) => Ok(()),
        Some(tag) => Err(Failure::denied(
            tag,
            format!("your approval would not count: {}", tag.meaning()),
        )),
        None => Ok(()),
    }
}

fn listed(reasons: &[Reason]) -> String {
    let one = |reason: &Reason| {
        let rule = reason
            .rule
            .as_ref()
            .map(|rule| format!(" (rule {rule})"))
            .unwrap_or_default();
        format!("{}{rule}: {}", reason.tag, reason.message)
    };
    reasons.iter().map(one).collect::<Vec<_>>().join("; ")
}

impl Payment {
    fn listed(payment: &countersign_approval::Payment, bundle: &Bundle) -> Self {
        let names = bundle.entries(&payment.destination).map(|entry| entry.to_string());
        Self {
            reference: payment.reference.to_string(),
            subject: payment.subject.as_ref().map(ToString::to_string),
            known_as: names.collect(),
            books: Vec::new(),
        }
    }

    /// Whose the destination is, as far as anybody says.
    fn names(&self) -> String {
        let books = self.books.iter().map(|service| format!("in the book of {service}"));
        let names: Vec<String> = self.known_as.iter().cloned().chain(books).collect();
        match names.is_empty() {
            true => "unlisted destination".to_owned(),
            false => names.join(", "),
        }
    }
}

fn fee(parsed: &ParsedTransaction, bundle: &Bundle) -> Result<Fee> {
    let (asset, max) = transaction::fee(parsed)?;
    Ok(Fee {
        asset: asset.clone(),
        max,
        shown: bundle.registry().assets().shown(asset, max),
    })
}

fn seats(seats: &BTreeMap<countersign_types::GroupId, countersign_decision::SeatCount>) -> Vec<Missing> {
    let one = |(group, count): (&countersign_types::GroupId, &countersign_decision::SeatCount)| Missing {
        group: group.to_string(),
        required: count.required,
        filled: count.filled,
    };
    seats.iter().map(one).collect()
}

impl Reviewed {
    /// A few lines for the inbox; `approvals show` has all of it.
    pub(super) fn summarize(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.withdrawal)?;
        writeln!(
            f,
            "  {} of {} (tenant {}), until {}",
            self.reference, self.initiator, self.tenant, self.expires_at
        )?;
        if let Some(cancels) = &self.cancels {
            writeln!(
                f,
                "  CANCEL ATTEMPT: pays nobody, {cancels}; fee ceiling {}",
                self.fee_ceiling
            )?;
        }
        for line in self.effects.as_str().lines().skip(1) {
            writeln!(f, "  {line}")?;
        }
        if self.fee_ceiling.is_raised() {
            writeln!(f, "  RAISED: {}", self.fee_ceiling)?;
        }
        for lookalike in &self.lookalikes {
            writeln!(f, "  WARNING: {lookalike}")?;
        }
        for seat in &self.seats {
            writeln!(
                f,
                "  approvals {}: {} of {} counted here",
                seat.group, seat.filled, seat.required
            )?;
        }
        for seat in &self.may_be_asked {
            writeln!(f, "  approvals {seat}")?;
        }
        for line in self.beside.to_string().lines() {
            writeln!(f, "  {line}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Reviewed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "withdrawal   {}", self.withdrawal)?;
        writeln!(f, "reference    {} (tenant {})", self.reference, self.tenant)?;
        writeln!(f, "initiator    {}, until {}", self.initiator, self.expires_at)?;
        if let Some(cancels) = &self.cancels {
            writeln!(
                f,
                "CANCEL ATTEMPT: pays nobody, and takes the place of what is signed as long as that has not landed"
            )?;
            writeln!(f, "why          {cancels}")?;
            writeln!(f, "fee ceiling  {}", self.fee_ceiling)?;
        }
        let label = if self.cancels.is_some() { "not paid" } else { "payment" };
        for payment in &self.payments {
            let subject = payment
                .subject
                .as_ref()
                .map(|subject| format!(" for {subject}"))
                .unwrap_or_default();
            writeln!(f, "{label:<12} {}{subject}: {}", payment.reference, payment.names())?;
        }
        for (name, value) in &self.attributes {
            writeln!(f, "it says      {name}: {value}")?;
        }
        for lookalike in &self.lookalikes {
            writeln!(f, "WARNING      {lookalike}")?;
        }
        for attestation in &self.attestations {
            writeln!(f, "attested     {attestation}")?;
        }
        writeln!(f, "transaction  {}", self.transaction)?;
        writeln!(f, "this fee     at most {}", self.fee.shown)?;
        if self.fee_ceiling.is_raised() {
            writeln!(f, "RAISED       {}", self.fee_ceiling)?;
        }
        writeln!(
            f,
            "policy       {} (bundle version {})",
            self.policy, self.bundle_version
        )?;
        for seat in &self.seats {
            writeln!(
                f,
                "approvals    {}: {} of {} counted here",
                seat.group, seat.filled, seat.required
            )?;
        }
        for seat in &self.may_be_asked {
            writeln!(f, "approvals    {seat}")?;
        }
        for missing in &self.server_says_missing {
            let Missing {
                group,
                filled,
                required,
            } = missing;
            writeln!(f, "server says  {group}: {filled} of {required}")?;
        }
        if self.unreadable_statements > 0 {
            writeln!(
                f,
                "note         the server also sent {} things that are no statements",
                self.unreadable_statements
            )?;
        }
        writeln!(f, "what you sign, decoded here:")?;
        for line in self.effects.as_str().lines() {
            writeln!(f, "  {line}")?;
        }
        write!(f, "{}", self.beside)
    }
}

#[cfg(test)]
mod tests;
