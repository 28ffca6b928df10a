//! Replacements of what is signed, freezes that hold what is not, and what is asked for again.

use super::*;

fn raised(name: &str, unsigned: &str, text: &str) -> NewAttempt {
    NewAttempt {
        statement: Some(statement(StatementKind::Replace, "pipeline", text, &[id_of(name)])),
        ..attempt(name, unsigned)
    }
}

pub(super) async fn signed(name: &str) -> Fixture {
    let fixture = fixture().await;
    fixture.store.create(new(name)).await.unwrap();
    assert_eq!(fixture.happen(name, Event::Signed, Pending::default()).await, None);
    fixture
}

#[tokio::test]
async fn a_replacement_and_its_ceiling_are_durable_together_and_once() {
    let fixture = signed("a").await;
    for _ in 0..2 {
        fixture.store.add_attempt(raised("a", "bumped", "raise")).await.unwrap();
    }
    let fixture = reopen(fixture).await;
    assert_eq!(fixture.state("a").await, WithdrawalState::Replacing);
    let work = fixture.work("a").await;
    assert_eq!((work.attempt, work.unsigned.as_slice()), (2, &b"bumped"[..]));
    let kinds: Vec<StatementKind> = work.statements.iter().map(|statement| statement.kind).collect();
    assert_eq!(kinds, [StatementKind::Replace]);
    let unfinished = fixture.store.unfinished(0, 10).await.unwrap();
    assert_eq!(unfinished.len(), 1, "the signer is asked after the restart");
    assert_eq!(fixture.happen("a", Event::Signed, Pending::default()).await, None);
    assert_eq!(fixture.state("a").await, WithdrawalState::Signed);
    let attempts = fixture.found("a").await.withdrawal.attempts;
    assert!(attempts.iter().all(|attempt| !attempt.signed_transaction.is_empty()));
}

/// The attempt is not kept without the statement that it needs.
#[tokio::test]
async fn a_ceiling_that_has_no_room_keeps_its_attempt_out() {
    let fixture = signed("a").await;
    for n in 0..MAX_STATEMENTS_OF_ONE {
        let text = format!("raise {n}");
        fixture.store.add_attempt(raised("a", "bumped", &text)).await.unwrap();
    }
    let error = fixture
        .store
        .add_attempt(raised("a", "again", "more"))
        .await
        .unwrap_err();
    assert_eq!(error.tag(), Tag::MessageTooLarge);
    assert_eq!(fixture.work("a").await.attempt, 2);
}

#[tokio::test]
async fn what_is_said_of_a_replacement_is_seen_and_a_higher_ceiling_decides_it_anew() {
    let fixture = signed("a").await;
    fixture.store.add_attempt(attempt("a", "bumped")).await.unwrap();
    assert!(
        fixture.found("a").await.withdrawal.reasons.is_empty(),
        "not answered yet"
    );
    let no = reasons(Tag::RequestFeeOverCeiling);
    assert_eq!(fixture.happen("a", Event::Refused, no).await, None);
    assert_eq!(fixture.state("a").await, WithdrawalState::Signed);
    assert_eq!(
        fixture.found("a").await.withdrawal.reasons[0].tag,
        "request/fee-over-ceiling"
    );
    // The same bytes, and a ceiling that lets them pass.
    fixture.store.add_attempt(raised("a", "bumped", "raise")).await.unwrap();
    assert_eq!(fixture.state("a").await, WithdrawalState::Replacing);
    assert_eq!(fixture.work("a").await.attempt, 2);
    let missing = reasons(Tag::ApprovalMissing);
    assert!(
        fixture.happen("a", Event::Pending, missing).await.is_some(),
        "until it expires"
    );
    assert_eq!(fixture.state("a").await, WithdrawalState::Replacing);
    assert_eq!(fixture.happen("a", Event::Expired, Pending::default()).await, None);
    assert_eq!(fixture.state("a").await, WithdrawalState::Signed);
}

