//! Every call ends, and calls that may be repeated are repeated a bounded number of times.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use tonic::{Code, Response, Status};

use crate::ClientError;

/// Attempts of one call.
const ATTEMPTS: u32 = 5;
/// The pause after the first attempt; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// Whether doing it twice is the same as doing it once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Everything named by a digest, and everything that only reads.
    Allowed,
    /// An answer that was lost would make the second attempt a refusal.
    Forbidden,
}

/// Calls until it is answered, refused for good, or out of time or attempts.
pub(crate) async fn call<T, F>(
    budget: Duration,
    repeat: Repeat,
    mut attempt: impl FnMut() -> F,
) -> Result<T, ClientError>
where
    F: Future<Output = Result<Response<T>, Status>>,
{
    let deadline = Instant::now().checked_add(budget).unwrap_or_else(Instant::now);
    let mut pause = FIRST_PAUSE;
    let mut left = ATTEMPTS;
    let mut was_sent = false;
    loop {
        left = left.saturating_sub(1);
        let error = match timeout_at(deadline, attempt()).await {
            Ok(Ok(response)) => return Ok(response.into_inner()),
            // Where an attempt broke and then no connection could be made, the first of them may have been carried out.
            Ok(Err(status)) => ClientError::from(status).after_sent(was_sent),
            Err(_) => return Err(late()),
        };
        was_sent |= error.may_be_done();
        let is_over = left == 0 || repeat == Repeat::Forbidden || !error.is_passing();
        if is_over || timeout_at(deadline, sleep(pause)).await.is_err() {
            return Err(error);
        }
        pause = pause.saturating_mul(2);
    }
}

fn late() -> ClientError {
    ClientError::NoAnswer {
        code: Code::DeadlineExceeded,
        message: "the call took too long".to_owned(),
        is_sent: true,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use countersign_proto::errors;
    use countersign_types::Tag;

    use super::*;

    async fn run(repeat: Repeat, failures: u32, status: Status) -> (Result<u32, ClientError>, u32) {
        let calls = AtomicU32::new(0);
        let budget = Duration::from_secs(60);
        let result = call(budget, repeat, || {
            let count = calls.fetch_add(1, Ordering::Relaxed) + 1;
            let status = status.clone();
            async move {
                if count > failures {
                    Ok(Response::new(count))
                } else {
                    Err(status)
                }
            }
        });
        (result.await, calls.load(Ordering::Relaxed))
    }

    #[tokio::test(start_paused = true)]
    async fn passing_failures_are_repeated_up_to_a_bound() {
        let (result, calls) = run(Repeat::Allowed, 3, Status::unavailable("m")).await;
        assert_eq!((result.unwrap(), calls), (4, 4));
        let (result, calls) = run(Repeat::Allowed, 100, errors::status(Tag::StoreUnavailable, "m")).await;
        assert_eq!(
            (result.unwrap_err().tag(), calls),
            (Some(Tag::StoreUnavailable), ATTEMPTS)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_and_calls_that_may_not_be_repeated_are_made_once() {
        let (result, calls) = run(Repeat::Allowed, 1, errors::status(Tag::ReferenceConflict, "m")).await;
        assert_eq!((result.unwrap_err().tag(), calls), (Some(Tag::ReferenceConflict), 1));
        let (result, calls) = run(Repeat::Forbidden, 1, Status::unavailable("m")).await;
        assert!(result.is_err() && calls == 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_hangs_ends() {
        let hang = || std::future::pending::<Result<Response<()>, Status>>();
        let error = call(Duration::from_secs(1), Repeat::Allowed, hang).await.unwrap_err();
        assert!(
            matches!(
                error,
                ClientError::NoAnswer {
                    code: Code::DeadlineExceeded,
                    ..
                }
            ),
            "{error}"
        );
    }
}
