//! Groups: many proposals, few commits, each decision after the one before it.

use std::{sync::atomic::AtomicUsize, time::Duration};

use countersign_signer::{Decide, LedgerView, Proposal, Reply};
use futures_util::future::join_all;

use super::*;

on_each_database! {
    concurrent_claims_get_one_nonce_each_in_few_commits,
    a_group_is_bounded_and_more_than_the_queue_is_answered,
    of_conflicting_claims_one_wins_and_denials_are_committed,
    one_bad_proposal_does_not_fail_its_neighbours,
    a_panicking_decision_is_its_own_loss,
    what_changes_nothing_is_not_committed_but_waits_for_what_it_saw,
    the_outcome_carries_the_clock_and_a_checkpoint_over_its_entries,
    an_idle_journal_signs_checkpoints,
    the_clock_is_read_once_for_each_group,
    a_clock_that_goes_back_ends_the_journal,
}

/// Claims the account's next nonce for the withdrawal.
async fn claim_next(journal: &SqlJournal, name: String) -> Result<u64, JournalError> {
    let reads = Reads {
        conflict_keys: vec![account_nonce(0)],
        ..Reads::default()
    };
    let claimed = propose(journal, reads, move |view: &LedgerView, _| {
        let next = view.next_nonces.get(&account()).copied().unwrap_or(0);
        let mut writes = withdrawal(&name);
        writes.push(attempt(&name, 1, next));
        Verdict {
            entries: vec![entry(&format!("{name} has nonce {next}"), &[&name])],
            writes,
            reply: next,
        }
    });
    claimed.await.map(|(next, _)| next)
}

async fn concurrent_claims_get_one_nonce_each_in_few_commits(place: Place) {
    let journal = with_bundle(&place).await;
    let before = journal.stats();
    let claims = join_all((0..64).map(|n| claim_next(&journal, format!("w{n}")))).await;
    let mut nonces: Vec<u64> = claims.into_iter().map(Result::unwrap).collect();
    nonces.sort_unstable();
    assert_eq!(nonces, (0..64).collect::<Vec<_>>());
    let after = journal.stats();
    assert_eq!(after.proposals - before.proposals, 64);
    assert!(after.commits - before.commits <= 4, "{after:?}");
    assert!(after.largest_group >= 16, "{after:?}");
    assert_eq!(all_entries(&journal).await.len(), 65);
    assert_log_is_whole(&journal).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_holds_between_threads() {
    let place = Place::new();
    let journal = Arc::new(with_bundle(&place).await);
    let tasks: Vec<_> = (0..64)
        .map(|n| {
            let journal = Arc::clone(&journal);
            tokio::spawn(async move { claim_next(&journal, format!("w{n}")).await.unwrap() })
        })
        .collect();
    let mut nonces: Vec<u64> = join_all(tasks).await.into_iter().map(Result::unwrap).collect();
    nonces.sort_unstable();
    assert_eq!(nonces, (0..64).collect::<Vec<_>>());
    assert!(journal.stats().commits < 65);
}

async fn a_group_is_bounded_and_more_than_the_queue_is_answered(mut place: Place) {
    place.limits.max_group = 8.try_into().unwrap();
    let journal = place.create().await;
    let many = crate::MAX_QUEUED_PROPOSALS + 8;
    let all = join_all((0..many).map(|n| write(&journal, vec![], vec![entry(&n.to_string(), &[])]))).await;
    assert!(all.into_iter().all(|one| one.is_ok()));
    assert_eq!(journal.stats().largest_group, 8);
    assert_eq!(journal.stats().commits, many.div_ceil(8) as u64);
    let mut entries = all_entries(&journal).await;
    let mut expected: Vec<_> = (0..many).map(|n| n.to_string().into_bytes()).collect();
    expected.push(GENESIS_ENTRY.to_vec());
    entries.sort();
    expected.sort();
    assert!(entries == expected, "each entry once");
}

/// Decides on what it sees: the first takes the nonce, the others are denied, and every denial is logged.
async fn of_conflicting_claims_one_wins_and_denials_are_committed(place: Place) {
    let journal = with_bundle(&place).await;
    let claim = |name: String| {
        let reads = Reads {
            conflict_keys: vec![account_nonce(5)],
            ..Reads::default()
        };
        let journal = &journal;
        async move {
            let decided = propose(journal, reads, move |view: &LedgerView, _| {
                let mut writes = withdrawal(&name);
                let taken = view.conflict_owners.contains_key(&account_nonce(5));
                if !taken {
                    writes.push(attempt(&name, 1, 5));
                }
                let text = if taken { "deny" } else { "allow" };
                Verdict {
                    entries: vec![entry(&format!("{text} {name}"), &[&name])],
                    writes,
                    reply: !taken,
                }
            });
            decided.await.unwrap().0
        }
    };
    let won = join_all((0..16).map(|n| claim(format!("w{n}")))).await;
    assert_eq!(won.iter().filter(|won| **won).count(), 1);
    let entries = all_entries(&journal).await;
    assert_eq!(entries.iter().filter(|entry| entry.starts_with(b"deny")).count(), 15);
}

/// Writes that contradict each other without looking: the schema stops them, and only them.
async fn one_bad_proposal_does_not_fail_its_neighbours(place: Place) {
    let journal = with_bundle(&place).await;
    let claim = |name: &'static str, nonce| {
        let mut writes = withdrawal(name);
        writes.push(attempt(name, 1, nonce));
        write(&journal, writes, vec![entry(name, &[name])])
    };
    let results = join_all([claim("a", 0), claim("b", 0), claim("c", 1), claim("a", 9)]).await;
    let committed: Vec<bool> = results.iter().map(Result::is_ok).collect();
    assert_eq!(committed, [true, false, true, false]);
    assert!(matches!(&results[1], Err(JournalError::NotCommitted(_))));
    let entries = all_entries(&journal).await;
    assert_eq!(entries[1..], [b"a".to_vec(), b"c".to_vec()]);
    assert_eq!(
        journal.history(request("b")).await.unwrap(),
        None,
        "nothing of it stays"
    );
    assert_eq!(journal.fatal(), None);
    assert_log_is_whole(&journal).await;
}