/// The signature of the first attempt arrives when the second is there already: nothing is lost, and the second is still decided.
#[tokio::test]
async fn a_signature_that_is_overtaken_by_a_replacement_is_kept() {
    let fixture = fixture().await;
    fixture.store.create(new("a")).await.unwrap();
    let asked = fixture.work("a").await;
    fixture.store.add_attempt(attempt("a", "bumped")).await.unwrap();
    assert!(fixture.apply(&asked, Event::Signed, Pending::default()).await.is_some());
    let withdrawal = fixture.found("a").await.withdrawal;
    assert_eq!(withdrawal.state, i32::from(WithdrawalState::Replacing));
    assert_eq!(withdrawal.attempts[0].signed_transaction, b"signed");
    assert!(withdrawal.attempts[1].signed_transaction.is_empty());
    fixture.happen("a", Event::Signed, Pending::default()).await;
    assert_eq!(fixture.state("a").await, WithdrawalState::Signed);
}

#[tokio::test]
async fn a_cancel_of_what_is_being_replaced_is_refused() {
    let fixture = signed("a").await;
    fixture.store.add_attempt(attempt("a", "bumped")).await.unwrap();
    let cancel = statement(StatementKind::Cancel, "pipeline", "no", &[id_of("a")]);
    let error = fixture.store.add_statement(cancel).await.unwrap_err();
    assert_eq!(error.tag(), Tag::WithdrawalWrongState);
}

#[tokio::test]
async fn a_frozen_withdrawal_is_due_again_soon_and_by_itself() {
    let fixture = fixture().await;
    fixture.store.create(new("a")).await.unwrap();
    let before = crate::clock::now().unix_millis();
    let due = fixture
        .happen("a", Event::Frozen, reasons(Tag::FreezeActive))
        .await
        .unwrap();
    assert_eq!(fixture.state("a").await, WithdrawalState::Frozen);
    assert!((before + 500..=crate::clock::now().unix_millis() + 1_000).contains(&due));
    // A signed withdrawal's replacement too; a no for another reason is not asked about again.
    fixture.happen("a", Event::Signed, Pending::default()).await;
    fixture.store.add_attempt(attempt("a", "bumped")).await.unwrap();
    let due = fixture
        .happen("a", Event::Frozen, reasons(Tag::FreezeActive))
        .await
        .unwrap();
    assert!(due <= crate::clock::now().unix_millis() + 1_000);
    assert_eq!(fixture.state("a").await, WithdrawalState::Replacing);
    let due = fixture
        .happen("a", Event::Refused, reasons(Tag::LimitWindowExceeded))
        .await;
    assert_eq!((due, fixture.state("a").await), (None, WithdrawalState::Signed));
}

/// It never outlives its request.
#[tokio::test]
async fn a_frozen_withdrawal_is_due_no_later_than_it_expires() {
    let fixture = fixture().await;
    let mut frozen = new("a");
    frozen.advice.expires_at = Timestamp::from_unix_millis(1);
    fixture.store.create(frozen).await.unwrap();
    let now = crate::clock::now().unix_millis();
    let due = fixture
        .happen("a", Event::Frozen, reasons(Tag::FreezeActive))
        .await
        .unwrap();
    assert!(due <= now + 2_000, "{due} {now}");
}

