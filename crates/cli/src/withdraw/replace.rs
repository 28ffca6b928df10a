//! `countersign withdraw replace`: another transaction in the place of one that is stuck.

mod certify;
mod raise;

use std::{path::PathBuf, time::Duration as Span};

use clap::Args;
use countersign_bundle::Bundle;
use countersign_client::{Client, Reason, Until, Withdrawal};
use countersign_types::{PrincipalId, Tag, WithdrawalId};

use super::{
    PIPELINE, Shown, as_last_seen,
    ask::Ask,
    decoded::{self, Decoder},
    nonce, prices, shown,
    stored::Stored,
};
use crate::{
    approvals::Printed,
    bundle_files, connect,
    environment::Environment,
    failure::{Exit, Failure, Result},
    output::Output,
    signing::Signed,
    transaction::{self, Unsigned},
};

/// Replace what is stuck: the same payments, in a transaction that the chain takes instead of the one before.
///
/// Only a request that was submitted with --template can be replaced. On EVM networks keep the nonce and raise the price of gas (a payment
/// that failed on chain needs the next nonce), on
/// Bitcoin spend the same outputs with a higher fee, on Solana keep the durable nonce or wait until the blockhash has expired. What
/// replaces it counts against limits once, at the higher of both. A fee over the request's ceiling needs --fee-ceiling of the initiator
/// or, with --as, of an officer, and what was approved under the old ceiling must be approved anew.
#[derive(Debug, Args)]
#[command(
    after_help = "JSON: as in `withdraw show`, or {file, command} with --print-message. With --wait the exit code is that of the replacement: 0 signed, 3 denied, 4 approvals pending, 5 malformed"
)]
pub(crate) struct Replace {
    /// The withdrawal (wd_…).
    id: WithdrawalId,
    /// The environment.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    #[command(flatten)]
    bytes: Bytes,
    #[command(flatten)]
    raise: raise::Raise,
    /// Wait for the signer's answer: signed, denied, or approvals pending.
    #[arg(long)]
    wait: bool,
    /// How long to wait at most, in seconds.
    #[arg(long, value_name = "SECS", default_value_t = 60, requires = "wait")]
    patience: u64,
}

#[derive(Debug, Args)]
struct Bytes {
    /// Unsigned bytes of the replacement (raw, hex or base64).
    #[arg(long, value_name = "FILE", visible_aliases = ["psbt", "transaction"], required_unless_present = "max_fee")]
    tx: Option<PathBuf>,
    /// The highest price of a unit of gas, for example "60 gwei": the payment that --to and --amount drafted, under the same nonce unless an
    /// attempt that failed on chain has used it up.
    #[arg(long, value_name = "PRICE", conflicts_with = "tx")]
    max_fee: Option<String>,
    /// The highest tip for a unit of gas. Default: a tenth more than what is signed has, which nodes ask for (of --max-fee too), and not over
    /// --max-fee.
    #[arg(long, value_name = "PRICE", requires = "max_fee")]
    max_priority_fee: Option<String>,
    /// The account's nonce. Default: that of the latest attempt, or the next free one where the last answer was that it is used up.
    #[arg(long, requires = "max_fee")]
    nonce: Option<u64>,
}

impl Replace {
    pub(super) async fn run(self, output: Output) -> Result<Exit> {
        let environment = Environment::open(&self.dir)?;
        let layout = environment.layout();
        let bundle = bundle_files::load_own(&layout)?;
        let caller = self.raise.officer().map_or(PIPELINE, PrincipalId::as_str);
        let client = connect::orchestrator(&layout, caller).await?;
        let known = client.withdrawal(&self.id).await;
        let known = known.map_err(|error| Failure::answered("orchestrator", &error))?;
        let stored = Stored::of(&layout, &known.reference, self.id)?;
        let unsigned = self.bytes.read(&client, &bundle, &known, stored.as_ref()).await?;
        if unsigned.is_rewritten {
            output.progress(transaction::REWRITTEN);
        }
        if let Some(why) = prices::too_low(&known, &unsigned.bytes).filter(|_| !is_used_up(&known)) {
            output.progress(why);
        }
        // With the facts that its flags claim.
        let parsed = decoded::parse(bundle.registry(), (&known, stored.as_ref()), None, &unsigned.bytes)?;
        if let Some(stored) = &stored {
            certify::certify(stored, &parsed, bundle.registry())?;
        }
        self.raise.certify(&environment, bundle.roster())?;
        let raised = self.raise.sign(&environment, &known, &parsed, bundle.registry())?;
        let added = match raised {
            Some(Signed::Envelope(raised)) => client.replace(&self.id, &unsigned.bytes, &raised).await,
            Some(Signed::Printed { file, command }) => {
                output.report(&Printed { file, command })?;
                return Ok(Exit::Done);
            }
            None => client.add_attempt(&self.id, &unsigned.bytes).await,
        };
        let mut withdrawal = added.map_err(|error| Failure::answered("orchestrator", &error))?;
        if self.wait {
            let patience = Span::from_secs(self.patience);
            withdrawal = as_last_seen(client.wait(&self.id, Until::Answered, patience).await)?;
        }
        let decoder = Decoder {
            layout: &layout,
            bundle: Ok(&bundle),
            facts: None,
        };
        let shown = Shown::of(&withdrawal, decoder);
        output.report(&shown)?;
        shown.certify()?;
        Ok(
            match (self.wait, shown::exit_of_attempt(&withdrawal, &unsigned.bytes)) {
                // Durable, and nobody asked for more.
                (false, Exit::Pending) => Exit::Done,
                (_, exit) => exit,
            },
        )
    }
}

impl Bytes {
    async fn read(
        &self,
        client: &Client,
        bundle: &Bundle,
        known: &Withdrawal,
        stored: Option<&Stored>,
    ) -> Result<Unsigned> {
        match (&self.tx, &self.max_fee) {
            (Some(file), _) => transaction::read(file, &known.network),
            (None, Some(max_fee)) => {
                let asked = drafted(stored)?;
                let tip = match &self.max_priority_fee {
                    Some(tip) => tip.clone(),
                    // Nothing is outbid under another nonce.
                    None if is_used_up(known) => asked.tip().to_owned(),
                    None => prices::tip(known, asked.tip(), max_fee)?,
                };
                let asked = asked.at(max_fee.clone(), tip);
                let nonce = match self.nonce {
                    Some(nonce) => nonce,
                    None if is_used_up(known) => nonce::next(client, bundle, &known.wallet, &known.network).await?,
                    None => nonce::of_latest(bundle, known)?,
                };
                asked.unsigned(bundle.registry(), nonce)
            }
            (None, None) => Err(Failure::usage("name --tx or --max-fee")),
        }
    }
}

/// Whether the signer's last word was that the nonce of the latest attempt cannot be used any more: an attempt landed and failed.
fn is_used_up(known: &Withdrawal) -> bool {
    let mut tags = known.reasons.iter().filter_map(Reason::known_tag);
    tags.any(|tag| tag == Tag::LineageSettled)
}

/// The flags that the first transaction was drafted from.
fn drafted(stored: Option<&Stored>) -> Result<&Ask> {
    let asked = stored.map(|stored| &stored.asked).filter(|asked| asked.is_drafted());
    asked.ok_or_else(|| {
        Failure::usage("the withdrawal was not drafted here from --to and --amount")
            .advise("build the replacement, and name it with --tx")
    })
}
