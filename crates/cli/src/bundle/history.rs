//! `countersign bundle history`: what was in force, on whose word.

use std::fmt;

use clap::Args;
use countersign_approval::Verified;
use countersign_bundle::Class;
use countersign_decision::{Authority, Step};
use countersign_types::{BundleDigest, PrincipalId, Timestamp};
use serde::Serialize;

use super::Asking;
use crate::{failure::Result, output::Output, trust::Vetoed};

/// List every version that was in force, and what officers stopped before it came into force, as verified from the genesis: class, authority and time-lock are computed again.
#[derive(Debug, Args)]
#[command(
    after_help = "JSON: {versions: [{version, bundle, class, authority, signers, complete_at, activated_at}], vetoes: [{bundle, previous, officer, reason, vetoed_at}]}; class is null for version 1; times are Unix milliseconds of the signer"
)]
pub(crate) struct History {
    #[command(flatten)]
    asking: Asking,
}

/// The result: `{"versions":[…],"vetoes":[…]}`, oldest first.
#[derive(Debug, Serialize)]
struct Versions {
    versions: Vec<Version>,
    vetoes: Vec<Vetoed>,
}

#[derive(Debug, Serialize)]
struct Version {
    version: u64,
    bundle: BundleDigest,
    class: Option<Class>,
    authority: Authority,
    signers: Vec<PrincipalId>,
    complete_at: Timestamp,
    activated_at: Timestamp,
}

impl Version {
    fn of(step: &Step) -> Self {
        Self {
            version: step.bundle.version(),
            bundle: step.bundle.digest(),
            class: step.class,
            authority: step.authority,
            signers: people(&step.statements),
            complete_at: step.complete_at,
            activated_at: step.activated_at,
        }
    }
}

/// Who signed, each once however often they did, in the order of their first word.
fn people(statements: &[Verified]) -> Vec<PrincipalId> {
    let mut people = Vec::new();
    for said in statements {
        if !people.contains(said.signer()) {
            people.push(said.signer().clone());
        }
    }
    people
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for version in &self.versions {
            let signers: Vec<&str> = version.signers.iter().map(PrincipalId::as_str).collect();
            let authority = match version.authority {
                Authority::Genesis => "the genesis's admins",
                Authority::Quorum => "the admins",
                Authority::Officer => "an officer",
            };
            writeln!(f, "version {}  {}", version.version, version.bundle)?;
            if let Some(class) = version.class {
                writeln!(f, "  class     {class}")?;
            }
            writeln!(
                f,
                "  signed    {} ({authority}), complete {}",
                signers.join(", "),
                version.complete_at
            )?;
            writeln!(f, "  in force  {}", version.activated_at)?;
            for veto in self.vetoes.iter().filter(|veto| veto.previous == version.bundle) {
                let Vetoed {
                    bundle,
                    officer,
                    reason,
                    vetoed_at,
                    ..
                } = veto;
                writeln!(f, "  vetoed    {bundle} by {officer} at {vetoed_at}: {reason}")?;
            }
        }
        match self.versions.len() {
            1 => write!(f, "verified from the genesis: 1 version"),
            count => write!(f, "verified from the genesis: {count} versions"),
        }
    }
}

impl History {
    pub(super) async fn run(self, output: Output) -> Result<()> {
        let (_, trust) = self.asking.trust().await?;
        let versions = trust.chain().steps().iter().map(Version::of).collect();
        let vetoes = trust.vetoes().to_vec();
        output.report(&Versions { versions, vetoes })
    }
}
