//! Signers that share a database: what the others committed is followed, commit by commit, and their clocks are borne with.

use countersign_audit::{Frontier, Hash, LeafHash};
use countersign_signer::JournalError;
use countersign_types::{Duration, Timestamp};

use crate::{
    JournalConfig,
    chain::CommitParts,
    codec::to_sql,
    commit::Head,
    error::StepError,
    open::{commit_parts, load_active_bundle, verify_checkpoint},
    records::column32,
    sql::{Link, Sql},
    view::InForce,
};

/// How far the clocks of two signers may differ: time then stands still for the one behind. More is a broken clock.
pub(crate) const MAX_SKEW: Duration = Duration::from_secs(5);
/// Commits, or log entries, of one page.
const PAGE: i64 = 1_000;

/// The journal's time for a proposal. A signer's own clock never goes back; behind another signer's commit by at most
/// [`MAX_SKEW`] it waits in the same moment, so that no window ever sees time go back.
pub(crate) fn shared_time(
    now: Timestamp,
    own_last: Timestamp,
    committed: Timestamp,
) -> Result<Timestamp, JournalError> {
    let backwards = |last| Err(JournalError::TimeBackwards { now, last });
    if now < own_last {
        return backwards(own_last);
    }
    if now.after(MAX_SKEW) < committed {
        return backwards(committed);
    }
    Ok(now.max(committed))
}

/// The hash of a commit; `None` where there is no such commit.
pub(crate) async fn commit_hash(link: &mut Link<'_>, number: u64) -> Result<Option<[u8; 32]>, StepError> {
    let mut sql = Sql::new("SELECT hash FROM commits WHERE number = ");
    sql.bind(to_sql(number)?);
    link.optional_row(sql)
        .await?
        .map(|row| column32(&row, "hash"))
        .transpose()
}

/// The head of the database, reached from ours: every commit between them is the next of the one before, their entries
/// make up the log that the last one states, and its checkpoint is signed by our key.
pub(crate) async fn catch_up(link: &mut Link<'_>, head: &Head, config: &JournalConfig) -> Result<Head, StepError> {
    let damaged = |reason: String| StepError::Fatal(JournalError::Damaged(reason));
    let (last, checkpoint) = follow_chain(link, head).await?;
    verify_checkpoint(&last, &checkpoint, config).map_err(|error| damaged(error.to_string()))?;
    let log = follow_log(link, &head.log, &last).await?;
    let in_force = InForce {
        epoch: head.in_force.epoch,
        bundle: load_active_bundle(link).await?,
    };
    let (found, known) = (in_force.bundle_version(), head.in_force.bundle_version());
    if found < known {
        let reason = format!("the database has bundle {found} in force, this process bundle {known}");
        return Err(StepError::Fatal(JournalError::Rewound(reason)));
    }
    Ok(Head {
        number: last.number,
        at: last.at,
        hash: last.hash(),
        log,
        checkpoint,
        in_force,
    })
}

async fn follow_chain(link: &mut Link<'_>, head: &Head) -> Result<(CommitParts, Vec<u8>), StepError> {
    let (mut number, mut hash, mut at) = (head.number, head.hash, head.at);
    let mut last = None;
    loop {
        let mut sql = Sql::new("SELECT * FROM commits WHERE number > ");
        sql.bind(to_sql(number)?).push(" ORDER BY number LIMIT ").bind(PAGE);
        let rows = link.rows(sql).await?;
        let Some(newest) = rows.last() else {
            break;
        };
        let checkpoint = newest.bytes("checkpoint")?.to_vec();
        for row in &rows {
            let parts = commit_parts(row)?;
            if number.checked_add(1) != Some(parts.number) || parts.previous != hash || parts.at < at {
                let reason = format!("commit {} does not continue commit {number}", parts.number);
                return Err(StepError::Fatal(JournalError::Rewound(reason)));
            }
            (number, hash, at) = (parts.number, parts.hash(), parts.at);
            last = Some((parts, checkpoint.clone()));
        }
    }
    last.ok_or_else(|| StepError::Fatal(JournalError::Rewound(format!("nothing follows commit {number}"))))
}

async fn follow_log(link: &mut Link<'_>, log: &Frontier, to: &CommitParts) -> Result<Frontier, StepError> {
    let damaged = |reason: String| StepError::Fatal(JournalError::Damaged(reason));
    let mut log = log.clone();
    while log.size().entries() < to.log_size {
        let from = to_sql(log.size().entries())?;
        let mut sql = Sql::new("SELECT leaf FROM log_entries WHERE position >= ");
        sql.bind(from).push(" ORDER BY position LIMIT ").bind(PAGE);
        let rows = link.rows(sql).await?;
        if rows.is_empty() {
            return Err(damaged(format!("log entry {from} is missing")));
        }
        for row in rows {
            let leaf = LeafHash::from_hash(Hash::from_bytes(column32(&row, "leaf")?));
            log.append(leaf).map_err(|error| damaged(error.to_string()))?;
        }
    }
    if log.size().entries() != to.log_size || *log.root().hash() != Hash::from_bytes(to.log_root) {
        return Err(damaged("the log is not the one that its last commit states".to_owned()));
    }
    Ok(log)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_stands_still_within_the_skew_and_never_goes_back() {
        let at = Timestamp::from_unix_millis;
        let table = [
            (10_000, 9_000, 9_500, Some(10_000)),
            (10_000, 9_000, 12_000, Some(12_000)),
            (10_000, 9_000, 15_000, Some(15_000)),
            (10_000, 9_000, 15_001, None),
            (10_000, 10_001, 9_000, None),
        ];
        for (now, own_last, committed, expected) in table {
            let found = shared_time(at(now), at(own_last), at(committed)).ok();
            assert_eq!(found, expected.map(at), "{now} {own_last} {committed}");
        }
    }
}
