//! Every call passes here first: who is it, not too often, not too many at once.

use std::{num::NonZeroU32, sync::Arc};

use countersign_proto::{errors, identity::Caller};
use countersign_types::Tag;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::{Request, Status};

use crate::config::Limits;

/// Rate limit per caller and a bound of calls in progress.
#[derive(Debug)]
pub struct Admission {
    rates: DefaultKeyedRateLimiter<Caller>,
    callers: usize,
    calls: Arc<Semaphore>,
}

/// A call that may go on; dropping it ends its share of the bound.
#[derive(Debug)]
pub struct Admitted {
    /// Who calls.
    pub caller: Caller,
    _permit: OwnedSemaphorePermit,
}

impl Admission {
    /// With the bounds of the configuration.
    pub fn new(limits: &Limits) -> Self {
        let at_least_one = |number: u32| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_second(at_least_one(limits.calls_per_second)).allow_burst(at_least_one(limits.burst));
        Self {
            rates: RateLimiter::keyed(quota),
            callers: limits.callers,
            calls: Arc::new(Semaphore::new(limits.concurrent_calls)),
        }
    }

    /// Lets a call in.
    pub fn admit<T>(&self, request: &Request<T>) -> Result<Admitted, Status> {
        self.admit_caller(Caller::of(request)?)
    }

    fn admit_caller(&self, caller: Caller) -> Result<Admitted, Status> {
        self.count(&caller)?;
        let permit = Arc::clone(&self.calls).try_acquire_owned();
        let busy = |_| {
            errors::status(
                Tag::CallerRateLimited,
                "too many calls are in progress; try again later",
            )
        };
        Ok(Admitted {
            caller,
            _permit: permit.map_err(busy)?,
        })
    }

    fn count(&self, caller: &Caller) -> Result<(), Status> {
        if self.rates.len() >= self.callers {
            self.rates.retain_recent();
            if self.rates.len() >= self.callers {
                return Err(errors::status(
                    Tag::CallerRateLimited,
                    "too many callers; try again later",
                ));
            }
        }
        let late = |_| {
            errors::status(
                Tag::CallerRateLimited,
                format!("`{caller}` calls too often; try again later"),
            )
        };
        self.rates.check_key(caller).map_err(late)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(name: &str) -> Caller {
        format!("countersign://person/{name}").parse().unwrap()
    }

    fn admission(limits: Limits) -> Admission {
        Admission::new(&limits)
    }

    #[test]
    fn one_busy_caller_does_not_stop_another() {
        let admission = admission(Limits {
            calls_per_second: 1,
            burst: 2,
            ..Limits::default()
        });
        for _ in 0..2 {
            admission.admit_caller(caller("alice")).unwrap();
        }
        let status = admission.admit_caller(caller("alice")).unwrap_err();
        assert_eq!(errors::tag_of(&status), Some(Tag::CallerRateLimited));
        admission.admit_caller(caller("bob")).unwrap();
    }

    #[test]
    fn calls_in_progress_are_bounded_and_given_back() {
        let admission = admission(Limits {
            concurrent_calls: 1,
            ..Limits::default()
        });
        let first = admission.admit_caller(caller("alice")).unwrap();
        let status = admission.admit_caller(caller("bob")).unwrap_err();
        assert_eq!(errors::tag_of(&status), Some(Tag::CallerRateLimited));
        drop(first);
        admission.admit_caller(caller("bob")).unwrap();
    }

    #[test]
    fn callers_that_are_counted_are_bounded() {
        let admission = admission(Limits {
            callers: 2,
            calls_per_second: 1,
            burst: 1,
            ..Limits::default()
        });
        admission.admit_caller(caller("alice")).unwrap();
        admission.admit_caller(caller("bob")).unwrap();
        assert!(admission.admit_caller(caller("carol")).is_err());
        assert!(admission.rates.len() <= 2);
    }

    #[test]
    fn a_call_without_certificate_is_unauthenticated() {
        let status = admission(Limits::default()).admit(&Request::new(())).unwrap_err();
        assert_eq!(errors::tag_of(&status), Some(Tag::CallerUnauthenticated));
    }
}
