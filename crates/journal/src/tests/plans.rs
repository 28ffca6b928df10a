//! Whatever is looked up or changed by a key is found in an index, however many keys there are and however small the tables were
//! when the plan was made.

use countersign_policy::UsageQuery;
use countersign_signer::TallyQuery;
use countersign_types::{CounterId, FreezeId};

use super::*;
use crate::{
    batch::Batch,
    database::Connection,
    lookups,
    needs::Needs,
    sql::{Link, Sql, Value},
    table::{Change, Table},
};

on_each_database! {
    lookups_search_indexes,
    the_most_that_a_proposal_may_ask_for_is_found,
    changes_search_indexes,
}

/// Numbers of keys: SQLite plans for each of them anew.
const KEYS: [u64; 4] = [1, 2, 16, 130];

/// Everything that a proposal can read, each several times.
fn reads(keys: u64) -> Reads {
    let names: Vec<String> = (0..keys).map(|number| format!("n{number}")).collect();
    let outpoint = |name: &String| ConflictKey::Outpoint {
        chain: "eip155:1".parse().unwrap(),
        txid: *request(name).as_bytes(),
        index: 1,
    };
    let usage = |name: &String, window: &str| UsageQuery {
        counter: CounterId::of(name.as_bytes()),
        window: window.parse().unwrap(),
    };
    let usage = |name| [usage(name, "24h"), usage(name, "7d")];
    let named = |topic: &str, name: &String| (topic.to_owned(), name.clone());
    let tally = |name: &String| TallyQuery {
        topic: name.clone(),
        within: countersign_types::Duration::from_secs(60),
    };
    let destination = |name: &String| format!("eip155:1:{name}").parse().unwrap();
    Reads {
        request: Some(request("a")),
        reference: Some((tenant(), reference("a"))),
        payments: names.iter().map(|name| (tenant(), payment(name))).collect(),
        conflict_keys: (0..keys).map(account_nonce).chain(names.iter().map(outpoint)).collect(),
        statements: names.iter().map(|name| statement_digest(name)).collect(),
        nonces: names.iter().map(|name| (signer(), nonce_of(name))).collect(),
        voices: names.iter().map(|name| (request(name), signer())).collect(),
        sequences: (0..keys)
            .map(|chain| (signer(), format!("eip155:{chain}").parse().unwrap()))
            .collect(),
        matters: names.iter().map(|name| (signer(), name.clone())).collect(),
        destinations: names.iter().map(destination).collect(),
        lists: names.iter().map(|name| name.parse().unwrap()).collect(),
        usage: names.iter().flat_map(usage).collect(),
        spends_since: None,
        freezes: true,
        marks: vec!["thaw a".to_owned(), "thaw b".to_owned()],
        made: names.iter().map(|name| FreezeId::of(name.as_bytes())).collect(),
        tallies: names.iter().map(tally).collect(),
        marked: names.iter().map(|name| named("networks", name)).collect(),
    }
}

async fn lookups_search_indexes(place: Place) {
    let mut connection = opened(&place).await;
    let now = at(START);
    for keys in KEYS {
        let mut needs = Needs::of(&reads(keys), now).unwrap();
        needs
            .requests
            .extend((0..keys).map(|number| request(&number.to_string())));
        let mut sql = Sql::default();
        lookups::push(&mut sql, &needs, now);
        searches_indexes(&mut connection.link(), sql, 25).await;
    }
}

/// SQLite takes so many values in one statement and no more.
async fn the_most_that_a_proposal_may_ask_for_is_found(place: Place) {
    let journal = with_bundle(&place).await;
    write(&journal, withdrawal("a"), Vec::new()).await.unwrap();
    let usage = |number: usize| UsageQuery {
        counter: CounterId::of(&number.to_be_bytes()),
        window: "24h".parse().unwrap(),
    };
    let outpoint = |index: usize| ConflictKey::Outpoint {
        chain: "eip155:1".parse().unwrap(),
        txid: [7; 32],
        index: u32::try_from(index).unwrap(),
    };
    for (counters, outpoints) in [(crate::MAX_READS, 0), (crate::MAX_READS / 2, crate::MAX_READS / 2)] {
        let reads = Reads {
            request: Some(request("a")),
            usage: (0..counters).map(usage).collect(),
            conflict_keys: (0..outpoints).map(outpoint).collect(),
            ..Reads::default()
        };
        let seen = view(&journal, reads).await;
        assert!(seen.withdrawal.is_some());
        let before = seen
            .usage
            .before(CounterId::of(&0_usize.to_be_bytes()), &"24h".parse().unwrap());
        assert_eq!(before, Some(Amount::ZERO));
    }
}

async fn changes_search_indexes(place: Place) {
    let mut connection = opened(&place).await;
    let digest = |number: u64| Value::from(request(&number.to_string()).as_bytes());
    for keys in KEYS {
        let mut batch = Batch::default();
        for number in 0..keys {
            let (one, bytes, text) = (Value::from(1), Value::from(vec![7]), Value::from("text"));
            batch.insert(Table::StatementSubjects, [vec![digest(number), digest(number)]]);
            batch.change(Change::Ended, vec![digest(number), one.clone(), text.clone()]);
            batch.change(Change::Decided, vec![digest(number), digest(number)]);
            batch.change(Change::Thaws, vec![digest(number), one.clone()]);
            let signed = vec![digest(number), one.clone(), bytes.clone(), bytes, text, one.clone()];
            batch.change(Change::Signed, signed);
            let key = Value::from(account_nonce(number).to_string());
            batch.change(Change::GivenUp, vec![key, digest(number), one.clone()]);
            for change in [Change::Aged, Change::Failed, Change::Released] {
                batch.change(change, vec![digest(number), one.clone(), one.clone()]);
            }
        }
        searches_indexes(&mut connection.link(), batch.into_sql(), 9).await;
    }
}

async fn opened(place: &Place) -> Connection {
    place.create().await.close().await;
    Connection::open(&place.config().database).await.unwrap()
}

/// At least so many of the plan's steps search in a table, and none goes through one.
async fn searches_indexes(link: &mut Link<'_>, sql: Sql, at_least: usize) {
    let mut searches = 0;
    let is_sqlite = matches!(link, Link::Sqlite(_));
    let (explain, column) = if is_sqlite {
        ("EXPLAIN QUERY PLAN ", "detail")
    } else {
        ("EXPLAIN ", "QUERY PLAN")
    };
    for row in link.rows(sql.behind(explain)).await.unwrap() {
        let step = row.text(column).unwrap();
        // Of rows that the statement brings, or that it has found.
        let is_brought = step.contains("ROW")
            || ["given", "in_force", "first_ones"]
                .iter()
                .any(|name| step.contains(name));
        assert!(!step.starts_with("SCAN") || is_brought, "{step}");
        assert!(!step.contains("AUTOMATIC") && !step.contains("Seq Scan"), "{step}");
        searches += usize::from(step.starts_with("SEARCH") || step.contains("Index"));
    }
    assert!(searches >= at_least, "{searches} searches");
}
