//! `countersign policy simulate`: what a candidate bundle would have decided about withdrawals that were signed.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use clap::Args;
use countersign_bundle::Bundle;
use countersign_decision::{Backtest, Change, Replay};
use countersign_types::WithdrawalId;
use serde::Serialize;

use super::{
    explain::{asked, outcome},
    load,
};
use crate::{
    audit::{ExportedLog, is_export},
    environment::read_genesis,
    failure::{Failure, Result},
    files,
    output::Output,
};

/// How often progress is told.
const PROGRESS_EVERY: usize = 50;

/// Decides past withdrawals again under a candidate bundle, from their receipts, and lists those that would end otherwise.
///
/// An exported log (`audit export --receipts`) is a back-test over everything that was signed: the log is verified against its
/// checkpoint first, and a receipt that is missing is an error. What the candidate's limits add up and the log did not record is
/// added up from what was signed before, each withdrawal once, from the decision on that it was first signed under; receipts by themselves do
/// not tell. Every receipt is verified first. The facts are those that the log recorded; what the candidate asks for beyond them is
/// unknown, and told as unknown. Where there are neither receipts nor an exported log the command fails. What was denied is not in it: nobody keeps the bytes of what was never authorized.
#[derive(Debug, Args)]
#[command(
    after_help = "JSON: {log_entries, receipts, without_decision, changed: [{withdrawal, change, then, now}]}; change is denied, not-known, \
                  asks-more or asks-less"
)]
pub(crate) struct Simulate {
    /// The candidate's folder, with or without manifest.json.
    #[arg(value_name = "BUNDLE_DIR")]
    files: PathBuf,
    /// Receipts, folders of them (`*.json`), or exported logs (the folder of `audit export --receipts`).
    #[arg(value_name = "RECEIPT", required = true)]
    receipts: Vec<PathBuf>,
    /// The genesis file that you pinned.
    #[arg(long, value_name = "GENESIS")]
    trust_root: PathBuf,
}

/// The result.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Simulated {
    /// Of the exported logs: entries that their checkpoints sign.
    log_entries: u64,
    receipts: usize,
    without_decision: usize,
    changed: Vec<Changed>,
}

#[derive(Debug, Serialize)]
struct Changed {
    withdrawal: WithdrawalId,
    change: &'static str,
    then: String,
    now: String,
}

impl Simulate {
    pub(super) fn run(self, output: Output) -> Result<()> {
        let (candidate, _) = load(&self.files)?;
        output.report(&simulate(&candidate, &self.receipts, &self.trust_root, output)?)
    }
}

/// Decides what lies at these places again under a candidate.
pub(crate) fn simulate(candidate: &Bundle, from: &[PathBuf], trust_root: &Path, output: Output) -> Result<Simulated> {
    let trusted = read_genesis(trust_root)?;
    let genesis = files::read(trust_root)?;
    let mut result = Simulated::default();
    for path in from {
        if is_export(path) {
            let log = ExportedLog::open(path, &trusted)?;
            result.log_entries = result.log_entries.saturating_add(log.entries);
            result.add(Backtest::of_log(&genesis, candidate), &log.receipts()?, output)?;
        } else {
            result.add(Backtest::of_receipts(&genesis, candidate), &expand(path)?, output)?;
        }
    }
    // Nothing decided again is not nothing that would end otherwise; a verified log that has no signature says so.
    if result.receipts == 0 && !from.iter().any(|path| is_export(path)) {
        let looked: Vec<String> = from.iter().map(|path| format!("`{}`", path.display())).collect();
        let failure = Failure::failed(format!(
            "there are no receipts: looked for `*.json` in {}",
            looked.join(", ")
        ));
        return Err(failure.advise("name receipts, a folder of them, or what `audit export --receipts` wrote"));
    }
    Ok(result)
}

/// The file itself, or the JSON files of a folder, in order.
fn expand(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = std::fs::read_dir(path).map_err(|error| Failure::file(path, "read", error))?;
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| Failure::file(path, "read", error))?.path();
        found.extend(Some(entry).filter(|entry| entry.extension().is_some_and(|ext| ext == "json")));
    }
    found.sort();
    Ok(found)
}

impl Simulated {
    fn add(&mut self, mut test: Backtest<'_>, paths: &[PathBuf], output: Output) -> Result<()> {
        for (n, path) in paths.iter().enumerate() {
            if n > 0 && n.is_multiple_of(PROGRESS_EVERY) {
                output.progress(format!("{n} of {} receipts", paths.len()));
            }
            self.receipts = self.receipts.saturating_add(1);
            let replay = test.replay(&files::read(path)?).map_err(|error| {
                let why = format!("`{}` does not verify: {error}", path.display());
                Failure::unverified(error.tag(), why)
            })?;
            match replay {
                None => self.without_decision = self.without_decision.saturating_add(1),
                Some(replay) => self.changed.extend(changed(&replay)),
            }
        }
        Ok(())
    }
}

fn changed(replay: &Replay) -> Option<Changed> {
    let change = match replay.change() {
        Change::Same => return None,
        Change::Denied => "denied",
        Change::NotKnown => "not-known",
        Change::AsksMore => "asks-more",
        Change::AsksLess => "asks-less",
    };
    let now = match &replay.now {
        Ok(evaluation) => outcome(evaluation),
        Err(reasons) => {
            let reasons: Vec<String> = reasons
                .iter()
                .map(|reason| format!("{}: {}", reason.tag, reason.message))
                .collect();
            format!("deny, {}", reasons.join("; "))
        }
    };
    Some(Changed {
        withdrawal: replay.withdrawal,
        change,
        then: format!("allow, asking for {}", asked(&replay.then)),
        now,
    })
}

impl fmt::Display for Simulated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let changed = self.changed.len();
        if self.log_entries > 0 {
            writeln!(f, "{} log entries verified", self.log_entries)?;
        }
        write!(f, "{} receipts verified, {changed} would end otherwise", self.receipts)?;
        if self.without_decision > 0 {
            write!(f, "; {} have no bytes to decide again", self.without_decision)?;
        }
        for one in &self.changed {
            write!(
                f,
                "\n{} {}\n    then: {}\n    now:  {}",
                one.withdrawal, one.change, one.then, one.now
            )?;
        }
        Ok(())
    }
}
