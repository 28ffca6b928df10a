//! What the tests need that cargo does not bring: Debian packages and one npm module, each with the reason.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell;

/// A Debian package and why the tests want it.
pub(crate) struct Package {
    pub(crate) name: &'static str,
    /// A program that does instead, when it is there without the package (a Node from elsewhere).
    pub(crate) program: Option<&'static str>,
    pub(crate) why: &'static str,
}

pub(crate) const SOFTHSM: Package = Package {
    name: "softhsm2",
    program: None,
    why: "the PKCS#11 module that the HSM backend is tested with",
};

const TEST_PACKAGES: [Package; 4] = [
    SOFTHSM,
    Package {
        name: "openssh-client",
        program: Some("ssh-keygen"),
        why: "`ssh-keygen -Y sign` makes the signatures that we must verify",
    },
    Package {
        name: "nodejs",
        program: Some("node"),
        why: "runs npm",
    },
    Package {
        name: "npm",
        program: Some("npm"),
        why: "brings anvil, the EVM node that judges our transactions",
    },
];

/// Where tests find what was installed; passed to them as environment variables.
#[derive(Debug, Default)]
pub(crate) struct Tools {
    pub(crate) anvil: Option<PathBuf>,
    pub(crate) pkcs11_module: Option<PathBuf>,
}

pub(crate) const ANVIL_VARIABLE: &str = "COUNTERSIGN_ANVIL";
pub(crate) const PKCS11_VARIABLE: &str = "COUNTERSIGN_PKCS11_MODULE";

impl Tools {
    /// What is on this machine now. A variable that is already set wins over what we would find.
    pub(crate) fn find(root: &Path) -> Self {
        Self {
            anvil: preset(ANVIL_VARIABLE).or_else(|| find_anvil(&npm_dir(root))),
            pkcs11_module: preset(PKCS11_VARIABLE).or_else(find_pkcs11_module),
        }
    }

    pub(crate) fn variables(&self) -> Vec<(&'static str, &Path)> {
        let anvil = self.anvil.as_deref().map(|path| (ANVIL_VARIABLE, path));
        let module = self.pkcs11_module.as_deref().map(|path| (PKCS11_VARIABLE, path));
        anvil.into_iter().chain(module).collect()
    }
}

