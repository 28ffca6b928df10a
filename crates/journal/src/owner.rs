//! The one task that writes: it takes every waiting proposal, decides them one after the other inside one transaction,
//! commits once, anchors, and only then answers.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use countersign_signer::{JournalError, Outcome, Proposal, Reply};
use countersign_types::Timestamp;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use crate::{
    JournalConfig, OpenError,
    apply::refuse_unwritable,
    batch::Batch,
    codec::{bytes32, from_sql},
    commit::{Draft, Head},
    database::Connection,
    error::StepError,
    fail::{Fail, Step},
    follow::{catch_up, commit_hash, shared_time},
    needs::Needs,
    open::write_anchor,
    pending::Pending,
    seen::Seen,
    shared::Shared,
    sql::{Link, Row, Sql},
    view::look_up,
};

/// However the limits are set, an idle journal sleeps between two checkpoints.
const MIN_CHECKPOINT_AGE: Duration = Duration::from_millis(10);

const READ_HEAD: &str = "SELECT generation, number, hash FROM fence, commits ORDER BY number DESC LIMIT 1";

/// What the owner is asked for.
pub(crate) enum Message {
    /// To decide.
    Propose(Box<Job>),
    /// To end: answered when the database is closed.
    Close(oneshot::Sender<()>),
}

/// A proposal and whom to answer.
pub(crate) struct Job {
    pub(crate) proposal: Proposal,
    pub(crate) answer: oneshot::Sender<Result<Outcome, JournalError>>,
}

/// What was waiting.
#[derive(Default)]
struct Gathered {
    jobs: Vec<Job>,
    closing: Option<oneshot::Sender<()>>,
}

impl Gathered {
    fn add(&mut self, message: Message) {
        match message {
            Message::Propose(job) => self.jobs.push(*job),
            Message::Close(done) => self.closing = Some(done),
        }
    }
}

/// What waits behind the first message, and it.
async fn gather(first: Message, queue: &mut mpsc::Receiver<Message>, max_group: usize) -> Gathered {
    let mut gathered = Gathered::default();
    gathered.add(first);
    // Whoever the last group was answered to runs first: what they propose now belongs to this group, not to the one behind it.
    tokio::task::yield_now().await;
    while gathered.jobs.len() < max_group
        && let Ok(message) = queue.try_recv()
    {
        gathered.add(message);
    }
    gathered
}

/// The writer.
pub(crate) struct Owner {
    pub(crate) config: JournalConfig,
    pub(crate) shared: Arc<Shared>,
    pub(crate) fail: Fail,
    /// Dropped, and so rolled back, whenever its state is not certain.
    pub(crate) connection: Option<Connection>,
    /// The fence: ours while the database says so.
    pub(crate) generation: i64,
    /// The last reading of our own clock, where other signers' clocks count as well.
    pub(crate) own_last: Timestamp,
    pub(crate) head: Head,
    /// A commit whose `COMMIT` failed and whose outcome was not read yet.
    pub(crate) pending: Option<Head>,
    /// The number of the commit that the anchor file names.
    pub(crate) anchored: u64,
}

/// Why a group was not answered one by one.
enum GroupError {
    /// Something in the group could not be written. All of it is undone: the proposals can be tried alone.
    Undone(StepError),
    /// The answer to all of them.
    Final(JournalError),
    /// A test ended the writer.
    Died,
}

/// What was looked up before the first proposal of a group was decided, and of which proposals it is.
struct Ahead {
    seen: Seen,
    is_of: Vec<bool>,
}

/// A decided proposal, not durable yet.
type Decided = Result<(Reply, Timestamp), JournalError>;

