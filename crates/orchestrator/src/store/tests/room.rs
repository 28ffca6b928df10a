//! Room for what services say while a withdrawal waits.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::json;

use super::*;

/// A quote of a source, as a caller hands it in.
fn quote(by: &str, source: &str, sequence: u32) -> NewStatement {
    let payload = json!({
        "expires_at": "2096-01-01T00:00:00Z",
        "body": {"asset": "eip155:1/slip44:60", "currency": "USD", "sequence": sequence}
    });
    let envelope = json!({
        "payloadType": "application/vnd.countersign.price.v1+json",
        "payload": BASE64_STANDARD.encode(payload.to_string()),
        "signatures": [{"keyid": source, "sig": "AA=="}]
    });
    let envelope = envelope.to_string();
    NewStatement {
        envelope: envelope.clone().into_bytes(),
        ..statement(StatementKind::Price, by, &envelope, &[id_of("a")])
    }
}

async fn filed(fixture: &Fixture) -> Vec<Vec<u8>> {
    let statements = fixture.work("a").await.statements;
    statements.into_iter().map(|statement| statement.envelope).collect()
}

/// Quoted once a minute, a withdrawal that waits for people for days has a room that is never full of what was replaced.
#[tokio::test]
async fn what_a_service_has_replaced_makes_room() {
    let fixture = fixture().await;
    fixture.store.create(new("a")).await.unwrap();
    for sequence in 1..=3 * MAX_ATTESTATIONS {
        fixture
            .store
            .add_statement(quote("desk", "node-a", sequence))
            .await
            .unwrap();
        fixture
            .store
            .add_statement(quote("desk", "node-b", sequence))
            .await
            .unwrap();
    }
    let held = filed(&fixture).await;
    for source in ["node-a", "node-b"] {
        assert!(
            held.contains(&quote("desk", source, 3 * MAX_ATTESTATIONS).envelope),
            "{source}"
        );
    }
    assert!(held.len() <= usize::try_from(MAX_ATTESTATIONS).unwrap());
    let fixture = reopen(fixture).await;
    assert_eq!(filed(&fixture).await, held);
    let rows = sqlx::query_scalar("SELECT COUNT(*) FROM statements");
    let rows: usize = rows
        .fetch_one(&fixture.store.readers)
        .await
        .map(|rows: u32| rows as usize)
        .unwrap();
    assert_eq!(rows, held.len(), "what no withdrawal has is gone");
    // People have their share of the room: as many statements as if nothing had been taken away.
    let (people, each) = (10, MAX_STATEMENTS_OF_ONE);
    for (person, n) in (0..people).flat_map(|person| (0..each).map(move |n| (person, n))) {
        let approval = statement(
            StatementKind::Approval,
            &format!("p-{person}"),
            &format!("yes {person} {n}"),
            &[id_of("a")],
        );
        fixture.store.add_statement(approval).await.unwrap();
    }
    assert_eq!(
        filed(&fixture).await.len(),
        held.len() + usize::try_from(people * each).unwrap()
    );
}

/// What others brought, and what has no later word, stays.
#[tokio::test]
async fn nobody_makes_room_of_what_another_has_brought() {
    let fixture = fixture().await;
    fixture.store.create(new("a")).await.unwrap();
    for sequence in 1..=MAX_ATTESTATIONS {
        fixture
            .store
            .add_statement(quote("desk", &format!("node-{sequence}"), 1))
            .await
            .unwrap();
    }
    let before = filed(&fixture).await;
    // The same source's later word by another caller, and the word of a source that has said nothing yet.
    let mut long = quote("desk", "node-1", 2);
    long.envelope.resize(9 * 1024, b' ');
    for refused in [quote("thief", "node-1", 2), quote("desk", "node-x", 1), long] {
        let error = fixture.store.add_statement(refused).await.unwrap_err();
        assert_eq!(error.tag(), Tag::MessageTooLarge, "{error}");
    }
    assert_eq!(filed(&fixture).await, before);
    fixture.store.add_statement(quote("desk", "node-1", 2)).await.unwrap();
    let after = filed(&fixture).await;
    assert!(!after.contains(&quote("desk", "node-1", 1).envelope));
    assert_eq!(
        (after.len(), after[..].last()),
        (before.len(), Some(&quote("desk", "node-1", 2).envelope))
    );
}

/// Who brings another's quote first does not become who may take it away.
#[tokio::test]
async fn a_copy_of_a_quote_is_whose_it_was_brought_by() {
    let fixture = fixture().await;
    for name in ["a", "b"] {
        fixture.store.create(new(name)).await.unwrap();
    }
    let early = NewStatement {
        advice: StatementAdvice {
            withdrawals: vec![id_of("b")],
            ..quote("thief", "node-1", 1).advice
        },
        ..quote("thief", "node-1", 1)
    };
    fixture.store.add_statement(early).await.unwrap();
    fixture.store.add_statement(quote("desk", "node-1", 1)).await.unwrap();
    for sequence in 2..=MAX_ATTESTATIONS {
        let junk = quote("thief", &format!("node-{sequence}"), 1);
        fixture.store.add_statement(junk).await.unwrap();
    }
    let refused = fixture.store.add_statement(quote("thief", "node-1", 2)).await;
    assert_eq!(refused.unwrap_err().tag(), Tag::MessageTooLarge);
    assert!(filed(&fixture).await.contains(&quote("desk", "node-1", 1).envelope));
}
