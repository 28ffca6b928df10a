//! The two gRPC services: messages to values, a call of the core, values to messages.

mod people;
mod signing;
mod wire;

use std::{future::Future, sync::Arc};

use countersign_proto::{
    errors,
    limits::{MAX_PEOPLE_REQUEST_BYTES, MAX_RESPONSE_BYTES, MAX_SIGNING_REQUEST_BYTES},
    signer::v1::{people_server::PeopleServer, signing_server::SigningServer},
};
use countersign_signer::{Signer, SignerError};
use countersign_types::{Class, Tag};
use tonic::{Status, service::interceptor::InterceptedService};

use crate::gate::{Gate, Place};

pub use people::PeopleService;
pub use signing::SigningService;

/// The service of the first listener.
pub type GatedSigning = InterceptedService<SigningServer<SigningService>, Gate>;
/// The service of the second listener.
pub type GatedPeople = InterceptedService<PeopleServer<PeopleService>, Gate>;

/// The first listener's service behind its gate.
pub fn signing(signer: Arc<Signer>, gate: Gate) -> GatedSigning {
    let server = SigningServer::new(SigningService::new(signer))
        .max_decoding_message_size(MAX_SIGNING_REQUEST_BYTES)
        .max_encoding_message_size(MAX_RESPONSE_BYTES);
    InterceptedService::new(server, gate)
}

/// The second listener's service behind its gate.
pub fn people(signer: Arc<Signer>, gate: Gate) -> GatedPeople {
    let server = PeopleServer::new(PeopleService::new(signer))
        .max_decoding_message_size(MAX_PEOPLE_REQUEST_BYTES)
        .max_encoding_message_size(MAX_RESPONSE_BYTES);
    InterceptedService::new(server, gate)
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
