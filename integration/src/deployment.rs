//! One deployment: the folder that `countersign init` makes, its processes, and connections to them.

use std::{
    env,
    ffi::OsStr,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use countersign_approval::{Ed25519Signer, Genesis};
use countersign_client::{Client, Endpoint, PeopleClient};
use countersign_proto::{limits::MAX_RESPONSE_BYTES, signer::v1::signing_client::SigningClient, tls::Pem};
use serde_json::Value;
use tempfile::TempDir;
use tonic::transport::{Channel, ClientTlsConfig};

use crate::{Binaries, Person, Process, Started, service_key};

/// Names the PKCS#11 module; without it the usual places are searched.
const MODULE_VARIABLE: &str = "COUNTERSIGN_PKCS11_MODULE";
const MODULE: &str = "softhsm/libsofthsm2.so";
/// The name in both servers' certificates.
const SERVER_NAME: &str = "localhost";
/// A call ends within this, on a machine that does much else.
const ANSWER_WITHIN: Duration = Duration::from_secs(120);

/// Where the wallet keys are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// Inside a SoftHSM token.
    Pkcs11,
    /// In the encrypted keystore for development.
    InsecureDev,
}

impl Backend {
    /// SoftHSM where it is; says so where it is not. A module that is named and missing is an error, never a fallback.
    #[expect(clippy::print_stderr, reason = "a test that tests less must say so")]
    pub fn of_this_machine() -> Result<Self> {
        if let Some(named) = env::var_os(MODULE_VARIABLE).filter(|named| !named.is_empty()) {
            if Path::new(&named).is_file() {
                return Ok(Self::Pkcs11);
            }
            bail!("{MODULE_VARIABLE} names `{}`, which is not there", named.display());
        }
        let multiarch = format!("/usr/lib/{}-linux-gnu", env::consts::ARCH);
        let folders = ["/usr/lib", &multiarch, "/usr/lib64", "/usr/local/lib"];
        if folders.iter().any(|folder| Path::new(folder).join(MODULE).is_file()) {
            return Ok(Self::Pkcs11);
        }
        eprintln!("no PKCS#11 module is here (set {MODULE_VARIABLE}): running on the insecure-dev keystore");
        Ok(Self::InsecureDev)
    }

    fn flag(self) -> &'static str {
        match self {
            Self::Pkcs11 => "pkcs11",
            Self::InsecureDev => "insecure-dev",
        }
    }
}

/// Where a signer listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignerAddresses {
    /// For orchestrators.
    pub orchestrators: SocketAddr,
    /// For people.
    pub people: SocketAddr,
}

/// A deployment. Its processes are killed, and then its folder removed, when it is dropped.
#[derive(Debug)]
pub struct Deployment {
    binaries: &'static Binaries,
    backend: Backend,
    signer: Option<(Process, SignerAddresses)>,
    orchestrator: Option<(Process, SocketAddr)>,
    folder: TempDir,
}

impl Deployment {
    /// A new deployment, on SoftHSM where it is. Nothing runs yet.
    pub fn init() -> Result<Self> {
        Self::init_on(Backend::of_this_machine()?)
    }

    /// The same with three observers of a network, of which two make a fact.
    pub fn init_observing(network: &str) -> Result<Self> {
        Self::init_with(Backend::of_this_machine()?, &["--observe", network])
    }

    /// The same with attesters: prices-1 and prices-2, and desk.
    pub fn init_attesting() -> Result<Self> {
        Self::init_with(Backend::of_this_machine()?, &["--attest"])
    }

    /// A new deployment on a backend.
    pub fn init_on(backend: Backend) -> Result<Self> {
        Self::init_with(backend, &[])
    }

