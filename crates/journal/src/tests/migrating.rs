//! Databases of older versions: the tables as the migrations up to one made them, with the rows of a journal of today.

use countersign_audit::NodeId;
use countersign_policy::{Charge, UsageQuery};
use countersign_types::CounterId;

use super::*;
use crate::{
    database::Connection,
    log::place as place_of,
    schema::migrations,
    sql::{Link, Sql},
};

on_each_database! {
    every_version_is_brought_up_to_date,
}

/// Tables that never changed, behind those that they refer to, with the version that made them.
const UNCHANGED: [(&str, i64); 22] = [
    ("deployment", 1),
    ("fence", 1),
    ("commits", 1),
    ("statements", 1),
    ("bundles", 1),
    ("bundle_files", 1),
    ("bundle_statements", 1),
    ("statement_subjects", 1),
    ("withdrawals", 1),
    ("payments", 1),
    ("attempts", 1),
    ("log_entries", 1),
    ("log_subjects", 1),
    ("counters", 2),
    ("counter_entries", 2),
    ("observer_sequences", 3),
    ("freezes", 4),
    ("marks", 4),
    ("last_words", 6),
    ("paid_destinations", 6),
    ("listed_destinations", 6),
    ("begun_lists", 7),
];

/// What version 8 brought in order, as it was before.
const OUT_OF_ORDER: [(&str, &str); 2] = [
    (
        "spends",
        "attempt, request, number, facts, charged_at, aged_at, released_at, failed FROM new.spends \
         JOIN new.attempts ON seq = attempt",
    ),
    (
        "charges",
        "request, counter, number, amount FROM new.charges JOIN new.attempts ON seq = attempt",
    ),
];

/// Keyed by level and index, as the first versions had them.
fn old_nodes(size: u64) -> String {
    let complete = |level: u8| (0..size >> level).map(move |index| NodeId { level, index });
    let nodes: Vec<String> = (0..=size.ilog2())
        .flat_map(|level| complete(u8::try_from(level).unwrap()))
        .map(|id| format!("({}, {}, {})", id.level, id.index, place_of(id).unwrap()))
        .collect();
    let nodes = nodes.join(", ");
    format!("column1, column2, hash FROM (VALUES {nodes}) AS given CROSS JOIN new.log_nodes WHERE place = column3")
}

/// The columns of every table that a version has, from the schema `new`.
fn columns_of(version: i64, log_size: u64) -> Vec<(&'static str, String)> {
    let unchanged = UNCHANGED.iter().filter(|(_, since)| *since <= version);
    let mut columns: Vec<(&str, String)> = unchanged
        .map(|(table, _)| (*table, format!("* FROM new.{table}")))
        .collect();
    // Version 9 can give them up.
    let claims = "key, request, account, nonce FROM new.conflict_claims";
    columns.push(("conflict_claims", claims.to_owned()));
    if version >= 8 {
        let in_order = ["spends", "charges", "log_nodes"].map(|table| (table, format!("* FROM new.{table}")));
        columns.extend(in_order);
        return columns;
    }
    if version >= 2 {
        // Failed spends came with version 5.
        let failed = if version < 5 { "" } else { ", failed" };
        let spends = OUT_OF_ORDER.iter();
        columns.extend(spends.map(|(table, columns)| (*table, columns.replace(", failed", failed))));
    }
    columns.push(("log_nodes", old_nodes(log_size)));
    columns
}

/// A number column that counts by itself goes on behind the rows that it was given. Spends had one until version 8.
fn counts_by_itself(table: &str, version: i64) -> bool {
    ["statements", "attempts", "freezes"].contains(&table) || (table == "spends" && version < 8)
}

/// Puts the rows of a closed journal into the tables of an older version.
async fn make_older(place: &Place, version: i64) {
    let database = place.config().database;
    let size = log_size(place).await;
    if let Database::Sqlite(path) = &database {
        std::fs::rename(path, place.directory.path().join("new.db")).unwrap();
        std::fs::write(path, b"").unwrap();
    }
    let mut connection = Connection::open(&database).await.unwrap();
    let is_postgres = matches!(connection.link(), Link::Postgres(_));
    let mut script = match &database {
        Database::Sqlite(_) => format!("ATTACH '{}' AS new;", place.directory.path().join("new.db").display()),
        Database::Postgres(_) => "ALTER SCHEMA public RENAME TO new; CREATE SCHEMA public;".to_owned(),
    };
    let (all, first) = migrations(&connection.link());
    script.extend(all.iter().take(usize::try_from(version - first + 1).unwrap()).copied());
    script.push_str("CREATE TABLE schema_version (id INTEGER PRIMARY KEY CHECK (id = 1), version BIGINT NOT NULL);");
    script.push_str(&format!(
        "INSERT INTO schema_version (id, version) VALUES (1, {version});"
    ));
    for (table, columns) in columns_of(version, size) {
        let overriding = if is_postgres { "OVERRIDING SYSTEM VALUE" } else { "" };
        script.push_str(&format!("INSERT INTO {table} {overriding} SELECT {columns};"));
        if is_postgres && counts_by_itself(table, version) {
            script.push_str(&format!(
                "SELECT setval(pg_get_serial_sequence('{table}', 'seq'), (SELECT coalesce(max(seq), 0) + 1 FROM {table}), false);"
            ));
        }
    }
    if is_postgres {
        script.push_str("DROP SCHEMA new CASCADE;");
    }
    let script: &'static str = Box::leak(script.into_boxed_str());
    connection.link().script(script).await.unwrap();
    connection.close().await.unwrap();
}

