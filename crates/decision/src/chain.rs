//! The chain of bundles: from the genesis to the bundle in force, each activated by those whom the one before entitles: an
//! officer alone and at once where nothing is decided more leniently, the admin quorum behind the time-lock for everything
//! else (docs/adr/0023).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use countersign_approval::{
    ActivationError, Body, Envelope, Environment, Fingerprint, Genesis, KeyDirectory as _, Quorum, StatementError,
    Verified, certify_activation, certify_subject, verify,
};
use countersign_bundle::{Bundle, Class, LoadErrors, classify};
use countersign_types::{BundleDigest, Duration, PrincipalId, StatementDigest, Tag, Timestamp, UtcSeconds};
use serde::{Deserialize, Serialize};

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
    /// Enough have signed, and named a moment that is still to come.
    #[error("who signed wants it in force from {0}, not before")]
    NotBefore(Timestamp),
    /// The quorum is complete, and its time-lock runs.
    #[error("the quorum signed; the time-lock of the bundle in force runs until {0}")]
    TimeLocked(Timestamp),
    /// An officer stopped it.
    #[error(
        "`{officer}` vetoed the bundle at {at}; what was signed for it before does not count any more, and {found} of {required} admins signed it since"
    )]
    Vetoed {
        /// The officer.
        officer: PrincipalId,
        /// When the signer journaled the veto.
        at: Timestamp,
        /// Distinct admins since.
        found: u32,
        /// How many it takes.
        required: u32,
    },
    /// Statements of one person would count as another's.
    #[error("the key {key} of `{person}` was `{before}`'s: a key stays its person's for good")]
    KeyReused {
        /// The key.
        key: Fingerprint,
        /// Whose it would be.
        person: PrincipalId,
        /// Whose it was.
        before: PrincipalId,
    },
    /// A statement was first seen behind the activation that it is said to carry.
    #[error("a statement was first seen at {0}, behind the activation")]
    SeenLater(Timestamp),
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
            Self::SeenLater(_) => Tag::StatementNotYetValid,
            Self::NotBefore(_) | Self::TimeLocked(_) => Tag::BundleTimeLocked,
            Self::Vetoed { .. } => Tag::BundleVetoed,
            Self::KeyReused { .. } => Tag::BundleKeyReused,
            Self::TooManyStatements(_) => Tag::MessageTooLarge,
        }
    }
}

/// A statement with the moment the signer first journaled it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenStatement {
    /// The envelope.
    pub envelope: Vec<u8>,
    /// The signer's clock at first sight.
    pub first_seen_at: Timestamp,
}

/// A bundle with what activated it, as it is stored and sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActivatedBundle {
    /// Every file, the manifest among them.
    pub files: BTreeMap<String, Vec<u8>>,
    /// The statements that counted, each with its first sight.
    pub statements: Vec<SeenStatement>,
    /// When the signer activated it.
    pub activated_at: Timestamp,
}

/// On whose word a bundle came into force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Authority {
    /// The admins of the genesis, for version 1: at once.
    Genesis,
    /// The admins of the bundle before, behind its time-lock.
    Quorum,
    /// One officer of the bundle before, for a pure tightening: at once.
    Officer,
}

/// A step of a chain that was verified.
#[derive(Debug, Clone)]
pub struct Step {
    /// The bundle.
    pub bundle: Arc<Bundle>,
    /// The statements that counted.
    pub statements: Vec<Verified>,
    /// What the step from the bundle before does; absent for version 1.
    pub class: Option<Class>,
    /// On whose word.
    pub authority: Authority,
    /// When the authority was complete: first sight of the officer's statement, or of the one that completed the quorum.
    pub complete_at: Timestamp,
    /// When it came into force.
    pub activated_at: Timestamp,
}

/// A verified chain of bundles.
#[derive(Debug, Clone)]
pub struct BundleChain {
    steps: Vec<Step>,
}

