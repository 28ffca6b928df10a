//! The decision inside the journal's transaction: a pure function of what was prepared, the ledger and the clock.

use std::collections::BTreeSet;
use std::sync::Arc;

use countersign_approval::Verified;
use countersign_bundle::Bundle;
use countersign_decision::{
    AuthorizationRecord, Case, Decision, DestinationsRecord, Entry, EntryError, LedgerFacts, Observatory, Outcome,
    Reading, Reason, Seen, decide, is_passing, takes_the_place,
};
use countersign_types::{BundleDigest, ChainFacts, ConflictKey, Duration, GenesisHash, Tag, Timestamp, WithdrawalId};

use crate::{
    Answer, AttemptRecord, Basis, LedgerView, LogEntry, SignedAttempt, SignerError, Verdict, WithdrawalRecord, Write,
    admission::{Admission, Admitted, nonce_is_free},
    aging::{of_ended, settlements},
    alarm::Alarm,
    changes::Changes,
    facts::ledger_facts,
    left_over::LeftOver,
    prepare::Prepared,
    release::{has_failed, is_unheard},
    statements::{first_sight, subjects},
    words::{Matter, standing},
};

/// The most decisions of one withdrawal in the log, those that authorize or end it aside.
pub(crate) const MAX_LOGGED_DECISIONS: u64 = 256;

/// Why it is ruled again, on something else.
pub(crate) enum Again {
    /// The bundle or the statements changed since they were verified: verify again.
    Stale,
    /// The statements that count attest these facts, and the bytes were read with others: read them again.
    Reread(ChainFacts),
    /// The decision needs the bundle at first sight, and what was prepared lacks it.
    NeedsBundle(BundleDigest),
    /// Other attempts of the lineage leave these conflict keys over, and what was prepared does not ask whose they are.
    NeedsOwners(BTreeSet<ConflictKey>),
    /// What became of attempts was written down: decide on what is charged now.
    Settled,
}

/// What the transaction ruled.
pub(crate) enum Ruling {
    /// Nothing yet.
    Again(Again),
    /// This very attempt is signed already.
    AlreadySigned(u32, SignedAttempt),
    /// Nothing to sign.
    Answered(Answer),
    /// Durable: the key may be used, on this basis. With the entry, where it is a new one.
    Authorized(Box<Decision>, Basis, Vec<u8>),
    /// It cannot be written down: nothing was.
    Unwritable(SignerError),
}

/// What a ruling needs besides the view.
pub(crate) struct Bench {
    pub(crate) deployment: GenesisHash,
    pub(crate) sign_within: Duration,
    pub(crate) prepared: Arc<Prepared>,
    /// Whether what became of attempts is written down first; a ruling that writes nothing decides on what is charged so far.
    pub(crate) settles: bool,
}

impl Bench {
    /// Rules, and writes what follows from it.
    pub(crate) fn rule(&self, view: &LedgerView, now: Timestamp) -> Verdict<Ruling> {
        match self.try_rule(view, now) {
            Ok(verdict) => verdict,
            Err(error) => Verdict::unchanged(Ruling::Unwritable(error)),
        }
    }

