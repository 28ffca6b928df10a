//! Behind what ended before it was signed: its charges age, and its conflict keys are given up.

use std::collections::BTreeSet;

use countersign_types::{ConflictKey, RequestDigest, Tag, Timestamp, WithdrawalId};

use crate::{LedgerView, Page, Reads, Signer, SignerError, Submission, Unfinished, Verdict, Write, propose};

/// The most attempts that are remembered as cleared; beyond them all are looked at again.
const MAX_REMEMBERED: usize = 65_536;

/// What earlier passes of [`Signer::clear`] are done with. Nothing is lost with it but time.
#[derive(Debug, Default)]
pub struct Cleared(BTreeSet<(RequestDigest, u32, Timestamp)>);

impl Cleared {
    fn is_known(&self, work: &Unfinished) -> bool {
        self.0.contains(&Self::key(work))
    }

    fn remember(&mut self, work: &Unfinished) {
        if self.0.len() >= MAX_REMEMBERED {
            self.0.clear();
        }
        self.0.insert(Self::key(work));
    }

    /// An attempt that is authorized again has another time to sign, and is looked at again.
    fn key(work: &Unfinished) -> (RequestDigest, u32, Timestamp) {
        (work.request, work.attempt.number, work.attempt.sign_by)
    }
}

/// What a pass of [`Signer::clear`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Clearing {
    /// How many attempts of withdrawals that have ended were cleared for the first time.
    pub cleared: u64,
    /// How many attempts could be signed no more without being authorized again: nobody has asked for them since.
    pub waiting: u64,
    /// Those that could not be cleared, and why.
    pub left: Vec<(WithdrawalId, Tag)>,
}

impl Signer {
    /// Clears up behind authorizations whose time has run out without a signature, where the withdrawal has ended. Beside live calls.
    /// Nothing is authorized or signed here: that takes a call, which brings what its caller knows by now (docs/adr/0006). One that
    /// fails does not hold up those behind it.
    pub async fn clear(&self, cleared: &mut Cleared) -> Result<Clearing, SignerError> {
        let mut clearing = Clearing::default();
        let mut page = Page::FIRST;
        loop {
            let unfinished = self.journal.unfinished(page).await?;
            let Ok(count @ 1..) = u64::try_from(unfinished.len()) else {
                return Ok(clearing);
            };
            page.offset = page.offset.saturating_add(count);
            for work in unfinished {
                self.clear_one(&work, cleared, &mut clearing).await?;
            }
        }
    }

    async fn clear_one(
        &self,
        work: &Unfinished,
        cleared: &mut Cleared,
        clearing: &mut Clearing,
    ) -> Result<(), SignerError> {
        // A live call may be signing it right now.
        if (self.clock)() < work.attempt.sign_by || cleared.is_known(work) {
            return Ok(());
        }
        if work.ended.is_none() {
            clearing.waiting = clearing.waiting.saturating_add(1);
            return Ok(());
        }
        match self.clear_ended(work).await {
            Ok(()) => {
                clearing.cleared = clearing.cleared.saturating_add(1);
                cleared.remember(work);
            }
            Err(error) if error.is_fatal() => return Err(error),
            Err(error) => clearing.left.push((WithdrawalId::of(work.request), error.tag())),
        }
        Ok(())
    }

    async fn clear_ended(&self, work: &Unfinished) -> Result<(), SignerError> {
        let submission = Submission {
            request: work.envelope.clone(),
            unsigned: work.attempt.unsigned.clone(),
            statements: Vec::new(),
        };
        let settled = self.settle(submission).await;
        // Whatever came of it: whose initiator has left the roster is not decided any more, and holds up its account all the same.
        self.give_up(work.request, work.attempt.conflict_keys.clone()).await?;
        settled
    }

    /// Frees what an attempt excludes that was never signed, of a withdrawal that has ended: it never will be, and a nonce that nobody
    /// uses holds up its account for good. Payments stay claimed: whoever claims the keys excludes the attempt, whatever became of
    /// its authorization in a token, and whoever pays again does not (docs/adr/0036).
    async fn give_up(&self, request: RequestDigest, keys: Vec<ConflictKey>) -> Result<(), SignerError> {
        let reads = Reads {
            request: Some(request),
            conflict_keys: keys.clone(),
            ..Reads::default()
        };
        let decide = move |view: &LedgerView, now: Timestamp| {
            let mut verdict = Verdict::unchanged(());
            let Some(record) = view.withdrawal.as_ref().filter(|record| record.ended.is_some()) else {
                return verdict;
            };
            let is_in_use = |key: &ConflictKey| {
                let mut attempts = record.attempts.iter().filter(|one| one.conflict_keys.contains(key));
                attempts.any(|one| one.signed.is_some() || now < one.sign_by)
            };
            let is_own = |key: &&ConflictKey| view.conflict_owners.get(key) == Some(&request);
            let keys = keys.iter().filter(is_own).filter(|key| !is_in_use(key));
            let keys: BTreeSet<ConflictKey> = keys.cloned().collect();
            if !keys.is_empty() {
                verdict.writes.push(Write::GivenUp {
                    request,
                    keys: keys.into_iter().collect(),
                });
            }
            verdict
        };
        let ((), _) = propose(self.journal.as_ref(), reads, decide).await?;
        Ok(())
    }
}