async fn log_size(place: &Place) -> u64 {
    let mut connection = Connection::open(&place.config().database).await.unwrap();
    let size = Sql::new("SELECT count(*) AS size FROM log_entries");
    let size = connection.link().row(size).await.unwrap().number("size");
    connection.close().await.unwrap();
    u64::try_from(size.unwrap()).unwrap()
}

fn charged(name: &str, nonce: u64, amount: u64) -> Vec<Write> {
    let spend = Write::Spend {
        request: request(name),
        number: 1,
        facts: name.as_bytes().to_vec(),
        charges: vec![Charge {
            counter: CounterId::of(b"hot"),
            amount: amount.into(),
        }],
    };
    [withdrawal(name), vec![attempt(name, 1, nonce), spend]].concat()
}

/// What the counter stands at, what one lineage was charged, and everything that still counts.
async fn standing(journal: &SqlJournal) -> LedgerView {
    let usage = UsageQuery {
        counter: CounterId::of(b"hot"),
        window: "1d".parse().unwrap(),
    };
    let reads = Reads {
        request: Some(request("c")),
        usage: vec![usage],
        spends_since: Some(at(0)),
        ..Reads::default()
    };
    view(journal, reads).await
}

/// Everything that readers see of the withdrawals.
async fn told(journal: &SqlJournal) -> Vec<String> {
    let mut told = Vec::new();
    for name in ["a", "b", "c"] {
        let history = journal.history(request(name)).await.unwrap().unwrap();
        let basis = journal.basis(request(name), Vec::new()).await.unwrap().unwrap();
        told.push(format!("{history:?} {basis:?}"));
    }
    let all = Page {
        offset: 0,
        limit: Page::MAX,
    };
    told.push(format!("{:?}", journal.unfinished(all).await.unwrap()));
    told
}

/// A journal with withdrawals in three states, statements about them, and log entries about those and about the bundle.
async fn filled(place: &Place) -> SqlJournal {
    let journal = with_bundle(place).await;
    for (nonce, name) in (0..).zip(["c", "b", "a"]) {
        let entries = vec![entry(name, &[name]), entry(&format!("more of {name}"), &[name])];
        write(&journal, charged(name, nonce, nonce + 5), entries).await.unwrap();
    }
    let aged = Write::Aged {
        request: request("b"),
        number: 1,
    };
    let released = Write::Released {
        request: request("a"),
        number: 1,
    };
    let ended = ended(request("a"));
    // About a withdrawal that never came.
    let early = statement("early", &["never"]);
    write(
        &journal,
        vec![aged, released, ended, early, writes::signed("b", 1)],
        vec![entry("never", &["never"])],
    )
    .await
    .unwrap();
    journal
}

async fn every_version_is_brought_up_to_date(place: Place) {
    let first = if place.database.is_some() { 2 } else { 1 };
    let mut journal = filled(&place).await;
    for version in (first..crate::schema::SCHEMA_VERSION).rev() {
        let before = (standing(&journal).await, told(&journal).await);
        assert_eq!(before.0.spends.len(), 2);
        journal.close().await;
        make_older(&place, version).await;
        journal = place.open().await;
        assert_log_is_whole(&journal).await;
        // The first version knew no spends.
        if version > 1 {
            let after = (standing(&journal).await, told(&journal).await);
            assert_eq!(after, before, "version {version}");
        }
    }
    goes_on(&journal).await;
    journal.close().await;
    place.open().await;
}

/// What was claimed is claimed, and what comes is kept.
async fn goes_on(journal: &SqlJournal) {
    let nonce = 3;
    let entries = vec![entry("d", &["d"])];
    write(journal, charged("d", nonce, 5), entries).await.unwrap();
    for taken in [nonce, 0] {
        let error = write(journal, charged("e", taken, 5), vec![]).await.unwrap_err();
        assert!(error.to_string().contains("another withdrawal"), "{error}");
    }
    let second = Write::Subject {
        request: request("d"),
        statement: statement_digest("early"),
    };
    write(journal, vec![second], vec![]).await.unwrap();
    assert_eq!(journal.statements(request("d")).await.unwrap().len(), 1);
}