fn preset(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

/// Installs what is missing and says what and why.
pub(crate) fn install_for_tests(root: &Path) -> Result<()> {
    install_packages(&TEST_PACKAGES)?;
    install_anvil(root)
}

/// Installs the Debian packages among these that are missing; `apt-get update` runs once, and only then.
pub(crate) fn install_packages(packages: &[Package]) -> Result<()> {
    let missing: Vec<&Package> = packages.iter().filter(|package| !is_present(package)).collect();
    if missing.is_empty() {
        println!("Debian packages: nothing is missing");
        return Ok(());
    }
    for package in &missing {
        println!("installing {}: {}", package.name, package.why);
    }
    let names: Vec<&str> = missing.iter().map(|package| package.name).collect();
    if !shell::is_installed("apt-get") {
        bail!(
            "this machine has no apt-get; install with its own package manager: {}",
            names.join(" ")
        );
    }
    let by_hand = || format!("install by hand: apt-get update && apt-get install {}", names.join(" "));
    shell::run(as_root("apt-get")?.args(["update", "-qq"])).with_context(by_hand)?;
    let mut install = as_root("apt-get")?;
    install
        .args(["install", "-y", "-qq", "--no-install-recommends"])
        .args(&names);
    shell::run(&mut install).with_context(by_hand)
}

fn is_present(package: &Package) -> bool {
    if package.program.is_some_and(shell::is_installed) {
        return true;
    }
    let mut query = Command::new("dpkg-query");
    query.args(["--show", "--showformat=${db:Status-Status}", package.name]);
    shell::output(&mut query).is_ok_and(|status| status == "installed")
}

/// The program itself for root, through sudo for everybody else.
fn as_root(program: &str) -> Result<Command> {
    let mut command = if shell::output(Command::new("id").arg("-u"))?.trim() == "0" {
        Command::new("env")
    } else if shell::is_installed("sudo") {
        let mut sudo = Command::new("sudo");
        sudo.arg("env");
        sudo
    } else {
        bail!("installing packages needs root or sudo, and neither is here");
    };
    command.args(["DEBIAN_FRONTEND=noninteractive", program]);
    Ok(command)
}

fn npm_dir(root: &Path) -> PathBuf {
    shell::tools_dir(root).join("npm")
}

/// Installs the pinned npm modules of `integration/tools` under `.tools/npm`, when its lock file is not the one installed.
fn install_anvil(root: &Path) -> Result<()> {
    let wanted = root.join("integration/tools");
    let installed = npm_dir(root);
    let lock = |folder: &Path| std::fs::read(folder.join("package-lock.json")).ok();
    if find_anvil(&installed).is_some() && lock(&installed) == lock(&wanted) {
        println!("npm modules: as pinned in integration/tools");
        return Ok(());
    }
    println!("installing anvil (npm, pinned in integration/tools): the EVM node that judges our transactions");
    std::fs::create_dir_all(&installed).with_context(|| format!("could not create `{}`", installed.display()))?;
    for name in ["package.json", "package-lock.json"] {
        std::fs::copy(wanted.join(name), installed.join(name)).with_context(|| {
            format!(
                "could not copy `{name}` from `{}` to `{}`",
                wanted.display(),
                installed.display()
            )
        })?;
    }
    // Scripts stay off: the binary is inside a module, and a postinstall script may download whatever it likes.
    let mut npm = Command::new("npm");
    npm.current_dir(&installed)
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
    if let Err(error) = shell::run(&mut npm) {
        drop(std::fs::remove_file(installed.join("package-lock.json"))); // so that the next run tries again
        return Err(error.context("npm could not install the modules of integration/tools"));
    }
    match find_anvil(&installed) {
        Some(_) => Ok(()),
        None => bail!("npm has no anvil for this machine; set {ANVIL_VARIABLE} to one and use --no-install"),
    }
}

/// The module carries one package a platform, `anvil-<os>-<arch>/bin/anvil`; npm installs the one that fits.
fn find_anvil(npm_dir: &Path) -> Option<PathBuf> {
    let folders = std::fs::read_dir(npm_dir.join("node_modules/@foundry-rs")).ok()?;
    folders
        .flatten()
        .map(|entry| entry.path().join("bin/anvil"))
        .find(|path| path.is_file())
}

fn find_pkcs11_module() -> Option<PathBuf> {
    let name = "softhsm/libsofthsm2.so";
    let multiarch = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    let folders = [
        "/usr/lib",
        &multiarch,
        "/usr/lib64",
        "/usr/local/lib",
        "/opt/homebrew/lib",
    ];
    folders
        .iter()
        .map(|folder| Path::new(folder).join(name))
        .find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anvil_is_found_whatever_the_platform_package_is_called() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(find_anvil(folder.path()), None);
        let bin = folder.path().join("node_modules/@foundry-rs/anvil-linux-arm64/bin");
        std::fs::create_dir_all(folder.path().join("node_modules/@foundry-rs/anvil")).unwrap();
        std::fs::create_dir_all(&bin).unwrap();
        std::fs::write(bin.join("anvil"), "").unwrap();
        assert_eq!(find_anvil(folder.path()), Some(bin.join("anvil")));
    }

    #[test]
    fn only_what_was_found_is_passed_on() {
        let tools = Tools {
            anvil: Some("/a/anvil".into()),
            pkcs11_module: None,
        };
        assert_eq!(tools.variables(), [(ANVIL_VARIABLE, Path::new("/a/anvil"))]);
    }

    #[test]
    fn a_package_counts_as_present_when_its_program_is() {
        let package = |program| Package {
            name: "no-such-debian-package",
            program,
            why: "a test",
        };
        assert!(is_present(&package(Some("sh"))));
        assert!(!is_present(&package(None)));
    }
}
