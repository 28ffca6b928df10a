//! The load generator of `cargo xtask bench` (docs/benchmarks.md): real processes, mutual TLS, withdrawals that need no
//! approval, and beside them, in the same run, what the machine and the token can do at best.
//!
//! Promises: every withdrawal that is counted came back signed. Refuses: to judge. Nothing here fails because it is slow.

#![allow(clippy::disallowed_methods, reason = "an I/O shell")]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        reason = "tests fail by panicking"
    )
)]

mod floors;
mod load;
mod process;
mod report;
mod site;
mod statistics;
mod withdrawals;

use anyhow::{Result, ensure};
use clap::{Parser, ValueEnum};

use crate::{
    floors::Floors,
    load::Run,
    report::{Level, Measured, Report},
    site::{Backend, Site},
};

/// Measures signed withdrawals per second, latency, CPU and commits, beside the floors of this machine.
#[derive(Debug, Parser)]
#[command(name = "bench")]
struct Arguments {
    /// Withdrawals of one run, warm-up excluded; rounded up so that every submitter makes as many.
    #[arg(long, default_value_t = 1_000)]
    withdrawals: u32,
    /// Submitters, each with a wallet of its own and one withdrawal in flight. Several levels: separated by commas.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 64])]
    in_flight: Vec<u32>,
    /// Runs of each level; medians are reported.
    #[arg(long, default_value_t = 3)]
    repeat: u32,
    /// The key backends.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Backend::Pkcs11, Backend::InsecureDev])]
    backend: Vec<Backend>,
    /// How the result is written. Progress goes to standard error.
    #[arg(long, value_enum, default_value = "text")]
    output: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    /// One line.
    Json,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    ensure!(arguments.repeat > 0, "--repeat must be at least 1");
    ensure!(arguments.withdrawals > 0, "--withdrawals must be at least 1");
    ensure!(
        arguments
            .in_flight
            .iter()
            .all(|level| (1..=site::MAX_WALLETS).contains(level)),
        "--in-flight levels are 1 to {}",
        site::MAX_WALLETS
    );
    let mut report = Report::of_this_machine(arguments.withdrawals, arguments.repeat);
    for backend in &arguments.backend {
        report.backends.push(measure(&arguments, *backend).await?);
    }
    show(&report, arguments.output)
}

#[expect(clippy::print_stdout, reason = "its output is its purpose")]
fn show(report: &Report, format: Format) -> Result<()> {
    match format {
        Format::Text => print!("{report}"),
        Format::Json => println!("{}", serde_json::to_string(report)?),
    }
    Ok(())
}

#[expect(clippy::print_stderr, reason = "progress of a command line tool")]
fn progress(line: &str) {
    eprintln!("{line}");
}

async fn measure(arguments: &Arguments, backend: Backend) -> Result<Measured> {
    let wallets = arguments.in_flight.iter().copied().max().unwrap_or(1);
    progress(&format!("{backend}: a deployment with {wallets} wallets"));
    let mut site = Site::make(backend, wallets).await?;
    let mut floors = Vec::new();
    let mut levels: Vec<Level> = arguments.in_flight.iter().map(|level| Level::new(*level)).collect();
    // Rounds, not level after level: what disturbs this machine for a minute disturbs all levels alike.
    for round in 1..=arguments.repeat {
        floors.push(Floors::measure(&mut site).await?);
        for level in &mut levels {
            let run = Run::measure(&mut site, level.in_flight, arguments.withdrawals).await?;
            progress(&format!(
                "{backend}: round {round}, {} in flight: {run}",
                level.in_flight
            ));
            level.runs.push(run);
        }
    }
    Ok(Measured::new(backend, &floors, levels))
}
