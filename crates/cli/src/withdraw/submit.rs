//! `countersign withdraw submit`: decode, request, store, send.

use std::{path::PathBuf, time::Duration as Span};

use clap::Args;
use countersign_approval::{Body, Statement, seal};
use countersign_client::{Client, Until};
use countersign_types::Duration;

use super::{PIPELINE, Shown, as_last_seen, ask::Ask, decoded::Decoder, nonce, shown, stored::Stored};
use crate::{
    bundle_files, clock, connect,
    environment::Environment,
    failure::{Exit, Failure, Result},
    keys::SigningKey,
    output::Output,
    transaction,
};

/// Build an unsigned transaction (or take one), sign a request for exactly what it does, and submit both.
///
/// The request is stored under requests/ before it is sent: repeating the command sends the same request and returns the
/// same withdrawal. Without --wait the exit code is 0 once the withdrawal is durable; with it, that of the outcome
/// (0 signed, 3 denied, 4 approvals pending, 5 malformed).
#[derive(Debug, Args)]
#[command(
    after_help = "JSON: {id, tenant, reference, wallet, network, state, attempts: [{number, txid, signed_transaction, cancels, pays_nobody, not_decoded}], warnings: [{tag, message}], reasons: [{tag, rule, message}], missing: [{group, required, filled}], not_before}; state is received, pending-approval, signed, denied, refused, malformed, cancelled, expired, frozen or replacing; times are Unix milliseconds"
)]
pub(crate) struct Submit {
    /// The environment.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    #[command(flatten)]
    ask: Ask,
    /// How long the request may be decided and signed.
    #[arg(long, value_name = "TIME", default_value = "24h")]
    valid_for: Duration,
    /// The initiator's key file. Default: services/<initiator>.key of the environment.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Wait for the signer's answer: signed, denied, or approvals pending.
    #[arg(long)]
    wait: bool,
    /// How long to wait at most, in seconds.
    #[arg(long, value_name = "SECS", default_value_t = 60, requires = "wait")]
    patience: u64,
}

impl Submit {
    pub(super) async fn run(self, output: Output) -> Result<Exit> {
        let environment = Environment::open(&self.dir)?;
        let client = connect::orchestrator(&environment.layout(), PIPELINE).await?;
        let stored = match Stored::read(&environment.layout(), &self.ask)? {
            Some(stored) => {
                output.progress(format!("sending the stored request {} again", stored.id));
                stored
            }
            None => self.prepare(&environment, &client, output).await?,
        };
        let submitted = client.submit(&stored.envelope, &stored.unsigned).await;
        let mut withdrawal = submitted.map_err(|error| Failure::answered("orchestrator", &error))?;
        if self.wait {
            let patience = Span::from_secs(self.patience);
            withdrawal = as_last_seen(client.wait(&stored.id, Until::Answered, patience).await)?;
        }
        let (layout, bundle) = (environment.layout(), bundle_files::load_own(&environment.layout()));
        let shown = Shown::of(&withdrawal, Decoder::with(&layout, &bundle));
        output.report(&shown)?;
        shown.certify()?;
        match (self.wait, shown::exit_of(&withdrawal)) {
            // Durable, and nobody asked for more.
            (false, Exit::Pending) => Ok(Exit::Done),
            (_, exit) => Ok(exit),
        }
    }

    /// Makes the request and stores it.
    async fn prepare(&self, environment: &Environment, client: &Client, output: Output) -> Result<Stored> {
        let layout = environment.layout();
        let bundle = bundle_files::load_own(&layout)?;
        let Ask { wallet, network, .. } = &self.ask;
        let nonce = match self.ask.nonce {
            Some(nonce) => nonce,
            None if self.ask.is_drafted() => nonce::next(client, &bundle, wallet, network).await?,
            None => 0,
        };
        let unsigned = self.ask.unsigned(bundle.registry(), nonce)?;
        if unsigned.is_rewritten {
            output.progress(transaction::REWRITTEN);
        }
        let parsed = self.ask.parse(bundle.registry(), &unsigned.bytes)?;
        let request = self.ask.request(environment.tenant(), &bundle, &parsed)?;
        let statement = Statement {
            header: clock::header(environment.genesis()?.hash(), self.valid_for)?,
            body: Body::Request(Box::new(request)),
        };
        let path = self
            .key
            .clone()
            .unwrap_or_else(|| layout.service_key(environment.initiator()));
        let envelope = seal(&statement, &SigningKey::read(&path)?).map_err(Failure::failed)?;
        let stored = Stored::new(self.ask.clone(), envelope, unsigned.bytes)?;
        stored.write(&layout)?;
        Ok(stored)
    }
}
