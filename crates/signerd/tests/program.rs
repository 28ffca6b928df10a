//! The program as an operator runs it: subcommands, exit codes, output, signals, logs. With SoftHSM and with the
//! keystore for development.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "tests fail by panicking"
)]

mod support;

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use countersign_approval::GenesisFile;
use countersign_decision::testing::World;
use serde_json::Value;
use support::{Site, write};

const MODULES: [&str; 2] = ["/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm2.so"];
const PIN: &str = "73194682";
const SO_PIN: &str = "91827364";
const PASSPHRASE: &str = "correct horse";

/// A site without anything that a subcommand makes.
struct Bare {
    site: Site,
    is_soft: bool,
}

/// What a run of the program left.
struct Done {
    is_success: bool,
    stdout: String,
    stderr: String,
}

impl Done {
    fn json(&self) -> Value {
        assert!(self.is_success, "{}", self.stderr);
        serde_json::from_str(&self.stdout).unwrap()
    }

    fn refusal(&self) -> &str {
        assert!(!self.is_success && self.stdout.is_empty(), "{}", self.stdout);
        self.stderr.lines().last().unwrap()
    }
}

impl Bare {
    fn new(is_soft: bool) -> Self {
        let bare = Self {
            site: Site::new(),
            is_soft,
        };
        for made in ["state/log.key", "keystore.json"] {
            fs::remove_file(bare.site.path(made)).unwrap();
        }
        let tokens = bare.site.path("tokens");
        fs::create_dir(&tokens).unwrap();
        let configuration = format!("directories.tokendir = {}\nlog.level = ERROR\n", tokens.display());
        write(&bare.site.path("softhsm2.conf"), configuration, 0o644);
        write(&bare.site.path("pin"), format!("{PIN}\n"), 0o600);
        write(&bare.site.path("so-pin"), format!("{SO_PIN}\n"), 0o600);
        bare.configure("");
        bare
    }