    fn try_rule(&self, view: &LedgerView, now: Timestamp) -> Result<Verdict<Ruling>, SignerError> {
        let first = match self.first(view) {
            Ok(first) => first,
            Err(ruling) => return Ok(Verdict::unchanged(ruling)),
        };
        let prepared = &self.prepared;
        let mut wants = prepared.bundle.policy().wants().clone();
        wants.join(first.policy().wants());
        let mut ledger = ledger_facts(view, prepared);
        let admission = Admission {
            deployment: self.deployment,
            prepared,
            view,
            attempts: &ledger.attempts,
            wants: &wants,
            now,
        };
        let admitted = admission.admit();
        let statements = self.statements(view, &admitted, now);
        ledger.standing = standing(&statements, |matter| admitted.last_word(view, matter));
        ledger.failed = prepared.failed(|matter| admitted.last_word(view, matter));
        ledger.destinations = (wants.history || wants.ages).then(|| DestinationsRecord {
            paid: view.paid.clone(),
            listed: prepared.listed(view),
        });
        if let Some(facts) = self.other_facts(view, &statements, now) {
            return Ok(Verdict::unchanged(Ruling::Again(Again::Reread(facts))));
        }
        let record = view.withdrawal.as_ref();
        let hearing = Hearing {
            bench: self,
            first,
            record,
            statements: &statements,
            now,
        };
        let mut decision = hearing.decide(&ledger);
        if let Some(record) = record.filter(|_| self.settles) {
            let moves = self.moves(record, &decision, now);
            if !moves.is_empty() {
                return self.settle(view, &admitted, moves, now);
            }
            match self.left_over(view, record, &decision) {
                LeftOver::Nothing => {}
                LeftOver::Unread(keys) => return Ok(Verdict::unchanged(Ruling::Again(Again::NeedsOwners(keys)))),
                LeftOver::Owned(keys) => {
                    let request = record.request;
                    return self.settle(view, &admitted, vec![Write::GivenUp { request, keys }], now);
                }
            }
        }
        let alarm = self.alarm((view, now), &statements, &decision);
        if !alarm.trips.freezes.is_empty() {
            // What tips a breaker is stopped by it.
            ledger
                .freezes
                .extend(alarm.trips.freezes.iter().map(|one| one.fact(now)));
            decision = hearing.decide(&ledger);
        }
        if let Some((attempt, signed)) = hearing.signed(&decision) {
            return Ok(Verdict::unchanged(Ruling::AlreadySigned(attempt, signed)));
        }
        if record.is_none() && !self.is_admissible(view, now, &decision) {
            let answer = answer(decision, admitted.ignored, Vec::new());
            return Ok(Verdict::unchanged(Ruling::Answered(answer)));
        }
        self.write(view, (admitted, alarm), decision, now)
    }

    /// The bundle at first sight, if what was prepared is what the journal has now; otherwise what is to be done about it.
    fn first(&self, view: &LedgerView) -> Result<&Bundle, Ruling> {
        let prepared = &self.prepared;
        let active = view.bundle.as_ref().map(|bundle| bundle.digest);
        if active != Some(prepared.bundle.digest()) || !self.is_current(view) {
            return Err(Ruling::Again(Again::Stale));
        }
        let record = view.withdrawal.as_ref();
        let first = record.map_or(prepared.bundle.digest(), |record| record.first_bundle);
        let mut known = std::iter::once(&prepared.bundle).chain(&prepared.first);
        let found = known.find(|bundle| bundle.digest() == first);
        let found = found.ok_or(Ruling::Again(Again::NeedsBundle(first)))?;
        // Also where there is a record: the same text under the signature of another initiator is another's request.
        if !nonce_is_free(view, &prepared.verified) {
            return Err(Ruling::Answered(nonce_reused(&prepared.verified)));
        }
        Ok(found)
    }

    /// Every statement about the withdrawal: the journaled ones, and the admitted ones as they will be journaled. Without what spoke for
    /// the payment and was replaced since.
    fn statements(&self, view: &LedgerView, admitted: &Admitted<'_>, now: Timestamp) -> Vec<Seen> {
        let fresh = admitted.statements.iter().map(|verified| {
            let known = view.statements.get(&verified.digest());
            first_sight(verified, known.copied().unwrap_or(now))
        });
        let journaled = self.prepared.journaled.iter();
        let journaled = journaled.filter(|seen| {
            !self
                .prepared
                .spoken
                .is_over(&seen.digest, |about| admitted.later(about))
        });
        journaled.cloned().chain(fresh).collect()
    }

    /// The facts that the statements attest, unless the bytes were read with them. Which observations count is known only
    /// here, and parsing does not belong under the journal's lock.
    fn other_facts(&self, view: &LedgerView, statements: &[Seen], now: Timestamp) -> Option<ChainFacts> {
        let observatory = Observatory {
            deployment: self.deployment,
            epoch: view.epoch,
            network: &self.prepared.request.network,
            roster: self.prepared.bundle.roster(),
            now,
        };
        let observed = observatory.observe(statements);
        (observed.facts() != self.prepared.reading.facts()).then(|| observed.facts().clone())
    }

    /// Whether the statements that were verified are those that the journal holds.
    fn is_current(&self, view: &LedgerView) -> bool {
        let verified = self.prepared.journaled.iter().map(|seen| &seen.digest);
        view.about.iter().eq(verified)
    }

