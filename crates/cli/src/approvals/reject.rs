//! `countersign approvals reject`: a no that nobody can withhold.

use std::fmt;

use clap::Args;
use countersign_approval::{Body, Rejection, RejectionItem};
use countersign_types::{Duration, WithdrawalId};
use serde::Serialize;

use super::{Printed, Seat};
use crate::{
    acknowledged::{Both, Sent},
    environment::Environment,
    failure::Result,
    output::Output,
    signing::{Draft, Signed, SigningOptions},
};

/// A no does not run out before the request does.
const VALIDITY: Duration = Duration::from_secs(30 * 86_400);

/// Reject a withdrawal: one rejection by a member of a required group ends it.
///
/// The statement goes to the signer's own listener as well as to the orchestrator. "In force" is said only when the
/// signer's acknowledgement verifies under the log key of the genesis.
#[derive(Debug, Args)]
#[command(
    after_help = "JSON: {withdrawal, statement, in_force_since, orchestrator}; orchestrator is null when it took the statement, else why not; with --print-message {file, command}"
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

/// The result: `{"withdrawal","statement","in_force_since","orchestrator"}`; `orchestrator` is null when it took it.
#[derive(Debug, Serialize)]
struct Rejected {
    withdrawal: WithdrawalId,
    #[serde(flatten)]
    sent: Sent,
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rejection of {}\n{}", self.withdrawal, self.sent)
    }
}

impl Reject {
    pub(super) async fn run(self, output: Output) -> Result<()> {
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
            Signed::Printed { file, command } => return output.report(&Printed { file, command }),
        };
        let both = Both {
            layout: &layout,
            genesis: &genesis,
            person: &self.seat.person,
        };
        let sent = both.send(&envelope, |client, envelope| {
            Box::pin(async move { client.send_statement(envelope).await.map(drop) })
        });
        output.report(&Rejected {
            withdrawal: self.id,
            sent: sent.await?,
        })
    }
}
