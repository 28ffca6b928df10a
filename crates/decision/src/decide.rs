//! The decision.

use std::collections::{BTreeMap, BTreeSet};

use countersign_approval::{Request, StatementError, TransactionBinding};
use countersign_bundle::Bundle;
use countersign_chains::Network;
use countersign_policy::{
    Context, Evaluation, Facts, Obligations, Outcome as PolicyOutcome, SEMANTICS, charges, evaluate, nearest,
};
use countersign_types::{
    Amount, EffectsText, EntryDigest, FactKey, GroupId, ParsedTransaction, PayloadDigest, Tag, Timestamp, WithdrawalId,
};

use crate::{
    AuthorizationRecord, Case, Decision, DecisionEntry, FreezeFact, LedgerFacts, Observatory, Observed, Outcome,
    OutcomeKind, Reason, SeatCount,
    asking::Asking,
    attested::{Attested, Open, Witnesses},
    binding, cancel,
    entry::AuthorizationScope,
    explain::{explain, shorten},
    freeze::{self, Frozen},
    lineage::{self, Place, Surroundings},
    matter::Matter,
    replace::Replacements,
    review::{self, Review, Reviewed},
    spend::Spend,
};

/// The most authorized attempts of one withdrawal: fee bumps of a stuck transaction, not a way to grow the journal.
pub const MAX_ATTEMPTS: u32 = 64;
/// The most cancel attempts behind those: whoever brings the bytes can use the others up, and what is signed must not become
/// what nothing can take the place of.
pub const MAX_CANCEL_ATTEMPTS: u32 = 16;
/// How many of them each cancel that names a ceiling makes room for. Whoever brings the bytes can use these up too, each too cheap to
/// land; then whoever may cancel says so again, once the bytes are brought by somebody else.
pub const ATTEMPTS_PER_CANCEL: u32 = 4;
/// The most statements of people that are considered for one withdrawal: a quorum's worst case, and the entry still fits
/// the log.
pub const MAX_STATEMENTS: usize = 64;
/// The most observations that are considered for one withdrawal: two observers and 16 expired attempts. Observers have no
/// share of the people's statements, and people none of theirs.
pub const MAX_OBSERVATIONS: usize = 32;
/// The most reasons of an entry: it must fit the log. The answer has all of them.
const MAX_ENTRY_REASONS: usize = 32;

/// Decides a case. The order is the pipeline's (DESIGN.md §7): statement, bytes, lineage, policy, approvals.
pub fn decide(case: &Case<'_>) -> Decision {
    let mut draft = Draft::new(case);
    let outcome = draft.conclude().unwrap_or_else(|stop| stop);
    draft.finish(outcome)
}

/// The decision while it is being made. A stage that ends it returns the outcome as an error.
struct Draft<'a> {
    case: &'a Case<'a>,
    withdrawal: WithdrawalId,
    observed: Observed,
    replaced: Replacements,
    /// How many cancel attempts there is room for, where the bytes are one.
    room: Option<u32>,
    /// The request under the fee ceiling that the bytes are held to: a cancel's, or what its replacements leave.
    request: Request,
    /// The freezes that stop it.
    frozen: Vec<FreezeFact>,
    attested: Attested,
    effects: Option<EffectsText>,
    trace: Vec<Evaluation>,
    reviewed: Option<Reviewed>,
    not_before: Option<Timestamp>,
    authorization: Option<AuthorizationRecord>,
    spend: Option<Spend>,
}

fn denied(reasons: Vec<Reason>, is_final: bool) -> Outcome {
    Outcome::Denied { reasons, is_final }
}

impl<'a> Draft<'a> {
    fn new(case: &'a Case<'a>) -> Self {
        let payload = case.verified.envelope().payload();
        let withdrawal = WithdrawalId::of(countersign_types::RequestDigest::of(payload));
        let asking = Asking::of(case, withdrawal);
        let replaced = Replacements::of(case, &asking);
        let cancel = cancel::cancelling(case, &asking);
        let frozen = Frozen {
            request: case.request,
            initiator: case.verified.signer(),
            parsed: case.reading.parsed().ok(),
        };
        Self {
            case,
            withdrawal,
            attested: witnesses(case, withdrawal).attest(case.statements),
            observed: observatory(case).observe(case.statements),
            room: cancel.as_ref().map(|cancel| cancel.room),
            request: Request {
                fee_ceiling: cancel.map_or_else(|| replaced.ceiling().clone(), |cancel| cancel.ceiling),
                ..case.request.clone()
            },
            replaced,
            frozen: frozen.matching(&case.ledger.freezes),
            effects: None,
            trace: Vec::new(),
            reviewed: None,
            not_before: None,
            authorization: None,
            spend: None,
        }
    }

