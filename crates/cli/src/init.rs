//! `countersign init`: a complete development environment in one folder.

mod bundle;
mod people;
mod signer;

#[cfg(test)]
pub(crate) mod fixture;

use std::path::{Path, PathBuf};

use clap::Args;
use countersign_approval::{Environment as GenesisEnvironment, Genesis, GenesisFile, QuorumRecord};
use countersign_types::{ChainId, PrincipalId, StatementNonce, TenantId};
use serde::Serialize;
use time::OffsetDateTime;

use crate::{
    activate::{self, Activate},
    certificates::{Authority, Purpose},
    clock,
    environment::{Backend, Layout},
    failure::{Failure, Result},
    files,
    output::Output,
    process::{Children, Program},
};

/// The tenant of the environment.
pub(crate) const TENANT: &str = "main";
/// The service that initiates withdrawals.
pub(crate) const INITIATOR: &str = "payout-service";

/// Make a complete development environment: CA, certificates, people with ssh keys, token with a wallet key, genesis,
/// and a first bundle that two admins activate.
///
/// Every private key is written without a passphrase: this is for development, and the genesis says so. Production
/// genesis files, keys and certificates are made by the people who own them.
#[derive(Debug, Args)]
#[command(after_help = "JSON: {dir, backend, deployment, bundle, policy, wallet_key, log_key}")]
pub(crate) struct Init {
    /// The folder to make; it must be missing or empty.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Where the wallet keys live. SoftHSM's module is searched in its usual places, or named by
    /// COUNTERSIGN_PKCS11_MODULE.
    #[arg(long, value_enum, default_value = "pkcs11")]
    backend: Backend,
    /// Also make three observers (watch-1 to watch-3, two of which make a fact) of this network, with keys, certificates and
    /// their section of the roster; may be repeated. One of eip155:31337, solana:localnet and regtest's bip122 id.
    #[arg(long = "observe", value_name = "NETWORK")]
    observed: Vec<ChainId>,
    /// Also make attesters, with keys, certificates and their places in the roster: prices-1 and prices-2, which both must quote a
    /// price in USD, and desk, which screens payments and keeps an address book. No rule of the first policy asks for them yet.
    #[arg(long)]
    attest: bool,
}

#[derive(Serialize)]
struct Made {
    dir: PathBuf,
    backend: Backend,
    deployment: String,
    bundle: String,
    policy: String,
    wallet_key: String,
    log_key: String,
}

impl std::fmt::Display for Made {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "environment  {}", self.dir.display())?;
        writeln!(f, "deployment   {} (development)", self.deployment)?;
        writeln!(f, "log key      {}", self.log_key)?;
        writeln!(f, "wallet key   {} (eth-hot)", self.wallet_key)?;
        writeln!(f, "bundle       {} (version 1, in force)", self.bundle)?;
        writeln!(f, "policy       {}", self.policy)?;
        write!(f, "next         countersign dev --dir {}", self.dir.display())
    }
}

impl Init {
    pub(crate) async fn run(self, output: Output) -> Result<()> {
        let layout = Layout::new(&self.dir)?;
        let module = match self.backend {
            Backend::Pkcs11 => Some(signer::find_module()?),
            Backend::InsecureDev => None,
        };
        refuse_used(layout.root())?;
        bundle::certify_observed(&self.observed)?;
        create_folders(&layout)?;
        let steps = Steps {
            children: Children::new(layout.clone(), self.backend),
            backend: self.backend,
            observed: self.observed,
            attest: self.attest,
            layout,
            output,
        };
        steps.run(module.as_deref()).await
    }
}

/// What every step needs.
struct Steps {
    layout: Layout,
    backend: Backend,
    observed: Vec<ChainId>,
    attest: bool,
    children: Children,
    output: Output,
}

impl Steps {
    async fn run(&self, module: Option<&Path>) -> Result<()> {
        self.issue_certificates()?;
        self.output
            .progress("people: alice, bob, carol (treasury, admins), dave (officer, operates payout-service)");
        let people = people::generate(&self.layout, &self.observed, self.attest)?;
        self.output
            .progress("their ssh keys and the service key have no passphrase: development only");
        let keys = signer::prepare(self, module).await?;
        let genesis = write_genesis(&self.layout, &people, &keys.log_key)?;
        self.output
            .progress(format!("genesis: {} (development)", genesis.hash()));
        bundle::write(&self.layout, &people, keys.wallet)?;
        self.output.progress("signer: journal with the genesis entry");
        self.children
            .run_silent(
                Program::Signer,
                &signer::arguments(
                    "init",
                    &self.layout,
                    &["--trust-root".as_ref(), self.layout.genesis().as_ref()],
                ),
            )
            .await?;
        signer::write_orchestrator_config(&self.layout)?;
        let (tenant, initiator) = names()?;
        let activated = self.activate_first().await?;
        self.layout.complete(self.backend, &tenant, &initiator)?;
        self.output.report(&Made {
            dir: self.layout.root().to_owned(),
            backend: self.backend,
            deployment: genesis.hash().to_string(),
            bundle: activated.bundle,
            policy: activated.policy,
            wallet_key: keys.wallet.to_string(),
            log_key: keys.log_key,
        })
    }

