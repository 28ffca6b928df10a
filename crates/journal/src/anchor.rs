//! The anchor: the head of the commit chain, kept outside the database, so that an older copy of it is noticed.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    str::FromStr,
};

use countersign_types::GenesisHash;
use data_encoding::HEXLOWER;

use crate::OpenError;

/// The first line. Another version is another file format.
const HEADER: &str = "countersign journal anchor v1";
/// More than any anchor has; a larger file is something else.
const MAX_ANCHOR_BYTES: u64 = 1_024;

/// A commit that the database must contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Anchor {
    /// Whose journal.
    pub(crate) deployment: GenesisHash,
    /// The commit's number.
    pub(crate) number: u64,
    /// The commit's hash.
    pub(crate) hash: [u8; 32],
}

impl Anchor {
    fn to_text(self) -> String {
        format!(
            "{HEADER}\ndeployment {}\ncommit {}\nhash {}\n",
            self.deployment,
            self.number,
            HEXLOWER.encode(&self.hash)
        )
    }

    /// Reads the file; `None` where there is none.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>, OpenError> {
        let io = |source| OpenError::Io {
            path: path.to_owned(),
            source,
        };
        let malformed = || OpenError::AnchorMalformed(path.to_owned());
        match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io(error)),
            Ok(metadata) if metadata.len() > MAX_ANCHOR_BYTES => return Err(malformed()),
            Ok(_) => {}
        }
        let text = fs::read(path).map_err(io)?;
        let text = String::from_utf8(text).map_err(|_| malformed())?;
        text.parse().map(Some).map_err(|BadAnchor| malformed())
    }

    /// Replaces the file: after a crash it holds this anchor or the one before, never a part of one. Refuses to go
    /// back: a signer that was replaced may still be about to write what its successor has already overtaken.
    pub(crate) fn write(self, path: &Path) -> Result<(), OpenError> {
        let io = |source| OpenError::Io {
            path: path.to_owned(),
            source,
        };
        // Held until the end of the function, and released by the system if we die in it.
        let lock = open_private(&beside(path, ".lock")).map_err(io)?;
        lock.lock().map_err(io)?;
        if let Some(newer) = Self::read(path)?.filter(|anchor| anchor.number > self.number) {
            let reason = format!(
                "it names commit {} already, this is commit {}",
                newer.number, self.number
            );
            return Err(io(io::Error::other(reason)));
        }
        self.replace(path).map_err(io)
    }

    fn replace(self, path: &Path) -> io::Result<()> {
        let temporary = beside(path, ".new");
        let mut file = open_private(&temporary)?;
        file.write_all(self.to_text().as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        sync_directory(path)
    }
}

/// Not an anchor's text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadAnchor;

impl FromStr for Anchor {
    type Err = BadAnchor;
    fn from_str(text: &str) -> Result<Self, BadAnchor> {
        let lines: Vec<&str> = text.split('\n').collect();
        let [HEADER, deployment, number, hash, ""] = lines.as_slice() else {
            return Err(BadAnchor);
        };
        let value = |line: &str, name: &str| line.strip_prefix(name).map(str::to_owned).ok_or(BadAnchor);
        let hash = value(hash, "hash ")?;
        let hash = HEXLOWER.decode(hash.as_bytes()).map_err(|_| BadAnchor)?;
        let anchor = Self {
            deployment: value(deployment, "deployment ")?.parse().map_err(|_| BadAnchor)?,
            number: value(number, "commit ")?.parse().map_err(|_| BadAnchor)?,
            hash: hash.try_into().map_err(|_| BadAnchor)?,
        };
        // One anchor has one text.
        if anchor.to_text() != text {
            return Err(BadAnchor);
        }
        Ok(anchor)
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn open_private(path: &Path) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// A rename is durable only once its directory is.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    fs::File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anchor() -> Anchor {
        Anchor {
            deployment: GenesisHash::of(b"genesis"),
            number: 42,
            hash: [0xab; 32],
        }
    }

    #[test]
    fn an_anchor_reads_back_and_replaces_the_one_before() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("anchor");
        assert_eq!(Anchor::read(&path).unwrap(), None);
        for number in [1, 2] {
            let anchor = Anchor { number, ..anchor() };
            anchor.write(&path).unwrap();
            assert_eq!(Anchor::read(&path).unwrap(), Some(anchor));
        }
        let mut files: Vec<_> = fs::read_dir(directory.path())
            .unwrap()
            .map(|file| file.unwrap().file_name())
            .collect();
        files.sort();
        assert_eq!(files, ["anchor", "anchor.lock"], "no temporary file stays");
    }

    #[test]
    fn an_anchor_does_not_go_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("anchor");
        anchor().write(&path).unwrap();
        anchor().write(&path).unwrap();
        let older = Anchor { number: 41, ..anchor() };
        assert!(matches!(older.write(&path), Err(OpenError::Io { .. })));
        assert_eq!(Anchor::read(&path).unwrap(), Some(anchor()));
    }

    #[test]
    fn one_anchor_has_one_text() {
        let good = anchor().to_text();
        assert_eq!(good.parse::<Anchor>(), Ok(anchor()));
        let mutations = [
            good.replace("v1", "v2"),
            good.replace("commit 42", "commit 042"),
            good.replace("commit 42", "commit +42"),
            good.replace("abab", "ABAB"),
            good.replace("hash ab", "hash "),
            good.trim_end().to_owned(),
            format!("{good}\n"),
            good.replace("deployment sha256:", "deployment "),
            String::new(),
        ];
        for bad in mutations {
            assert_eq!(bad.parse::<Anchor>(), Err(BadAnchor), "{bad}");
        }
    }

    #[test]
    fn a_torn_or_foreign_file_is_malformed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("anchor");
        for bytes in [&b""[..], b"countersign journal", &[0xff; 8], &[b'a'; 4096]] {
            fs::write(&path, bytes).unwrap();
            assert!(matches!(Anchor::read(&path), Err(OpenError::AnchorMalformed(_))));
        }
    }
}
