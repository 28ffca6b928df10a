//! The receipt: one file with everything about one withdrawal, verified offline (DESIGN.md §9).
//!
//! The verifier trusts the genesis it was given and nothing else. It certifies the chain of bundles, verifies every
//! statement, parses the bytes, takes the decision again and compares it with the logged entry byte for byte, checks that
//! every entry is in the log under a checkpoint of the genesis's log key, and assembles the signed transaction again.

use std::collections::{BTreeMap, BTreeSet};

use countersign_approval::{Body, Envelope, Genesis, StatementError, verify};
use countersign_audit::{InclusionProof, KeyName, LeafHash, SignedCheckpoint, VerifiedCheckpoint, VerifierKey};
use countersign_bundle::Bundle;
use countersign_policy::{Evaluation, Usage, Wants};
use countersign_types::{
    AssetRegistry, Duration, EffectsText, PayloadDigest, RawSignature, Scheme, StatementDigest, Timestamp,
    TransactionDigest, WithdrawalId,
};

use crate::{
    ActivatedBundle, ActivationEntry, BundleChain, Case, Decision, DecisionEntry, Entry, Observatory, Reading,
    ReceiptError, Seen, SeenStatement, Spend, decide, outdated, receipt_attempts,
    receipt_bundles::unpack,
    receipt_entries::{
        as_decision, as_statement_about, first_signed, last_allowed, last_decision, last_signature, signature_of,
        verify_in_force, verify_recorded,
    },
    receipt_error::broken,
    receipt_file::{FORMAT, MAX_RECEIPT_BYTES, ReceiptJson, SignedJson},
    said::spoke_for,
};

/// A receipt that verified: what an auditor may rely on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The withdrawal.
    pub withdrawal: WithdrawalId,
    /// The last decision, recomputed and found in the log; `None` if the receipt is of a withdrawal that never got a
    /// decision that can be recomputed (its bytes are not kept when nothing was authorized).
    pub decision: Option<DecisionEntry>,
    /// The policy's trace of that decision, under the bundle in force and, if it was another, the one at first sight.
    pub trace: Vec<Evaluation>,
    /// What the policies of that decision looked at; nothing where there is none.
    pub wants: Wants,
    /// What the amounts of the trace are called: the assets of the receipt's last bundle.
    pub assets: AssetRegistry,
    /// The effects of the authorized bytes.
    pub effects: Option<EffectsText>,
    /// What the authorized bytes spend.
    pub spend: Option<Spend>,
    /// The transaction id, if it was signed.
    pub txid: Option<String>,
    /// The ids of the other attempts that were signed, in the order of the log: one of all of them can land.
    pub others: Vec<String>,
    /// When the checkpoint was made: later events are not covered.
    pub as_of: Timestamp,
    /// How many log entries were proven.
    pub entries: usize,
}

impl Receipt {
    /// Verifies a receipt under a genesis that the caller pinned.
    pub fn verify(bytes: &[u8], genesis_bytes: &[u8]) -> Result<Self, ReceiptError> {
        opened(bytes, genesis_bytes)?.verify()
    }
}

/// Every bundle of the receipt came into force when and as the log says: the moments of the file alone would let it claim that
/// a time-lock had run out.
fn verify_activations(chain: &BundleChain, entries: &[Entry]) -> Result<(), ReceiptError> {
    for step in chain.steps() {
        let expected = ActivationEntry::of(step);
        let is_logged = |entry: &Entry| matches!(entry, Entry::Activation(entry) if *entry == expected);
        if !entries.iter().any(is_logged) {
            return Err(broken(format!(
                "the activation of bundle {} is not in the log as the receipt has it",
                expected.bundle
            )));
        }
    }
    Ok(())
}

/// A receipt that can be read and is of the pinned deployment.
pub(crate) fn opened(bytes: &[u8], genesis_bytes: &[u8]) -> Result<Verifier, ReceiptError> {
    let genesis = Genesis::parse(genesis_bytes).map_err(|error| ReceiptError::Unreadable(error.to_string()))?;
    if bytes.len() > MAX_RECEIPT_BYTES {
        return Err(ReceiptError::Unreadable(format!(
            "it is over {MAX_RECEIPT_BYTES} bytes"
        )));
    }
    let json: ReceiptJson =
        serde_json::from_slice(bytes).map_err(|error| ReceiptError::Unreadable(error.to_string()))?;
    if json.format != FORMAT {
        return Err(ReceiptError::Unreadable(format!("its format is not `{FORMAT}`")));
    }
    if json.genesis.0 != genesis_bytes {
        return Err(ReceiptError::OtherDeployment {
            found: countersign_types::GenesisHash::of(&json.genesis.0).to_string(),
            trusted: genesis.hash().to_string(),
        });
    }
    Ok(Verifier { genesis, json })
}

