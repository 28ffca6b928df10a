//! What was authorized and never signed: it is decided anew, and signed, or left, or given up.

use std::collections::BTreeSet;

use countersign_types::{ConflictKey, RequestDigest, Tag, Timestamp, WithdrawalId};

use crate::{Answer, LedgerView, Page, Reads, Signer, SignerError, Submission, Unfinished, Verdict, Write, propose};

/// Which unsigned authorizations [`Signer::resume`] takes up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResumeScope {
    /// All of them: at start, when no call of this process is signing one.
    All,
    /// Those whose time to sign has run out: beside live calls, which may be signing the others right now.
    Lapsed,
}

/// What a pass of [`Signer::resume`] came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resumed {
    /// How many are signed now.
    pub signed: u64,
    /// Those that are not, and why.
    pub left: Vec<(WithdrawalId, Vec<Tag>)>,
}

enum TakenUp {
    Signed,
    Left,
}

impl TakenUp {
    fn is_left(&self) -> bool {
        match self {
            Self::Signed => false,
            Self::Left => true,
        }
    }
}

impl Signer {
    /// Takes up what was authorized and not signed. Each is decided anew: what was allowed then may be cancelled, expired or
    /// forbidden now (docs/adr/0006). One that cannot be signed does not hold up those behind it.
    pub async fn resume(&self, scope: ResumeScope) -> Result<Resumed, SignerError> {
        let mut resumed = Resumed::default();
        let mut page = Page::FIRST;
        loop {
            let unfinished = self.journal.unfinished(page).await?;
            if unfinished.is_empty() {
                return Ok(resumed);
            }
            for work in unfinished {
                if self.take_up(scope, work, &mut resumed).await?.is_left() {
                    // It stays listed, and the listing is in order of commit: step over it.
                    page.offset = page.offset.saturating_add(1);
                }
            }
        }
    }

    async fn take_up(
        &self,
        scope: ResumeScope,
        work: Unfinished,
        resumed: &mut Resumed,
    ) -> Result<TakenUp, SignerError> {
        if scope == ResumeScope::Lapsed && (self.clock)() < work.attempt.sign_by {
            return Ok(TakenUp::Left);
        }
        let submission = Submission {
            request: work.envelope,
            unsigned: work.attempt.unsigned,
            statements: Vec::new(),
        };
        let reason = match self.authorize(submission).await {
            Ok(Answer::Signed { .. }) => {
                resumed.signed = resumed.signed.saturating_add(1);
                return Ok(TakenUp::Signed);
            }
            Ok(Answer::Allowed { .. }) => Vec::new(),
            Ok(
                Answer::Pending { reasons, .. } | Answer::Denied { reasons, .. } | Answer::Malformed { reasons, .. },
            ) => reasons.iter().map(|reason| reason.tag).collect(),
            Err(error) if error.is_fatal() => return Err(error),
            Err(error) => vec![error.tag()],
        };
        resumed.left.push((WithdrawalId::of(work.request), reason));
        self.give_up(work.request, work.attempt.conflict_keys).await?;
        Ok(TakenUp::Left)
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
