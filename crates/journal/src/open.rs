//! Creating a journal, and opening one with every check that it is whole and the latest. Nothing is ever repaired.

use std::{fs, io, path::Path};

use countersign_audit::{Frontier, Hash, NodeId, SignedCheckpoint, TreeSize};
use countersign_signer::{ActiveBundle, JournalError, LogEntry};
use countersign_types::{BundleDigest, GenesisHash, Timestamp};

use crate::{
    Database, JournalConfig, OpenError,
    anchor::{Anchor, sync_directory},
    batch::Batch,
    chain::{CommitParts, NO_PREVIOUS},
    codec::{from_sql, to_sql},
    commit::{Draft, Head},
    database::Connection,
    error::StepError,
    follow::MAX_SKEW,
    records::{column_time, column32},
    schema::{SCHEMA_VERSION, migrate, read_schema_version, write_schema},
    sql::{Link, Row, Sql},
    view::InForce,
};

/// The epoch of a journal that was never recovered.
pub const FIRST_EPOCH: u64 = 1;
/// Commits that are verified at every start besides those behind the anchor: a minute of full load.
const VERIFIED_COMMITS: u64 = 10_000;

/// A journal that is open for writing.
pub(crate) struct Opened {
    pub(crate) connection: Connection,
    pub(crate) generation: i64,
    pub(crate) head: Head,
}

/// Makes the database with its first commit, and the anchor. Leaves nothing behind when it fails.
pub(crate) async fn create(config: &JournalConfig, first_entry: Vec<u8>) -> Result<(), OpenError> {
    let Database::Sqlite(path) = &config.database else {
        refuse_anchor(config)?;
        return fill(config, first_entry).await;
    };
    if is_present(path)? {
        return Err(OpenError::DatabaseExists(config.database.clone()));
    }
    refuse_anchor(config)?;
    create_file(path)?;
    let created = fill(config, first_entry).await;
    if created.is_err() {
        // Ours alone, and never acknowledged: `create_file` made it a moment ago.
        remove_file(path)?;
    }
    created
}

/// All of the database is one transaction: a creation that a crash ended leaves a file that `open` refuses.
async fn fill(config: &JournalConfig, first_entry: Vec<u8>) -> Result<(), OpenError> {
    let mut connection = Connection::open(&config.database).await?;
    let filled = fill_database(&mut connection.link(), config, first_entry).await;
    // Closing removes SQLite's companion files, and rolls back what was not committed.
    connection.close().await?;
    write_anchor(config, &filled?).await
}

async fn fill_database(link: &mut Link<'_>, config: &JournalConfig, first_entry: Vec<u8>) -> Result<Head, OpenError> {
    link.script(match link {
        Link::Sqlite(_) => "BEGIN IMMEDIATE",
        Link::Postgres(_) => "BEGIN",
    })
    .await?;
    // Of two creators one makes the tables, and the other finds them or cannot make them.
    if read_schema_version(link).await?.is_some() {
        return Err(OpenError::DatabaseExists(config.database.clone()));
    }
    write_schema(link).await?;
    write_identity(link, config).await?;
    let head = write_genesis(link, config, first_entry)
        .await
        .map_err(|error| OpenError::Checkpoint(error.to_string()))?;
    link.script("COMMIT").await?;
    Ok(head)
}

fn remove_file(path: &Path) -> Result<(), OpenError> {
    fs::remove_file(path).map_err(|source| io_error(path, source))
}

fn refuse_anchor(config: &JournalConfig) -> Result<(), OpenError> {
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
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(OpenError::DatabaseExists(Database::Sqlite(path.to_owned())))
        }
        Err(source) => Err(io_error(path, source)),
    }
}

async fn write_identity(link: &mut Link<'_>, config: &JournalConfig) -> Result<(), OpenError> {
    let epoch = to_sql(FIRST_EPOCH).map_err(|error| OpenError::Damaged(error.to_string()))?;
    let origin = config.checkpoint_signer.verifier_key().name().as_str();
    let mut sql = Sql::new("INSERT INTO deployment (id, genesis, log_origin, epoch) VALUES (1, ");
    sql.bind(config.deployment.as_bytes())
        .push(", ")
        .bind(origin)
        .push(", ")
        .bind(epoch)
        .push(")")
        .end()
        .push("INSERT INTO fence (id, owner, generation) VALUES (1, ")
        .bind(owner_name())
        .push(", 1)");
    link.execute(sql).await?;
    Ok(())
}

/// For people who look for who took the journal over.
fn owner_name() -> String {
    format!("process {}", std::process::id())
}

