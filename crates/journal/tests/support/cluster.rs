//! A PostgreSQL server of this test program's own: no port, no share in anybody else's, gone when the program is.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

/// Where the programs are, when not where Debian puts them.
const PROGRAMS: &str = "COUNTERSIGN_POSTGRES_BIN";

struct Cluster {
    folder: PathBuf,
    /// Its standard input is open as long as this program lives.
    _server: Child,
}

fn programs() -> PathBuf {
    if let Some(set) = std::env::var_os(PROGRAMS) {
        return set.into();
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql").expect("`cargo xtask test` installs PostgreSQL");
    let mut folders: Vec<PathBuf> = versions.map(|version| version.unwrap().path().join("bin")).collect();
    folders.sort();
    folders.pop().expect("a version of PostgreSQL")
}

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        // The server's own script removes it.
        let folder = tempfile::Builder::new().prefix("cs-pg-").tempdir().unwrap().keep();
        let mut server = Command::new("sh")
            .arg("-c")
            .arg(include_str!("cluster.sh"))
            .arg("cluster.sh")
            .args([&folder, &programs()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert_eq!(line, "ready\n", "PostgreSQL did not start");
        Cluster {
            folder,
            _server: server,
        }
    })
}

fn url(folder: &Path, database: &str) -> String {
    format!(
        "postgresql://countersign@localhost/{database}?host={}",
        folder.display()
    )
}

/// The address of a database of its own, empty.
pub(crate) fn new_url() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let folder = &cluster().folder;
    let name = format!("journal_{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let mut create = Command::new(programs().join("createdb"));
    create.arg("-h").arg(folder).args(["-U", "countersign", &name]);
    assert!(create.status().unwrap().success());
    url(folder, &name)
}
