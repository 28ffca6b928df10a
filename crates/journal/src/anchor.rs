//! The anchor: the head of the commit chain, kept outside the database, so that an older copy of it is noticed.
//!
//! The file has two slots of one block each. A write goes over the older one in place and costs one `fdatasync`: its length,
//! name and directory stay as they are. A crash in the middle of it leaves the other slot, which is the anchor before
//! (docs/adr/0030).

use std::{
    cmp::Ordering,
    fs,
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use countersign_types::GenesisHash;
use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use crate::OpenError;

/// The first line. Another version is another file format.
const HEADER: &str = "countersign journal anchor v3";
/// Slots without a bundle: read, and overwritten by the next writes.
const HEADER_V2: &str = "countersign journal anchor v2";
/// Files of one anchor, which is replaced as a whole: read, and made into two slots by the next write.
const HEADER_V1: &str = "countersign journal anchor v1";
/// A slot is a block of its own, so that no torn write reaches the other one.
const SLOT_BYTES: usize = 4_096;
/// Where the second slot begins: [`SLOT_BYTES`].
const SECOND_SLOT: u64 = 4_096;
/// One more than two slots: a larger file is something else.
const MAX_FILE_BYTES: u64 = 2 * SECOND_SLOT + 1;

/// A commit that the database must contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Anchor {
    /// Whose journal.
    pub(crate) deployment: GenesisHash,
    /// The commit's number.
    pub(crate) number: u64,
    /// The commit's hash.
    pub(crate) hash: [u8; 32],
    /// The version of the bundle in force at that commit. 0: none, or written by an earlier version of this program.
    pub(crate) bundle: u64,
}

/// One of the two places of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    First,
    Second,
}

impl Slot {
    fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }

    fn offset(self) -> SeekFrom {
        SeekFrom::Start(match self {
            Self::First => 0,
            Self::Second => SECOND_SLOT,
        })
    }
}

/// What an anchor file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    /// Version 1: one anchor.
    Whole(Anchor),
    /// The newest of two slots.
    Slotted(Anchor, Slot),
}

impl Content {
    fn anchor(self) -> Anchor {
        match self {
            Self::Whole(anchor) | Self::Slotted(anchor, _) => anchor,
        }
    }

    fn parse(bytes: &[u8]) -> Result<Self, BadAnchor> {
        let slots = bytes.split_at_checked(SLOT_BYTES);
        let Some((first, second)) = slots.filter(|(_, second)| second.len() == SLOT_BYTES) else {
            return parse_text(text_of(bytes)?, Format::V1).map(Self::Whole);
        };
        match (parse_slot(first), parse_slot(second)) {
            (Ok(first), Ok(second)) if first.deployment != second.deployment => Err(BadAnchor),
            (Ok(first), Ok(second)) => match first.number.cmp(&second.number) {
                Ordering::Greater => Ok(Self::Slotted(first, Slot::First)),
                Ordering::Less => Ok(Self::Slotted(second, Slot::Second)),
                Ordering::Equal if first == second => Ok(Self::Slotted(first, Slot::First)),
                Ordering::Equal => Err(BadAnchor),
            },
            // A crash tore the other one, before the commit that it would have named was answered.
            (Ok(anchor), Err(BadAnchor)) => Ok(Self::Slotted(anchor, Slot::First)),
            (Err(BadAnchor), Ok(anchor)) => Ok(Self::Slotted(anchor, Slot::Second)),
            (Err(BadAnchor), Err(BadAnchor)) => Err(BadAnchor),
        }
    }

    fn read(path: &Path) -> Result<Option<Self>, OpenError> {
        let io = |source| OpenError::Io {
            path: path.to_owned(),
            source,
        };
        let file = match fs::File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(io)?,
        };
        let mut bytes = Vec::new();
        file.take(MAX_FILE_BYTES).read_to_end(&mut bytes).map_err(io)?;
        let parsed = Self::parse(&bytes).map_err(|BadAnchor| OpenError::AnchorMalformed(path.to_owned()));
        parsed.map(Some)
    }
}

impl Anchor {
    fn to_text(self, format: Format) -> String {
        let bundle = match format {
            Format::V1 | Format::V2 => String::new(),
            Format::V3 => format!("bundle {}\n", self.bundle),
        };
        format!(
            "{}\ndeployment {}\ncommit {}\nhash {}\n{bundle}",
            format.header(),
            self.deployment,
            self.number,
            HEXLOWER.encode(&self.hash)
        )
    }

    fn to_slot(self) -> Vec<u8> {
        self.to_slot_of(Format::V3)
    }

    /// The text, its sum, and empty lines to the end of the slot.
    fn to_slot_of(self, format: Format) -> Vec<u8> {
        let text = self.to_text(format);
        let mut slot = format!("{text}sum {}\n", sum(&text)).into_bytes();
        slot.resize(SLOT_BYTES, b'\n');
        slot
    }

