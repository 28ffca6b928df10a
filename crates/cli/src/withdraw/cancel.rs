//! `countersign withdraw cancel`: the initiator, or an officer, takes a request back.

mod attempt;

use std::{fmt, path::PathBuf};

use clap::Args;
use countersign_approval::{Body, Cancel as Statement};
use countersign_types::{Duration, PrincipalId, Tag, WithdrawalId};
use serde::Serialize;

use super::{PIPELINE, Shown, decoded::Decoder, shown};
use crate::{
    acknowledged::{Both, Sent},
    bundle_files, connect,
    environment::Environment,
    failure::{Exit, Failure, Result},
    output::Output,
    signing::{Draft, Signed, SigningOptions},
};

/// A cancel that waits for nothing: long enough to be delivered over a broken network.
const VALIDITY: Duration = Duration::from_secs(24 * 3_600);

/// Cancel a withdrawal before it is signed, or have what is signed and has not landed replaced by what pays nobody.
///
/// A signed transaction cannot be recalled. As long as it has not landed a cancel attempt (--max-fee or --tx) can take its place: broadcast it
/// like any other; the chain takes one of the two, and it may be the payment. It needs the fee ceiling that the cancel states, the policy's
/// permission, and whatever approvals the policy asks for.
///
/// The initiating service cancels through the orchestrator. An officer (--as) sends to the signer directly as well, and is
/// told "in force" only when the signer's acknowledgement verifies. Whether something was signed before is read from the signer's
/// receipt: then the exit code is 1, and the payment must be expected on chain. With a cancel attempt the exit code is about that.
#[derive(Debug, Args)]
#[command(
    after_help = "JSON: as in `withdraw show`; with --as: {withdrawal, statement, in_force_since, orchestrator, signed}, or {file, command} with --print-message; signed: ids of the transactions that were signed before, null where that is not known. With a cancel attempt as in `withdraw show`; with --as also {attempted}, as in `withdraw show`, null where the orchestrator did not take it. With --wait the exit code is that of the cancel attempt: 0 signed, 3 denied, 4 approvals pending, 5 malformed"
)]
pub(crate) struct Cancel {
    /// The withdrawal (wd_…).
    id: WithdrawalId,
    /// The environment.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Why, for people; at most 512 characters.
    #[arg(long, default_value = "")]
    reason: String,
    /// Cancel as an officer, not as the initiating service.
    #[arg(long = "as", value_name = "PERSON")]
    officer: Option<PrincipalId>,
    #[command(flatten)]
    attempt: attempt::Attempt,
    #[command(flatten)]
    signing: SigningOptions,
}

impl Cancel {
    pub(super) async fn run(self, output: Output) -> Result<Exit> {
        let environment = Environment::open(&self.dir)?;
        if let Some(ceiling) = self.attempt.ceiling() {
            return attempt::run(&self, ceiling, &environment, output).await;
        }
        match self.officer.clone() {
            Some(officer) => self.as_officer(&environment, &officer, output).await,
            None => self.as_service(&environment, output).await,
        }
    }

    fn draft(&self, environment: &Environment) -> Result<Draft> {
        Ok(Draft {
            deployment: environment.genesis()?.hash(),
            validity: VALIDITY,
            body: Body::Cancel(Statement {
                withdrawal: self.id,
                fee_ceiling: None,
                reason: self.reason.clone(),
            }),
        })
    }

    async fn as_service(&self, environment: &Environment, output: Output) -> Result<Exit> {
        let layout = environment.layout();
        let draft = self.draft(environment)?;
        let envelope = self.signing.sign_as_service(&layout, environment.initiator(), draft)?;
        let client = connect::orchestrator(&layout, PIPELINE).await?;
        let withdrawal = client.cancel(&envelope).await;
        let withdrawal = withdrawal.map_err(|error| too_late(Failure::answered("orchestrator", &error)))?;
        let bundle = bundle_files::load_own(&layout);
        let shown = Shown::of(&withdrawal, Decoder::with(&layout, &bundle));
        output.report(&shown)?;
        shown.certify()?;
        Ok(match shown::exit_of(&withdrawal) {
            // Cancelled is what was asked for.
            Exit::Denied => Exit::Done,
            exit @ (Exit::Done | Exit::Failed | Exit::Usage | Exit::Pending | Exit::Refused | Exit::Unverified) => exit,
        })
    }

    async fn as_officer(&self, environment: &Environment, officer: &PrincipalId, output: Output) -> Result<Exit> {
        let layout = environment.layout();
        let genesis = environment.genesis()?;
        let envelope = match self.signing.sign(&layout, officer, self.draft(environment)?)? {
            Signed::Envelope(envelope) => envelope,
            Signed::Printed { file, command } => {
                output.report(&crate::approvals::Printed { file, command })?;
                return Ok(Exit::Done);
            }
        };
        let both = Both {
            layout: &layout,
            genesis: &genesis,
            person: officer,
        };
        let sent = both.send(self.id, &envelope, |client, envelope| {
            Box::pin(async move { client.cancel(envelope).await.map(drop) })
        });
        let sent = sent.await?;
        let exit = sent.exit();
        output.report(&Cancelled {
            withdrawal: self.id,
            sent,
        })?;
        Ok(exit)
    }
}

/// What to do where the cancel came too late.
fn too_late(failure: Failure) -> Failure {
    if failure.tag() != Some(Tag::WithdrawalWrongState) {
        return failure;
    }
    failure.advise(
        "what was signed cannot be recalled: `withdraw show` says whether it was; expect it on chain, or have a cancel attempt take its \
         place as long as it has not landed (--max-fee or --tx)",
    )
}

/// The result for an officer: `{"withdrawal","statement","in_force_since","orchestrator","signed"}`.
#[derive(Debug, Serialize)]
struct Cancelled {
    withdrawal: WithdrawalId,
    #[serde(flatten)]
    sent: Sent,
}

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cancel of {}\n{}", self.withdrawal, self.sent)
    }
}
