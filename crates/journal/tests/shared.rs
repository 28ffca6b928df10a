//! Two signers, sixteen submitters, one limit, and `kill -9` at random: this test runs itself as child processes that share
//! a PostgreSQL database, and holds what is there at the end against a naive replay of the log.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a test with processes and files"
)]

#[path = "support/cluster.rs"]
mod cluster;

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, mpsc},
    time::{SystemTime, UNIX_EPOCH},
};

use countersign_audit::VerifierKey;
use countersign_journal::{
    CheckpointSigner, Database, JournalConfig, Limits, PostgresUrl, SignCheckpointError, SqlJournal,
};
use countersign_policy::{Charge, UsageQuery, Window};
use countersign_signer::{Journal as _, JournalError, LedgerView, LogEntry, Page, Reads, Verdict, Write, propose};
use countersign_types::{
    Amount, AuthorizationId, BundleDigest, ConflictKey, CounterId, GenesisHash, RawSignature, RequestDigest,
    SignedTransaction, StatementDigest, StatementNonce, Timestamp, TransactionDigest,
};
use ed25519_dalek::{Signer as _, SigningKey};
use futures_util::future::join_all;
use rand::Rng as _;

/// Where a child finds its anchor and the database. Absent: the test is the parent.
const FOLDER: &str = "COUNTERSIGN_SHARED_TEST_FOLDER";
const URL: &str = "COUNTERSIGN_SHARED_TEST_URL";
const NAME: &str = "COUNTERSIGN_SHARED_TEST_NAME";
/// Submitters of each of the two signers.
const SUBMITTERS: u64 = 8;
/// Large enough that kills come before it is reached, and reached before the test ends.
const LIMIT: u64 = 9_000;
const KILLS: usize = 6;

struct LogKey(SigningKey, VerifierKey);

impl LogKey {
    fn new() -> Self {
        let key = SigningKey::from_bytes(&[7; 32]);
        let verifier = VerifierKey::new("log.example/shared".parse().unwrap(), key.verifying_key().as_bytes());
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

fn config(folder: &Path, url: &str) -> JournalConfig {
    JournalConfig {
        database: Database::Postgres(PostgresUrl::parse(url).unwrap()),
        anchor_path: folder.join("anchor"),
        deployment: GenesisHash::of(b"shared"),
        checkpoint_signer: Arc::new(LogKey::new()),
        clock: Arc::new(now),
        limits: Limits::default(),
    }
}

fn counter() -> CounterId {
    CounterId::of(b"one limit")
}

fn window() -> Window {
    "1d".parse().unwrap()
}

fn usage_reads(name: &str) -> Reads {
    Reads {
        request: Some(RequestDigest::of(name.as_bytes())),
        usage: vec![UsageQuery {
            counter: counter(),
            window: window(),
        }],
        ..Reads::default()
    }
}

fn statement(name: &str) -> Write {
    let digest = StatementDigest::of(name.as_bytes());
    Write::Statement {
        digest,
        signer: "bot".parse().unwrap(),
        nonce: StatementNonce::from_bytes(digest.as_bytes()[..16].try_into().unwrap()),
        subjects: Vec::new(),
        envelope: name.as_bytes().to_vec(),
    }
}

fn bundle() -> BundleDigest {
    BundleDigest::of(b"bundle")
}

/// Everything that an authorization writes, with a log entry that says what was charged.
fn authorization(name: &str, amount: u64, now: Timestamp) -> Verdict<bool> {
    let request = RequestDigest::of(name.as_bytes());
    let unsigned = name.as_bytes().to_vec();
    let writes = vec![
        statement(name),
        Write::Withdrawal {
            request,
            statement: StatementDigest::of(name.as_bytes()),
            tenant: "acme".parse().unwrap(),
            reference: name.parse().unwrap(),
            bundle: bundle(),
        },
        Write::Attempt {
            request,
            tenant: "acme".parse().unwrap(),
            payments: vec![name.parse().unwrap()],
            number: 1,
            transaction: TransactionDigest::of(&unsigned),
            authorization: AuthorizationId::of(&unsigned),
            unsigned,
            conflict_keys: vec![ConflictKey::Outpoint {
                chain: "eip155:1".parse().unwrap(),
                txid: *request.as_bytes(),
                index: 0,
            }],
            fee_max: Amount::ZERO,
            sign_by: now,
        },
        Write::Spend {
            request,
            number: 1,
            facts: Vec::new(),
            charges: vec![Charge {
                counter: counter(),
                amount: amount.into(),
            }],
        },
    ];
    Verdict {
        entries: vec![line(format!("charged {name} {amount}"))],
        writes,
        reply: true,
    }
}

fn line(text: String) -> LogEntry {
    LogEntry {
        bytes: text.into_bytes(),
        subjects: Vec::new(),
    }
}

/// Reserves; then, as after the token's answer, records the signature, and half of the time lets the charge age.
async fn submit(journal: &SqlJournal, name: String) -> Result<bool, JournalError> {
    let amount = rand::rng().random_range(1..40);
    let of = name.clone();
    let reserve = move |view: &LedgerView, now: Timestamp| {
        let charge = Charge {
            counter: counter(),
            amount: amount.into(),
        };
        let after = view.usage.after(&charge, &window());
        if after.is_some_and(|after| after <= Amount::from_base_units(LIMIT)) {
            authorization(&of, amount, now)
        } else {
            Verdict::unchanged(false)
        }
    };
    if !propose(journal, usage_reads(&name), reserve).await?.0 {
        return Ok(false);
    }
    let ages = rand::rng().random_bool(0.5);
    let record = move |_: &LedgerView, _: Timestamp| {
        let request = RequestDigest::of(name.as_bytes());
        let mut writes = vec![Write::Signed {
            request,
            number: 1,
            signatures: vec![RawSignature::Ecdsa([7; 64])],
            transaction: SignedTransaction {
                bytes: vec![1],
                txid: name.clone(),
            },
        }];
        if ages {
            writes.push(Write::Aged { request, number: 1 });
        }
        Verdict {
            entries: vec![line(format!("signed {name}"))],
            writes,
            reply: (),
        }
    };
    propose(journal, Reads::default(), record).await?;
    Ok(true)
}

/// Submits until the limit is reached or until it is killed; says what was signed.
async fn signer(folder: &Path, url: &str, signer: &str) {
    let journal = SqlJournal::open(config(folder, url)).await.unwrap();
    let submitter = async |submitter: u64| {
        for number in 0u64.. {
            let name = format!("{signer}-{submitter}-{number}");
            if !submit(&journal, name.clone()).await.unwrap() {
                break;
            }
            let mut out = std::io::stdout().lock();
            writeln!(out, "signed {name}").unwrap();
            out.flush().unwrap();
        }
    };
    join_all((0..SUBMITTERS).map(submitter)).await;
    journal.close().await;
}

struct Running {
    child: Child,
    lines: std::thread::JoinHandle<()>,
}

/// Starts a signer; whole lines of what it says come through `said`.
fn start(folder: &Path, url: &str, name: String, said: mpsc::Sender<String>) -> Running {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "two_signers_hold_one_limit_through_kills", "--nocapture"])
        .env(FOLDER, folder)
        .env(URL, url)
        .env(NAME, name)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let lines = std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            if let Some(name) = line.strip_prefix("signed ") {
                drop(said.send(name.to_owned()));
            }
        }
    });
    Running { child, lines }
}

