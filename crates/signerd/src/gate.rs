//! Who may call, and how many calls run at once: decided from the headers, before the message is read.

use std::sync::Arc;

use countersign_proto::{errors, identity::Caller};
use countersign_types::Tag;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::{Request, Status, service::Interceptor};

/// Whom a listener is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// The first listener.
    Orchestrators,
    /// The second one: people, and auditors who only read.
    People,
}

impl Audience {
    /// Whether the caller may use the listener at all.
    pub fn admits(self, caller: &Caller) -> bool {
        match (self, caller) {
            (Self::Orchestrators, Caller::Orchestrator(_))
            | (Self::People, Caller::Person(_) | Caller::Auditor(_) | Caller::Attester(_)) => true,
            // Observations come with the decisions that need them, through an orchestrator.
            (_, Caller::Observer(_))
            | (
                Self::Orchestrators,
                Caller::Pipeline { .. } | Caller::Person(_) | Caller::Auditor(_) | Caller::Attester(_),
            )
            | (Self::People, Caller::Orchestrator(_) | Caller::Pipeline { .. }) => false,
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Self::Orchestrators => "orchestrators",
            Self::People => "people, attesters and auditors",
        }
    }
}

/// The place of one call among those that run; free again when every clone is dropped.
#[derive(Debug, Clone)]
pub struct Place(#[expect(dead_code, reason = "held, never read")] Arc<OwnedSemaphorePermit>);

/// Stands before a service.
#[derive(Debug, Clone)]
pub struct Gate {
    audience: Audience,
    places: Arc<Semaphore>,
    capacity: u32,
}

impl Gate {
    /// Lets `capacity` calls of the audience run at once, and refuses more.
    pub fn new(audience: Audience, capacity: u32) -> Self {
        let places = usize::try_from(capacity).unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            audience,
            places: Arc::new(Semaphore::new(places)),
            capacity,
        }
    }

    pub(crate) fn admit(&self, caller: &Caller) -> Result<Place, Status> {
        if !self.audience.admits(caller) {
            tracing::warn!(%caller, audience = ?self.audience, "a caller of another role was refused");
            let expected = self.audience.expected();
            let message = format!("`{caller}` may not call here: this listener is for {expected}");
            return Err(errors::status(Tag::CallerNotAllowed, message));
        }
        match Arc::clone(&self.places).try_acquire_owned() {
            Ok(permit) => Ok(Place(Arc::new(permit))),
            Err(_) => {
                let message = format!("{} calls are in progress; try again later", self.capacity);
                Err(errors::status(Tag::CallerRateLimited, message))
            }
        }
    }

    /// Waits until no call runs. No new one is let in then.
    pub async fn drain(&self) {
        // Closed already: somebody else has waited.
        if let Ok(all) = self.places.acquire_many(self.capacity).await {
            self.places.close();
            drop(all);
        }
    }
}

impl Interceptor for Gate {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let caller = Caller::of(&request)?;
        let place = self.admit(&caller)?;
        request.extensions_mut().insert(place);
        request.extensions_mut().insert(caller);
        Ok(request)
    }
}

/// An admitted call.
#[derive(Debug)]
pub struct Admitted<T> {
    /// Who calls.
    pub caller: Caller,
    /// Held until the work is done.
    pub place: Place,
    /// The message.
    pub message: T,
}

impl<T> Admitted<T> {
    /// Of a request that came through a [`Gate`]; one that did not is refused.
    pub fn of(request: Request<T>) -> Result<Self, Status> {
        let (_, extensions, message) = request.into_parts();
        match (extensions.get::<Caller>(), extensions.get::<Place>()) {
            (Some(caller), Some(place)) => Ok(Self {
                caller: caller.clone(),
                place: place.clone(),
                message,
            }),
            (None, _) | (_, None) => Err(errors::status(
                Tag::CallerUnauthenticated,
                "the call came past the gate",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use countersign_proto::errors::tag_of;

    use super::*;

    #[test]
    fn each_listener_has_its_audience() {
        let table = [
            ("countersign://orchestrator/main", true, false),
            ("countersign://pipeline/main/payout-service", false, false),
            ("countersign://person/alice", false, true),
            ("countersign://auditor/export-1", false, true),
            ("countersign://observer/watch-1", false, false),
            ("countersign://attester/desk", false, true),
        ];
        for (uri, orchestrators, people) in table {
            let caller: Caller = uri.parse().unwrap();
            assert_eq!(Audience::Orchestrators.admits(&caller), orchestrators, "{uri}");
            assert_eq!(Audience::People.admits(&caller), people, "{uri}");
        }
    }

    #[test]
    fn a_call_without_certificate_or_past_the_gate_is_refused() {
        let refused = Gate::new(Audience::People, 1).call(Request::new(())).unwrap_err();
        assert_eq!(tag_of(&refused), Some(Tag::CallerUnauthenticated));
        let refused = Admitted::of(Request::new(())).unwrap_err();
        assert_eq!(tag_of(&refused), Some(Tag::CallerUnauthenticated));
    }

    #[test]
    fn so_many_calls_run_at_once() {
        let gate = Gate::new(Audience::People, 2);
        let alice: Caller = "countersign://person/alice".parse().unwrap();
        let (first, _second) = (gate.admit(&alice).unwrap(), gate.admit(&alice).unwrap());
        let refused = gate.clone().admit(&alice).unwrap_err();
        assert_eq!(tag_of(&refused), Some(Tag::CallerRateLimited));
        drop(first);
        gate.admit(&alice).unwrap();
    }

    #[tokio::test]
    async fn draining_waits_for_the_last_place() {
        let gate = Gate::new(Audience::People, 2);
        let place = gate.admit(&"countersign://auditor/export-1".parse().unwrap()).unwrap();
        let copy = place.clone();
        drop(place);
        let (waiting, other) = (gate.clone(), gate.clone());
        let drained = tokio::spawn(async move { waiting.drain().await });
        tokio::task::yield_now().await;
        assert!(!drained.is_finished());
        drop(copy);
        drained.await.unwrap();
        other.drain().await;
        assert!(gate.places.try_acquire().is_err(), "nothing is let in behind a drain");
    }
}
