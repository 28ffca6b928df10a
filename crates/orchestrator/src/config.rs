//! The configuration file: TOML, unknown fields are errors, relative paths start at the file's own folder.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use countersign_proto::tls::Pem;
use serde::Deserialize;

/// Everything that `serve` needs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the public API listens; port 0 takes a free one, and the ready line says which.
    pub listen: SocketAddr,
    /// The SQLite file; made if it is missing.
    pub database: PathBuf,
    /// Where the ready line is written as well, for whoever started this process.
    pub ready_file: Option<PathBuf>,
    /// mTLS of the public API.
    pub tls: Tls,
    /// The signer's first listener.
    pub signer: Signer,
    /// Bounds.
    #[serde(default)]
    pub limits: Limits,
}

/// mTLS of the public API. PEM files.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// Our certificate, also shown to the signer.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The CA that client certificates come from.
    pub ca: PathBuf,
}

/// How the signer is reached.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signer {
    /// `https://host:port`.
    pub address: String,
    /// The DNS name in the signer's certificate.
    pub server_name: String,
    /// The CA of the signer's certificate; that of `tls` if absent.
    pub ca: Option<PathBuf>,
    /// The longest that one call may take.
    #[serde(default = "signer_timeout")]
    pub timeout: countersign_types::Duration,
}

/// Bounds; each has a default.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Calls per second of one caller.
    pub calls_per_second: u32,
    /// Calls of one caller at once before `calls_per_second` counts.
    pub burst: u32,
    /// Callers that are counted; more are refused until one has been quiet.
    pub callers: usize,
    /// Calls in progress.
    pub concurrent_calls: usize,
    /// Connections.
    pub connections: usize,
    /// Open watch streams.
    pub watchers: usize,
    /// The longest that one call may take, streams excepted.
    pub call_timeout: countersign_types::Duration,
    /// Calls to the signer in progress.
    pub workers: usize,
    /// Withdrawals that are not decided yet; more are refused until the signer has caught up.
    pub open_withdrawals: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            calls_per_second: 2_000,
            burst: 4_000,
            callers: 10_000,
            concurrent_calls: 1_024,
            connections: 1_024,
            watchers: 256,
            call_timeout: countersign_types::Duration::from_secs(30),
            workers: 64,
            open_withdrawals: 100_000,
        }
    }
}

fn signer_timeout() -> countersign_types::Duration {
    countersign_types::Duration::from_secs(20)
}

/// A span of `countersign_types` as the standard library has it.
pub fn span(duration: countersign_types::Duration) -> Duration {
    Duration::from_secs(duration.secs().into())
}

/// Why the configuration does not load.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("cannot read `{path}`: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not the TOML that is expected; the message has line and column.
    #[error("`{path}`: {source}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What and where.
        source: toml::de::Error,
    },
    /// A limit of zero would refuse everything.
    #[error("`limits.{0}` must be at least 1")]
    ZeroLimit(&'static str),
}

impl Config {
    /// Reads and checks a file.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let bytes = read(path)?;
        let text = String::from_utf8_lossy(&bytes);
        let mut config: Self = toml::from_str(&text).map_err(|source| ConfigError::Malformed {
            path: path.to_owned(),
            source,
        })?;
        config.limits.verify()?;
        let folder = path.parent().unwrap_or(Path::new("."));
        config.resolve(folder);
        Ok(config)
    }

    fn resolve(&mut self, folder: &Path) {
        let paths = [
            &mut self.database,
            &mut self.tls.certificate,
            &mut self.tls.key,
            &mut self.tls.ca,
        ];
        let optional = [self.ready_file.as_mut(), self.signer.ca.as_mut()];
        for path in paths.into_iter().chain(optional.into_iter().flatten()) {
            *path = folder.join(&*path);
        }
    }

    /// The PEM files of the public API.
    pub fn server_pem(&self) -> Result<Pem, ConfigError> {
        Ok(Pem {
            ca: read(&self.tls.ca)?,
            certificate: read(&self.tls.certificate)?,
            key: read(&self.tls.key)?,
        })
    }

    /// The PEM files of the connection to the signer.
    pub fn signer_pem(&self) -> Result<Pem, ConfigError> {
        let ca = self.signer.ca.as_ref().unwrap_or(&self.tls.ca);
        Ok(Pem {
            ca: read(ca)?,
            ..self.server_pem()?
        })
    }
}

impl Limits {
    fn verify(&self) -> Result<(), ConfigError> {
        let zero = [
            ("calls_per_second", self.calls_per_second == 0),
            ("burst", self.burst == 0),
            ("callers", self.callers == 0),
            ("concurrent_calls", self.concurrent_calls == 0),
            ("connections", self.connections == 0),
            ("watchers", self.watchers == 0),
            ("call_timeout", self.call_timeout.secs() == 0),
            ("workers", self.workers == 0),
            ("open_withdrawals", self.open_withdrawals == 0),
        ];
        match zero.into_iter().find(|(_, is_zero)| *is_zero) {
            Some((name, _)) => Err(ConfigError::ZeroLimit(name)),
            None => Ok(()),
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, ConfigError> {
    std::fs::read(path).map_err(|source| ConfigError::Unreadable {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
listen = "127.0.0.1:0"
database = "orchestrator.db"
[tls]
certificate = "tls/orchestrator.pem"
key = "/abs/orchestrator.key"
ca = "tls/ca.pem"
[signer]
address = "https://127.0.0.1:7001"
server_name = "countersign-signer"
[limits]
workers = 8
"#;

    fn load(text: &str) -> Result<Config, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("orchestrator.toml");
        std::fs::write(&path, text).unwrap();
        let config = Config::read(&path)?;
        assert_eq!(config.database, folder.path().join("orchestrator.db"));
        assert_eq!(config.tls.key, Path::new("/abs/orchestrator.key"));
        Ok(config)
    }

    #[test]
    fn paths_start_at_the_file() {
        let config = load(GOOD).unwrap();
        assert_eq!((config.limits.workers, config.limits.burst), (8, 4_000));
    }

    #[test]
    fn one_mutation_is_refused() {
        let cases = [
            (GOOD.replace("workers = 8", "wrokers = 8"), "wrokers"),
            (GOOD.replace("workers = 8", "workers = 0"), "limits.workers"),
            (
                GOOD.replace("workers = 8", "call_timeout = \"0s\""),
                "limits.call_timeout",
            ),
            (GOOD.replace("workers = 8", "call_timeout = 5"), "line 12"),
            (GOOD.replace("127.0.0.1:0", "localhost"), "listen"),
            (GOOD.replace("ca = \"tls/ca.pem\"", ""), "ca"),
            (format!("extra = 1\n{GOOD}"), "extra"),
        ];
        for (text, expected) in cases {
            let error = load(&text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Config::read(Path::new("/nowhere/orchestrator.toml")).unwrap_err();
        assert!(error.to_string().contains("/nowhere/orchestrator.toml"), "{error}");
        let config = load(GOOD).unwrap();
        assert!(config.server_pem().unwrap_err().to_string().contains("tls/ca.pem"));
    }
}