impl BundleChain {
    /// Verifies every step from the genesis: nothing is believed because a server said so. The class of each step is
    /// computed again, and with it who had to sign and how long it had to wait.
    pub fn verify(genesis: &Genesis, epoch: u64, activated: &[ActivatedBundle]) -> Result<Self, ChainError> {
        let mut steps: Vec<Step> = Vec::new();
        let owned = |(key, person): (&Fingerprint, &PrincipalId)| (key.clone(), person.clone());
        let mut owners: BTreeMap<Fingerprint, PrincipalId> = genesis.fingerprints().map(owned).collect();
        for step in activated {
            let previous = steps.last().map(|step| &step.bundle);
            let next = certify_next(genesis, epoch, previous, step)?;
            for (key, person) in next.bundle.roster().fingerprints() {
                let owner = owners.entry(key.clone()).or_insert_with(|| person.clone());
                certify_owner(key, person, owner)?;
            }
            steps.push(next);
        }
        Ok(Self { steps })
    }

    /// The bundle in force.
    pub fn active(&self) -> Option<&Arc<Bundle>> {
        self.steps.last().map(|step| &step.bundle)
    }

    /// A bundle of the chain.
    pub fn bundle(&self, digest: BundleDigest) -> Option<&Arc<Bundle>> {
        let step = self.steps.iter().find(|step| step.bundle.digest() == digest);
        step.map(|step| &step.bundle)
    }

    /// Every step, from version 1 on.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }
}

/// People are told apart by their keys: whoever had one before is who has it now, and who had it once is nobody else's voice later.
pub fn certify_owner(key: &Fingerprint, person: &PrincipalId, before: &PrincipalId) -> Result<(), ChainError> {
    if person == before {
        return Ok(());
    }
    Err(ChainError::KeyReused {
        key: key.clone(),
        person: person.clone(),
        before: before.clone(),
    })
}

/// Loads a bundle and certifies that whoever is entitled by the bundle in force (the genesis's admins, for version 1)
/// activated it at its moment. Every statement of the step must count.
pub fn certify_next(
    genesis: &Genesis,
    epoch: u64,
    previous: Option<&Arc<Bundle>>,
    step: &ActivatedBundle,
) -> Result<Step, ChainError> {
    let bundle = Arc::new(Bundle::load(&step.files).map_err(ChainError::Load)?);
    let candidate = Candidate::follow(genesis, epoch, previous, bundle)?;
    candidate.certify(&step.statements, step.activated_at)
}

/// A bundle that may come into force next. What the step to it does is computed once: the longer the lists, the longer it takes.
#[derive(Debug, Clone)]
pub struct Candidate {
    genesis: Genesis,
    epoch: u64,
    previous: Option<Arc<Bundle>>,
    bundle: Arc<Bundle>,
    class: Option<Class>,
}

impl Candidate {
    /// Certifies that a bundle follows the one in force and is safe under the genesis, and computes what the step does.
    pub fn follow(
        genesis: &Genesis,
        epoch: u64,
        previous: Option<&Arc<Bundle>>,
        bundle: Arc<Bundle>,
    ) -> Result<Self, ChainError> {
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
        if bundle.previous() != previous.map(|previous| previous.digest()) {
            return Err(ChainError::PreviousMismatch);
        }
        let candidate = Self {
            genesis: genesis.clone(),
            epoch,
            previous: previous.cloned(),
            class: previous.map(|previous| classify(previous, &bundle).class()),
            bundle,
        };
        for (key, person) in candidate.bundle.roster().fingerprints() {
            if let Some(before) = candidate.owner_before(key) {
                certify_owner(key, person, before)?;
            }
        }
        Ok(candidate)
    }

    /// Whose a key was just before.
    fn owner_before(&self, key: &Fingerprint) -> Option<&PrincipalId> {
        let record = match &self.previous {
            Some(previous) => previous.roster().key(key),
            None => self.genesis.key(key),
        };
        record.map(|(person, _)| person)
    }

    /// The keys that the step brings. What they were before they left an earlier bundle only a history knows.
    pub fn new_keys(&self) -> impl Iterator<Item = (&Fingerprint, &PrincipalId)> {
        let keys = self.bundle.roster().fingerprints();
        keys.filter(|(key, _)| self.owner_before(key).is_none())
    }

