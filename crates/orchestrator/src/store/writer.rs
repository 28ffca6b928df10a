//! Group commit: one task takes what waits, up to a bound, into one transaction, and answers after its commit.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use countersign_types::Tag;
use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::sync::{broadcast, mpsc, oneshot};

use super::{Answer, NewAttempt, NewStatement, NewWithdrawal, News, Outcome, StoreError, Wake, apply::Batch};

/// Writes that share one commit. Bounds how long the first of them waits for the last.
const MAX_BATCH: usize = 256;

pub(super) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// One write and who waits for it.
#[derive(Debug)]
pub(super) enum Job {
    Create(NewWithdrawal, Reply<()>),
    AddAttempt(NewAttempt, Reply<Option<i64>>),
    AddStatement(NewStatement, Reply<i64>),
    Apply(Outcome, Reply<Option<i64>>),
    Answer(i64, Answer, Reply<()>),
    Unanswered(i64, Tag, Reply<()>),
}

/// Answers one caller once it is known whether the batch is durable.
type Settle = Box<dyn FnOnce(Option<&StoreError>) + Send>;

fn settle<T: Send + 'static>(reply: Reply<T>, result: Result<T, StoreError>) -> Settle {
    Box::new(move |failure| {
        let answer = failure.map_or(result, |error| Err(error.clone()));
        // A caller that has gone away loses its answer, not its write.
        drop(reply.send(answer));
    })
}

/// The answer of one write, and the failure that ends its batch: refusals are answers, a failing database is not.
fn finish<T: Send + 'static>(reply: Reply<T>, result: Result<T, StoreError>) -> (Settle, Option<StoreError>) {
    let failure = match &result {
        Err(error @ StoreError::Database(_)) => Some(error.clone()),
        Ok(_) | Err(_) => None,
    };
    (settle(reply, result), failure)
}

/// What was committed since the store was opened.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) commits: AtomicU64,
    pub(super) writes: AtomicU64,
}

pub(super) struct Writer {
    /// `None` after a failure, until it is opened again.
    pub(super) connection: Option<SqliteConnection>,
    pub(super) options: SqliteConnectOptions,
    pub(super) news: broadcast::Sender<News>,
    pub(super) wakes: mpsc::UnboundedSender<Wake>,
    pub(super) counts: Arc<Counts>,
}

impl Writer {
    /// Writes until every handle of the store is gone.
    pub(super) async fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        let mut jobs = Vec::with_capacity(MAX_BATCH);
        while queue.recv_many(&mut jobs, MAX_BATCH).await > 0 {
            self.write(jobs.drain(..)).await;
        }
    }

    async fn write(&mut self, jobs: impl Iterator<Item = Job> + Send) {
        let mut settles = Vec::with_capacity(MAX_BATCH);
        let written = self.commit(jobs, &mut settles).await;
        match written {
            Ok((news, wakes)) => {
                self.counts.commits.fetch_add(1, Ordering::Relaxed);
                self.counts
                    .writes
                    .fetch_add(u64::try_from(settles.len()).unwrap_or_default(), Ordering::Relaxed);
                self.publish(news, wakes);
                settles.into_iter().for_each(|settle| settle(None));
            }
            Err(error) => {
                tracing::error!(%error, writes = settles.len(), "store: a batch was not committed");
                self.connection = None;
                settles.into_iter().for_each(|settle| settle(Some(&error)));
            }
        }
    }

    /// Nobody may be listening: watchers read the store first, and a new driver asks for what is unfinished.
    fn publish(&self, news: Vec<News>, wakes: Vec<Wake>) {
        for news in news {
            self.news.send(news).ok();
        }
        for wake in wakes {
            self.wakes.send(wake).ok();
        }
    }

    async fn commit(
        &mut self,
        jobs: impl Iterator<Item = Job> + Send,
        settles: &mut Vec<Settle>,
    ) -> Result<(Vec<News>, Vec<Wake>), StoreError> {
        let mut jobs = jobs;
        let committed = self.commit_some(&mut jobs, settles).await;
        if let Err(error) = &committed {
            jobs.for_each(|job| settles.push(refuse(job, error)));
        }
        committed
    }

    async fn commit_some(
        &mut self,
        jobs: &mut (impl Iterator<Item = Job> + Send),
        settles: &mut Vec<Settle>,
    ) -> Result<(Vec<News>, Vec<Wake>), StoreError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => SqliteConnection::connect_with(&self.options).await?,
        };
        let connection = self.connection.insert(connection);
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        let mut batch = Batch::begin(&mut transaction).await?;
        for job in jobs {
            let (settle, failure) = run(&mut batch, job).await;
            settles.push(settle);
            failure.map_or(Ok(()), Err)?;
        }
        let outbox = (batch.news, batch.wakes);
        transaction.commit().await?;
        Ok(outbox)
    }
}

async fn run(batch: &mut Batch<'_>, job: Job) -> (Settle, Option<StoreError>) {
    match job {
        Job::Create(new, reply) => finish(reply, batch.create(new).await),
        Job::AddAttempt(new, reply) => finish(reply, batch.add_attempt(new).await),
        Job::AddStatement(new, reply) => finish(reply, batch.add_statement(new).await),
        Job::Apply(outcome, reply) => finish(reply, batch.apply(outcome).await),
        Job::Answer(statement, answer, reply) => finish(reply, batch.answer(statement, answer).await),
        Job::Unanswered(seq, tag, reply) => finish(reply, batch.unanswered(seq, tag).await),
    }
}

fn refuse(job: Job, error: &StoreError) -> Settle {
    let error = error.clone();
    match job {
        Job::Create(_, reply) | Job::Answer(_, _, reply) | Job::Unanswered(_, _, reply) => settle(reply, Err(error)),
        Job::AddStatement(_, reply) => settle(reply, Err(error)),
        Job::AddAttempt(_, reply) | Job::Apply(_, reply) => settle(reply, Err(error)),
    }
}
