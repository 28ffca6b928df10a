//! Signers that share a PostgreSQL database: they write in turn, and each verifies what the others wrote.

use countersign_policy::{Charge, UsageQuery, Window};
use countersign_signer::LedgerView;
use countersign_types::CounterId;
use futures_util::future::join_all;

use super::*;
use crate::{OpenError, fail::Step};

/// Two signers of one deployment with bundle 1 in force.
async fn two() -> ([Place; 2], [SqlJournal; 2]) {
    let first = Place::postgres().await;
    let journal = with_bundle(&first).await;
    let second = first.beside();
    let other = second.open().await;
    ([first, second], [journal, other])
}

async fn log(journal: &SqlJournal, text: &str) -> Result<Timestamp, JournalError> {
    write(journal, Vec::new(), vec![entry(text, &[])]).await
}

#[tokio::test]
async fn each_continues_what_the_other_wrote() {
    let (_places, journals) = two().await;
    for round in 0..6 {
        log(&journals[round % 2], &format!("entry {round}")).await.unwrap();
    }
    // One activates a bundle, the other decides under it.
    write(&journals[0], bundle(2), Vec::new()).await.unwrap();
    let version = |view: &LedgerView, _| Verdict::unchanged(view.bundle.as_ref().map(|bundle| bundle.version));
    let seen = propose(&journals[1], Reads::default(), version).await.unwrap().0;
    assert_eq!(seen, Some(2));
    for journal in &journals {
        assert_log_is_whole(journal).await;
        assert_eq!(all_entries(journal).await.len(), 7);
        journal.close().await;
    }
}

#[tokio::test]
async fn racing_signers_hold_one_limit_to_the_last_unit() {
    let (_places, journals) = two().await;
    for number in 0..40 {
        write(&journals[0], withdrawal(&number.to_string()), Vec::new())
            .await
            .unwrap();
    }
    let counter = CounterId::of(b"shared");
    let window: Window = "1d".parse().unwrap();
    let submit = |number: usize| {
        let name = number.to_string();
        let query = UsageQuery {
            counter,
            window: window.clone(),
        };
        let reads = Reads {
            request: Some(request(&name)),
            usage: vec![query],
            ..Reads::default()
        };
        let window = window.clone();
        propose(&journals[number % 2], reads, move |view: &LedgerView, _| {
            let charge = Charge {
                counter,
                amount: 7u64.into(),
            };
            let after = view.usage.after(&charge, &window);
            let fits = after.is_some_and(|after| after <= Amount::from_base_units(100));
            let spend = Write::Spend {
                request: request(&name),
                number: 1,
                facts: Vec::new(),
                charges: vec![charge],
            };
            let writes = vec![attempt(&name, 1, number as u64), spend];
            Verdict {
                entries: Vec::new(),
                writes: if fits { writes } else { Vec::new() },
                reply: fits,
            }
        })
    };
    let answers = join_all((0..40).map(submit)).await;
    let allowed = answers.into_iter().filter(|answer| answer.as_ref().unwrap().0).count();
    assert_eq!(allowed, 14);
}

#[tokio::test]
async fn a_lost_answer_is_found_under_what_the_other_wrote() {
    for (step, is_durable) in [(Step::CommitAnswerLost, true), (Step::CommitRefused, false)] {
        let (places, journals) = two().await;
        places[0].fail.arm(step);
        places[0].fail.arm(Step::HeadUnreadable);
        assert!(matches!(log(&journals[0], "a").await, Err(JournalError::InDoubt(_))));
        log(&journals[1], "b").await.unwrap();
        log(&journals[0], "c").await.unwrap();
        let entries = all_entries(&journals[0]).await;
        let expected: &[&[u8]] = if is_durable { &[b"a", b"b", b"c"] } else { &[b"b", b"c"] };
        assert_eq!(entries[1..], *expected, "{step:?}");
        assert_log_is_whole(&journals[1]).await;
    }
}

#[tokio::test]
async fn a_clock_behind_waits_and_a_broken_one_ends_its_signer_alone() {
    let (places, journals) = two().await;
    places[0].set_clock(START + 60_000);
    log(&journals[0], "ahead").await.unwrap();
    places[1].set_clock(START + 56_000);
    assert_eq!(log(&journals[1], "behind").await.unwrap(), at(START + 60_000));
    // Its own clock may not go back, however little.
    places[1].set_clock(START + 55_999);
    assert!(matches!(
        log(&journals[1], "back").await,
        Err(JournalError::TimeBackwards { .. })
    ));
    assert!(journals[1].fatal().is_some());
    log(&journals[0], "goes on").await.unwrap();
    let third = places[0].beside();
    third.set_clock(START + 54_999);
    let refused = SqlJournal::open(third.config()).await.err().unwrap();
    assert!(matches!(refused, OpenError::TimeBackwards { .. }), "{refused}");
}

#[tokio::test]
async fn a_raised_generation_puts_every_signer_out() {
    let (places, journals) = two().await;
    let database = places[0].config().database;
    let mut connection = crate::database::Connection::open(&database).await.unwrap();
    let raise = "UPDATE fence SET generation = generation + 1, owner = 'operator'";
    connection.link().script(raise).await.unwrap();
    for journal in &journals {
        assert_eq!(log(journal, "late").await, Err(JournalError::Fenced));
    }
    log(&places[0].open().await, "again").await.unwrap();
}

#[tokio::test]
async fn what_another_wrote_is_verified() {
    let damages = [
        (
            "ALTER TABLE commits DISABLE TRIGGER commits_stay; UPDATE commits SET at = at + 1 WHERE number = 3",
            "hash",
        ),
        (
            "ALTER TABLE log_entries DISABLE TRIGGER entries_stay; UPDATE log_entries SET leaf = bytes_of(leaf)",
            "log",
        ),
    ];
    for (damage, reason) in damages {
        let (places, journals) = two().await;
        log(&journals[0], "a").await.unwrap();
        let database = places[0].config().database;
        let mut connection = crate::database::Connection::open(&database).await.unwrap();
        let bytes_of = "CREATE FUNCTION bytes_of(BYTEA) RETURNS BYTEA LANGUAGE sql AS 'SELECT set_byte($1, 0, 1 - get_byte($1, 0) % 2)'";
        connection.link().script(bytes_of).await.unwrap();
        connection.link().script(damage).await.unwrap();
        let error = log(&journals[1], "b").await.unwrap_err();
        assert!(error.is_fatal() && error.to_string().contains(reason), "{error}");
    }
}

#[tokio::test]
async fn a_database_is_created_once_and_needs_an_anchor() {
    let place = Place::postgres().await;
    assert!(matches!(
        SqlJournal::open(place.config()).await.err().unwrap(),
        OpenError::AnchorMissing(_)
    ));
    place.create().await.close().await;
    let create = async |place: &Place| {
        SqlJournal::create(place.config(), GENESIS_ENTRY.to_vec())
            .await
            .err()
            .unwrap()
    };
    assert!(matches!(create(&place).await, OpenError::AnchorExists(_)));
    let second = place.beside();
    std::fs::remove_file(second.anchor()).unwrap();
    assert!(matches!(create(&second).await, OpenError::DatabaseExists(_)));
    let elsewhere = Place::postgres().await;
    std::fs::copy(place.anchor(), elsewhere.anchor()).unwrap();
    assert!(matches!(
        SqlJournal::open(elsewhere.config()).await.err().unwrap(),
        OpenError::NotAJournal(_)
    ));
}
