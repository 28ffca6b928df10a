//! A signer in a temporary folder: real SQLite, the encrypted development keystore, mutual TLS, in this process.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "shared by several test programs, none of which uses all of it"
)]

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use countersign_approval::Body;
use countersign_backend_soft::{Cost, Passphrase, SoftBackend};
use countersign_decision::testing::{LOG_SEED, WALLET_KEY, World, sealed};
use countersign_proto::{
    limits::MAX_RESPONSE_BYTES,
    signer::v1::{people_client::PeopleClient, signing_client::SigningClient},
    tls::Pem,
};
use countersign_signerd::{
    commands,
    config::Config,
    serve::{Process, ServeError},
};
use countersign_types::{Algorithm, Timestamp};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use tokio::{sync::oneshot, task::JoinHandle};
use tonic::transport::{Channel, Endpoint};

/// A certificate authority.
pub struct Ca {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            pem,
            issuer: Issuer::new(params, key),
        }
    }

    fn issue(&self, names: Vec<SanType>) -> (String, String) {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names;
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    /// A client with these URI names, that trusts `server`'s CA.
    pub fn client(&self, uris: &[&str], server: &Self) -> Pem {
        let names = uris
            .iter()
            .map(|uri| SanType::URI((*uri).try_into().unwrap()))
            .collect();
        let (certificate, key) = self.issue(names);
        Pem {
            ca: server.pem.clone().into_bytes(),
            certificate: certificate.into_bytes(),
            key: key.into_bytes(),
        }
    }
}

/// Everything a signer process needs, and the world whose statements it accepts.
pub struct Site {
    pub folder: tempfile::TempDir,
    pub ca: Ca,
    pub world: World,
}

