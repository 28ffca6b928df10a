//! The last words of services, and what is known of destinations.

use std::collections::{BTreeMap, BTreeSet};

use countersign_signer::{Basis, LastWord, LedgerView};
use countersign_types::{Destination, ListId, Timestamp};

use super::*;

on_each_database! {
    a_service_never_goes_back,
    a_destination_is_paid_by_others,
    lists_and_their_entries_begin_when_a_bundle_brings_them,
    nothing_that_was_noted_becomes_older,
}

fn destination(name: &str) -> Destination {
    format!("eip155:1:0x{name}").parse().unwrap()
}

fn destinations(names: &[&str]) -> BTreeSet<Destination> {
    names.iter().map(|name| destination(name)).collect()
}

async fn a_service_never_goes_back(place: Place) {
    let journal = with_bundle(&place).await;
    let key = |matter: &str| (signer(), matter.to_owned());
    let word = |sequence, since: Option<i64>| LastWord {
        sequence,
        since: since.map(Timestamp::from_unix_millis),
    };
    let says = |matter: &str, word| Write::LastWord {
        service: signer(),
        matter: matter.to_owned(),
        word,
    };
    let reads = || Reads {
        matters: vec![key("a"), key("b"), key("c")],
        ..Reads::default()
    };
    assert!(view(&journal, reads()).await.matters.is_empty());
    let writes = vec![says("a", word(255, Some(5))), says("b", word(u64::MAX, None))];
    write(&journal, writes, Vec::new()).await.unwrap();
    write(&journal, vec![says("a", word(256, None))], Vec::new())
        .await
        .unwrap();
    let error = write(&journal, vec![says("a", word(255, Some(7)))], Vec::new()).await;
    assert!(matches!(error, Err(JournalError::NotCommitted(_))));
    write(&journal, vec![says("a", word(256, Some(9)))], Vec::new())
        .await
        .unwrap();
    journal.close().await;
    let journal = place.open().await;
    let expected = BTreeMap::from([(key("a"), word(256, Some(9))), (key("b"), word(u64::MAX, None))]);
    assert_eq!(view(&journal, reads()).await.matters, expected);
    // The basis of a decision has what stands of what it counts on.
    write(&journal, withdrawal("w"), Vec::new()).await.unwrap();
    let standing = BTreeMap::from([(key("a"), Timestamp::from_unix_millis(9))]);
    let basis = journal.basis(request("w"), reads().matters).await.unwrap().unwrap();
    assert_eq!(basis.entries, standing);
    let seen = Reads {
        request: Some(request("w")),
        ..reads()
    };
    assert_eq!(Basis::of(&view(&journal, seen).await), basis);
    let basis = journal.basis(request("w"), vec![key("b")]).await.unwrap().unwrap();
    assert_eq!(basis.entries, BTreeMap::new());
    journal.close().await;
}

/// What a withdrawal paid itself does not count for it, until another one pays there too.
async fn a_destination_is_paid_by_others(place: Place) {
    let journal = with_bundle(&place).await;
    let pays = |name: &str, to: &[&str]| Write::Paid {
        request: request(name),
        destinations: destinations(to),
    };
    let paid = |name: Option<&str>| Reads {
        request: name.map(request),
        destinations: vec![destination("1"), destination("2"), destination("3")],
        ..Reads::default()
    };
    write(&journal, vec![pays("a", &["1", "2"])], Vec::new()).await.unwrap();
    write(&journal, vec![pays("a", &["1"])], Vec::new()).await.unwrap();
    assert_eq!(view(&journal, paid(Some("a"))).await.paid, destinations(&[]));
    assert_eq!(view(&journal, paid(Some("b"))).await.paid, destinations(&["1", "2"]));
    assert_eq!(view(&journal, paid(None)).await.paid, destinations(&["1", "2"]));
    write(&journal, vec![pays("b", &["2"])], Vec::new()).await.unwrap();
    write(&journal, vec![pays("a", &["2"])], Vec::new()).await.unwrap();
    assert_eq!(view(&journal, paid(Some("a"))).await.paid, destinations(&["2"]));
    assert_eq!(view(&journal, paid(Some("b"))).await.paid, destinations(&["1", "2"]));
    journal.close().await;
}

