//! One thread a session, one bounded queue in front of them all, a deadline on every answer.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender, TrySendError},
    },
    thread,
    time::Duration,
};

use countersign_signer::BackendError;
use countersign_types::{KeyId, RawSignature, SigningBytes};
use cryptoki::error::RvError;
use tokio::sync::oneshot;

use crate::TokenError;

/// Pauses before the second and the third attempt: long enough for a token to come back from a reset of its sessions,
/// short enough for the caller's deadline.
const PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(250)];
/// How long dropping the pool waits for running calls into the token.
const DROP_WAIT: Duration = Duration::from_secs(2);

/// Makes sessions; called in the thread that will use the session.
pub(crate) trait Dial: Send + Sync + 'static {
    type Line: Line;
    fn dial(&self) -> Result<Self::Line, TokenError>;
}

/// A session that signs. After an error it is not used again.
pub(crate) trait Line {
    fn sign(&mut self, key: &KeyId, bytes: &SigningBytes) -> Result<RawSignature, TokenError>;
}

struct Job {
    key: KeyId,
    bytes: SigningBytes,
    answer: oneshot::Sender<Result<RawSignature, BackendError>>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) sessions: usize,
    pub(crate) queue: usize,
    pub(crate) timeout: Duration,
}

pub(crate) struct Pool {
    /// `None` only while the pool is dropped.
    queue: Option<SyncSender<Job>>,
    /// Closes when the last thread has ended.
    running: Mutex<Receiver<()>>,
    timeout: Duration,
}

impl Pool {
    /// Starts the sessions one after the other and stops at the first that fails, so that a wrong PIN is tried once.
    pub(crate) fn start<D: Dial>(dial: D, bounds: Bounds) -> Result<Self, TokenError> {
        let (queue, jobs) = mpsc::sync_channel(bounds.queue);
        let (alive, running) = mpsc::channel();
        let shared = Arc::new(Shared {
            dial,
            jobs: Mutex::new(jobs),
            pin_refused: AtomicBool::new(false),
        });
        let pool = Self {
            queue: Some(queue),
            running: Mutex::new(running),
            timeout: bounds.timeout,
        };
        let started = (0..bounds.sessions)
            .try_for_each(|number| start_thread(number, Arc::clone(&shared), alive.clone(), bounds.timeout));
        drop(alive); // before the pool, which waits for the last of them
        started.map(|()| pool)
    }

    /// Queues one job and waits for its answer, at most the configured time.
    pub(crate) async fn sign(&self, key: KeyId, bytes: SigningBytes) -> Result<RawSignature, BackendError> {
        let (answer, answered) = oneshot::channel();
        let gone = || BackendError::Unavailable("no session of the token is left".into());
        let queue = self.queue.as_ref().ok_or_else(gone)?;
        queue
            .try_send(Job { key, bytes, answer })
            .map_err(|error| match error {
                TrySendError::Full(_) => BackendError::Busy,
                TrySendError::Disconnected(_) => gone(),
            })?;
        match tokio::time::timeout(self.timeout, answered).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(gone()),
            Err(_) => Err(BackendError::from(&TokenError::NoAnswer(self.timeout))),
        }
    }
}

impl Drop for Pool {
    /// Lets running calls into the token end, within bounds: a module that is unloaded under a call crashes the process.
    fn drop(&mut self) {
        drop(self.queue.take());
        let running = self.running.get_mut().unwrap_or_else(PoisonError::into_inner);
        if running.recv_timeout(DROP_WAIT) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("a call into the token still runs after {DROP_WAIT:?}; its thread is left behind");
        }
    }
}

fn start_thread<D: Dial>(
    number: usize,
    shared: Arc<Shared<D>>,
    alive: Sender<()>,
    timeout: Duration,
) -> Result<(), TokenError> {
    let (ready, is_ready) = mpsc::sync_channel(1);
    thread::Builder::new()
        .name(format!("pkcs11-{number}"))
        .spawn(move || {
            let _alive = alive; // first in, so last out: after the session is closed
            let (line, outcome) = match shared.dial() {
                Ok(line) => (Some(line), Ok(())),
                Err(error) => (None, Err(error)),
            };
            let failed = outcome.is_err();
            if ready.send(outcome).is_err() || failed {
                return;
            }
            Worker { shared, line }.run();
        })
        .map_err(|error| TokenError::NoThread(error.kind()))?;
    match is_ready.recv_timeout(timeout) {
        Ok(outcome) => outcome,
        Err(RecvTimeoutError::Timeout) => Err(TokenError::NoAnswer(timeout)),
        Err(RecvTimeoutError::Disconnected) => Err(TokenError::BadAnswer("opening a session panicked".into())),
    }
}

struct Shared<D> {
    dial: D,
    jobs: Mutex<Receiver<Job>>,
    /// Set once and for all: another try with the same PIN can only lock the token.
    pin_refused: AtomicBool,
}

impl<D: Dial> Shared<D> {
    fn dial(&self) -> Result<D::Line, TokenError> {
        if self.pin_refused.load(Ordering::SeqCst) {
            return Err(TokenError::PinRefused(RvError::PinIncorrect));
        }
        let dialled = self.dial.dial();
        if matches!(dialled, Err(TokenError::PinRefused(_))) {
            self.pin_refused.store(true, Ordering::SeqCst);
        }
        dialled
    }

    /// The next job; `None` when the pool is dropped. Waiting threads stand in line for the lock.
    fn next(&self) -> Option<Job> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
    }
}

struct Worker<D: Dial> {
    shared: Arc<Shared<D>>,
    /// `None` after an error, until the next job dials again.
    line: Option<D::Line>,
}

impl<D: Dial> Worker<D> {
    fn run(mut self) {
        while let Some(job) = self.shared.next() {
            if let Some(result) = self.sign(&job) {
                // The caller may have stopped waiting meanwhile; then nobody gets the signature.
                drop(job.answer.send(result));
            }
        }
    }

    /// `None`: nobody waits for this signature any more, so it is not made.
    fn sign(&mut self, job: &Job) -> Option<Result<RawSignature, BackendError>> {
        let mut pauses = PAUSES.into_iter();
        loop {
            if job.answer.is_closed() {
                return None;
            }
            let error = match self.attempt(job) {
                Ok(signature) => return Some(Ok(signature)),
                Err(error) => error,
            };
            self.line = None; // an error poisons a session: an operation may be half begun in it
            tracing::warn!(key = %job.key, %error, "the token did not sign");
            match pauses.next() {
                Some(pause) if !error.is_lasting() => thread::sleep(pause),
                Some(_) | None => return Some(Err(BackendError::from(&error))),
            }
        }
    }

    fn attempt(&mut self, job: &Job) -> Result<RawSignature, TokenError> {
        let line = match &mut self.line {
            Some(line) => line,
            none => none.insert(self.shared.dial()?),
        };
        line.sign(&job.key, &job.bytes)
    }
}

#[cfg(test)]
mod tests;