async fn write_genesis(link: &mut Link<'_>, config: &JournalConfig, first_entry: Vec<u8>) -> Result<Head, StepError> {
    let mut draft = Draft::after(&Head::before_genesis(FIRST_EPOCH));
    draft.advance((config.clock)())?;
    let entry = LogEntry {
        bytes: first_entry,
        subjects: Vec::new(),
    };
    crate::apply::refuse_unwritable(std::slice::from_ref(&entry), &[])?;
    draft.append(&[entry], &[])?;
    draft
        .seal(link, Batch::default(), config.checkpoint_signer.as_ref())
        .await
}

/// Names the head in the anchor file.
pub(crate) async fn write_anchor(config: &JournalConfig, head: &Head) -> Result<(), OpenError> {
    let anchor = Anchor {
        deployment: config.deployment,
        number: head.number,
        hash: head.hash,
        bundle: head.in_force.bundle_version(),
    };
    let path = config.anchor_path.clone();
    let written = tokio::task::spawn_blocking(move || anchor.write(&path)).await;
    written.map_err(|error| io_error(&config.anchor_path, io::Error::other(error)))?
}

/// Verifies everything, takes the fence, and brings the anchor up to the head.
pub(crate) async fn open(config: &JournalConfig) -> Result<Opened, OpenError> {
    if let Database::Sqlite(path) = &config.database
        && !is_present(path)?
    {
        return Err(OpenError::DatabaseMissing(config.database.clone()));
    }
    let anchor =
        Anchor::read(&config.anchor_path)?.ok_or_else(|| OpenError::AnchorMissing(config.anchor_path.clone()))?;
    refuse_deployment("anchor", anchor.deployment, config.deployment)?;
    let mut connection = Connection::open(&config.database)
        .await
        .map_err(|error| not_a_journal(config, error))?;
    // Under the write lock: nobody commits between the checks and the fence.
    let mut link = connection.link();
    let version = read_schema_version(&mut link)
        .await
        .map_err(|error| not_a_journal(config, error))?;
    if version.is_none() {
        return Err(OpenError::NotAJournal(config.database.clone()));
    }
    link.begin_locked()
        .await
        .map_err(|error| not_a_journal(config, error))?;
    let head = verify(&mut link, config, &anchor).await?;
    let generation = take_fence(&mut link, config).await?;
    link.script("COMMIT").await?;
    write_anchor(config, &head).await?;
    Ok(Opened {
        connection,
        generation,
        head,
    })
}

/// A file has one writer: who opens it takes it over, and whoever had it open is fenced. Signers that share a database
/// write in turn, and the generation stays until somebody raises it to put them all out (docs/adr/0021).
async fn take_fence(link: &mut Link<'_>, config: &JournalConfig) -> Result<i64, OpenError> {
    let sql = if config.database.is_shared() {
        Sql::new("SELECT generation FROM fence WHERE id = 1")
    } else {
        let mut sql = Sql::new("UPDATE fence SET generation = generation + 1, owner = ");
        sql.bind(owner_name()).push(" WHERE id = 1 RETURNING generation");
        sql
    };
    Ok(link.row(sql).await?.number("generation")?)
}