impl Owner {
    /// Runs until the journal is dropped or closed.
    pub(crate) async fn run(mut self, mut queue: mpsc::Receiver<Message>) {
        let max_group = usize::try_from(self.config.limits.max_group.get()).unwrap_or(usize::MAX);
        let mut next_checkpoint = self.next_checkpoint();
        loop {
            // Cancelled, `recv` has taken nothing out of the queue.
            let Gathered { jobs, closing } = match tokio::time::timeout_at(next_checkpoint, queue.recv()).await {
                Ok(Some(first)) => gather(first, &mut queue, max_group).await,
                // Every sender is gone.
                Ok(None) => break,
                // Nobody came in time.
                Err(_) => Gathered::default(),
            };
            let commits_before = self.head.number;
            // An empty group is an idle minute's checkpoint.
            if (closing.is_none() || !jobs.is_empty()) && self.decide_group(jobs).await.is_err() {
                return;
            }
            if self.head.number != commits_before || Instant::now() >= next_checkpoint {
                next_checkpoint = self.next_checkpoint();
            }
            if let Some(done) = closing {
                refuse_rest(queue);
                self.close().await;
                if done.send(()).is_err() {
                    tracing::debug!("nobody waited for the journal to close");
                }
                return;
            }
        }
        self.close().await;
    }

    fn next_checkpoint(&self) -> Instant {
        let now = Instant::now();
        let age = self.config.limits.max_checkpoint_age.max(MIN_CHECKPOINT_AGE);
        now.checked_add(age).unwrap_or(now)
    }

    async fn close(&mut self) {
        if self.shared.fatal().is_none()
            && self.anchored < self.head.number
            && let Err(error) = self.write_anchor().await
        {
            tracing::error!(%error, "the anchor was not written; the next start writes it");
        }
        self.disconnect().await;
    }

    async fn decide_group(&mut self, jobs: Vec<Job>) -> Result<(), Died> {
        if let Some(fatal) = self.shared.fatal() {
            answer_all(jobs, &fatal);
            return Ok(());
        }
        match self.try_group(&jobs).await {
            Ok(decided) => self.answer_each(jobs, decided),
            Err(GroupError::Died) => return Err(Died),
            Err(GroupError::Final(error)) => self.refuse_all(jobs, error),
            Err(GroupError::Undone(error)) if jobs.len() > 1 => {
                tracing::warn!(%error, proposals = jobs.len(), "a group was undone; its proposals are tried alone");
                for job in jobs {
                    self.decide_alone(job).await?;
                }
            }
            Err(GroupError::Undone(error)) => self.refuse_all(jobs, error.into_journal_error()),
        }
        Ok(())
    }

    async fn decide_alone(&mut self, job: Job) -> Result<(), Died> {
        if let Some(fatal) = self.shared.fatal() {
            answer_all(vec![job], &fatal);
            return Ok(());
        }
        match self.try_group(std::slice::from_ref(&job)).await {
            Ok(decided) => self.answer_each(vec![job], decided),
            Err(GroupError::Died) => return Err(Died),
            Err(GroupError::Final(error)) => self.refuse_all(vec![job], error),
            Err(GroupError::Undone(error)) => self.refuse_all(vec![job], error.into_journal_error()),
        }
        Ok(())
    }

    fn answer_each(&self, jobs: Vec<Job>, decided: Vec<Decided>) {
        for (job, decided) in jobs.into_iter().zip(decided) {
            let outcome = decided.map(|(reply, at)| Outcome {
                reply,
                at,
                checkpoint: self.head.checkpoint.clone(),
            });
            // A proposer that went away finds its outcome by content.
            drop(job.answer.send(outcome));
        }
    }

    fn refuse_all(&self, jobs: Vec<Job>, error: JournalError) {
        if error.is_fatal() {
            tracing::error!(%error, "the journal takes no more work");
            self.shared.end(error.clone());
        } else if jobs.is_empty() {
            tracing::error!(%error, "the idle checkpoint was not committed");
        }
        answer_all(jobs, &error);
    }