    fn conclude(&mut self) -> Result<Outcome, Outcome> {
        self.certify_request()?;
        self.certify_reading()?;
        let parsed = self.parsed()?;
        self.certify_facts()?;
        let text = self.bind(parsed)?;
        self.certify_thawed()?;
        let place = self.place(parsed)?;
        let obligations = self.evaluate(parsed)?;
        self.review((&text, parsed), &obligations, place.waiting.as_ref())?;
        self.authorize(parsed, &place);
        Ok(Outcome::Allowed)
    }

    /// Header, initiator, and what the ledger knows of the request.
    fn certify_request(&self) -> Result<(), Outcome> {
        let case = self.case;
        let header = &case.verified.statement().header;
        // What was signed under a request outlives it, and can be cancelled as long as it may land.
        let at = if self.cancels() { case.first_seen_at } else { case.now };
        if let Err(error) = header.certify(case.deployment, case.ledger.epoch, at) {
            let is_final = !matches!(error, StatementError::NotYetValid { .. });
            return Err(denied(
                vec![Reason::new(
                    error.tag(),
                    format!("the request: {}", review::timeless(&error)),
                )],
                is_final,
            ));
        }
        let initiator = case.verified.signer();
        if !case.active.roster().may_initiate(&case.request.tenant, initiator) {
            let message = format!("`{initiator}` is not an initiator of tenant `{}`", case.request.tenant);
            return Err(denied(vec![Reason::new(Tag::RequestNotInitiator, message)], false));
        }
        let mut conflicts = lineage::conflicts(case.request, case.ledger);
        conflicts.extend(lineage::ended(case.ledger).filter(|_| !self.cancels()));
        if conflicts.is_empty() {
            Ok(())
        } else {
            Err(denied(conflicts, true))
        }
    }