    fn configure(&self, keys: &str) {
        let path = self.site.path("signer.toml");
        let text = fs::read_to_string(&path).unwrap();
        let (head, tail) = text.split_once("[backend]").unwrap();
        let (_, listeners) = tail.split_once("[orchestrator_listener]").unwrap();
        let backend = if self.is_soft {
            "kind = \"insecure-dev\"\nkeystore = \"keystore.json\"\npassphrase_file = \"passphrase\"".to_owned()
        } else {
            let module = module().unwrap();
            let token = "token = \"test\"\npin_file = \"pin\"\nso_pin_file = \"so-pin\"";
            format!("kind = \"pkcs11\"\nmodule = \"{}\"\n{token}", module.display())
        };
        let text = format!("{head}[backend]\n{backend}\nkeys = [{keys}]\n[orchestrator_listener]{listeners}");
        write(&path, text, 0o644);
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign-signer"));
        command
            .arg(arguments[0])
            .arg("--config")
            .arg(self.site.path("signer.toml"))
            .args(&arguments[1..]);
        command
            .env("SOFTHSM2_CONF", self.site.path("softhsm2.conf"))
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Done {
        let output = self.command(arguments).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let done = Done {
            is_success: output.status.success(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        };
        for secret in self.secrets() {
            assert!(
                !done.stdout.contains(&secret) && !done.stderr.contains(&secret),
                "a secret was printed"
            );
        }
        done
    }

    fn secrets(&self) -> Vec<String> {
        let seed = fs::read_to_string(self.site.path("state/log.key"));
        let seed = seed.map(|seed| seed.trim().to_owned());
        [PIN, SO_PIN, PASSPHRASE]
            .map(str::to_owned)
            .into_iter()
            .chain(seed)
            .collect()
    }

    fn serve(&self) -> (Child, BufReader<std::process::ChildStdout>) {
        let mut command = self.command(&["serve"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        (child, stdout)
    }

    /// Writes a genesis that pins the log key.
    fn write_genesis(&self, log_key: &str) {
        let file: GenesisFile = serde_json::from_slice(&World::new().genesis_bytes).unwrap();
        let file = GenesisFile {
            log_key: log_key.to_owned(),
            ..file
        };
        write(&self.site.path("genesis.json"), file.to_bytes(), 0o644);
    }
}

fn module() -> Option<PathBuf> {
    MODULES.iter().map(PathBuf::from).find(|path| path.exists())
}

/// Plays through the whole life of a signer; returns the log of `serve`.
fn play(bare: &Bare) -> Vec<Value> {
    let genesis = bare.site.path("genesis.json");
    let genesis = genesis.to_str().unwrap();
    let log_key = bare.run(&["log-key"]).json()["log_key"].as_str().unwrap().to_owned();
    assert!(
        bare.run(&["log-key"])
            .refusal()
            .contains("already exists and is never overwritten")
    );
    assert_eq!(
        bare.run(&["token-init"]).json()["backend"],
        if bare.is_soft { "insecure-dev" } else { "pkcs11" }
    );
    assert!(bare.run(&["token-init"]).refusal().contains("already exists"));
    let made = bare
        .run(&["keygen", "--label", "hot", "--algorithm", "secp256k1"])
        .json();
    let public: countersign_types::PublicKey = made["public_key"].as_str().unwrap().parse().unwrap();
    assert_eq!(made["key_id"], public.id().to_string());
    let other = bare
        .run(&["keygen", "--label", "cold", "--algorithm", "ed25519"])
        .json();
    assert!(other["public_key"].as_str().unwrap().starts_with("ed25519:"));
    assert!(
        bare.run(&["serve"])
            .refusal()
            .contains("`countersign-signer init` pins the trust root")
    );
    assert!(
        bare.run(&["init", "--trust-root", genesis])
            .refusal()
            .contains("pins log key")
    );
    bare.write_genesis(&log_key);
    let made = bare.run(&["init", "--trust-root", genesis]).json();
    assert_eq!(made["environment"], "development");
    assert!(
        bare.run(&["init", "--trust-root", genesis])
            .refusal()
            .contains("was initialized before")
    );
    assert!(bare.run(&["serve"]).refusal().contains("`backend.keys` is empty"));
    bare.configure(&format!("\"{public}\""));
    let log = serve_and_stop(bare);
    assert!(
        log.iter().any(|line| line["deployment"] == made["deployment"]),
        "{log:?}"
    );
    log
}

fn serve_and_stop(bare: &Bare) -> Vec<Value> {
    let (mut child, mut stdout) = bare.serve();
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    let ready: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(ready["event"], "ready");
    assert_eq!(fs::read_to_string(bare.site.path("ready.json")).unwrap(), line);
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let mut log = String::new();
    child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    assert!(child.wait().unwrap().success());
    for secret in bare.secrets() {
        assert!(!log.contains(&secret), "a secret was logged");
    }
    log.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn the_whole_life_with_a_keystore_for_development() {
    let bare = Bare::new(true);
    let log = play(&bare);
    assert!(
        !log.is_empty() && log.iter().all(|line| line["insecure-dev"] == true),
        "{log:?}"
    );
}

#[test]
fn the_whole_life_with_a_token() {
    if module().is_none() {
        eprintln!("skipped: SoftHSM is not installed (apt-get install softhsm2)");
        return;
    }
    let bare = Bare::new(false);
    let log = play(&bare);
    assert!(log.iter().all(|line| line.get("insecure-dev").is_none()), "{log:?}");
    let opened = log.iter().find(|line| line["message"] == "opened").unwrap();
    assert_eq!(
        (&opened["backend"], &opened["bundle_version"]),
        (&"pkcs11".into(), &0.into())
    );
    write(&bare.site.path("pin"), "00000000\n", 0o600);
    let refused = bare.run(&["serve"]);
    assert!(
        refused.refusal().contains("the token refused the pin"),
        "{}",
        refused.stderr
    );
    write(&bare.site.path("pin"), format!("{PIN}\n"), 0o600);
    a_token_belongs_to_one_deployment(&bare);
}

fn a_token_belongs_to_one_deployment(bare: &Bare) {
    let genesis = bare.site.path("genesis.json");
    let file: GenesisFile = serde_json::from_slice(&fs::read(&genesis).unwrap()).unwrap();
    let other = GenesisFile {
        log_origin: "other.test/log".to_owned(),
        ..file
    };
    write(&genesis, other.to_bytes(), 0o644);
    for made in ["state/journal.sqlite", "state/anchor", "state/genesis.json"] {
        fs::rename(bare.site.path(made), bare.site.path(&made.replace("state/", "kept-"))).unwrap();
    }
    let refused = bare.run(&["init", "--trust-root", genesis.to_str().unwrap()]);
    assert!(
        refused.refusal().contains("token `test` belongs to deployment"),
        "{}",
        refused.stderr
    );
    for path in ["state/journal.sqlite", "state/anchor", "state/genesis.json"] {
        assert!(!bare.site.path(path).exists(), "`{path}` was left behind");
    }
    // The other deployment's genesis in the state directory does not start either.
    fs::copy(&genesis, bare.site.path("state/genesis.json")).unwrap();
    let refused = bare.run(&["serve"]);
    assert!(
        refused.refusal().contains("token `test` belongs to deployment"),
        "{}",
        refused.stderr
    );
}

#[test]
fn what_is_no_command_line_is_refused_with_advice() {
    let bare = Bare::new(true);
    let table: [&[&str]; 4] = [
        &["keygen", "--label", "x", "--algorithm", "rsa"],
        &["keygen", "--label", "x"],
        &["init"],
        &["sign", "--digest", "00"],
    ];
    for arguments in table {
        let done = bare.run(arguments);
        assert!(!done.is_success && done.stderr.contains("--help"), "{}", done.stderr);
    }
    let missing = Command::new(env!("CARGO_BIN_EXE_countersign-signer"))
        .args(["serve", "--config", "/nowhere/signer.toml"])
        .output()
        .unwrap();
    assert_eq!(missing.status.code(), Some(1));
    assert!(
        String::from_utf8(missing.stderr)
            .unwrap()
            .contains("/nowhere/signer.toml")
    );
}
