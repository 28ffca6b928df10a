//! Clearing up behind what was authorized, ended and never signed: on a timer with back-off.

use std::time::Duration;

/// How soon after a pass without errors the next one looks. Unsigned authorizations are rare: a token that did not
/// answer, a crash or a cancel between commit and signature.
const REST: Duration = Duration::from_secs(15);
/// After a first failure.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// The longest wait.
const LAST_RETRY: Duration = Duration::from_secs(60);

/// When the next pass runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Schedule {
    last_retry: Option<Duration>,
}

impl Schedule {
    /// After a pass without errors.
    pub fn succeeded(&mut self) -> Duration {
        self.last_retry = None;
        REST
    }

    /// After a pass with one: twice the last wait, up to a bound.
    pub fn failed(&mut self) -> Duration {
        let wait = match self.last_retry {
            None => FIRST_RETRY,
            Some(last) => last.saturating_mul(2).min(LAST_RETRY),
        };
        self.last_retry = Some(wait);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_and_start_again() {
        let mut schedule = Schedule::default();
        let waits: Vec<u64> = (0..9).map(|_| schedule.failed().as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(schedule.succeeded(), REST);
        assert_eq!(schedule.failed(), FIRST_RETRY);
    }
}
