//! Why the signing core did not answer with a decision. Every one of them is a no.

use countersign_approval::{Environment, FreezeScope, StatementError};
use countersign_chains::AssembleError;
use countersign_decision::{AcknowledgementError, ChainError, EntryError, Reason, ReceiptError, SpendError};
use countersign_types::{BundleDigest, FreezeId, KeyId, PrincipalId, Scheme, Tag, Timestamp, WithdrawalId};

use crate::{BackendError, JournalError, SignatureError};

/// Why the signing core did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    /// A statement does not verify or does not count.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// The signer of a statement may not make it.
    #[error("`{signer}` may not make this statement: {reason}")]
    NotPermitted {
        /// Who signed.
        signer: PrincipalId,
        /// Why not.
        reason: &'static str,
    },
    /// The nonce was used for another statement.
    #[error("`{0}` has already used this nonce for another statement")]
    NonceReused(PrincipalId),
    /// Its service has said something later on the same matter.
    #[error("`{0}` has said something later on the same matter already")]
    Superseded(PrincipalId),
    /// Too many statements in one call.
    #[error("{0} statements; at most {max} are accepted", max = crate::submission::MAX_SUBMITTED_STATEMENTS)]
    TooManyStatements(usize),
    /// One person has said enough about one withdrawal, bundle or freeze.
    #[error(
        "`{0}` has said this or the like too often about one withdrawal, bundle or freeze: no more of it is journaled, and what was \
         said before counts as long as it is valid"
    )]
    TooTalkative(PrincipalId),
    /// An observer brings an observation from before its last one.
    #[error(
        "`{0}` has said something later on this network already: sign what the node has now, under a higher sequence"
    )]
    StaleObservation(PrincipalId),
    /// An observer reports nothing that it had not reported.
    #[error("`{0}` has reported this before; it counts, and saying it again changes nothing")]
    ReportedAlready(PrincipalId),
    /// An observer reports what no freeze comes of.
    #[error(
        "`{0}` reports no foreign spend of anything of ours; what it says comes with the withdrawal that it is about (`observe submit`)"
    )]
    NoForeignSpend(PrincipalId),
    /// One admin thaws the same freeze again.
    #[error("`{0}` has thawed this freeze already: another admin must thaw it too")]
    ThawedAlready(PrincipalId),
    /// Somebody else signed the very same statement, and it is journaled as theirs.
    #[error("somebody else signed the same statement before `{0}`: sign it anew, under a nonce of your own")]
    NotFirst(PrincipalId),
    /// A freeze of something that the bundle in force does not know: a misspelt name would stop nothing.
    #[error("the bundle in force knows no {0} in these letters; nothing was frozen")]
    UnknownScope(FreezeScope),
    /// No such freeze is in force.
    #[error("no freeze {0} is in force")]
    NoFreeze(FreezeId),
    /// So many freezes are in force that everything is frozen.
    #[error("{0} freezes are in force already: everything is frozen, and one more changes nothing")]
    TooManyFreezes(usize),
    /// Nobody has signed for the bundle.
    #[error("nobody has signed for the bundle {0}: there is nothing to stop")]
    NotWaiting(BundleDigest),
    /// One person names too many bundles.
    #[error(
        "`{0}` has signed for {max} bundles that are to follow the one in force; one of them can be signed again, and no other",
        max = crate::activation::MAX_PROPOSALS
    )]
    TooManyProposals(PrincipalId),
    /// No bundle is in force.
    #[error("no bundle is activated")]
    NoBundle,
    /// A bundle does not continue the chain.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The token.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The token's signature.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The signed transaction could not be assembled.
    #[error("the signed transaction was not released: {0}")]
    Assemble(#[from] AssembleError),
    /// A log entry could not be written.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// What an attempt spends cannot be kept, or a new limit cannot count it.
    #[error(transparent)]
    Spend(#[from] SpendError),
    /// A new limit cannot count what an attempt spends.
    #[error(
        "{source}: attempt {attempt} of {withdrawal}, authorized at {authorized_at}; it stands in the way until the limit's window has let go of it"
    )]
    Past {
        /// The withdrawal.
        withdrawal: WithdrawalId,
        /// The attempt.
        attempt: u32,
        /// When it was authorized first.
        authorized_at: Timestamp,
        /// Why not.
        source: SpendError,
    },
    /// An acknowledgement could not be made.
    #[error(transparent)]
    Acknowledgement(#[from] AcknowledgementError),
    /// A receipt could not be written.
    #[error(transparent)]
    Receipt(#[from] ReceiptError),
    /// The authorization was not used in time.
    #[error("the authorization ran out at {0}; ask again")]
    AuthorizationExpired(Timestamp),
    /// The ledger kept changing under the pipeline.
    #[error("the bundle or the statements kept changing; ask again")]
    Contended,
    /// Something stops a withdrawal whose signatures are recorded.
    #[error("what is signed is kept in: {}", .0.message)]
    KeptIn(Reason),
    /// No such withdrawal.
    #[error("the signer knows no withdrawal {0}")]
    NotFound(WithdrawalId),
    /// A development backend under a production genesis.
    #[error("the insecure-dev key backend is refused under a {0:?} genesis")]
    DevelopmentBackend(Environment),
    /// The backend lacks a key or scheme that the bundle's wallets need.
    #[error("the key backend does not hold key `{key}` with scheme {scheme:?}, which wallet keys of the bundle need")]
    MissingKey {
        /// The key.
        key: KeyId,
        /// The scheme.
        scheme: Scheme,
    },
}

impl SignerError {
    /// The stable tag.
    pub fn tag(&self) -> Tag {
        match self {
            Self::Statement(error) => error.tag(),
            Self::NotPermitted { .. } => Tag::StatementNotPermitted,
            Self::NonceReused(_) | Self::NotFirst(_) => Tag::StatementNonceReused,
            Self::Superseded(_) => Tag::AttestationSuperseded,
            Self::TooManyStatements(_) | Self::TooTalkative(_) => Tag::MessageTooLarge,
            Self::StaleObservation(_) => Tag::ObservationStale,
            Self::ReportedAlready(_) | Self::NoForeignSpend(_) => Tag::ObservationIrrelevant,
            Self::ThawedAlready(_) => Tag::ApprovalSamePerson,
            Self::UnknownScope(_) => Tag::FreezeUnknownScope,
            Self::NoFreeze(_) => Tag::FreezeNotFound,
            Self::TooManyFreezes(_) => Tag::MessageTooLarge,
            Self::NotWaiting(_) => Tag::BundleNotWaiting,
            Self::TooManyProposals(_) => Tag::BundleTooManyProposals,
            Self::NoBundle => Tag::BundleNoneActive,
            Self::Chain(error) => error.tag(),
            Self::Journal(error) => error.tag(),
            Self::Backend(error) => error.tag(),
            Self::Signature(error) => error.tag(),
            Self::Assemble(error) => error.tag(),
            Self::Entry(_) => Tag::MessageTooLarge,
            Self::Spend(error) => error.tag(),
            Self::Past { source, .. } => source.tag(),
            Self::Acknowledgement(error) => error.tag(),
            Self::Receipt(error) => error.tag(),
            Self::AuthorizationExpired(_) => Tag::AuthorizationExpired,
            Self::Contended => Tag::JournalUnavailable,
            Self::KeptIn(reason) => reason.tag,
            Self::NotFound(_) => Tag::WithdrawalNotFound,
            Self::DevelopmentBackend(_) | Self::MissingKey { .. } => Tag::BackendKeyMissing,
        }
    }

    /// Whether the process must stop taking work.
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Journal(error) if error.is_fatal())
    }
}