    fn parsed(&self) -> Result<&'a ParsedTransaction, Outcome> {
        match self.case.reading.parsed() {
            Ok(parsed) => Ok(parsed),
            Err(error) => {
                let reasons = vec![Reason::new(error.tag(), error.to_string())];
                // A wallet or network that the bundle lacks is not a matter of bytes.
                match error.tag().class() {
                    countersign_types::Class::Malformed => Err(Outcome::Malformed { reasons }),
                    countersign_types::Class::Denied
                    | countersign_types::Class::Pending
                    | countersign_types::Class::Conflict
                    | countersign_types::Class::Failed
                    | countersign_types::Class::Unauthorized
                    | countersign_types::Class::NotFound
                    | countersign_types::Class::Exhausted => Err(denied(reasons, false)),
                }
            }
        }
    }

    /// The bytes were read with what these statements attest, whoever read them.
    fn certify_reading(&self) -> Result<(), Outcome> {
        let case = self.case;
        if !case.reading.is_of(case.active, case.request, self.observed.facts()) {
            let message = "the bytes were read with other facts than the statements attest";
            return Err(denied(vec![Reason::new(Tag::FactsUnattested, message)], false));
        }
        Ok(())
    }

    /// Everything that the bytes rest on is attested: what is not would be an effect that nobody can name.
    fn certify_facts(&self) -> Result<(), Outcome> {
        let case = self.case;
        let observers = case.active.roster().observers(&case.request.network);
        let reasons: Vec<Reason> = case
            .reading
            .unattested()
            .map(|key| {
                let (what, account) = match key {
                    FactKey::LookupTable(account) => ("address lookup table", account),
                    FactKey::NonceAccount(account) => ("durable nonce account", account),
                };
                let todo = match observers {
                    Some(observers) => format!("collect observations of {} observers", observers.threshold()),
                    None => "the roster names no observers of its network".to_owned(),
                };
                Reason::new(Tag::FactsUnattested, format!("{what} {account}: {todo}"))
            })
            .collect();
        if reasons.is_empty() {
            return Ok(());
        }
        Err(Outcome::Pending {
            missing: Vec::new(),
            not_before: None,
            reasons,
        })
    }

    /// No freeze in force stops it. The effects text stands by now: what is stopped can be seen.
    fn certify_thawed(&self) -> Result<(), Outcome> {
        let reasons = freeze::reasons(&self.frozen);
        if reasons.is_empty() {
            return Ok(());
        }
        Err(denied(reasons, false))
    }

    /// The bytes do what the request asks for, and nothing else.
    fn bind(&mut self, parsed: &ParsedTransaction) -> Result<EffectsText, Outcome> {
        let case = self.case;
        let registry = case.active.registry();
        let text = binding::effects_text(&self.request, parsed, registry)
            .map_err(|error| denied(vec![Reason::new(Tag::TransactionTooLarge, error.to_string())], false))?;
        self.effects = Some(text.clone());
        let mismatches = match self.cancels() {
            // What it does otherwise was looked at when it was taken for a cancel attempt.
            true => Vec::from_iter(binding::fee_mismatch(&self.request.fee_ceiling, parsed, registry)),
            false => binding::mismatches(&self.request, case.reading.transaction(), parsed, &text, registry),
        };
        if mismatches.is_empty() {
            Ok(text)
        } else {
            Err(denied(mismatches, false))
        }
    }

    /// Whether the bytes are a cancel attempt.
    fn cancels(&self) -> bool {
        self.room.is_some()
    }

    fn place(&self, parsed: &ParsedTransaction) -> Result<Place, Outcome> {
        let (surroundings, transaction) = (self.surroundings(), self.case.reading.transaction());
        let place = match self.room {
            Some(room) => surroundings.place_cancel(room, transaction, parsed),
            None => surroundings.place(transaction, parsed),
        };
        place.map_err(|reasons| denied(reasons, false))
    }

    fn surroundings(&self) -> Surroundings<'_> {
        let case = self.case;
        let network = case.active.registry().network(&case.request.network);
        Surroundings {
            ledger: case.ledger,
            observed: &self.observed,
            expires: matches!(network, Some(Network::Solana(_))),
            bundle: case.active,
        }
    }

    /// POLICY.md step 9: under the policy at first sight and the active one; the obligations of both. Destination lists are
    /// part of it: what was not permitted at first sight does not become so by a later list.
    fn evaluate(&mut self, parsed: &ParsedTransaction) -> Result<Obligations, Outcome> {
        let case = self.case;
        let mut obligations = Obligations::default();
        let mut reasons = Vec::new();
        let mut is_denied_at_first_sight = false;
        let is_changed = case.first.digest() != case.active.digest();
        let bundles = std::iter::once(case.active).chain(is_changed.then_some(case.first));
        for bundle in bundles {
            let groups = bundle.roster().groups_of(case.verified.signer());
            let facts = facts(case, (bundle, &groups), parsed, &self.attested);
            let evaluation = evaluate(bundle.policy(), &facts);
            match &evaluation.outcome {
                PolicyOutcome::Allow(asked) => obligations.join(asked),
                PolicyOutcome::Deny => {
                    is_denied_at_first_sight |= bundle.digest() == case.first.digest();
                    let assets = bundle.registry().assets();
                    let near = nearest(bundle.policy(), &facts, &evaluation.uncovered());
                    let told = |reason: &countersign_policy::Reason| {
                        let effect = reason
                            .effect
                            .and_then(|at| parsed.effects().get(usize::try_from(at).ok()?));
                        let near = reason.effect.and_then(|at| near.get(&at));
                        explain(reason, effect, near.map_or(&[], Vec::as_slice), assets)
                    };
                    reasons.extend(evaluation.reasons.iter().map(told));
                }
            }
            self.trace.push(evaluation);
        }
        // The policy at first sight must allow whatever bundle comes later, and an exact request has no other bytes: such
        // a denial can never change. A template may still get an attempt with a lower fee, and so may a cancel.
        let is_exact = !self.cancels() && matches!(case.request.transaction, TransactionBinding::Exact(_));
        if reasons.is_empty() {
            return Ok(obligations);
        }
        let mut missing = self.missing_prices(parsed);
        if !missing.is_empty() {
            missing.extend(reasons);
            return Err(Outcome::Pending {
                missing: Vec::new(),
                not_before: None,
                reasons: missing,
            });
        }
        // What the policy looks at besides the bytes (prices, books, history, the clock) may be otherwise next time.
        let is_fixed = !case.first.policy().wants().may_change();
        Err(denied(reasons, is_exact && is_denied_at_first_sight && is_fixed))
    }

    /// What would have to be quoted for the policies to compare in money.
    fn missing_prices(&self, parsed: &ParsedTransaction) -> Vec<Reason> {
        let case = self.case;
        let mut currencies = case.active.policy().wants().currencies.clone();
        currencies.extend(&case.first.policy().wants().currencies);
        self.attested.missing_prices(&currencies, parsed, case.active.roster())
    }

    fn review(
        &mut self,
        (text, parsed): (&EffectsText, &ParsedTransaction),
        obligations: &Obligations,
        waiting: Option<&Reason>,
    ) -> Result<(), Outcome> {
        let case = self.case;
        let review = Review {
            asking: Asking::of(case, self.withdrawal),
            now: case.now,
            cancels: self.cancels(),
            effects: text,
            replaced: &self.replaced,
            ceiling: &self.request.fee_ceiling,
            policy: case.active.policy_digest(),
            obligations,
            observatory: observatory(case),
            witnesses: witnesses(case, self.withdrawal),
        };
        let reviewed = review.review(case.statements, case.first_seen_at);
        let mut attesters = case.active.policy().wants().attesters.clone();
        attesters.extend(case.first.policy().wants().attesters.iter().cloned());
        self.not_before = reviewed.completed_at.map(|at| at.after(obligations.time_lock()));
        let waits = Waits {
            not_before: self.not_before,
            place: waiting,
            attested: self.attested.open((&self.trace, &attesters), parsed, case.now),
            prices: self.missing_prices(parsed),
        };
        let outcome = open(&reviewed, waits, case.now);
        self.reviewed = Some(reviewed);
        outcome.map_or(Ok(()), Err)
    }

    fn authorize(&mut self, parsed: &ParsedTransaction, place: &Place) {
        let groups = self.case.active.roster().groups_of(self.case.verified.signer());
        let facts = facts(self.case, (self.case.active, &groups), parsed, &self.attested);
        self.spend = Some(Spend::of(&facts, &self.case.request.tenant));
        let payloads: Vec<PayloadDigest> = parsed
            .signing_payloads()
            .iter()
            .map(|payload| payload.digest())
            .collect();
        let sign_by = self.case.now.after(self.case.sign_within);
        let scope = AuthorizationScope {
            deployment: self.case.deployment,
            withdrawal: self.withdrawal,
            transaction: self.case.reading.transaction(),
            bundle: self.case.active.digest(),
            attempt: place.attempt,
        };
        self.authorization = Some(AuthorizationRecord {
            id: scope.id(&payloads, sign_by),
            attempt: place.attempt,
            payloads,
            fee_max: binding::fee(parsed).map_or(Amount::MAX, |(_, max)| max),
            sign_by,
        });
    }

    fn finish(self, outcome: Outcome) -> Decision {
        let case = self.case;
        let surroundings = self.surroundings();
        let (fates, foreign) = (surroundings.fates(), surroundings.foreign(case.reading.parsed().ok()));
        let charges = charges(&self.trace);
        let (kind, reasons) = match &outcome {
            Outcome::Allowed => (OutcomeKind::Allowed, Vec::new()),
            Outcome::Pending { reasons, .. } => (OutcomeKind::Pending, reasons.clone()),
            Outcome::Denied { reasons, .. } => (OutcomeKind::Denied, reasons.clone()),
            Outcome::Malformed { reasons } => (OutcomeKind::Malformed, reasons.clone()),
        };
        let seats = self.reviewed.as_ref().map(seat_counts).unwrap_or_default();
        let entry = DecisionEntry {
            semantics: SEMANTICS.to_owned(),
            withdrawal: self.withdrawal,
            transaction: case.reading.transaction(),
            decided_at: case.now,
            bundle: case.active.digest(),
            first_bundle: case.first.digest(),
            outcome: kind,
            effects: self.effects.as_ref().map(EffectsText::digest),
            reasons: reasons.into_iter().take(MAX_ENTRY_REASONS).map(shorten).collect(),
            seats,
            not_before: self.not_before,
            statements: self.reviewed.map(|reviewed| reviewed.considered).unwrap_or_default(),
            ledger: LedgerFacts {
                freezes: self.frozen,
                ..case.ledger.clone()
            },
            authorization: self.authorization,
            trace: trace_digest(&self.trace),
        };
        Decision {
            outcome,
            entry,
            trace: self.trace,
            effects: self.effects,
            cancels: self.room.is_some(),
            fee_ceiling: self.request.fee_ceiling,
            charges,
            spend: self.spend,
            fates,
            foreign,
        }
    }
}

