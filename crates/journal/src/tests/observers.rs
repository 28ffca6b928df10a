//! Statements that serve more than one withdrawal, and the order of observers.

use countersign_types::{ChainId, PrincipalId};

use super::*;

fn network(reference: &str) -> ChainId {
    format!("solana:{reference}").parse().unwrap()
}

fn source(observer: &str, reference: &str) -> (PrincipalId, ChainId) {
    (observer.parse().unwrap(), network(reference))
}

fn sequence(observer: &str, reference: &str, sequence: u64) -> Write {
    let (observer, network) = source(observer, reference);
    Write::Sequence {
        observer,
        network,
        sequence,
    }
}

fn subject(statement: &str, name: &str) -> Write {
    Write::Subject {
        statement: statement_digest(statement),
        request: request(name),
    }
}

/// The order is by first sight, whenever a statement came to be about the withdrawal, and what a decision rests on grows.
#[tokio::test]
async fn a_statement_gets_another_subject() {
    let place = Place::new();
    let journal = with_bundle(&place).await;
    let mut writes = withdrawal("a");
    writes.extend(withdrawal("b"));
    writes.push(statement("observed", &["a"]));
    writes.push(statement("approved", &["b"]));
    write(&journal, writes, Vec::new()).await.unwrap();
    let of = |name: &str| Reads {
        request: Some(request(name)),
        ..Reads::default()
    };
    assert_eq!(view(&journal, of("b")).await.about, [statement_digest("approved")]);
    let before = journal.basis(request("b"), Vec::new()).await.unwrap().unwrap();
    write(&journal, vec![subject("observed", "b")], vec![entry("again", &["b"])])
        .await
        .unwrap();
    let about = [statement_digest("observed"), statement_digest("approved")];
    assert_eq!(view(&journal, of("b")).await.about, about);
    assert_eq!(view(&journal, of("a")).await.about, about[..1]);
    assert_eq!(
        journal
            .basis(request("b"), Vec::new())
            .await
            .unwrap()
            .unwrap()
            .statements,
        before.statements + 1
    );
    let history = journal.history(request("b")).await.unwrap().unwrap();
    let envelopes: Vec<_> = history.statements.iter().map(|statement| &statement.envelope).collect();
    assert_eq!(envelopes, [&envelope("observed"), &envelope("approved")]);
    // Twice, and a statement that is not there, are refused, and nothing of them stays.
    for refused in [subject("observed", "b"), subject("nowhere", "b")] {
        let error = write(&journal, vec![refused], Vec::new()).await.unwrap_err();
        assert!(matches!(error, JournalError::NotCommitted(_)), "{error}");
    }
    assert_eq!(view(&journal, of("b")).await.about, about);
    journal.close().await;
}

#[tokio::test]
async fn an_observer_never_goes_back() {
    let place = Place::new();
    let journal = with_bundle(&place).await;
    let reads = || Reads {
        sequences: vec![source("node-a", "x"), source("node-a", "y"), source("node-b", "x")],
        ..Reads::default()
    };
    assert!(view(&journal, reads()).await.sequences.is_empty());
    let writes = vec![
        sequence("node-a", "x", 7),
        sequence("node-b", "x", u64::MAX),
        sequence("node-c", "x", 1),
    ];
    write(&journal, writes, Vec::new()).await.unwrap();
    write(&journal, vec![sequence("node-a", "x", 256)], Vec::new())
        .await
        .unwrap();
    let expected = BTreeMap::from([(source("node-a", "x"), 256), (source("node-b", "x"), u64::MAX)]);
    assert_eq!(view(&journal, reads()).await.sequences, expected);
    let error = write(&journal, vec![sequence("node-a", "x", 255)], Vec::new())
        .await
        .unwrap_err();
    assert!(matches!(error, JournalError::NotCommitted(_)), "{error}");
    write(&journal, vec![sequence("node-a", "x", 256)], Vec::new())
        .await
        .unwrap();
    journal.close().await;
    let journal = place.open().await;
    assert_eq!(view(&journal, reads()).await.sequences, expected);
    journal.close().await;
}
