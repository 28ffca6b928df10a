//! What is due when: in memory, rebuilt from the store at every start.

use std::collections::{BTreeSet, HashMap, hash_map::Entry};

use tokio::{sync::watch, task::JoinSet};

use crate::store::Wake;

/// The delay after the first failure; it doubles up to [`MAX_DELAY_MS`].
const FIRST_DELAY_MS: i64 = 100;
/// The longest delay after a failure.
const MAX_DELAY_MS: i64 = 30_000;
/// Failures after which the delay no longer grows.
const MAX_DOUBLINGS: u32 = 9;

#[derive(Debug, Default)]
struct Item {
    /// When it is in `by_time`.
    due_at_ms: Option<i64>,
    failures: u32,
    /// A worker has it; `again_at_ms` collects what is woken meanwhile.
    is_running: bool,
    again_at_ms: Option<i64>,
}

/// Withdrawals in the order in which they are due.
#[derive(Debug)]
pub struct Queue {
    by_time: BTreeSet<(i64, i64)>,
    items: HashMap<i64, Item>,
    depth: watch::Sender<usize>,
}

fn earlier(one: Option<i64>, other: Option<i64>) -> Option<i64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

impl Queue {
    /// An empty queue that tells its length.
    pub fn new(depth: watch::Sender<usize>) -> Self {
        Self {
            by_time: BTreeSet::new(),
            items: HashMap::new(),
            depth,
        }
    }

    /// Something is due. What was due earlier stays so, but something new ends the waiting after a failure.
    pub fn wake(&mut self, wake: Wake) {
        let item = self.items.entry(wake.seq).or_default();
        if item.is_running {
            item.again_at_ms = earlier(item.again_at_ms, Some(wake.due_at_ms));
        } else {
            item.failures = 0;
            let due_at_ms = earlier(item.due_at_ms, Some(wake.due_at_ms));
            self.place(wake.seq, due_at_ms);
        }
        self.tell();
    }

    /// Takes the earliest that is due.
    pub fn start_due(&mut self, now_ms: i64) -> Option<i64> {
        let (due_at_ms, seq) = *self.by_time.first()?;
        if due_at_ms > now_ms {
            return None;
        }
        self.place(seq, None);
        self.items.entry(seq).or_default().is_running = true;
        Some(seq)
    }

    /// When the earliest is due.
    pub fn next_due_ms(&self) -> Option<i64> {
        self.by_time.first().map(|(due_at_ms, _)| *due_at_ms)
    }

    /// A worker stored an answer, and with it when to ask again.
    pub fn finish(&mut self, seq: i64, due_at_ms: Option<i64>) {
        if let Entry::Occupied(mut entry) = self.items.entry(seq) {
            let item = entry.get_mut();
            item.is_running = false;
            item.failures = 0;
            let due_at_ms = earlier(due_at_ms, item.again_at_ms.take());
            match due_at_ms {
                Some(_) => self.place(seq, due_at_ms),
                None => drop(entry.remove()),
            }
        }
        self.tell();
    }

    /// Whether the last answer did not come.
    pub fn has_failed(&self, seq: i64) -> bool {
        self.items.get(&seq).is_some_and(|item| item.failures > 0)
    }

    /// A worker had no answer: later, and each time later still. `jitter` in 0.5..1 keeps many from coming at once.
    /// Returns the delay in milliseconds.
    pub fn retry(&mut self, seq: i64, now_ms: i64, jitter: f64) -> i64 {
        let item = self.items.entry(seq).or_default();
        item.is_running = false;
        let again = item.again_at_ms.take();
        let doubled = FIRST_DELAY_MS.saturating_mul(1_i64 << item.failures.min(MAX_DOUBLINGS));
        item.failures = item.failures.saturating_add(1);
        let delay_ms = scale(doubled.min(MAX_DELAY_MS), jitter);
        let due_at_ms = earlier(Some(now_ms.saturating_add(delay_ms)), again);
        self.place(seq, due_at_ms);
        delay_ms
    }

