//! `countersign bundle …`: the next version, from a proposal to its place in the history.
//!
//! The bundle in force is the one of the chain that is verified here, from the genesis. What a change does is computed here
//! too, by the code that the signer decides with: nobody is told by a server what they sign.

mod approve;
mod diff;
mod history;
mod lines;
mod pending;
mod propose;
mod rollback;
mod veto;

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use countersign_approval::Genesis;
use countersign_bundle::{Bundle, Class, Finding, MANIFEST_PATH, Manifest, classify};
use countersign_decision::BundleChain;
use countersign_policy::analysis::{Budget, Loosening, compare};
use countersign_types::{BundleDigest, Duration, PrincipalId, Tag};
use serde::Serialize;

use self::lines::{ChangedFile, changed_files};
use crate::{
    activate, bundle_files,
    environment::{Environment, Layout},
    failure::{Failure, Result},
    output::{Output, harmless},
    policy::{self, Effort, Simulated, outcome, simulate},
    trust::Trust,
};

/// Propose, compare, approve and activate bundles.
#[derive(Debug, Subcommand)]
pub(crate) enum BundleCommand {
    Propose(propose::Propose),
    Diff(diff::Diff),
    Approve(approve::Approve),
    Pending(pending::Pending),
    Activate(activate::Activate),
    Veto(veto::Veto),
    History(history::History),
    Rollback(rollback::Rollback),
}

impl BundleCommand {
    pub(crate) async fn run(self, output: Output) -> Result<()> {
        match self {
            Self::Propose(propose) => propose.run(output).await,
            Self::Diff(diff) => diff.run(output).await,
            Self::Approve(approve) => approve.run(output).await,
            Self::Pending(pending) => pending.run(output).await,
            Self::Activate(activate) => activate.run(output).await,
            Self::Veto(veto) => veto.run(output).await,
            Self::History(history) => history.run(output).await,
            Self::Rollback(rollback) => rollback.run(output).await,
        }
    }
}

/// Who asks the signer for the bundles in force.
#[derive(Debug, Args)]
struct Asking {
    /// The environment.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Whose certificate connects.
    #[arg(long = "as", value_name = "PERSON")]
    person: PrincipalId,
}

impl Asking {
    async fn trust(&self) -> Result<(Layout, Trust)> {
        let layout = Environment::open(&self.dir)?.layout();
        let trust = Trust::fetch(&layout, self.person.as_str()).await?;
        Ok((layout, trust))
    }
}

/// What is decided again under the candidate, and how long withdrawals are looked for that it is looser for.
#[derive(Debug, Args)]
struct Looking {
    /// Also decide again what was signed, and list what would end otherwise: exported logs (`audit export --receipts`) or receipts.
    #[arg(long, value_name = "EXPORT")]
    past: Vec<PathBuf>,
    #[command(flatten)]
    effort: Effort,
}

impl Looking {
    fn back(&self, candidate: &Bundle, trust_root: &Path, output: Output) -> Result<Option<Simulated>> {
        if self.past.is_empty() {
            return Ok(None);
        }
        simulate(candidate, &self.past, trust_root, output).map(Some)
    }
}

/// What a change does: `{"class","findings":[{"file","subject","direction","why"}],"files":[{"path","lines"}],"witnesses":[…],
/// "undecided":[…],"ran_out","past"}`.
#[derive(Debug, Serialize)]
struct Differences {
    class: Class,
    findings: Vec<Finding>,
    /// What changed in the text of the files.
    files: Vec<ChangedFile>,
    /// Withdrawals for which the new policy is looser, as far as the analysis found any.
    witnesses: Vec<Witness>,
    /// Those of the findings about rules and lists that loosen and that no withdrawal shows.
    undecided: Vec<Finding>,
    /// Whether the analysis ran out of steps: then there may be more.
    ran_out: bool,
    /// What was signed, decided again; `None` where nobody asked.
    past: Option<Simulated>,
}

/// A withdrawal that the new policy allows and the old one did not, or for which it asks less:
/// `{"withdrawal","then","now","test"}`; `test` is a policy test that holds under the new bundle.
#[derive(Debug, Serialize)]
struct Witness {
    withdrawal: String,
    then: String,
    now: String,
    test: String,
}

impl Witness {
    fn of(new: &Bundle, loosening: &Loosening) -> Self {
        let unknown = "deny, the old bundle knows no such initiator or wallet";
        Self {
            withdrawal: loosening.withdrawal.told(new.registry().assets()).to_string(),
            then: loosening.old.as_ref().map_or_else(|| unknown.to_owned(), outcome),
            now: outcome(&loosening.new),
            test: new.case_yaml("looser than before", &loosening.withdrawal, &loosening.new),
        }
    }
}

