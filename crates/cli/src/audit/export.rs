//! `countersign audit export`: a copy of the log that was verified against its signed checkpoint.
//!
//! `entries.jsonl` holds one entry a line, byte for byte as it is hashed (entries are JSON without line breaks), and
//! `checkpoint` the signed note that the whole copy was verified against. An export goes on where the last one ended; it
//! never trusts what it finds: the root is computed over every line again. With `--receipts` the receipt of every signed withdrawal
//! lies beside it in `receipts/`: entries have bytes and statements by digest only, so whoever decides them again needs those.

mod receipts;

use std::{
    fmt,
    fs::{File, OpenOptions},
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
};

use clap::Args;
use countersign_approval::Genesis;
use countersign_audit::{Checkpoint, Frontier, LeafHash, MAX_ENTRY_BYTES, SignedCheckpoint};
use countersign_client::PeopleClient;
use countersign_types::{Tag, Timestamp};
use serde::Serialize;

use crate::{
    connect,
    environment::Environment,
    failure::{Failure, Result},
    files,
    output::Output,
    trust,
};

/// The most that one call returns.
const PAGE_ENTRIES: u32 = 256;
/// Entries are served as of the latest checkpoint; ours is that or an earlier one, and the root over all of them decides.
const LATEST: u64 = 0;
const AUDITOR: &str = "auditor";
/// The entries, one a line.
const ENTRIES: &str = "entries.jsonl";
/// The signed note that the entries were verified against.
const CHECKPOINT: &str = "checkpoint";

/// Copy the audit log and verify it: the root over all entries is that of the checkpoint, which the log key signed.
///
/// Repeating the command goes on behind the entries that are there. The exit code is 6 if the log does not verify; then the
/// old checkpoint stays.
#[derive(Debug, Args)]
#[command(
    after_help = "JSON: {entries, fetched, receipts, root, as_of}; receipts: how many were copied now; as_of in Unix milliseconds"
)]
pub(crate) struct Export {
    /// The environment.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Where the copy lives.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Drop entries from this index on and fetch them again.
    #[arg(long, value_name = "INDEX")]
    from: Option<u64>,
    /// Also copy the receipt of every signed withdrawal into `receipts/`, each verified: `policy simulate` reads the folder.
    #[arg(long)]
    receipts: bool,
}

/// The result: `{"entries","fetched","receipts","root","as_of"}`.
#[derive(Debug, Serialize)]
struct Exported {
    entries: u64,
    fetched: u64,
    receipts: u64,
    root: String,
    as_of: Timestamp,
}

impl fmt::Display for Exported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "verified     {} entries ({} new)", self.entries, self.fetched)?;
        if self.receipts > 0 {
            writeln!(f, "receipts     {} copied and verified", self.receipts)?;
        }
        writeln!(f, "root         {}", self.root)?;
        write!(f, "as of        {}", self.as_of)
    }
}

impl Export {
    pub(super) async fn run(self, output: Output) -> Result<()> {
        let environment = Environment::open(&self.dir)?;
        let genesis = environment.genesis()?;
        let people = connect::people(&environment.layout(), AUDITOR).await?;
        files::create_folder(&self.out)?;
        let signed = people.checkpoint().await;
        let signed = signed.map_err(|error| Failure::answered("signer", &error))?;
        let checkpoint = verified(&signed, &genesis)?;
        let mut copy = Copy::open(&self.out, self.from)?;
        let fetched = copy.catch_up(&people, u64::from(checkpoint.head().size())).await?;
        copy.certify(&checkpoint)?;
        files::write(&self.out.join(CHECKPOINT), &signed)?;
        let receipts = match self.receipts {
            true => {
                receipts::copy(
                    &self.out,
                    &people,
                    &files::read(&environment.layout().genesis())?,
                    fetched,
                )
                .await?
            }
            false => 0,
        };
        output.report(&Exported {
            entries: u64::from(checkpoint.head().size()),
            fetched,
            receipts,
            root: checkpoint.head().root().to_string(),
            as_of: checkpoint.made_at(),
        })
    }
}

