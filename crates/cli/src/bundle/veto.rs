//! `countersign bundle veto`: an officer stops a bundle that waits.

use std::fmt;

use clap::Args;
use countersign_approval::{Body, Veto as Statement};
use countersign_types::{BundleDigest, Duration, StatementDigest, UtcSeconds};
use serde::Serialize;

use super::Asking;
use crate::{
    acknowledged::Both,
    approvals::Printed,
    failure::Result,
    output::Output,
    signing::{Draft, Signed, SigningOptions},
};

/// Long enough to be delivered over a broken network.
const VALIDITY: Duration = Duration::from_secs(24 * 3_600);

/// Stop a bundle that waits to come into force: what was signed for it so far does not count any more.
///
/// One officer of the bundle in force is enough, at once. To go on, the quorum signs again, and the time-lock starts over. It is said to
/// be in force only when the signer's acknowledgement verifies under the log key of the genesis.
#[derive(Debug, Args)]
#[command(after_help = "JSON: {vetoed, previous, statement, in_force_since}; with --print-message {file, command}")]
pub(crate) struct Veto {
    /// The bundle, as `bundle pending` and `bundle propose` name it (sha256:…).
    bundle: BundleDigest,
    #[command(flatten)]
    asking: Asking,
    /// Why, for people; at most 512 characters.
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    signing: SigningOptions,
}

/// The result: `{"vetoed","previous","statement","in_force_since"}`.
#[derive(Debug, Serialize)]
struct Vetoed {
    vetoed: BundleDigest,
    previous: BundleDigest,
    statement: StatementDigest,
    /// When the signer first journaled it, under the log key's signature.
    in_force_since: UtcSeconds,
}

impl fmt::Display for Vetoed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "vetoed    {}", self.vetoed)?;
        writeln!(f, "behind    {}", self.previous)?;
        writeln!(f, "statement {}", self.statement)?;
        let since = self.in_force_since;
        write!(f, "in force  since {since} (acknowledged under the log key)")
    }
}

impl Veto {
    pub(super) async fn run(self, output: Output) -> Result<()> {
        let (layout, trust) = self.asking.trust().await?;
        let previous = trust.active()?.digest();
        let draft = Draft {
            deployment: trust.genesis.hash(),
            validity: VALIDITY,
            body: Body::Veto(Statement {
                bundle: self.bundle,
                previous,
                reason: self.reason,
            }),
        };
        let envelope = match self.signing.sign(&layout, &self.asking.person, draft)? {
            Signed::Envelope(envelope) => envelope,
            Signed::Printed { file, command } => return output.report(&Printed { file, command }),
        };
        let both = Both {
            layout: &layout,
            genesis: &trust.genesis,
            person: &self.asking.person,
        };
        let in_force_since = both.submit(&envelope).await?;
        output.report(&Vetoed {
            vetoed: self.bundle,
            previous,
            statement: envelope.statement_digest(),
            in_force_since,
        })
    }
}
