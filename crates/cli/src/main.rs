//! The countersign command line.
//!
//! Promises: what it shows of a withdrawal it decoded itself, with a bundle that it verified itself from the pinned genesis;
//! what a server wrote is never shown as fact; exit codes and JSON fields are stable. Refuses: to sign what it did not
//! decode, and secrets on the command line (keys are file paths or live in an ssh-agent).

#![allow(clippy::disallowed_methods, reason = "an I/O shell")]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::wildcard_enum_match_arm,
        reason = "tests fail by panicking"
    )
)]

mod acknowledged;
mod activate;
mod agent;
mod approvals;
mod attest;
mod audit;
mod beside;
mod bundle;
mod bundle_files;
mod certificates;
mod clock;
mod connect;
mod dev;
mod environment;
mod failure;
mod files;
mod freeze;
mod init;
mod keys;
mod lookalikes;
mod observe;
mod output;
mod owners;
mod policy;
mod process;
mod receipt;
mod signing;
mod transaction;
mod trust;
mod withdraw;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{
    failure::{Exit, Failure, Result},
    output::{Format, Output},
};

const AFTER_HELP: &str = "\
Exit codes:
  0  done
  1  failed, or a server could not decide
  2  the command line is wrong
  3  denied by policy, lineage or a person
  4  still pending
  5  malformed, or refused here: the server disagrees with what was decoded locally
  6  a signature, proof or receipt does not verify

With `--output json` a command prints one JSON object on standard output; on failure it prints
{\"error\":{\"tag\",\"message\",\"advice\",\"exit\"}} on standard error. Progress goes to standard error.";

/// Countersign: withdrawals decoded, decided and signed. Decide, verify and operate from the command line.
#[derive(Debug, Parser)]
#[command(name = "countersign", version, after_help = AFTER_HELP)]
struct Arguments {
    /// How results are written.
    #[arg(long, value_enum, default_value = "text", global = true)]
    output: Format,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Init),
    Dev(dev::Dev),
    #[command(subcommand)]
    Bundle(bundle::BundleCommand),
    /// Submit, follow and cancel withdrawals, as the service that initiates them.
    #[command(subcommand)]
    Withdraw(withdraw::Withdraw),
    /// See, approve and reject withdrawals, as a person.
    #[command(subcommand)]
    Approvals(approvals::Approvals),
    /// Sign and bring what a chain has, as an observer.
    #[command(subcommand)]
    Observe(observe::Observe),
    /// Stop signatures as an officer, see what is stopped, and let go as an admin.
    #[command(subcommand)]
    Freeze(freeze::Freeze),
    /// Sign and bring prices, screenings and address-book entries, as an attester.
    #[command(subcommand)]
    Attest(attest::Attest),
    #[command(subcommand)]
    Policy(policy::Policy),
    /// Verify receipts and copy the audit log.
    #[command(subcommand)]
    Audit(audit::Audit),
    Receipt(receipt::Fetch),
    /// Decode transactions.
    #[command(subcommand)]
    Tx(TxCommand),
}

#[derive(Debug, Subcommand)]
enum TxCommand {
    Decode(transaction::Decode),
}

impl Command {
    async fn run(self, output: Output) -> Result<Exit> {
        let done = |result: Result<()>| result.map(|()| Exit::Done);
        match self {
            Self::Init(init) => done(init.run(output).await),
            Self::Dev(dev) => done(dev.run(output).await),
            Self::Bundle(bundle) => done(bundle.run(output).await),
            Self::Withdraw(withdraw) => withdraw.run(output).await,
            Self::Approvals(approvals) => approvals.run(output).await,
            Self::Observe(observe) => done(observe.run(output).await),
            Self::Freeze(freeze) => done(freeze.run(output).await),
            Self::Attest(attest) => done(attest.run(output).await),
            Self::Policy(policy) => policy.run(output),
            Self::Audit(audit) => done(audit.run(output).await),
            Self::Receipt(fetch) => done(fetch.run(output).await),
            Self::Tx(TxCommand::Decode(decode)) => done(decode.run(output)),
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let output = Output::new(arguments.output);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(arguments.command.run(output)),
        Err(error) => Err(Failure::failed(format!("cannot start: {error}"))),
    };
    match outcome {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output.failure(&failure);
            failure.exit().into()
        }
    }
}
