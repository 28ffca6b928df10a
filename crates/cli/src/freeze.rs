//! `countersign freeze`: what an officer does first, and an admin last. It goes to the signer's second listener and nowhere
//! else; what it answers is believed under the log key only.

mod list;
mod set;
mod thaw;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use countersign_approval::Genesis;
use countersign_decision::{FreezeList, ListedFreeze};
use countersign_types::{Duration, PrincipalId, Tag};

use crate::{
    clock, connect,
    environment::Layout,
    failure::{Failure, Result},
    output::Output,
    trust,
};

/// How old a signed list may be: an older one could be from before the freeze that somebody looks for.
const MAX_LIST_AGE: Duration = Duration::from_secs(300);
/// Long enough to be delivered over a broken network.
const VALIDITY: Duration = Duration::from_secs(24 * 3_600);

#[derive(Debug, Subcommand)]
pub(crate) enum Freeze {
    Set(Box<set::Set>),
    List(list::List),
    Thaw(thaw::Thaw),
}

impl Freeze {
    pub(crate) async fn run(self, output: Output) -> Result<()> {
        match self {
            Self::Set(set) => set.run(output).await,
            Self::List(list) => list.run(output).await,
            Self::Thaw(thaw) => thaw.run(output).await,
        }
    }
}

/// Who speaks or looks, and where.
#[derive(Debug, Args)]
struct Seat {
    /// The environment.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Who you are: whose certificate connects, and whose key signs.
    #[arg(long = "as", value_name = "PERSON")]
    person: PrincipalId,
}

/// The freezes in force now, verified.
async fn in_force(layout: &Layout, genesis: &Genesis, person: &PrincipalId) -> Result<FreezeList> {
    let people = connect::people(layout, person.as_str()).await?;
    let list = people.freezes().await;
    let list = list.map_err(|error| Failure::answered("signer", &error))?;
    let list = FreezeList::verify(&list, &trust::log_key(genesis)?, genesis.hash());
    let list =
        list.map_err(|error| Failure::unverified(error.tag(), format!("the signer's list of freezes: {error}")))?;
    let now = clock::now()?;
    if list.as_of.to_timestamp().after(MAX_LIST_AGE) < now || now.after(MAX_LIST_AGE) < list.as_of.to_timestamp() {
        let message = format!(
            "the signer's list of freezes is of {}, here it is {}",
            list.as_of,
            now.to_seconds()
        );
        return Err(Failure::unverified(Tag::ReceiptInvalid, message));
    }
    Ok(list)
}

/// What a freeze that no quorum has thawed waits for.
fn missing(quorum: u32, freeze: &ListedFreeze) -> String {
    let spoken = u32::try_from(freeze.thawed_by.len()).unwrap_or(u32::MAX);
    match (quorum.saturating_sub(spoken), freeze.thawed_by.values().min()) {
        // A change of the roster can make a quorum of those who spoke; the next word counts them.
        (0, _) => "once another admin speaks".to_owned(),
        (1, None) => "once 1 admin has spoken".to_owned(),
        (more, None) => format!("once {more} admins have spoken"),
        (1, Some(until)) => format!("once 1 more admin speaks before {until}"),
        (more, Some(until)) => format!("once {more} more admins speak before {until}"),
    }
}
