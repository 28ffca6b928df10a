//! `countersign bundle approve`: an admin's or an officer's word for the next version, before anybody activates it.

use std::{fmt, path::PathBuf};

use clap::Args;
use countersign_approval::{Activation, Body};
use countersign_bundle::Bundle;
use countersign_decision::Acknowledgement;
use countersign_types::{StatementDigest, UtcSeconds};
use serde::Serialize;

use super::{Asking, First, Proposal, certify_environment, certify_manifest, read_next};
use crate::{
    activate,
    approvals::Printed,
    connect,
    environment::Layout,
    failure::{Failure, Result},
    output::Output,
    policy::{self, Effort},
    signing::{Draft, Signed, SigningOptions},
    trust::{self, Trust},
};

/// Sign the activation of the next version and have the signer journal it: time-locks count from there.
///
/// What is signed is the digest that is computed here, from these files and the bundle in force; what the change does is
/// shown before the key is used. A manifest.json of another next version is refused: the files are not those that were proposed. What `bundle propose` refuses is refused here too, unless it only tightens. It is said to be
/// journaled only when the signer's acknowledgement verifies under the log key of the genesis.
///
/// The first bundle of a deployment is put in force by the last of the genesis's admins who signs it; until then the answer is
/// `bundle/quorum-short`, and what was signed counts.
#[derive(Debug, Args)]
#[command(
    after_help = "JSON: what `bundle propose` reports, statement and first_seen_at; of the first bundle {version, bundle, policy}; with --print-message {file, command}"
)]
pub(crate) struct Approve {
    #[command(flatten)]
    asking: Asking,
    /// The bundle's files.
    #[arg(long, value_name = "BUNDLE_DIR")]
    files: PathBuf,
    /// Not in force before this moment (RFC 3339); whoever signs must say the same.
    #[arg(long, value_name = "TIME")]
    not_before: Option<UtcSeconds>,
    #[command(flatten)]
    signing: SigningOptions,
    #[command(flatten)]
    effort: Effort,
}

/// The result: the proposal, `"statement"` and `"first_seen_at"`.
#[derive(Debug, Serialize)]
struct Approved {
    #[serde(flatten)]
    proposal: Proposal,
    statement: StatementDigest,
    first_seen_at: UtcSeconds,
}

impl fmt::Display for Approved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The rest was shown before the key was used.
        writeln!(f, "approved  {}", self.proposal.bundle)?;
        writeln!(f, "statement {}", self.statement)?;
        write!(f, "journaled {} (acknowledged under the log key)", self.first_seen_at)
    }
}

impl Approve {
    pub(super) async fn run(self, output: Output) -> Result<()> {
        let budget = self.effort.budget();
        let (layout, trust) = self.asking.trust().await?;
        let (next, contents) = read_next(&self.files, &trust)?;
        certify_manifest(&self.files, &next)?;
        certify_environment(&trust, &next)?;
        let Some(in_force) = trust.in_force() else {
            let first = activate::Next { bundle: next, contents };
            return self.first(&layout, &trust, first, output).await;
        };
        let proposal = Proposal::of(in_force, &next, budget);
        // A tightening breaks no invariant, and an officer in an incident does not wait for a proof.
        if !proposal.differences.class.is_pure_tightening() {
            policy::certify(&next, budget)?;
        }
        // Before the key is used: what is signed is what was read.
        output.progress(&proposal);
        let envelope = match self
            .signing
            .sign(&layout, &self.asking.person, self.draft(&trust, &next))?
        {
            Signed::Envelope(envelope) => envelope,
            Signed::Printed { file, command } => return output.report(&Printed { file, command }),
        };
        let people = connect::people(&layout, self.asking.person.as_str()).await?;
        let answer = people.submit_statement(&envelope).await;
        let answer = answer.map_err(|error| Failure::answered("signer", &error))?;
        let (key, statement) = (trust::log_key(&trust.genesis)?, envelope.statement_digest());
        let first_seen_at = Acknowledgement::verify(&answer, &key, trust.genesis.hash(), statement)
            .map_err(|error| Failure::unverified(error.tag(), format!("the signer's answer: {error}")))?;
        output.report(&Approved {
            proposal,
            statement,
            first_seen_at,
        })
    }

    /// Nobody is in the signer's roster before the first one, so it goes there whole: it comes into force with the last signature that
    /// the genesis asks for, and until then the answer is how many there are.
    async fn first(&self, layout: &Layout, trust: &Trust, first: activate::Next, output: Output) -> Result<()> {
        policy::certify(&first.bundle, self.effort.budget())?;
        output.progress(First::of(&trust.genesis, &first.bundle));
        let draft = self.draft(trust, &first.bundle);
        let envelope = match self.signing.sign(layout, &self.asking.person, draft)? {
            Signed::Envelope(envelope) => envelope,
            Signed::Printed { file, command } => return output.report(&Printed { file, command }),
        };
        let people = connect::people(layout, self.asking.person.as_str()).await?;
        output.report(&first.put_in_force(layout, &people, &[envelope]).await?)
    }

    fn draft(&self, trust: &Trust, next: &Bundle) -> Draft {
        Draft {
            deployment: trust.genesis.hash(),
            validity: activate::validity(trust.in_force()),
            body: Body::Activation(Activation {
                bundle: next.digest(),
                version: next.version(),
                previous: next.previous(),
                not_before: self.not_before,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use countersign_bundle::MANIFEST_PATH;

    use super::*;
    use crate::{bundle_files, init::fixture::Fixture};

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        approve: Approve,
    }

    /// Security keys and air-gapped ones sign the first bundle as any other: what they sign follows nothing.
    #[test]
    fn the_first_bundle_is_signed_as_the_ones_behind_it_are() {
        let fixture = Fixture::new();
        let line = Line::parse_from(["countersign", "--dir", ".", "--as", "alice", "--files", ".", "--agent"]);
        let mut files = bundle_files::read(&fixture.layout.bundle()).unwrap();
        files.remove(MANIFEST_PATH);
        for (in_force, version) in [(0, 1), (1, 2)] {
            let trust = Trust::of(fixture.genesis.clone(), fixture.chain(in_force));
            let (next, _) = super::super::next_version(files.clone(), trust.in_force()).unwrap();
            let draft = line.approve.draft(&trust, &next);
            let Body::Activation(activation) = draft.body else {
                panic!("{:?}", draft.body)
            };
            assert_eq!((activation.version, activation.bundle), (version, next.digest()));
            assert_eq!(activation.previous, trust.in_force().map(Bundle::digest));
            assert_eq!(draft.deployment, fixture.genesis.hash());
        }
    }
}
