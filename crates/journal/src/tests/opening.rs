//! What is opened, and what is refused with which reason.

use std::fs;

use sqlx::{ConnectOptions as _, sqlite::SqliteConnectOptions};

use super::*;
use crate::{OpenError, anchor::Anchor};

async fn refusal(place: &Place) -> OpenError {
    refusal_of(place.config()).await
}

async fn refusal_of(config: JournalConfig) -> OpenError {
    match SqlJournal::open(config).await {
        Ok(_) => panic!("it was opened"),
        Err(error) => error,
    }
}

/// A closed journal with bundle 1 and some entries.
async fn closed(place: &Place) {
    let journal = with_bundle(place).await;
    for n in 0..5 {
        write(&journal, vec![], vec![entry(&n.to_string(), &[])]).await.unwrap();
    }
    journal.close().await;
}

/// Changes the database behind the journal's back, past the triggers.
async fn tamper(place: &Place, sql: &'static str) {
    let options = SqliteConnectOptions::new().filename(place.database());
    let mut connection = options.connect().await.unwrap();
    for trigger in [
        "commits_stay",
        "entries_stay",
        "nodes_stay",
        "commits_are_kept",
        "entries_are_kept",
    ] {
        let drop = sqlx::AssertSqlSafe(format!("DROP TRIGGER {trigger}"));
        sqlx::raw_sql(drop).execute(&mut connection).await.unwrap();
    }
    let changed = sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    assert_eq!(changed.rows_affected(), 1, "{sql}");
    sqlx::Connection::close(connection).await.unwrap();
}

#[tokio::test]
async fn a_journal_is_created_once() {
    let place = Place::new();
    place.create().await.close().await;
    let create = || SqlJournal::create(place.config(), GENESIS_ENTRY.to_vec());
    assert!(matches!(create().await, Err(OpenError::DatabaseExists(_))));
    fs::remove_file(place.database()).unwrap();
    assert!(matches!(create().await, Err(OpenError::AnchorExists(_))));
    assert!(!place.database().exists(), "a refusal leaves nothing behind");
}

#[tokio::test]
async fn a_creation_that_fails_leaves_nothing_behind() {
    let place = Place::new();
    let directory = place.database().parent().unwrap().to_owned();
    let mut no_anchor = place.config();
    no_anchor.anchor_path = directory.join("absent").join("anchor");
    let mut no_key = place.config();
    no_key.checkpoint_signer = Arc::new(SilentKey(TestKey::new("log.example/test")));
    for config in [no_anchor, no_key] {
        let error = SqlJournal::create(config, GENESIS_ENTRY.to_vec()).await.err().unwrap();
        assert!(
            matches!(error, OpenError::Io { .. } | OpenError::Checkpoint(_)),
            "{error}"
        );
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 0);
    }
    let too_large = vec![0; countersign_audit::MAX_ENTRY_BYTES + 1];
    assert!(SqlJournal::create(place.config(), too_large).await.is_err());
    place.create().await;
}

struct SilentKey(TestKey);

impl CheckpointSigner for SilentKey {
    fn verifier_key(&self) -> &VerifierKey {
        self.0.verifier_key()
    }
    fn sign(&self, _: &[u8]) -> Result<[u8; 64], SignCheckpointError> {
        Err(SignCheckpointError("no token".to_owned()))
    }
}

#[tokio::test]
async fn the_files_are_for_the_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    let _journal = with_bundle(&place).await;
    for file in fs::read_dir(place.database().parent().unwrap()).unwrap() {
        let file = file.unwrap();
        assert_eq!(
            file.metadata().unwrap().permissions().mode() & 0o077,
            0,
            "{:?}",
            file.path()
        );
    }
}

#[tokio::test]
async fn reopening_continues_the_chain() {
    let place = Place::new();
    closed(&place).await;
    let journal = place.open().await;
    write(&journal, withdrawal("a"), vec![entry("a", &["a"])])
        .await
        .unwrap();
    journal.close().await;
    let journal = place.open().await;
    assert_eq!(all_entries(&journal).await.len(), 7);
    assert_log_is_whole(&journal).await;
}

#[tokio::test]
async fn a_missing_half_is_refused_and_not_made_again() {
    let place = Place::new();
    closed(&place).await;
    let anchor = fs::read(place.anchor()).unwrap();
    fs::remove_file(place.anchor()).unwrap();
    assert!(matches!(refusal(&place).await, OpenError::AnchorMissing(_)));
    assert!(!place.anchor().exists());
    fs::write(place.anchor(), b"nothing").unwrap();
    assert!(matches!(refusal(&place).await, OpenError::AnchorMalformed(_)));
    fs::write(place.anchor(), anchor).unwrap();
    fs::remove_file(place.database()).unwrap();
    assert!(matches!(refusal(&place).await, OpenError::DatabaseMissing(_)));
    assert!(!place.database().exists());
}