impl Differences {
    fn of(old: &Bundle, new: &Bundle, budget: Budget) -> Self {
        let change = classify(old, new);
        let looser = compare(&old.setting(), &new.setting(), budget);
        Self {
            class: change.class(),
            findings: change.findings().to_vec(),
            files: changed_files(old, new),
            witnesses: looser.loosenings.iter().map(|found| Witness::of(new, found)).collect(),
            undecided: looser.unshown.iter().map(Finding::from).collect(),
            ran_out: looser.ran_out,
            past: None,
        }
    }
}

impl fmt::Display for Differences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "class     {}", self.class)?;
        for finding in &self.findings {
            write!(f, "\n{}", harmless(&finding.to_string()))?;
        }
        for ChangedFile { path, lines } in &self.files {
            write!(f, "\nchanged   {}", harmless(path))?;
            lines.iter().try_for_each(|line| write!(f, "\n    {line}"))?;
        }
        for Witness {
            withdrawal, then, now, ..
        } in &self.witnesses
        {
            write!(f, "\nlooser for")?;
            withdrawal
                .lines()
                .try_for_each(|line| write!(f, "\n    {}", harmless(line)))?;
            write!(f, "\n    before: {then}\n    after:  {now}")?;
        }
        for Finding { file, subject, .. } in &self.undecided {
            let subject = harmless(subject.as_deref().unwrap_or_default());
            write!(
                f,
                "\nundecided {file}, {subject}: no withdrawal was found that shows it; it counts as looser all the same"
            )?;
        }
        if self.ran_out {
            write!(
                f,
                "\nthe search for withdrawals ran out of steps: there may be more; `bundle diff` looks longer with `--steps`"
            )?;
        }
        if let Some(past) = &self.past {
            let text = past.to_string();
            let (first, rest) = text.split_once('\n').unwrap_or((&text, ""));
            write!(f, "\npast      {first}")?;
            rest.lines().try_for_each(|line| write!(f, "\n          {line}"))?;
        }
        Ok(())
    }
}

/// A bundle that follows the one in force: what [`Differences`] says, and `{"version","bundle","previous","needs":{…}}`.
#[derive(Debug, Serialize)]
pub(crate) struct Proposal {
    version: u64,
    bundle: BundleDigest,
    previous: BundleDigest,
    #[serde(flatten)]
    differences: Differences,
    needs: Needs,
}

/// Who must sign, and how long it takes: `{"officer","admins","time_lock"}`.
#[derive(Debug, Serialize)]
struct Needs {
    /// Whether one officer may do it alone and at once.
    officer: bool,
    /// How many admins it takes otherwise.
    admins: u32,
    /// How long it waits behind the last of them.
    time_lock: Duration,
}

/// So many admins, and the time-lock behind the last of them.
struct Quorum(u32, Duration);

impl fmt::Display for Quorum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(count, time_lock) = self;
        let admins = if *count == 1 { "admin" } else { "admins" };
        match *time_lock == Duration::ZERO {
            true => write!(f, "{count} {admins}"),
            false => write!(f, "{count} {admins}, and then {time_lock}"),
        }
    }
}

impl Proposal {
    fn of(in_force: &Bundle, next: &Bundle, budget: Budget) -> Self {
        let differences = Differences::of(in_force, next, budget);
        let needs = Needs {
            officer: differences.class.is_pure_tightening(),
            admins: in_force.roster().admins().threshold(),
            time_lock: in_force.roster().time_lock(),
        };
        Self {
            version: next.version(),
            bundle: next.digest(),
            previous: in_force.digest(),
            differences,
            needs,
        }
    }
}

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "version   {}", self.version)?;
        writeln!(f, "bundle    {}", self.bundle)?;
        writeln!(f, "follows   {}", self.previous)?;
        writeln!(f, "{}", self.differences)?;
        let Needs {
            officer,
            admins,
            time_lock,
        } = &self.needs;
        let alone = if *officer { "one officer, at once; or " } else { "" };
        write!(f, "needs     {alone}{}", Quorum(*admins, *time_lock))
    }
}

/// A bundle that nothing is before: `{"version","bundle","previous":null,"needs":{…}}`.
#[derive(Debug, Serialize)]
struct First {
    version: u64,
    bundle: BundleDigest,
    previous: Option<BundleDigest>,
    needs: Needs,
}

impl First {
    fn of(genesis: &Genesis, bundle: &Bundle) -> Self {
        Self {
            version: bundle.version(),
            bundle: bundle.digest(),
            previous: None,
            needs: Needs {
                officer: false,
                admins: genesis.admins().threshold(),
                time_lock: Duration::ZERO,
            },
        }
    }
}

impl fmt::Display for First {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "version   {}", self.version)?;
        writeln!(f, "bundle    {}", self.bundle)?;
        writeln!(f, "follows   the genesis: nothing is in force yet")?;
        let Needs { admins, time_lock, .. } = &self.needs;
        write!(
            f,
            "needs     {} of the genesis: `bundle approve`, or `bundle activate --key`",
            Quorum(*admins, *time_lock)
        )
    }
}

