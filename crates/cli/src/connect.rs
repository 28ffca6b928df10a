//! mTLS connections to the two servers of an environment, at the addresses that their ready files name.

use std::{net::SocketAddr, time::Duration};

use countersign_proto::{
    limits::MAX_RESPONSE_BYTES,
    signer::v1::people_client::PeopleClient,
    v1::{approvals_client::ApprovalsClient, withdrawals_client::WithdrawalsClient},
};
use serde::Deserialize;
use tonic::transport::{Channel, Endpoint};

use crate::{
    environment::Layout,
    failure::{Failure, Result},
    files,
};

const CONNECT_WITHIN: Duration = Duration::from_secs(10);
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) struct OrchestratorReady {
    pub(crate) listen: SocketAddr,
}

/// A connection with the certificate of `name`.
async fn channel(layout: &Layout, server: &str, address: SocketAddr, name: &str) -> Result<Channel> {
    let failed = |error: tonic::transport::Error| {
        let cause = std::error::Error::source(&error)
            .map(ToString::to_string)
            .unwrap_or_default();
        Failure::failed(format!(
            "cannot reach the {server} at {address} as `{name}`: {error} {cause}"
        ))
        .advise("is it running? `countersign dev --dir …` starts both")
    };
    let pem = layout.pem(name)?;
    let endpoint = Endpoint::from_shared(format!("https://{address}")).map_err(failed)?;
    let endpoint = endpoint.tls_config(pem.client(SERVER_NAME)).map_err(failed)?;
    let endpoint = endpoint.connect_timeout(CONNECT_WITHIN).timeout(ANSWER_WITHIN);
    endpoint.connect().await.map_err(failed)
}

fn not_running(failure: Failure) -> Failure {
    failure.advise("the environment is not running: `countersign dev --dir …` starts it")
}

async fn orchestrator(layout: &Layout, name: &str) -> Result<Channel> {
    let ready: OrchestratorReady = files::read_json(&layout.orchestrator_ready()).map_err(not_running)?;
    channel(layout, "orchestrator", ready.listen, name).await
}

/// The public API, for pipelines.
pub(crate) async fn withdrawals(layout: &Layout, name: &str) -> Result<WithdrawalsClient<Channel>> {
    let channel = orchestrator(layout, name).await?;
    Ok(WithdrawalsClient::new(channel).max_decoding_message_size(MAX_RESPONSE_BYTES))
}

/// The public API, for approvers.
pub(crate) async fn approvals(layout: &Layout, name: &str) -> Result<ApprovalsClient<Channel>> {
    let channel = orchestrator(layout, name).await?;
    Ok(ApprovalsClient::new(channel).max_decoding_message_size(MAX_RESPONSE_BYTES))
}

/// The signer's second listener, which no orchestrator stands before.
pub(crate) async fn people(layout: &Layout, name: &str) -> Result<PeopleClient<Channel>> {
    let ready: SignerReady = files::read_json(&layout.signer_ready()).map_err(not_running)?;
    let channel = channel(layout, "signer", ready.people_listener, name).await?;
    Ok(PeopleClient::new(channel).max_decoding_message_size(MAX_RESPONSE_BYTES))
}