/// What refused it may be over: a limit's window, a policy, a ceiling that the signer knows by now.
#[tokio::test]
async fn a_refused_attempt_that_is_sent_again_is_decided_anew() {
    let fixture = signed("a").await;
    fixture.store.add_attempt(attempt("a", "bumped")).await.unwrap();
    let no = || reasons(Tag::LimitWindowExceeded);
    assert_eq!(fixture.happen("a", Event::Refused, no()).await, None);
    fixture.store.add_attempt(attempt("a", "bumped")).await.unwrap();
    let found = fixture.found("a").await.withdrawal;
    assert_eq!(
        (fixture.state("a").await, found.reasons.len(), found.attempts.len()),
        (WithdrawalState::Replacing, 0, 2),
        "whoever waits is not told of the old denial"
    );
    assert_eq!(
        fixture.store.unfinished(0, 10).await.unwrap().len(),
        1,
        "the signer is asked"
    );
    // While it is being decided, the same again changes nothing; nor does it once it is signed.
    for event in [None, Some(Event::Signed)] {
        if let Some(event) = event {
            fixture.happen("a", event, Pending::default()).await;
        }
        let revision = fixture.found("a").await.withdrawal.revision;
        fixture.store.add_attempt(attempt("a", "bumped")).await.unwrap();
        assert_eq!(fixture.found("a").await.withdrawal.revision, revision);
    }
    // What was never signed at all.
    fixture.store.create(new("b")).await.unwrap();
    fixture.happen("b", Event::Refused, no()).await;
    fixture
        .store
        .add_attempt(NewAttempt {
            unsigned: new("b").unsigned,
            ..attempt("b", "")
        })
        .await
        .unwrap();
    assert_eq!(fixture.state("b").await, WithdrawalState::Received);
}

/// The signer was still deciding one replacement when the next one came.
#[tokio::test]
async fn a_denial_of_an_earlier_replacement_is_not_told_of_the_later_one() {
    let fixture = signed("a").await;
    fixture.store.add_attempt(attempt("a", "bumped")).await.unwrap();
    let asked = fixture.work("a").await;
    fixture.store.add_attempt(attempt("a", "bumped again")).await.unwrap();
    let due = fixture
        .apply(&asked, Event::Denied, reasons(Tag::ApprovalRejected))
        .await;
    assert!(due.is_some(), "it is still asked for");
    assert_eq!(fixture.state("a").await, WithdrawalState::Replacing);
    assert!(fixture.found("a").await.withdrawal.reasons.is_empty());
}

/// Exact bytes have no other attempt: whoever submits them again asks the signer again.
#[tokio::test]
async fn what_was_refused_is_asked_for_again_when_it_is_submitted_again() {
    let fixture = fixture().await;
    fixture.store.create(new("a")).await.unwrap();
    let refused = || reasons(Tag::LimitWindowExceeded);
    fixture.happen("a", Event::Refused, refused()).await;
    let revision = |found: Found| found.withdrawal.revision;
    let before = revision(fixture.found("a").await);
    for _ in 0..2 {
        fixture.store.create(new("a")).await.unwrap();
        assert_eq!(fixture.state("a").await, WithdrawalState::Received);
        assert_eq!(revision(fixture.found("a").await), before + 1, "once");
    }
    fixture.happen("a", Event::Denied, refused()).await;
    fixture.store.create(new("a")).await.unwrap();
    assert_eq!(fixture.state("a").await, WithdrawalState::Denied, "for good");
}

/// Whoever waits for what comes of a statement is not answered with the no from before it.
#[tokio::test]
async fn what_was_refused_waits_for_the_signer_again_once_a_statement_arrives() {
    let fixture = fixture().await;
    for (event, kind, text) in [
        (Event::Refused, StatementKind::Approval, "yes"),
        (Event::Malformed, StatementKind::Observation, "seen"),
        (Event::Refused, StatementKind::Cancel, "stop"),
    ] {
        fixture.store.create(new(text)).await.unwrap();
        fixture.happen(text, event, reasons(Tag::PermitUncovered)).await;
        let said = || statement(kind, "alice", text, &[id_of(text)]);
        let before = fixture.found(text).await.withdrawal.revision;
        for _ in 0..2 {
            fixture.store.add_statement(said()).await.unwrap();
            let found = fixture.found(text).await.withdrawal;
            assert_eq!(
                (found.state(), found.revision),
                (WithdrawalState::Received, before + 1),
                "{text}"
            );
        }
        fixture.happen(text, event, reasons(Tag::PermitUncovered)).await;
        fixture.store.add_statement(said()).await.unwrap();
        assert_ne!(fixture.state(text).await, WithdrawalState::Received, "{text} is known");
    }
}
