//! mTLS connections to the two servers of an environment, at the addresses that their ready files name.

use std::{net::SocketAddr, time::Duration};

use countersign_client::{Client, Endpoint, PeopleClient};
use serde::{Deserialize, Serialize};

use crate::{
    environment::Layout,
    failure::{Failure, Result},
    files,
};

const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// What both servers' certificates are for.
const SERVER_NAME: &str = "localhost";

/// `run/signer.json`; fields that it has besides are not ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) struct SignerReady {
    pub(crate) orchestrator_listener: SocketAddr,
    pub(crate) people_listener: SocketAddr,
}

/// `run/orchestrator.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OrchestratorReady {
    pub(crate) listen: SocketAddr,
}

/// A server, and the certificate of `name` for it.
fn endpoint(layout: &Layout, address: SocketAddr, name: &str) -> Endpoint {
    Endpoint {
        address: format!("https://{address}"),
        server_name: SERVER_NAME.to_owned(),
        ca: layout.ca(),
        certificate: layout.certificate(name),
        key: layout.certificate_key(name),
        timeout: ANSWER_WITHIN,
    }
}

fn not_running(failure: Failure) -> Failure {
    failure.advise(
        "it does not run, or its ready file was not copied here (docs/runbook.md); in a development environment `countersign dev --dir …` starts it",
    )
}

/// The public API of the orchestrator.
pub(crate) async fn orchestrator(layout: &Layout, name: &str) -> Result<Client> {
    let ready: OrchestratorReady = files::read_json(&layout.orchestrator_ready()).map_err(not_running)?;
    let connected = Client::connect(&endpoint(layout, ready.listen, name)).await;
    connected.map_err(|error| Failure::answered("orchestrator", &error))
}

/// The signer's second listener, which no orchestrator stands before.
pub(crate) async fn people(layout: &Layout, name: &str) -> Result<PeopleClient> {
    let ready: SignerReady = files::read_json(&layout.signer_ready()).map_err(not_running)?;
    let connected = PeopleClient::connect(&endpoint(layout, ready.people_listener, name)).await;
    connected.map_err(|error| Failure::answered("signer", &error))
}
