//! Crashes between any two steps of a commit, and commits whose outcome is not known.

use super::*;
use crate::fail::Step;

async fn log(journal: &SqlJournal, text: &str) -> Result<Timestamp, JournalError> {
    write(journal, vec![statement(text, &[text])], vec![entry(text, &[])]).await
}

async fn has(journal: &SqlJournal, text: &str) -> bool {
    let entries = all_entries(journal).await;
    let is_logged = entries.iter().any(|entry| entry == text.as_bytes());
    let is_written = journal.statements(request(text)).await.unwrap().len() == 1;
    assert_eq!(is_logged, is_written, "a commit is whole or absent");
    is_logged
}

#[tokio::test]
async fn a_crash_between_any_two_steps_loses_nothing_that_was_acknowledged() {
    let steps = [
        (Step::Begun, false),
        (Step::Decided, false),
        (Step::Sealed, false),
        (Step::Committed, true),
        (Step::Anchored, true),
    ];
    for (kind, (step, is_durable)) in KINDS.into_iter().flat_map(|kind| steps.map(|step| (kind, step))) {
        let place = Place::of(kind).await;
        let journal = with_bundle(&place).await;
        for round in 0..3 {
            log(&journal, &format!("acknowledged {round}")).await.unwrap();
        }
        place.fail.arm(step);
        let (one, two) = tokio::join!(log(&journal, "lost 1"), log(&journal, "lost 2"));
        assert!(matches!(one, Err(JournalError::InDoubt(_))), "{kind:?} {step:?}");
        assert!(two.is_err(), "{kind:?} {step:?}");
        drop(journal);

        let journal = place.open().await;
        for round in 0..3 {
            assert!(
                has(&journal, &format!("acknowledged {round}")).await,
                "{kind:?} {step:?}"
            );
        }
        assert_eq!(has(&journal, "lost 1").await, is_durable, "{kind:?} {step:?}");
        assert_eq!(has(&journal, "lost 2").await, is_durable, "{kind:?} {step:?}");
        assert_log_is_whole(&journal).await;
        log(&journal, "afterwards").await.unwrap();
        journal.close().await;
        assert_log_is_whole(&place.open().await).await;
    }
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_found() {
    for kind in KINDS {
        let place = Place::of(kind).await;
        let journal = place.create().await;
        place.fail.arm(Step::CommitAnswerLost);
        log(&journal, "a").await.unwrap();
        log(&journal, "b").await.unwrap();
        assert!(has(&journal, "a").await && has(&journal, "b").await);
        assert_log_is_whole(&journal).await;
    }
}

#[tokio::test]
async fn a_commit_that_was_refused_did_not_happen() {
    for kind in KINDS {
        let place = Place::of(kind).await;
        let journal = place.create().await;
        place.fail.arm(Step::CommitRefused);
        assert!(matches!(log(&journal, "a").await, Err(JournalError::NotCommitted(_))));
        assert!(!has(&journal, "a").await);
        log(&journal, "a").await.unwrap();
        assert!(has(&journal, "a").await);
        assert_log_is_whole(&journal).await;
    }
}

#[tokio::test]
async fn an_unknown_outcome_is_said_to_be_unknown_and_resolved_later() {
    let steps = [(Step::CommitAnswerLost, true), (Step::CommitRefused, false)];
    for (kind, (step, is_durable)) in KINDS.into_iter().flat_map(|kind| steps.map(|step| (kind, step))) {
        let place = Place::of(kind).await;
        let journal = place.create().await;
        place.fail.arm(step);
        place.fail.arm(Step::HeadUnreadable);
        assert!(matches!(log(&journal, "a").await, Err(JournalError::InDoubt(_))));
        log(&journal, "b").await.unwrap();
        assert_eq!(has(&journal, "a").await, is_durable);
        assert!(has(&journal, "b").await);
        assert_log_is_whole(&journal).await;
        journal.close().await;
        place.open().await;
    }
}

#[tokio::test]
async fn nothing_is_acknowledged_before_it_is_anchored() {
    for kind in KINDS {
        let place = Place::of(kind).await;
        let journal = place.create().await;
        let before = std::fs::read(place.anchor()).unwrap();
        place.fail.arm(Step::AnchorUnwritable);
        place.fail.arm(Step::AnchorUnwritable);
        assert!(matches!(log(&journal, "a").await, Err(JournalError::InDoubt(_))));
        assert_eq!(std::fs::read(place.anchor()).unwrap(), before);
        // While the earlier commit waits for its anchor, nothing more is committed.
        assert!(matches!(log(&journal, "b").await, Err(JournalError::NotCommitted(_))));
        assert!(has(&journal, "a").await && !has(&journal, "b").await);
        log(&journal, "b").await.unwrap();
        assert!(has(&journal, "b").await);
        assert_ne!(std::fs::read(place.anchor()).unwrap(), before);
    }
}
