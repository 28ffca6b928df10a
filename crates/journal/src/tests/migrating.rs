//! Databases of older versions: made from a new one by taking back what the migrations did, and opened.

use countersign_audit::NodeId;
use countersign_policy::{Charge, UsageQuery};
use countersign_types::CounterId;

use super::*;
use crate::{database::Connection, log::place as place_of, sql::Sql};

on_each_database! {
    spends_and_log_nodes_are_brought_in_order,
}

/// Spends, charges and log nodes as versions before 8 had them.
async fn put_out_of_order(place: &Place) -> String {
    let mut connection = Connection::open(&place.config().database).await.unwrap();
    let size = Sql::new("SELECT count(*) AS size FROM log_entries");
    let size = connection.link().row(size).await.unwrap().number("size");
    let size = u64::try_from(size.unwrap()).unwrap();
    connection.close().await.unwrap();
    let complete = |level: u8| (0..size >> level).map(move |index| NodeId { level, index });
    let nodes: Vec<String> = (0..=size.ilog2())
        .flat_map(|level| complete(u8::try_from(level).unwrap()))
        .map(|id| format!("({}, {}, {})", id.level, id.index, place_of(id).unwrap()))
        .collect();
    format!(
        "CREATE TABLE old_charges AS SELECT request, number, counter, amount FROM charges JOIN attempts ON seq = attempt; \
         CREATE TABLE old_spends AS SELECT attempts.seq AS seq, request, number, facts, charged_at, aged_at, released_at, failed \
         FROM spends JOIN attempts ON attempts.seq = attempt; \
         DROP TABLE charges; DROP TABLE spends; \
         ALTER TABLE old_charges RENAME TO charges; ALTER TABLE old_spends RENAME TO spends; \
         CREATE TABLE old_nodes AS SELECT column1 AS level, CAST(column2 AS BIGINT) AS position, hash \
         FROM (VALUES {}) AS given CROSS JOIN log_nodes WHERE place = column3; \
         DROP TABLE log_nodes; ALTER TABLE old_nodes RENAME TO log_nodes; \
         UPDATE schema_version SET version = 7;",
        nodes.join(", ")
    )
}

async fn run(place: &Place, script: String) {
    let mut connection = Connection::open(&place.config().database).await.unwrap();
    let script: &'static str = Box::leak(script.into_boxed_str());
    connection.link().script(script).await.unwrap();
    connection.close().await.unwrap();
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

async fn spends_and_log_nodes_are_brought_in_order(place: Place) {
    let journal = with_bundle(&place).await;
    for (nonce, name) in (0..).zip(["c", "b", "a"]) {
        let entries = vec![entry(name, &[name]), entry(&format!("more of {name}"), &[name])];
        write(&journal, charged(name, nonce, nonce + 5), entries).await.unwrap();
    }
    let (aged, released) = (request("b"), request("a"));
    let aged = Write::Aged {
        request: aged,
        number: 1,
    };
    let released = Write::Released {
        request: released,
        number: 1,
    };
    write(&journal, vec![aged, released], Vec::new()).await.unwrap();
    let before = standing(&journal).await;
    assert_eq!(before.spends.len(), 2);
    let history = journal.history(request("b")).await.unwrap().unwrap();
    journal.close().await;
    let old = put_out_of_order(&place).await;
    run(&place, old).await;
    let journal = place.open().await;
    assert_eq!(standing(&journal).await, before);
    let entries = journal.history(request("b")).await.unwrap().unwrap().entries;
    assert_eq!(entries, history.entries, "with the same proofs");
    let aged = Write::Aged {
        request: request("c"),
        number: 1,
    };
    write(&journal, vec![aged], vec![entry("aged", &["c"])]).await.unwrap();
    assert_log_is_whole(&journal).await;
    journal.close().await;
    place.open().await;
}

/// What the first version of the schema held is kept, and counters are there.
#[tokio::test]
async fn the_first_version_is_brought_up_to_date() {
    let place = Place::new();
    let journal = with_bundle(&place).await;
    for n in 0..5 {
        write(&journal, vec![], vec![entry(&n.to_string(), &[])]).await.unwrap();
    }
    journal.close().await;
    let old = put_out_of_order(&place).await;
    run(&place, old).await;
    let first_version = "DROP TABLE counter_entries; DROP TABLE counters; DROP TABLE charges; DROP TABLE spends; \
                         DROP TABLE observer_sequences; DROP TABLE freezes; DROP TABLE marks; DROP TABLE last_words; \
                         DROP TABLE paid_destinations; DROP TABLE listed_destinations; DROP TABLE begun_lists; \
                         UPDATE schema_version SET version = 1";
    run(&place, first_version.to_owned()).await;
    let journal = place.open().await;
    assert_eq!(all_entries(&journal).await.len(), 6);
    let writes = [withdrawal("a"), vec![attempt("a", 1, 0), spend("a", 1)]].concat();
    write(&journal, writes, Vec::new()).await.unwrap();
    journal.close().await;
    place.open().await;
}