/// The files with the manifest that makes them the next version.
fn next_version(
    mut contents: BTreeMap<String, Vec<u8>>,
    in_force: Option<&Bundle>,
) -> Result<(Bundle, BTreeMap<String, Vec<u8>>)> {
    contents.remove(MANIFEST_PATH);
    contents.insert(MANIFEST_PATH.to_owned(), next_manifest(&contents, in_force)?.to_bytes());
    Ok((loaded(&contents)?, contents))
}

/// Of files without one: behind the bundle in force, or the first behind the genesis.
pub(crate) fn next_manifest(others: &BTreeMap<String, Vec<u8>>, in_force: Option<&Bundle>) -> Result<Manifest> {
    let version = in_force.map_or(0, Bundle::version).saturating_add(1);
    let manifest = Manifest::build(version, in_force.map(Bundle::digest), others);
    manifest.map_err(|error| Failure::no_manifest("the bundle does not load", &error))
}

fn loaded(contents: &BTreeMap<String, Vec<u8>>) -> Result<Bundle> {
    Bundle::load(contents).map_err(|errors| Failure::does_not_load("the bundle does not load", &errors))
}

/// Says what a bundle changes, before a key is used, and refuses what `propose` refuses, unless it only tightens: that breaks no invariant, and
/// an officer in an incident does not wait for a proof. Nothing is compared where nothing is in force.
pub(crate) fn certify_next(
    trust: &Trust,
    (folder, next): (&Path, &Bundle),
    budget: Budget,
    output: Output,
) -> Result<Option<Proposal>> {
    certify_environment(trust, next)?;
    certify_place(trust, next)?;
    let Some(in_force) = trust.in_force() else {
        policy::certify(folder, next, budget)?;
        output.progress(First::of(&trust.genesis, next));
        return Ok(None);
    };
    let proposal = Proposal::of(in_force, next, budget);
    if !proposal.differences.class.is_pure_tightening() {
        policy::certify(folder, next, budget)?;
    }
    output.progress(&proposal);
    Ok(Some(proposal))
}

/// What is compared with the bundle in force must follow it, whatever its manifest says.
fn certify_place(trust: &Trust, next: &Bundle) -> Result<()> {
    let expected = trust.in_force().map_or(0, Bundle::version).saturating_add(1);
    if next.version() != expected {
        let why = format!(
            "the manifest is of version {}, and {expected} is the next one",
            next.version()
        );
        return Err(Failure::denied(Tag::BundleVersionNotNext, why));
    }
    if next.previous() != trust.in_force().map(Bundle::digest) {
        let why = "the manifest names another predecessor than the bundle in force";
        return Err(Failure::denied(Tag::BundlePreviousMismatch, why));
    }
    Ok(())
}

/// What the environment refuses is refused before anybody signs it.
fn certify_environment(trust: &Trust, bundle: &Bundle) -> Result<()> {
    let is_production = match trust.genesis.environment() {
        countersign_approval::Environment::Production => true,
        countersign_approval::Environment::Development => false,
    };
    bundle
        .check_environment(is_production)
        .map_err(|errors| Failure::does_not_load("the genesis refuses the bundle", &errors))
}

/// The files of a version that was in force.
fn files_of(chain: &BundleChain, version: u64) -> Result<BTreeMap<String, Vec<u8>>> {
    let step = chain.steps().iter().find(|step| step.bundle.version() == version);
    let step = step.ok_or_else(|| Failure::usage(format!("version {version} was never in force")))?;
    Ok(step.bundle.files().clone())
}

/// Whether the manifest that lies beside the files is that of the next version, or of one that was in force before: its files are edited.
/// Another one says that somebody proposed other files than these.
fn certify_manifest(folder: &Path, next: &Bundle) -> Result<()> {
    let Some(bytes) = bundle_files::read(folder)?.remove(MANIFEST_PATH) else {
        return Ok(());
    };
    let path = folder.join(MANIFEST_PATH);
    let manifest = Manifest::parse(&bytes)
        .map_err(|error| Failure::refused(error.tag(), format!("`{}`: {error}", path.display())))?;
    if manifest.version() < next.version() || manifest.digest() == next.digest() {
        return Ok(());
    }
    let why = format!(
        "`{}` names {} (version {}), and the files beside it make {} (version {}); nothing was signed",
        path.display(),
        manifest.digest(),
        manifest.version(),
        next.digest(),
        next.version()
    );
    Err(Failure::refused(Tag::BundleDigestMismatch, why)
        .advise("get files and manifest again from whoever proposed them; `bundle propose` writes the manifest of changed files"))
}

/// Reads a folder as the next version, whatever manifest lies in it.
fn read_next(folder: &Path, trust: &Trust) -> Result<(Bundle, BTreeMap<String, Vec<u8>>)> {
    next_version(bundle_files::read(folder)?, trust.in_force())
}
