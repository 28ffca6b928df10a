//! Where a server is and who we are to it.

use std::{error::Error, fmt::Write as _, path::Path, path::PathBuf, time::Duration};

use countersign_proto::tls::Pem;
use tonic::transport::{Channel, Endpoint as Transport};

use crate::ClientError;

/// How long a new connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection is asked for a sign of life this often.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// A server and our certificate for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// `https://host:port`.
    pub address: String,
    /// The DNS name in the server's certificate.
    pub server_name: String,
    /// The CA of the server's certificate (PEM file).
    pub ca: PathBuf,
    /// Our certificate (PEM file).
    pub certificate: PathBuf,
    /// Its private key (PEM file).
    pub key: PathBuf,
    /// The longest that one call may take, repetitions included; streams excepted.
    pub timeout: Duration,
}

fn read(path: &Path) -> Result<Vec<u8>, ClientError> {
    std::fs::read(path).map_err(|source| ClientError::Unreadable {
        path: path.to_owned(),
        source,
    })
}

impl Endpoint {
    pub(crate) async fn connect(&self) -> Result<Channel, ClientError> {
        let pem = Pem {
            ca: read(&self.ca)?,
            certificate: read(&self.certificate)?,
            key: read(&self.key)?,
        };
        self.connect_with(&pem).await.map_err(|error| ClientError::Connect {
            address: self.address.clone(),
            reason: causes(&error),
        })
    }

    async fn connect_with(&self, pem: &Pem) -> Result<Channel, tonic::transport::Error> {
        Transport::from_shared(self.address.clone())?
            .tls_config(pem.client(&self.server_name))?
            .connect_timeout(CONNECT_TIMEOUT.min(self.timeout))
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_while_idle(true)
            .tcp_nodelay(true)
            .connect()
            .await
    }
}

/// "transport error" alone helps nobody: the certificate or the address is named further down.
fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        // Writing to a string does not fail.
        write!(text, ": {cause}").ok();
        next = cause.source();
    }
    text
}
