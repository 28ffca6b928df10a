//! `countersign bundle approve`: an admin's or an officer's word for the next version, before anybody activates it.

use std::{fmt, path::PathBuf};

use clap::Args;
use countersign_approval::{Activation, Body};
use countersign_decision::Acknowledgement;
use countersign_types::{StatementDigest, UtcSeconds};
use serde::Serialize;

use super::{Asking, Proposal, certify_environment, certify_manifest, read_next};
use crate::{
    activate,
    approvals::Printed,
    connect,
    failure::{Failure, Result},
    output::Output,
    policy,
    signing::{Draft, Signed, SigningOptions},
    trust,
};

/// Sign the activation of the next version and have the signer journal it: time-locks count from there.
///
/// What is signed is the digest that is computed here, from these files and the bundle in force; what the change does is
/// shown before the key is used. A manifest.json of another next version is refused: the files are not those that were proposed. What `bundle propose` refuses is refused here too, unless it only tightens. It is said to be
/// journaled only when the signer's acknowledgement verifies under the log key of the genesis.
#[derive(Debug, Args)]
#[command(
    after_help = "JSON: what `bundle propose` reports, statement and first_seen_at; with --print-message {file, command}"
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
        let (layout, trust) = self.asking.trust().await?;
        let (next, _) = read_next(&self.files, &trust)?;
        certify_manifest(&self.files, &next)?;
        certify_environment(&trust, &next)?;
        let proposal = Proposal::of(trust.active()?, &next);
        // A tightening breaks no invariant, and an officer in an incident does not wait for a proof.
        if !proposal.differences.class.is_pure_tightening() {
            policy::certify(&next)?;
        }
        // Before the key is used: what is signed is what was read.
        output.progress(&proposal);
        let draft = Draft {
            deployment: trust.genesis.hash(),
            validity: activate::validity(Some(trust.active()?)),
            body: Body::Activation(Activation {
                bundle: next.digest(),
                version: next.version(),
                previous: next.previous(),
                not_before: self.not_before,
            }),
        };
        let envelope = match self.signing.sign(&layout, &self.asking.person, draft)? {
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
}