    /// Workers died without a word: those still running are stopped, and everything they had is taken up again.
    pub fn retry_lost<T: 'static>(&mut self, now_ms: i64, running: &mut JoinSet<T>) {
        *running = JoinSet::new();
        let lost: Vec<i64> = self
            .items
            .iter()
            .filter(|(_, item)| item.is_running)
            .map(|(seq, _)| *seq)
            .collect();
        for seq in lost {
            self.retry(seq, now_ms, 1.0);
        }
    }

    fn place(&mut self, seq: i64, due_at_ms: Option<i64>) {
        let item = self.items.entry(seq).or_default();
        if let Some(before) = item.due_at_ms {
            self.by_time.remove(&(before, seq));
        }
        item.due_at_ms = due_at_ms;
        if let Some(due_at_ms) = due_at_ms {
            self.by_time.insert((due_at_ms, seq));
        }
    }

    fn tell(&self) {
        self.depth.send_replace(self.items.len());
    }
}

#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "a delay of at most 30 000 ms is exact in f64"
)]
fn scale(millis: i64, factor: f64) -> i64 {
    (millis as f64 * factor) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue() -> Queue {
        Queue::new(watch::Sender::new(0))
    }

    fn wake(seq: i64, due_at_ms: i64) -> Wake {
        Wake { seq, due_at_ms }
    }

    #[test]
    fn the_earliest_is_first_and_only_when_due() {
        let mut queue = queue();
        queue.wake(wake(1, 20));
        queue.wake(wake(2, 10));
        assert_eq!(queue.start_due(9), None);
        assert_eq!(queue.start_due(10), Some(2));
        assert_eq!(queue.start_due(10), None);
        assert_eq!(queue.next_due_ms(), Some(20));
    }

    #[test]
    fn one_worker_at_a_time_and_no_wake_is_lost() {
        let mut queue = queue();
        queue.wake(wake(1, 0));
        assert_eq!(queue.start_due(0), Some(1));
        queue.wake(wake(1, 0));
        assert_eq!(queue.start_due(0), None, "already running");
        queue.finish(1, None);
        assert_eq!(queue.start_due(0), Some(1), "woken while it ran");
        queue.finish(1, None);
        assert_eq!((queue.items.len(), queue.by_time.len()), (0, 0));
    }

    #[test]
    fn delays_double_to_a_bound_and_news_end_the_waiting() {
        let mut queue = queue();
        let mut delays = Vec::new();
        queue.wake(wake(1, 0));
        for tries in 0..12 {
            assert_eq!(queue.start_due(i64::MAX), Some(1));
            assert_eq!(queue.has_failed(1), tries > 0);
            delays.push(queue.retry(1, 0, 1.0));
        }
        assert_eq!(delays[..4], [100, 200, 400, 800]);
        assert_eq!(delays[9..], [MAX_DELAY_MS; 3]);
        queue.wake(wake(1, 5));
        assert_eq!((queue.start_due(5), queue.has_failed(1)), (Some(1), false));
        assert_eq!(queue.retry(1, 0, 0.5), 50, "starts over, with jitter");
    }

    #[test]
    fn what_a_dead_worker_had_is_taken_up_again() {
        let mut queue = queue();
        queue.wake(wake(1, 0));
        queue.wake(wake(2, 0));
        assert_eq!((queue.start_due(0), queue.start_due(0)), (Some(1), Some(2)));
        let mut running = JoinSet::<()>::new();
        queue.retry_lost(0, &mut running);
        assert_eq!(queue.by_time.len(), 2);
    }

    #[test]
    fn the_depth_is_told() {
        let (depth, told) = watch::channel(0);
        let mut queue = Queue::new(depth);
        queue.wake(wake(1, 0));
        queue.wake(wake(2, 0));
        assert_eq!(*told.borrow(), 2);
        queue.start_due(0);
        queue.finish(1, None);
        assert_eq!(*told.borrow(), 1);
    }
}
