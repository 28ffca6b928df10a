//! What a proposal may see of the ledger.

use std::collections::{BTreeMap, BTreeSet};

use countersign_policy::{Charge, Usage, UsageQuery};
use countersign_types::{
    Amount, AuthorizationId, BundleDigest, ChainId, ConflictKey, Destination, EntryDigest, FreezeId, ListId,
    PaymentReference, PrincipalId, RawSignature, Reference, RequestDigest, SignedTransaction, StatementDigest,
    StatementNonce, Tag, TenantId, Timestamp, TransactionDigest,
};

use crate::{FreezeRecord, LastWord, Marked, Tally, TallyQuery};
/// What a proposal needs to see. Everything else of the ledger is absent from its view.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reads {
    /// The withdrawal: its record, its attempts, and the statements about it.
    pub request: Option<RequestDigest>,
    /// Who owns this reference.
    pub reference: Option<(TenantId, Reference)>,
    /// Who owns these payment references of the tenant.
    pub payments: Vec<(TenantId, PaymentReference)>,
    /// Who owns these conflict keys, and for account nonces the next one of the account.
    pub conflict_keys: Vec<ConflictKey>,
    /// When these statements were first seen.
    pub statements: Vec<StatementDigest>,
    /// Which statement used these nonces.
    pub nonces: Vec<(PrincipalId, StatementNonce)>,
    /// How many statements these people made about these withdrawals.
    pub voices: Vec<(RequestDigest, PrincipalId)>,
    /// What these counters stand at; with `request`, what its lineage was charged as well.
    pub usage: Vec<UsageQuery>,
    /// What authorized attempts spend that was not released, and has not aged or aged after this moment: what a bundle's
    /// new counters must begin with.
    pub spends_since: Option<Timestamp>,
    /// How far these observers are in their order on these networks.
    pub sequences: Vec<(PrincipalId, ChainId)>,
    /// The freezes in force. They are read with `request` as well.
    pub freezes: bool,
    /// Who made marks under these topics.
    pub marks: Vec<String>,
    /// Freezes that were made, in force or not.
    pub made: Vec<FreezeId>,
    /// What services said last on these matters.
    pub matters: Vec<(PrincipalId, String)>,
    /// Whether these were paid by another withdrawal than the one asked for, and since when lists name them.
    pub destinations: Vec<Destination>,
    /// Since when these lists are there, where they came as a whole.
    pub lists: Vec<ListId>,
    /// How many names came up under topics lately.
    pub tallies: Vec<TallyQuery>,
    /// When these names came up under these topics.
    pub marked: Vec<(String, String)>,
}

/// What a decision sees: the ledger after every earlier proposal, restricted to the [`Reads`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerView {
    /// The recovery epoch; statements of another epoch are void.
    pub epoch: u64,
    /// The bundle in force.
    pub bundle: Option<ActiveBundle>,
    /// The withdrawal asked for, if it was ever journaled.
    pub withdrawal: Option<WithdrawalRecord>,
    /// Every statement about the withdrawal asked for but its request, in the order of first sight. People may speak before
    /// the withdrawal is first seen, so these do not depend on its record.
    pub about: Vec<StatementDigest>,
    /// Owner of the reference asked for.
    pub reference_owner: Option<RequestDigest>,
    /// Owners of the payment references asked for; unowned ones are absent.
    pub payment_owners: BTreeMap<(TenantId, PaymentReference), RequestDigest>,
    /// Owners of the conflict keys asked for; unowned ones are absent.
    pub conflict_owners: BTreeMap<ConflictKey, RequestDigest>,
    /// The lowest nonce that was claimed and given up, or else one more than the highest that was claimed, for each account of the
    /// conflict keys that has claims.
    pub next_nonces: BTreeMap<Destination, u64>,
    /// Statements asked for that are journaled.
    pub statements: BTreeMap<StatementDigest, Timestamp>,
    /// Statements that used the nonces asked for; unused ones are absent.
    pub nonce_owners: BTreeMap<(PrincipalId, StatementNonce), StatementDigest>,
    /// How many statements are journaled for the voices asked for; silent ones are absent.
    pub voices: BTreeMap<(RequestDigest, PrincipalId), u64>,
    /// What the counters asked for stand at.
    pub usage: Usage,
    /// The spends asked for, in the order of their first authorization.
    pub spends: Vec<SpendRecord>,
    /// The highest sequence of the observers asked for; those who have said nothing yet are absent.
    pub sequences: BTreeMap<(PrincipalId, ChainId), u64>,
    /// The freezes in force, those that end first before the others, then in the order in which they were made; at most
    /// [`MAX_READ_FREEZES`].
    pub freezes: Vec<FreezeRecord>,
    /// How many freezes were ever made; it never falls.
    pub freezes_made: u64,
    /// The marks asked for: topic, then name and when it was made; at most [`MAX_READ_MARKS`] of a topic.
    pub marks: BTreeMap<String, BTreeMap<String, Timestamp>>,
    /// Which of the freezes asked for were made.
    pub made: BTreeSet<FreezeId>,
    /// The last words asked for; matters on which a service has said nothing yet are absent.
    pub matters: BTreeMap<(PrincipalId, String), LastWord>,
    /// The destinations asked for that a signed transaction of another withdrawal has paid.
    pub paid: BTreeSet<Destination>,
    /// When one of the destinations asked for last came into a list that was there before, or since when it was in one that it
    /// left, whatever is later.
    pub listed: BTreeMap<Destination, Timestamp>,
    /// When those of the lists asked for last came, as a whole.
    pub lists: BTreeMap<ListId, Timestamp>,
    /// The tallies asked for.
    pub tallies: BTreeMap<TallyQuery, Tally>,
    /// The marks asked for by topic and name; those that were never made are absent.
    pub marked: BTreeMap<(String, String), Marked>,
}

