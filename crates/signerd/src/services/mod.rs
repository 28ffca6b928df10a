//! The two gRPC services: messages to values, a call of the core, values to messages.

mod people;
mod signing;
mod wire;

use std::{future::Future, sync::Arc};

use countersign_proto::{
    errors,
    limits::{MAX_PEOPLE_REQUEST_BYTES, MAX_RECEIPT_BYTES, MAX_RESPONSE_BYTES, MAX_SIGNING_REQUEST_BYTES},
    signer::v1::{people_server::PeopleServer, signing_server::SigningServer},
    tagged::Tagged,
};
use countersign_signer::{Signer, SignerError};
use countersign_types::{Class, Tag};
use tonic::{Status, service::interceptor::InterceptedService};

use crate::gate::{Gate, Place};

pub use people::PeopleService;
pub use signing::SigningService;

// What the core writes is delivered.
const _: () = assert!(MAX_RECEIPT_BYTES >= countersign_decision::MAX_RECEIPT_BYTES);

/// The service of the first listener.
pub type GatedSigning = InterceptedService<Tagged<SigningServer<SigningService>>, Gate>;
/// The service of the second listener.
pub type GatedPeople = InterceptedService<Tagged<PeopleServer<PeopleService>>, Gate>;

/// The first listener's service behind its gate.
pub fn signing(signer: Arc<Signer>, gate: Gate) -> GatedSigning {
    let server = SigningServer::new(SigningService::new(signer))
        .max_decoding_message_size(MAX_SIGNING_REQUEST_BYTES)
        .max_encoding_message_size(MAX_RESPONSE_BYTES);
    InterceptedService::new(Tagged(server), gate)
}

/// The second listener's service behind its gate.
pub fn people(signer: Arc<Signer>, gate: Gate) -> GatedPeople {
    let server = PeopleServer::new(PeopleService::new(signer))
        .max_decoding_message_size(MAX_PEOPLE_REQUEST_BYTES)
        .max_encoding_message_size(MAX_RESPONSE_BYTES);
    InterceptedService::new(Tagged(server), gate)
}

/// Runs a call of the core to its end, in a task of its own: a caller who hangs up, or whose call times out, does not
/// leave an authorization without its signature. The place among the running calls is held until then.
async fn run<T, F>(place: Place, call: &'static str, work: F) -> Result<T, Status>
where
    T: Send + 'static,
    F: Future<Output = Result<T, SignerError>> + Send + 'static,
{
    let task = tokio::spawn(async move {
        let done = work.await;
        drop(place);
        done
    });
    match task.await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(refusal(call, &error)),
        // A bug. It is contained in this call, whose outcome is not known to the caller: it asks again.
        Err(panicked) => {
            tracing::error!(call, error = %panicked, "a call ended in a panic");
            Err(errors::status(
                Tag::SignerUnavailable,
                "the signer failed inside this call",
            ))
        }
    }
}

fn refusal(call: &'static str, error: &SignerError) -> Status {
    let tag = error.tag();
    match tag.class() {
        Class::Failed => tracing::error!(call, %tag, %error, "a call failed"),
        Class::Denied
        | Class::Pending
        | Class::Malformed
        | Class::Conflict
        | Class::Unauthorized
        | Class::NotFound
        | Class::Exhausted => tracing::info!(call, %tag, %error, "a call was refused"),
    }
    errors::status(tag, error.to_string())
}

#[cfg(test)]
mod tests {
    use countersign_proto::errors::tag_of;
    use tokio::sync::oneshot;

    use super::*;
    use crate::gate::Audience;

    fn place() -> (Gate, Place) {
        let gate = Gate::new(Audience::People, 1);
        let place = gate.admit(&"countersign://person/alice".parse().unwrap()).unwrap();
        (gate, place)
    }

    /// Dropping the call is what tonic does when the caller hangs up or its time is over.
    #[tokio::test]
    async fn work_goes_on_when_its_caller_has_gone_and_keeps_its_place() {
        let (gate, place) = place();
        let (go, going) = oneshot::channel::<()>();
        let (done, was_done) = oneshot::channel();
        let call = tokio::spawn(run(place, "test", async move {
            going.await.unwrap();
            done.send(()).unwrap();
            Ok(())
        }));
        tokio::task::yield_now().await;
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        let alice = "countersign://person/alice".parse().unwrap();
        assert_eq!(tag_of(&gate.admit(&alice).unwrap_err()), Some(Tag::CallerRateLimited));
        go.send(()).unwrap();
        was_done.await.unwrap();
        gate.drain().await;
    }

    #[tokio::test]
    async fn a_panic_is_a_failure_of_its_call_alone() {
        let (gate, place) = place();
        let refused = run::<(), _>(place, "test", async { panic!("a bug") })
            .await
            .unwrap_err();
        assert_eq!(tag_of(&refused), Some(Tag::SignerUnavailable));
        gate.drain().await;
    }

    #[tokio::test]
    async fn a_refusal_of_the_core_keeps_its_tag() {
        let (_gate, place) = place();
        let refused = run::<(), _>(place, "test", async { Err(SignerError::NoBundle) })
            .await
            .unwrap_err();
        assert_eq!(tag_of(&refused), Some(Tag::BundleNoneActive));
    }
}
