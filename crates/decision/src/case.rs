//! What a decision is made from, and what it is.

use std::collections::BTreeMap;

use countersign_approval::{FeeCeiling, Request, StatementError, Verified};
use countersign_bundle::Bundle;
use countersign_policy::{Charge, Evaluation};
use countersign_types::{ConflictKey, Duration, EffectsText, GenesisHash, GroupId, StatementDigest, Timestamp};

use crate::{DecisionEntry, Fate, LedgerFacts, Reading, Reason, Spend};

/// Everything that one decision is made from. All of it is values; the caller verified the request's signature and
/// read the bytes, with the bundle in force.
pub struct Case<'a> {
    /// The deployment.
    pub deployment: GenesisHash,
    /// The bundle in force.
    pub active: &'a Bundle,
    /// The bundle in force when the request was first seen: its policy must allow as well.
    pub first: &'a Bundle,
    /// The request statement, verified under the roster of the bundle in force.
    pub verified: &'a Verified,
    /// Its body.
    pub request: &'a Request,
    /// When the signer first journaled it; `now` if this is the first time.
    pub first_seen_at: Timestamp,
    /// The unsigned bytes as the bundle in force reads them with the facts of these statements: other facts are refused.
    pub reading: &'a Reading,
    /// Every other statement about the withdrawal, in the order of first sight.
    pub statements: &'a [Seen],
    /// What the ledger holds.
    pub ledger: &'a LedgerFacts,
    /// The signer's clock, read after its locks.
    pub now: Timestamp,
    /// How long an authorization may be used.
    pub sign_within: Duration,
}

/// A statement with the moment of its first sight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its digest.
    pub digest: StatementDigest,
    /// Verified under the roster of the bundle in force, or why not.
    pub verified: Result<Verified, StatementError>,
    /// The signer's clock when it journaled the statement: delays count from here, and backdating gains nothing.
    pub first_seen_at: Timestamp,
}

/// A decision: what is to happen, the entry for the log, and the full trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What is to happen.
    pub outcome: Outcome,
    /// What the log records.
    pub entry: DecisionEntry,
    /// The policy's trace under the bundle in force and under the first one; empty where policy was not reached.
    pub trace: Vec<Evaluation>,
    /// The canonical effects text, where the bytes were understood.
    pub effects: Option<EffectsText>,
    /// Whether the bytes are a cancel attempt: they take the place of what is signed, and somebody who may has cancelled with a
    /// fee ceiling (docs/adr/0037). The withdrawal has ended, whatever the outcome.
    pub cancels: bool,
    /// The most that the fee may be: the request's own ceiling, as far as it was not raised, or a cancel's. Approvals bind it.
    pub fee_ceiling: FeeCeiling,
    /// What an authorization adds to counters: for each the larger charge of the two policies.
    pub charges: Vec<Charge>,
    /// What it spends, where it was allowed: for counters that are defined later.
    pub spend: Option<Spend>,
    /// What became of the authorized attempts, as far as observers attest it. Follows from the entry's statements.
    pub fates: BTreeMap<u32, Fate>,
    /// What was used up of what the bytes and the attempts hold, and by which transaction that is none of the attempts', as
    /// far as observers attest it. It may be another withdrawal's.
    pub foreign: BTreeMap<ConflictKey, String>,
}

/// What is to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The key may be used for exactly the payloads of the entry's authorization.
    Allowed,
    /// Seats are open or a time-lock runs.
    Pending {
        /// Group, required and filled seats, for groups with open seats.
        missing: Vec<(GroupId, u32, u32)>,
        /// When the time-lock runs out.
        not_before: Option<Timestamp>,
        /// What is missing, and which statements did not count.
        reasons: Vec<Reason>,
    },
    /// No.
    Denied {
        /// Why.
        reasons: Vec<Reason>,
        /// Whether nothing that arrives later can change it.
        is_final: bool,
    },
    /// The bytes were not understood.
    Malformed {
        /// Why.
        reasons: Vec<Reason>,
    },
}
