//! Puts the parts together: store, driver, API.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use countersign_proto::{
    limits::MAX_REQUEST_BYTES,
    tagged::Tagged,
    v1::{approvals_server::ApprovalsServer, withdrawals_server::WithdrawalsServer},
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::timeout,
};
use tonic::transport::{Channel, Endpoint, Server};

use crate::{
    api::Api,
    config::{self, Config, ConfigError},
    driver::Driver,
    listener,
    signer::Signer,
    store::{Store, StoreError},
};

/// How long calls in progress may take once the process is told to stop.
const DRAIN: Duration = Duration::from_secs(10);
/// A connection is asked for a sign of life this often.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// How long a new connection to the signer may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Streams of one connection.
const STREAMS: u32 = 256;

/// Why the service does not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A file of the configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The address cannot be listened on.
    #[error("cannot listen on `{address}`: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A certificate, a key or an address is not of its form, or the listener failed.
    #[error("transport: {0}")]
    Transport(#[from] tonic::transport::Error),
    /// A task died.
    #[error("a task died: {0}")]
    Died(#[from] tokio::task::JoinError),
}

/// A running orchestrator.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    store: Arc<Store>,
    shutdown: watch::Sender<bool>,
    server: JoinHandle<Result<(), tonic::transport::Error>>,
    driver: JoinHandle<()>,
}

fn signer_channel(config: &Config) -> Result<Channel, ServeError> {
    let endpoint = Endpoint::from_shared(config.signer.address.clone())?
        .tls_config(config.signer_pem()?.client(&config.signer.server_name))?
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEPALIVE)
        .tcp_nodelay(true);
    Ok(endpoint.connect_lazy())
}

/// Starts; the address answers when this returns.
pub async fn start(config: &Config) -> Result<Running, ServeError> {
    let signer = Signer::new(signer_channel(config)?, config::span(config.signer.timeout));
    let tls = config.server_pem()?.server();
    let (wakes, woken) = mpsc::unbounded_channel();
    let store = Arc::new(Store::open(&config.database, wakes).await?);
    let (shutdown, stopping) = watch::channel(false);
    let (depth, told) = watch::channel(0);
    let limits = &config.limits;

    let mut driver = Driver::new(Arc::clone(&store), signer.clone(), limits.workers, depth);
    driver.resume().await?;
    let api = Api::new(Arc::clone(&store), signer, limits, told, stopping.clone());
    let withdrawals = WithdrawalsServer::new(api.clone()).max_decoding_message_size(MAX_REQUEST_BYTES);
    let approvals = ApprovalsServer::new(api).max_decoding_message_size(MAX_REQUEST_BYTES);
    let router = Server::builder()
        .tls_config(tls)?
        .timeout(config::span(limits.call_timeout))
        .max_concurrent_streams(STREAMS)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .add_service(Tagged(withdrawals))
        .add_service(Tagged(approvals));

    let listen = config.listen;
    let bound = listener::bind(listen, limits.connections).await;
    let (address, incoming) = bound.map_err(|source| ServeError::Listen {
        address: listen,
        source,
    })?;
    let mut stop = stopping.clone();
    let stopped = async move { drop(stop.wait_for(|stop| *stop).await) };
    Ok(Running {
        address,
        store,
        shutdown,
        server: tokio::spawn(router.serve_with_incoming_shutdown(incoming, stopped)),
        driver: tokio::spawn(driver.run(woken, stopping)),
    })
}

impl Running {
    /// Runs until a part fails or `signal` comes, then drains.
    pub async fn run(mut self, signal: impl Future<Output = ()>) -> Result<(), ServeError> {
        tokio::select! {
            () = signal => self.stop().await,
            ended = &mut self.server => Ok(ended??),
            ended = &mut self.driver => Ok(ended?),
        }
    }

    /// Takes no more calls, ends the streams, waits ten seconds at most for calls in progress.
    pub async fn stop(self) -> Result<(), ServeError> {
        self.shutdown.send_replace(true);
        let server = self.server.abort_handle();
        match timeout(DRAIN, self.server).await {
            Ok(ended) => ended??,
            Err(_) => {
                tracing::warn!("calls in progress were cut off");
                server.abort();
            }
        }
        self.driver.await?;
        let (commits, writes) = self.store.commits_and_writes();
        tracing::info!(commits, writes, "stopped");
        Ok(())
    }
}