    fn init_with(backend: Backend, more: &[&str]) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("countersign-test-").tempdir()?;
        let deployment = Self {
            binaries: Binaries::locate()?,
            backend,
            signer: None,
            orchestrator: None,
            folder,
        };
        let made = deployment.countersign([&["init", "--backend", backend.flag()], more].concat(), true)?;
        if !made.status.success() {
            bail!("`countersign init` failed:\n{}", String::from_utf8_lossy(&made.stderr));
        }
        deployment.announce_orchestrator()?;
        Ok(deployment)
    }

    /// `countersign dev` takes the orchestrator's address from its output; we, and the command line, from its ready file.
    fn announce_orchestrator(&self) -> Result<()> {
        let path = self.path("orchestrator/orchestrator.toml");
        let config = fs::read_to_string(&path).context("no orchestrator.toml")?;
        if !config.contains("ready_file") {
            fs::write(&path, format!("ready_file = \"../run/orchestrator.json\"\n{config}"))?;
        }
        Ok(())
    }

    /// Where its wallet keys are.
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// A path below its folder.
    pub fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    /// Runs the command line; `with_dir` adds `--dir` of this deployment.
    pub fn countersign<S: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
        with_dir: bool,
    ) -> Result<Output> {
        let mut command = Command::new(self.binaries.path("countersign"));
        command.args(arguments).env_remove("SSH_AUTH_SOCK");
        if with_dir {
            command.arg("--dir").arg(self.folder.path());
        }
        command.output().context("cannot run `countersign`")
    }

    /// Starts the signer.
    pub async fn start_signer(&mut self) -> Result<SignerAddresses> {
        let (process, ready) = Process::start(&Started {
            program: self.binaries.path("countersign-signer"),
            arguments: vec![
                "serve".into(),
                "--config".into(),
                self.path("signer/signer.toml").into(),
            ],
            environment: vec![("SOFTHSM2_CONF".into(), self.path("signer/token/softhsm2.conf").into())],
            ready_file: self.path("run/signer.json"),
            log: self.path("signer.log"),
        })
        .await?;
        let addresses = SignerAddresses {
            orchestrators: address(&ready, "orchestrator_listener")?,
            people: address(&ready, "people_listener")?,
        };
        self.signer = Some((process, addresses));
        Ok(addresses)
    }

    /// Starts the orchestrator in front of the signer that runs.
    pub async fn start_orchestrator(&mut self) -> Result<SocketAddr> {
        let signer = self.signer()?.orchestrators;
        self.start_orchestrator_before(signer).await
    }

    /// Starts the orchestrator with the signer behind another address.
    pub async fn start_orchestrator_before(&mut self, signer: SocketAddr) -> Result<SocketAddr> {
        let config = self.path("orchestrator/orchestrator.toml");
        let (process, ready) = Process::start(&Started {
            program: self.binaries.path("countersign-orchestrator"),
            arguments: vec![
                "serve".into(),
                "--config".into(),
                config.into(),
                "--signer".into(),
                format!("https://{signer}").into(),
            ],
            environment: Vec::new(),
            ready_file: self.path("run/orchestrator.json"),
            log: self.path("orchestrator.log"),
        })
        .await?;
        let listen = address(&ready, "listen")?;
        self.orchestrator = Some((process, listen));
        Ok(listen)
    }

    /// Starts both.
    pub async fn start(&mut self) -> Result<()> {
        self.start_signer().await?;
        self.start_orchestrator().await?;
        Ok(())
    }

    /// SIGKILL to the signer.
    pub fn kill_signer(&mut self) -> Result<()> {
        self.signer.take().map_or(Ok(()), |(process, _)| process.kill())
    }

    /// SIGKILL to the orchestrator.
    pub fn kill_orchestrator(&mut self) -> Result<()> {
        self.orchestrator.take().map_or(Ok(()), |(process, _)| process.kill())
    }

    /// The running signer.
    pub fn signer_process(&self) -> Option<&Process> {
        self.signer.as_ref().map(|(process, _)| process)
    }

    /// The running orchestrator.
    pub fn orchestrator_process(&self) -> Option<&Process> {
        self.orchestrator.as_ref().map(|(process, _)| process)
    }

    /// Where the signer listens.
    pub fn signer(&self) -> Result<SignerAddresses> {
        let signer = self.signer.as_ref().context("the signer does not run")?;
        Ok(signer.1)
    }

    /// Where the orchestrator listens.
    pub fn orchestrator(&self) -> Result<SocketAddr> {
        let orchestrator = self.orchestrator.as_ref().context("the orchestrator does not run")?;
        Ok(orchestrator.1)
    }

    /// A server of this deployment with the certificate `name` of `tls/`.
    pub fn endpoint(&self, address: SocketAddr, name: &str) -> Endpoint {
        Endpoint {
            address: format!("https://{address}"),
            server_name: SERVER_NAME.to_owned(),
            ca: self.path("ca/ca.pem"),
            certificate: self.path(&format!("tls/{name}.pem")),
            key: self.path(&format!("tls/{name}.key")),
            timeout: ANSWER_WITHIN,
        }
    }

    /// The public API with the certificate `name`.
    pub async fn client(&self, name: &str) -> Result<Client> {
        Ok(Client::connect(&self.endpoint(self.orchestrator()?, name)).await?)
    }

    /// The signer's second listener with the certificate `name`.
    pub async fn people(&self, name: &str) -> Result<PeopleClient> {
        Ok(PeopleClient::connect(&self.endpoint(self.signer()?.people, name)).await?)
    }

    /// The signer's first listener with the certificate `name`: with `orchestrator-client`, whoever calls is the
    /// orchestrator.
    pub async fn signing(&self, name: &str) -> Result<SigningClient<Channel>> {
        let channel = self.channel(self.signer()?.orchestrators, self.tls(name)?).await?;
        Ok(SigningClient::new(channel).max_decoding_message_size(MAX_RESPONSE_BYTES))
    }

    /// Client TLS with the certificate `name`.
    pub fn tls(&self, name: &str) -> Result<ClientTlsConfig> {
        let pem = Pem {
            ca: fs::read(self.path("ca/ca.pem"))?,
            certificate: fs::read(self.path(&format!("tls/{name}.pem")))?,
            key: fs::read(self.path(&format!("tls/{name}.key")))?,
        };
        Ok(pem.client(SERVER_NAME))
    }

    /// A bare connection with TLS of the caller's making.
    pub async fn channel(&self, address: SocketAddr, tls: ClientTlsConfig) -> Result<Channel> {
        let channel = Channel::from_shared(format!("https://{address}"))?.tls_config(tls)?;
        Ok(channel.timeout(ANSWER_WITHIN).connect().await?)
    }

    /// The pinned genesis.
    pub fn genesis(&self) -> Result<Genesis> {
        Ok(Genesis::parse(&fs::read(self.path("genesis.json"))?)?)
    }

    /// The ssh key of a person.
    pub fn person(&self, name: &str) -> Result<Person> {
        Person::read(&self.path(&format!("people/{name}/id_ed25519")))
    }

    /// The key of the initiating service.
    pub fn initiator(&self) -> Result<Ed25519Signer> {
        service_key(&self.path("services/payout-service.key"))
    }
}

fn address(ready: &Value, field: &str) -> Result<SocketAddr> {
    let text = ready.get(field).and_then(Value::as_str);
    let text = text.with_context(|| format!("the ready line has no `{field}`"))?;
    text.parse().with_context(|| format!("`{field}` is no address"))
}
