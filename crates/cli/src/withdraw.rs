//! `countersign withdraw`: for the service that initiates withdrawals.

mod amounts;
mod ask;
mod cancel;
mod ceiling;
mod decoded;
mod list;
mod nonce;
mod prices;
mod replace;
mod shown;
mod stored;
mod submit;

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand};
use countersign_client::{ClientError, Until, Withdrawal};
use countersign_types::WithdrawalId;

pub(crate) use self::shown::{Missing, missing};
use self::{cancel::Cancel, decoded::Decoder, replace::Replace, shown::Shown, submit::Submit};
use crate::{
    bundle_files, connect,
    environment::Environment,
    failure::{Exit, Failure, Result},
    output::Output,
};

/// The certificate of the initiating service.
pub(crate) const PIPELINE: &str = "pipeline";

#[derive(Debug, Subcommand)]
pub(crate) enum Withdraw {
    Submit(Box<Submit>),
    Show(Show),
    List(list::List),
    Replace(Box<Replace>),
    Cancel(Box<Cancel>),
}

impl Withdraw {
    pub(crate) async fn run(self, output: Output) -> Result<Exit> {
        match self {
            Self::Submit(submit) => submit.run(output).await,
            Self::Show(show) => show.run(output).await,
            Self::List(list) => list.run(output).await,
            Self::Replace(replace) => replace.run(output).await,
            Self::Cancel(cancel) => cancel.run(output).await,
        }
    }
}

/// Show a withdrawal as the orchestrator tells it: state, attempts, reasons, what is missing.
///
/// What an attempt is, is not taken from the orchestrator: its bytes are decoded here, with the environment's copy of the bundle, and what is
/// signed must be those bytes. Where the orchestrator says otherwise the exit code is 5 (`attempt/contradicted`).
///
/// With --wait the exit code is that of the outcome (0 signed, 3 denied, 4 still pending or frozen, 5 malformed); without it, 0.
#[derive(Debug, Args)]
#[command(
    after_help = "JSON: {id, tenant, reference, wallet, network, state, attempts: [{number, txid, signed_transaction, cancels, pays_nobody, not_decoded}], warnings: [{tag, message}], reasons: [{tag, rule, message}], missing: [{group, required, filled}], not_before, kept_in}; kept_in: {tag, message} where the signer has recorded a signature and does not hand it out, else null; state is received, pending-approval, signed, denied, refused, malformed, cancelled, expired, frozen (held until the freeze is thawed, then it goes on by itself) or replacing (signed, and a later attempt is being decided); an attempt that cancels pays nobody and takes the place of the payment: of those that are signed either may land; cancels and pays_nobody are decoded here, and null where not_decoded says why they are not: take such an attempt for a payment; times are Unix milliseconds"
)]
pub(crate) struct Show {
    /// The withdrawal (wd_…).
    id: WithdrawalId,
    /// The environment.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Lookup tables and nonce accounts of Solana as your own node has them (JSON: docs/transactions.md), to decode its attempts with.
    /// Default: as the request was submitted with.
    #[arg(long, value_name = "FILE")]
    facts: Option<PathBuf>,
    /// Wait until it is decided: signed, denied, cancelled, expired or malformed.
    #[arg(long)]
    wait: bool,
    /// How long to wait at most, in seconds.
    #[arg(long, value_name = "SECS", default_value_t = 60, requires = "wait")]
    patience: u64,
}

impl Show {
    async fn run(self, output: Output) -> Result<Exit> {
        let layout = Environment::open(&self.dir)?.layout();
        let client = connect::orchestrator(&layout, PIPELINE).await?;
        let (withdrawal, exit) = match self.wait {
            true => {
                let patience = Duration::from_secs(self.patience);
                let withdrawal = as_last_seen(client.wait(&self.id, Until::Decided, patience).await)?;
                let exit = shown::exit_of(&withdrawal);
                (withdrawal, exit)
            }
            false => {
                let withdrawal = client.withdrawal(&self.id).await;
                let withdrawal = withdrawal.map_err(|error| Failure::answered("orchestrator", &error))?;
                (withdrawal, Exit::Done)
            }
        };
        let bundle = bundle_files::load_own(&layout);
        let decoder = Decoder {
            facts: self.facts.as_deref(),
            ..Decoder::with(&layout, &bundle)
        };
        let shown = Shown::of(&withdrawal, decoder).holding(shown::kept_in(&client, &withdrawal).await);
        output.report(&shown)?;
        shown.certify()?;
        Ok(exit)
    }
}

/// Who waited too long still learns how it stands; the exit code says that it is not decided.
fn as_last_seen(waited: std::result::Result<Withdrawal, ClientError>) -> Result<Withdrawal> {
    match waited {
        Ok(withdrawal) => Ok(withdrawal),
        Err(ClientError::NotDecided { last: Some(last) }) => Ok(*last),
        Err(error) => Err(Failure::answered("orchestrator", &error)),
    }
}
