//! Freezes: in force until they are thawed, seen by whatever reads a withdrawal, and never undone otherwise.

use countersign_signer::{FreezeRecord, LedgerView, MAX_READ_FREEZES, Marked, Tally, TallyQuery};
use countersign_types::{Duration, FreezeId};

use super::*;

on_each_database! {
    a_freeze_is_in_force_until_its_thaw,
    a_freeze_ends_once_and_is_made_once,
    the_first_mark_stays,
    what_came_up_lately_is_counted,
    more_freezes_than_can_be_told_apart_are_seen_to_be_too_many,
}

fn id(name: &str) -> FreezeId {
    FreezeId::of(name.as_bytes())
}

fn freeze(name: &str, scope: &str) -> Write {
    Write::Freeze {
        freeze: id(name),
        scope: scope.parse().unwrap(),
        cause: format!("because of {name}"),
    }
}

fn thaw(name: &str, millis: i64) -> Write {
    Write::Thaw {
        freeze: id(name),
        at: at(millis),
    }
}

fn mark(topic: &str, name: &str) -> Write {
    Write::Mark {
        topic: topic.to_owned(),
        name: name.to_owned(),
    }
}

fn everything() -> Reads {
    Reads {
        freezes: true,
        marks: vec!["thaw a".to_owned(), "thaw b".to_owned()],
        made: vec![id("a"), id("c")],
        ..Reads::default()
    }
}

fn names(view: &LedgerView) -> Vec<FreezeId> {
    view.freezes.iter().map(|freeze| freeze.id).collect()
}

async fn a_freeze_is_in_force_until_its_thaw(place: Place) {
    let journal = with_bundle(&place).await;
    write(&journal, withdrawal("w"), Vec::new()).await.unwrap();
    let before = journal.basis(request("w"), Vec::new()).await.unwrap().unwrap();
    assert_eq!(before.freezes, 0);
    write(
        &journal,
        vec![freeze("a", "wallet eth-hot"), freeze("b", "all")],
        Vec::new(),
    )
    .await
    .unwrap();
    let seen = view(&journal, everything()).await;
    assert_eq!(names(&seen), [id("a"), id("b")]);
    assert_eq!(seen.freezes[0].scope, "wallet eth-hot".parse().unwrap());
    assert_eq!(seen.freezes[0].cause, "because of a");
    assert_eq!((seen.freezes_made, seen.freezes[0].thaws_at), (2, None));
    assert_eq!(seen.made, [id("a")].into());
    // What reads a withdrawal reads them, asked or not; the basis of a decision changes with them.
    let of = Reads {
        request: Some(request("w")),
        ..Reads::default()
    };
    let withdrawal = view(&journal, of).await;
    assert_eq!(withdrawal.freezes, seen.freezes);
    let after = journal.basis(request("w"), Vec::new()).await.unwrap().unwrap();
    assert_eq!(after.freezes, 2);
    assert_eq!(countersign_signer::Basis::of(&withdrawal), after);

    let now = START;
    write(&journal, vec![thaw("a", now + 10)], Vec::new()).await.unwrap();
    let thawing: Vec<FreezeRecord> = view(&journal, everything()).await.freezes;
    assert_eq!(thawing[0].thaws_at, Some(at(now + 10)));
    for (clock, expected) in [(now + 9, vec![id("a"), id("b")]), (now + 10, vec![id("b")])] {
        place.set_clock(clock);
        assert_eq!(names(&view(&journal, everything()).await), expected);
    }
    // A thaw takes nothing from what was counted.
    assert_eq!(
        journal.basis(request("w"), Vec::new()).await.unwrap().unwrap().freezes,
        2
    );
    journal.close().await;
    let journal = place.open().await;
    assert_eq!(names(&view(&journal, everything()).await), [id("b")]);
    journal.close().await;
}

async fn a_freeze_ends_once_and_is_made_once(place: Place) {
    let journal = with_bundle(&place).await;
    write(&journal, vec![freeze("a", "all")], Vec::new()).await.unwrap();
    let now = START;
    write(&journal, vec![thaw("a", now + 1_000)], Vec::new()).await.unwrap();
    for refused in [
        thaw("a", now),
        thaw("a", now + 2_000),
        thaw("nowhere", now),
        freeze("a", "all"),
    ] {
        let error = write(&journal, vec![refused], Vec::new()).await.unwrap_err();
        assert!(matches!(error, JournalError::NotCommitted(_)), "{error}");
    }
    assert_eq!(
        view(&journal, everything()).await.freezes[0].thaws_at,
        Some(at(now + 1_000))
    );
    journal.close().await;
}

async fn the_first_mark_stays(place: Place) {
    let journal = with_bundle(&place).await;
    let first = START;
    write(
        &journal,
        vec![mark("thaw a", "alice"), mark("thaw c", "alice")],
        Vec::new(),
    )
    .await
    .unwrap();
    place.set_clock(first + 5);
    write(
        &journal,
        vec![mark("thaw a", "alice"), mark("thaw a", "bob")],
        Vec::new(),
    )
    .await
    .unwrap();
    let marks = view(&journal, everything()).await.marks;
    let expected = BTreeMap::from([("alice".to_owned(), at(first)), ("bob".to_owned(), at(first + 5))]);
    assert_eq!(marks, BTreeMap::from([("thaw a".to_owned(), expected)]));
    journal.close().await;
}

async fn what_came_up_lately_is_counted(place: Place) {
    let journal = with_bundle(&place).await;
    write(&journal, vec![mark("paid", "a"), mark("other", "a")], Vec::new())
        .await
        .unwrap();
    place.set_clock(START + 5_000);
    write(&journal, vec![mark("paid", "a"), mark("paid", "b")], Vec::new())
        .await
        .unwrap();
    let query = TallyQuery {
        topic: "paid".to_owned(),
        within: Duration::from_secs(10),
    };
    let reads = || Reads {
        tallies: vec![query.clone()],
        marked: vec![("paid".to_owned(), "a".to_owned()), ("paid".to_owned(), "c".to_owned())],
        ..Reads::default()
    };
    // What came up exactly so long ago is out.
    for (clock, first, last) in [(9_999, 2, 2), (10_000, 1, 2), (14_999, 1, 2), (15_000, 0, 0)] {
        place.set_clock(START + clock);
        let seen = view(&journal, reads()).await;
        assert_eq!(seen.tallies[&query], Tally { first, last }, "{clock}");
        let marked = Marked {
            first_at: at(START),
            last_at: at(START + 5_000),
        };
        assert_eq!(seen.marked, [(("paid".to_owned(), "a".to_owned()), marked)].into());
    }
    journal.close().await;
}

/// However many there are, a view says that there are too many rather than none.
async fn more_freezes_than_can_be_told_apart_are_seen_to_be_too_many(place: Place) {
    let journal = with_bundle(&place).await;
    let many = (0..MAX_READ_FREEZES + 3).map(|n| freeze(&n.to_string(), "wallet eth-hot"));
    write(&journal, many.collect(), Vec::new()).await.unwrap();
    let seen = view(&journal, everything()).await;
    assert_eq!(seen.freezes.len(), MAX_READ_FREEZES);
    assert_eq!(seen.freezes_made, MAX_READ_FREEZES as u64 + 3);
    journal.close().await;
}