fn observatory<'a>(case: &Case<'a>) -> Observatory<'a> {
    Observatory {
        deployment: case.deployment,
        epoch: case.ledger.epoch,
        network: &case.request.network,
        roster: case.active.roster(),
        now: case.now,
    }
}

fn witnesses<'a>(case: &Case<'a>, withdrawal: WithdrawalId) -> Witnesses<'a> {
    Witnesses {
        deployment: case.deployment,
        withdrawal,
        tenant: &case.request.tenant,
        roster: case.active.roster(),
        ledger: case.ledger,
        now: case.now,
    }
}

/// What a decision waits for besides people.
struct Waits<'a> {
    /// When the time-lock runs out.
    not_before: Option<Timestamp>,
    /// Its turn.
    place: Option<&'a Reason>,
    /// What services have not attested, or attest against it.
    attested: Open,
    /// Prices that are not known: the policy decided without them, and may ask for less with them.
    prices: Vec<Reason>,
}

/// What the statements leave open, or `None` if nothing is.
fn open(reviewed: &Reviewed, waits: Waits<'_>, now: Timestamp) -> Option<Outcome> {
    if !reviewed.ended.is_empty() {
        return Some(denied(reviewed.ended.clone(), true));
    }
    let Waits {
        not_before,
        place,
        attested,
        prices,
    } = waits;
    // A later word of the service may be another one.
    if !attested.failed.is_empty() {
        return Some(denied(attested.failed, false));
    }
    let missing: Vec<_> = reviewed
        .seating
        .seats()
        .filter(|(_, required, filled)| filled < required)
        .map(|(group, required, filled)| (group.clone(), required, filled))
        .collect();
    let mut reasons: Vec<Reason> = missing
        .iter()
        .map(|(group, required, filled)| {
            Reason::new(
                Tag::ApprovalMissing,
                format!("{filled} of {required} people of group `{group}` approved"),
            )
        })
        .collect();
    let is_locked = not_before.is_some_and(|at| now < at);
    if is_locked && missing.is_empty() {
        let message = format!("the time-lock runs until {}", not_before.unwrap_or(now));
        reasons.push(Reason::new(Tag::ApprovalTimeLock, message));
    }
    reasons.extend(place.cloned());
    reasons.extend(attested.missing);
    if reasons.is_empty() {
        return None;
    }
    reasons.extend(prices);
    reasons.extend(reviewed.discounted.iter().cloned());
    Some(Outcome::Pending {
        missing,
        not_before: not_before.filter(|_| is_locked),
        reasons,
    })
}

fn seat_counts(reviewed: &Reviewed) -> BTreeMap<GroupId, SeatCount> {
    let seats = reviewed.seating.seats();
    seats
        .map(|(group, required, filled)| (group.clone(), SeatCount { required, filled }))
        .collect()
}

fn facts<'f>(
    case: &'f Case<'_>,
    (bundle, initiator_groups): (&'f Bundle, &'f BTreeSet<GroupId>),
    parsed: &'f ParsedTransaction,
    attested: &'f Attested,
) -> Facts<'f> {
    let matter = Matter {
        bundle,
        initiator: case.verified.signer(),
        initiator_groups,
        request: case.request,
        parsed,
    };
    let mut facts = matter.facts(Context {
        now: Some(case.now),
        usage: &case.ledger.usage,
        prices: attested.prices(),
        ..Context::unknown()
    });
    for fact in &mut facts.effects {
        fact.destination = attested.destination((fact.effect, fact.subject), bundle, case.ledger, case.now);
    }
    facts
}

/// The trace always has a JSON text by its types; an unprintable one would be seen as a changed digest.
pub(crate) fn trace_digest(trace: &[Evaluation]) -> EntryDigest {
    EntryDigest::of(&serde_json::to_vec(trace).unwrap_or_default())
}