    /// Only a validly signed request that nothing contradicts gets a record and entries: everything else is answered and
    /// forgotten, so that nobody can grow the log without an initiator's key.
    pub(crate) fn is_admissible(&self, view: &LedgerView, now: Timestamp, decision: &Decision) -> bool {
        let header = &self.prepared.verified.statement().header;
        let tags: BTreeSet<Tag> = decision.entry.reasons.iter().map(|reason| reason.tag).collect();
        header.certify(self.deployment, view.epoch, now).is_ok()
            && !tags.contains(&Tag::RequestNotInitiator)
            && !tags.contains(&Tag::ReferenceConflict)
    }

    /// Entries and changes of a ruling, in the order in which an auditor reads them.
    fn write(
        &self,
        view: &LedgerView,
        (admitted, alarm): (Admitted<'_>, Alarm),
        mut decision: Decision,
        now: Timestamp,
    ) -> Result<Verdict<Ruling>, SignerError> {
        let record = view.withdrawal.as_ref();
        let request = self.prepared.decoded.digest;
        let mut ledger = Changes::default();
        if record.is_none() {
            ledger.statement(&self.prepared.verified, subjects(&self.prepared.verified), now)?;
            ledger.writes.push(self.withdrawal());
        }
        let is_allowed = decision.outcome == Outcome::Allowed;
        let kept = admitted.statements.iter().copied();
        let kept: Vec<&Verified> = kept.filter(|verified| is_allowed || !is_passing(verified)).collect();
        let fresh = u64::try_from(kept.len()).unwrap_or(u64::MAX);
        self.journal_statements(view, &kept, &mut ledger, now)?;
        ledger.advance(&admitted);
        let suspect = self.prepared.suspect();
        ledger.writes.extend(suspect.rejection_marks(alarm.rejections));
        ledger.writes.extend(alarm.trips.marks());
        for one in alarm.trips.freezes {
            one.freeze(now, &mut ledger)?;
        }
        let ended = record.and_then(|record| record.ended);
        let ending = ending(&decision).filter(|_| ended.is_none());
        ledger.writes.extend(ending.map(|tag| Write::Ended { request, tag }));
        let mut entry = Vec::new();
        if let Some(known) = self.reusable(record, &decision, now) {
            decision.entry.authorization = Some(known);
        } else {
            entry = Entry::Decision(Box::new(decision.entry.clone())).to_bytes()?;
            self.log(record, &decision, &entry, &mut ledger)?;
            self.authorize(&decision, &mut ledger)?;
            if decision.entry.authorization.is_some() {
                ledger.writes.extend(suspect.marks(&self.prepared.paid()));
            }
        }
        let reply = match decision.outcome {
            Outcome::Allowed => {
                // As this verdict leaves it.
                let mut basis = Basis::of(view);
                basis.statements = basis.statements.saturating_add(fresh);
                basis.ended = ended.or(ending);
                let since = |entry: Matter| Some((entry.clone(), admitted.last_word(view, &entry)?.since?));
                basis.entries = self.prepared.entries().into_iter().filter_map(since).collect();
                Ruling::Authorized(Box::new(decision), basis, entry)
            }
            Outcome::Pending { .. } | Outcome::Denied { .. } | Outcome::Malformed { .. } => {
                Ruling::Answered(answer(decision, admitted.ignored, entry))
            }
        };
        Ok(Verdict {
            entries: ledger.entries,
            writes: ledger.writes,
            reply,
        })
    }

    fn moves(&self, record: &WithdrawalRecord, decision: &Decision, now: Timestamp) -> Vec<Write> {
        let cancels = |attempt: &AttemptRecord| self.cancels(attempt);
        let mut moves = settlements(record, &decision.fates, &decision.foreign, cancels);
        if moves.is_empty() {
            moves = of_ended(self.prepared.ages_from(), record, now, cancels);
        }
        moves
    }

    /// Whether a recorded attempt took the place of a payment. What is not understood by now counts as a payment.
    fn cancels(&self, attempt: &AttemptRecord) -> bool {
        let prepared = &self.prepared;
        let facts = prepared.reading.facts().clone();
        let reading = Reading::new(&prepared.bundle, &prepared.request, &attempt.unsigned, facts);
        let parsed = reading.parsed();
        parsed.is_ok_and(|parsed| takes_the_place(&prepared.request, parsed, prepared.bundle.registry()))
    }

    /// What became of attempts, with the observations that say so. The decision comes after it: it must see what is charged.
    fn settle(
        &self,
        view: &LedgerView,
        admitted: &Admitted<'_>,
        moves: Vec<Write>,
        now: Timestamp,
    ) -> Result<Verdict<Ruling>, SignerError> {
        let mut ledger = Changes::default();
        let kept = admitted.statements.iter().copied();
        let kept: Vec<&Verified> = kept.filter(|verified| !is_passing(verified)).collect();
        self.journal_statements(view, &kept, &mut ledger, now)?;
        ledger.advance(admitted);
        ledger.writes.extend(moves);
        Ok(Verdict {
            entries: ledger.entries,
            writes: ledger.writes,
            reply: Ruling::Again(Again::Settled),
        })
    }

    fn journal_statements(
        &self,
        view: &LedgerView,
        kept: &[&Verified],
        ledger: &mut Changes,
        now: Timestamp,
    ) -> Result<(), EntryError> {
        let withdrawal = WithdrawalId::of(self.prepared.decoded.digest);
        for verified in kept {
            let about = match subjects(verified) {
                named if named.is_empty() => vec![withdrawal],
                named => named,
            };
            match view.statements.get(&verified.digest()) {
                Some(first_seen_at) => ledger.subject(verified, withdrawal, *first_seen_at)?,
                None => ledger.statement(verified, about, now)?,
            }
        }
        Ok(())
    }

    /// The authorization that the attempt has, while half of its time is left and it is for exactly the same: it is used
    /// again. So racing calls share one, its signature is recorded under it, and asking again does not grow the log.
    pub(crate) fn reusable(
        &self,
        record: Option<&WithdrawalRecord>,
        decision: &Decision,
        now: Timestamp,
    ) -> Option<AuthorizationRecord> {
        let transaction = self.prepared.decoded.transaction;
        let mut attempts = record?.attempts.iter();
        let attempt = attempts.find(|attempt| attempt.transaction == transaction)?;
        let half = Duration::from_secs(self.sign_within.secs().checked_div(2).unwrap_or(0));
        let known = decision.entry.authorization_until(self.deployment, attempt.sign_by)?;
        (known.id == attempt.authorization && now.after(half) <= attempt.sign_by).then_some(known)
    }

    /// Logs a decision that is news. The bytes are the orchestrator's to choose, so a withdrawal has only so many decisions
    /// that lead to nothing in the log; what authorizes or ends it is logged always.
    fn log(
        &self,
        record: Option<&WithdrawalRecord>,
        decision: &Decision,
        entry: &[u8],
        ledger: &mut Changes,
    ) -> Result<(), EntryError> {
        let request = self.prepared.decoded.digest;
        let content = decision.entry.content_digest()?;
        let is_news = record.and_then(|record| record.last_decision) != Some(content);
        let is_crowded = record.is_some_and(|record| record.decisions >= MAX_LOGGED_DECISIONS);
        let is_due = decision.entry.authorization.is_some()
            || ledger.writes.iter().any(|write| matches!(write, Write::Ended { .. }));
        if is_news && (is_due || !is_crowded) {
            ledger.entries.push(LogEntry {
                bytes: entry.to_vec(),
                subjects: vec![request],
            });
            ledger.writes.push(Write::Decision {
                request,
                decision: content,
            });
        }
        Ok(())
    }

    fn withdrawal(&self) -> Write {
        Write::Withdrawal {
            request: self.prepared.decoded.digest,
            statement: self.prepared.verified.digest(),
            tenant: self.prepared.request.tenant.clone(),
            reference: self.prepared.request.reference.clone(),
            bundle: self.prepared.bundle.digest(),
        }
    }

    /// The claims of an authorization and what it spends, written with it or not at all.
    fn authorize(&self, decision: &Decision, ledger: &mut Changes) -> Result<(), SignerError> {
        let Some(authorization) = &decision.entry.authorization else {
            return Ok(());
        };
        let (Ok(parsed), Some(spend)) = (self.prepared.reading.parsed(), &decision.spend) else {
            return Err(SignerError::Contended);
        };
        let request = self.prepared.decoded.digest;
        ledger.writes.push(Write::Attempt {
            request,
            tenant: self.prepared.request.tenant.clone(),
            payments: self
                .prepared
                .request
                .payments
                .iter()
                .map(|payment| payment.reference.clone())
                .collect(),
            number: authorization.attempt,
            transaction: self.prepared.decoded.transaction,
            unsigned: self.prepared.decoded.unsigned.clone(),
            conflict_keys: parsed.conflict_keys().to_vec(),
            fee_max: authorization.fee_max,
            authorization: authorization.id,
            sign_by: authorization.sign_by,
        });
        ledger.writes.push(Write::Spend {
            request,
            number: authorization.attempt,
            facts: spend.to_bytes()?,
            charges: decision.charges.clone(),
        });
        Ok(())
    }
}

/// What is decided on, but for the ledger.
struct Hearing<'a> {
    bench: &'a Bench,
    first: &'a Bundle,
    record: Option<&'a WithdrawalRecord>,
    statements: &'a [Seen],
    now: Timestamp,
}

