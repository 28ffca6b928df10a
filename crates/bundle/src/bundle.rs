//! Loading: manifest, then files against it, then each file, then the files against each other.

use std::{collections::BTreeMap, fmt};

use countersign_approval::Roster;
use countersign_chains::{LOOKALIKE_END_CHARS, Network, Registry, evm::Descriptor};
use countersign_policy::{DestinationLists, Policy, analysis::Invariant};
use countersign_types::{BundleDigest, ChainId, Destination, Duration, ListId, PolicyDigest, RuleId, Tag, WalletId};

use crate::{
    LoadError, LoadErrors, MANIFEST_PATH, Manifest, ManifestError, Problem,
    assets::{self, PricedAssets},
    caps, descriptors,
    destinations::{self, Listed},
    error::Found,
    networks,
    places::{Place, TOP},
    policy::{self, Loaded, Names},
    reach::Reach,
    registry_error, roster, wallets,
    yaml::Doc,
};

/// A bundle that holds together.
#[derive(Debug, Clone)]
pub struct Bundle {
    manifest: Manifest,
    /// Computed once: every decision compares it.
    digest: BundleDigest,
    policy_digest: PolicyDigest,
    roster: Roster,
    registry: Registry,
    policy: Policy,
    invariants: Vec<Invariant>,
    /// Where the id of each rule and invariant stands in `policy.yaml`.
    places: BTreeMap<RuleId, Place>,
    lists: DestinationLists,
    names: destinations::Names,
    descriptors: Vec<Descriptor>,
    files: BTreeMap<String, Vec<u8>>,
}

/// What a comparison with another bundle looks at.
#[derive(Clone, Copy)]
pub(crate) struct Compared<'a> {
    pub(crate) manifest: &'a Manifest,
    pub(crate) policy: &'a Policy,
    pub(crate) invariants: &'a [Invariant],
    pub(crate) lists: &'a DestinationLists,
    pub(crate) names: &'a destinations::Names,
}

/// That a list has a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DestinationEntry<'a> {
    /// The list.
    pub list: &'a ListId,
    /// What people call it; destinations of a list's own file have no names.
    pub name: Option<&'a str>,
}

impl fmt::Display for DestinationEntry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name {
            Some(name) => write!(f, "{name} ({})", self.list),
            None => write!(f, "a destination of list {}", self.list),
        }
    }
}

/// A destination that a bundle knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownDestination<'a> {
    /// Where.
    pub destination: Destination,
    /// From where the bundle knows it.
    pub source: KnownFrom<'a>,
}

/// From where a bundle knows a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KnownFrom<'a> {
    /// A list has it.
    List(DestinationEntry<'a>),
    /// It is an address of this own wallet.
    Own(&'a WalletId),
}

impl fmt::Display for KnownFrom<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::List(entry) => entry.fmt(f),
            Self::Own(wallet) => write!(f, "own wallet {wallet}"),
        }
    }
}

impl Bundle {
    /// Loads files by name, the manifest among them. Reports everything that is wrong, as far as it can be told: what
    /// depends on a file that does not load is not judged.
    pub fn load(files: &BTreeMap<String, Vec<u8>>) -> Result<Self, LoadErrors> {
        let manifest = certify_files(files)?;
        let mut found = Found::default();
        let networks = networks::load(files, &mut found);
        let judged = found.is_empty().then_some(&networks);
        let roster = roster::load(bytes(files, "roster.yaml"), judged, &mut found);
        let registry = load_registry(files, networks, &mut found)?;
        let (Some(roster), Some((registry, wallets, priced))) = (roster, registry) else {
            return Err(found.fail());
        };
        let listed = destinations::load(files, &registry, &mut found);
        let loaded = match &listed {
            Some(Listed { lists, .. }) => {
                let names = Names {
                    registry: &registry,
                    roster: &roster,
                    lists,
                    priced: &priced,
                };
                policy::load(bytes(files, "policy.yaml"), &names, &mut found)
            }
            None => None,
        };
        let (Some(Listed { lists, names }), Some(loaded)) = (listed, loaded) else {
            return Err(found.fail());
        };
        let reach = Reach {
            registry: &registry,
            roster: &roster,
            loaded: &loaded,
            wallets: &wallets,
        };
        reach.certify(&mut found);
        let descriptors = descriptors::load(files, &mut found);
        found.conclude()?;
        let Loaded {
            policy,
            invariants,
            asking: _,
            ids: places,
        } = loaded;
        Ok(Self {
            digest: manifest.digest(),
            policy_digest: manifest.policy_digest(),
            manifest,
            roster,
            registry,
            policy,
            invariants,
            places,
            lists,
            names,
            descriptors,
            files: files.clone(),
        })
    }