/// A decision taken again, and what it made of the bytes.
struct Recomputed {
    decision: Decision,
    reading: Reading,
}

pub(crate) struct Verifier {
    genesis: Genesis,
    json: ReceiptJson,
}

impl Verifier {
    pub(crate) fn verify(&self) -> Result<Receipt, ReceiptError> {
        let entries = self.parse_entries()?;
        let note =
            SignedCheckpoint::parse(self.json.checkpoint.as_bytes()).map_err(|error| broken(error.to_string()))?;
        let key = log_key(&self.genesis)?;
        let checkpoint = note
            .verify(&key)
            .map_err(|error| broken(format!("the checkpoint: {error}")))?;
        self.verify_inclusion(&checkpoint)?;
        let chain = self.verify_chain()?;
        self.verify_statement_entries(&entries)?;
        verify_activations(&chain, &entries)?;
        let last = last_decision(&entries);
        let recomputed = match (&self.json.unsigned_transaction, self.shown_decision(&entries)) {
            (Some(unsigned), Some(allowed)) => {
                verify_in_force(&entries, allowed)?;
                self.verify_considered(&chain, &entries, allowed)?;
                Some(self.recompute(&chain, allowed, &unsigned.0)?)
            }
            (None, None) if last_allowed(&entries, |_| true).is_none() => None,
            (Some(_), None) => {
                return Err(broken(
                    "the receipt has bytes, the log has no decision that allowed them",
                ));
            }
            (None, _) => {
                return Err(broken(
                    "the log has a decision that allowed bytes that the receipt lacks",
                ));
            }
        };
        let txid = self.verify_signed(&chain, &entries, recomputed.as_ref())?;
        let assets = chain
            .active()
            .map(|bundle| bundle.registry().assets().clone())
            .unwrap_or_default();
        let mut others = receipt_attempts::signed(self.json.withdrawal, &entries)?;
        others.retain(|other| Some(other) != txid.as_ref());
        let decision = recomputed.map(|recomputed| recomputed.decision);
        let mut wants = Wants::default();
        let entry = decision.as_ref().map(|decision| &decision.entry);
        for digest in entry
            .map(|entry| [entry.bundle, entry.first_bundle])
            .into_iter()
            .flatten()
        {
            let policy = chain.bundle(digest).map(|bundle| bundle.policy());
            policy.into_iter().for_each(|policy| wants.join(policy.wants()));
        }
        let trace = decision
            .as_ref()
            .map(|decision| decision.trace.clone())
            .unwrap_or_default();
        Ok(Receipt {
            withdrawal: self.json.withdrawal,
            effects: decision.as_ref().and_then(|decision| decision.effects.clone()),
            spend: decision.as_ref().and_then(|decision| decision.spend.clone()),
            decision: decision.map(|decision| decision.entry).or_else(|| last.cloned()),
            trace,
            wants,
            assets,
            txid,
            others,
            as_of: checkpoint.checkpoint().made_at(),
            entries: entries.len(),
        })
    }

    fn parse_entries(&self) -> Result<Vec<Entry>, ReceiptError> {
        self.json
            .entries
            .iter()
            .map(|entry| Ok(Entry::parse(&entry.entry.0)?))
            .collect()
    }

    fn verify_inclusion(&self, checkpoint: &VerifiedCheckpoint<'_>) -> Result<(), ReceiptError> {
        let mut previous = None;
        for entry in &self.json.entries {
            if previous.is_some_and(|previous| previous >= entry.index) {
                return Err(broken("the log entries are not in order"));
            }
            previous = Some(entry.index);
            let leaf = LeafHash::of(&entry.entry.0).map_err(|error| broken(error.to_string()))?;
            let proof = InclusionProof::try_from(entry.proof.clone()).map_err(|error| broken(error.to_string()))?;
            checkpoint
                .verify_inclusion(entry.index, &leaf, &proof)
                .map_err(|error| broken(format!("log entry {}: {error}", entry.index)))?;
        }
        Ok(())
    }

