//! What the tests need that cargo does not bring: Debian packages, and what `integration/tools` pins, each with the reason.

mod pinned;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell;

/// A Debian package and why the tests want it.
pub(crate) struct Package {
    pub(crate) name: &'static str,
    /// What does instead, when it succeeds without the package (a Node from elsewhere).
    instead: Instead,
    why: &'static str,
}

/// How a machine may have what a package brings without having the package.
enum Instead {
    Nothing,
    /// A program in `PATH`.
    Program(&'static str),
    /// A module that Python can import.
    PythonModule(&'static str),
}

pub(crate) const SOFTHSM: Package = Package {
    name: "softhsm2",
    instead: Instead::Nothing,
    why: "the PKCS#11 module that the HSM backend is tested with",
};

const TEST_PACKAGES: [Package; 7] = [
    SOFTHSM,
    Package {
        name: "openssh-client",
        instead: Instead::Program("ssh-keygen"),
        why: "`ssh-keygen -Y sign` makes the signatures that we must verify",
    },
    Package {
        name: "nodejs",
        instead: Instead::Program("node"),
        why: "runs npm, and the Bitcoin libraries that judge our transactions",
    },
    Package {
        name: "npm",
        instead: Instead::Program("npm"),
        why: "brings anvil, test vectors and Bitcoin libraries",
    },
    Package {
        name: "postgresql",
        instead: Instead::Nothing,
        why: "the database that several signers share; tests start private clusters from its programs",
    },
    Package {
        name: "python3",
        instead: Instead::Program("python3"),
        why: "runs the executable specification of Ethereum, and LiteSVM",
    },
    Package {
        name: "python3-venv",
        instead: Instead::PythonModule("ensurepip"),
        why: "gives them an environment of their own",
    },
];

/// Something whose place is passed to the tests as an environment variable.
pub(crate) struct Tool {
    pub(crate) variable: &'static str,
    /// What tests do with it.
    pub(crate) why: &'static str,
    find: fn(&Path) -> Option<PathBuf>,
}

pub(crate) const PKCS11: Tool = Tool {
    variable: "COUNTERSIGN_PKCS11_MODULE",
    why: "tests of the HSM backend use this PKCS#11 module",
    find: |_| find_pkcs11_module(),
};

const TOOLS: [Tool; 5] = [
    Tool {
        variable: "COUNTERSIGN_ANVIL",
        why: "tests hold us against this EVM node",
        find: pinned::find_anvil,
    },
    Tool {
        variable: "COUNTERSIGN_NODE_MODULES",
        why: "tests hold us against the vectors and Bitcoin libraries in this folder",
        find: pinned::find_node_modules,
    },
    PKCS11,
    Tool {
        variable: "COUNTERSIGN_PYTHON",
        why: "tests hold us against Ethereum's executable specification and LiteSVM in this environment",
        find: pinned::find_python,
    },
    Tool {
        variable: "COUNTERSIGN_CORE_VECTORS",
        why: "tests hold us against Bitcoin Core's vectors in this folder",
        find: pinned::find_core_vectors,
    },
];

impl Tool {
    /// Where it is on this machine now. A variable that is already set wins over what we would find.
    pub(crate) fn path(&self, root: &Path) -> Option<PathBuf> {
        let preset = std::env::var_os(self.variable).filter(|value| !value.is_empty());
        preset.map(PathBuf::from).or_else(|| (self.find)(root))
    }
}

/// The tools of this machine.
#[derive(Default)]
pub(crate) struct Tools {
    found: Vec<(&'static Tool, PathBuf)>,
    missing: Vec<&'static Tool>,
}

impl Tools {
    pub(crate) fn find(root: &Path) -> Self {
        let mut tools = Self::default();
        for tool in &TOOLS {
            match tool.path(root) {
                Some(path) => tools.found.push((tool, path)),
                None => tools.missing.push(tool),
            }
        }
        tools
    }

    pub(crate) fn variables(&self) -> Vec<(&'static str, &Path)> {
        self.found
            .iter()
            .map(|(tool, path)| (tool.variable, path.as_path()))
            .collect()
    }

    pub(crate) fn missing(&self) -> &[&'static Tool] {
        &self.missing
    }

    /// Where everything was to be installed, a test that skips because a tool is missing would pass for one that ran.
    pub(crate) fn certify_whole(&self) -> Result<()> {
        match self.missing.first() {
            None => Ok(()),
            Some(tool) => bail!(
                "nothing for {} is here after installing ({}); set it, or use --no-install",
                tool.variable,
                tool.why
            ),
        }
    }
}

/// Installs what is missing and says what and why.
pub(crate) fn install_for_tests(root: &Path) -> Result<()> {
    install_packages(&TEST_PACKAGES)?;
    pinned::install(root)?;
    Tools::find(root).certify_whole()
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
    let has_other = match package.instead {
        Instead::Nothing => false,
        Instead::Program(program) => shell::is_installed(program),
        Instead::PythonModule(module) => {
            shell::output(Command::new("python3").args(["-c", &format!("import {module}")])).is_ok()
        }
    };
    if has_other {
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

    const ANYTHING: Tool = Tool {
        variable: "COUNTERSIGN_NO_SUCH_VARIABLE",
        why: "a test",
        find: |root| Some(root.join("tool")),
    };

    #[test]
    fn only_what_was_found_is_passed_on() {
        let tools = Tools {
            found: vec![(&ANYTHING, "/a/tool".into())],
            missing: vec![],
        };
        assert_eq!(tools.variables(), [(ANYTHING.variable, Path::new("/a/tool"))]);
        assert!(tools.certify_whole().is_ok());
    }

    #[test]
    fn what_is_still_missing_after_installing_is_an_error() {
        let tools = Tools {
            found: vec![],
            missing: vec![&ANYTHING],
        };
        let error = tools.certify_whole().unwrap_err().to_string();
        assert!(error.contains(ANYTHING.variable), "{error}");
    }

    #[test]
    fn a_tool_is_looked_for_below_the_root() {
        assert_eq!(ANYTHING.path(Path::new("/root")), Some("/root/tool".into()));
    }

    #[test]
    fn a_package_counts_as_present_when_something_does_instead() {
        let package = |instead| Package {
            name: "no-such-debian-package",
            instead,
            why: "a test",
        };
        assert!(is_present(&package(Instead::Program("sh"))));
        assert!(!is_present(&package(Instead::Program("no-such-program-here"))));
        assert!(!is_present(&package(Instead::PythonModule("no_such_module_here"))));
        assert!(!is_present(&package(Instead::Nothing)));
    }
}
