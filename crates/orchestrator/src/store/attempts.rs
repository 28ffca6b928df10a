//! Further attempts of a withdrawal.

use countersign_proto::limits::{MAX_ATTEMPTS, MAX_CANCEL_ATTEMPTS};

use super::{
    NewAttempt, StoreError,
    apply::{Batch, Current},
};
use crate::states::{Event, State};

impl Batch<'_> {
    /// An attempt and the statement that it needs become durable together or not at all; returns the statement's row. The latest attempt is
    /// decided anew with a new statement, and also where it was refused: whoever sends it again knows that something changed.
    pub(super) async fn add_attempt(&mut self, new: NewAttempt) -> Result<Option<i64>, StoreError> {
        let current = self.current(&new.id).await?;
        let current = current.filter(|current| new.scope.covers(&current.tenant));
        let current = current.ok_or(StoreError::NotFound)?;
        let cancels = new.cancels();
        let filed = match &new.statement {
            Some(statement) => self.find_statement(statement).await?,
            None => None,
        };
        let has_news = new.statement.is_some() && filed.is_none();
        let mut known = self.find_attempt(current.seq, &new.unsigned, cancels).await?;
        // The signer is asked about the latest attempt only: another cancel asks for the same bytes once more.
        if let Some(number) = known
            && (cancels && has_news && number < current.attempts)
            && !self.is_signed(current.seq, number).await?
        {
            known = None;
        }
        let is_asked_again = match known {
            Some(number) => self.was_refused(&current, number).await?,
            None => false,
        };
        let number = match known {
            Some(number) if has_news || is_asked_again => number,
            Some(_) => return Ok(filed),
            None => current.attempts.saturating_add(1),
        };
        if !cancels && known.is_none() {
            self.certify_nothing_cancels(&current).await?;
        }
        let is_latest = number >= current.attempts;
        let (added, said) = match cancels {
            // What was closed is opened by both together.
            true if is_latest => (Event::CancelAttemptAdded, Event::CancelAttemptAdded),
            true | false => (Event::AttemptAdded, Event::StatementArrived),
        };
        let next = match is_latest {
            true => current.after(added)?,
            false => current.state,
        };
        let most = match cancels {
            true => MAX_ATTEMPTS.saturating_add(MAX_CANCEL_ATTEMPTS),
            false => MAX_ATTEMPTS,
        };
        if number > most {
            return Err(StoreError::TooManyAttempts);
        }
        let statement = match new.statement {
            Some(statement) => Some(self.add_statement_as(said, statement).await?.0),
            None => None,
        };
        if known.is_none() {
            self.insert_attempt(current.seq, number, &new.unsigned, cancels).await?;
        }
        if known.is_none() || is_asked_again {
            sqlx::query("UPDATE withdrawals SET attempts = ?, inputs = inputs + 1 WHERE seq = ?")
                .bind(number)
                .bind(current.seq)
                .execute(&mut *self.connection)
                .await?;
        }
        // What was said of what is signed says nothing of what replaces it.
        let standing = match current.state.is_signed() && is_latest {
            true => &[][..],
            false => current.standing.as_slice(),
        };
        self.advance(&current, next, standing, Some(self.now_ms)).await?;
        self.wake(current.seq, self.now_ms);
        Ok(statement)
    }

    /// The signer is asked about the latest attempt only. A payment must not keep a cancel attempt from being decided: once the cancel is
    /// in force no payment is signed, and a pipeline that raises fees by itself does not know that.
    async fn certify_nothing_cancels(&mut self, current: &Current) -> Result<(), StoreError> {
        let is_undecided = match current.state {
            State::Received | State::PendingApproval | State::Frozen | State::Replacing => true,
            State::Refused | State::Malformed | State::Signed | State::Denied | State::Cancelled | State::Expired => {
                false
            }
        };
        match is_undecided && self.ends_in_a_cancel_attempt(current).await? {
            true => Err(StoreError::Cancelling),
            false => Ok(()),
        }
    }

    /// Whether the latest attempt came with a cancel.
    pub(super) async fn ends_in_a_cancel_attempt(&mut self, current: &Current) -> Result<bool, StoreError> {
        let cancels = sqlx::query_scalar("SELECT cancels FROM attempts WHERE withdrawal = ? AND number = ?");
        let cancels = cancels.bind(current.seq).bind(current.attempts);
        Ok(cancels.fetch_one(&mut *self.connection).await?)
    }

    pub(super) async fn is_signed(&mut self, seq: i64, number: u32) -> Result<bool, StoreError> {
        let signed = sqlx::query_scalar("SELECT signed IS NOT NULL FROM attempts WHERE withdrawal = ? AND number = ?");
        Ok(signed.bind(seq).bind(number).fetch_one(&mut *self.connection).await?)
    }

    /// The latest attempt with these bytes. A cancel attempt is one that came with a cancel: bytes that were asked for as a payment, and
    /// were refused, may be asked for as what pays nobody.
    pub(super) async fn find_attempt(
        &mut self,
        seq: i64,
        unsigned: &[u8],
        cancels: bool,
    ) -> Result<Option<u32>, StoreError> {
        let number = sqlx::query_scalar(
            "SELECT number FROM attempts WHERE withdrawal = ? AND unsigned = ? AND cancels >= ? \
             ORDER BY number DESC LIMIT 1",
        );
        Ok(number
            .bind(seq)
            .bind(unsigned)
            .bind(cancels)
            .fetch_optional(&mut *self.connection)
            .await?)
    }

    pub(super) async fn insert_attempt(
        &mut self,
        seq: i64,
        number: u32,
        unsigned: &[u8],
        cancels: bool,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO attempts (withdrawal, number, unsigned, cancels, created_at_ms) VALUES (?, ?, ?, ?, ?)",
        )
        .bind(seq)
        .bind(number)
        .bind(unsigned)
        .bind(cancels)
        .bind(self.now_ms)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }
}
