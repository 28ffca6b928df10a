//! `countersign freeze thaw`: one admin's voice for letting go.

use std::fmt;

use clap::Args;
use countersign_approval::{Body, FreezeScope, Thaw as Statement};
use countersign_decision::{FreezeList, ListedFreeze};
use countersign_types::{FreezeId, StatementDigest, Tag, UtcSeconds};
use serde::Serialize;

use super::{Seat, VALIDITY, in_force, missing};
use crate::{
    acknowledged::Both,
    approvals::Printed,
    environment::Environment,
    failure::{Failure, Result},
    output::Output,
    signing::{Draft, Signed, SigningOptions},
};

/// Thaw a freeze as an admin. It ends once a quorum of admins has said so and the roster's `thaw-delay` has passed.
///
/// What is thawed is read from the signer's signed list first, and shown. A mistake is undone by freezing again.
#[derive(Debug, Args)]
#[command(
    after_help = "JSON: {freeze, scope, statement, acknowledged_at, in_force, missing, thaws_at}; with --print-message {file, command}"
)]
pub(crate) struct Thaw {
    /// The freeze (sha256:…), as `freeze list` shows it.
    freeze: FreezeId,
    #[command(flatten)]
    seat: Seat,
    /// Why, for people; at most 512 characters.
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    signing: SigningOptions,
}

/// The result: `{"freeze","scope","statement","acknowledged_at","in_force","missing","thaws_at"}`.
#[derive(Debug, Serialize)]
struct Thawed {
    freeze: FreezeId,
    scope: FreezeScope,
    statement: StatementDigest,
    /// When the signer first journaled the statement, under the log key's signature.
    acknowledged_at: UtcSeconds,
    /// Whether the freeze still stops what it names, by the signer's signed list.
    in_force: bool,
    /// What is missing; null where nothing is.
    missing: Option<String>,
    /// When it ends; null while more admins must speak.
    thaws_at: Option<UtcSeconds>,
}

impl fmt::Display for Thawed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "thaw of      {}", self.freeze)?;
        writeln!(f, "frozen       {}", self.scope)?;
        writeln!(f, "statement    {}", self.statement)?;
        writeln!(f, "acknowledged {} (under the log key)", self.acknowledged_at)?;
        match (self.in_force, self.thaws_at, &self.missing) {
            (true, Some(at), _) => write!(f, "thaws        at {at}"),
            (true, None, Some(missing)) => write!(f, "thaws        {missing}"),
            (true, None, None) => write!(f, "still frozen"),
            (false, _, _) => write!(f, "not in force any more"),
        }
    }
}

impl Thaw {
    pub(super) async fn run(self, output: Output) -> Result<()> {
        let environment = Environment::open(&self.seat.dir)?;
        let (layout, genesis) = (environment.layout(), environment.genesis()?);
        let before = in_force(&layout, &genesis, &self.seat.person).await?;
        let freeze = self.freeze_in(&before)?;
        let scope = freeze.scope.clone();
        let why = freeze.reason.as_ref().unwrap_or(&freeze.cause);
        output.progress(format_args!(
            "thawing a freeze of {scope} since {}: {why}",
            freeze.since
        ));
        let draft = Draft {
            deployment: genesis.hash(),
            validity: VALIDITY,
            body: Body::Thaw(Statement {
                freeze: self.freeze,
                reason: self.reason.clone(),
            }),
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
        let acknowledged_at = both.submit(&envelope).await?;
        let after = in_force(&layout, &genesis, &self.seat.person).await?;
        let listed = after.freezes.iter().find(|freeze| freeze.freeze == self.freeze);
        output.report(&Thawed {
            freeze: self.freeze,
            scope,
            statement: envelope.statement_digest(),
            acknowledged_at,
            in_force: listed.is_some(),
            missing: listed
                .filter(|freeze| freeze.thaws_at.is_none())
                .map(|freeze| missing(after.quorum, freeze)),
            thaws_at: listed.and_then(|freeze| freeze.thaws_at),
        })
    }

    fn freeze_in<'l>(&self, list: &'l FreezeList) -> Result<&'l ListedFreeze> {
        let mut freezes = list.freezes.iter();
        let freeze = freezes.find(|freeze| freeze.freeze == self.freeze);
        freeze.ok_or_else(|| {
            let message = format!("no freeze {} is in force at {}", self.freeze, list.as_of);
            Failure::failed(message).tagged(Tag::FreezeNotFound)
        })
    }
}
