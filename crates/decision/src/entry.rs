//! The entries of the audit log: versioned JSON, one object a line, large blobs by digest (DESIGN.md §9).
//!
//! Field order is the order of declaration and there is no floating point, so the same values always give the same
//! bytes. An entry's type is appended to, never changed: a change is a new `…/2`.

use std::collections::{BTreeMap, BTreeSet};

use countersign_approval::{Kind, Verified};
use countersign_bundle::Class;
use countersign_policy::Usage;
use countersign_types::{
    Amount, AssetId, AttestationKind, AuthorizationId, BundleDigest, ConflictKey, Destination, EffectsDigest,
    EntryDigest, GenesisHash, GroupId, PayloadDigest, PaymentReference, PrincipalId, RequestDigest, RuleId,
    StatementDigest, Tag, Timestamp, TransactionDigest, WithdrawalId,
};
use serde::{Deserialize, Serialize};

use crate::{Authority, FreezeEntry, FreezeFact, Step, ThawEntry};

/// One entry of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum Entry {
    /// The first entry: which deployment this log belongs to.
    #[serde(rename = "genesis/1")]
    Genesis(GenesisEntry),
    /// A bundle came into force.
    #[serde(rename = "activation/1")]
    Activation(ActivationEntry),
    /// A withdrawal was first seen.
    #[serde(rename = "request/1")]
    Request(StatementEntry),
    /// A person's statement was first seen.
    #[serde(rename = "statement/1")]
    Statement(StatementEntry),
    /// A withdrawal was decided.
    #[serde(rename = "decision/1")]
    Decision(Box<DecisionEntry>),
    /// Signatures were made; they are released only after this entry is durable.
    #[serde(rename = "signature/1")]
    Signature(SignatureEntry),
    /// A freeze came into force.
    #[serde(rename = "freeze/1")]
    Freeze(FreezeEntry),
    /// A quorum thawed a freeze.
    #[serde(rename = "thaw/1")]
    Thaw(ThawEntry),
}

impl Entry {
    /// The bytes that are hashed into the log.
    pub fn to_bytes(&self) -> Result<Vec<u8>, EntryError> {
        let bytes = serde_json::to_vec(self).map_err(|error| EntryError::Unprintable(error.to_string()))?;
        if bytes.len() > countersign_audit::MAX_ENTRY_BYTES {
            return Err(EntryError::TooLong(bytes.len()));
        }
        Ok(bytes)
    }

    /// Reads an entry back; refuses bytes that [`Self::to_bytes`] would not write.
    pub fn parse(bytes: &[u8]) -> Result<Self, EntryError> {
        let entry: Self = serde_json::from_slice(bytes).map_err(|error| EntryError::Unreadable(error.to_string()))?;
        if entry.to_bytes()? != bytes {
            return Err(EntryError::NotCanonical);
        }
        Ok(entry)
    }
}

/// Why an entry has no bytes, or bytes are no entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// Over the log's bound.
    #[error("a log entry of {0} bytes is over the bound of {max}", max = countersign_audit::MAX_ENTRY_BYTES)]
    TooLong(usize),
    /// A value that JSON cannot write.
    #[error("a log entry cannot be written: {0}")]
    Unprintable(String),
    /// Not an entry.
    #[error("a log entry cannot be read: {0}")]
    Unreadable(String),
    /// An entry, but not in the bytes that we write.
    #[error("a log entry is not in its canonical form")]
    NotCanonical,
}

/// Which deployment a log belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisEntry {
    /// The genesis hash.
    pub deployment: GenesisHash,
}

/// A bundle in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActivationEntry {
    /// Its version.
    pub version: u64,
    /// Its digest.
    pub bundle: BundleDigest,
    /// The bundle it replaces.
    pub previous: Option<BundleDigest>,
    /// What the step from the bundle before does; absent for version 1.
    pub class: Option<Class>,
    /// On whose word it came into force.
    pub authority: Authority,
    /// The statements that counted.
    pub statements: Vec<StatementDigest>,
    /// First sight of the officer's statement, or of the one that completed the quorum: the time-lock counts from here.
    pub complete_at: Timestamp,
    /// When it came into force.
    pub activated_at: Timestamp,
}

impl ActivationEntry {
    /// What the log says of a step.
    pub fn of(step: &Step) -> Self {
        Self {
            version: step.bundle.version(),
            bundle: step.bundle.digest(),
            previous: step.bundle.previous(),
            class: step.class,
            authority: step.authority,
            statements: step.statements.iter().map(Verified::digest).collect(),
            complete_at: step.complete_at,
            activated_at: step.activated_at,
        }
    }
}