/// Another file than an SQLite database shows at the first statement.
fn not_a_journal(config: &JournalConfig, error: sqlx::Error) -> OpenError {
    if crate::error::is_damage(&error) {
        return OpenError::NotAJournal(config.database.clone());
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

async fn verify(link: &mut Link<'_>, config: &JournalConfig, anchor: &Anchor) -> Result<Head, OpenError> {
    let Some(found) = read_schema_version(link).await? else {
        return Err(OpenError::NotAJournal(config.database.clone()));
    };
    let found = migrate(link, found).await?;
    if found != SCHEMA_VERSION {
        return Err(OpenError::UnknownSchema {
            found,
            known: SCHEMA_VERSION,
        });
    }
    let epoch = verify_identity(link, config).await?;
    let (parts, checkpoint) = verify_chain(link, anchor).await.map_err(open_error)?;
    refuse_backwards(config, parts.at)?;
    verify_checkpoint(&parts, &checkpoint, config)?;
    let log = verify_log(link, &parts).await.map_err(open_error)?;
    let bundle = load_active_bundle(link).await.map_err(open_error)?;
    let found = bundle.as_ref().map_or(0, |bundle| bundle.version);
    // Whoever takes the row of the newest bundle away would put the one before in force.
    if found < anchor.bundle {
        return Err(OpenError::Rewound(format!(
            "the database has bundle {found} in force, the anchor bundle {}",
            anchor.bundle
        )));
    }
    Ok(Head {
        number: parts.number,
        at: parts.at,
        hash: parts.hash(),
        log,
        checkpoint,
        in_force: InForce { epoch, bundle },
    })
}

/// The clocks of signers that share a journal differ a little.
fn refuse_backwards(config: &JournalConfig, last: Timestamp) -> Result<(), OpenError> {
    let now = (config.clock)();
    let accepted = if config.database.is_shared() {
        now.after(MAX_SKEW)
    } else {
        now
    };
    if accepted < last {
        return Err(OpenError::TimeBackwards { now, last });
    }
    Ok(())
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

async fn verify_identity(link: &mut Link<'_>, config: &JournalConfig) -> Result<u64, OpenError> {
    let identity = "SELECT genesis, log_origin, epoch FROM deployment WHERE id = 1";
    let row = link.row(Sql::new(identity)).await?;
    let genesis = GenesisHash::from_bytes(column32(&row, "genesis").map_err(open_error)?);
    refuse_deployment("journal", genesis, config.deployment)?;
    let found = row.text("log_origin")?.to_owned();
    let expected = config.checkpoint_signer.verifier_key().name().as_str();
    if found != expected {
        return Err(OpenError::WrongLog {
            found,
            expected: expected.to_owned(),
        });
    }
    from_sql(row.number("epoch")?).map_err(|error| OpenError::Damaged(error.to_string()))
}

fn damaged(reason: String) -> StepError {
    StepError::Fatal(JournalError::Damaged(reason))
}

fn rewound(reason: String) -> StepError {
    StepError::Fatal(JournalError::Rewound(reason))
}

/// Recomputes the hashes from before the anchored commit to the head, which is returned with its checkpoint.
async fn verify_chain(link: &mut Link<'_>, anchor: &Anchor) -> Result<(CommitParts, Vec<u8>), StepError> {
    let newest = "SELECT coalesce(max(number), 0) AS number FROM commits";
    let newest = from_sql(link.row(Sql::new(newest)).await?.number("number")?)?;
    if newest < anchor.number {
        return Err(rewound(format!(
            "the database is at commit {newest}, the anchor at commit {}",
            anchor.number
        )));
    }
    let first = anchor.number.min(newest.saturating_sub(VERIFIED_COMMITS)).max(1);
    let mut sql = Sql::new("SELECT * FROM commits WHERE number >= ");
    sql.bind(to_sql(first)?).push(" ORDER BY number");
    let rows = link.rows(sql).await?;
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
        (Some(parts), Some(row)) => Ok((parts, row.bytes("checkpoint")?.to_vec())),
        _ => Err(damaged("there is no commit".to_owned())),
    }
}

/// A row whose hash is its own.
pub(crate) fn commit_parts(row: &Row) -> Result<CommitParts, StepError> {
    let parts = CommitParts {
        number: from_sql(row.number("number")?)?,
        at: column_time(row, "at")?,
        previous: column32(row, "previous")?,
        content: column32(row, "content")?,
        log_size: from_sql(row.number("log_size")?)?,
        log_root: column32(row, "log_root")?,
    };
    if parts.hash() != column32(row, "hash")? {
        let number = parts.number;
        return Err(damaged(format!("the hash of commit {number} is not that of its row")));
    }
    Ok(parts)
}

fn verify_commit(row: &Row, previous: Option<&CommitParts>) -> Result<CommitParts, StepError> {
    let parts = commit_parts(row)?;
    let number = parts.number;
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

pub(crate) fn verify_checkpoint(
    parts: &CommitParts,
    checkpoint: &[u8],
    config: &JournalConfig,
) -> Result<(), OpenError> {
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
async fn verify_log(link: &mut Link<'_>, parts: &CommitParts) -> Result<Frontier, StepError> {
    let newest = "SELECT coalesce(max(position), -1) AS position FROM log_entries";
    let newest = link.row(Sql::new(newest)).await?.number("position")?;
    if newest.checked_add(1) != Some(to_sql(parts.log_size)?) {
        return Err(damaged(format!(
            "the log's last entry is {newest}, the head commit states {} entries",
            parts.log_size
        )));
    }
    let size = TreeSize::new(parts.log_size).map_err(|error| damaged(error.to_string()))?;
    let nodes = crate::log::load_nodes(link, &Frontier::required_nodes(size)).await?;
    let stored = |id: NodeId| nodes.get(&id).copied();
    let log = Frontier::rebuild(size, stored).map_err(|error| damaged(error.to_string()))?;
    if *log.root().hash() != Hash::from_bytes(parts.log_root) {
        return Err(damaged("the log's root is not the head commit's".to_owned()));
    }
    Ok(log)
}

pub(crate) async fn load_active_bundle(link: &mut Link<'_>) -> Result<Option<ActiveBundle>, StepError> {
    let newest = "SELECT version, digest, activated_at FROM bundles ORDER BY version DESC LIMIT 1";
    let row = link.optional_row(Sql::new(newest)).await?;
    let bundle = |row: Row| -> Result<ActiveBundle, StepError> {
        Ok(ActiveBundle {
            version: from_sql(row.number("version")?)?,
            digest: BundleDigest::from_bytes(column32(&row, "digest")?),
            activated_at: Timestamp::from_unix_millis(row.number("activated_at")?),
        })
    };
    row.map(bundle).transpose()
}
