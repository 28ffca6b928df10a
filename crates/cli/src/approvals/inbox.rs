//! `countersign approvals list`: what waits, each decoded here.

use std::fmt;

use clap::Args;
use countersign_client::PendingApproval;
use countersign_types::{Tag, WithdrawalId};
use serde::Serialize;

use super::{Desk, Reviewed, Seat};
use crate::{
    failure::{Failure, Result},
    output::{Output, harmless},
};

const PAGE_ROWS: u32 = 100;

/// List the withdrawals that wait for approvals, decoded here. What disagrees with the server is listed as refused.
#[derive(Debug, Args)]
#[command(
    after_help = "JSON: {pending: [...], more}; each item as in `approvals show`, or {id, refused: {tag, message}}"
)]
pub(crate) struct List {
    #[command(flatten)]
    seat: Seat,
    /// At most this many, oldest first.
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
}

/// The result: `{"pending":[…],"more"}`; each item as in `approvals show`, or `{"id","refused":{"tag","message"}}`.
#[derive(Debug, Serialize)]
struct Inbox {
    pending: Vec<Item>,
    /// Whether the server has more behind `--limit`.
    more: bool,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Item {
    Decoded(Box<Reviewed>),
    Refused { id: String, refused: Refusal },
}

#[derive(Debug, Serialize)]
struct Refusal {
    tag: Option<Tag>,
    message: String,
}

impl List {
    pub(super) async fn run(self, output: Output) -> Result<()> {
        let desk = self.seat.open().await?;
        let mut inbox = Inbox {
            pending: Vec::new(),
            more: false,
        };
        let mut token = String::new();
        loop {
            let page = desk.client.pending(PAGE_ROWS, &token).await;
            let page = page.map_err(|error| Failure::answered("orchestrator", &error))?;
            for pending in &page.pending {
                if inbox.pending.len() >= self.limit {
                    inbox.more = true;
                    return output.report(&inbox);
                }
                inbox.pending.push(item(&desk, pending).await);
            }
            match page.next {
                Some(following) => token = following,
                None => return output.report(&inbox),
            }
        }
    }
}

async fn item(desk: &Desk, pending: &PendingApproval) -> Item {
    match decoded(desk, pending).await {
        Ok(reviewed) => Item::Decoded(Box::new(reviewed)),
        Err(failure) => Item::Refused {
            id: harmless(&pending.withdrawal_id),
            refused: Refusal {
                tag: failure.tag(),
                message: failure.message().to_owned(),
            },
        },
    }
}

async fn decoded(desk: &Desk, pending: &PendingApproval) -> Result<Reviewed> {
    let id: WithdrawalId = pending
        .withdrawal_id
        .parse()
        .map_err(|error| Failure::refused(Tag::MessageInvalid, error))?;
    let reviewed = desk.review(id).await?;
    let request = &reviewed.request;
    let agrees = request.tenant.as_str() == pending.tenant && request.reference.as_str() == pending.reference;
    if !agrees {
        let why = format!(
            "the server lists it under reference `{}`, its request says `{}`",
            harmless(&pending.reference),
            request.reference
        );
        return Err(Failure::refused(Tag::ApprovalOtherWithdrawal, why));
    }
    Ok(reviewed)
}

impl fmt::Display for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pending.is_empty() {
            return write!(f, "nothing waits for approvals");
        }
        for (at, item) in self.pending.iter().enumerate() {
            if at > 0 {
                writeln!(f)?;
            }
            match item {
                Item::Decoded(reviewed) => reviewed.summarize(f)?,
                Item::Refused { id, refused } => {
                    let tag = refused.tag.map(|tag| format!("{tag}: ")).unwrap_or_default();
                    writeln!(f, "{id}\n  REFUSED {tag}{}", refused.message)?;
                }
            }
        }
        if self.more {
            writeln!(f, "\nthere are more: raise --limit")?;
        }
        Ok(())
    }
}
