//! `countersign approvals approve`: decode, sign what was decoded, hand it in.

use std::fmt;

use clap::Args;
use countersign_approval::{Approval, ApprovalItem, Body, Envelope, verify};
use countersign_client::Client;
use countersign_types::{Duration, StatementDigest, WithdrawalId};
use serde::Serialize;

use super::{Desk, Printed, Reviewed, Seat, review::certify_counts};
use crate::{
    clock,
    failure::{Failure, Result},
    output::Output,
    owners::certify_same,
    signing::{Draft, Signed, SigningOptions},
};

/// Approve withdrawals: decode their bytes here, sign effects, fee ceiling and policy, and hand the statement in.
///
/// Nothing is signed unless every withdrawal decodes, matches its request and is not denied by the policy in force.
#[derive(Debug, Args)]
#[command(
    after_help = "JSON: {statement, approved: [...], signed_before: [...]}, each of approved as in `approvals show`; signed_before: ids of those that were signed already, as the orchestrator says; with --print-message {file, command}"
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

/// The result: `{"statement","approved":[…],"signed_before":[…]}`, each item approved as in `approvals show`.
#[derive(Debug, Serialize)]
struct Approved {
    statement: StatementDigest,
    approved: Vec<Reviewed>,
    /// What was signed before, as the orchestrator says: there the approval changes nothing.
    signed_before: Vec<WithdrawalId>,
}

impl fmt::Display for Approved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for reviewed in &self.approved {
            writeln!(f, "{reviewed}")?;
        }
        write!(f, "approved; the orchestrator has the statement {}", self.statement)?;
        for id in &self.signed_before {
            write!(
                f,
                "\nsigned before, as the orchestrator says, so that this changed nothing: {id}"
            )?;
        }
        Ok(())
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
        let signed_before = signed_before(&desk.client, &approved).await;
        let statement = desk.client.send_statement(&envelope).await;
        let statement = statement.map_err(|error| Failure::answered("orchestrator", &error))?;
        output.report(&Approved {
            statement,
            approved,
            signed_before,
        })
    }

    /// What the signer would not count is not handed in: another person's key, a signature that does not hold, an expired
    /// message.
    fn refuse_unusable(&self, desk: &Desk, envelope: &Envelope) -> Result<()> {
        let refused = |error: countersign_approval::StatementError| Failure::refused(error.tag(), error);
        let verified = verify(envelope, desk.trust.active()?.roster()).map_err(refused)?;
        certify_same(&self.seat.person, verified.signer())?;
        let header = &verified.statement().header;
        header
            .certify(desk.trust.genesis.hash(), clock::epoch(), clock::now()?)
            .map_err(refused)
    }
}

/// Those whose bytes are signed already. Its word costs nothing: what is not known is not said.
async fn signed_before(client: &Client, approved: &[Reviewed]) -> Vec<WithdrawalId> {
    let mut signed = Vec::new();
    for reviewed in approved {
        let Ok(known) = client.withdrawal(&reviewed.withdrawal).await else {
            continue;
        };
        let bytes = &reviewed.task.unsigned_transaction;
        let mut attempts = known.attempts.iter();
        if attempts.any(|attempt| attempt.signed.is_some() && attempt.unsigned_transaction == *bytes) {
            signed.push(reviewed.withdrawal);
        }
    }
    signed
}

fn approval_item(reviewed: &Reviewed) -> ApprovalItem {
    ApprovalItem {
        withdrawal: reviewed.withdrawal,
        effects: reviewed.effects.clone(),
        fee_ceiling: reviewed.fee_ceiling.bound(),
        policy: reviewed.policy,
    }
}

#[cfg(test)]
mod tests {
    use countersign_types::RequestDigest;

    use super::*;

    #[test]
    fn whoever_approves_what_is_signed_is_told_that_it_changed_nothing() {
        let id = WithdrawalId::of(RequestDigest::of(b"x"));
        let said = |signed_before| Approved {
            statement: StatementDigest::of(b"yes"),
            approved: vec![],
            signed_before,
        };
        let digest = StatementDigest::of(b"yes");
        let plain = format!("approved; the orchestrator has the statement {digest}");
        assert_eq!(said(vec![]).to_string(), plain);
        let expected = format!("{plain}\nsigned before, as the orchestrator says, so that this changed nothing: {id}");
        assert_eq!(said(vec![id]).to_string(), expected);
        let json = serde_json::to_value(said(vec![id])).unwrap();
        assert_eq!(json["signed_before"][0], id.to_string());
    }
}