    /// One transaction. No jobs: only a checkpoint.
    async fn try_group(&mut self, jobs: &[Job]) -> Result<Vec<Decided>, GroupError> {
        let mut draft = self.begin().await?;
        self.reach(Step::Begun)?;
        let ticked = self.tick(&mut draft).map_err(StepError::from);
        let mut pending = Pending::at(self.keep(ticked).await?);
        let looked = self.look_ahead(jobs, pending.moment()).await;
        let ahead = self.keep(looked).await?;
        let mut decided = Vec::with_capacity(jobs.len());
        let mut is_changed = jobs.is_empty();
        for (job, is_ahead) in jobs.iter().zip(&ahead.is_of) {
            let seen = Some(&ahead.seen).filter(|_| *is_ahead);
            let result = self.decide(&mut draft, &mut pending, &job.proposal, seen).await;
            match result {
                // Refused before it wrote anything: its neighbours go on.
                Err(StepError::Refused(reason)) => decided.push(Err(JournalError::NotCommitted(reason))),
                result => {
                    let (reply, at, changed) = self.keep(result).await?;
                    is_changed |= changed;
                    decided.push(Ok((reply, at)));
                }
            }
        }
        self.reach(Step::Decided)?;
        if is_changed {
            self.commit(draft, pending.take()).await?;
            self.shared.count_commit(jobs.len());
        } else {
            self.roll_back().await;
        }
        self.shared
            .count_proposals(decided.iter().filter(|one| one.is_ok()).count());
        Ok(decided)
    }

    fn reach(&self, step: Step) -> Result<(), GroupError> {
        if self.fail.fires(step) {
            Err(GroupError::Died)
        } else {
            Ok(())
        }
    }

    /// Undoes the transaction where a step of it failed.
    async fn keep<T>(&mut self, result: Result<T, StepError>) -> Result<T, GroupError> {
        match result {
            Ok(value) => Ok(value),
            Err(error) => {
                self.roll_back().await;
                Err(match error {
                    StepError::Fatal(error) => GroupError::Final(error),
                    StepError::Refused(_) | StepError::WrongRowCount { .. } | StepError::Database(_) => {
                        GroupError::Undone(error)
                    }
                })
            }
        }
    }

    /// Reads the clock, behind the lock: all of a group is of one moment.
    fn tick(&mut self, draft: &mut Draft) -> Result<Timestamp, JournalError> {
        let mut now = (self.config.clock)();
        if self.config.database.is_shared() {
            let shared = shared_time(now, self.own_last, draft.at())?;
            self.own_last = now;
            now = shared;
        }
        draft.advance(now)?;
        Ok(now)
    }

    /// Looks up at once what the proposals ask for: most of them do not depend on each other.
    async fn look_ahead(&mut self, jobs: &[Job], now: Timestamp) -> Result<Ahead, StepError> {
        let mut needs = Needs::default();
        // What is refused is refused again when its turn comes.
        let mut join = |job: &Job| Needs::of(&job.proposal.reads, now).is_ok_and(|own| needs.join(own));
        let is_of = jobs.iter().map(&mut join).collect();
        let mut link = self.connection.as_mut().ok_or_else(not_connected)?.link();
        let seen = look_up(&mut link, &needs, now).await?;
        Ok(Ahead { seen, is_of })
    }

    async fn decide(
        &mut self,
        draft: &mut Draft,
        pending: &mut Pending,
        proposal: &Proposal,
        ahead: Option<&Seen>,
    ) -> Result<(Reply, Timestamp, bool), StepError> {
        let (now, reads) = (pending.moment(), &proposal.reads);
        let mut link = self.connection.as_mut().ok_or_else(not_connected)?.link();
        let mut alone = None;
        let seen = match ahead.filter(|_| pending.is_untouched(reads)) {
            Some(ahead) => ahead,
            None => {
                let needs = Needs::of(reads, now)?;
                pending.settle(&mut link, reads).await?;
                alone.insert(look_up(&mut link, &needs, now).await?)
            }
        };
        let mut view = seen.view(draft.in_force(), reads, pending)?;
        // Whoever asks for them is never looked up with others.
        view.spends = alone.map(|alone| alone.spends).unwrap_or_default();
        // A panic in one decision must not end the task that every other withdrawal depends on.
        let verdict = catch_unwind(AssertUnwindSafe(|| (proposal.decide)(&view, now)))
            .map_err(|_| StepError::Refused("the decision panicked".to_owned()))?;
        if verdict.is_unchanged() {
            return Ok((verdict.reply, now, false));
        }
        refuse_unwritable(&verdict.entries, &verdict.writes)?;
        pending.add(&mut link, &verdict.writes).await?;
        draft.append(&verdict.entries, &verdict.writes)?;
        Ok((verdict.reply, now, true))
    }

