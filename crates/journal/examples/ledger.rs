//! Reservations against one limit in a second: the journal, with everything that an authorization writes and then its signature,
//! beside a bare loop that does nothing but hold a running sum against a limit. `cargo xtask bench ledger [--seconds N] [--submitters N]`.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::as_conversions,
    reason = "a measurement for people"
)]

#[path = "../tests/support/cluster.rs"]
mod cluster;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use countersign_audit::VerifierKey;
use countersign_journal::{
    CheckpointSigner, Database, JournalConfig, Limits, PostgresUrl, SignCheckpointError, SqlJournal,
};
use countersign_policy::{Charge, UsageQuery, Window};
use countersign_signer::{LedgerView, LogEntry, Reads, Verdict, Write, propose};
use countersign_types::{
    Amount, AuthorizationId, BundleDigest, ConflictKey, CounterId, GenesisHash, RawSignature, RequestDigest,
    SignedTransaction, StatementDigest, StatementNonce, Timestamp, TransactionDigest,
};
use ed25519_dalek::{Signer as _, SigningKey};
use futures_util::future::join_all;
use sqlx::{
    ConnectOptions as _, Connection as _, PgConnection, Row as _, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

/// Submitters that nobody named another number of.
const SUBMITTERS: u64 = 16;
/// Reservations of one transaction, where the bare loop batches.
const BATCH: u64 = 16;
/// Counters that reservations are spread over, where they are.
const COUNTERS: u64 = 100;
/// Runs of each contender.
const ROUNDS: usize = 5;
const WINDOW_MILLIS: i64 = 86_400_000;

/// How long a contender runs, and for how many at once.
#[derive(Debug, Clone, Copy)]
struct Effort {
    length: Duration,
    submitters: u64,
}

impl Effort {
    /// `--seconds N` and `--submitters N`, in any order.
    fn of(arguments: &[String]) -> Self {
        let (mut seconds, mut submitters) = (2, SUBMITTERS);
        for pair in arguments.chunks(2) {
            let number = |text: &String| text.parse().expect("a whole number");
            match pair {
                [flag, value] if flag == "--seconds" => seconds = number(value),
                [flag, value] if flag == "--submitters" => submitters = number(value),
                _ => panic!("`cargo xtask bench ledger` takes `--seconds N` and `--submitters N`"),
            }
        }
        Self {
            length: Duration::from_secs(seconds),
            submitters,
        }
    }
}

struct LogKey(SigningKey, VerifierKey);

impl LogKey {
    fn new() -> Self {
        let key = SigningKey::from_bytes(&[7; 32]);
        let verifier = VerifierKey::new("log.example/bench".parse().unwrap(), key.verifying_key().as_bytes());
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

fn statement(name: &str) -> Write {
    let digest = StatementDigest::of(name.as_bytes());
    Write::Statement {
        digest,
        signer: "bot".parse().unwrap(),
        nonce: StatementNonce::from_bytes(digest.as_bytes()[..16].try_into().unwrap()),
        subjects: Vec::new(),
        envelope: vec![7; 900],
    }
}

fn authorization(name: &str, counter: CounterId, now: Timestamp) -> Verdict<()> {
    let request = RequestDigest::of(name.as_bytes());
    let unsigned = vec![7; 120];
    let charge = Charge {
        counter,
        amount: 3u64.into(),
    };
    let writes = vec![
        statement(name),
        Write::Withdrawal {
            request,
            statement: StatementDigest::of(name.as_bytes()),
            tenant: "acme".parse().unwrap(),
            reference: name.parse().unwrap(),
            bundle: BundleDigest::of(b"bundle"),
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
            facts: vec![7; 200],
            charges: vec![charge],
        },
    ];
    let entry = |bytes| LogEntry {
        bytes,
        subjects: vec![request],
    };
    Verdict {
        entries: vec![entry(vec![7; 300]), entry(vec![7; 900])],
        writes,
        reply: (),
    }
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    /// An authorization: what it spends is held in the counter, the same for all.
    Reserve,
    /// The same with one of a hundred counters.
    Spread,
    /// The signature after it as well: what was held begins to age.
    Commit,
}

impl Work {
    /// The counter of a transaction.
    fn counter(self, number: u64) -> u64 {
        match self {
            Self::Reserve | Self::Commit => 0,
            Self::Spread => number % COUNTERS,
        }
    }
}

/// What the signer proposes when it has signed.
fn signature(name: &str) -> Verdict<()> {
    let request = RequestDigest::of(name.as_bytes());
    let signed = Write::Signed {
        request,
        number: 1,
        signatures: vec![RawSignature::Ecdsa([7; 64])],
        transaction: SignedTransaction {
            bytes: vec![7; 190],
            txid: request.to_string(),
        },
    };
    Verdict {
        entries: vec![LogEntry {
            bytes: vec![7; 300],
            subjects: vec![request],
        }],
        writes: vec![signed, Write::Aged { request, number: 1 }],
        reply: (),
    }
}

async fn commit(journal: &SqlJournal, name: String) {
    let reads = Reads {
        request: Some(RequestDigest::of(name.as_bytes())),
        ..Reads::default()
    };
    let decide = move |view: &LedgerView, _: Timestamp| {
        assert!(view.withdrawal.is_some());
        signature(&name)
    };
    propose(journal, reads, decide).await.unwrap();
}

async fn reserve(journal: &SqlJournal, name: String, counter: CounterId) {
    let window: Window = "1d".parse().unwrap();
    let reads = Reads {
        request: Some(RequestDigest::of(name.as_bytes())),
        usage: vec![UsageQuery {
            counter,
            window: window.clone(),
        }],
        ..Reads::default()
    };
    let decide = move |view: &LedgerView, now: Timestamp| {
        let known = view.usage.before(counter, &window);
        assert!(known.is_some_and(|before| before < Amount::MAX));
        authorization(&name, counter, now)
    };
    propose(journal, reads, decide).await.unwrap();
}

async fn journal(database: Database, folder: &Path, work: Work, effort: Effort) -> f64 {
    let config = JournalConfig {
        database,
        anchor_path: folder.join(format!("anchor-{work:?}")),
        deployment: GenesisHash::of(b"bench"),
        checkpoint_signer: Arc::new(LogKey::new()),
        clock: Arc::new(now),
        limits: Limits::default(),
    };
    let journal = SqlJournal::create(config, b"genesis".to_vec()).await.unwrap();
    let activate = |_: &LedgerView, _| Verdict {
        entries: Vec::new(),
        writes: vec![
            statement("activation"),
            Write::Bundle {
                version: 1,
                digest: BundleDigest::of(b"bundle"),
                files: BTreeMap::new(),
                statements: vec![StatementDigest::of(b"activation")],
            },
        ],
        reply: (),
    };
    propose(&journal, Reads::default(), activate).await.unwrap();
    let (journal, done, start) = (Arc::new(journal), Arc::new(AtomicU64::new(0)), Instant::now());
    // Each is a task of its own, as a call of the signer is.
    let submitters = (0..effort.submitters).map(|submitter| {
        let (journal, done) = (Arc::clone(&journal), Arc::clone(&done));
        tokio::spawn(async move {
            while start.elapsed() < effort.length {
                let number = done.fetch_add(1, Ordering::Relaxed);
                let name = format!("{submitter}-{number}");
                let counter = CounterId::of(&work.counter(number).to_be_bytes());
                reserve(&journal, name.clone(), counter).await;
                match work {
                    Work::Reserve | Work::Spread => {}
                    Work::Commit => commit(&journal, name).await,
                }
            }
        })
    });
    for ended in join_all(submitters).await {
        ended.unwrap();
    }
    let rate = rate(done.load(Ordering::Relaxed), start);
    journal.close().await;
    rate
}

fn rate(done: u64, start: Instant) -> f64 {
    done as f64 / start.elapsed().as_secs_f64()
}

const BARE_SCHEMA: &str = "CREATE TABLE head (id BIGINT PRIMARY KEY, cum BIGINT NOT NULL, pend BIGINT NOT NULL); \
    CREATE TABLE held (seq BIGINT PRIMARY KEY, id BIGINT NOT NULL, at BIGINT NOT NULL, amount BIGINT NOT NULL); \
    CREATE TABLE entry (seq BIGINT PRIMARY KEY, id BIGINT NOT NULL, at BIGINT NOT NULL, cum_after BIGINT NOT NULL); \
    CREATE INDEX entry_at ON entry (id, at); \
    INSERT INTO head WITH RECURSIVE ids (id) AS (SELECT 0 UNION ALL SELECT id + 1 FROM ids WHERE id < 99) SELECT id, 0, 0 FROM ids";

/// What numbers transactions and rows.
#[derive(Default)]
struct Numbers {
    transactions: AtomicU64,
    rows: AtomicI64,
}

/// The sums, under the lock.
macro_rules! bare_head {
    ($connection:expr, $lock:literal, $id:expr) => {{
        let head = sqlx::query(concat!("SELECT cum, pend FROM head WHERE id = $1", $lock));
        let head = head.bind($id).fetch_one(&mut $connection).await.unwrap();
        let [cum, pend]: [i64; 2] = ["cum", "pend"].map(|column| head.try_get(column).unwrap());
        (cum, pend)
    }};
}

/// One reservation of the bare loop, in whatever transaction is open.
macro_rules! bare_reserve {
    ($connection:expr, $lock:literal, $id:expr, $numbers:expr) => {{
        let (cum, pend) = bare_head!($connection, $lock, $id);
        let now = now().unix_millis();
        let before = sqlx::query("SELECT cum_after FROM entry WHERE id = $1 AND at <= $2 ORDER BY at DESC LIMIT 1")
            .bind($id)
            .bind(now - WINDOW_MILLIS)
            .fetch_optional(&mut $connection)
            .await
            .unwrap();
        assert!(cum + pend - before.map_or(0, |row| row.try_get::<i64, _>(0).unwrap()) < i64::MAX);
        sqlx::query("INSERT INTO held VALUES ($1, $2, $3, $4)")
            .bind($numbers.rows.fetch_add(1, Ordering::Relaxed))
            .bind($id)
            .bind(now)
            .bind(1_i64)
            .execute(&mut $connection)
            .await
            .unwrap();
        sqlx::query("UPDATE head SET pend = $1 WHERE id = $2")
            .bind(pend + 1)
            .bind($id)
            .execute(&mut $connection)
            .await
            .unwrap();
    }};
}

/// What is held begins to age.
macro_rules! bare_commit {
    ($connection:expr, $lock:literal, $id:expr, $numbers:expr) => {{
        let (cum, pend) = bare_head!($connection, $lock, $id);
        sqlx::query("INSERT INTO entry VALUES ($1, $2, $3, $4)")
            .bind($numbers.rows.fetch_add(1, Ordering::Relaxed))
            .bind($id)
            .bind(now().unix_millis())
            .bind(cum + 1)
            .execute(&mut $connection)
            .await
            .unwrap();
        sqlx::query("UPDATE head SET cum = $1, pend = $2 WHERE id = $3")
            .bind(cum + 1)
            .bind(pend - 1)
            .bind($id)
            .execute(&mut $connection)
            .await
            .unwrap();
    }};
}

/// One transaction of so many reservations of one counter; with [`Work::Commit`] another one that commits them.
macro_rules! bare {
    ($connection:expr, $begin:literal, $lock:literal, ($work:expr, $batch:expr, $numbers:expr)) => {{
        let number = $numbers.transactions.fetch_add(1, Ordering::Relaxed);
        let id = i64::try_from($work.counter(number)).unwrap();
        sqlx::query($begin).execute(&mut $connection).await.unwrap();
        for _ in 0..$batch {
            bare_reserve!($connection, $lock, id, $numbers);
        }
        sqlx::query("COMMIT").execute(&mut $connection).await.unwrap();
        if $work == Work::Commit {
            sqlx::query($begin).execute(&mut $connection).await.unwrap();
            for _ in 0..$batch {
                bare_commit!($connection, $lock, id, $numbers);
            }
            sqlx::query("COMMIT").execute(&mut $connection).await.unwrap();
        }
    }};
}

async fn bare_sqlite(folder: &Path, work: Work, batch: u64, effort: Effort) -> f64 {
    let mut connection: SqliteConnection = SqliteConnectOptions::new()
        .filename(folder.join(format!("bare-{work:?}-{batch}.sqlite")))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .connect()
        .await
        .unwrap();
    sqlx::raw_sql(BARE_SCHEMA).execute(&mut connection).await.unwrap();
    let numbers = Numbers::default();
    let (mut done, start) = (0, Instant::now());
    while start.elapsed() < effort.length {
        bare!(connection, "BEGIN IMMEDIATE", "", (work, batch, numbers));
        done += batch;
    }
    rate(done, start)
}

async fn bare_postgres(work: Work, batch: u64, effort: Effort) -> f64 {
    let url = cluster::new_url();
    let mut connection = PgConnection::connect(&url).await.unwrap();
    sqlx::raw_sql(BARE_SCHEMA).execute(&mut connection).await.unwrap();
    let (done, numbers) = (AtomicU64::new(0), Numbers::default());
    let start = Instant::now();
    let client = async |_: u64| {
        let mut connection = PgConnection::connect(&url).await.unwrap();
        while start.elapsed() < effort.length {
            bare!(connection, "BEGIN", " FOR UPDATE", (work, batch, numbers));
            done.fetch_add(batch, Ordering::Relaxed);
        }
    };
    join_all((0..effort.submitters).map(client)).await;
    rate(done.load(Ordering::Relaxed), start)
}

/// Of both databases, what the journal makes in a second, and the bare loop with one reservation a transaction and with many.
type Rates = [[f64; 3]; 2];

/// Runs all contenders, in turns, so that a disturbance hits all alike.
async fn round(work: Work, effort: Effort) -> Rates {
    let [sqlite, postgres] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let file = Database::Sqlite(sqlite.path().join("journal.sqlite"));
    let server = Database::Postgres(PostgresUrl::parse(&cluster::new_url()).unwrap());
    [
        [
            journal(file, sqlite.path(), work, effort).await,
            bare_sqlite(sqlite.path(), work, 1, effort).await,
            bare_sqlite(sqlite.path(), work, BATCH, effort).await,
        ],
        [
            journal(server, postgres.path(), work, effort).await,
            bare_postgres(work, 1, effort).await,
            bare_postgres(work, BATCH, effort).await,
        ],
    ]
}

fn median(rates: impl Iterator<Item = f64>) -> f64 {
    let mut rates: Vec<f64> = rates.collect();
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

fn report(what: &str, rounds: &[Rates]) {
    for (place, database) in ["SQLite", "PostgreSQL"].into_iter().enumerate() {
        let of = |contender: usize| median(rounds.iter().map(|rates| rates[place][contender]));
        let [journal, single, batched] = [of(0), of(1), of(2)];
        println!(
            "| {database} | {what} | {journal:.0} | {single:.0} | {:.2} | {batched:.0} | {:.2} |",
            journal / single,
            journal / batched
        );
    }
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let effort = Effort::of(&arguments);
    let works = [
        ("reserve, one counter", Work::Reserve),
        ("reserve, 100 counters", Work::Spread),
        ("reserve, then commit", Work::Commit),
    ];
    let mut rounds: [Vec<Rates>; 3] = Default::default();
    for number in 1..=ROUNDS {
        eprintln!("round {number} of {ROUNDS}");
        for ((_, work), rounds) in works.iter().zip(&mut rounds) {
            rounds.push(round(*work, effort).await);
        }
    }
    let Effort { length, submitters } = effort;
    println!("medians of {ROUNDS} rounds of {length:?}, {submitters} submitters");
    println!("| database | work | journal/s | bare, 1 a commit | ratio | bare, {BATCH} a commit | ratio |");
    println!("|---|---|---|---|---|---|---|");
    for ((what, _), rounds) in works.iter().zip(&rounds) {
        report(what, rounds);
    }
}
