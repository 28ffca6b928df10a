//! The journal as the signer holds it.

use std::sync::Arc;

use countersign_signer::{
    Basis, Journal, JournalError, JournaledStatement, Outcome, Page, Proposal, ProvenEntries, StoredBundle, Unfinished,
    WithdrawalHistory,
};
use countersign_types::{BundleDigest, PrincipalId, RequestDigest, Timestamp};
use futures_core::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

use crate::{
    JournalConfig, MAX_QUEUED_PROPOSALS, OpenError, Stats,
    database::{Readers, Reading},
    error::StepError,
    fail::Fail,
    open::{self, Opened},
    owner::{Job, Message, Owner, closed},
    query,
    shared::Shared,
};

/// A journal in one SQLite file with one writer, or in a PostgreSQL database that several signers share.
///
/// A crash loses nothing that was answered. Dropped, it finishes what was proposed in the background;
/// [`SqlJournal::close`] waits for it.
pub struct SqlJournal {
    queue: mpsc::Sender<Message>,
    readers: Readers,
    shared: Arc<Shared>,
}

impl SqlJournal {
    /// Makes the journal of a new deployment, with the genesis entry as the log's first, and opens it. Refused where a
    /// database or an anchor exists.
    pub async fn create(config: JournalConfig, first_entry: Vec<u8>) -> Result<Self, OpenError> {
        open::create(&config, first_entry).await?;
        Self::open(config).await
    }

    /// Opens a journal and takes it over: whoever had it open before is fenced. Refused unless the database is whole,
    /// of this deployment, and contains the anchored commit.
    pub async fn open(config: JournalConfig) -> Result<Self, OpenError> {
        Self::open_with(config, Fail::default()).await
    }

    pub(crate) async fn open_with(config: JournalConfig, fail: Fail) -> Result<Self, OpenError> {
        let Opened {
            connection,
            generation,
            head,
        } = open::open(&config).await?;
        let readers = Readers::open(&config.database).await?;
        let shared = Arc::new(Shared::default());
        let (queue, messages) = mpsc::channel(MAX_QUEUED_PROPOSALS);
        let owner = Owner {
            anchored: head.number,
            config,
            shared: Arc::clone(&shared),
            fail,
            connection: Some(connection),
            generation,
            own_last: Timestamp::from_unix_millis(i64::MIN),
            head,
            pending: None,
        };
        tokio::spawn(owner.run(messages));
        Ok(Self { queue, readers, shared })
    }

    /// Counters since the journal was opened.
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// Why the journal takes no more work, if it does not.
    pub fn fatal(&self) -> Option<JournalError> {
        self.shared.fatal()
    }

    /// Commits what was proposed, anchors it, and closes the database. Later proposals are refused.
    pub async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.queue.send(Message::Close(done)).await.is_ok() {
            // An error says that the writer had ended before.
            drop(closed.await);
        }
        self.readers.close().await;
    }

    async fn read(&self) -> Result<Reading, StepError> {
        if let Some(fatal) = self.shared.fatal() {
            return Err(StepError::Fatal(fatal));
        }
        Ok(self.readers.begin().await?)
    }

    async fn send(&self, proposal: Proposal) -> Result<Outcome, JournalError> {
        if let Some(fatal) = self.shared.fatal() {
            return Err(fatal);
        }
        let (answer, outcome) = oneshot::channel();
        let job = Message::Propose(Box::new(Job { proposal, answer }));
        if self.queue.send(job).await.is_err() {
            return Err(closed());
        }
        outcome
            .await
            .unwrap_or_else(|_| Err(JournalError::InDoubt("the journal ended before it answered".to_owned())))
    }
}

/// Runs a query in one read transaction.
macro_rules! read {
    ($self:ident, $query:ident($($argument:expr),*)) => {
        Box::pin(async move {
            let read = async {
                let mut reading = $self.read().await?;
                query::$query(&mut reading.link(), $($argument),*).await
            };
            read.await.map_err(StepError::into_read_error)
        })
    };
}

impl Journal for SqlJournal {
    fn propose(&self, proposal: Proposal) -> BoxFuture<'_, Result<Outcome, JournalError>> {
        Box::pin(self.send(proposal))
    }

    fn unfinished(&self, page: Page) -> BoxFuture<'_, Result<Vec<Unfinished>, JournalError>> {
        read!(self, unfinished(page))
    }

    fn statements(&self, request: RequestDigest) -> BoxFuture<'_, Result<Vec<JournaledStatement>, JournalError>> {
        read!(self, statements(request))
    }

    fn basis(
        &self,
        request: RequestDigest,
        entries: Vec<(PrincipalId, String)>,
    ) -> BoxFuture<'_, Result<Option<Basis>, JournalError>> {
        read!(self, basis(request, &entries))
    }

    fn active_bundle(&self) -> BoxFuture<'_, Result<Option<StoredBundle>, JournalError>> {
        read!(self, active_bundle())
    }

    fn bundles(&self, after_version: u64) -> BoxFuture<'_, Result<Vec<StoredBundle>, JournalError>> {
        read!(self, bundles_after(after_version))
    }

    fn activation(&self, bundle: BundleDigest) -> BoxFuture<'_, Result<ProvenEntries, JournalError>> {
        read!(self, activation(bundle))
    }

    fn history(&self, request: RequestDigest) -> BoxFuture<'_, Result<Option<WithdrawalHistory>, JournalError>> {
        read!(self, history(request))
    }

    fn checkpoint(&self) -> BoxFuture<'_, Result<Vec<u8>, JournalError>> {
        read!(self, latest_checkpoint())
    }

    fn entries(&self, start: u64, count: u32) -> BoxFuture<'_, Result<Vec<Vec<u8>>, JournalError>> {
        read!(self, entries(start, count))
    }
}