async fn a_panicking_decision_is_its_own_loss(place: Place) {
    let journal = place.create().await;
    let panicking = propose(&journal, Reads::default(), |_, _| -> Verdict<()> { panic!("a bug") });
    let (bad, good) = tokio::join!(panicking, write(&journal, vec![], vec![entry("x", &[])]));
    assert_eq!(
        bad.unwrap_err(),
        JournalError::NotCommitted("the decision panicked".to_owned())
    );
    good.unwrap();
    assert_eq!(all_entries(&journal).await.len(), 2);
}

async fn what_changes_nothing_is_not_committed_but_waits_for_what_it_saw(place: Place) {
    let journal = with_bundle(&place).await;
    let commits = journal.stats().commits;
    let look = || {
        let reads = Reads {
            request: Some(request("a")),
            ..Reads::default()
        };
        propose(&journal, reads, |view: &LedgerView, _| {
            Verdict::unchanged(view.withdrawal.is_some())
        })
    };
    assert!(!look().await.unwrap().0);
    assert_eq!(journal.stats().commits, commits);
    let (written, seen) = tokio::join!(write(&journal, withdrawal("a"), vec![]), look());
    written.unwrap();
    assert!(seen.unwrap().0);
    assert_eq!(journal.stats().commits, commits + 1);

    // The commit that it saw did not happen, so it is not told that it did.
    place.fail.arm(crate::fail::Step::CommitRefused);
    let (written, seen) = tokio::join!(write(&journal, withdrawal("b"), vec![]), look());
    assert!(written.is_err() && seen.is_err());
}

async fn the_outcome_carries_the_clock_and_a_checkpoint_over_its_entries(place: Place) {
    let journal = place.create().await;
    place.set_clock(START + 77);
    let decide: Decide = Box::new(|_, now| Verdict {
        entries: vec![entry("x", &[])],
        writes: vec![],
        reply: Box::new(now) as Reply,
    });
    let proposal = Proposal {
        reads: Reads::default(),
        decide,
    };
    let outcome = journal.propose(proposal).await.unwrap();
    assert_eq!(outcome.at, at(START + 77));
    assert_eq!(*outcome.reply.downcast::<Timestamp>().unwrap(), at(START + 77));
    assert_eq!(verified_head(&outcome.checkpoint).size().entries(), 2);
}

async fn an_idle_journal_signs_checkpoints(mut place: Place) {
    place.limits.max_checkpoint_age = Duration::from_millis(20);
    let journal = place.create().await;
    let first = journal.checkpoint().await.unwrap();
    place.set_clock(START + 1_000);
    while journal.checkpoint().await.unwrap() == first {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let text = String::from_utf8(journal.checkpoint().await.unwrap()).unwrap();
    assert!(text.contains(&format!("time {}", START + 1_000)), "{text}");
    assert_log_is_whole(&journal).await;
}

async fn the_clock_is_read_once_for_each_group(place: Place) {
    let mut config = place.config();
    let reads = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&reads);
    config.clock = Arc::new(move || at(START + counted.fetch_add(1, Ordering::SeqCst) as i64));
    let journal = SqlJournal::create(config, GENESIS_ENTRY.to_vec()).await.unwrap();
    let before = reads.load(Ordering::SeqCst);
    let times = join_all((0..10).map(|n| write(&journal, vec![], vec![entry(&n.to_string(), &[])]))).await;
    let times: Vec<_> = times.into_iter().map(Result::unwrap).collect();
    let read = reads.load(Ordering::SeqCst) - before;
    let groups: std::collections::BTreeSet<_> = times.iter().collect();
    assert_eq!(groups.len(), read, "{times:?}");
    assert!(read < 10 && times.is_sorted(), "{times:?}");
}

async fn a_clock_that_goes_back_ends_the_journal(place: Place) {
    let journal = place.create().await;
    place.set_clock(START + 10);
    write(&journal, vec![], vec![entry("x", &[])]).await.unwrap();
    place.set_clock(START + 9);
    let expected = JournalError::TimeBackwards {
        now: at(START + 9),
        last: at(START + 10),
    };
    let (one, two) = tokio::join!(
        write(&journal, vec![], vec![entry("y", &[])]),
        write(&journal, vec![], vec![entry("z", &[])])
    );
    assert_eq!((one, two), (Err(expected.clone()), Err(expected.clone())));
    // Final, even when the clock is right again; readers are told as well.
    place.set_clock(START + 20);
    assert_eq!(write(&journal, vec![], vec![]).await, Err(expected.clone()));
    assert_eq!(journal.basis(request("a"), Vec::new()).await, Err(expected.clone()));
    assert_eq!(journal.checkpoint().await, Err(expected.clone()));
    assert_eq!(journal.fatal(), Some(expected));
    journal.close().await;
    assert_eq!(all_entries(&place.open().await).await.len(), 2);
}