#[tokio::test]
async fn a_database_that_was_never_finished_is_refused() {
    let place = Place::new();
    closed(&place).await;
    for bytes in [
        &b""[..],
        b"this is not an SQLite database, it is a text that is long enough to be one ........",
    ] {
        fs::write(place.database(), bytes).unwrap();
        let error = refusal(&place).await;
        assert!(matches!(error, OpenError::NotAJournal(_)), "{error}");
    }
}

#[tokio::test]
async fn another_deployment_is_refused() {
    let place = Place::new();
    closed(&place).await;
    let mut config = place.config();
    config.deployment = GenesisHash::of(b"another");
    let error = refusal_of(config.clone()).await;
    assert!(
        matches!(error, OpenError::WrongDeployment { what: "anchor", .. }),
        "{error}"
    );
    let anchor = Anchor::read(&place.anchor()).unwrap().unwrap();
    fs::remove_file(place.anchor()).unwrap();
    let deployment = config.deployment;
    Anchor { deployment, ..anchor }.write(&place.anchor()).unwrap();
    let error = refusal_of(config).await;
    assert!(
        matches!(error, OpenError::WrongDeployment { what: "journal", .. }),
        "{error}"
    );
}

#[tokio::test]
async fn another_log_is_refused() {
    let place = Place::new();
    closed(&place).await;
    let mut config = place.config();
    config.checkpoint_signer = Arc::new(TestKey::new("log.example/other"));
    assert!(matches!(refusal_of(config).await, OpenError::WrongLog { .. }));
}

#[tokio::test]
async fn another_schema_version_is_refused() {
    let place = Place::new();
    closed(&place).await;
    tamper(&place, "UPDATE schema_version SET version = 1000").await;
    let known = crate::schema::SCHEMA_VERSION;
    assert!(matches!(
        refusal(&place).await,
        OpenError::UnknownSchema { found: 1000, known: ours } if ours == known
    ));
}

#[tokio::test]
async fn an_older_copy_is_refused() {
    let place = Place::new();
    closed(&place).await;
    let older = fs::read(place.database()).unwrap();
    let journal = place.open().await;
    write(&journal, vec![], vec![entry("signed", &[])]).await.unwrap();
    journal.close().await;
    fs::write(place.database(), &older).unwrap();
    assert!(matches!(refusal(&place).await, OpenError::Rewound(_)));
    assert_eq!(
        fs::read(place.database()).unwrap(),
        older,
        "a refused database is left as it was"
    );
}

/// Without the newest bundle's rows the one before would be in force.
#[tokio::test]
async fn a_bundle_that_was_taken_away_is_missed() {
    let place = Place::new();
    let journal = with_bundle(&place).await;
    write(&journal, bundle(2), Vec::new()).await.unwrap();
    write(&journal, vec![], vec![entry("x", &[])]).await.unwrap();
    journal.close().await;
    let mut connection = crate::database::Connection::open(&place.config().database)
        .await
        .unwrap();
    let taken = "DROP TRIGGER bundles_are_kept; DELETE FROM bundle_statements WHERE version = 2; \
                 DELETE FROM bundle_files WHERE version = 2; DELETE FROM bundles WHERE version = 2";
    connection.link().script(taken).await.unwrap();
    connection.close().await.unwrap();
    let error = refusal(&place).await;
    assert!(matches!(error, OpenError::Rewound(_)));
    assert!(
        error.to_string().contains("bundle 1 in force, the anchor bundle 2"),
        "{error}"
    );
}

/// Two histories of the same length: the anchor knows which one it saw.
#[tokio::test]
async fn a_forked_copy_is_refused() {
    let place = Place::new();
    closed(&place).await;
    let (database, anchor) = (fs::read(place.database()).unwrap(), fs::read(place.anchor()).unwrap());
    let journal = place.open().await;
    write(&journal, vec![], vec![entry("one", &[])]).await.unwrap();
    journal.close().await;
    let anchor_of_one = fs::read(place.anchor()).unwrap();
    fs::write(place.database(), database).unwrap();
    fs::write(place.anchor(), anchor).unwrap();
    let journal = place.open().await;
    write(&journal, vec![], vec![entry("two", &[])]).await.unwrap();
    write(&journal, vec![], vec![entry("three", &[])]).await.unwrap();
    journal.close().await;
    fs::write(place.anchor(), anchor_of_one).unwrap();
    assert!(matches!(refusal(&place).await, OpenError::Rewound(_)));
}

