//! Creating a journal, and opening one with every check that it is whole and the latest. Nothing is ever repaired.

use std::{fs, io, path::Path};

use countersign_audit::{Frontier, Hash, NodeId, SignedCheckpoint, TreeSize};
use countersign_signer::{ActiveBundle, JournalError, LogEntry};
use countersign_types::{BundleDigest, GenesisHash, Timestamp};
use sqlx::{Connection as _, Row as _, SqliteConnection, sqlite::SqliteRow};

use crate::{
    JournalConfig, OpenError,
    anchor::{Anchor, sync_directory},
    chain::{CommitParts, NO_PREVIOUS},
    codec::{from_sql, to_sql},
    commit::{Draft, Head},
    error::StepError,
    records::{column_time, column32},
    schema::{SCHEMA_VERSION, connect_writer, read_schema_version, write_schema},
    view::Standing,
};

/// The epoch of a journal that was never recovered.
pub const FIRST_EPOCH: u64 = 1;
/// Commits that are verified at every start besides those behind the anchor: a minute of full load.
const VERIFIED_COMMITS: u64 = 10_000;

/// A journal that is open for writing.
pub(crate) struct Opened {
    pub(crate) connection: SqliteConnection,
    pub(crate) generation: i64,
    pub(crate) head: Head,
}

/// Makes the database with its first commit, and the anchor. Leaves nothing behind when it fails.
pub(crate) async fn create(config: &JournalConfig, first_entry: Vec<u8>) -> Result<(), OpenError> {
    refuse_existing(config)?;
    create_file(&config.path)?;
    let created = fill(config, first_entry).await;
    if created.is_err() {
        // Ours alone, and never acknowledged: `create_file` made it a moment ago.
        remove_file(&config.path)?;
    }
    created
}

/// All of the database is one transaction: a creation that a crash ended leaves a file that `open` refuses.
async fn fill(config: &JournalConfig, first_entry: Vec<u8>) -> Result<(), OpenError> {
    let mut connection = connect_writer(&config.path).await?;
    let filled = fill_database(&mut connection, config, first_entry).await;
    // Closing removes SQLite's companion files, and rolls back what was not committed.
    connection.close().await?;
    write_anchor(config, &filled?).await
}

async fn fill_database(
    connection: &mut SqliteConnection,
    config: &JournalConfig,
    first_entry: Vec<u8>,
) -> Result<Head, OpenError> {
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await?;
    write_schema(connection).await?;
    write_identity(connection, config).await?;
    let head = write_genesis(connection, config, first_entry)
        .await
        .map_err(|error| OpenError::Checkpoint(error.to_string()))?;
    sqlx::query("COMMIT").execute(connection).await?;
    Ok(head)
}

fn remove_file(path: &Path) -> Result<(), OpenError> {
    fs::remove_file(path).map_err(|source| io_error(path, source))
}

fn refuse_existing(config: &JournalConfig) -> Result<(), OpenError> {
    if is_present(&config.path)? {
        return Err(OpenError::DatabaseExists(config.path.clone()));
    }
    if is_present(&config.anchor_path)? {
        return Err(OpenError::AnchorExists(config.anchor_path.clone()));
    }
    Ok(())
}

fn is_present(path: &Path) -> Result<bool, OpenError> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(io_error(path, source)),
    }
}

fn io_error(path: &Path, source: io::Error) -> OpenError {
    OpenError::Io {
        path: path.to_owned(),
        source,
    }
}

/// An empty file, for the owner alone; SQLite gives its companions the same mode. Of two creators one wins.
fn create_file(path: &Path) -> Result<(), OpenError> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => sync_directory(path).map_err(|source| io_error(path, source)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(OpenError::DatabaseExists(path.to_owned())),
        Err(source) => Err(io_error(path, source)),
    }
}

async fn write_identity(connection: &mut SqliteConnection, config: &JournalConfig) -> Result<(), OpenError> {
    let epoch = to_sql(FIRST_EPOCH).map_err(|error| OpenError::Damaged(error.to_string()))?;
    sqlx::query("INSERT INTO deployment (id, genesis, log_origin, epoch) VALUES (1, ?, ?, ?)")
        .bind(config.deployment.as_bytes().to_vec())
        .bind(config.checkpoint_signer.verifier_key().name().as_str().to_owned())
        .bind(epoch)
        .execute(&mut *connection)
        .await?;
    sqlx::query("INSERT INTO fence (id, owner, generation) VALUES (1, ?, 1)")
        .bind(owner_name())
        .execute(connection)
        .await?;
    Ok(())
}

/// For people who look for who took the journal over.
fn owner_name() -> String {
    format!("process {}", std::process::id())
}

async fn write_genesis(
    connection: &mut SqliteConnection,
    config: &JournalConfig,
    first_entry: Vec<u8>,
) -> Result<Head, StepError> {
    let mut draft = Draft::after(&Head::before_genesis(FIRST_EPOCH));
    draft.advance((config.clock)())?;
    let entry = LogEntry {
        bytes: first_entry,
        subjects: Vec::new(),
    };
    crate::apply::refuse_unwritable(std::slice::from_ref(&entry), &[])?;
    draft.append(&[entry], &[])?;
    draft.seal(connection, config.checkpoint_signer.as_ref()).await
}