fn unverified(why: impl fmt::Display) -> Failure {
    Failure::unverified(Tag::ReceiptInvalid, why)
}

fn verified(signed: &[u8], genesis: &Genesis) -> Result<Checkpoint> {
    let note = SignedCheckpoint::parse(signed).map_err(|error| unverified(format!("the checkpoint: {error}")))?;
    let key = trust::log_key(genesis)?;
    let verified = note
        .verify(&key)
        .map_err(|error| unverified(format!("the checkpoint: {error}")))?;
    Ok(verified.checkpoint().clone())
}

pub(crate) use receipts::{Exported as ExportedLog, is_export};

/// Reads a copy that was exported earlier, and changes nothing: what is in it is what the log key signed, or it is an error.
fn read_verified(folder: &Path, genesis: &Genesis, mut each: impl FnMut(u64, &[u8]) -> Result<()>) -> Result<u64> {
    let checkpoint = verified(&files::read(&folder.join(CHECKPOINT))?, genesis)?;
    let path = folder.join(ENTRIES);
    let failed = |error: std::io::Error| Failure::file(&path, "read", error);
    let mut reader = BufReader::new(File::open(&path).map_err(failed)?);
    let (mut frontier, mut line) = (Frontier::empty(), Vec::new());
    let size = u64::from(checkpoint.head().size());
    // An export that was interrupted may have lines behind its checkpoint: they are not vouched for, and not read.
    while u64::from(frontier.size()) < size {
        line.clear();
        reader.read_until(b'\n', &mut line).map_err(failed)?;
        let Some(entry) = line.strip_suffix(b"\n") else { break };
        each(u64::from(frontier.size()), entry)?;
        append(&mut frontier, entry)?;
    }
    let (found, signed) = (frontier.head(), checkpoint.head());
    if found == *signed {
        return Ok(size);
    }
    let why = format!(
        "`{}` is not the log that its checkpoint signs: {} of {} entries, root {} instead of {}",
        path.display(),
        found.size(),
        signed.size(),
        found.root(),
        signed.root()
    );
    Err(unverified(why))
}

/// The copy on disk, with the tree over it.
struct Copy {
    path: PathBuf,
    file: File,
    frontier: Frontier,
}

impl Copy {
    /// Reads the lines that are there. A last line that was cut off is dropped.
    fn open(folder: &Path, from: Option<u64>) -> Result<Self> {
        let path = folder.join(ENTRIES);
        let failed = |error: std::io::Error| Failure::file(&path, "use", error);
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(&path)
            .map_err(failed)?;
        let mut frontier = Frontier::empty();
        let mut reader = BufReader::new(&file);
        let (mut kept, mut line) = (0_u64, Vec::new());
        while from.is_none_or(|from| u64::from(frontier.size()) < from) {
            line.clear();
            let read = reader.read_until(b'\n', &mut line).map_err(failed)?;
            let Some(entry) = line.strip_suffix(b"\n") else { break };
            append(&mut frontier, entry)?;
            kept = kept.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
        }
        file.set_len(kept).map_err(failed)?;
        Ok(Self { path, file, frontier })
    }

    fn size(&self) -> u64 {
        u64::from(self.frontier.size())
    }

    /// Fetches what is missing up to a size; returns how many entries came.
    async fn catch_up(&mut self, people: &PeopleClient, size: u64) -> Result<u64> {
        let start = self.size();
        while self.size() < size {
            let missing = size.saturating_sub(self.size());
            let count = u32::try_from(missing).unwrap_or(PAGE_ENTRIES).min(PAGE_ENTRIES);
            let page = people.entries(self.size(), count, LATEST).await;
            let page = page.map_err(|error| Failure::answered("signer", &error))?;
            if page.entries.is_empty() {
                return Err(unverified(format!(
                    "the log ends at {}, its checkpoint says {size}",
                    self.size()
                )));
            }
            for entry in page.entries {
                self.add(entry.index, &entry.data)?;
            }
        }
        self.file
            .sync_all()
            .map_err(|error| Failure::file(&self.path, "write", error))?;
        Ok(size.saturating_sub(start))
    }

