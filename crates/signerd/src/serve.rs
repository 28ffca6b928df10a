//! The running process: everything is opened and compared before anything listens, and everything is closed in order.

use std::{convert::Infallible, future::Future, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use countersign_journal::SqlJournal;
use countersign_signer::{Cleared, Clearing, Journal as _, JournalError, KeyBackend, Signer, SignerError, SignerParts};
use tokio::{
    sync::watch,
    task::{JoinError, JoinHandle},
    time,
};

use crate::{
    alarm::Alarmed,
    clearing::Schedule,
    clock::too_late_where_unknown,
    commands::{CommandError, Lock, NotOpened, journal_config, open_journal},
    config::{Config, Listener},
    files::{self, FileError},
    gate::{Audience, Gate},
    genesis::{TrustError, TrustRoot},
    keys::{self, KeysError},
    listener::{self, Incoming, MAX_CONNECTIONS},
    ready::{self, Ready},
    services,
};

/// How long an authorization may be used: over what a full queue in front of a token takes. It is decided anew behind it.
const SIGN_WITHIN_SECS: u32 = 30;
/// A call of an orchestrator, its message included. Signing goes on behind it.
const SIGNING_TIMEOUT: Duration = Duration::from_secs(30);
/// A call of a person: a bundle of 16 MiB takes its time on a slow line.
const PEOPLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Calls of orchestrators at once: twice what one of them drives, and together at most 640 MiB of messages.
const SIGNING_CALLS: u32 = 128;
/// Calls of people at once: few, with large messages.
const PEOPLE_CALLS: u32 = 16;
/// How long calls in progress may take to end when the process stops. What is cut off is signed when it is asked for again.
const STOP_WITHIN: Duration = Duration::from_secs(6);
/// How often the journal is asked whether it goes on.
const WATCH_INTERVAL: Duration = Duration::from_millis(500);

/// Why the process did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The state directory.
    #[error(transparent)]
    State(#[from] CommandError),
    /// The trust root.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// No trust root is pinned.
    #[error("there is no `{}`; `countersign-signer init` pins the trust root", .0.display())]
    NotInitialized(PathBuf),
    /// The keys.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The journal does not open.
    #[error(transparent)]
    Journal(#[from] NotOpened),
    /// The core refuses to open.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// A listener.
    #[error("cannot listen on {address} (`{name}`): {source}")]
    Listen {
        /// Which.
        name: &'static str,
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// Certificate, key or CA.
    #[error("the certificates of `{name}` are not usable: {reason}")]
    Tls {
        /// Which listener.
        name: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// A listener ended though nobody asked it to.
    #[error("`{name}` ended: {reason}")]
    ListenerEnded {
        /// Which.
        name: &'static str,
        /// Why.
        reason: String,
    },
    /// The journal cannot go on; the process ends rather than limp.
    #[error("stopped: {0} (`{tag}`)", tag = .0.tag())]
    Fatal(JournalError),
    /// A task of ours ended.
    #[error("the signer failed inside: {0}")]
    Inside(String),
}

/// A process that listens.
pub struct Process {
    ready: Ready,
    signer: Arc<Signer>,
    journal: Arc<SqlJournal>,
    servers: Vec<ListenerTask>,
    stop: watch::Sender<bool>,
    config: Config,
    _lock: Lock,
}

struct ListenerTask {
    name: &'static str,
    gate: Gate,
    task: JoinHandle<Result<(), tonic::transport::Error>>,
}

impl Process {
    /// Opens trust root, keys, journal and core, holds them against each other, and listens. Nothing is announced yet.
    pub async fn start(config: Config) -> Result<Self, ServeError> {
        files::verify_folder(&config.state_dir)?;
        let lock = Lock::acquire(&config.state_dir)?;
        ready::withdraw(&config.ready_file)?;
        let genesis = config.genesis_file();
        if !genesis.exists() {
            return Err(ServeError::NotInitialized(genesis));
        }
        let root = TrustRoot::read(&genesis, &config)?;
        let backend = open_backend(&config, root.genesis.hash()).await?;
        let (signer, journal) = open_signer(&config, root, backend).await?;
        let (stop, stopping) = watch::channel(false);
        let orchestrators = Gate::new(Audience::Orchestrators, SIGNING_CALLS);
        let people = Gate::new(Audience::People, PEOPLE_CALLS);
        let first = Port::bind("orchestrator_listener", &config.orchestrator_listener, SIGNING_TIMEOUT)?;
        let second = Port::bind("people_listener", &config.people_listener, PEOPLE_TIMEOUT)?;
        let ready = Ready::new(first.address, second.address);
        let signing = services::signing(Arc::clone(&signer), orchestrators.clone());
        let for_people = services::people(Arc::clone(&signer), people.clone());
        let servers = vec![
            first.serve(orchestrators, stopping.clone(), |server| server.add_service(signing)),
            second.serve(people, stopping, |server| server.add_service(for_people)),
        ];
        Ok(Self {
            ready,
            signer,
            journal,
            servers,
            stop,
            config,
            _lock: lock,
        })
    }

    /// Where it listens.
    pub fn ready(&self) -> Ready {
        self.ready
    }

    /// Announces itself and runs until `stop`, or until it cannot go on.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> Result<(), ServeError> {
        self.ready.announce(&self.config.ready_file)?;
        let mut clearing = tokio::spawn(clear(Arc::clone(&self.signer)));
        let ended = tokio::select! {
            () = stop => Ok(()),
            error = watch_journal(&self.journal) => Err(error),
            error = watch_servers(&mut self.servers) => Err(error),
            ended = &mut clearing => Err(clearing_ended(ended)),
        };
        clearing.abort();
        let stopped = self.shut_down(ended.is_ok()).await;
        ended.and(stopped)
    }

    async fn shut_down(self, is_graceful: bool) -> Result<(), ServeError> {
        tracing::info!(is_graceful, "stopping");
        let withdrawn = ready::withdraw(&self.config.ready_file);
        self.stop.send_replace(true);
        if is_graceful {
            let ending = time::timeout(STOP_WITHIN, end_calls(self.servers)).await;
            if ending.is_err() {
                tracing::warn!("calls were cut off; what they authorized is signed when it is asked for again");
            }
        }
        self.journal.close().await;
        tracing::info!("stopped");
        Ok(withdrawn?)
    }
}

/// Every call is finished, those whose callers have gone too.
async fn end_calls(servers: Vec<ListenerTask>) {
    for server in servers {
        match server.task.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(listener = server.name, %error, "a listener did not end well"),
            Err(error) => tracing::warn!(listener = server.name, %error, "a listener did not end well"),
        }
        server.gate.drain().await;
    }
}

async fn open_backend(
    config: &Config,
    deployment: countersign_types::GenesisHash,
) -> Result<Arc<dyn KeyBackend>, ServeError> {
    let backend = config.backend.clone();
    let open = move || {
        keys::verify_deployment(&backend, deployment)?;
        keys::open(&backend)
    };
    let opened = tokio::task::spawn_blocking(open).await;
    Ok(opened.map_err(|error| ServeError::Inside(error.to_string()))??)
}

async fn open_signer(
    config: &Config,
    root: TrustRoot,
    backend: Arc<dyn KeyBackend>,
) -> Result<(Arc<Signer>, Arc<SqlJournal>), ServeError> {
    let TrustRoot {
        genesis,
        bytes,
        log_key,
    } = root;
    let (deployment, environment) = (genesis.hash(), genesis.environment());
    let log_key = Arc::new(log_key);
    let journal = journal_config(config, deployment, Arc::clone(&log_key))?;
    // The journal refuses what it cannot read; whoever holds an authorization against its end must not take that for early.
    let clock = too_late_where_unknown(Arc::clone(&journal.clock));
    let journal = Arc::new(open_journal(config, journal).await?);
    let parts = SignerParts {
        genesis,
        genesis_bytes: bytes,
        journal: Arc::new(Alarmed::new(Arc::clone(&journal))),
        backend,
        notary: log_key,
        clock,
        sign_within: countersign_types::Duration::from_secs(SIGN_WITHIN_SECS),
    };
    let signer = Arc::new(Signer::open(parts).await?);
    let bundle = journal.active_bundle().await.map_err(SignerError::from)?;
    tracing::info!(
        %deployment,
        environment = ?environment,
        bundle_version = bundle.as_ref().map_or(0, |bundle| bundle.version),
        bundle_digest = bundle.map(|bundle| bundle.digest.to_string()),
        backend = config.backend.kind(),
        "opened"
    );
    Ok((signer, journal))
}

/// A bound listener without services.
struct Port {
    name: &'static str,
    address: SocketAddr,
    incoming: Incoming,
    server: tonic::transport::Server,
}

impl Port {
    fn bind(name: &'static str, config: &Listener, timeout: Duration) -> Result<Self, ServeError> {
        let broken = |error: tonic::transport::Error| ServeError::Tls {
            name,
            reason: with_sources(&error),
        };
        let server = listener::server(&config.pem()?, timeout).map_err(broken)?;
        let refused = |source| ServeError::Listen {
            name,
            address: config.listen,
            source,
        };
        let incoming = Incoming::bind(name, config.listen, MAX_CONNECTIONS).map_err(refused)?;
        let address = incoming.address().map_err(refused)?;
        Ok(Self {
            name,
            address,
            incoming,
            server,
        })
    }

    fn serve(
        mut self,
        gate: Gate,
        mut stopping: watch::Receiver<bool>,
        with_service: impl FnOnce(&mut tonic::transport::Server) -> tonic::transport::server::Router,
    ) -> ListenerTask {
        let router = with_service(&mut self.server);
        let signal = async move {
            // An error says that the process has dropped the sender: it is ending too.
            drop(stopping.wait_for(|is_stopping| *is_stopping).await);
        };
        let task = tokio::spawn(router.serve_with_incoming_shutdown(self.incoming, signal));
        ListenerTask {
            name: self.name,
            gate,
            task,
        }
    }
}

fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

/// Returns when the journal cannot go on.
async fn watch_journal(journal: &SqlJournal) -> ServeError {
    loop {
        if let Some(error) = journal.fatal() {
            tracing::error!(tag = %error.tag(), %error, "the journal cannot go on");
            return ServeError::Fatal(error);
        }
        time::sleep(WATCH_INTERVAL).await;
    }
}

/// Returns when a listener ends by itself.
async fn watch_servers(servers: &mut [ListenerTask]) -> ServeError {
    loop {
        if let Some(server) = servers.iter_mut().find(|server| server.task.is_finished()) {
            let reason = match (&mut server.task).await {
                Ok(Ok(())) => "nobody asked it to".to_owned(),
                Ok(Err(error)) => with_sources(&error),
                Err(error) => error.to_string(),
            };
            return ServeError::ListenerEnded {
                name: server.name,
                reason,
            };
        }
        time::sleep(WATCH_INTERVAL).await;
    }
}

/// Without it, a nonce that was authorized and never used would hold up its account.
fn clearing_ended(ended: Result<Infallible, JoinError>) -> ServeError {
    match ended {
        Ok(never) => match never {},
        Err(error) => ServeError::Inside(format!("the task that clears up ended: {error}")),
    }
}

/// Clears up behind what ended before it was signed. Nothing is signed without a call that asks for it.
async fn clear(signer: Arc<Signer>) -> Infallible {
    let mut schedule = Schedule::default();
    let mut cleared = Cleared::default();
    let mut waiting = 0;
    loop {
        let wait = match signer.clear(&mut cleared).await {
            Ok(clearing) => {
                report(&clearing, waiting);
                waiting = clearing.waiting;
                if clearing.left.is_empty() {
                    schedule.succeeded()
                } else {
                    schedule.failed()
                }
            }
            Err(error) => {
                tracing::warn!(tag = %error.tag(), %error, "what ended before it was signed is not cleared yet");
                schedule.failed()
            }
        };
        time::sleep(wait).await;
    }
}

fn report(clearing: &Clearing, waiting_before: u64) {
    if clearing.cleared > 0 {
        tracing::info!(
            attempts = clearing.cleared,
            "ended before they were signed, and gave up what they excluded"
        );
    }
    if clearing.waiting != waiting_before {
        tracing::info!(
            attempts = clearing.waiting,
            "authorized earlier and not signed: not asked for since"
        );
    }
    for (withdrawal, tag) in &clearing.left {
        tracing::warn!(%withdrawal, %tag, "ended before it was signed and not cleared yet");
    }
}