#[test]
fn two_signers_hold_one_limit_through_kills() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    if let (Ok(folder), Ok(url)) = (std::env::var(FOLDER), std::env::var(URL)) {
        let name = std::env::var(NAME).unwrap();
        return runtime.block_on(signer(Path::new(&folder), &url, &name));
    }
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let folders: [PathBuf; 2] = folders.each_ref().map(|folder| folder.path().to_owned());
    let url = cluster::new_url();
    runtime.block_on(create(&folders, &url));
    let (said, heard) = mpsc::channel();
    let start = |round: usize, side: usize| start(&folders[side], &url, format!("{round}-{side}"), said.clone());
    let mut running = [start(0, 0), start(0, 1)];
    let mut acknowledged = Vec::new();
    for round in 1..=KILLS {
        let until = acknowledged.len() + rand::rng().random_range(20..60);
        acknowledged.extend(heard.iter().take(until - acknowledged.len()));
        let side = rand::rng().random_range(0..2);
        running[side].child.kill().unwrap();
        running[side].child.wait().unwrap();
        running[side] = start(round, side);
    }
    drop(said);
    for mut signer in running {
        assert!(signer.child.wait().unwrap().success());
        signer.lines.join().unwrap();
    }
    acknowledged.extend(heard.iter());
    runtime.block_on(assert_agrees(&folders[0], &url, &acknowledged));
}

async fn create(folders: &[PathBuf; 2], url: &str) {
    let journal = SqlJournal::create(config(&folders[0], url), b"genesis".to_vec())
        .await
        .unwrap();
    let activate = |_: &LedgerView, _| Verdict {
        entries: Vec::new(),
        writes: vec![
            statement("activation"),
            Write::Bundle {
                version: 1,
                digest: bundle(),
                files: BTreeMap::new(),
                statements: vec![StatementDigest::of(b"activation")],
            },
        ],
        reply: (),
    };
    propose(&journal, Reads::default(), activate).await.unwrap();
    journal.close().await;
    std::fs::copy(folders[0].join("anchor"), folders[1].join("anchor")).unwrap();
}

async fn log_lines(journal: &SqlJournal) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        let start = u64::try_from(lines.len()).unwrap();
        let page = journal.entries(start, Page::MAX).await.unwrap();
        if page.is_empty() {
            return lines;
        }
        lines.extend(page.into_iter().map(|entry| String::from_utf8(entry).unwrap()));
    }
}

/// The log, read from the start with a plain map, says what the counter says; the limit was reached and not exceeded; what
/// was acknowledged is there, and nothing twice.
async fn assert_agrees(folder: &Path, url: &str, acknowledged: &[String]) {
    let journal = SqlJournal::open(config(folder, url)).await.unwrap();
    let mut charged = BTreeMap::new();
    let mut signed = BTreeMap::new();
    for line in log_lines(&journal).await {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["charged", name, amount] => {
                let twice = charged.insert((*name).to_owned(), amount.parse::<u64>().unwrap());
                assert_eq!(twice, None, "{name} was charged twice");
            }
            ["signed", name] => assert_eq!(signed.insert((*name).to_owned(), charged[*name]), None),
            _ => assert!(line == "genesis", "{line}"),
        }
    }
    let total: u64 = charged.values().sum();
    let looked = propose(&journal, usage_reads("nobody"), |view: &LedgerView, _| {
        Verdict::unchanged(view.usage.before(counter(), &window()))
    });
    assert_eq!(
        looked.await.unwrap().0,
        Some(total.into()),
        "the counter is not the log"
    );
    let signed_total: u64 = signed.values().sum();
    assert!(signed_total <= total && total <= LIMIT, "{signed_total} {total}");
    assert!(total > LIMIT - 40, "the limit was not reached: {total}");
    for name in acknowledged {
        assert!(signed.contains_key(name), "{name} is lost");
    }
    // What was authorized and not signed when its signer was killed is still there to be finished.
    let unfinished = journal.unfinished(Page::FIRST).await.unwrap().len();
    assert_eq!(unfinished, charged.len() - signed.len());
    journal.close().await;
}
