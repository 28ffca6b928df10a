//! `countersign approvals`: for the people who approve. What is shown was decoded here.

mod approve;
mod attested;
mod cancelling;
mod ceiling;
mod inbox;
mod over_soft;
mod reject;
mod rejected;
mod review;

use std::{fmt, path::PathBuf};

use clap::{Args, Subcommand};
use countersign_client::Client;
use countersign_types::{PrincipalId, Tag, WithdrawalId};
use serde::Serialize;

use self::review::{Reviewed, review};
use crate::{
    clock, connect,
    environment::{Environment, Layout},
    failure::{Exit, Failure, Result},
    output::Output,
    trust::Trust,
};

#[derive(Debug, Subcommand)]
pub(crate) enum Approvals {
    List(inbox::List),
    Show(Show),
    Approve(approve::Approve),
    Reject(reject::Reject),
}

impl Approvals {
    pub(crate) async fn run(self, output: Output) -> Result<Exit> {
        match self {
            Self::List(list) => list.run(output).await?,
            Self::Show(show) => show.run(output).await?,
            Self::Approve(approve) => approve.run(output).await?,
            Self::Reject(reject) => return reject.run(output).await,
        }
        Ok(Exit::Done)
    }
}

/// Who approves, and where.
#[derive(Debug, Args)]
struct Seat {
    /// The environment.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Who you are: whose certificate connects, and whose key signs.
    #[arg(long = "as", value_name = "PERSON")]
    person: PrincipalId,
}

/// A person at work: the verified bundles, from the signer, and a connection to the orchestrator, which is not believed.
struct Desk {
    layout: Layout,
    trust: Trust,
    client: Client,
}

impl Seat {
    async fn open(&self) -> Result<Desk> {
        let layout = Environment::open(&self.dir)?.layout();
        let trust = Trust::fetch(&layout, self.person.as_str()).await?;
        let client = connect::orchestrator(&layout, self.person.as_str()).await?;
        Ok(Desk { layout, trust, client })
    }
}

impl Desk {
    /// Fetches a withdrawal and decodes it.
    async fn review(&self, id: WithdrawalId) -> Result<Reviewed> {
        let task = self.client.approval_task(&id).await;
        let task = task.map_err(|error| Failure::answered("orchestrator", &error))?;
        let reviewed = review(&self.trust, id, &task, clock::now()?);
        reviewed.map_err(|failure| {
            let advice = match failure.tag() {
                // Somebody's own word, verified here: there is nothing to suspect.
                Some(Tag::WithdrawalCancelled | Tag::ApprovalRejected) => "it has ended: there is nothing to approve",
                Some(_) | None => "do not approve it; tell the operators of the orchestrator",
            };
            failure.within(format!("withdrawal {id}")).advise(advice)
        })
    }
}

/// Show what one withdrawal does, decoded from its bytes here, with the bundle verified here.
#[derive(Debug, Args)]
#[command(
    after_help = "JSON: {withdrawal, tenant, reference, initiator, expires_at, effects, typed_data, display: {owner, intent, lines: [{label, text}]}, quirks: [{asset, symbol, quirks}], cancels: {by, reason} (null unless it is a cancel attempt, which pays none of the payments), payments: [{reference, subject, known_as}], lookalikes: [{destination, resembles, known_as}], fee: {asset, max, shown}, fee_ceiling: {asset, amount, shown, raised: {from, from_shown, by, reason}}, transaction, policy, bundle_version, seats: [{group, required, filled}], may_be_asked: [{limit, group, required}], server_says_missing, unreadable_statements}"
)]
pub(crate) struct Show {
    /// The withdrawal (wd_…).
    id: WithdrawalId,
    #[command(flatten)]
    seat: Seat,
}

impl Show {
    async fn run(self, output: Output) -> Result<()> {
        let reviewed = self.seat.open().await?.review(self.id).await?;
        output.report(&reviewed)
    }
}

/// The result where nothing was signed yet: `{"file","command"}`.
#[derive(Debug, Serialize)]
pub(crate) struct Printed {
    pub(crate) file: PathBuf,
    pub(crate) command: String,
}

impl fmt::Display for Printed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        writeln!(f, "nothing is signed yet; the message is in {file}")?;
        writeln!(f, "sign it      {}", self.command)?;
        write!(
            f,
            "then repeat  with --message {file} --attach-signature {file}.sig instead of --print-message"
        )
    }
}