    /// The keys that the step takes out, for a history.
    pub fn former_keys(&self) -> Vec<(&Fingerprint, &PrincipalId)> {
        let roster = self.bundle.roster();
        let has_left = |(key, _): &(&Fingerprint, &PrincipalId)| roster.key(key).is_none();
        match &self.previous {
            Some(previous) => previous.roster().fingerprints().filter(has_left).collect(),
            None => self.genesis.fingerprints().filter(has_left).collect(),
        }
    }

    /// The bundle.
    pub fn bundle(&self) -> &Arc<Bundle> {
        &self.bundle
    }

    /// The bundle that it follows.
    pub fn previous(&self) -> Option<&Arc<Bundle>> {
        self.previous.as_ref()
    }

    /// The recovery epoch that statements must be of.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Certifies that these statements, all of them, put the bundle in force at a moment.
    pub fn certify(&self, statements: &[SeenStatement], now: Timestamp) -> Result<Step, ChainError> {
        let statements = self.verify(statements, now)?;
        self.conclude(&statements, now)
    }

    /// Out of everything that was said about the bundle, what puts it in force now: an officer where one may, or else the
    /// admins who agree on when. What has expired, and whoever may not, is left aside.
    pub fn choose(&self, pool: &[SeenStatement], now: Timestamp) -> Result<Step, ChainError> {
        let said: Vec<(Verified, Timestamp)> = pool
            .iter()
            .filter_map(|seen| self.verify(std::slice::from_ref(seen), now).ok()?.pop())
            .collect();
        let moments: BTreeSet<_> = said.iter().map(|(verified, _)| moment(verified)).collect();
        let mut nearest = None;
        for wanted in moments {
            for is_entitled in [Self::is_entitled_officer, Self::is_admin] {
                // Of each their first: what is said again adds nothing, and a chain takes so many statements only.
                let mut spoken = BTreeSet::new();
                let of_one_mind = |(verified, _): &&(Verified, Timestamp)| {
                    moment(verified) == wanted
                        && is_entitled(self, verified.signer())
                        && spoken.insert(verified.signer().clone())
                };
                let chosen: Vec<_> = said.iter().filter(of_one_mind).cloned().collect();
                match self.conclude(&chosen, now) {
                    Ok(step) => return Ok(step),
                    Err(error) if chosen.is_empty() => drop(error),
                    Err(error) => nearest = Some(nearer(nearest, error)),
                }
            }
        }
        // Nobody said anything that counts: what a quorum of nobody lacks.
        nearest.map_or_else(|| self.conclude(&[], now), Err)
    }

    /// Whether one officer is enough.
    fn may_officer(&self) -> bool {
        self.class.is_some_and(Class::is_pure_tightening)
    }

    fn is_officer(&self, person: &PrincipalId) -> bool {
        self.previous
            .as_ref()
            .is_some_and(|previous| previous.roster().is_officer(person))
    }

    fn is_entitled_officer(&self, person: &PrincipalId) -> bool {
        self.may_officer() && self.is_officer(person)
    }

    fn is_admin(&self, person: &PrincipalId) -> bool {
        self.admins().members().contains(person)
    }

    fn admins(&self) -> &Quorum {
        self.previous
            .as_ref()
            .map_or(self.genesis.admins(), |previous| previous.roster().admins())
    }

