//! The stable tags of every reason and error, in one closed, append-only list.
//!
//! A tag is `area/what`; on the wire gRPC `ErrorInfo.reason` is the same words in upper snake case. Denied, malformed
//! and failed stay three different things all the way to the caller. `docs/policy-rules.md` explains each tag and
//! `cargo xtask tidy` keeps the two lists equal.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// What kind of "no" a tag is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// The policy or the lineage said no.
    Denied,
    /// Something is still missing; the same withdrawal may be allowed later.
    Pending,
    /// The bytes were not understood.
    Malformed,
    /// Contradicts something that was already accepted.
    Conflict,
    /// Could not be decided, which is also a no.
    Failed,
    /// The caller is not who may ask.
    Unauthorized,
    /// What was asked for does not exist.
    NotFound,
    /// Too much, too large or too often.
    Exhausted,
}

/// A text that is no tag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a tag")]
pub struct UnknownTag(String);

macro_rules! tags {
    ($($name:ident = $text:literal, $class:ident, $doc:literal;)+) => {
        /// A stable reason or error code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub enum Tag { $(#[doc = $doc] $name,)+ }

        impl Tag {
            /// Every tag, in the order of the list.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The stable text.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
            /// What kind of "no" it is.
            pub fn class(self) -> Class {
                match self { $(Self::$name => Class::$class,)+ }
            }
            /// What it means, in one sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => $doc,)+ }
            }
        }

        impl FromStr for Tag {
            type Err = UnknownTag;
            fn from_str(text: &str) -> Result<Self, UnknownTag> {
                match text {
                    $($text => Ok(Self::$name),)+
                    _ => Err(UnknownTag(text.chars().take(64).flat_map(char::escape_default).collect())),
                }
            }
        }
    };
}

impl Tag {
    /// Whether it is an answer to what was asked. Anything else says why there is none (yet): a server fails, has no time, or does not take
    /// the caller's certificate, which an operator can change; the same may be asked again.
    pub fn is_answer(self) -> bool {
        match self.class() {
            Class::Denied | Class::Pending | Class::Malformed | Class::Conflict => true,
            Class::Exhausted => self != Self::CallerRateLimited,
            Class::Failed | Class::Unauthorized | Class::NotFound => false,
        }
    }
}

