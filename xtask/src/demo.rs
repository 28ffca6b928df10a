//! `cargo xtask demo`: one deployment in a temporary folder; two payments that people approve, and one that policy denies.
//!
//! Whatever happens, Ctrl-C included, the processes are ended and the folder is removed.

mod calls;
mod process;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::install::{self, PKCS11};
use crate::shell;
use process::{Background, Interrupt};

const BINARIES: [&str; 3] = ["countersign-cli", "countersign-signerd", "countersign-orchestrator"];

/// A signer that generates its keys in a token and an orchestrator that migrates its database need seconds, not minutes.
const READY_WITHIN: Duration = Duration::from_secs(60);

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    crate::no_arguments("demo", arguments)?;
    let interrupt = Interrupt::catch()?;
    let root = shell::repo_root()?;
    let binaries = build(&root)?;
    let backend = choose_backend(&root);
    let mut demo = Demo::new(binaries, backend, interrupt)?;
    let outcome = demo.tell();
    demo.end();
    outcome
}

fn build(root: &Path) -> Result<PathBuf> {
    let mut build = shell::cargo(root);
    build.args(["build", "--locked"]);
    for package in BINARIES {
        build.args(["-p", package]);
    }
    shell::run(&mut build)?;
    shell::debug_folder(root)
}

/// Where the signing keys live.
enum Backend {
    /// SoftHSM through PKCS#11; the module's path.
    Pkcs11(PathBuf),
    /// The encrypted insecure-dev keystore.
    Soft,
}

/// SoftHSM where it is or can be installed; the keystore otherwise, and plainly said so.
fn choose_backend(root: &Path) -> Backend {
    let module = || PKCS11.path(root);
    let installed = module().map_or_else(|| install::install_packages(&[install::SOFTHSM]), |_| Ok(()));
    let reason = match (installed, module()) {
        (_, Some(module)) => {
            println!("keys: SoftHSM, {}", module.display());
            return Backend::Pkcs11(module);
        }
        (Err(error), None) => format!("{error:#}"),
        (Ok(()), None) => "its package carries no module that we know".to_owned(),
    };
    println!("SoftHSM could not be installed ({reason}): running on the encrypted insecure-dev keystore");
    Backend::Soft
}

/// One deployment from `init` to the end.
struct Demo {
    binaries: PathBuf,
    backend: Backend,
    interrupt: Interrupt,
    // Dropped in this order: the processes end before their folder goes.
    services: Option<Background>,
    folder: TempDir,
}