/// A statement at its first sight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatementEntry {
    /// Its digest.
    pub statement: StatementDigest,
    /// Its kind.
    pub kind: Kind,
    /// Who signed it.
    pub signer: PrincipalId,
    /// The withdrawals that it is about.
    pub withdrawals: Vec<WithdrawalId>,
    /// The signer's clock at first sight: delays count from here.
    pub first_seen_at: Timestamp,
}

/// A decision, with everything that went into it by value or by digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecisionEntry {
    /// The semantics that it was taken under.
    pub semantics: String,
    /// The withdrawal.
    pub withdrawal: WithdrawalId,
    /// The unsigned bytes.
    pub transaction: TransactionDigest,
    /// The signer's clock.
    pub decided_at: Timestamp,
    /// The bundle in force.
    pub bundle: BundleDigest,
    /// The bundle in force when the request was first seen.
    pub first_bundle: BundleDigest,
    /// What was decided.
    pub outcome: OutcomeKind,
    /// The effects text's digest; absent when the bytes were not understood.
    pub effects: Option<EffectsDigest>,
    /// Why, bounded; the trace has all of it.
    pub reasons: Vec<Reason>,
    /// Seats by group.
    pub seats: BTreeMap<GroupId, SeatCount>,
    /// When a time-lock runs out.
    pub not_before: Option<Timestamp>,
    /// Every statement considered: counted, or why not.
    pub statements: Vec<ConsideredStatement>,
    /// What the ledger held.
    pub ledger: LedgerFacts,
    /// The authorization, where it was allowed.
    pub authorization: Option<AuthorizationRecord>,
    /// The digest of the policy trace; the receipt has the trace.
    pub trace: EntryDigest,
}

impl DecisionEntry {
    /// The authorization of this decision as it would be until another moment: an equal id is the same authorization.
    pub fn authorization_until(&self, deployment: GenesisHash, sign_by: Timestamp) -> Option<AuthorizationRecord> {
        let authorization = self.authorization.as_ref()?;
        let scope = AuthorizationScope {
            deployment,
            withdrawal: self.withdrawal,
            transaction: self.transaction,
            bundle: self.bundle,
            attempt: authorization.attempt,
        };
        Some(AuthorizationRecord {
            id: scope.id(&authorization.payloads, sign_by),
            sign_by,
            ..authorization.clone()
        })
    }

    /// The digest of everything but the time and what others have done by then: two equal ones need one entry. What they
    /// spend, and how far an account's nonces are, is no news about this withdrawal.
    pub fn content_digest(&self) -> Result<EntryDigest, EntryError> {
        let mut timeless = Self {
            decided_at: Timestamp::from_unix_millis(0),
            ..self.clone()
        };
        timeless.ledger.next_nonces.clear();
        if !self.ledger.usage.is_empty() {
            timeless.ledger.usage = Usage::default();
            timeless.trace = EntryDigest::from_bytes([0; 32]);
        }
        // Their messages have the sums, and the next nonce.
        let has_numbers = |tag| matches!(tag, Tag::LimitWindowExceeded | Tag::ConflictKeyGap);
        let moving = timeless.reasons.iter_mut().filter(|reason| has_numbers(reason.tag));
        moving.for_each(|reason| reason.message.clear());
        Ok(EntryDigest::of(&Entry::Decision(Box::new(timeless)).to_bytes()?))
    }
}

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutcomeKind {
    /// The key may be used.
    Allowed,
    /// Something is still missing.
    Pending,
    /// No.
    Denied,
    /// The bytes were not understood.
    Malformed,
}

/// One reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// The stable tag.
    pub tag: Tag,
    /// The rule that gave it.
    pub rule: Option<RuleId>,
    /// What and where, with the numbers compared.
    pub message: String,
}

impl Reason {
    /// A reason that no rule gave.
    pub fn new(tag: Tag, message: impl Into<String>) -> Self {
        Self {
            tag,
            rule: None,
            message: message.into(),
        }
    }
}

/// The seats of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeatCount {
    /// How many are required.
    pub required: u32,
    /// How many distinct people fill.
    pub filled: u32,
}

/// A statement that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsideredStatement {
    /// Its digest.
    pub statement: StatementDigest,
    /// The signer's clock at first sight.
    pub first_seen_at: Timestamp,
    /// Why it does not count; `None` for one that does.
    pub discounted: Option<Tag>,
}