    fn verify_chain(&self) -> Result<BundleChain, ReceiptError> {
        let files = unpack(&self.json.bundles)?.into_iter();
        let activated: Vec<ActivatedBundle> = files
            .zip(&self.json.bundles)
            .map(|(files, bundle)| ActivatedBundle {
                files,
                statements: bundle
                    .statements
                    .iter()
                    .map(|statement| SeenStatement {
                        envelope: statement.envelope.0.clone(),
                        first_seen_at: statement.first_seen_at,
                    })
                    .collect(),
                activated_at: bundle.activated_at,
            })
            .collect();
        Ok(BundleChain::verify(&self.genesis, self.json.epoch, &activated)?)
    }

    /// Every statement of the receipt has its entry with the same first sight: times are the log's, not the file's.
    fn verify_statement_entries(&self, entries: &[Entry]) -> Result<(), ReceiptError> {
        let mut logged: BTreeMap<StatementDigest, Timestamp> = BTreeMap::new();
        for entry in entries {
            match entry {
                Entry::Request(entry) | Entry::Statement(entry) => {
                    logged.insert(entry.statement, entry.first_seen_at);
                }
                Entry::Genesis(_)
                | Entry::Activation(_)
                | Entry::Decision(_)
                | Entry::Signature(_)
                | Entry::Freeze(_)
                | Entry::Thaw(_) => {}
            }
        }
        let activating = self.json.bundles.iter().flat_map(|bundle| &bundle.statements);
        let statements = std::iter::once(&self.json.request)
            .chain(&self.json.statements)
            .chain(activating);
        for statement in statements {
            let envelope = Envelope::parse(&statement.envelope.0).map_err(|error| broken(error.to_string()))?;
            if logged.get(&envelope.statement_digest()) != Some(&statement.first_seen_at) {
                return Err(broken(format!(
                    "statement {} is not in the log as the receipt has it",
                    envelope.statement_digest()
                )));
            }
        }
        Ok(())
    }