impl Demo {
    fn new(binaries: PathBuf, backend: Backend, interrupt: Interrupt) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("countersign-demo-").tempdir();
        let folder = folder.context("could not create a temporary folder for the demo")?;
        Ok(Self {
            binaries,
            backend,
            interrupt,
            services: None,
            folder,
        })
    }

    fn tell(&mut self) -> Result<()> {
        self.initialise()?;
        self.start()?;
        let eth = self.submit(
            "1. A transfer of ETH to a customer on the allowlist",
            &calls::SUBMIT_ETH,
        )?;
        self.approve(&eth)?;
        self.verify(&eth)?;
        let token = self.submit("2. A transfer of an ERC-20 token", &calls::SUBMIT_TOKEN)?;
        self.approve(&token)?;
        self.verify(&token)?;
        self.deny_stranger()
    }

    fn initialise(&self) -> Result<()> {
        heading("A new deployment: genesis, keys, people, policy");
        let backend = match &self.backend {
            Backend::Pkcs11(_) => "pkcs11",
            Backend::Soft => "insecure-dev",
        };
        self.countersign(&calls::init(self.dir(), backend)).map(drop)
    }

    fn start(&mut self) -> Result<()> {
        heading("Signer and orchestrator");
        let mut command = self.command(&calls::dev(self.dir()));
        println!("$ {} &", shell::shown(&command));
        let log = self.dir().join("demo-services.log");
        let mut services = Background::start(&mut command, &log)?;
        let ready = services.wait_for(&calls::ready_file(self.dir()), READY_WITHIN, &self.interrupt);
        self.services = Some(services);
        ready
    }

    /// Submits a withdrawal that people must approve, and returns its id.
    fn submit(&self, title: &str, payment: &calls::Payment) -> Result<String> {
        heading(title);
        let said = self.expect(&calls::submit(self.dir(), payment), calls::exit::PENDING)?;
        withdrawal_id(&said).context("`countersign withdraw submit` printed no withdrawal id (`wd_…`)")
    }

    fn approve(&self, withdrawal: &str) -> Result<()> {
        for (at, person) in calls::APPROVERS.into_iter().enumerate() {
            if at == 0 {
                heading(&format!("What waits for {person}, decoded by {person}'s own program"));
                self.countersign(&calls::inbox(self.dir(), person))?;
            }
            heading(&format!("{person} approves"));
            self.countersign(&calls::approve(self.dir(), person, withdrawal))?;
        }
        Ok(())
    }

    fn verify(&self, withdrawal: &str) -> Result<()> {
        heading("The decision, the transaction id, and the receipt, verified offline");
        self.countersign(&calls::show(self.dir(), withdrawal))?;
        let receipt = self.dir().join(format!("{withdrawal}.receipt.json"));
        self.countersign(&calls::receipt(self.dir(), withdrawal, &receipt))?;
        self.countersign(&calls::verify(self.dir(), &receipt)).map(drop)
    }

    /// The command fails with the code of a denial, as it must, and says which rule said no.
    fn deny_stranger(&self) -> Result<()> {
        heading("3. A transfer to a stranger");
        let said = self.expect(&calls::submit(self.dir(), &calls::SUBMIT_STRANGER), calls::exit::DENIED)?;
        if !said.contains(calls::STRANGER_TAG) {
            bail!("a transfer to a stranger was not denied with `{}`", calls::STRANGER_TAG);
        }
        Ok(())
    }

    fn dir(&self) -> &Path {
        self.folder.path()
    }

    fn command(&self, arguments: &[String]) -> Command {
        let mut command = Command::new(self.binaries.join("countersign"));
        command.args(arguments);
        if let Backend::Pkcs11(module) = &self.backend {
            command.env(PKCS11.variable, module);
        }
        command
    }

    /// Runs the command line, echoes it with its output, and returns the output.
    fn countersign(&self, arguments: &[String]) -> Result<String> {
        self.expect(arguments, 0)
    }

    /// The same for a command whose exit code says what happened.
    fn expect(&self, arguments: &[String], code: i32) -> Result<String> {
        let mut command = self.command(arguments);
        println!("$ {}", shell::shown(&command));
        let (found, said) = process::run_and_echo(&mut command)?;
        self.interrupt.check()?;
        if found != Some(code) {
            let found = found.map_or_else(|| "a signal".to_owned(), |found| found.to_string());
            bail!(
                "`countersign {}` ended with {found}, not {code}; what it said is above",
                arguments.join(" ")
            );
        }
        Ok(said)
    }

    /// Ends the processes and removes the folder; dropping does the same, but cannot say what went wrong.
    fn end(self) {
        let Self { services, folder, .. } = self;
        drop(services);
        let path = folder.path().display().to_string();
        if let Err(error) = folder.close() {
            println!("`{path}` could not be removed ({error}): remove it by hand");
        }
    }
}

fn heading(text: &str) {
    println!("\n--- {text} ---");
}

/// The first word that is a withdrawal id.
fn withdrawal_id(said: &str) -> Option<String> {
    let words = said.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words
        .into_iter()
        .find(|word| word.len() > 3 && word.starts_with("wd_"))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_found_in_text_and_in_json() {
        assert_eq!(
            withdrawal_id("submitted wd_abc234, pending"),
            Some("wd_abc234".to_owned())
        );
        assert_eq!(withdrawal_id("{\"id\":\"wd_xyz\"}"), Some("wd_xyz".to_owned()));
        assert_eq!(withdrawal_id("nothing: wd_"), None);
    }

    #[test]
    fn the_folder_goes_with_the_demo() {
        let demo = Demo::new(PathBuf::new(), Backend::Soft, Interrupt::never()).unwrap();
        let path = demo.dir().to_owned();
        assert!(path.is_dir());
        demo.end();
        assert!(!path.exists());
    }
}