    async fn commit(&mut self, draft: Draft, batch: Batch) -> Result<(), GroupError> {
        let signer = Arc::clone(&self.config.checkpoint_signer);
        let sealed = match self.connection.as_mut() {
            Some(connection) => draft.seal(&mut connection.link(), batch, signer.as_ref()).await,
            None => Err(not_connected()),
        };
        let next = self.keep(sealed).await?;
        self.reach(Step::Sealed)?;
        if let Err(error) = self.execute_commit().await {
            self.pending = Some(next);
            self.resolve(&error).await?;
        } else {
            self.head = next;
        }
        self.reach(Step::Committed)?;
        self.anchor_if_due().await.map_err(|error| {
            GroupError::Final(JournalError::InDoubt(format!(
                "committed, but the anchor was not written: {error}"
            )))
        })?;
        self.reach(Step::Anchored)
    }

    async fn execute_commit(&mut self) -> Result<(), sqlx::Error> {
        let mut link = self.connection.as_mut().ok_or(sqlx::Error::WorkerCrashed)?.link();
        if self.fail.fires(Step::CommitRefused) {
            link.script("ROLLBACK").await?;
            return Err(sqlx::Error::WorkerCrashed);
        }
        link.script("COMMIT").await?;
        if self.fail.fires(Step::CommitAnswerLost) {
            return Err(sqlx::Error::WorkerCrashed);
        }
        Ok(())
    }

    /// Finds out what became of a failed `COMMIT`, on a new connection.
    async fn resolve(&mut self, cause: &sqlx::Error) -> Result<(), GroupError> {
        self.disconnect().await;
        let read = match self.fail.fires(Step::HeadUnreadable) {
            true => Err(not_connected()),
            // Behind the lock: whatever the lost connection was doing in the database has ended.
            false => self.lock().await,
        };
        let found = match read {
            Ok(found) => found,
            Err(error) => {
                self.disconnect().await;
                let error = error.into_journal_error();
                return Err(GroupError::Final(JournalError::InDoubt(format!(
                    "{cause}; then {error}"
                ))));
            }
        };
        let recognised = self.recognise(found).await;
        // The transaction only held the lock while the head was read.
        self.roll_back().await;
        match recognised.map_err(|error| GroupError::Final(error.into_journal_error()))? {
            true => Ok(()),
            false => Err(GroupError::Final(JournalError::NotCommitted(cause.to_string()))),
        }
    }

    /// Takes the write lock and makes sure that the database is where we left it.
    async fn begin(&mut self) -> Result<Draft, GroupError> {
        let begun = self.lock().await;
        let found = self.keep_final(begun).await?;
        let recognised = self.recognise(found).await;
        self.keep_final(recognised).await?;
        // Nothing more is committed while an earlier commit waits for its anchor.
        let anchored = self
            .anchor_if_due()
            .await
            .map_err(|error| StepError::Refused(format!("the anchor of the last commit was not written: {error}")));
        self.keep_final(anchored).await?;
        Ok(Draft::after(&self.head))
    }

    /// What fails before the first proposal would fail for each of them.
    async fn keep_final<T>(&mut self, result: Result<T, StepError>) -> Result<T, GroupError> {
        match result {
            Ok(value) => Ok(value),
            Err(error) => {
                self.roll_back().await;
                Err(GroupError::Final(error.into_journal_error()))
            }
        }
    }

    /// Takes the write lock and reads the head under it.
    async fn lock(&mut self) -> Result<Found, StepError> {
        let mut link = self.connected().await?;
        link.begin_locked().await?;
        Found::of(&link.row(Sql::new(READ_HEAD)).await?)
    }