pub fn write(path: &Path, bytes: impl AsRef<[u8]>, mode: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn listener(name: &str) -> String {
    format!(
        "[{name}]\nlisten = \"127.0.0.1:0\"\ncertificate = \"signer.pem\"\nkey = \"signer.key\"\nclient_ca = \"ca.pem\"\n"
    )
}

impl Site {
    /// Everything that `serve` needs but the journal.
    pub fn new() -> Self {
        let site = Self {
            folder: tempfile::tempdir().unwrap(),
            ca: Ca::new(),
            world: World::new(),
        };
        let (certificate, key) = site.ca.issue(vec![SanType::DnsName("localhost".try_into().unwrap())]);
        write(&site.path("signer.pem"), certificate, 0o644);
        write(&site.path("signer.key"), key, 0o600);
        write(&site.path("ca.pem"), &site.ca.pem, 0o644);
        write(&site.path("passphrase"), "correct horse\n", 0o600);
        write(&site.path("genesis.json"), &site.world.genesis_bytes, 0o644);
        write(&site.path("state/log.key"), hex::encode(LOG_SEED), 0o600);
        let passphrase = Passphrase::new("correct horse".to_owned());
        let mut keystore = SoftBackend::create(site.path("keystore.json"), &passphrase, Cost::FOR_TESTS).unwrap();
        let wallet = keystore.generate(Algorithm::Secp256k1).unwrap().to_string();
        let backend = "kind = \"insecure-dev\"\nkeystore = \"keystore.json\"\npassphrase_file = \"passphrase\"";
        let config = format!(
            "state_dir = \"state\"\nready_file = \"ready.json\"\n[backend]\n{backend}\nkeys = [\"{wallet}\"]\n{}{}",
            listener("orchestrator_listener"),
            listener("people_listener"),
        );
        write(&site.path("signer.toml"), config, 0o644);
        site.with_wallet(&wallet)
    }

    /// The world's bundle with the key that the keystore made, and statements of today.
    fn with_wallet(mut self, wallet: &str) -> Self {
        let mut files = self.world.files.clone();
        let wallets = String::from_utf8(files["wallets.yaml"].clone()).unwrap();
        assert!(wallets.contains(WALLET_KEY));
        files.insert(
            "wallets.yaml".to_owned(),
            wallets.replace(WALLET_KEY, wallet).into_bytes(),
        );
        self.world.files = sealed(1, None, files);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        self.world.issued_at = Timestamp::from_unix_millis(i64::try_from(now.as_millis()).unwrap() - 60_000);
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn config(&self) -> Config {
        Config::read(&self.path("signer.toml")).unwrap()
    }

    /// Moves the journal into a PostgreSQL database.
    pub fn share(&self, url: &str) {
        write(&self.path("journal.url"), url, 0o600);
        let config = fs::read_to_string(self.path("signer.toml")).unwrap();
        let config = format!("{config}[journal]\npostgres_url_file = \"journal.url\"\n");
        write(&self.path("signer.toml"), config, 0o644);
    }

    /// A folder for another signer of the same deployment, with everything that an operator copies.
    pub fn copy(&self) -> tempfile::TempDir {
        let other = tempfile::tempdir().unwrap();
        for (name, mode) in [
            ("signer.toml", 0o644),
            ("signer.pem", 0o644),
            ("signer.key", 0o600),
            ("ca.pem", 0o644),
            ("passphrase", 0o600),
            ("keystore.json", 0o600),
            ("genesis.json", 0o644),
            ("journal.url", 0o600),
            ("state/log.key", 0o600),
            ("state/anchor", 0o600),
        ] {
            write(&other.path().join(name), fs::read(self.path(name)).unwrap(), mode);
        }
        other
    }

    pub async fn init(&self) {
        commands::init(&self.config(), &self.path("genesis.json"))
            .await
            .unwrap();
    }

    /// With a journal, running.
    pub async fn running() -> (Self, Running) {
        let site = Self::new();
        site.init().await;
        let running = Running::start(&site).await;
        (site, running)
    }

    /// A client certificate of our CA.
    pub fn client(&self, uri: &str) -> Pem {
        self.ca.client(&[uri], &self.ca)
    }

    /// A statement of this world in the journal's first epoch.
    pub fn sign(&self, signer: &str, body: Body) -> Vec<u8> {
        let mut header = self.world.header();
        header.epoch = countersign_journal::FIRST_EPOCH;
        self.world.sign_with(signer, header, body).to_bytes()
    }
}

/// A running process.
pub struct Running {
    pub orchestrators: String,
    pub people: String,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), ServeError>>,
}

impl Running {
    pub async fn start(site: &Site) -> Self {
        Self::start_in(site.folder.path()).await
    }

    /// From the configuration `signer.toml` of a folder.
    pub async fn start_in(folder: &Path) -> Self {
        let config = Config::read(&folder.join("signer.toml")).unwrap();
        let process = Process::start(config).await.unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let ready = serde_json::to_value(process.ready()).unwrap();
        let address = |name: &str| format!("https://{}", ready[name].as_str().unwrap());
        let task = tokio::spawn(process.run(async move { drop(stopped.await) }));
        let ready_file = folder.join("ready.json");
        while !ready_file.exists() {
            assert!(!task.is_finished());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let written: serde_json::Value = serde_json::from_slice(&fs::read(ready_file).unwrap()).unwrap();
        assert_eq!(written, ready);
        Self {
            orchestrators: address("orchestrator_listener"),
            people: address("people_listener"),
            stop,
            task,
        }
    }

    pub async fn stop(self) -> Result<(), ServeError> {
        drop(self.stop);
        self.task.await.unwrap()
    }

    /// When it ends by itself.
    pub async fn end(self) -> Result<(), ServeError> {
        let ended = self.task.await.unwrap();
        drop(self.stop);
        ended
    }

    pub fn signing(&self, pem: &Pem) -> SigningClient<Channel> {
        SigningClient::new(connect(&self.orchestrators, pem)).max_decoding_message_size(MAX_RESPONSE_BYTES)
    }

    pub fn people(&self, pem: &Pem) -> PeopleClient<Channel> {
        PeopleClient::new(connect(&self.people, pem)).max_decoding_message_size(MAX_RESPONSE_BYTES)
    }
}

pub fn connect(address: &str, pem: &Pem) -> Channel {
    Endpoint::from_shared(address.to_owned())
        .unwrap()
        .tls_config(pem.client("localhost"))
        .unwrap()
        .connect_lazy()
}

/// The files of a bundle as messages.
pub fn wire_files(files: &BTreeMap<String, Vec<u8>>) -> Vec<countersign_proto::signer::v1::BundleFile> {
    let file = |(path, data): (&String, &Vec<u8>)| countersign_proto::signer::v1::BundleFile {
        path: path.clone(),
        data: data.clone(),
    };
    files.iter().map(file).collect()
}