    /// The decision that allowed the receipt's bytes: the one that they were signed under, else the last one. The same bytes
    /// may have been authorized more than once, and other attempts of the lineage are in the log as well.
    fn shown_decision<'e>(&self, entries: &'e [Entry]) -> Option<&'e DecisionEntry> {
        let transaction = TransactionDigest::of(&self.json.unsigned_transaction.as_ref()?.0);
        let is_shown = |entry: &DecisionEntry| entry.transaction == transaction;
        let is_signed = |entry: &DecisionEntry| signature_of(entries, entry).is_some();
        last_allowed(entries, |entry| is_shown(entry) && is_signed(entry)).or_else(|| last_allowed(entries, is_shown))
    }

    /// Takes the decision again from statements, bytes and the ledger facts that the log recorded.
    fn recompute(
        &self,
        chain: &BundleChain,
        logged: &DecisionEntry,
        unsigned: &[u8],
    ) -> Result<Recomputed, ReceiptError> {
        if logged.semantics != countersign_policy::SEMANTICS {
            return Err(broken(format!(
                "this version cannot recompute decisions under `{}`",
                logged.semantics
            )));
        }
        let active = chain
            .bundle(logged.bundle)
            .ok_or_else(|| broken("the decision's bundle is not in the chain"))?;
        let first = chain
            .bundle(logged.first_bundle)
            .ok_or_else(|| broken("the first bundle is not in the chain"))?;
        let recomputed = self.decide(active, first, logged, unsigned)?;
        if recomputed.decision.entry != *logged || logged.withdrawal != self.json.withdrawal {
            return Err(broken("taking the decision again gives another one than the log has"));
        }
        Ok(recomputed)
    }

    /// When the withdrawal was first decided to be signed, and was.
    pub(crate) fn first_signed_at(&self) -> Result<Option<Timestamp>, ReceiptError> {
        let entries = self.parse_entries()?;
        Ok(first_signed(&entries).map(|decision| decision.decided_at))
    }

    /// The decision under another bundle, with the facts that were recorded and more of what windows held; `None` where the
    /// receipt has no bytes. Whoever asked may be nobody there.
    pub(crate) fn decide_under(
        &self,
        candidate: &Bundle,
        more: Usage,
    ) -> Result<Option<Result<Decision, StatementError>>, ReceiptError> {
        let entries = self.parse_entries()?;
        let (Some(unsigned), Some(logged)) = (&self.json.unsigned_transaction, self.shown_decision(&entries)) else {
            return Ok(None);
        };
        let request = Envelope::parse(&self.json.request.envelope.0).map_err(|error| broken(error.to_string()))?;
        if let Err(error) = verify(&request, candidate.roster()) {
            return Ok(Some(Err(error)));
        }
        let mut logged = logged.clone();
        logged.ledger.usage = logged.ledger.usage.or(more);
        let decided = self.decide(candidate, candidate, &logged, &unsigned.0)?;
        Ok(Some(Ok(decided.decision)))
    }

    fn decide(
        &self,
        active: &Bundle,
        first: &Bundle,
        logged: &DecisionEntry,
        unsigned: &[u8],
    ) -> Result<Recomputed, ReceiptError> {
        let envelope = Envelope::parse(&self.json.request.envelope.0).map_err(|error| broken(error.to_string()))?;
        let verified = verify(&envelope, active.roster()).map_err(|error| broken(format!("the request: {error}")))?;
        let Body::Request(request) = &verified.statement().body else {
            return Err(broken("the request statement is of another kind"));
        };
        let statements = self.considered(active, logged)?;
        let observatory = Observatory {
            deployment: self.genesis.hash(),
            epoch: logged.ledger.epoch,
            network: &request.network,
            roster: active.roster(),
            now: logged.decided_at,
        };
        let facts = observatory.observe(&statements).facts().clone();
        let reading = Reading::new(active, request, unsigned, facts);
        let authorization = logged
            .authorization
            .as_ref()
            .ok_or_else(|| broken("an allowed decision has no authorization"))?;
        let case = Case {
            deployment: self.genesis.hash(),
            active,
            first,
            verified: &verified,
            request,
            first_seen_at: self.json.request.first_seen_at,
            reading: &reading,
            statements: &statements,
            ledger: &logged.ledger,
            now: logged.decided_at,
            sign_within: span(logged.decided_at, authorization.sign_by),
        };
        let decision = decide(&case);
        Ok(Recomputed { decision, reading })
    }

    /// Every statement that the log has before a decision that allowed was considered by it, or spoke for the payment and is over: another of
    /// them replaced it, or it verifies no more. A rejection is not overlooked.
    fn verify_considered(
        &self,
        chain: &BundleChain,
        entries: &[Entry],
        allowed: &DecisionEntry,
    ) -> Result<(), ReceiptError> {
        let considered: BTreeSet<_> = allowed.statements.iter().map(|seen| seen.statement).collect();
        let before: BTreeSet<_> = entries
            .iter()
            .take_while(|entry| as_decision(entry) != Some(allowed))
            .filter_map(|entry| as_statement_about(entry, allowed.withdrawal))
            .collect();
        let active = chain.bundle(allowed.bundle);
        let active = active.ok_or_else(|| broken("the decision's bundle is not in the chain"))?;
        let (mut verified, mut over) = (Vec::new(), BTreeSet::new());
        for statement in &self.json.statements {
            let envelope = Envelope::parse(&statement.envelope.0).map_err(|error| broken(error.to_string()))?;
            let digest = envelope.statement_digest();
            if before.contains(&digest) {
                match verify(&envelope, active.roster()) {
                    Ok(said) => verified.push(said),
                    // It was somebody's word once: under what the file has of it now, nothing is excused.
                    Err(_) => {
                        let mut steps = chain.steps().iter();
                        let was_said = steps.any(|step| verify(&envelope, step.bundle.roster()).is_ok());
                        over.extend((was_said && spoke_for(&envelope)).then_some(digest));
                    }
                }
            }
        }
        over.extend(outdated(verified.iter()));
        match before.difference(&considered).find(|one| !over.contains(one)) {
            None => Ok(()),
            Some(one) => Err(broken(format!("the decision did not consider statement {one}"))),
        }
    }

    /// The statements that the logged decision considered, in its order.
    fn considered(&self, active: &Bundle, logged: &DecisionEntry) -> Result<Vec<Seen>, ReceiptError> {
        let mut envelopes = BTreeMap::new();
        for statement in &self.json.statements {
            let envelope = Envelope::parse(&statement.envelope.0).map_err(|error| broken(error.to_string()))?;
            envelopes.insert(envelope.statement_digest(), (envelope, statement.first_seen_at));
        }
        let seen = |considered: &crate::ConsideredStatement| {
            let (envelope, first_seen_at) = envelopes
                .get(&considered.statement)
                .ok_or_else(|| broken(format!("statement {} is missing", considered.statement)))?;
            Ok(Seen {
                digest: considered.statement,
                verified: verify(envelope, active.roster()),
                first_seen_at: *first_seen_at,
            })
        };
        logged.statements.iter().map(seen).collect()
    }

    /// The signature entry is of the recomputed authorization, and assembling again gives the receipt's transaction.
    fn verify_signed(
        &self,
        chain: &BundleChain,
        entries: &[Entry],
        recomputed: Option<&Recomputed>,
    ) -> Result<Option<String>, ReceiptError> {
        let logged = recomputed.and_then(|recomputed| signature_of(entries, &recomputed.decision.entry));
        let (signed, entry, recomputed) = match (&self.json.signed, logged, recomputed) {
            (None, None, _) if last_signature(entries).is_none() => return Ok(None),
            (Some(signed), Some(entry), Some(recomputed)) => (signed, entry, recomputed),
            (Some(_), _, _) => {
                return Err(broken(
                    "the receipt has a signed transaction, the log has no signature for it",
                ));
            }
            (None, _, _) => return Err(broken("the log has a signature that the receipt lacks")),
        };
        verify_recorded(entries, &recomputed.decision.entry, entry)?;
        let is_authorized = recomputed
            .decision
            .entry
            .authorization
            .as_ref()
            .is_some_and(|authorization| {
                authorization.id == entry.authorization && authorization.payloads == entry.payloads
            });
        if !is_authorized || entry.withdrawal != self.json.withdrawal {
            return Err(broken(
                "the signature is not of the authorization that the decision gave",
            ));
        }
        let transaction = self.assemble(chain, recomputed, signed, &entry.payloads)?;
        let hex: Vec<String> = signed.signatures.iter().map(|blob| to_hex(&blob.0)).collect();
        if transaction.bytes != signed.transaction.0
            || transaction.txid != signed.txid
            || entry.txid != signed.txid
            || entry.signatures != hex
        {
            return Err(broken("assembling the transaction again gives another one"));
        }
        Ok(Some(transaction.txid))
    }

    fn assemble(
        &self,
        chain: &BundleChain,
        recomputed: &Recomputed,
        signed: &SignedJson,
        payloads: &[PayloadDigest],
    ) -> Result<countersign_types::SignedTransaction, ReceiptError> {
        let bundle = chain
            .bundle(recomputed.decision.entry.bundle)
            .ok_or_else(|| broken("the decision's bundle is not in the chain"))?;
        let envelope = Envelope::parse(&self.json.request.envelope.0).map_err(|error| broken(error.to_string()))?;
        let verified = verify(&envelope, bundle.roster()).map_err(|error| broken(error.to_string()))?;
        let Body::Request(request) = &verified.statement().body else {
            return Err(broken("the request statement is of another kind"));
        };
        let unsigned = self
            .json
            .unsigned_transaction
            .as_ref()
            .ok_or_else(|| broken("the unsigned bytes are missing"))?;
        let parsed = recomputed.reading.parsed();
        let parsed = parsed.map_err(|error| broken(error.to_string()))?;
        if payloads.len() != signed.signatures.len() {
            return Err(broken("there is not one signature for each payload"));
        }
        let schemes = parsed.signing_payloads().iter().map(|payload| payload.bytes().scheme());
        let signatures: Option<Vec<RawSignature>> = schemes
            .zip(&signed.signatures)
            .map(|(scheme, blob)| raw_signature(scheme, &blob.0))
            .collect();
        let signatures = signatures.ok_or_else(|| broken("a signature does not have 64 bytes"))?;
        bundle
            .registry()
            .assemble(&request.network, &request.wallet, &unsigned.0, &signatures)
            .map_err(|error| broken(error.to_string()))
    }
}

/// The log key that a genesis pins.
pub(crate) fn log_key(genesis: &Genesis) -> Result<VerifierKey, ReceiptError> {
    let name: KeyName = genesis
        .log_origin()
        .parse()
        .map_err(|_| broken("the genesis's log origin is no key name"))?;
    VerifierKey::new(name, genesis.log_key()).map_err(|error| broken(error.to_string()))
}

fn raw_signature(scheme: Scheme, bytes: &[u8]) -> Option<RawSignature> {
    let bytes: [u8; 64] = bytes.try_into().ok()?;
    Some(match scheme {
        Scheme::Ecdsa => RawSignature::Ecdsa(bytes),
        Scheme::Schnorr => RawSignature::Schnorr(bytes),
        Scheme::Ed25519 => RawSignature::Ed25519(bytes),
    })
}

/// The whole seconds between two moments; times of decisions are in milliseconds, and the difference is a span that was
/// added.
fn span(from: Timestamp, to: Timestamp) -> Duration {
    let millis = to.unix_millis().saturating_sub(from.unix_millis());
    Duration::from_secs(u32::try_from(millis.div_euclid(1000)).unwrap_or(0))
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
