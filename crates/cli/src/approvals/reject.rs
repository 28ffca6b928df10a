//! `countersign approvals reject`: a no that nobody can withhold.

use std::fmt;

use clap::Args;
use countersign_approval::{Body, Rejection, RejectionItem};
use countersign_types::{Duration, PrincipalId, WithdrawalId};
use serde::Serialize;

use super::{Printed, Seat};
use crate::{
    acknowledged::{Both, Sent},
    environment::{Environment, Layout},
    failure::{Exit, Result},
    output::Output,
    signing::{Draft, Signed, SigningOptions},
    trust::Trust,
};

/// A no does not run out before the request does.
const VALIDITY: Duration = Duration::from_secs(30 * 86_400);

/// Reject a withdrawal: one rejection by a member of an approval group ends it, as long as nothing is signed.
///
/// The statement goes to the signer's own listener as well as to the orchestrator. "In force" is said only when the
/// signer's acknowledgement verifies under the log key of the genesis. The exit code is 1 where something was signed before, as the
/// signer's receipt has it, and where the person is in no approval group of the bundle in force, so that the rejection ends nothing, or
/// neither is known.
#[derive(Debug, Args)]
#[command(
    after_help = "JSON: {withdrawal, statement, in_force_since, orchestrator, signed, counts}; orchestrator is null when it took the statement, else why not; signed: ids of the transactions that were signed before, null where that is not known; counts: whether the person is in an approval group, null where that is not known; with --print-message {file, command}"
)]
pub(crate) struct Reject {
    /// The withdrawal (wd_…).
    id: WithdrawalId,
    #[command(flatten)]
    seat: Seat,
    /// Why, for people; at most 512 characters.
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    signing: SigningOptions,
}

/// The result: `{"withdrawal","statement","in_force_since","orchestrator","signed","counts"}`; `orchestrator` is null when it took it.
#[derive(Debug, Serialize)]
struct Rejected {
    withdrawal: WithdrawalId,
    /// Whether the person is in an approval group of the bundle in force; `None` where that is not known.
    counts: Option<bool>,
    /// Why it is not known.
    #[serde(skip)]
    unknown: Option<String>,
    #[serde(flatten)]
    sent: Sent,
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rejection of {}\n{}", self.withdrawal, self.sent)?;
        if let Some(why) = &self.unknown {
            write!(
                f,
                "\nNOT KNOWN    whether this person is in an approval group, without which it ends nothing: {why}"
            )?;
        }
        match self.counts {
            Some(false) => write!(
                f,
                "\nENDS NOTHING this person is in no approval group; an officer stops it with `withdraw cancel --as` or `freeze set`"
            ),
            Some(true) | None => Ok(()),
        }
    }
}

impl Reject {
    pub(super) async fn run(self, output: Output) -> Result<Exit> {
        let environment = Environment::open(&self.seat.dir)?;
        let (layout, genesis) = (environment.layout(), environment.genesis()?);
        let item = RejectionItem {
            withdrawal: self.id,
            reason: self.reason.clone(),
        };
        let draft = Draft {
            deployment: genesis.hash(),
            validity: VALIDITY,
            body: Body::Rejection(Rejection { items: vec![item] }),
        };
        let envelope = match self.signing.sign(&layout, &self.seat.person, draft)? {
            Signed::Envelope(envelope) => envelope,
            Signed::Printed { file, command } => {
                output.report(&Printed { file, command })?;
                return Ok(Exit::Done);
            }
        };
        let both = Both {
            layout: &layout,
            genesis: &genesis,
            person: &self.seat.person,
        };
        let sent = both.send(self.id, &envelope, |client, envelope| {
            Box::pin(async move { client.send_statement(envelope).await.map(drop) })
        });
        let sent = sent.await?;
        // Behind the rejection, which goes out whatever else fails.
        let counts = is_in_a_group(&layout, &self.seat.person).await;
        let exit = match counts {
            Ok(true) => sent.exit(),
            Ok(false) | Err(_) => Exit::Failed,
        };
        output.report(&Rejected {
            withdrawal: self.id,
            unknown: counts.as_ref().err().map(|failure| failure.message().to_owned()),
            counts: counts.ok(),
            sent,
        })?;
        Ok(exit)
    }
}

/// Whether a person is in a group that rules may ask, by the bundle in force as it verifies from the genesis.
async fn is_in_a_group(layout: &Layout, person: &PrincipalId) -> Result<bool> {
    let trust = Trust::fetch(layout, person.as_str()).await?;
    Ok(!trust.active()?.roster().groups_of(person).is_empty())
}