/// What is noted last counts, of a destination as of a list; what a destination had of a list that it left, where that is later.
async fn lists_and_their_entries_begin_when_a_bundle_brings_them(place: Place) {
    let journal = with_bundle(&place).await;
    let listed = |lists: &[&str], added: &[&str]| {
        vec![Write::Listed {
            lists: lists.iter().map(|id| id.parse().unwrap()).collect(),
            added: destinations(added),
            kept: BTreeMap::new(),
        }]
    };
    let left = |since: &[(&str, i64)]| {
        let kept = since
            .iter()
            .map(|(to, at)| (destination(to), Timestamp::from_unix_millis(*at)));
        vec![Write::Listed {
            lists: BTreeSet::new(),
            added: BTreeSet::new(),
            kept: kept.collect(),
        }]
    };
    let ids = |ids: &[&str]| -> Vec<ListId> { ids.iter().map(|id| id.parse().unwrap()).collect() };
    let reads = |lists: &[&str]| Reads {
        destinations: vec![destination("1"), destination("2"), destination("3")],
        lists: ids(lists),
        ..Reads::default()
    };
    let begun = |seen: &LedgerView, id: &str| seen.lists.get(&id.parse().unwrap()).map(|at| at.unix_millis());
    write(&journal, listed(&["a", "b"], &["1", "2"]), Vec::new())
        .await
        .unwrap();
    let first = view(&journal, reads(&["a", "b", "c"])).await;
    assert_eq!((first.listed.len(), first.lists.len()), (2, 2));
    assert_eq!(
        view(&journal, reads(&["b"])).await.lists.len(),
        1,
        "what is not asked for is not told"
    );
    assert!(view(&journal, Reads::default()).await.lists.is_empty());
    place.set_clock(START + 1_000);
    write(&journal, listed(&["b", "c"], &["1"]), Vec::new()).await.unwrap();
    journal.close().await;
    let journal = place.open().await;
    let second = view(&journal, reads(&["a", "b", "c"])).await;
    assert!(second.listed[&destination("1")] > first.listed[&destination("1")]);
    assert_eq!(second.listed[&destination("2")], first.listed[&destination("2")]);
    assert_eq!(begun(&second, "a"), begun(&first, "a"));
    assert!(begun(&second, "b") > begun(&first, "b"));
    assert_eq!(begun(&second, "c"), begun(&second, "b"));
    let since = |seen: &LedgerView, to: &str| seen.listed[&destination(to)].unix_millis();
    let (one, two) = (since(&second, "1"), since(&second, "2"));
    write(
        &journal,
        left(&[("1", one - 1), ("2", two + 1), ("3", two - 5)]),
        Vec::new(),
    )
    .await
    .unwrap();
    let third = view(&journal, reads(&[])).await;
    assert_eq!(["1", "2", "3"].map(|to| since(&third, to)), [one, two + 1, two - 5]);
    journal.close().await;
}

async fn nothing_that_was_noted_becomes_older(place: Place) {
    let journal = with_bundle(&place).await;
    let listed = Write::Listed {
        lists: ["a".parse().unwrap()].into(),
        added: destinations(&["1"]),
        kept: BTreeMap::new(),
    };
    write(&journal, vec![listed], Vec::new()).await.unwrap();
    journal.close().await;
    let database = place.config().database;
    let mut connection = crate::database::Connection::open(&database).await.unwrap();
    for older in [
        "UPDATE begun_lists SET since = since - 1",
        "UPDATE listed_destinations SET since = since - 1",
        "DELETE FROM begun_lists",
    ] {
        let refused = connection.link().script(older).await.unwrap_err().to_string();
        assert!(refused.contains("older") || refused.contains("deleted"), "{refused}");
    }
}
