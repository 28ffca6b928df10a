//! Room for what observers and attesters bring.

use sqlx::Row as _;

use super::{
    MAX_ATTESTATION_BYTES, MAX_ATTESTATIONS, MAX_OBSERVATION_BYTES, MAX_OBSERVATION_BYTES_OF_ONE, MAX_OBSERVATIONS,
    NewStatement, StoreError,
    apply::{Batch, Current, size},
};
use crate::advice::{StatementKind, Word};

impl Batch<'_> {
    /// Observers have bounds of their own, so that they never keep an approval or a rejection out.
    pub(super) async fn has_room_for_observation(
        &mut self,
        current: &Current,
        new: &NewStatement,
    ) -> Result<bool, StoreError> {
        let sums = sqlx::query(
            "SELECT COUNT(*), COALESCE(SUM(length(envelope)), 0), \
             COALESCE(SUM(CASE WHEN submitted_by = ?2 THEN length(envelope) ELSE 0 END), 0) \
             FROM withdrawal_statements JOIN statements ON seq = statement WHERE withdrawal = ?1 AND kind = ?3",
        );
        let sums = sums
            .bind(current.seq)
            .bind(&new.submitted_by)
            .bind(StatementKind::Observation.as_str())
            .fetch_one(&mut *self.connection)
            .await?;
        let (count, bytes, of_one): (u32, i64, i64) = (sums.try_get(0)?, sums.try_get(1)?, sums.try_get(2)?);
        let added = size(&new.envelope);
        Ok(count < MAX_OBSERVATIONS
            && bytes.saturating_add(added) <= MAX_OBSERVATION_BYTES
            && of_one.saturating_add(added) <= MAX_OBSERVATION_BYTES_OF_ONE)
    }

    /// Attesters too.
    pub(super) async fn has_room_for_attestation(
        &mut self,
        current: &Current,
        new: &NewStatement,
        replaced: &[Replaced],
    ) -> Result<bool, StoreError> {
        let [price, screening, book] = StatementKind::ATTESTED.map(StatementKind::as_str);
        let count = sqlx::query_scalar(
            "SELECT COUNT(*) FROM withdrawal_statements JOIN statements ON seq = statement \
             WHERE withdrawal = ? AND kind IN (?, ?, ?)",
        );
        let count: u32 = count
            .bind(current.seq)
            .bind(price)
            .bind(screening)
            .bind(book)
            .fetch_one(&mut *self.connection)
            .await?;
        let freed = u32::try_from(replaced.len()).unwrap_or(u32::MAX);
        Ok(count.saturating_sub(freed) < MAX_ATTESTATIONS && size(&new.envelope) <= MAX_ATTESTATION_BYTES)
    }

    /// What spoke for the payment and the same caller has replaced since, or does by a new statement: a withdrawal that waits, or whose fee is
    /// bumped, is quoted and screened again and again, and the signer has what it decided on.
    pub(super) async fn replaced(
        &mut self,
        current: &Current,
        new: &NewStatement,
    ) -> Result<Vec<Replaced>, StoreError> {
        // What is of no such form is refused by the signer, and replaces nothing.
        let Ok(Some(latest)) = Word::parse(&new.envelope) else {
            return Ok(Vec::new());
        };
        let [price, screening, book] = StatementKind::ATTESTED.map(StatementKind::as_str);
        let filed = sqlx::query(
            "SELECT seq, envelope FROM withdrawal_statements JOIN statements ON seq = statement \
             WHERE withdrawal = ? AND submitted_by = ? AND kind IN (?, ?, ?)",
        );
        let filed = filed
            .bind(current.seq)
            .bind(&new.submitted_by)
            .bind(price)
            .bind(screening)
            .bind(book)
            .fetch_all(&mut *self.connection)
            .await?;
        let mut words = Vec::new();
        for row in &filed {
            let (seq, envelope): (i64, Vec<u8>) = (row.try_get(0)?, row.try_get(1)?);
            if let Ok(Some(word)) = Word::parse(&envelope) {
                let size = size(&envelope);
                words.push((Replaced { seq, size }, word));
            }
        }
        let later = || words.iter().map(|(_, word)| word).chain([&latest]);
        let replaced = words
            .iter()
            .filter(|(_, word)| later().any(|later| word.is_replaced_by(later)));
        Ok(replaced.map(|(one, _)| *one).collect())
    }

    /// Takes statements away from a withdrawal, and for good where no other one has them.
    pub(super) async fn unfile(&mut self, replaced: &[Replaced], current: &Current) -> Result<(), StoreError> {
        for Replaced { seq, size } in replaced {
            sqlx::query("DELETE FROM withdrawal_statements WHERE withdrawal = ? AND statement = ?")
                .bind(current.seq)
                .bind(seq)
                .execute(&mut *self.connection)
                .await?;
            sqlx::query(
                "DELETE FROM statements WHERE seq = ?1 \
                 AND NOT EXISTS (SELECT 1 FROM withdrawal_statements WHERE statement = ?1)",
            )
            .bind(seq)
            .execute(&mut *self.connection)
            .await?;
            sqlx::query(
                "UPDATE withdrawals SET statements = statements - 1, statement_bytes = statement_bytes - ? WHERE seq = ?",
            )
            .bind(size)
            .bind(current.seq)
            .execute(&mut *self.connection)
            .await?;
        }
        Ok(())
    }
}

/// A filed statement that another one has replaced, and how many bytes it takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Replaced {
    seq: i64,
    pub(super) size: i64,
}