#[tokio::test]
async fn a_database_ahead_of_its_anchor_is_opened_and_anchored() {
    let mut place = Place::new();
    place.limits.anchor_every = 1_000.try_into().unwrap();
    let journal = with_bundle(&place).await;
    let before = fs::read(place.anchor()).unwrap();
    write(&journal, vec![], vec![entry("x", &[])]).await.unwrap();
    assert_eq!(fs::read(place.anchor()).unwrap(), before);
    drop(journal);
    let journal = place.open().await;
    let after = fs::read(place.anchor()).unwrap();
    assert_ne!(after, before);
    write(&journal, vec![], vec![entry("y", &[])]).await.unwrap();
    assert_eq!(fs::read(place.anchor()).unwrap(), after);
    journal.close().await;
    assert_ne!(fs::read(place.anchor()).unwrap(), after, "closing anchors");
}

#[tokio::test]
async fn one_changed_value_of_chain_or_log_is_damage() {
    let mutations = [
        "UPDATE commits SET at = at + 1 WHERE number = 6",
        "UPDATE commits SET at = at + 1 WHERE number = 2",
        "UPDATE commits SET content = zeroblob(32) WHERE number = 3",
        "UPDATE commits SET previous = zeroblob(32) WHERE number = 4",
        "UPDATE commits SET hash = zeroblob(32) WHERE number = 5",
        "UPDATE commits SET log_size = log_size + 1 WHERE number = 7",
        "UPDATE commits SET log_root = zeroblob(32) WHERE number = 1",
        "DELETE FROM commits WHERE number = 4",
        "UPDATE commits SET checkpoint = zeroblob(9) WHERE number = 7",
        "UPDATE commits SET checkpoint = (SELECT checkpoint FROM commits WHERE number = 6) WHERE number = 7",
        "UPDATE log_nodes SET hash = zeroblob(32) WHERE place = 9",
        "DELETE FROM log_entries WHERE position = 5",
    ];
    for sql in mutations {
        let place = Place::new();
        closed(&place).await;
        tamper(&place, sql).await;
        let error = refusal(&place).await;
        assert!(matches!(error, OpenError::Damaged(_)), "{sql}: {error}");
    }
}

#[tokio::test]
async fn a_clock_behind_the_last_commit_is_refused() {
    let place = Place::new();
    closed(&place).await;
    place.set_clock(START - 1);
    let error = refusal(&place).await;
    assert!(matches!(error, OpenError::TimeBackwards { .. }));
    assert_eq!(error.tag(), Tag::TimeBackwards);
}

#[tokio::test]
async fn the_second_opener_fences_the_first() {
    let place = Place::new();
    let first = with_bundle(&place).await;
    let second = place.open().await;
    write(&second, withdrawal("a"), vec![]).await.unwrap();
    assert_eq!(write(&first, withdrawal("b"), vec![]).await, Err(JournalError::Fenced));
    assert_eq!(first.basis(request("a"), Vec::new()).await, Err(JournalError::Fenced));
    assert_eq!(first.fatal(), Some(JournalError::Fenced));
    write(&second, withdrawal("c"), vec![]).await.unwrap();
    assert_eq!(second.history(request("b")).await.unwrap(), None);
    let anchor = fs::read(place.anchor()).unwrap();
    first.close().await;
    assert_eq!(
        fs::read(place.anchor()).unwrap(),
        anchor,
        "a fenced journal anchors nothing"
    );
    second.close().await;
    place.open().await;
}

#[tokio::test]
async fn a_database_replaced_under_the_writer_ends_it() {
    let place = Place::new();
    let journal = with_bundle(&place).await;
    tamper(&place, "DELETE FROM commits WHERE number = 2").await;
    let error = write(&journal, vec![], vec![entry("x", &[])]).await.unwrap_err();
    assert!(matches!(error, JournalError::Rewound(_)), "{error}");
    assert!(journal.fatal().is_some());
}

#[tokio::test]
async fn a_closed_journal_commits_what_waits_and_refuses_more() {
    let place = Place::new();
    let journal = with_bundle(&place).await;
    let (written, ()) = tokio::join!(write(&journal, withdrawal("a"), vec![]), journal.close());
    written.unwrap();
    assert!(matches!(
        write(&journal, vec![], vec![]).await,
        Err(JournalError::NotCommitted(_))
    ));
    assert!(place.open().await.history(request("a")).await.unwrap().is_some());
}
