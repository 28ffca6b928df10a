//! Watching: first what is behind the caller's revision, from the store; then each change as it becomes durable. A watcher
//! that falls behind the news reads the store again, so nothing is lost and the order of revisions holds.

use std::sync::Arc;

use countersign_proto::{errors, limits::DEFAULT_PAGE_SIZE, v1::WatchWithdrawalsResponse};
use countersign_types::{Tag, WithdrawalId};
use tokio::sync::{OwnedSemaphorePermit, broadcast, mpsc};
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tonic::Status;

use super::Shared;
use crate::store::{Found, News, Scope, Store, StoreError, reads::Filter};

/// Changes that wait for a slow reader; more wait in the store.
const BUFFER: usize = 16;

type Change = Result<WatchWithdrawalsResponse, Status>;

struct Watcher {
    store: Arc<Store>,
    filter: Filter,
    news: broadcast::Receiver<News>,
    changes: mpsc::Sender<Change>,
    _permit: OwnedSemaphorePermit,
}

/// Why a watcher stops.
enum Stop {
    /// The caller has gone, or the process is ending.
    Gone,
    /// The store did not answer.
    Failed(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

/// A stream of changes; it holds one of the bounded places until it ends.
pub(super) fn start(
    shared: &Shared,
    scope: Scope,
    id: Option<WithdrawalId>,
    after_revision: u64,
) -> Result<impl Stream<Item = Change> + Send + use<>, Status> {
    let permit = Arc::clone(&shared.watchers).try_acquire_owned();
    let full = |_| errors::status(Tag::CallerRateLimited, "too many watchers; try again later");
    let (changes, stream) = mpsc::channel(BUFFER);
    let watcher = Watcher {
        // Before the first read, so that nothing falls between the two.
        news: shared.store.subscribe(),
        store: Arc::clone(&shared.store),
        filter: Filter {
            scope,
            states: Vec::new(),
            id,
            cursor: i64::try_from(after_revision).unwrap_or(i64::MAX),
            rows: DEFAULT_PAGE_SIZE,
        },
        changes: changes.clone(),
        _permit: permit.map_err(full)?,
    };
    let mut shutdown = shared.shutdown.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = watcher.run() => {}
            () = changes.closed() => {}
            _ = shutdown.wait_for(|stop| *stop) => {}
        }
    });
    Ok(ReceiverStream::new(stream))
}

impl Watcher {
    async fn run(mut self) {
        loop {
            let round = async {
                self.catch_up().await?;
                self.follow().await
            };
            match round.await {
                Ok(()) => {}
                Err(Stop::Gone) => return,
                Err(Stop::Failed(error)) => {
                    self.changes.send(Err(error.into())).await.ok();
                    return;
                }
            }
        }
    }

    async fn catch_up(&mut self) -> Result<(), Stop> {
        // One withdrawal is found by its key; a scan behind a revision would cost as much as there are withdrawals.
        if let Some(id) = self.filter.id {
            let found = self.store.find(&id, &self.filter.scope).await?;
            let cursor = self.filter.cursor;
            let is_news = |found: &Found| i64::try_from(found.withdrawal.revision).unwrap_or(i64::MAX) > cursor;
            return match found.filter(is_news) {
                Some(found) => self.send(found).await,
                None => Ok(()),
            };
        }
        loop {
            let page = self.store.changes(&self.filter).await?;
            for found in page.found {
                self.send(found).await?;
            }
            if !page.has_more {
                return Ok(());
            }
        }
    }

    /// Until the news have been missed.
    async fn follow(&mut self) -> Result<(), Stop> {
        loop {
            match self.news.recv().await {
                Ok(News::Changed {
                    id, tenant, revision, ..
                }) => {
                    let is_ours = self.filter.id.is_none_or(|own| own == id) && self.filter.scope.covers(&tenant);
                    if is_ours {
                        self.read(&id, revision).await?;
                    }
                }
                Ok(News::Answered { .. }) => {}
                Err(broadcast::error::RecvError::Lagged(_)) => return Ok(()),
                Err(broadcast::error::RecvError::Closed) => return Err(Stop::Gone),
            }
        }
    }

    async fn read(&mut self, id: &WithdrawalId, revision: u64) -> Result<(), Stop> {
        if i64::try_from(revision).is_ok_and(|revision| revision <= self.filter.cursor) {
            return Ok(());
        }
        let found = self.store.find(id, &self.filter.scope).await?;
        // A withdrawal that has changed once more is told under its later revision.
        match found.filter(|found| found.withdrawal.revision == revision) {
            Some(found) => self.send(found).await,
            None => Ok(()),
        }
    }

    async fn send(&mut self, found: Found) -> Result<(), Stop> {
        let cursor = i64::try_from(found.withdrawal.revision).unwrap_or(i64::MAX);
        let withdrawal = Some(found.withdrawal);
        let change = Ok(WatchWithdrawalsResponse { withdrawal });
        self.changes.send(change).await.map_err(|_| Stop::Gone)?;
        self.filter.cursor = cursor;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use countersign_types::{RequestDigest, Timestamp};
    use tokio::sync::Semaphore;

    use super::*;
    use crate::{advice::RequestAdvice, store::NewWithdrawal};

    async fn create(store: &Store, name: &str) {
        let advice = RequestAdvice {
            id: WithdrawalId::of(RequestDigest::of(name.as_bytes())),
            tenant: "exchange".parse().unwrap(),
            reference: name.parse().unwrap(),
            wallet: "eth-hot".parse().unwrap(),
            network: "eip155:1".parse().unwrap(),
            expires_at: Timestamp::from_unix_millis(i64::MAX),
        };
        let new = NewWithdrawal {
            advice,
            request: vec![1],
            unsigned: vec![2],
        };
        store.create(new).await.unwrap();
    }

    async fn next(changes: &mut mpsc::Receiver<Change>) -> u64 {
        let change = tokio::time::timeout(Duration::from_secs(10), changes.recv())
            .await
            .unwrap()
            .unwrap();
        change.unwrap().withdrawal.unwrap().revision
    }

    /// The news that the watcher hears hold one item, so it lags; the store has everything.
    #[tokio::test]
    async fn a_watcher_that_lags_reads_the_store_again() {
        let folder = tempfile::tempdir().unwrap();
        let (wakes, _woken) = mpsc::unbounded_channel();
        let store = Arc::new(
            Store::open(&folder.path().join("orchestrator.db"), wakes)
                .await
                .unwrap(),
        );
        let (narrow, news) = broadcast::channel(1);
        let (changes, mut seen) = mpsc::channel(1);
        let watcher = Watcher {
            store: Arc::clone(&store),
            filter: Filter {
                scope: Scope::All,
                states: vec![],
                id: None,
                cursor: 0,
                rows: 2,
            },
            news,
            changes,
            _permit: Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap(),
        };
        for n in 0..5 {
            create(&store, &format!("before-{n}")).await;
        }
        tokio::spawn(watcher.run());
        for expected in 1..=5 {
            assert_eq!(next(&mut seen).await, expected);
        }
        for n in 0..3 {
            create(&store, &format!("missed-{n}")).await;
        }
        for statement in 0..3 {
            narrow.send(News::Answered { statement }).unwrap();
        }
        for expected in 6..=8 {
            assert_eq!(next(&mut seen).await, expected);
        }
    }
}