/// Names the head in the anchor file.
pub(crate) async fn write_anchor(config: &JournalConfig, head: &Head) -> Result<(), OpenError> {
    let anchor = Anchor {
        deployment: config.deployment,
        number: head.number,
        hash: head.hash,
    };
    let path = config.anchor_path.clone();
    let written = tokio::task::spawn_blocking(move || anchor.write(&path)).await;
    written.map_err(|error| io_error(&config.anchor_path, io::Error::other(error)))?
}

/// Verifies everything, takes the fence, and brings the anchor up to the head.
pub(crate) async fn open(config: &JournalConfig) -> Result<Opened, OpenError> {
    if !is_present(&config.path)? {
        return Err(OpenError::DatabaseMissing(config.path.clone()));
    }
    let anchor =
        Anchor::read(&config.anchor_path)?.ok_or_else(|| OpenError::AnchorMissing(config.anchor_path.clone()))?;
    refuse_deployment("anchor", anchor.deployment, config.deployment)?;
    let mut connection = connect_writer(&config.path)
        .await
        .map_err(|error| not_a_journal(config, error))?;
    // Under the write lock: nobody commits between the checks and the fence.
    sqlx::query("BEGIN IMMEDIATE")
        .execute(&mut connection)
        .await
        .map_err(|error| not_a_journal(config, error))?;
    let head = verify(&mut connection, config, &anchor).await?;
    let row = sqlx::query("UPDATE fence SET generation = generation + 1, owner = ? WHERE id = 1 RETURNING generation")
        .bind(owner_name())
        .fetch_one(&mut connection)
        .await?;
    let generation = row.try_get("generation")?;
    sqlx::query("COMMIT").execute(&mut connection).await?;
    write_anchor(config, &head).await?;
    Ok(Opened {
        connection,
        generation,
        head,
    })
}

/// Another file than an SQLite database shows at the first statement.
fn not_a_journal(config: &JournalConfig, error: sqlx::Error) -> OpenError {
    if crate::error::is_damage(&error) {
        return OpenError::NotAJournal(config.path.clone());
    }
    OpenError::Database(error)
}

fn refuse_deployment(what: &'static str, found: GenesisHash, expected: GenesisHash) -> Result<(), OpenError> {
    if found == expected {
        return Ok(());
    }
    Err(OpenError::WrongDeployment {
        what,
        found: found.to_string(),
        expected: expected.to_string(),
    })
}

async fn verify(connection: &mut SqliteConnection, config: &JournalConfig, anchor: &Anchor) -> Result<Head, OpenError> {
    match read_schema_version(connection).await? {
        Some(SCHEMA_VERSION) => {}
        Some(found) => {
            return Err(OpenError::UnknownSchema {
                found,
                known: SCHEMA_VERSION,
            });
        }
        None => return Err(OpenError::NotAJournal(config.path.clone())),
    }
    let epoch = verify_identity(connection, config).await?;
    let (parts, checkpoint) = verify_chain(connection, anchor).await.map_err(open_error)?;
    let now = (config.clock)();
    if now < parts.at {
        return Err(OpenError::TimeBackwards { now, last: parts.at });
    }
    verify_checkpoint(&parts, &checkpoint, config)?;
    let log = verify_log(connection, &parts).await.map_err(open_error)?;
    let bundle = load_active_bundle(connection).await.map_err(open_error)?;
    Ok(Head {
        number: parts.number,
        at: parts.at,
        hash: parts.hash(),
        log,
        checkpoint,
        standing: Standing { epoch, bundle },
    })
}

fn open_error(error: StepError) -> OpenError {
    match error {
        StepError::Fatal(JournalError::Rewound(reason)) => OpenError::Rewound(reason),
        StepError::Fatal(JournalError::Damaged(reason)) => OpenError::Damaged(reason),
        StepError::Database(error) => OpenError::Database(error),
        StepError::Fatal(_) | StepError::Refused(_) | StepError::WrongRowCount { .. } => {
            OpenError::Damaged(error.to_string())
        }
    }
}

async fn verify_identity(connection: &mut SqliteConnection, config: &JournalConfig) -> Result<u64, OpenError> {
    let row = sqlx::query("SELECT genesis, log_origin, epoch FROM deployment WHERE id = 1")
        .fetch_one(connection)
        .await?;
    let genesis = GenesisHash::from_bytes(column32(&row, "genesis").map_err(open_error)?);
    refuse_deployment("journal", genesis, config.deployment)?;
    let found: String = row.try_get("log_origin")?;
    let expected = config.checkpoint_signer.verifier_key().name().as_str();
    if found != expected {
        return Err(OpenError::WrongLog {
            found,
            expected: expected.to_owned(),
        });
    }
    from_sql(row.try_get("epoch")?).map_err(|error| OpenError::Damaged(error.to_string()))
}

fn damaged(reason: String) -> StepError {
    StepError::Fatal(JournalError::Damaged(reason))
}

