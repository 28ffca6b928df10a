//! What the writer and its callers both see: the counters, and whether the journal has ended.

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

use countersign_signer::JournalError;

use crate::Stats;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    fatal: OnceLock<JournalError>,
    commits: AtomicU64,
    proposals: AtomicU64,
    largest_group: AtomicU64,
}

impl Shared {
    /// Why the journal has ended.
    pub(crate) fn fatal(&self) -> Option<JournalError> {
        self.fatal.get().cloned()
    }

    /// Ends the journal; the first reason stays.
    pub(crate) fn end(&self, error: JournalError) {
        self.fatal.get_or_init(|| error);
    }

    pub(crate) fn count_commit(&self, group: usize) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.largest_group.fetch_max(count(group), Ordering::Relaxed);
    }

    pub(crate) fn count_proposals(&self, proposals: usize) {
        self.proposals.fetch_add(count(proposals), Ordering::Relaxed);
    }

    pub(crate) fn stats(&self) -> Stats {
        Stats {
            commits: self.commits.load(Ordering::Relaxed),
            proposals: self.proposals.load(Ordering::Relaxed),
            largest_group: self.largest_group.load(Ordering::Relaxed),
        }
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
