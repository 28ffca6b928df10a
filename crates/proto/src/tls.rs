//! mTLS from PEM bytes. Reading the files is the caller's business; every connection of ours is mutual, without exception.

use std::{fmt, time::Duration};

use tonic::transport::{Certificate, ClientTlsConfig, Identity, ServerTlsConfig};

/// How long a handshake may take: a stranger holds a connection no longer than this.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// One end of mTLS: our certificate chain and key, and the CA that the other end must come from. All PEM.
#[derive(Clone)]
pub struct Pem {
    /// The CA of the other end.
    pub ca: Vec<u8>,
    /// Our certificate, then its intermediates.
    pub certificate: Vec<u8>,
    /// Our private key. Never printed.
    pub key: Vec<u8>,
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pem").finish_non_exhaustive()
    }
}

impl Pem {
    /// A server that refuses clients without a certificate of the CA.
    pub fn server(&self) -> ServerTlsConfig {
        ServerTlsConfig::new()
            .identity(self.identity())
            .client_ca_root(Certificate::from_pem(&self.ca))
            .client_auth_optional(false)
            .timeout(HANDSHAKE_TIMEOUT)
    }

    /// A client that trusts this CA alone and expects the server to be `server_name`.
    pub fn client(&self, server_name: &str) -> ClientTlsConfig {
        ClientTlsConfig::new()
            .identity(self.identity())
            .ca_certificate(Certificate::from_pem(&self.ca))
            .domain_name(server_name)
    }

    fn identity(&self) -> Identity {
        Identity::from_pem(&self.certificate, &self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_never_printed() {
        let pem = Pem {
            ca: b"ca".to_vec(),
            certificate: b"cert".to_vec(),
            key: b"SECRET".to_vec(),
        };
        assert_eq!(format!("{pem:?}"), "Pem { .. }");
    }
}