    fn add(&mut self, index: u64, entry: &[u8]) -> Result<()> {
        if index != self.size() {
            return Err(unverified(format!(
                "the signer sent entry {index} instead of entry {}",
                self.size()
            )));
        }
        if entry.contains(&b'\n') || entry.len() > MAX_ENTRY_BYTES {
            return Err(unverified(format!("entry {index} is not one line of JSON")));
        }
        append(&mut self.frontier, entry)?;
        let line = [entry, b"\n"].concat();
        self.file
            .write_all(&line)
            .map_err(|error| Failure::file(&self.path, "write", error))
    }

    /// The whole copy is the log that the checkpoint signs.
    fn certify(&self, checkpoint: &Checkpoint) -> Result<()> {
        if self.frontier.head() == *checkpoint.head() {
            return Ok(());
        }
        let (found, signed) = (self.frontier.head(), checkpoint.head());
        let why = format!(
            "the {} entries here have root {}, the checkpoint signs {} entries with root {}",
            found.size(),
            found.root(),
            signed.size(),
            signed.root()
        );
        Err(unverified(why).advise(format!(
            "fetch everything again into a new folder; if it still differs, the log was rewritten: keep `{}`",
            self.path.display()
        )))
    }
}

fn append(frontier: &mut Frontier, entry: &[u8]) -> Result<()> {
    let leaf = LeafHash::of(entry).map_err(unverified)?;
    frontier.append(leaf).map(drop).map_err(unverified)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(folder: &Path, text: &str) -> PathBuf {
        let path = folder.join("entries.jsonl");
        files::write(&path, text.as_bytes()).unwrap();
        path
    }

    #[test]
    fn a_copy_goes_on_behind_its_whole_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path(), "{\"a\":1}\n{\"b\":2}\n{\"cut");
        let mut copy = Copy::open(folder.path(), None).unwrap();
        assert_eq!(copy.size(), 2);
        copy.add(2, b"{\"c\":3}").unwrap();
        assert_eq!(files::read(&path).unwrap(), b"{\"a\":1}\n{\"b\":2}\n{\"c\":3}\n");
        assert_eq!(Copy::open(folder.path(), None).unwrap().frontier, copy.frontier);
    }

    #[test]
    fn entries_are_dropped_from_an_index_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path(), "1\n2\n3\n");
        assert_eq!(Copy::open(folder.path(), Some(1)).unwrap().size(), 1);
        assert_eq!(files::read(&path).unwrap(), b"1\n");
        assert_eq!(Copy::open(folder.path(), Some(9)).unwrap().size(), 1);
        assert_eq!(Copy::open(folder.path(), Some(0)).unwrap().size(), 0);
    }

    #[test]
    fn what_does_not_follow_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut copy = Copy::open(folder.path(), None).unwrap();
        for (index, entry) in [(1, &b"{}"[..]), (0, b"{\n}"), (0, &vec![b'x'; MAX_ENTRY_BYTES + 1])] {
            let failure = copy.add(index, entry).unwrap_err();
            assert_eq!(failure.exit(), crate::failure::Exit::Unverified, "{failure}");
        }
        assert_eq!(copy.size(), 0);
    }

    #[test]
    fn a_changed_line_changes_the_root() {
        let folder = tempfile::tempdir().unwrap();
        written(folder.path(), "1\n2\n3\n");
        let copy = Copy::open(folder.path(), None).unwrap();
        let origin = "countersign.test/log".parse().unwrap();
        let checkpoint = Checkpoint::new(origin, copy.frontier.head(), Timestamp::from_unix_millis(1)).unwrap();
        copy.certify(&checkpoint).unwrap();
        for changed in ["1\n2\n4\n", "1\n2\n", "1\n2\n3\n4\n"] {
            written(folder.path(), changed);
            let failure = Copy::open(folder.path(), None)
                .unwrap()
                .certify(&checkpoint)
                .unwrap_err();
            assert!(failure.to_string().contains("root"), "{failure}");
        }
    }
}