    /// Makes the database's head ours, under the lock: the one that we left, the one whose `COMMIT` was in doubt, or what
    /// other signers made of either. Says whether a commit in doubt was done.
    async fn recognise(&mut self, found: Found) -> Result<bool, StepError> {
        if found.generation != self.generation {
            return Err(JournalError::Fenced.into());
        }
        let mut is_done = false;
        if let Some(pending) = &self.pending {
            let mut link = self.connection.as_mut().ok_or_else(not_connected)?.link();
            is_done = commit_hash(&mut link, pending.number).await? == Some(pending.hash);
        }
        if let Some(pending) = self.pending.take().filter(|_| is_done) {
            self.head = pending;
        }
        if found.is(&self.head) {
            return Ok(is_done);
        }
        if !self.config.database.is_shared() || found.number <= self.head.number {
            let reason = format!(
                "the database is at commit {}, this process at {}",
                found.number, self.head.number
            );
            return Err(JournalError::Rewound(reason).into());
        }
        let mut link = self.connection.as_mut().ok_or_else(not_connected)?.link();
        self.head = catch_up(&mut link, &self.head, &self.config).await?;
        Ok(is_done)
    }

    async fn connected(&mut self) -> Result<Link<'_>, StepError> {
        if self.connection.is_none() {
            self.connection = Some(Connection::open(&self.config.database).await?);
        }
        self.connection.as_mut().map(Connection::link).ok_or_else(not_connected)
    }

    async fn roll_back(&mut self) {
        let Some(connection) = self.connection.as_mut() else {
            return;
        };
        if let Err(error) = connection.link().script("ROLLBACK").await {
            // SQLite ends a transaction by itself after some errors. A new connection is certainly in none.
            tracing::debug!(%error, "no rollback; connecting again");
            self.disconnect().await;
        }
    }

    async fn disconnect(&mut self) {
        let Some(connection) = self.connection.take() else {
            return;
        };
        if let Err(error) = connection.close().await {
            tracing::warn!(%error, "the database did not close");
        }
    }

    async fn anchor_if_due(&mut self) -> Result<(), OpenError> {
        let behind = self.head.number.saturating_sub(self.anchored);
        if behind >= u64::from(self.config.limits.anchor_every.get()) {
            self.write_anchor().await?;
        }
        Ok(())
    }

    async fn write_anchor(&mut self) -> Result<(), OpenError> {
        if self.fail.fires(Step::AnchorUnwritable) {
            return Err(OpenError::AnchorMissing(self.config.anchor_path.clone()));
        }
        write_anchor(&self.config, &self.head).await?;
        self.anchored = self.head.number;
        Ok(())
    }
}

/// The fence and the last commit as the database has them.
struct Found {
    generation: i64,
    number: u64,
    hash: [u8; 32],
}

impl Found {
    fn of(row: &Row) -> Result<Self, StepError> {
        Ok(Self {
            generation: row.number("generation")?,
            number: from_sql(row.number("number")?)?,
            hash: bytes32(row.bytes("hash")?)?,
        })
    }

    fn is(&self, head: &Head) -> bool {
        self.number == head.number && self.hash == head.hash
    }
}

/// A test ended the writer.
struct Died;

fn not_connected() -> StepError {
    StepError::Database(sqlx::Error::WorkerCrashed)
}

/// What was still queued behind the close.
fn refuse_rest(mut queue: mpsc::Receiver<Message>) {
    queue.close();
    while let Ok(message) = queue.try_recv() {
        match message {
            Message::Propose(job) => answer_all(vec![*job], &closed()),
            Message::Close(done) => drop(done),
        }
    }
}

/// The answer of a journal that was closed.
pub(crate) fn closed() -> JournalError {
    JournalError::NotCommitted("the journal is closed".to_owned())
}

fn answer_all(jobs: Vec<Job>, error: &JournalError) {
    for job in jobs {
        // A proposer that went away asks again.
        drop(job.answer.send(Err(error.clone())));
    }
}
