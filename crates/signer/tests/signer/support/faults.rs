//! Places where a test ends the pipeline as a crash would, or lets a part of it fail.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use countersign_journal::SqlJournal;
use countersign_signer::{
    Basis, Journal, JournalError, JournaledStatement, Outcome, Page, Proposal, ProvenEntries, StoredBundle, Unfinished,
    WithdrawalHistory,
};
use countersign_types::{BundleDigest, PrincipalId, RequestDigest};
use futures_core::future::BoxFuture;
use tokio::sync::Semaphore;

/// What happens at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The process is gone: nothing after the point is ever executed.
    Crash,
    /// The part answers with an error, whatever it did.
    Fails,
    /// The call rests here until [`Faults::go_on`].
    Rests,
}

/// The points are numbered in the order in which they are reached.
pub(crate) struct Faults {
    reached: AtomicU64,
    plan: Mutex<Option<(u64, Fault)>>,
    /// What the database has instead of the files of the bundle in force.
    swapped: Mutex<Option<BTreeMap<String, Vec<u8>>>>,
    crashed: Semaphore,
    resting: Semaphore,
}

impl Faults {
    /// From now on these are the files of whatever bundle is in force.
    pub(crate) fn swap_files(&self, files: BTreeMap<String, Vec<u8>>) {
        *self.swapped.lock().unwrap() = Some(files);
    }

    pub(crate) fn new() -> Self {
        Self {
            reached: AtomicU64::new(0),
            plan: Mutex::new(None),
            swapped: Mutex::new(None),
            crashed: Semaphore::new(0),
            resting: Semaphore::new(0),
        }
    }

    /// From now on, the fault happens at the `point`-th point, from 0.
    pub(crate) fn arm(&self, point: u64, fault: Fault) {
        self.reached.store(0, Ordering::SeqCst);
        *self.plan.lock().unwrap() = Some((point, fault));
    }

    pub(crate) fn disarm(&self) {
        *self.plan.lock().unwrap() = None;
    }

    /// Whether the armed fault has not happened yet.
    pub(crate) fn is_armed(&self) -> bool {
        self.plan.lock().unwrap().is_some()
    }

    /// Lets a resting call go on.
    pub(crate) fn go_on(&self) {
        self.resting.add_permits(1);
    }

    /// Returns when the process has crashed, or a call rests.
    pub(crate) async fn crashed(&self) {
        self.crashed.acquire().await.unwrap().forget();
    }

    /// Whether the part must fail here.
    pub(crate) async fn reach(&self) -> bool {
        let point = self.reached.fetch_add(1, Ordering::SeqCst);
        let fault = {
            let mut plan = self.plan.lock().unwrap();
            match *plan {
                Some((at, fault)) if at == point => {
                    *plan = None;
                    Some(fault)
                }
                _ => None,
            }
        };
        match fault {
            Some(Fault::Crash) => {
                self.crashed.add_permits(1);
                std::future::pending().await
            }
            Some(Fault::Fails) => true,
            Some(Fault::Rests) => {
                self.crashed.add_permits(1);
                self.resting.acquire().await.unwrap().forget();
                false
            }
            None => false,
        }
    }
}

/// The journal, with points before and after everything that the pipeline asks of it.
pub(crate) struct FaultyJournal {
    pub(crate) inner: Arc<SqlJournal>,
    pub(crate) faults: Arc<Faults>,
}

impl FaultyJournal {
    async fn before(&self) -> Result<(), JournalError> {
        if self.faults.reach().await {
            return Err(JournalError::NotCommitted("a fault before".to_owned()));
        }
        Ok(())
    }
}

impl Journal for FaultyJournal {
    fn propose(&self, proposal: Proposal) -> BoxFuture<'_, Result<Outcome, JournalError>> {
        Box::pin(async move {
            self.before().await?;
            let outcome = self.inner.propose(proposal).await?;
            if self.faults.reach().await {
                return Err(JournalError::InDoubt("a fault after".to_owned()));
            }
            Ok(outcome)
        })
    }

    fn unfinished(&self, page: Page) -> BoxFuture<'_, Result<Vec<Unfinished>, JournalError>> {
        self.inner.unfinished(page)
    }

    fn statements(&self, request: RequestDigest) -> BoxFuture<'_, Result<Vec<JournaledStatement>, JournalError>> {
        Box::pin(async move {
            self.before().await?;
            let statements = self.inner.statements(request).await?;
            // A crash here is one like before; a wait is where somebody else may speak.
            self.before().await?;
            Ok(statements)
        })
    }

    fn basis(
        &self,
        request: RequestDigest,
        entries: Vec<(PrincipalId, String)>,
    ) -> BoxFuture<'_, Result<Option<Basis>, JournalError>> {
        Box::pin(async move {
            self.before().await?;
            self.inner.basis(request, entries).await
        })
    }

    fn active_bundle(&self) -> BoxFuture<'_, Result<Option<StoredBundle>, JournalError>> {
        Box::pin(async move {
            let mut stored = self.inner.active_bundle().await?;
            let swapped = self.faults.swapped.lock().unwrap().clone();
            if let (Some(stored), Some(files)) = (&mut stored, swapped) {
                stored.files = files;
            }
            Ok(stored)
        })
    }

    fn bundles(&self, after_version: u64) -> BoxFuture<'_, Result<Vec<StoredBundle>, JournalError>> {
        self.inner.bundles(after_version)
    }

    fn activation(&self, bundle: BundleDigest) -> BoxFuture<'_, Result<ProvenEntries, JournalError>> {
        self.inner.activation(bundle)
    }

    fn history(&self, request: RequestDigest) -> BoxFuture<'_, Result<Option<WithdrawalHistory>, JournalError>> {
        self.inner.history(request)
    }

    fn checkpoint(&self) -> BoxFuture<'_, Result<Vec<u8>, JournalError>> {
        self.inner.checkpoint()
    }

    fn entries(&self, start: u64, count: u32) -> BoxFuture<'_, Result<Vec<Vec<u8>>, JournalError>> {
        self.inner.entries(start, count)
    }
}
