//! One run: both processes started, warmed up, loaded, stopped, and what that took.

use std::{
    fmt, fs,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use countersign_client::{Client, State, Until};
use serde::Serialize;
use tokio::{sync::Barrier, task::JoinSet};

use crate::{
    process::cpu_of,
    site::Site,
    statistics::{median, percentile},
    withdrawals::{Prepared, prepare},
};

/// Withdrawals of each wallet before the clock runs: connections, caches, the first statements of SQLite.
const WARM_UP: u32 = 2;
const PATIENCE: Duration = Duration::from_secs(120);

/// What one run took. Per withdrawal where nothing else is said.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Run {
    /// Withdrawals that the deployment held before: what gets slower with them shows between the rounds.
    pub(crate) held_before: u64,
    pub(crate) withdrawals: u32,
    pub(crate) signed_per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) signer_cpu_ms: f64,
    pub(crate) orchestrator_cpu_ms: f64,
    /// Of this process: building nothing, only calling and waiting.
    pub(crate) load_cpu_ms: f64,
    /// Commits of the signer's journal.
    pub(crate) signer_commits: f64,
    /// Commits of the orchestrator's store, warm-up included.
    pub(crate) orchestrator_commits: f64,
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            held_before,
            signed_per_second,
            p50_ms,
            p99_ms,
            ..
        } = self;
        write!(
            f,
            "{signed_per_second:.0} signed/s, p50 {p50_ms:.1} ms, p99 {p99_ms:.1} ms, {held_before} held before"
        )
    }
}

/// What grows while a run goes on.
struct Counters {
    signer: Duration,
    orchestrator: Duration,
    own: Duration,
    journal_commits: u32,
    at: Instant,
}

impl Counters {
    fn read(site: &Site) -> Result<Self> {
        let (signer, orchestrator) = site.cpu()?;
        Ok(Self {
            signer,
            orchestrator,
            own: cpu_of(std::process::id())?,
            journal_commits: site.journal_commits()?,
            at: Instant::now(),
        })
    }
}

impl Run {
    /// Runs `in_flight` submitters that make `withdrawals` together.
    pub(crate) async fn measure(site: &mut Site, in_flight: u32, withdrawals: u32) -> Result<Self> {
        let each = withdrawals.div_ceil(in_flight);
        let held_before = site.wallets.iter().map(|wallet| wallet.next_nonce).sum();
        let warm_up = prepare_all(site, in_flight, WARM_UP)?;
        let prepared = prepare_all(site, in_flight, each)?;
        site.deployment.start().await?;
        let client = site.deployment.client("pipeline").await?;
        submit_all(&client, warm_up).await?;
        let before = Counters::read(site)?;
        let latencies = submit_all(&client, prepared).await?;
        let after = Counters::read(site)?;
        drop(client);
        site.stop().await?;
        let store_commits = last_commits(&fs::read_to_string(site.path("orchestrator.log"))?)?;
        let count = in_flight.saturating_mul(each);
        let all = in_flight.saturating_mul(each.saturating_add(WARM_UP));
        let cpu_ms = |after: Duration, before: Duration| millis(after.saturating_sub(before)) / f64::from(count);
        let journal_commits = after.journal_commits.saturating_sub(before.journal_commits);
        Ok(Self {
            held_before,
            withdrawals: count,
            signed_per_second: f64::from(count) / after.at.duration_since(before.at).as_secs_f64(),
            p50_ms: median(latencies.iter().copied()),
            p99_ms: percentile(&latencies, 99),
            signer_cpu_ms: cpu_ms(after.signer, before.signer),
            orchestrator_cpu_ms: cpu_ms(after.orchestrator, before.orchestrator),
            load_cpu_ms: cpu_ms(after.own, before.own),
            signer_commits: f64::from(journal_commits) / f64::from(count),
            orchestrator_commits: f64::from(store_commits) / f64::from(all),
        })
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn prepare_all(site: &mut Site, in_flight: u32, each: u32) -> Result<Vec<Vec<Prepared>>> {
    let wallets = usize::try_from(in_flight)?;
    (0..wallets).map(|wallet| prepare(site, wallet, each)).collect()
}

/// Every wallet's withdrawals one after the other, all wallets at once. Returns the latencies in milliseconds.
async fn submit_all(client: &Client, wallets: Vec<Vec<Prepared>>) -> Result<Vec<f64>> {
    let start = Arc::new(Barrier::new(wallets.len()));
    let mut submitters = JoinSet::new();
    for wallet in wallets {
        let (client, start) = (client.clone(), Arc::clone(&start));
        submitters.spawn(async move {
            start.wait().await;
            submit_in_turn(&client, &wallet).await
        });
    }
    let mut latencies = Vec::new();
    while let Some(submitter) = submitters.join_next().await {
        latencies.extend(submitter??);
    }
    Ok(latencies)
}

async fn submit_in_turn(client: &Client, wallet: &[Prepared]) -> Result<Vec<f64>> {
    let mut latencies = Vec::new();
    for Prepared { request, unsigned } in wallet {
        let begun = Instant::now();
        let withdrawal = client
            .submit_and_wait(request, unsigned, Until::Decided, PATIENCE)
            .await?;
        latencies.push(millis(begun.elapsed()));
        if withdrawal.state != State::Signed || withdrawal.signed().is_none() {
            bail!(
                "`{}` is {}: {:?}",
                withdrawal.reference,
                withdrawal.state.as_str(),
                withdrawal.reasons
            );
        }
    }
    Ok(latencies)
}

/// The orchestrator says at its end how many commits it made.
fn last_commits(log: &str) -> Result<u32> {
    let last: serde_json::Value = serde_json::from_str(log.lines().next_back().unwrap_or_default())?;
    let commits = last.get("fields").and_then(|fields| fields.get("commits")?.as_u64());
    Ok(u32::try_from(
        commits.context("the orchestrator's log names no commits")?,
    )?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_orchestrators_last_line_counts_its_commits() {
        let line =
            |commits| format!("{{\"fields\":{{\"message\":\"stopped\",\"commits\":{commits},\"writes\":40}}}}\n");
        let log = format!("{{\"event\":\"ready\"}}\n{}", line(5));
        assert_eq!(last_commits(&format!("{log}{}", line(17))).unwrap(), 17);
        assert!(
            last_commits(&format!("{log}{{\"event\":\"ready\"}}\n")).is_err(),
            "that was an earlier run"
        );
        assert!(last_commits("").is_err());
    }
}