impl Hearing<'_> {
    fn decide(&self, ledger: &LedgerFacts) -> Decision {
        let (bench, now) = (self.bench, self.now);
        let prepared = &bench.prepared;
        decide(&Case {
            deployment: bench.deployment,
            active: &prepared.bundle,
            first: self.first,
            verified: &prepared.verified,
            request: &prepared.request,
            first_seen_at: self.record.map_or(now, |record| record.first_seen_at),
            reading: &prepared.reading,
            statements: self.statements,
            ledger,
            now,
            sign_within: bench.sign_within,
        })
    }

    /// What is signed stays signed, whatever the policy says by now; only an end, a failed screening and a freeze keep it in. An end
    /// does so whatever else the decision came to: it may not have got as far as naming it. A cancel attempt is what the end asks
    /// for, and what was said against the payment does not speak against it.
    fn signed(&self, decision: &Decision) -> Option<(u32, SignedAttempt)> {
        let record = self.record?;
        if decision.cancels && decision.entry.ledger.freezes.is_empty() {
            return signed_attempt(record, &self.bench.prepared);
        }
        let has_ended = ending(decision).is_some() || record.ended.is_some();
        let ledger = &decision.entry.ledger;
        // What failed by a statement that verifies no more needs no decision that gets as far as asking for it.
        if has_ended || has_failed(decision) || !ledger.failed.is_empty() || !ledger.freezes.is_empty() {
            return None;
        }
        let (attempt, signed) = signed_attempt(record, &self.bench.prepared)?;
        (!is_unheard(decision, self.statements, signed.recorded_at)).then_some((attempt, signed))
    }
}

