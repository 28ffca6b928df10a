//! A deployment that is initialized again before anything runs: with another genesis, journal or bundle.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use countersign_bundle::{Bundle, MANIFEST_PATH, Manifest};
use countersign_integration::{Backend, Binaries, Deployment};

use crate::support::{Files, Scene, replace};

/// A deployment whose signer has no journal yet, and version 1 of its bundle with these limits.
pub(crate) struct Site {
    pub(crate) deployment: Deployment,
    pub(crate) files: Files,
}

impl Site {
    pub(crate) fn new(backend: Backend, limits: &[&str]) -> Self {
        let deployment = Deployment::init_on(backend).unwrap();
        let state = deployment.path("signer/state");
        for entry in fs::read_dir(&state).unwrap() {
            let path = entry.unwrap().path();
            // The keys stay; the journal, its anchor and the pinned genesis are made again.
            if path.extension().is_none_or(|extension| extension != "key") {
                fs::remove_file(path).unwrap();
            }
        }
        let mut files = crate::support::bundle_files(&deployment);
        let lines: String = limits.iter().map(|limit| format!("  - {{ {limit} }}\n")).collect();
        replace(&mut files, "policy.yaml", "limits:\n", &format!("limits:\n{lines}"));
        Self { deployment, files }
    }

    /// A production genesis, which everybody pins from now on, and a new token: one belongs to one deployment.
    pub(crate) fn production(mut self) -> Self {
        let path = self.deployment.path("genesis.json");
        let genesis = fs::read_to_string(&path).unwrap();
        let production = genesis.replace("\"development\"", "\"production\"");
        assert_ne!(genesis, production);
        fs::write(path, production).unwrap();
        let tokens = self.deployment.path("signer/token/tokens");
        fs::remove_dir_all(&tokens).unwrap();
        fs::create_dir(&tokens).unwrap();
        let folder = self.deployment.path("signer");
        signer(&self.deployment, &["token-init"], &folder);
        let keygen = ["keygen", "--label", "eth-hot", "--algorithm", "secp256k1"];
        let generated = signer(&self.deployment, &keygen, &folder);
        let generated: serde_json::Value = serde_json::from_str(&generated).unwrap();
        let new = generated["public_key"].as_str().unwrap();
        let config = self.deployment.path("signer/signer.toml");
        let text = fs::read_to_string(&config).unwrap();
        let old: String = text
            .split("keys = [\"")
            .nth(1)
            .unwrap()
            .chars()
            .take_while(|c| *c != '"')
            .collect();
        fs::write(config, text.replace(&old, new)).unwrap();
        replace(&mut self.files, "wallets.yaml", &old, new);
        // What loosens waits.
        replace(
            &mut self.files,
            "roster.yaml",
            "admins: { threshold: 2,",
            "admins: { time-lock: 24h, threshold: 2,",
        );
        self
    }

    /// What is spent ages from signature: nobody observes the network.
    pub(crate) fn aging_from_signature(mut self) -> Self {
        replace(&mut self.files, "wallets.yaml", " }", ", ages-from: signature }");
        self
    }

    /// The journal is in this PostgreSQL database.
    pub(crate) fn shared(self, url: &str) -> Self {
        let secret = self.deployment.path("signer/journal.url");
        fs::write(&secret, url).unwrap();
        fs::set_permissions(secret, fs::Permissions::from_mode(0o600)).unwrap();
        let config = self.deployment.path("signer/signer.toml");
        let text = fs::read_to_string(&config).unwrap();
        fs::write(
            config,
            format!("{text}\n[journal]\npostgres_url_file = \"journal.url\"\n"),
        )
        .unwrap();
        self
    }

    /// Makes the journal and starts the signer, without a bundle.
    pub(crate) async fn start(self) -> (Scene, Files) {
        let Self { mut deployment, files } = self;
        pin(&deployment, "init", &deployment.path("signer"));
        deployment.start_signer().await.unwrap();
        let files = sealed(files);
        let mut scene = Scene::of(deployment).await;
        scene.bundle = Bundle::load(&files).map_err(|errors| errors.to_string()).unwrap();
        (scene, files)
    }
}

/// Version 1 with its manifest.
pub(crate) fn sealed(mut files: Files) -> Files {
    files.remove(MANIFEST_PATH);
    let manifest = Manifest::build(1, None, &files).unwrap();
    files.insert(MANIFEST_PATH.to_owned(), manifest.to_bytes());
    files
}

impl Scene {
    /// Two admins put version 1 in force.
    pub(crate) async fn begin(&self, files: &Files) -> Result<u64, countersign_client::ClientError> {
        let statements = ["alice", "bob"].map(|admin| self.activation(&self.person(admin), files));
        self.activate(files, &statements).await
    }
}

/// A second signer beside the first: its own state and anchor, the same keys and journal.
pub(crate) fn join(deployment: &Deployment) -> PathBuf {
    let (first, second) = (deployment.path("signer"), deployment.path("signer-2"));
    copy(&first, &second);
    let config = second.join("signer.toml");
    let text = fs::read_to_string(&config).unwrap();
    let moved = text.replace("../run/signer.json", "../run/signer-2.json");
    assert_ne!(text, moved);
    fs::write(config, moved).unwrap();
    pin(deployment, "join", &second);
    second
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    fs::set_permissions(to, fs::metadata(from).unwrap().permissions()).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy(&path, &target),
            false => drop(fs::copy(&path, &target).unwrap()),
        }
    }
}

/// `init` or `join` under the genesis of the deployment.
fn pin(deployment: &Deployment, command: &str, folder: &Path) {
    let root = deployment.path("genesis.json");
    signer(deployment, &[command, "--trust-root", root.to_str().unwrap()], folder);
}

/// `countersign-signer <command>` in a folder, and what it prints.
fn signer(deployment: &Deployment, command: &[&str], folder: &Path) -> String {
    let program = Binaries::locate().unwrap().path("countersign-signer");
    let output = Command::new(program)
        .args(command)
        .arg("--config")
        .arg(folder.join("signer.toml"))
        .env("SOFTHSM2_CONF", deployment.path("signer/token/softhsm2.conf"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}