    fn issue_certificates(&self) -> Result<()> {
        self.output
            .progress("certificates: a development CA, servers, orchestrator, pipeline, people, auditor");
        let now = OffsetDateTime::now_utc();
        let authority = Authority::create(&self.layout, now)?;
        for (name, purpose) in certificates(!self.observed.is_empty(), self.attest) {
            authority.issue(&self.layout, &name, &purpose, now)?;
        }
        Ok(())
    }

    /// Starts the signer for as long as two admins need to activate version 1.
    async fn activate_first(&self) -> Result<activate::Activated> {
        self.output.progress("bundle: alice and bob activate version 1");
        let arguments = signer::arguments("serve", &self.layout, &[]);
        let mut signer = self.children.serve(Program::Signer, &arguments)?;
        let activated = match signer.ready::<crate::connect::SignerReady>().await {
            Ok(_) => Activate::first(&self.layout)?.activate(&self.layout, None).await,
            Err(failure) => Err(failure),
        };
        let stopped = signer.stop().await;
        let activated = activated?;
        stopped.map(|()| activated)
    }
}

/// Writes a development genesis whose admins are the treasury's people.
fn write_genesis(layout: &Layout, people: &people::People, log_key: &str) -> Result<Genesis> {
    let id = StatementNonce::from_bytes(clock::random()?);
    let admins = people.admins();
    let file = GenesisFile {
        format: GenesisFile::format(),
        id,
        environment: GenesisEnvironment::Development,
        admins: QuorumRecord {
            threshold: people::ADMIN_THRESHOLD,
            members: admins.iter().map(|person| person.id.clone()).collect(),
        },
        people: admins,
        log_origin: format!("countersign.localhost/{id}"),
        log_key: log_key.to_owned(),
    };
    files::create(&layout.genesis(), &file.to_bytes())?;
    crate::environment::read_genesis(&layout.genesis())
}

fn names() -> Result<(TenantId, PrincipalId)> {
    let tenant = TenantId::parse(TENANT).map_err(Failure::failed)?;
    Ok((tenant, PrincipalId::parse(INITIATOR).map_err(Failure::failed)?))
}

/// Every certificate of the environment.
fn certificates(with_observers: bool, with_attesters: bool) -> Vec<(String, Purpose)> {
    let client = |uri: String| Purpose::Client(format!("countersign://{uri}"));
    let orchestrator = "countersign://orchestrator/main".to_owned();
    let mut certificates = vec![
        ("signer".to_owned(), Purpose::Server),
        // The orchestrator shows one certificate to its callers and to the signer.
        ("orchestrator-server".to_owned(), Purpose::Both(orchestrator.clone())),
        ("orchestrator-client".to_owned(), Purpose::Client(orchestrator)),
        ("pipeline".to_owned(), client(format!("pipeline/{TENANT}/{INITIATOR}"))),
        ("auditor".to_owned(), client("auditor/auditor".to_owned())),
    ];
    certificates.extend(people::NAMES.map(|name| (name.to_owned(), client(format!("person/{name}")))));
    if with_observers {
        let observers = people::OBSERVERS.map(|(name, _)| (name.to_owned(), client(format!("observer/{name}"))));
        certificates.extend(observers);
    }
    if with_attesters {
        let attesters = people::ATTESTERS.map(|(name, _)| (name.to_owned(), client(format!("attester/{name}"))));
        certificates.extend(attesters);
    }
    certificates
}

/// An environment is made once: what is there may be a trust root, a log or keys.
fn refuse_used(folder: &Path) -> Result<()> {
    let mut entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Failure::file(folder, "use", error)),
    };
    if entries.next().is_some() {
        return Err(Failure::usage(format!("`{}` is not empty", folder.display()))
            .advise("name a new folder: an environment is never made over what is there"));
    }
    Ok(())
}

fn create_folders(layout: &Layout) -> Result<()> {
    let fixed = [
        "ca",
        "tls",
        "services",
        "bundle",
        "signer/state",
        "signer/token",
        "orchestrator",
        "run",
        "requests",
    ];
    let people = people::NAMES.map(|name| format!("people/{name}"));
    for below in fixed.into_iter().map(str::to_owned).chain(people) {
        files::create_folder(&layout.path(&below))?;
    }
    Ok(())
}