    /// On whose word, since when.
    fn conclude(&self, statements: &[(Verified, Timestamp)], now: Timestamp) -> Result<Step, ChainError> {
        let verified: Vec<Verified> = statements.iter().map(|(verified, _)| verified.clone()).collect();
        let (digest, version, previous) = (self.bundle.digest(), self.bundle.version(), self.bundle.previous());
        let wanted = certify_subject(&verified, digest, version, previous)?;
        let wanted = wanted.map_or(now, UtcSeconds::to_timestamp);
        let officers = statements
            .iter()
            .filter(|(verified, _)| self.is_officer(verified.signer()));
        let by_officer = officers.map(|(_, seen)| *seen).min();
        let (authority, complete_at) = match (by_officer, self.previous.as_ref()) {
            (Some(seen), Some(_)) if self.may_officer() => {
                let others = verified.iter().map(Verified::signer);
                let mut others = others.filter(|signer| !self.is_officer(signer) && !self.is_admin(signer));
                if let Some(stranger) = others.next() {
                    return Err(ActivationError::NotAdmin(stranger.clone()).into());
                }
                (Authority::Officer, seen)
            }
            (Some(_) | None, in_force) => {
                certify_activation(&verified, digest, version, previous, self.admins())?;
                let said = statements.iter().map(|(verified, seen)| (verified.signer(), *seen));
                let complete_at = complete_at(self.admins().threshold(), said).unwrap_or(now);
                let time_lock = in_force.map_or(Duration::ZERO, |in_force| in_force.roster().time_lock());
                let unlocked_at = complete_at.after(time_lock);
                if now < unlocked_at && wanted <= unlocked_at {
                    return Err(ChainError::TimeLocked(unlocked_at));
                }
                let authority = in_force.map_or(Authority::Genesis, |_| Authority::Quorum);
                (authority, complete_at)
            }
        };
        // Behind the question whether enough have signed: whoever is told to wait has nobody to ask.
        if now < wanted {
            return Err(ChainError::NotBefore(wanted));
        }
        Ok(Step {
            bundle: Arc::clone(&self.bundle),
            statements: verified,
            class: self.class,
            authority,
            complete_at,
            activated_at: now,
        })
    }

    /// The distinct statements, each valid when it was first seen and at this moment.
    fn verify(&self, statements: &[SeenStatement], now: Timestamp) -> Result<Vec<(Verified, Timestamp)>, ChainError> {
        if statements.len() > MAX_ACTIVATION_STATEMENTS {
            return Err(ChainError::TooManyStatements(statements.len()));
        }
        let mut verified = Vec::new();
        let mut seen: BTreeSet<StatementDigest> = BTreeSet::new();
        for SeenStatement {
            envelope,
            first_seen_at,
        } in statements
        {
            let envelope = Envelope::parse(envelope)?;
            let statement = match &self.previous {
                Some(previous) => verify(&envelope, previous.roster())?,
                None => verify(&envelope, &self.genesis)?,
            };
            if *first_seen_at > now {
                return Err(ChainError::SeenLater(*first_seen_at));
            }
            for at in [*first_seen_at, now] {
                statement
                    .statement()
                    .header
                    .certify(self.genesis.hash(), self.epoch, at)?;
            }
            if seen.insert(statement.digest()) {
                verified.push((statement, *first_seen_at));
            }
        }
        Ok(verified)
    }
}

/// First sight of the statement that completed a quorum: each person counts from their first one.
pub(crate) fn complete_at<'a>(
    threshold: u32,
    said: impl IntoIterator<Item = (&'a PrincipalId, Timestamp)>,
) -> Option<Timestamp> {
    let mut first: BTreeMap<&PrincipalId, Timestamp> = BTreeMap::new();
    for (person, seen) in said {
        let held = first.entry(person).or_insert(seen);
        *held = (*held).min(seen);
    }
    let mut moments: Vec<Timestamp> = first.into_values().collect();
    moments.sort_unstable();
    let last = usize::try_from(threshold).ok()?.checked_sub(1)?;
    moments.get(last).copied()
}

/// From when an activation wants to be in force; other kinds say nothing about it, and count for nothing.
fn moment(verified: &Verified) -> Option<UtcSeconds> {
    if let Body::Activation(activation) = &verified.statement().body {
        return activation.not_before;
    }
    None
}

/// Of two reasons why not yet, the one that is nearer to a yes.
fn nearer(held: Option<ChainError>, other: ChainError) -> ChainError {
    let distance = |error: &ChainError| match error {
        ChainError::TimeLocked(_) => 0,
        ChainError::NotBefore(_) => 1,
        ChainError::Activation(ActivationError::QuorumShort { .. }) => 2,
        ChainError::Load(_)
        | ChainError::Environment(_)
        | ChainError::VersionNotNext { .. }
        | ChainError::PreviousMismatch
        | ChainError::Statement(_)
        | ChainError::Activation(_)
        | ChainError::Vetoed { .. }
        | ChainError::KeyReused { .. }
        | ChainError::SeenLater(_)
        | ChainError::TooManyStatements(_) => 3,
    };
    match held {
        Some(held) if distance(&held) <= distance(&other) => held,
        Some(_) | None => other,
    }
}