    /// Reads the file; `None` where there is none.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>, OpenError> {
        Ok(Content::read(path)?.map(Content::anchor))
    }

    /// Writes the file: after a crash it holds this anchor or the one before, never a part of one. Refuses to go
    /// back: a signer that was replaced may still be about to write what its successor has already overtaken.
    pub(crate) fn write(self, path: &Path) -> Result<(), OpenError> {
        let io = |source| OpenError::Io {
            path: path.to_owned(),
            source,
        };
        // Held until the end of the function, and released by the system if we die in it.
        let lock = open_private(&beside(path, ".lock")).map_err(io)?;
        lock.lock().map_err(io)?;
        let found = Content::read(path)?;
        if let Some(newer) = found.map(Content::anchor).filter(|anchor| anchor.number > self.number) {
            let reason = format!(
                "it names commit {} already, this is commit {}",
                newer.number, self.number
            );
            return Err(io(io::Error::other(reason)));
        }
        match found {
            None | Some(Content::Whole(_)) => self.replace(path),
            // Written before, perhaps in vain: the other slot is the one that is certain to be on the disk.
            Some(Content::Slotted(newest, slot)) if newest.number == self.number => self.overwrite(path, slot),
            Some(Content::Slotted(_, slot)) => self.overwrite(path, slot.other()),
        }
        .map_err(io)
    }

    fn overwrite(self, path: &Path, slot: Slot) -> io::Result<()> {
        let mut file = fs::OpenOptions::new().write(true).open(path)?;
        file.seek(slot.offset())?;
        file.write_all(&self.to_slot())?;
        file.sync_data()
    }

    /// A new file, with this anchor in both slots.
    fn replace(self, path: &Path) -> io::Result<()> {
        let temporary = beside(path, ".new");
        let mut file = open_private(&temporary)?;
        file.set_len(0)?;
        file.write_all(&self.to_slot())?;
        file.write_all(&self.to_slot())?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        sync_directory(path)
    }
}

/// A version of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    V1,
    V2,
    V3,
}

impl Format {
    fn header(self) -> &'static str {
        match self {
            Self::V1 => HEADER_V1,
            Self::V2 => HEADER_V2,
            Self::V3 => HEADER,
        }
    }
}

/// Not an anchor's text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadAnchor;

fn text_of(bytes: &[u8]) -> Result<&str, BadAnchor> {
    std::str::from_utf8(bytes).map_err(|_| BadAnchor)
}

fn sum(text: &str) -> String {
    HEXLOWER.encode(&Sha256::digest(text.as_bytes()))
}

fn parse_slot(slot: &[u8]) -> Result<Anchor, BadAnchor> {
    let (text, _) = text_of(slot)?.split_once("sum ").ok_or(BadAnchor)?;
    let format = match text.starts_with(HEADER_V2) {
        true => Format::V2,
        false => Format::V3,
    };
    let anchor = parse_text(text, format)?;
    // One anchor has one slot: this compares the sum and the empty lines as well.
    match anchor.to_slot_of(format) == slot {
        true => Ok(anchor),
        false => Err(BadAnchor),
    }
}