/// The bundle in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveBundle {
    /// Its version.
    pub version: u64,
    /// Its digest.
    pub digest: BundleDigest,
    /// When it was activated.
    pub activated_at: Timestamp,
}

/// A withdrawal that the journal knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WithdrawalRecord {
    /// Its request.
    pub request: RequestDigest,
    /// When the signer first journaled the request.
    pub first_seen_at: Timestamp,
    /// The bundle in force at first sight: its policy must allow as well (POLICY.md step 9).
    pub first_bundle: BundleDigest,
    /// What ended it for good: the tag of a cancel or of a rejection that counted.
    pub ended: Option<Tag>,
    /// The last decision entry without its time, so that asking again does not grow the log.
    pub last_decision: Option<EntryDigest>,
    /// How many decisions about it were logged.
    pub decisions: u64,
    /// The authorized attempts, in order of their number.
    pub attempts: Vec<AttemptRecord>,
}

/// What a decision rests on besides the bytes. A signature is made, recorded and released only on the basis that its
/// decision saw (docs/adr/0008).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Basis {
    /// The bundle in force.
    pub bundle: Option<BundleDigest>,
    /// What ended the withdrawal.
    pub ended: Option<Tag>,
    /// How many statements about the withdrawal are journaled. None is ever removed: as many are the same ones.
    pub statements: u64,
    /// How many freezes were ever made. None is ever removed, and whether a new one stops this withdrawal is decided anew.
    pub freezes: u64,
    /// Since when the address books have the entries that were attested for the withdrawal: the matters asked for that stand.
    /// An entry that is taken out is not there any more, and one that came back since is younger.
    pub entries: BTreeMap<(PrincipalId, String), Timestamp>,
}

impl Basis {
    /// The basis in the view of a proposal that reads the withdrawal and, of the last words, the entries of address books.
    pub fn of(view: &LedgerView) -> Self {
        let stands = |(matter, word): (&(PrincipalId, String), &LastWord)| Some((matter.clone(), word.since?));
        Self {
            bundle: view.bundle.as_ref().map(|bundle| bundle.digest),
            ended: view.withdrawal.as_ref().and_then(|record| record.ended),
            statements: u64::try_from(view.about.len()).unwrap_or(u64::MAX),
            freezes: view.freezes_made,
            entries: view.matters.iter().filter_map(stands).collect(),
        }
    }
}

/// What an authorized attempt spends, for counters that are defined later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpendRecord {
    /// The withdrawal.
    pub request: RequestDigest,
    /// The attempt.
    pub number: u32,
    /// What the pipeline wrote about it; the journal does not look inside.
    pub facts: Vec<u8>,
    /// When it was charged first.
    pub charged_at: Timestamp,
    /// When it was authorized last.
    pub authorized_at: Timestamp,
    /// When it began to age; until then it counts in every window.
    pub aged_at: Option<Timestamp>,
}

/// A charge of an attempt that is already authorized, to a counter that was defined later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LateCharge {
    /// The withdrawal.
    pub request: RequestDigest,
    /// The attempt.
    pub number: u32,
    /// The charge.
    pub charge: Charge,
}

/// An attempt that was authorized: from that moment it counts as signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRecord {
    /// From 1.
    pub number: u32,
    /// The unsigned bytes' digest.
    pub transaction: TransactionDigest,
    /// The unsigned bytes.
    pub unsigned: Vec<u8>,
    /// What it excludes; the lineage's anchor is the first attempt's first key.
    pub conflict_keys: Vec<ConflictKey>,
    /// The most its fee can be, in the network's fee asset.
    pub fee_max: Amount,
    /// Its latest authorization.
    pub authorization: AuthorizationId,
    /// When the latest authorization was committed.
    pub authorized_at: Timestamp,
    /// Until when the latest authorization may be used.
    pub sign_by: Timestamp,
    /// What was signed, once it is recorded.
    pub signed: Option<SignedAttempt>,
    /// Where its spend stands; `None` where it was authorized before spends were written.
    pub spend: Option<SpendStage>,
}

/// Where the spend of an attempt stands. Every stage but the first is for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpendStage {
    /// It counts in every window.
    Outstanding,
    /// It leaves windows as time passes.
    Aged,
    /// It leaves windows as time passes, and does not stand for what a later attempt spends.
    Failed,
    /// It was given back.
    Released,
}

/// The signatures of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedAttempt {
    /// One per signing payload, in order; ECDSA already low-S.
    pub signatures: Vec<RawSignature>,
    /// The assembled transaction.
    pub transaction: SignedTransaction,
    /// When it was recorded.
    pub recorded_at: Timestamp,
}