/// What the ledger held for one withdrawal: the part of the decision's input that no signed statement carries.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerFacts {
    /// The recovery epoch.
    pub epoch: u64,
    /// Other requests that own the reference.
    pub reference_owner: Option<RequestDigest>,
    /// Other requests that own payment references.
    pub payment_owners: BTreeMap<PaymentReference, RequestDigest>,
    /// Other requests that own conflict keys, by the key's text.
    pub conflict_owners: BTreeMap<String, RequestDigest>,
    /// The next unused nonce of accounts that have claims.
    pub next_nonces: BTreeMap<Destination, u64>,
    /// The account nonces of the bytes that this withdrawal has claimed already, by the key's text. Not written where there
    /// are none: entries from before it was known keep their bytes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub own_nonces: Vec<String>,
    /// What ended the withdrawal earlier: the tag of a cancel, or of a rejection that counted.
    pub ended: Option<Tag>,
    /// The authorized attempts.
    pub attempts: Vec<AttemptFact>,
    /// What the counters of limits over windows stood at. Not written where none was asked for: entries from before it was
    /// known keep their bytes.
    #[serde(default, skip_serializing_if = "Usage::is_empty")]
    pub usage: Usage,
    /// The freezes in force. An entry names those that stop the withdrawal, and is without the field where none does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub freezes: Vec<FreezeFact>,
    /// The attestations that no later word of their service has replaced, and since when the journal has what they say. One
    /// that is not here does not count.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub standing: BTreeMap<StatementDigest, Timestamp>,
    /// Screenings that failed, that no later word of their service has replaced, and whose statements verify no more.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub failed: BTreeSet<FailedScreening>,
    /// What the journal knows of destinations; nothing is known where no policy asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destinations: Option<DestinationsRecord>,
}

/// A screening that failed under another roster: its service has other keys since, or has left.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailedScreening {
    /// What was looked at.
    pub check: AttestationKind,
    /// Who said so.
    pub by: PrincipalId,
    /// Where the payment would go.
    pub destination: Destination,
    /// The asset.
    pub asset: AssetId,
}

/// What the journal knows of the destinations of the bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DestinationsRecord {
    /// Those that a signed transaction of another withdrawal has paid.
    pub paid: BTreeSet<Destination>,
    /// From when the ages of their entries count, as the journal noted it: the youngest entry in the lists of the bundle in
    /// force, and of what was taken from a list that stayed, what it had there. No entry by itself: lists and books say who has one.
    pub listed: BTreeMap<Destination, Timestamp>,
}

/// An authorized attempt, as the decision sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttemptFact {
    /// From 1.
    pub number: u32,
    /// The unsigned bytes.
    pub transaction: TransactionDigest,
    /// The conflict key that it shares with the attempt before it, or else its first one; an outpoint that the bytes spend as well, where
    /// they lack that one. `None` where it has none.
    pub anchor: Option<ConflictKey>,
    /// The id that it was signed under, once it is signed; not written before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub txid: Option<String>,
}

/// What an allowed decision authorizes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthorizationRecord {
    /// Its id.
    pub id: AuthorizationId,
    /// The attempt, from 1.
    pub attempt: u32,
    /// The payloads that may be signed.
    pub payloads: Vec<PayloadDigest>,
    /// The most the fee can be.
    pub fee_max: Amount,
    /// Until when the key may be used.
    pub sign_by: Timestamp,
}

/// What an authorization is for.
pub(crate) struct AuthorizationScope {
    pub(crate) deployment: GenesisHash,
    pub(crate) withdrawal: WithdrawalId,
    pub(crate) transaction: TransactionDigest,
    pub(crate) bundle: BundleDigest,
    pub(crate) attempt: u32,
}

impl AuthorizationScope {
    /// The digest of everything that an authorization covers.
    pub(crate) fn id(&self, payloads: &[PayloadDigest], sign_by: Timestamp) -> AuthorizationId {
        let mut text = format!(
            "{}\n{}\n{}\n{}\n{}\n{}\n",
            self.deployment,
            self.withdrawal,
            self.attempt,
            self.transaction,
            self.bundle,
            sign_by.unix_millis()
        );
        for payload in payloads {
            text.push_str(&format!("{payload}\n"));
        }
        AuthorizationId::of(text.as_bytes())
    }
}

/// Signatures that were made under an authorization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignatureEntry {
    /// The withdrawal.
    pub withdrawal: WithdrawalId,
    /// The attempt.
    pub attempt: u32,
    /// The authorization.
    pub authorization: AuthorizationId,
    /// The payloads that were signed.
    pub payloads: Vec<PayloadDigest>,
    /// One signature a payload, lower-case hex, ECDSA low-S.
    pub signatures: Vec<String>,
    /// The transaction id as the network's explorers write it.
    pub txid: String,
    /// When they were recorded.
    pub recorded_at: Timestamp,
}