tags! {
    // Bytes.
    TransactionMalformed = "transaction/malformed", Malformed, "the bytes are not a transaction of the network's family";
    TransactionTooLarge = "transaction/too-large", Malformed, "the transaction is over the family's size bound";
    TransactionNotCanonical = "transaction/not-canonical", Malformed, "decoding and re-encoding gives other bytes";
    TransactionUnsupportedType = "transaction/unsupported-type", Malformed, "the transaction type is not supported";
    TransactionWrongChain = "transaction/wrong-chain", Malformed, "the bytes are for another chain id than the network's";
    TransactionBadDestination = "transaction/bad-destination", Malformed, "an address is not canonical, or is a burn or zero address";
    TransactionStaleNonce = "transaction/stale-nonce", Malformed, "the bytes are built on another value than the durable nonce account stores";
    TransactionUnboundMessage = "transaction/unbound-message", Malformed, "the typed data does not name the chain id and the contract that it is for";

    // Statements.
    StatementMalformed = "statement/malformed", Malformed, "the envelope or its payload is not a statement";
    StatementTooLarge = "statement/too-large", Malformed, "the envelope is over the size bound";
    StatementUnknownKind = "statement/unknown-kind", Malformed, "the payload type names no known kind";
    StatementWrongDeployment = "statement/wrong-deployment", Denied, "the statement was made for another deployment";
    StatementWrongEpoch = "statement/wrong-epoch", Denied, "the statement was made before the journal was recovered";
    StatementNotYetValid = "statement/not-yet-valid", Denied, "the statement is issued in the future";
    StatementExpired = "statement/expired", Denied, "the statement has expired";
    StatementUnknownKey = "statement/unknown-key", Denied, "the signing key is not in the roster in force";
    StatementBadSignature = "statement/bad-signature", Denied, "the signature does not verify";
    StatementNoTouch = "statement/no-touch", Denied, "the security key signed without user presence";
    StatementNotPermitted = "statement/not-permitted", Denied, "the signer of the statement may not make statements of this kind";
    StatementNonceReused = "statement/nonce-reused", Denied, "the signer has already used this nonce for another statement";

    // The request against the bundle and the bytes.
    RequestUnknownWallet = "request/unknown-wallet", Denied, "the bundle has no such wallet";
    RequestUnknownNetwork = "request/unknown-network", Denied, "the bundle has no such network, or the wallet is not on it";
    RequestUnknownAsset = "request/unknown-asset", Denied, "the bundle has no such asset on the network";
    RequestNotInitiator = "request/not-initiator", Denied, "the signer of the request is not an initiator of the tenant";
    RequestTransactionMismatch = "request/transaction-mismatch", Denied, "the bytes are not the exact transaction that the request binds";
    RequestPaymentsMismatch = "request/payments-mismatch", Denied, "the transfers of the bytes are not the request's payments one to one";
    RequestEffectsMismatch = "request/effects-mismatch", Denied, "the bytes have other effects than the request lists";
    RequestFeeOverCeiling = "request/fee-over-ceiling", Denied, "the most the fee can be is over the request's fee ceiling";

    // Identity and lineage.
    ReferenceConflict = "reference/conflict", Conflict, "the reference already names a request with other content";
    PaymentAlreadyClaimed = "payment/already-claimed", Conflict, "the payment reference belongs to another request";
    ConflictKeyTaken = "conflict-key/taken", Conflict, "another withdrawal uses this nonce or outpoint";
    ConflictKeyGap = "conflict-key/gap", Conflict, "the nonce would leave a gap behind the last one the journal knows";
    LineageAnchorChanged = "lineage/anchor-changed", Denied, "a signed attempt is not provably dead and the new one does not exclude it";
    LineageEffectsChanged = "lineage/effects-changed", Denied, "the attempt pays others than the signed attempts of its lineage";
    LineageSettled = "lineage/settled", Denied, "an attempt of the lineage, or these very bytes, are final on chain, so nothing more is signed for it";
    LineageNothingToCancel = "lineage/nothing-to-cancel", Denied, "no attempt of the lineage may still land, so there is nothing that a cancel attempt would take the place of";
    AttemptContradicted = "attempt/contradicted", Malformed, "what the orchestrator says of an attempt is not what its bytes are";
    ConflictKeyForeignSpend = "conflict-key/foreign-spend", Denied, "observers saw a transaction that the journal does not know use up this nonce or outpoint";
    LineageTooManyAttempts = "lineage/too-many-attempts", Exhausted, "the withdrawal has reached its bound of attempts";
    WithdrawalCancelled = "withdrawal/cancelled", Denied, "the withdrawal was cancelled";

    ReplaceNotRaised = "replace/not-raised", Denied, "the fee ceiling is not above the one so far, or in another asset";

    // Freezes.
    FreezeActive = "freeze/active", Denied, "a freeze in force stops the withdrawal; it can be signed once a quorum has thawed it";
    FreezeNotFound = "freeze/not-found", NotFound, "no freeze of this name is in force";
    FreezeUnknownScope = "freeze/unknown-scope", Denied, "the bundle in force knows nothing of this name";

    // Policy.
    PermitUncovered = "permit/uncovered", Denied, "no permit covers an effect";
    ForbidMatched = "forbid/matched", Denied, "a forbid matches an effect or an aggregate";
    LimitPerTransactionExceeded = "limit/per-transaction-exceeded", Denied, "the transaction is over a limit's hard maximum";
    LimitWindowExceeded = "limit/window-exceeded", Denied, "what a limit adds up over its window is over the hard maximum";
    LimitUsageUnknown = "limit/usage-unknown", Denied, "what a limit has added up so far is not known";
    LimitUnknownAmount = "limit/unknown-amount", Denied, "an amount that a limit counts is unknown";
    LimitPastUnknown = "limit/past-unknown", Denied, "what a limit of the new bundle would have added up so far is not known";

    // Approvals.
    ApprovalMissing = "approval/missing", Pending, "seats of a quorum are not filled yet";
    ApprovalTimeLock = "approval/time-lock", Pending, "the time-lock has not run out yet";
    AttestationFailed = "attestation/failed", Denied, "a service says that the payment must not be made";
    AttestationStale = "attestation/stale", Denied, "what the service says is too old";
    AttestationSuperseded = "attestation/superseded", Denied, "the service has said something later on the same matter already";
    AttestationIrrelevant = "attestation/irrelevant", Denied, "the attestation says nothing that this withdrawal needs";
    PriceMissing = "price/missing", Pending, "an amount is compared in money and too few fresh quotes agree on a price";
    AttestationMissing = "attestation/missing", Pending, "an attestation that the policy asks for is missing or stale";
    ApprovalRejected = "approval/rejected", Denied, "a member of an approval group rejected the withdrawal";
    ApprovalOtherWithdrawal = "approval/other-withdrawal", Denied, "the statement names other withdrawals";
    ApprovalEffectsMismatch = "approval/effects-mismatch", Denied, "the approved effects are not those of the bytes";
    ApprovalFeeCeilingMismatch = "approval/fee-ceiling-mismatch", Denied, "the approved fee ceiling is not the request's";
    ApprovalPolicyMismatch = "approval/policy-mismatch", Denied, "the approval was given under another policy";
    ApprovalByInitiator = "approval/by-initiator", Denied, "the initiator, or a person who operates it, never counts";
    ApprovalNotMember = "approval/not-member", Denied, "the approver is not a member of a required group now";
    ApprovalSamePerson = "approval/same-person", Denied, "the person already fills a seat";

    // Bundles and governance.
    BundleMalformed = "bundle/malformed", Malformed, "the bundle does not load: the message has a line for each mistake, with a tag of its own";
    BundleBadText = "bundle/bad-text", Malformed, "a file is not UTF-8, or has a character that nobody sees";
    BundleBadYaml = "bundle/bad-yaml", Malformed, "a file is not YAML, or uses of YAML what is not accepted";
    BundleUnknownField = "bundle/unknown-field", Malformed, "a key that has no meaning where it stands";
    BundleDuplicateKey = "bundle/duplicate-key", Malformed, "one mapping has a key twice";
    BundleMissingValue = "bundle/missing-value", Malformed, "a key that must be there is not, or has nothing behind it";
    BundleBadValue = "bundle/bad-value", Malformed, "a value is not of the form that is read there";
    BundleBadAmount = "bundle/bad-amount", Malformed, "an amount is not of its form, has more digits than its asset, or is in another unit than it must be";
    BundleZeroBound = "bundle/zero-bound", Malformed, "a limit or a maximum of nothing";
    BundleUnknownName = "bundle/unknown-name", Malformed, "nothing in the bundle has the name";
    BundleListedTwice = "bundle/listed-twice", Malformed, "what may stand once stands twice";
    BundleConfusableName = "bundle/confusable-name", Malformed, "a reader would take the name for another one of the bundle";
    BundleTooMany = "bundle/too-many", Malformed, "more of something, or more bytes, than are accepted";
    BundleBadAddress = "bundle/bad-address", Malformed, "an address is not canonical on its network, fails its checksum, or can never be paid";
    BundleBadRule = "bundle/bad-rule", Malformed, "a rule contradicts itself, or could never do what it is for";
    BundleEmptyQuorum = "bundle/empty-quorum", Malformed, "a quorum of nobody";
    BundleEmptyGroup = "bundle/empty-group", Malformed, "a group without people";
    BundleUnreachableQuorum = "bundle/unreachable-quorum", Malformed, "a quorum that the people who count can never fill";
    BundleUnreachableWallet = "bundle/unreachable-wallet", Malformed, "a wallet that no permit can reach";
    BundleConflictingDuties = "bundle/conflicting-duties", Malformed, "somebody would have two duties that only two may have";
    BundleNoPriceSource = "bundle/no-price-source", Malformed, "a rule is in money that nobody quotes for what it concerns";
    BundleInconsistent = "bundle/inconsistent", Malformed, "two places of the bundle contradict each other";
    BundleUnsafe = "bundle/unsafe", Malformed, "a production genesis refuses the bundle, which a development one takes";
    BundleDigestMismatch = "bundle/digest-mismatch", Denied, "the files are not those of the manifest or of the activation";
    BundleQuorumShort = "bundle/quorum-short", Denied, "too few admins of the bundle in force signed the activation";
    BundleVersionNotNext = "bundle/version-not-next", Denied, "the version is not the one after the bundle in force";
    BundlePreviousMismatch = "bundle/previous-mismatch", Denied, "the bundle does not continue the bundle in force";
    BundleNoneActive = "bundle/none-active", Failed, "no bundle is activated";
    BundleTimeLocked = "bundle/time-locked", Pending, "the quorum signed, and the time-lock of the bundle in force, or the moment that they named, is still to come";
    BundleVetoed = "bundle/vetoed", Denied, "an officer vetoed the bundle, and the quorum has not signed it again since";
    BundleNotWaiting = "bundle/not-waiting", Denied, "nobody has signed for the bundle, so there is nothing to stop";
    BundleKeyReused = "bundle/key-reused", Denied, "a key of the roster was another person's before";
    BundleTooManyProposals = "bundle/too-many-proposals", Denied, "the person has signed for the most bundles that may wait at once";

    // Keys, journal, time: failed, and so also no.
    BackendUnavailable = "backend/unavailable", Failed, "the key backend did not answer";
    BackendKeyMissing = "backend/key-missing", Failed, "the key backend does not hold the wallet's key";
    BackendSchemeUnsupported = "backend/scheme-unsupported", Failed, "the key backend lacks the signature scheme";
    BackendBadSignature = "backend/bad-signature", Failed, "the backend's signature does not verify; it was not released";
    JournalUnavailable = "journal/unavailable", Failed, "the journal did not commit";
    JournalInDoubt = "journal/in-doubt", Failed, "whether the journal committed is not known yet; ask again";
    JournalFenced = "journal/fenced", Failed, "another signer has taken the journal over";
    JournalRewound = "journal/rewound", Failed, "the journal is behind its anchor";
    AuthorizationExpired = "authorization/expired", Failed, "the authorization was not used in time; ask again";
    TimeBackwards = "time/backwards", Failed, "the clock is behind the journal";
    SignerUnavailable = "signer/unavailable", Failed, "the signer did not answer";
    StoreUnavailable = "store/unavailable", Failed, "the orchestrator's database did not answer";

    // Observations.
    FactsUnattested = "facts/unattested", Pending, "the bytes rest on something that too few observers attest";
    ObservationStale = "observation/stale", Denied, "the observer has said something later on this network already";
    ObservationIrrelevant = "observation/irrelevant", Denied, "the observation says nothing that is needed here, or nothing that its observer had not said";

    // The API.
    CallerUnauthenticated = "caller/unauthenticated", Unauthorized, "no valid client certificate";
    CallerNotAllowed = "caller/not-allowed", Unauthorized, "the client certificate may not make this call";
    CallerRateLimited = "caller/rate-limited", Exhausted, "too many calls; try again later";
    MessageTooLarge = "message/too-large", Exhausted, "a field is over its size bound";
    MessageInvalid = "message/invalid", Malformed, "a field is missing or not of its form";
    WithdrawalNotFound = "withdrawal/not-found", NotFound, "no such withdrawal";
    WithdrawalWrongState = "withdrawal/wrong-state", Conflict, "the withdrawal's state does not allow this";
    PolicyNotProven = "policy/not-proven", Denied, "a lint finds an error in the policy, or an invariant is not proven";
    PolicyTestFailed = "policy/test-failed", Denied, "the policy decides otherwise than its test expects";
    ReceiptInvalid = "receipt/invalid", Malformed, "the receipt does not verify";
}

impl Tag {
    /// The gRPC `ErrorInfo.reason`: the tag in upper snake case.
    pub fn reason(self) -> String {
        self.as_str().to_ascii_uppercase().replace(['/', '-'], "_")
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
impl TryFrom<String> for Tag {
    type Error = UnknownTag;
    fn try_from(text: String) -> Result<Self, UnknownTag> {
        text.parse()
    }
}
impl From<Tag> for String {
    fn from(tag: Tag) -> String {
        tag.as_str().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn tags_are_distinct_and_round_trip() {
        let texts: BTreeSet<_> = Tag::ALL.iter().map(|tag| tag.as_str()).collect();
        assert_eq!(texts.len(), Tag::ALL.len());
        for tag in Tag::ALL {
            assert_eq!(tag.as_str().parse::<Tag>().unwrap(), *tag);
        }
        assert!("permit/unknown".parse::<Tag>().is_err());
    }

    #[test]
    fn the_reason_is_upper_snake_case() {
        assert_eq!(
            Tag::LimitPerTransactionExceeded.reason(),
            "LIMIT_PER_TRANSACTION_EXCEEDED"
        );
        assert_eq!(Tag::ConflictKeyTaken.reason(), "CONFLICT_KEY_TAKEN");
    }
}