fn parse_text(text: &str, format: Format) -> Result<Anchor, BadAnchor> {
    let lines: Vec<&str> = text.split('\n').collect();
    let (deployment, number, hash, bundle) = match (format, lines.as_slice()) {
        (Format::V1 | Format::V2, [_, deployment, number, hash, ""]) => (deployment, number, hash, "bundle 0"),
        (Format::V3, [_, deployment, number, hash, bundle, ""]) => (deployment, number, hash, *bundle),
        (Format::V1 | Format::V2 | Format::V3, _) => return Err(BadAnchor),
    };
    let value = |line: &str, name: &str| line.strip_prefix(name).map(str::to_owned).ok_or(BadAnchor);
    let hash = value(hash, "hash ")?;
    let hash = HEXLOWER.decode(hash.as_bytes()).map_err(|_| BadAnchor)?;
    let anchor = Anchor {
        deployment: value(deployment, "deployment ")?.parse().map_err(|_| BadAnchor)?,
        number: value(number, "commit ")?.parse().map_err(|_| BadAnchor)?,
        hash: hash.try_into().map_err(|_| BadAnchor)?,
        bundle: value(bundle, "bundle ")?.parse().map_err(|_| BadAnchor)?,
    };
    // One anchor has one text.
    if anchor.to_text(format) != text {
        return Err(BadAnchor);
    }
    Ok(anchor)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn open_private(path: &Path) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    // Not truncated: the lock is opened for every commit, and must not become a write of its own.
    options.write(true).create(true).truncate(false);
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
            bundle: 7,
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

    /// What a crash in the middle of a write can leave: some of the new slot over some of the old one.
    #[test]
    fn a_torn_write_leaves_the_anchor_before() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("anchor");
        for number in 42..46 {
            let before = Anchor { number, ..anchor() };
            before.write(&path).unwrap();
            let next = Anchor {
                number: number + 1,
                hash: [0xcd; 32],
                ..before
            };
            let bytes = fs::read(&path).unwrap();
            next.write(&path).unwrap();
            let written = fs::read(&path).unwrap();
            let changed: Vec<usize> = (0..written.len()).filter(|at| written[*at] != bytes[*at]).collect();
            let (first, last) = (changed[0], changed[changed.len() - 1]);
            assert_eq!(first / SLOT_BYTES, last / SLOT_BYTES, "one slot is written");
            for torn_at in first + 1..=last {
                let torn = [&written[..torn_at], &bytes[torn_at..]].concat();
                assert_eq!(Content::parse(&torn).unwrap().anchor(), before, "{number} {torn_at}");
                let other_half = [&bytes[..torn_at], &written[torn_at..]].concat();
                assert_eq!(
                    Content::parse(&other_half).unwrap().anchor(),
                    before,
                    "{number} {torn_at}"
                );
            }
            fs::write(&path, bytes).unwrap();
        }
    }

    /// A write whose sync failed is done again where it was: the other slot is the only one known to be on the disk.
    #[test]
    fn the_same_anchor_again_leaves_the_other_slot_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("anchor");
        for number in [41, 42] {
            Anchor { number, ..anchor() }.write(&path).unwrap();
        }
        let before = fs::read(&path).unwrap();
        anchor().write(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), before);
        for number in [41, 42] {
            let slot = Anchor { number, ..anchor() }.to_slot();
            assert!(before.chunks(SLOT_BYTES).any(|found| found == slot), "{number}");
        }
    }

    #[test]
    fn a_file_of_version_1_is_read_and_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("anchor");
        let text = format!(
            "countersign journal anchor v1\ndeployment {}\ncommit 42\nhash {}\n",
            GenesisHash::of(b"genesis"),
            "ab".repeat(32)
        );
        fs::write(&path, text).unwrap();
        assert_eq!(Anchor::read(&path).unwrap(), Some(Anchor { bundle: 0, ..anchor() }));
        let older = Anchor { number: 41, ..anchor() };
        assert!(older.write(&path).is_err());
        let newer = Anchor { number: 43, ..anchor() };
        newer.write(&path).unwrap();
        assert_eq!(Anchor::read(&path).unwrap(), Some(newer));
        assert_eq!(fs::read(&path).unwrap().len(), 2 * SLOT_BYTES);
    }

    #[test]
    fn slots_of_version_2_are_read_and_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("anchor");
        let old = |number| Anchor {
            number,
            bundle: 0,
            ..anchor()
        };
        let slots = [41, 42].map(|number| old(number).to_slot_of(Format::V2));
        assert!(slots[0].starts_with(b"countersign journal anchor v2\ndeployment sha256:"));
        fs::write(&path, slots.concat()).unwrap();
        assert_eq!(Anchor::read(&path).unwrap(), Some(old(42)));
        for number in [43, 44] {
            let newer = Anchor { number, ..anchor() };
            newer.write(&path).unwrap();
            assert_eq!(Anchor::read(&path).unwrap(), Some(newer));
        }
        let mut bad = anchor().to_slot();
        bad.splice(28..29, *b"2");
        assert_eq!(parse_slot(&bad), Err(BadAnchor), "a bundle under the old header");
    }

    #[test]
    fn one_anchor_has_one_text() {
        let good = anchor().to_text(Format::V3);
        assert_eq!(parse_text(&good, Format::V3), Ok(anchor()));
        let mutations = [
            good.replace("v3", "v2"),
            good.replace("v3", "v1"),
            good.replace("bundle 7", "bundle 07"),
            good.replace("bundle 7\n", ""),
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
            assert_eq!(parse_text(&bad, Format::V3), Err(BadAnchor), "{bad}");
        }
    }

    #[test]
    fn every_byte_of_a_slot_counts() {
        let slot = anchor().to_slot();
        assert_eq!(parse_slot(&slot), Ok(anchor()));
        for at in 0..slot.len() {
            let mut bad = slot.clone();
            bad[at] ^= 1;
            assert_eq!(parse_slot(&bad), Err(BadAnchor), "{at}");
        }
    }

    #[test]
    fn a_foreign_file_is_malformed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("anchor");
        let slot = anchor().to_slot();
        let elsewhere = Anchor {
            deployment: GenesisHash::of(b"another"),
            ..anchor()
        };
        let of_another_history = Anchor {
            hash: [1; 32],
            ..anchor()
        };
        let files: [Vec<u8>; 9] = [
            Vec::new(),
            b"countersign journal".to_vec(),
            vec![0xff; 8],
            vec![b'a'; 2 * SLOT_BYTES],
            vec![0; 2 * SLOT_BYTES],
            slot.clone(),
            [slot.clone(), slot.clone(), b"\n".to_vec()].concat(),
            [slot.clone(), elsewhere.to_slot()].concat(),
            [slot, of_another_history.to_slot()].concat(),
        ];
        for bytes in files {
            fs::write(&path, bytes).unwrap();
            assert!(matches!(Anchor::read(&path), Err(OpenError::AnchorMalformed(_))));
            assert!(matches!(anchor().write(&path), Err(OpenError::AnchorMalformed(_))));
        }
    }
}
