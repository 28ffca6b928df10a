//! The chain of bundles: from the genesis to the bundle in force, each activated by the quorum of the one before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use countersign_approval::{
    ActivationError, Body, Envelope, Environment, Genesis, KeyDirectory, StatementError, Verified, certify_activation,
    verify,
};
use countersign_bundle::{Bundle, LoadErrors};
use countersign_types::{BundleDigest, StatementDigest, Tag, Timestamp};

/// The most statements of one activation: every admin of the largest quorum.
const MAX_ACTIVATION_STATEMENTS: usize = 64;

/// Why a bundle does not continue a chain.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// The files do not load.
    #[error("{0}")]
    Load(LoadErrors),
    /// Under a production genesis, this bundle is not safe.
    #[error("{0}")]
    Environment(LoadErrors),
    /// Not the next version.
    #[error("version {found} does not follow: the next version is {expected}")]
    VersionNotNext {
        /// Of the bundle.
        found: u64,
        /// The next.
        expected: u64,
    },
    /// Not built on the bundle in force.
    #[error("the bundle names another predecessor than the bundle in force")]
    PreviousMismatch,
    /// A statement does not verify or does not count now.
    #[error("an activation statement does not count: {0}")]
    Statement(#[from] StatementError),
    /// The quorum is not there.
    #[error(transparent)]
    Activation(#[from] ActivationError),
    /// A statement takes effect later.
    #[error("the activation takes effect at {0}, not before")]
    NotBefore(Timestamp),
    /// Too many statements.
    #[error("{0} activation statements; at most {MAX_ACTIVATION_STATEMENTS} are accepted")]
    TooManyStatements(usize),
}

impl ChainError {
    /// The stable tag.
    pub fn tag(&self) -> Tag {
        match self {
            Self::Load(errors) => errors.tag(),
            Self::Environment(_) => Tag::BundleMalformed,
            Self::VersionNotNext { .. } => Tag::BundleVersionNotNext,
            Self::PreviousMismatch => Tag::BundlePreviousMismatch,
            Self::Statement(error) => error.tag(),
            Self::Activation(error) => error.tag(),
            Self::NotBefore(_) => Tag::StatementNotYetValid,
            Self::TooManyStatements(_) => Tag::MessageTooLarge,
        }
    }
}

/// A bundle with what activated it, as it is stored and sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActivatedBundle {
    /// Every file, the manifest among them.
    pub files: BTreeMap<String, Vec<u8>>,
    /// The envelopes of the admins' statements.
    pub statements: Vec<Vec<u8>>,
    /// When the signer activated it.
    pub activated_at: Timestamp,
}

/// A verified chain of bundles.
#[derive(Debug, Clone)]
pub struct BundleChain {
    bundles: Vec<Arc<Bundle>>,
}

impl BundleChain {
    /// Verifies every step from the genesis: nothing is believed because a server said so.
    pub fn verify(genesis: &Genesis, epoch: u64, activated: &[ActivatedBundle]) -> Result<Self, ChainError> {
        let mut bundles: Vec<Arc<Bundle>> = Vec::new();
        for step in activated {
            let previous = bundles.last().map(Arc::as_ref);
            let (bundle, _) = certify_next(genesis, epoch, previous, step)?;
            bundles.push(Arc::new(bundle));
        }
        Ok(Self { bundles })
    }

    /// The bundle in force.
    pub fn active(&self) -> Option<&Arc<Bundle>> {
        self.bundles.last()
    }

    /// A bundle of the chain.
    pub fn bundle(&self, digest: BundleDigest) -> Option<&Arc<Bundle>> {
        self.bundles.iter().find(|bundle| bundle.digest() == digest)
    }
}

/// Loads a bundle and certifies that the quorum in force (the genesis's, for version 1) activated it at its moment.
pub fn certify_next(
    genesis: &Genesis,
    epoch: u64,
    previous: Option<&Bundle>,
    step: &ActivatedBundle,
) -> Result<(Bundle, Vec<Verified>), ChainError> {
    let bundle = Bundle::load(&step.files).map_err(ChainError::Load)?;
    let is_production = genesis.environment() == Environment::Production;
    bundle
        .check_environment(is_production)
        .map_err(ChainError::Environment)?;
    let expected = previous.map_or(1, |previous| previous.version().saturating_add(1));
    if bundle.version() != expected {
        return Err(ChainError::VersionNotNext {
            found: bundle.version(),
            expected,
        });
    }
    if bundle.previous() != previous.map(Bundle::digest) {
        return Err(ChainError::PreviousMismatch);
    }
    let (statements, admins) = match previous {
        Some(previous) => (
            verify_statements(genesis, epoch, step, previous.roster())?,
            previous.roster().admins(),
        ),
        None => (verify_statements(genesis, epoch, step, genesis)?, genesis.admins()),
    };
    certify_activation(
        &statements,
        bundle.digest(),
        bundle.version(),
        bundle.previous(),
        admins,
    )?;
    Ok((bundle, statements))
}

/// The distinct statements of a step, each valid at its moment.
fn verify_statements(
    genesis: &Genesis,
    epoch: u64,
    step: &ActivatedBundle,
    directory: &impl KeyDirectory,
) -> Result<Vec<Verified>, ChainError> {
    if step.statements.len() > MAX_ACTIVATION_STATEMENTS {
        return Err(ChainError::TooManyStatements(step.statements.len()));
    }
    let mut verified = Vec::new();
    let mut seen: BTreeSet<StatementDigest> = BTreeSet::new();
    for bytes in &step.statements {
        let statement = verify(&Envelope::parse(bytes)?, directory)?;
        statement
            .statement()
            .header
            .certify(genesis.hash(), epoch, step.activated_at)?;
        if let Body::Activation(activation) = &statement.statement().body
            && let Some(not_before) = activation.not_before
            && step.activated_at < not_before.to_timestamp()
        {
            return Err(ChainError::NotBefore(not_before.to_timestamp()));
        }
        if seen.insert(statement.digest()) {
            verified.push(statement);
        }
    }
    Ok(verified)
}
