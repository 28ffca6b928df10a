//! The programs under test: those of this very build, or they are built first.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::SystemTime,
};

use anyhow::{Context as _, Result, anyhow, bail};

/// The three programs of a deployment. The command line finds the others beside itself.
const PROGRAMS: [&str; 3] = ["countersign", "countersign-signer", "countersign-orchestrator"];
/// The packages that make them.
const PACKAGES: [&str; 3] = ["countersign-cli", "countersign-signerd", "countersign-orchestrator"];
/// Names a folder with programs that somebody else has built, which are taken as they are.
const VARIABLE: &str = "COUNTERSIGN_BINARIES";
/// What they are made from, below the workspace's root.
const SOURCES: [&str; 4] = ["Cargo.lock", "crates", "chains", "proto"];

/// The root of the workspace that this was built from.
pub fn workspace_root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// A folder with the three programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    folder: PathBuf,
}

impl Binaries {
    /// Those beside this executable. `cargo test` builds the programs of packages whose own tests need them and no others,
    /// so one that is missing or older than its sources is built here, once in a process; cargo's lock keeps processes
    /// apart.
    pub fn locate() -> Result<&'static Self> {
        static FOUND: OnceLock<Result<Binaries, String>> = OnceLock::new();
        let found = FOUND.get_or_init(|| Self::find().map_err(|error| format!("{error:#}")));
        found.as_ref().map_err(|error| anyhow!("{error}"))
    }

    fn find() -> Result<Self> {
        if let Some(folder) = env::var_os(VARIABLE).filter(|folder| !folder.is_empty()) {
            let folder = PathBuf::from(folder);
            return Self { folder }.complete();
        }
        let own = env::current_exe().context("this executable is nowhere")?;
        let mut folder = own.parent().context("this executable is in no folder")?;
        if folder
            .file_name()
            .is_some_and(|name| name == "deps" || name == "examples")
        {
            folder = folder.parent().context("`deps` is in no folder")?;
        }
        let binaries = Self {
            folder: folder.to_owned(),
        };
        if !binaries.are_fresh()? {
            binaries.build()?;
        }
        binaries.complete()
    }

    /// The path of one program.
    pub fn path(&self, program: &str) -> PathBuf {
        self.folder.join(program)
    }

    fn are_fresh(&self) -> Result<bool> {
        let root = workspace_root();
        let mut newest = SystemTime::UNIX_EPOCH;
        for source in SOURCES {
            newest = newest.max(newest_below(&root.join(source))?);
        }
        let is_fresh = |program| modified(&self.path(program)).is_ok_and(|built| built >= newest);
        Ok(PROGRAMS.into_iter().all(is_fresh))
    }

    fn build(&self) -> Result<()> {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build
            .current_dir(workspace_root())
            .args(["build", "--quiet", "--locked"]);
        if self.folder.file_name().is_some_and(|name| name == "release") {
            build.arg("--release");
        }
        for package in PACKAGES {
            build.args(["-p", package]);
        }
        let output = build.output().context("cannot run cargo")?;
        if !output.status.success() {
            bail!(
                "the programs do not build:\n{}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(())
    }

    fn complete(self) -> Result<Self> {
        let mut paths = PROGRAMS.into_iter().map(|program| self.path(program));
        match paths.find(|path| !path.is_file()) {
            Some(path) => bail!("`{}` is missing", path.display()),
            None => Ok(self),
        }
    }
}

fn modified(path: &Path) -> Result<SystemTime> {
    let modified = fs::metadata(path).and_then(|metadata| metadata.modified());
    modified.with_context(|| format!("cannot see `{}`", path.display()))
}

/// The last change of a file, or of any file that a program is made from below a folder.
fn newest_below(path: &Path) -> Result<SystemTime> {
    let is_left_out = |name: &str| matches!(name, "tests" | "vectors" | "examples" | "target");
    if !path.is_dir() {
        return modified(path);
    }
    let mut newest = SystemTime::UNIX_EPOCH;
    let entries = fs::read_dir(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    for entry in entries {
        let entry = entry?;
        if !is_left_out(&entry.file_name().to_string_lossy()) {
            newest = newest.max(newest_below(&entry.path())?);
        }
    }
    Ok(newest)
}
