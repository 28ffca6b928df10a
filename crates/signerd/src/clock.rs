//! The clock of the signer process (docs/adr/0033).

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use countersign_journal::Clock;
use countersign_types::Timestamp;
use rustix::time::{ClockId, clock_gettime};

/// By how much the system's clock may part from a steady one while the process runs. Time services slew by milliseconds; who moves
/// it further has set it.
const MAX_STEP_MILLIS: u64 = 60_000;
/// Nobody can set it; on Linux it runs on while the machine sleeps.
#[cfg(target_os = "linux")]
const STEADY: ClockId = ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const STEADY: ClockId = ClockId::Monotonic;

/// What is read where the clock cannot be believed.
const UNKNOWN: Timestamp = Timestamp::from_unix_millis(0);

/// The system's clock, as long as it goes on as it did when the process started. What it cannot say, or was set to meanwhile, is the
/// beginning of time, which the journal refuses as backwards: the process ends, and whoever starts it again has seen why.
pub fn system_clock() -> Clock {
    let course = Course::of(wall_millis(), steady_millis());
    Arc::new(move || course.vouch(wall_millis(), steady_millis()))
}

/// The same for those who ask whether it is too late for something: where nobody can say, it is.
pub fn too_late_where_unknown(clock: Clock) -> Clock {
    Arc::new(move || match clock() {
        UNKNOWN => Timestamp::from_unix_millis(i64::MAX),
        known => known,
    })
}

/// Milliseconds since 1970; 0 where the clock is before that or beyond reason.
fn wall_millis() -> i64 {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let millis = since_epoch.map(|since| i64::try_from(since.as_millis()));
    millis.ok().and_then(Result::ok).unwrap_or_default()
}

fn steady_millis() -> i64 {
    let now = clock_gettime(STEADY);
    let millis = now.tv_nsec.checked_div(1_000_000).unwrap_or_default();
    now.tv_sec.saturating_mul(1_000).saturating_add(millis)
}

/// Where both clocks stood when the process started.
struct Course {
    wall: i64,
    steady: i64,
    has_parted: AtomicBool,
}

impl Course {
    fn of(wall: i64, steady: i64) -> Self {
        Self {
            wall,
            steady,
            has_parted: AtomicBool::new(false),
        }
    }

    /// The wall clock's reading, unless it parted from its course.
    fn vouch(&self, wall: i64, steady: i64) -> Timestamp {
        let run = steady.saturating_sub(self.steady);
        let step = wall.saturating_sub(self.wall).saturating_sub(run);
        if step.unsigned_abs() <= MAX_STEP_MILLIS && !self.has_parted.load(Ordering::Relaxed) {
            return Timestamp::from_unix_millis(wall);
        }
        if !self.has_parted.swap(true, Ordering::Relaxed) {
            tracing::error!(
                step_ms = step,
                clock = %Timestamp::from_unix_millis(wall),
                "the system's clock was set while the signer ran: nothing more is signed; repair the clock, then start the signer again"
            );
        }
        UNKNOWN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WALL: i64 = 1_780_000_000_000;
    const STEADY: i64 = 5_000;
    const MAX: i64 = 60_000;

    fn after(step: i64, run: i64) -> Option<i64> {
        let course = Course::of(WALL, STEADY);
        let read = course.vouch(WALL + run + step, STEADY + run).unix_millis();
        (read != 0).then_some(read - WALL)
    }

    #[test]
    fn a_clock_that_runs_on_is_believed_however_long() {
        let year = 365 * 86_400_000;
        for run in [0, 1, 86_400_000, year] {
            for step in [0, 1, -1, MAX, -MAX] {
                assert_eq!(after(step, run), Some(run + step), "{step} in {run}");
            }
        }
    }

    #[test]
    fn a_clock_that_was_set_is_not() {
        for step in [MAX + 1, -MAX - 1, 86_400_000, -86_400_000, i64::MAX / 2, -WALL] {
            for run in [0, 3_600_000] {
                assert_eq!(after(step, run), None, "{step} in {run}");
            }
        }
    }

    /// Whoever set it back has not undone what was read meanwhile.
    #[test]
    fn once_it_was_set_it_is_believed_no_more() {
        let course = Course::of(WALL, STEADY);
        assert_eq!(course.vouch(WALL + MAX + 1, STEADY).unix_millis(), 0);
        assert_eq!(course.vouch(WALL, STEADY).unix_millis(), 0);
    }

    /// An authorization is not used on a clock that nobody believes.
    #[test]
    fn where_the_clock_is_unknown_it_is_too_late() {
        for (reads, expected) in [(0, i64::MAX), (WALL, WALL)] {
            let clock: Clock = Arc::new(move || Timestamp::from_unix_millis(reads));
            assert_eq!(too_late_where_unknown(clock)().unix_millis(), expected);
        }
    }

    #[test]
    fn the_systems_clocks_run_side_by_side() {
        let clock = system_clock();
        let (first, second) = (clock(), clock());
        assert!(first.unix_millis() > WALL / 2 && second >= first);
        assert!(steady_millis() > 0);
    }
}
