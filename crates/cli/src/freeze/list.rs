//! `countersign freeze list`: what is in force, under the log key.

use std::fmt;

use clap::Args;
use countersign_decision::ListedFreeze;
use countersign_types::UtcSeconds;
use serde::Serialize;

use super::{Seat, in_force, missing};
use crate::{environment::Environment, failure::Result, output::Output};

/// List the freezes in force, as the signer's log key signed them just now.
#[derive(Debug, Args)]
#[command(
    after_help = "JSON: {as_of, quorum, freezes: [{freeze, scope, cause, reason, since, thawed_by: {admin: until}, thaws_at}]}; \
                  reason is null where the signer froze by itself, thaws_at until a quorum thawed it"
)]
pub(crate) struct List {
    #[command(flatten)]
    seat: Seat,
}

/// The result: `{"as_of","quorum","freezes"}`.
#[derive(Debug, Serialize)]
struct InForce {
    as_of: UtcSeconds,
    /// How many admins a thaw takes.
    quorum: u32,
    freezes: Vec<ListedFreeze>,
}

impl fmt::Display for InForce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.freezes.is_empty() {
            return write!(f, "nothing is frozen at {}", self.as_of);
        }
        let mut separator = "";
        for freeze in &self.freezes {
            writeln!(f, "{separator}frozen       {}", freeze.scope)?;
            writeln!(f, "freeze       {}", freeze.freeze)?;
            writeln!(f, "since        {}", freeze.since)?;
            write!(f, "cause        {}", freeze.cause)?;
            if let Some(reason) = &freeze.reason {
                write!(f, "\nreason       {reason}")?;
            }
            for (admin, until) in &freeze.thawed_by {
                write!(f, "\nthawed by    {admin}, which counts until {until}")?;
            }
            match freeze.thaws_at {
                Some(thaws_at) => write!(f, "\nthaws        at {thaws_at}")?,
                None => write!(f, "\nthaws        {}", missing(self.quorum, freeze))?,
            }
            separator = "\n\n";
        }
        Ok(())
    }
}

impl List {
    pub(super) async fn run(self, output: Output) -> Result<()> {
        let environment = Environment::open(&self.seat.dir)?;
        let (layout, genesis) = (environment.layout(), environment.genesis()?);
        let list = in_force(&layout, &genesis, &self.seat.person).await?;
        output.report(&InForce {
            as_of: list.as_of,
            quorum: list.quorum,
            freezes: list.freezes,
        })
    }
}
