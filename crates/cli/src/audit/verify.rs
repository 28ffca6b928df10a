//! `countersign audit verify`: a receipt under a pinned trust root, and nothing else.

use std::{fmt, path::PathBuf};

use clap::Args;
use countersign_decision::{DecisionEntry, OutcomeKind, Receipt};
use countersign_types::{EffectsText, Timestamp, WithdrawalId};
use serde::Serialize;

use crate::{
    environment::read_genesis,
    failure::{Failure, Result},
    files,
    output::Output,
};

/// Verify a receipt offline: log inclusion, the chain of bundles, every statement, the decision taken again bit for bit,
/// and the transaction assembled again. The exit code is 6 if anything does not hold.
#[derive(Debug, Args)]
#[command(
    after_help = "JSON: {withdrawal, decision, effects, txid, others, as_of, entries}; decision is the log entry, as_of Unix milliseconds"
)]
pub(crate) struct Verify {
    /// The receipt.
    #[arg(value_name = "RECEIPT")]
    receipt: PathBuf,
    /// The genesis file that you pinned, obtained from somebody you trust.
    #[arg(long, value_name = "GENESIS")]
    trust_root: PathBuf,
}

impl Verify {
    pub(super) fn run(self, output: Output) -> Result<()> {
        let genesis = files::read(&self.trust_root)?;
        // A file that is no trust root gives no verdict about the receipt.
        read_genesis(&self.trust_root)?;
        output.report(&Proven::verify(&files::read(&self.receipt)?, &genesis)?)
    }
}

/// The result: what the receipt proves.
#[derive(Debug, Serialize)]
pub(crate) struct Proven {
    withdrawal: WithdrawalId,
    decision: Option<DecisionEntry>,
    effects: Option<EffectsText>,
    txid: Option<String>,
    others: Vec<String>,
    as_of: Timestamp,
    entries: usize,
}

impl Proven {
    /// Verifies a receipt under the bytes of a genesis file.
    pub(crate) fn verify(receipt: &[u8], genesis: &[u8]) -> Result<Self> {
        let receipt = Receipt::verify(receipt, genesis)
            .map_err(|error| Failure::unverified(error.tag(), format!("the receipt does not verify: {error}")))?;
        Ok(Self {
            withdrawal: receipt.withdrawal,
            decision: receipt.decision,
            effects: receipt.effects,
            txid: receipt.txid,
            others: receipt.others,
            as_of: receipt.as_of,
            entries: receipt.entries,
        })
    }

    pub(crate) fn withdrawal(&self) -> WithdrawalId {
        self.withdrawal
    }
}

fn word(outcome: OutcomeKind) -> &'static str {
    match outcome {
        OutcomeKind::Allowed => "allowed",
        OutcomeKind::Pending => "pending",
        OutcomeKind::Denied => "denied",
        OutcomeKind::Malformed => "malformed",
    }
}

impl fmt::Display for Proven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "verified     {}", self.withdrawal)?;
        if let Some(decision) = &self.decision {
            let (outcome, semantics) = (word(decision.outcome), &decision.semantics);
            writeln!(f, "decision     {outcome} at {} under {semantics}", decision.decided_at)?;
            writeln!(f, "bundle       {}", decision.bundle)?;
            for (group, seats) in &decision.seats {
                writeln!(f, "approvals    {group}: {} of {}", seats.filled, seats.required)?;
            }
            for reason in &decision.reasons {
                let rule = reason
                    .rule
                    .as_ref()
                    .map(|rule| format!(" (rule {rule})"))
                    .unwrap_or_default();
                writeln!(f, "reason       {}{rule}: {}", reason.tag, reason.message)?;
            }
        }
        if let Some(effects) = &self.effects {
            for line in effects.as_str().lines() {
                writeln!(f, "  {line}")?;
            }
        }
        match &self.txid {
            Some(txid) => writeln!(f, "signed       {txid}")?,
            None => writeln!(f, "signed       no")?,
        }
        for other in &self.others {
            writeln!(f, "signed too   {other}, another attempt: one of them lands")?;
        }
        writeln!(f, "log          {} entries proven, as of {}", self.entries, self.as_of)
    }
}
