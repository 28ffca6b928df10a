//! `kill -9` while writing: this test runs itself as a child process and kills it.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test with processes and files"
)]

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use countersign_audit::{Frontier, LeafHash, SignedCheckpoint, VerifierKey};
use countersign_journal::{CheckpointSigner, Database, JournalConfig, Limits, SignCheckpointError, SqlJournal};
use countersign_signer::{Journal as _, LogEntry, Page, Reads, Verdict, propose};
use countersign_types::{GenesisHash, Timestamp};
use ed25519_dalek::{Signer as _, SigningKey};
use futures_util::future::join_all;

/// Where the child finds the journal. Absent: the test is the parent.
const DIRECTORY: &str = "COUNTERSIGN_KILL_TEST_DIRECTORY";
const WRITERS: u64 = 16;

struct LogKey(SigningKey, VerifierKey);

impl LogKey {
    fn new() -> Self {
        let key = SigningKey::from_bytes(&[7; 32]);
        let verifier = VerifierKey::new("log.example/kill".parse().unwrap(), key.verifying_key().as_bytes());
        Self(key, verifier.unwrap())
    }
}

impl CheckpointSigner for LogKey {
    fn verifier_key(&self) -> &VerifierKey {
        &self.1
    }
    fn sign(&self, text: &[u8]) -> Result<[u8; 64], SignCheckpointError> {
        Ok(self.0.sign(text).to_bytes())
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_unix_millis(i64::try_from(since.as_millis()).unwrap())
}

fn config(directory: &Path) -> JournalConfig {
    JournalConfig {
        database: Database::Sqlite(directory.join("journal.db")),
        anchor_path: directory.join("anchor"),
        deployment: GenesisHash::of(b"kill"),
        checkpoint_signer: Arc::new(LogKey::new()),
        clock: Arc::new(now),
        limits: Limits::default(),
    }
}

async fn log(journal: &SqlJournal, text: String) {
    let decided = propose(journal, Reads::default(), move |_, _| Verdict {
        entries: vec![LogEntry {
            bytes: text.clone().into_bytes(),
            subjects: Vec::new(),
        }],
        writes: Vec::new(),
        reply: (),
    });
    decided.await.unwrap();
}

/// Writes until it is killed; says what was acknowledged.
async fn write_for_ever(directory: &Path, round: &str) {
    let journal = SqlJournal::open(config(directory)).await.unwrap();
    let writer = async |writer: u64| {
        for number in 0u64.. {
            let text = format!("{round}-{writer}-{number}");
            log(&journal, text.clone()).await;
            let mut out = std::io::stdout().lock();
            writeln!(out, "acknowledged {text}").unwrap();
            out.flush().unwrap();
        }
    };
    join_all((0..WRITERS).map(writer)).await;
}

fn run_and_kill(directory: &Path, round: usize, acknowledgements: usize) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "nothing_acknowledged_is_lost_on_kill", "--nocapture"])
        .env(DIRECTORY, directory)
        .env(format!("{DIRECTORY}_ROUND"), round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acknowledged = Vec::new();
    for line in lines {
        // A line may be cut by the kill; only a whole one says that something was acknowledged.
        if let Ok(line) = line
            && let Some(text) = line.strip_prefix("acknowledged ")
        {
            acknowledged.push(text.to_owned());
        }
        if acknowledged.len() == acknowledgements {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    acknowledged.pop();
    acknowledged
}

async fn all_entries(journal: &SqlJournal) -> Vec<Vec<u8>> {
    let mut entries: Vec<Vec<u8>> = Vec::new();
    loop {
        let start = u64::try_from(entries.len()).unwrap();
        let page = journal.entries(start, Page::MAX).await.unwrap();
        if page.is_empty() {
            return entries;
        }
        entries.extend(page);
    }
}

#[test]
fn nothing_acknowledged_is_lost_on_kill() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    if let Ok(directory) = std::env::var(DIRECTORY) {
        let round = std::env::var(format!("{DIRECTORY}_ROUND")).unwrap();
        return runtime.block_on(write_for_ever(Path::new(&directory), &round));
    }
    let directory = tempfile::tempdir().unwrap();
    runtime.block_on(async {
        let journal = SqlJournal::create(config(directory.path()), b"genesis".to_vec()).await;
        journal.unwrap().close().await;
    });
    let mut acknowledged = Vec::new();
    for (round, acknowledgements) in [50, 87, 124, 161].into_iter().enumerate() {
        let found = run_and_kill(directory.path(), round, acknowledgements);
        assert!(found.len() > 40, "the child wrote {} entries", found.len());
        acknowledged.extend(found);
        runtime.block_on(assert_whole(directory.path(), &acknowledged));
    }
}

async fn assert_whole(directory: &Path, acknowledged: &[String]) {
    let journal = SqlJournal::open(config(directory)).await.unwrap();
    let entries = all_entries(&journal).await;
    for text in acknowledged {
        assert!(entries.iter().any(|entry| entry == text.as_bytes()), "{text} is lost");
    }
    let mut frontier = Frontier::empty();
    for entry in &entries {
        frontier.append(LeafHash::of(entry).unwrap()).unwrap();
    }
    let signed = SignedCheckpoint::parse(&journal.checkpoint().await.unwrap()).unwrap();
    let verified = signed.verify(LogKey::new().verifier_key()).unwrap();
    assert_eq!(*verified.checkpoint().head(), frontier.head());
    journal.close().await;
}
