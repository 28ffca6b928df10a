//! What `integration/tools` pins, installed under `.tools`: npm modules, Python packages, Bitcoin Core's vectors. Each is
//! installed when the file that pins it is not the one that it was installed from.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell;

/// Something that is pinned: its files are copied into its folder once everything else is there.
struct Pinned {
    /// Below `integration/tools`.
    from: &'static str,
    /// Below `.tools`.
    to: &'static str,
    /// Copied first.
    files: &'static [&'static str],
    /// One of them. It is what is compared, and copied last.
    lock: &'static str,
    why: &'static str,
}

const NPM: Pinned = Pinned {
    from: "",
    to: "npm",
    files: &["package.json"],
    lock: "package-lock.json",
    why: "npm modules: an EVM node, vectors and Bitcoin libraries that judge our transactions",
};
const PYTHON: Pinned = Pinned {
    from: "",
    to: "python",
    files: &[],
    lock: "requirements.txt",
    why: "Python packages: Ethereum's executable specification and LiteSVM",
};
const CORE_VECTORS: Pinned = Pinned {
    from: "vectors",
    to: "vectors",
    files: &["Cargo.toml", "lib.rs"],
    lock: "Cargo.lock",
    why: "Bitcoin Core's test vectors, in the sources of a crate that is not built",
};
/// Where `cargo vendor --versioned-dirs` puts the vectors.
const CORE_CRATE: &str = "crates/libbitcoinkernel-sys-0.4.1";

pub(super) fn install(root: &Path) -> Result<()> {
    NPM.install(root, install_npm)?;
    PYTHON.install(root, install_python)?;
    CORE_VECTORS.install(root, install_core_vectors)
}

impl Pinned {
    fn folder(&self, root: &Path) -> PathBuf {
        shell::tools_dir(root).join(self.to)
    }

    /// Runs `work` in the folder, with the pinning files in it, and leaves the lock there only when it succeeded.
    fn install(&self, root: &Path, work: fn(&Path) -> Result<()>) -> Result<()> {
        let wanted = root.join("integration/tools").join(self.from);
        let folder = self.folder(root);
        let lock = |folder: &Path| std::fs::read(folder.join(self.lock)).ok();
        if lock(&folder) == lock(&wanted) {
            println!("{}: as pinned", self.why);
            return Ok(());
        }
        println!("installing {}", self.why);
        std::fs::create_dir_all(&folder).with_context(|| format!("could not create `{}`", folder.display()))?;
        let mut copied = self.files.iter().chain([&self.lock]);
        let done = copied
            .try_for_each(|name| copy(name, &wanted, &folder))
            .and_then(|()| work(&folder));
        if done.is_err() {
            drop(std::fs::remove_file(folder.join(self.lock))); // so that the next run tries again
        }
        done.with_context(|| format!("could not install what `{}` pins", wanted.join(self.lock).display()))
    }
}

fn copy(name: &str, from: &Path, to: &Path) -> Result<()> {
    std::fs::copy(from.join(name), to.join(name)).with_context(|| {
        format!(
            "could not copy `{name}` from `{}` to `{}`",
            from.display(),
            to.display()
        )
    })?;
    Ok(())
}

/// Scripts stay off: what is wanted is inside the modules, and a postinstall script may download whatever it likes.
fn install_npm(folder: &Path) -> Result<()> {
    let mut npm = Command::new("npm");
    npm.current_dir(folder)
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
    shell::run(&mut npm)?;
    if anvil_in(folder).is_none() {
        bail!("npm has no anvil for this machine; set COUNTERSIGN_ANVIL to one and use --no-install");
    }
    Ok(())
}

/// Wheels alone, so that no package runs a build script of its own; all of them are pinned, so nothing is resolved.
fn install_python(folder: &Path) -> Result<()> {
    shell::run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
    let mut pip = Command::new(folder.join("bin/python"));
    pip.current_dir(folder)
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
        .args(["--no-deps", "--only-binary", ":all:", "--requirement", PYTHON.lock]);
    shell::run(&mut pip)
}

fn install_core_vectors(folder: &Path) -> Result<()> {
    let mut vendor = shell::cargo(folder);
    vendor.args(["vendor", "--locked", "--quiet", "--versioned-dirs", "crates"]);
    shell::run(vendor.stdout(std::process::Stdio::null()))
}

/// The module carries one package a platform, `anvil-<os>-<arch>/bin/anvil`; npm installs the one that fits.
pub(super) fn find_anvil(root: &Path) -> Option<PathBuf> {
    anvil_in(&NPM.folder(root))
}

fn anvil_in(npm: &Path) -> Option<PathBuf> {
    let folders = std::fs::read_dir(npm.join("node_modules/@foundry-rs")).ok()?;
    folders
        .flatten()
        .map(|entry| entry.path().join("bin/anvil"))
        .find(|path| path.is_file())
}

pub(super) fn find_node_modules(root: &Path) -> Option<PathBuf> {
    let folder = NPM.folder(root).join("node_modules");
    folder.join("@ethersproject/testcases").is_dir().then_some(folder)
}

pub(super) fn find_python(root: &Path) -> Option<PathBuf> {
    let folder = PYTHON.folder(root);
    let program = folder.join("bin/python");
    // The lock is there only once everything was installed.
    (folder.join(PYTHON.lock).is_file() && program.is_file()).then_some(program)
}

pub(super) fn find_core_vectors(root: &Path) -> Option<PathBuf> {
    let folder = CORE_VECTORS.folder(root).join(CORE_CRATE);
    let vectors = folder.join("bitcoin/src/test/data");
    vectors.is_dir().then_some(vectors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anvil_is_found_whatever_the_platform_package_is_called() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(anvil_in(folder.path()), None);
        let bin = folder.path().join("node_modules/@foundry-rs/anvil-linux-arm64/bin");
        std::fs::create_dir_all(folder.path().join("node_modules/@foundry-rs/anvil")).unwrap();
        std::fs::create_dir_all(&bin).unwrap();
        std::fs::write(bin.join("anvil"), "").unwrap();
        assert_eq!(anvil_in(folder.path()), Some(bin.join("anvil")));
    }

    #[test]
    fn what_is_pinned_is_installed_once_and_again_after_a_failure_or_a_change() {
        let root = tempfile::tempdir().unwrap();
        let tools = root.path().join("integration/tools");
        std::fs::create_dir_all(&tools).unwrap();
        std::fs::write(tools.join("requirements.txt"), "a==1\n").unwrap();
        let failing = |_: &Path| bail!("no network");
        let marking = |folder: &Path| {
            let runs = std::fs::read_to_string(folder.join("runs")).unwrap_or_default();
            Ok(std::fs::write(folder.join("runs"), runs + "x")?)
        };
        let runs = || std::fs::read_to_string(root.path().join(".tools/python/runs")).unwrap_or_default();

        assert!(PYTHON.install(root.path(), failing).is_err());
        PYTHON.install(root.path(), marking).unwrap();
        assert_eq!(runs(), "x");
        PYTHON.install(root.path(), failing).unwrap();
        std::fs::write(tools.join("requirements.txt"), "a==2\n").unwrap();
        PYTHON.install(root.path(), marking).unwrap();
        assert_eq!(runs(), "xx");
    }
}