    /// What a genesis of this environment refuses. Development accepts everything that loads; production wants a cap on
    /// everything that may leave ([`caps`]), cold wallets that pay own ones only, charges that age once and for a reason, a
    /// time-lock on loosenings, and that no observer makes a fact alone.
    pub fn check_environment(&self, is_production: bool) -> Result<(), LoadErrors> {
        let mut found = Found::default();
        if is_production {
            for problem in caps::uncapped(&self.registry, &self.policy) {
                found.push(LoadError::new("policy.yaml", TOP, problem));
            }
            for (file, problem) in self.development_only() {
                found.push(LoadError::new(file, TOP, problem));
            }
        }
        found.conclude()
    }

    /// The settings besides caps that only development accepts, and the file of each.
    pub(crate) fn development_only(&self) -> Vec<(&'static str, Problem)> {
        let aging = caps::unaging(&self.registry, &self.roster).into_iter();
        let mut found: Vec<_> = aging.map(|problem| ("wallets.yaml", problem)).collect();
        let mut refuse = |problem| found.push(("roster.yaml", problem));
        if self.roster.time_lock() == Duration::ZERO {
            refuse(Problem::NoTimeLock);
        }
        for (network, observers) in self.roster.observed_networks() {
            if observers.threshold() < 2 {
                refuse(Problem::LoneObserver(network.clone()));
            }
        }
        if self.roster.thaw_delay() == Duration::ZERO {
            refuse(Problem::NoThawDelay);
        }
        for currency in self.policy.wants().currencies.iter().copied() {
            let sources = self.roster.price_sources(currency);
            if sources.is_none_or(|sources| sources.quorum().threshold() < 2) {
                refuse(Problem::LonePriceSource(currency));
            }
        }
        found
    }

    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }
    /// The bundle's identity: the digest of the manifest's bytes.
    pub fn digest(&self) -> BundleDigest {
        self.digest
    }
    /// What approvals bind.
    pub fn policy_digest(&self) -> PolicyDigest {
        self.policy_digest
    }
    /// Counts from 1.
    pub fn version(&self) -> u64 {
        self.manifest.version()
    }
    /// The bundle that it replaces; none for version 1.
    pub fn previous(&self) -> Option<BundleDigest> {
        self.manifest.previous()
    }
    /// People, services, groups, initiators, admins, officers.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }
    /// Networks, wallets and assets.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }
    /// The rules.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }
    /// What must hold of every withdrawal; it decides nothing.
    pub fn invariants(&self) -> &[Invariant] {
        &self.invariants
    }
    /// Line and column of a rule's or invariant's id in `policy.yaml`, from 1.
    pub fn rule_place(&self, id: &RuleId) -> Option<(u32, u32)> {
        self.places.get(id).copied()
    }
    /// The destination lists, as policy evaluation takes them.
    pub fn destinations(&self) -> &DestinationLists {
        &self.lists
    }
    /// The lists that have a destination, in order of id.
    pub fn entries<'a>(&'a self, destination: &Destination) -> impl Iterator<Item = DestinationEntry<'a>> {
        let lists = self.lists.iter().filter(|(_, list)| list.contains(destination));
        lists.map(move |(list, _)| self.entry(list, destination))
    }

    fn entry<'a>(&'a self, list: &'a ListId, destination: &Destination) -> DestinationEntry<'a> {
        let name = self.names.get(list).and_then(|names| names.get(destination));
        DestinationEntry {
            list,
            name: name.map(String::as_str),
        }
    }

    /// What the bundle knows and a person who compares only the ends of addresses would take this destination for: a warning,
    /// never a decision. An own address is not warned about: it was matched by its key.
    pub fn lookalikes(&self, destination: &Destination) -> impl Iterator<Item = KnownDestination<'_>> {
        let is_own = self.registry.own_wallet(destination).is_some();
        let listed = self.lists.iter().flat_map(move |(list, entries)| {
            let known = entries.ending_like(destination, LOOKALIKE_END_CHARS);
            known.map(move |known| KnownDestination {
                source: KnownFrom::List(self.entry(list, &known)),
                destination: known,
            })
        });
        let own = self.registry.own_destinations();
        let own = own.map(|(destination, wallet)| KnownDestination {
            destination: destination.clone(),
            source: KnownFrom::Own(wallet),
        });
        listed
            .chain(own)
            .filter(move |known| !is_own && self.registry.resembles(&known.destination, destination))
    }
    /// How calls and messages are displayed (ERC-7730); for [`Registry::display`], and no part of any decision.
    pub fn descriptors(&self) -> &[Descriptor] {
        &self.descriptors
    }
    /// Everything that [`crate::classify`] compares.
    pub(crate) fn compared(&self) -> Compared<'_> {
        // Whole, without `..`. What is left out is the content of files that are compared by their digests, so a field that
        // is read from `policy.yaml`, `destinations.yaml` or a list's own file must not be left out.
        let Self {
            manifest,
            digest: _,
            policy_digest: _,
            roster: _,
            registry: _,
            policy,
            invariants,
            // Where a rule stands is no matter of what it says.
            places: _,
            lists,
            names,
            descriptors: _,
            files: _,
        } = self;
        Compared {
            manifest,
            policy,
            invariants,
            lists,
            names,
        }
    }
    /// The bytes of all files together.
    pub fn size(&self) -> usize {
        self.files.values().map(Vec::len).fold(0, usize::saturating_add)
    }
    /// The files as they were loaded, the manifest among them.
    pub fn files(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.files
    }
}

