//! What the signer froze by itself, told where an operator looks: a warning in the log, once the journal has it.
//!
//! The core decides inside the journal's transaction and has no log of its own, so the warning is made where decisions pass on
//! their way to the journal: whatever freezes is written there, and nothing that is written there is overlooked.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
};

use countersign_decision::{Entry, FreezeCause, FreezeEntry};
use countersign_signer::{
    Basis, Decide, Journal, JournalError, JournaledStatement, Outcome, Page, Proposal, ProvenEntries, Reply,
    StoredBundle, Unfinished, Verdict, WithdrawalHistory, Write,
};
use countersign_types::{BundleDigest, PrincipalId, RequestDigest};

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, JournalError>> + Send + 'a>>;

/// A journal whose own freezes are told.
pub struct Alarmed<J>(Arc<J>);

impl<J> Alarmed<J> {
    /// In front of a journal.
    pub fn new(journal: Arc<J>) -> Self {
        Self(journal)
    }
}

/// The freezes of a verdict that no officer made.
fn by_itself(verdict: &Verdict<Reply>) -> Vec<FreezeEntry> {
    // Entries are read again only where there is a freeze among them: most verdicts have none.
    if !verdict.writes.iter().any(|write| matches!(write, Write::Freeze { .. })) {
        return Vec::new();
    }
    let entries = verdict.entries.iter();
    entries
        .filter_map(|entry| Entry::parse(&entry.bytes).ok())
        .filter_map(own)
        .collect()
}

fn own(entry: Entry) -> Option<FreezeEntry> {
    let freeze = match entry {
        Entry::Freeze(freeze) => freeze,
        Entry::Genesis(_)
        | Entry::Activation(_)
        | Entry::Request(_)
        | Entry::Statement(_)
        | Entry::Decision(_)
        | Entry::Signature(_)
        | Entry::Thaw(_) => return None,
    };
    match freeze.cause {
        FreezeCause::Statement { .. } => None,
        FreezeCause::Breaker { .. } | FreezeCause::ForeignSpend { .. } => Some(freeze),
    }
}

/// Scope and cause name rules, withdrawals and what stands on chain: no statements, no secrets.
fn warn(made: &[FreezeEntry], outcome: Result<(), &JournalError>) {
    for FreezeEntry {
        freeze, scope, cause, ..
    } in made
    {
        match outcome {
            Ok(()) => tracing::warn!(%freeze, %scope, %cause, "froze by itself"),
            Err(JournalError::InDoubt(_)) => {
                tracing::warn!(%freeze, %scope, %cause, "may have frozen by itself; the list of freezes says whether");
            }
            // Nothing of it was committed.
            Err(
                JournalError::NotCommitted(_)
                | JournalError::Fenced
                | JournalError::Rewound(_)
                | JournalError::TimeBackwards { .. }
                | JournalError::Damaged(_),
            ) => {}
        }
    }
}

impl<J: Journal> Journal for Alarmed<J> {
    fn propose(&self, proposal: Proposal) -> Answer<'_, Outcome> {
        let Proposal { reads, decide } = proposal;
        let made = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&made);
        // The last call is the one that was committed: a group that was undone is decided again.
        let decide: Decide = Box::new(move |view, now| {
            let verdict = decide(view, now);
            *noted.lock().unwrap_or_else(PoisonError::into_inner) = by_itself(&verdict);
            verdict
        });
        Box::pin(async move {
            let outcome = self.0.propose(Proposal { reads, decide }).await;
            let made = made.lock().unwrap_or_else(PoisonError::into_inner);
            warn(&made, outcome.as_ref().map(|_| ()));
            outcome
        })
    }

    fn unfinished(&self, page: Page) -> Answer<'_, Vec<Unfinished>> {
        self.0.unfinished(page)
    }

    fn statements(&self, request: RequestDigest) -> Answer<'_, Vec<JournaledStatement>> {
        self.0.statements(request)
    }

    fn basis(&self, request: RequestDigest, entries: Vec<(PrincipalId, String)>) -> Answer<'_, Option<Basis>> {
        self.0.basis(request, entries)
    }

    fn active_bundle(&self) -> Answer<'_, Option<StoredBundle>> {
        self.0.active_bundle()
    }

    fn bundles(&self, after_version: u64) -> Answer<'_, Vec<StoredBundle>> {
        self.0.bundles(after_version)
    }

    fn activation(&self, bundle: BundleDigest) -> Answer<'_, ProvenEntries> {
        self.0.activation(bundle)
    }

    fn history(&self, request: RequestDigest) -> Answer<'_, Option<WithdrawalHistory>> {
        self.0.history(request)
    }

    fn checkpoint(&self) -> Answer<'_, Vec<u8>> {
        self.0.checkpoint()
    }

    fn entries(&self, start: u64, count: u32) -> Answer<'_, Vec<Vec<u8>>> {
        self.0.entries(start, count)
    }
}
