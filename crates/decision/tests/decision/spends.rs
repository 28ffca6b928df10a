//! What a decision writes down of what it spends.

use crate::support;

use support::Fixture;

#[test]
fn the_golden_spend_is_that_of_the_fixture() {
    let decision = Fixture::new().decide();
    let bytes = decision.spend.unwrap().to_bytes().unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let formats = include_str!("../../../../docs/formats.md");
    assert!(formats.lines().any(|line| line == text), "{text}");
}

#[test]
fn what_is_not_allowed_spends_nothing() {
    let mut fixture = Fixture::new();
    fixture.statements.clear();
    let decision = fixture.decide();
    assert_eq!(decision.entry.authorization, None);
    assert_eq!(decision.spend, None);
}
