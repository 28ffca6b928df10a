//! `countersign approvals approve`: decode, sign what was decoded, hand it in.

use std::fmt;

use clap::Args;
use countersign_approval::{Approval, ApprovalItem, Body, Envelope, verify};
use countersign_types::{Duration, StatementDigest, Tag, WithdrawalId};
use serde::Serialize;

use super::{Desk, Printed, Reviewed, Seat, review::certify_counts};
use crate::{
    clock,
    failure::{Failure, Result},
    output::Output,
    signing::{Draft, Signed, SigningOptions},
};

/// Approve withdrawals: decode their bytes here, sign effects, fee ceiling and policy, and hand the statement in.
///
/// Nothing is signed unless every withdrawal decodes, matches its request and is not denied by the policy in force.
#[derive(Debug, Args)]
#[command(
    after_help = "JSON: {statement, approved: [...]}, each as in `approvals show`; with --print-message {file, command}"
)]
pub(crate) struct Approve {
    /// The withdrawals (wd_…), up to 100.
    #[arg(required = true, num_args = 1..=100)]
    ids: Vec<WithdrawalId>,
    #[command(flatten)]
    seat: Seat,
    /// How long the approval counts.
    #[arg(long, value_name = "TIME", default_value = "24h")]
    valid_for: Duration,
    #[command(flatten)]
    signing: SigningOptions,
}

/// The result: `{"statement","approved":[…]}`, each item as in `approvals show`.
#[derive(Debug, Serialize)]
struct Approved {
    statement: StatementDigest,
    approved: Vec<Reviewed>,
}

impl fmt::Display for Approved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for reviewed in &self.approved {
            writeln!(f, "{reviewed}")?;
        }
        write!(f, "approved; the orchestrator has the statement {}", self.statement)
    }
}

impl Approve {
    pub(super) async fn run(self, output: Output) -> Result<()> {
        let desk = self.seat.open().await?;
        let mut approved = Vec::new();
        for id in &self.ids {
            approved.push(desk.review(*id).await?);
        }
        let draft = Draft {
            deployment: desk.trust.genesis.hash(),
            validity: self.valid_for,
            body: Body::Approval(Approval {
                items: approved.iter().map(approval_item).collect(),
            }),
        };
        let envelope = match self.signing.sign(&desk.layout, &self.seat.person, draft)? {
            Signed::Envelope(envelope) => envelope,
            Signed::Printed { file, command } => {
                for reviewed in &approved {
                    output.progress(reviewed);
                }
                return output.report(&Printed { file, command });
            }
        };
        self.refuse_unusable(&desk, &envelope)?;
        for reviewed in &approved {
            let (id, task) = (reviewed.withdrawal, &reviewed.task);
            certify_counts(&desk.trust, id, task, &envelope, clock::now()?)
                .map_err(|failure| failure.within(format!("withdrawal {id}")))?;
        }
        let statement = desk.client.send_statement(&envelope).await;
        let statement = statement.map_err(|error| Failure::answered("orchestrator", &error))?;
        output.report(&Approved { statement, approved })
    }

    /// What the signer would not count is not handed in: another person's key, a signature that does not hold, an expired
    /// message.
    fn refuse_unusable(&self, desk: &Desk, envelope: &Envelope) -> Result<()> {
        let refused = |error: countersign_approval::StatementError| Failure::refused(error.tag(), error);
        let verified = verify(envelope, desk.trust.active()?.roster()).map_err(refused)?;
        if *verified.signer() != self.seat.person {
            let why = format!(
                "the key is that of `{}`, not of `{}`",
                verified.signer(),
                self.seat.person
            );
            return Err(Failure::refused(Tag::StatementNotPermitted, why));
        }
        let header = &verified.statement().header;
        header
            .certify(desk.trust.genesis.hash(), clock::epoch(), clock::now()?)
            .map_err(refused)
    }
}

fn approval_item(reviewed: &Reviewed) -> ApprovalItem {
    ApprovalItem {
        withdrawal: reviewed.withdrawal,
        effects: reviewed.effects.clone(),
        fee_ceiling: reviewed.fee_ceiling.bound(),
        policy: reviewed.policy,
    }
}
