//! `countersign bundle approve`: an admin's or an officer's word for the next version, before anybody activates it.

use std::{fmt, path::PathBuf};

use clap::Args;
use countersign_approval::{Activation, Body, Envelope, verify};
use countersign_bundle::Bundle;
use countersign_client::PeopleClient;
use countersign_decision::{Acknowledgement, Proposal as Waits, Word};
use countersign_types::{PrincipalId, StatementDigest, Timestamp, UtcSeconds};
use serde::Serialize;

use super::{
    Asking, Proposal, certify_manifest, certify_next,
    pending::{Prospect, proposals},
    read_next,
};
use crate::{
    activate,
    approvals::Printed,
    clock, connect,
    environment::Layout,
    failure::{Failure, Result},
    output::Output,
    owners::certify_same,
    policy::Effort,
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
    after_help = "JSON: what `bundle propose` reports, signer, statement, first_seen_at and waits (what `bundle pending` says of it); of the first bundle {version, bundle, policy}; with --print-message {file, command}"
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

/// The result: the proposal, `"signer"`, `"statement"`, `"first_seen_at"`, and `"waits"`, which is what `bundle pending` says of the bundle.
#[derive(Debug, Serialize)]
struct Approved {
    #[serde(flatten)]
    proposal: Proposal,
    signer: PrincipalId,
    statement: StatementDigest,
    first_seen_at: UtcSeconds,
    /// `None` where another bundle came into force meanwhile.
    waits: Option<Waits>,
    #[serde(skip)]
    now: Timestamp,
}

impl fmt::Display for Approved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The rest was shown before the key was used.
        writeln!(f, "approved  {}", self.proposal.bundle)?;
        writeln!(f, "signed by {}", self.signer)?;
        writeln!(f, "statement {}", self.statement)?;
        write!(f, "journaled {} (acknowledged under the log key)", self.first_seen_at)?;
        let Some(waits) = &self.waits else { return Ok(()) };
        for note in self.notes(waits) {
            write!(f, "\nnote      {note}")?;
        }
        let prospect = Prospect {
            proposal: waits,
            time_lock: self.proposal.needs.time_lock,
            now: self.now,
        };
        write!(f, "\n{}", Wide(&prospect.to_string()))
    }
}

/// Whose word it is, by the roster that the signer holds it against.
fn signer_of(envelope: &Envelope, trust: &Trust) -> Result<PrincipalId> {
    let verified = match trust.in_force() {
        Some(in_force) => verify(envelope, in_force.roster()),
        None => verify(envelope, &trust.genesis),
    };
    let verified = verified.map_err(|error| Failure::denied(error.tag(), error))?;
    Ok(verified.signer().clone())
}

async fn what_waits(layout: &Layout, people: &PeopleClient, now: Timestamp) -> Result<Vec<Waits>> {
    proposals(people, &Trust::fetch_through(layout, people).await?, now).await
}

/// The same columns as the rest.
struct Wide<'a>(&'a str);

impl fmt::Display for Wide<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (head, rest) = self.0.split_once("   ").unwrap_or((self.0, ""));
        write!(f, "{head:<10}{rest}")
    }
}

impl Approved {
    /// What this word does not do.
    fn notes(&self, waits: &Waits) -> Vec<String> {
        let own = waits
            .words
            .iter()
            .filter(|word| word.person == self.signer && word.counts);
        let own: Vec<&Word> = own.collect();
        let mut notes = Vec::new();
        if let [first, _, ..] = own.as_slice() {
            notes.push(format!(
                "`{}` has signed it at {} already",
                self.signer, first.first_seen_at
            ));
        }
        let is_admin = own.iter().any(|word| word.is_admin);
        if !is_admin && !self.proposal.needs.officer {
            notes.push(format!(
                "`{}` is no admin, and it does not only tighten: this adds nothing",
                self.signer
            ));
        }
        notes
    }
}

impl Approve {
    pub(super) async fn run(self, output: Output) -> Result<()> {
        let budget = self.effort.budget();
        let (layout, trust) = self.asking.trust().await?;
        let (next, contents) = read_next(&self.files, &trust)?;
        certify_manifest(&self.files, &next)?;
        let draft = self.draft(&trust, &next)?;
        // Before the key is used: what is signed is what was read.
        let proposal = certify_next(&trust, (&self.files, &next), budget, output)?;
        let envelope = match self.signing.sign(&layout, &self.asking.person, draft)? {
            Signed::Envelope(envelope) => envelope,
            Signed::Printed { file, command } => return output.report(&Printed { file, command }),
        };
        let signer = signer_of(&envelope, &trust)?;
        certify_same(&self.asking.person, &signer)?;
        let people = connect::people(&layout, self.asking.person.as_str()).await?;
        let Some(proposal) = proposal else {
            // Nobody is in the signer's roster before the first one, so it goes there whole: it comes into force with the last signature that
            // the genesis asks for, and until then the answer is how many there are.
            let first = activate::Next { bundle: next, contents };
            return output.report(&first.put_in_force(&layout, &people, &[envelope]).await?);
        };
        let answer = people.submit_statement(&envelope).await;
        let answer = answer.map_err(|error| Failure::answered("signer", &error))?;
        let (key, statement) = (trust::log_key(&trust.genesis)?, envelope.statement_digest());
        let first_seen_at = Acknowledgement::verify(&answer, &key, trust.genesis.hash(), statement)
            .map_err(|error| Failure::unverified(error.tag(), format!("the signer's answer: {error}")))?;
        let now = clock::now()?;
        // It is journaled, whatever comes of asking what it makes of the bundle.
        let waits = match what_waits(&layout, &people, now).await {
            Ok(waiting) => waiting.into_iter().find(|waits| waits.bundle == proposal.bundle),
            Err(failure) => {
                output.progress(format_args!(
                    "journaled; what is missing is not known: {}",
                    failure.message()
                ));
                None
            }
        };
        output.report(&Approved {
            waits,
            signer,
            proposal,
            statement,
            first_seen_at,
            now,
        })
    }

    fn draft(&self, trust: &Trust, next: &Bundle) -> Result<Draft> {
        Ok(Draft {
            deployment: trust.genesis.hash(),
            validity: activate::validity(trust.in_force(), self.not_before, clock::now()?)?,
            body: Body::Activation(Activation {
                bundle: next.digest(),
                version: next.version(),
                previous: next.previous(),
                not_before: self.not_before,
            }),
        })
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
            let draft = line.approve.draft(&trust, &next).unwrap();
            let Body::Activation(activation) = draft.body else {
                panic!("{:?}", draft.body)
            };
            assert_eq!((activation.version, activation.bundle), (version, next.digest()));
            assert_eq!(activation.previous, trust.in_force().map(Bundle::digest));
            assert_eq!(draft.deployment, fixture.genesis.hash());
        }
    }
}