fn rewound(reason: String) -> StepError {
    StepError::Fatal(JournalError::Rewound(reason))
}

/// Recomputes the hashes from before the anchored commit to the head, which is returned with its checkpoint.
async fn verify_chain(connection: &mut SqliteConnection, anchor: &Anchor) -> Result<(CommitParts, Vec<u8>), StepError> {
    let row = sqlx::query("SELECT coalesce(max(number), 0) AS number FROM commits")
        .fetch_one(&mut *connection)
        .await?;
    let newest = from_sql(row.try_get("number")?)?;
    if newest < anchor.number {
        return Err(rewound(format!(
            "the database is at commit {newest}, the anchor at commit {}",
            anchor.number
        )));
    }
    let first = anchor.number.min(newest.saturating_sub(VERIFIED_COMMITS)).max(1);
    let rows = sqlx::query("SELECT * FROM commits WHERE number >= ? ORDER BY number")
        .bind(to_sql(first)?)
        .fetch_all(connection)
        .await?;
    let mut previous: Option<CommitParts> = None;
    for row in &rows {
        let parts = verify_commit(row, previous.as_ref())?;
        if parts.number == anchor.number && parts.hash() != anchor.hash {
            return Err(rewound(format!(
                "commit {} of the database is another one than the anchored",
                anchor.number
            )));
        }
        previous = Some(parts);
    }
    match (previous, rows.last()) {
        (Some(parts), Some(row)) => Ok((parts, row.try_get("checkpoint")?)),
        _ => Err(damaged("there is no commit".to_owned())),
    }
}

fn verify_commit(row: &SqliteRow, previous: Option<&CommitParts>) -> Result<CommitParts, StepError> {
    let parts = CommitParts {
        number: from_sql(row.try_get("number")?)?,
        at: column_time(row, "at")?,
        previous: column32(row, "previous")?,
        content: column32(row, "content")?,
        log_size: from_sql(row.try_get("log_size")?)?,
        log_root: column32(row, "log_root")?,
    };
    let number = parts.number;
    if parts.hash() != column32(row, "hash")? {
        return Err(damaged(format!("the hash of commit {number} is not that of its row")));
    }
    let follows = match previous {
        Some(before) => {
            before.number.checked_add(1) == Some(number) && before.hash() == parts.previous && before.at <= parts.at
        }
        None => number != 1 || parts.previous == NO_PREVIOUS,
    };
    if !follows {
        return Err(damaged(format!("commit {number} does not continue the one before it")));
    }
    Ok(parts)
}

fn verify_checkpoint(parts: &CommitParts, checkpoint: &[u8], config: &JournalConfig) -> Result<(), OpenError> {
    let bad = |reason: String| OpenError::Damaged(format!("the checkpoint of commit {}: {reason}", parts.number));
    let signed = SignedCheckpoint::parse(checkpoint).map_err(|error| bad(error.to_string()))?;
    let verified = signed
        .verify(config.checkpoint_signer.verifier_key())
        .map_err(|error| bad(error.to_string()))?;
    let head = verified.checkpoint().head();
    if head.size().entries() != parts.log_size || *head.root().hash().as_bytes() != parts.log_root {
        return Err(bad("it is about another log".to_owned()));
    }
    Ok(())
}

/// The stored log has the size and root that the head commit states.
async fn verify_log(connection: &mut SqliteConnection, parts: &CommitParts) -> Result<Frontier, StepError> {
    let row = sqlx::query("SELECT coalesce(max(position), -1) AS position FROM log_entries")
        .fetch_one(&mut *connection)
        .await?;
    let newest: i64 = row.try_get("position")?;
    if newest.checked_add(1) != Some(to_sql(parts.log_size)?) {
        return Err(damaged(format!(
            "the log's last entry is {newest}, the head commit states {} entries",
            parts.log_size
        )));
    }
    let size = TreeSize::new(parts.log_size).map_err(|error| damaged(error.to_string()))?;
    let nodes = crate::log::load_nodes(connection, &Frontier::required_nodes(size)).await?;
    let stored = |id: NodeId| nodes.get(&id).copied();
    let log = Frontier::rebuild(size, stored).map_err(|error| damaged(error.to_string()))?;
    if *log.root().hash() != Hash::from_bytes(parts.log_root) {
        return Err(damaged("the log's root is not the head commit's".to_owned()));
    }
    Ok(log)
}

async fn load_active_bundle(connection: &mut SqliteConnection) -> Result<Option<ActiveBundle>, StepError> {
    let row = sqlx::query("SELECT version, digest, activated_at FROM bundles ORDER BY version DESC LIMIT 1")
        .fetch_optional(connection)
        .await?;
    let bundle = |row: SqliteRow| -> Result<ActiveBundle, StepError> {
        Ok(ActiveBundle {
            version: from_sql(row.try_get("version")?)?,
            digest: BundleDigest::from_bytes(column32(&row, "digest")?),
            activated_at: Timestamp::from_unix_millis(row.try_get("activated_at")?),
        })
    };
    row.map(bundle).transpose()
}