fn bytes<'f>(files: &'f BTreeMap<String, Vec<u8>>, path: &str) -> &'f [u8] {
    files.get(path).map(Vec::as_slice).unwrap_or_default()
}

/// The manifest, if the files are exactly those that it names.
fn certify_files(files: &BTreeMap<String, Vec<u8>>) -> Result<Manifest, LoadErrors> {
    let mut found = Found::default();
    let manifest = match files.get(MANIFEST_PATH) {
        None => Err(ManifestError::Missing),
        Some(bytes) => Manifest::parse(bytes),
    };
    match manifest {
        Err(error) => found.push(LoadError::new(MANIFEST_PATH, place(&error), error)),
        Ok(manifest) => {
            for (file, error) in manifest.compare(files) {
                found.push(LoadError::new(&file, TOP, error));
            }
            if found.is_empty() {
                return Ok(manifest);
            }
        }
    }
    Err(found.fail())
}

fn place(error: &ManifestError) -> (u32, u32) {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    if let ManifestError::Json { line, column, .. } = error {
        return (number(*line), number(*column));
    }
    TOP
}

type LoadedRegistry<'a> = (Registry, Doc<'a, wallets::WalletsFile>, PricedAssets);

/// Networks, wallets and assets, checked together.
fn load_registry<'a>(
    files: &BTreeMap<String, Vec<u8>>,
    networks: BTreeMap<ChainId, Network>,
    found: &mut Found,
) -> Result<Option<LoadedRegistry<'a>>, LoadErrors> {
    if networks.is_empty() {
        if found.is_empty() {
            found.push(LoadError::new(
                MANIFEST_PATH,
                TOP,
                Problem::Said(Tag::BundleMissingValue, "the bundle has no networks/*.yaml"),
            ));
        }
        return Err(found.fail());
    }
    let assets = assets::load(bytes(files, "assets.yaml"), &networks, found);
    let wallets = wallets::load(files, &networks, found);
    let (Some((assets_doc, assets)), Some((wallets_doc, wallets))) = (assets, wallets) else {
        return Ok(None);
    };
    let priced = assets::priced(&assets_doc, found);
    match Registry::new(networks.into_values().collect(), wallets, assets) {
        Ok(registry) => Ok(Some((registry, wallets_doc, priced))),
        Err(error) => {
            found.push(registry_error::locate(&error, &wallets_doc, &assets_doc));
            Ok(None)
        }
    }
}
