//! What a verdict may change in the ledger.

use std::collections::{BTreeMap, BTreeSet};

use countersign_approval::FreezeScope;
use countersign_policy::Charge;
use countersign_types::{
    Amount, AuthorizationId, BundleDigest, ChainId, ConflictKey, Destination, EntryDigest, FreezeId, ListId,
    PaymentReference, PrincipalId, RawSignature, Reference, RequestDigest, SignedTransaction, StatementDigest,
    StatementNonce, Tag, TenantId, Timestamp, TransactionDigest,
};

use crate::{LastWord, LateCharge};
/// One change of the ledger. The implementation applies the writes of a verdict in order, atomically.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// A statement at its first sight. The signer's nonce is claimed with it.
    Statement {
        /// Its digest.
        digest: StatementDigest,
        /// Who signed it.
        signer: PrincipalId,
        /// Its nonce.
        nonce: StatementNonce,
        /// The withdrawals that it is about.
        subjects: Vec<RequestDigest>,
        /// The envelope.
        envelope: Vec<u8>,
    },
    /// A statement that is journaled already is about one more withdrawal: an observation serves all who need it.
    Subject {
        /// The statement.
        statement: StatementDigest,
        /// The withdrawal.
        request: RequestDigest,
    },
    /// How far an observer is in its order on a network. It never goes back.
    Sequence {
        /// The observer.
        observer: PrincipalId,
        /// The network.
        network: ChainId,
        /// The highest sequence journaled.
        sequence: u64,
    },
    /// What a service says on a matter from now on. Its number never goes back.
    LastWord {
        /// The service.
        service: PrincipalId,
        /// The matter, as `countersign_decision::matter` writes it.
        matter: String,
        /// What it says.
        word: LastWord,
    },
    /// A signed transaction of a withdrawal pays these.
    Paid {
        /// The withdrawal.
        request: RequestDigest,
        /// Where to.
        destinations: BTreeSet<Destination>,
    },
    /// The bundle that comes into force has lists that the one before did not have, or more or less in those that it had.
    Listed {
        /// The new lists, as a whole: what is in them is not noted one by one.
        lists: BTreeSet<ListId>,
        /// New in some other list.
        added: BTreeSet<Destination>,
        /// Gone from a list that stays, with the moment that the entry had of its list: a destination that has another entry
        /// is as old as before. None of `added`; what is already noted of a destination stays where it is younger.
        kept: BTreeMap<Destination, Timestamp>,
    },
    /// A withdrawal at its first sight: claims the reference, and nothing else yet.
    Withdrawal {
        /// Its request.
        request: RequestDigest,
        /// The request statement (a [`Write::Statement`] of the same verdict or earlier).
        statement: StatementDigest,
        /// The tenant.
        tenant: TenantId,
        /// The reference.
        reference: Reference,
        /// The bundle in force.
        bundle: BundleDigest,
    },
    /// The end of a withdrawal, for good. The first one stays.
    Ended {
        /// The withdrawal.
        request: RequestDigest,
        /// The tag of the cancel or of the rejection that counted.
        tag: Tag,
    },
    /// The decision that was logged last.
    Decision {
        /// The withdrawal.
        request: RequestDigest,
        /// The decision without its time.
        decision: EntryDigest,
    },
    /// An authorized attempt: claims its conflict keys and the request's payment references (an attempt that is never
    /// authorized claims only the reference; what the same request already owns stays its own). With the number of an
    /// attempt that is not signed it renews that attempt's authorization.
    Attempt {
        /// The withdrawal.
        request: RequestDigest,
        /// The tenant of the request.
        tenant: TenantId,
        /// The payment references of the request.
        payments: Vec<PaymentReference>,
        /// Number, from 1.
        number: u32,
        /// The unsigned bytes' digest.
        transaction: TransactionDigest,
        /// The unsigned bytes.
        unsigned: Vec<u8>,
        /// What it excludes.
        conflict_keys: Vec<ConflictKey>,
        /// The most its fee can be.
        fee_max: Amount,
        /// The authorization.
        authorization: AuthorizationId,
        /// Until when it may be used.
        sign_by: Timestamp,
    },
    /// What an authorized attempt (a [`Write::Attempt`] of the same verdict or earlier) spends. The charges count in every
    /// window from now on. With a renewed authorization they are charged again: each counter keeps the larger charge.
    Spend {
        /// The withdrawal.
        request: RequestDigest,
        /// The attempt.
        number: u32,
        /// The facts that charges were computed from, for counters that are defined later.
        facts: Vec<u8>,
        /// What it adds to counters.
        charges: Vec<Charge>,
    },
    /// An attempt's charges begin to age: it was attested mined, or it was signed and its wallet's charges age from
    /// signature. From now on they leave windows as time passes.
    Aged {
        /// The withdrawal.
        request: RequestDigest,
        /// The attempt.
        number: u32,
    },
    /// An attempt landed and did nothing but pay its fee, or ended by a spend that is none of the lineage's. Its charges age, and a later
    /// attempt of the lineage is charged in full beside them: what that pays was not paid, or is paid once more.
    Failed {
        /// The withdrawal.
        request: RequestDigest,
        /// The attempt.
        number: u32,
    },
    /// An attempt's charges are given back. Only for what was never signed and never will be, or is proven dead.
    Released {
        /// The withdrawal.
        request: RequestDigest,
        /// The attempt.
        number: u32,
    },
    /// Charges of attempts that are already authorized, to counters that a new bundle defines or counts more in. They count from
    /// when their attempts were charged and age when those did. Of what a counter was charged before, the larger stays.
    Backfill {
        /// The charges.
        charges: Vec<LateCharge>,
    },
    /// A freeze: from this commit on nothing that it stops is signed. Its name is new.
    Freeze {
        /// Its name.
        freeze: FreezeId,
        /// What it stops.
        scope: FreezeScope,
        /// What made it, in words.
        cause: String,
    },
    /// The end of a freeze; it is set once.
    Thaw {
        /// The freeze.
        freeze: FreezeId,
        /// From when on it is not in force.
        at: Timestamp,
    },
    /// Somebody has spoken on a topic, or something came up. The first time stays, and the last one is kept beside it.
    Mark {
        /// The topic.
        topic: String,
        /// Who, or what.
        name: String,
    },
    /// The signatures of an attempt.
    Signed {
        /// The withdrawal.
        request: RequestDigest,
        /// The attempt.
        number: u32,
        /// One per signing payload.
        signatures: Vec<RawSignature>,
        /// The assembled transaction.
        transaction: SignedTransaction,
    },
    /// A withdrawal gives up conflict keys that nothing of it will use up: it ended, and none of its signatures uses them; or those that
    /// do can never land. Whoever comes next may claim them. It owns them all.
    GivenUp {
        /// The withdrawal.
        request: RequestDigest,
        /// The keys, each once.
        keys: Vec<ConflictKey>,
    },
    /// A bundle comes into force. Its files are kept for ever.
    Bundle {
        /// Its version.
        version: u64,
        /// Its digest.
        digest: BundleDigest,
        /// Its files, the manifest among them.
        files: BTreeMap<String, Vec<u8>>,
        /// The statements that activated it.
        statements: Vec<StatementDigest>,
    },
}
