//! One valid attestation of each kind, one change, and what the refusal says.

use countersign_approval::*;

use crate::{
    payloads::{refusal, text},
    support::*,
};

#[test]
fn attestations() {
    let price = "  \"price\": \"2500.25\"";
    let table = [
        (quote(), price, "  \"price\": \"0\"", "a price is not zero"),
        (
            quote(),
            price,
            "  \"price\": \"2500.250\"",
            "not written in its one form",
        ),
        (quote(), price, "  \"price\": 2500", "invalid type"),
        (quote(), price, "  \"price\": \"-1\"", "malformed"),
        (quote(), price, "  \"price\": \"0.0000000000000000001\"", "malformed"),
        (quote(), "\"USD\"", "\"USDC\"", "unknown variant"),
        (quote(), "\"sequence\": 7", "\"sequence\": -7", "invalid value"),
        (quote(), "\"observed_at\"", "\"at\"", "unknown field"),
        (quote(), "T11:59:58Z", "T11:59:58.5Z", "RFC 3339"),
        (screening(), "\"travel-rule\"", "\"kyc\"", "unknown variant"),
        (screening(), "\"pass\"", "\"maybe\"", "unknown variant"),
        (screening(), "31337/slip44", "1/slip44", "different networks"),
        (screening(), "\"amount\": \"15", "\"amount\": \"0x15", "malformed"),
        (book_entry(), "\"registered\"", "\"pending\"", "unknown variant"),
        (book_entry(), "\"at\"", "\"since\"", "unknown field"),
        (book_entry(), "\"tenant\": \"main\"", "\"tenant\": null", "invalid type"),
    ];
    for (statement, from, to, reason) in table {
        let payload = text(&statement);
        let changed = payload.replacen(from, to, 1);
        assert_ne!(changed, payload, "{from}");
        let said = refusal(statement.body.kind(), changed);
        assert!(said.contains(reason), "{to}: {said}");
    }
}

#[test]
fn a_removal_is_one_word() {
    let Body::AddressBook(mut entry) = book_entry().body else {
        panic!()
    };
    entry.entry = BookState::Removed;
    let removed = of(Body::AddressBook(entry));
    assert!(text(&removed).contains("\"entry\": \"removed\""));
    assert_eq!(Statement::parse(Kind::AddressBook, &removed.to_payload()), Ok(removed));
}

/// What is kept back hides no longer than what it replaces is valid.
#[test]
fn attestations_are_valid_for_a_bounded_time() {
    for (statement, longest, too_long) in [
        (quote(), "2026-02-01T12:00:00Z", "2026-02-01T12:00:01Z"),
        (screening(), "2026-03-03T12:00:00Z", "2026-03-03T12:00:01Z"),
        (book_entry(), "2026-03-03T12:00:00Z", "2026-03-03T12:00:01Z"),
    ] {
        let until = |end| text(&statement).replace("2026-01-31T13:00:00Z", end);
        let kind = statement.body.kind();
        assert!(Statement::parse(kind, until(longest).as_bytes()).is_ok(), "{kind}");
        assert!(refusal(kind, until(too_long)).contains("valid for at most"), "{kind}");
    }
}

#[test]
fn three_kinds_are_attestations() {
    for statement in every_kind() {
        let attested = match statement.body.attestation() {
            Some(Attestation::Price(found)) => Body::Price(found.clone()),
            Some(Attestation::Screening(found)) => Body::Screening(found.clone()),
            Some(Attestation::AddressBook(found)) => Body::AddressBook(found.clone()),
            None => {
                let kind = statement.body.kind();
                assert!(
                    ![Kind::Price, Kind::Screening, Kind::AddressBook].contains(&kind),
                    "{kind}"
                );
                continue;
            }
        };
        assert_eq!(attested, statement.body);
    }
}