/// The cancel or rejection that ends the withdrawal for good.
fn ending(decision: &Decision) -> Option<Tag> {
    if decision.cancels {
        return Some(Tag::WithdrawalCancelled);
    }
    let Outcome::Denied {
        reasons,
        is_final: true,
    } = &decision.outcome
    else {
        return None;
    };
    let mut tags = reasons.iter().map(|reason| reason.tag);
    tags.find(|tag| matches!(tag, Tag::ApprovalRejected | Tag::WithdrawalCancelled))
}

fn nonce_reused(verified: &Verified) -> Answer {
    let signer = verified.signer();
    let message =
        format!("`{signer}` used the request's nonce for another statement, or the request is somebody else's");
    Answer::Denied {
        reasons: vec![Reason::new(Tag::StatementNonceReused, message)],
        is_final: true,
        decision: Vec::new(),
    }
}

/// The number and the signatures of the attempt with these bytes, once they are recorded.
pub(crate) fn signed_attempt(record: &WithdrawalRecord, prepared: &Prepared) -> Option<(u32, SignedAttempt)> {
    let mut attempts = record.attempts.iter();
    let attempt = attempts.find(|attempt| attempt.transaction == prepared.decoded.transaction)?;
    Some((attempt.number, attempt.signed.clone()?))
}

/// The answer to a decision that does not sign. Ignored statements are named, so that nobody wonders.
pub(crate) fn answer(decision: Decision, ignored: Vec<Reason>, entry: Vec<u8>) -> Answer {
    match decision.outcome {
        Outcome::Allowed => Answer::Allowed { decision: entry },
        Outcome::Pending {
            missing,
            not_before,
            mut reasons,
        } => {
            reasons.extend(ignored);
            Answer::Pending {
                missing,
                not_before,
                reasons,
                decision: entry,
            }
        }
        Outcome::Denied { mut reasons, is_final } => {
            // A freeze says all there is to say, and a denial for good is for whatever statements.
            if !is_final && reasons.iter().all(|reason| reason.tag != Tag::FreezeActive) {
                reasons.extend(ignored);
            }
            Answer::Denied {
                reasons,
                is_final,
                decision: entry,
            }
        }
        Outcome::Malformed { reasons } => Answer::Malformed {
            reasons,
            decision: entry,
        },
    }
}
