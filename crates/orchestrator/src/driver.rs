//! Asks the signer about every withdrawal that is due, until it is decided.
//!
//! What is due is durable; how often it failed is not. One withdrawal is asked about by one worker at a time; asking again
//! is harmless, because `Authorize` is idempotent. A crash between any two steps repeats a step, never skips one.

mod queue;

use std::{sync::Arc, time::Duration};

use countersign_proto::{fields, signer::v1::AuthorizeRequest};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

use crate::{
    advice::StatementKind,
    clock,
    signer::{Decision, Signer, Unavailable},
    states::{Event, State},
    store::{Answer, Outcome, SignedAttempt, Store, StoreError, Wake, Work},
};
pub use queue::Queue;

/// Rows that are read at once when the driver starts.
const RESUME_PAGE: u32 = 1_000;
/// The longest sleep: the machine's clock may jump.
const MAX_SLEEP: Duration = Duration::from_secs(30);

/// Why a withdrawal was not driven to an answer.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// The signer did not answer.
    #[error(transparent)]
    Signer(#[from] Unavailable),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The driver's own state.
#[derive(Debug)]
pub struct Driver {
    store: Arc<Store>,
    signer: Signer,
    workers: usize,
    queue: Queue,
    running: JoinSet<(i64, Result<Option<i64>, DriveError>)>,
}

impl Driver {
    /// A driver with at most `workers` calls in progress. `depth` tells how many withdrawals are waiting.
    pub fn new(store: Arc<Store>, signer: Signer, workers: usize, depth: watch::Sender<usize>) -> Self {
        Self {
            store,
            signer,
            workers,
            queue: Queue::new(depth),
            running: JoinSet::new(),
        }
    }

    /// Runs until `shutdown` turns true; calls in progress are abandoned (they are asked again at the next start).
    pub async fn run(mut self, mut wakes: mpsc::UnboundedReceiver<Wake>, mut shutdown: watch::Receiver<bool>) {
        loop {
            self.start_due();
            let sleep = self.sleep();
            tokio::select! {
                wake = wakes.recv() => match wake {
                    Some(wake) => self.queue.wake(wake),
                    None => return,
                },
                Some(done) = self.running.join_next() => self.settle(done),
                () = tokio::time::sleep(sleep) => {}
                _ = shutdown.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// Takes up what is unfinished. Before the first call is served: what arrives later comes as a wake, once.
    pub async fn resume(&mut self) -> Result<(), StoreError> {
        let mut after = 0;
        loop {
            let page = self.store.unfinished(after, RESUME_PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.seq;
            page.into_iter().for_each(|wake| self.queue.wake(wake));
        }
    }

    fn start_due(&mut self) {
        let now_ms = clock::now().unix_millis();
        while self.running.len() < self.workers {
            let Some(seq) = self.queue.start_due(now_ms) else {
                return;
            };
            let (store, signer) = (Arc::clone(&self.store), self.signer.clone());
            self.running
                .spawn(async move { (seq, drive(&store, &signer, seq).await) });
        }
    }

    fn sleep(&self) -> Duration {
        // With every worker busy only a worker that ends can help.
        let next = self.queue.next_due_ms().filter(|_| self.running.len() < self.workers);
        let Some(next) = next else { return MAX_SLEEP };
        let millis = next.saturating_sub(clock::now().unix_millis());
        Duration::from_millis(u64::try_from(millis).unwrap_or_default()).min(MAX_SLEEP)
    }

    fn settle(&mut self, done: Result<(i64, Result<Option<i64>, DriveError>), tokio::task::JoinError>) {
        let now_ms = clock::now().unix_millis();
        match done {
            Ok((seq, Ok(due_at_ms))) => self.queue.finish(seq, due_at_ms),
            Ok((seq, Err(error))) => {
                let is_first = !self.queue.has_failed(seq);
                let delay_ms = self.queue.retry(seq, now_ms, rand::random_range(0.5..1.0));
                // Thousands may wait for a signer that is down: each says so once, and whoever asks about it is told.
                match is_first {
                    true => tracing::warn!(%error, seq, delay_ms, "driver: asked again later"),
                    false => tracing::debug!(%error, seq, delay_ms, "driver: asked again later"),
                }
            }
            Err(error) => {
                // A worker that panicked does not say which withdrawal it had; all that run are taken up again.
                tracing::error!(%error, "driver: a worker died");
                self.queue.retry_lost(now_ms, &mut self.running);
            }
        }
    }
}

/// Asks about one withdrawal and stores the answer; returns when to ask again.
pub async fn drive(store: &Store, signer: &Signer, seq: i64) -> Result<Option<i64>, DriveError> {
    let Some(work) = store.work(seq).await? else {
        return Ok(None);
    };
    if matches!(work.state, State::Denied | State::Cancelled | State::Expired) {
        return Ok(None);
    }
    let asked = ask(store, signer, &work).await;
    if let Err(DriveError::Signer(unavailable)) = &asked {
        store.unanswered(seq, unavailable.tag).await?;
    }
    let (is_cancelled, decision) = asked?;
    let is_expired = clock::now().unix_millis() >= work.expires_at_ms;
    let outlives_request = is_cancelled && work.cancels;
    let decision = match (is_cancelled, is_expired) {
        (true, _) if outlives_request => decision.refusing(Event::Cancelled),
        (true, _) => decision.ending(Event::Cancelled),
        (false, true) => decision.ending(Event::Expired),
        (false, false) => decision,
    };
    Ok(store.apply(outcome(&work, decision, outlives_request)).await?)
}

/// The signer's decision, and whether it acknowledged a cancel before it.
async fn ask(store: &Store, signer: &Signer, work: &Work) -> Result<(bool, Decision), DriveError> {
    let is_cancelled = record_statements(store, signer, work).await?;
    Ok((is_cancelled, signer.authorize(authorize_request(work)).await?))
}

/// Cancels and rejections are journaled before the next decision, each once; those of a withdrawal that the signer has not seen
/// come with its first decision. Tells whether a cancel was acknowledged.
async fn record_statements(store: &Store, signer: &Signer, work: &Work) -> Result<bool, DriveError> {
    let mut is_cancelled = false;
    for statement in work.statements.iter().filter(|statement| is_recorded(statement.kind)) {
        let answer = match &statement.answer {
            Some(answer) => answer.clone(),
            None => {
                let Some(answer) = signer.record(statement.envelope.clone()).await? else {
                    continue;
                };
                store.answer(statement.seq, answer.clone()).await?;
                answer
            }
        };
        let is_acknowledged = matches!(answer, Answer::Acknowledged(_));
        is_cancelled |= is_acknowledged && statement.kind == StatementKind::Cancel;
    }
    Ok(is_cancelled)
}

/// What is journaled by itself. Approvals, raised fee ceilings, observations and attestations are journaled with the decision that they
/// were brought for: the signer may not know the withdrawal before it.
fn is_recorded(kind: StatementKind) -> bool {
    match kind {
        StatementKind::Rejection | StatementKind::Cancel => true,
        StatementKind::Approval
        | StatementKind::Replace
        | StatementKind::Observation
        | StatementKind::Price
        | StatementKind::Screening
        | StatementKind::AddressBook => false,
    }
}

fn authorize_request(work: &Work) -> AuthorizeRequest {
    let is_refused = |answer: &Option<Answer>| matches!(answer, Some(Answer::Refused { .. }));
    let statements = work
        .statements
        .iter()
        .filter(|statement| !is_refused(&statement.answer));
    AuthorizeRequest {
        request: Some(fields::statement(work.request.clone())),
        unsigned_transaction: work.unsigned.clone(),
        statements: statements
            .map(|statement| fields::statement(statement.envelope.clone()))
            .collect(),
    }
}

fn outcome(work: &Work, decision: Decision, outlives_request: bool) -> Outcome {
    Outcome {
        seq: work.seq,
        inputs: work.inputs,
        event: decision.event,
        standing: decision.standing,
        signed: decision.signed.map(|(transaction, txid)| SignedAttempt {
            number: work.attempt,
            transaction,
            txid,
        }),
        outlives_request,
    }
}
