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
        Ok(count < MAX_ATTESTATIONS && size(&new.envelope) <= MAX_ATTESTATION_BYTES)
    }

    /// Takes quotes and passed screenings away that the same caller has replaced since, or does now: a withdrawal that waits, or whose fee
    /// is bumped, is quoted and screened again and again, and the signer has what it decided on. Whether anything was taken away.
    pub(super) async fn make_room(&mut self, current: &Current, new: &NewStatement) -> Result<bool, StoreError> {
        // What is of no such form is refused by the signer, and replaces nothing.
        let Ok(Some(latest)) = Word::parse(&new.envelope) else {
            return Ok(false);
        };
        let [price, screening, _] = StatementKind::ATTESTED.map(StatementKind::as_str);
        let filed = sqlx::query(
            "SELECT seq, envelope FROM withdrawal_statements JOIN statements ON seq = statement \
             WHERE withdrawal = ? AND submitted_by = ? AND kind IN (?, ?)",
        );
        let filed = filed
            .bind(current.seq)
            .bind(&new.submitted_by)
            .bind(price)
            .bind(screening)
            .fetch_all(&mut *self.connection)
            .await?;
        let mut words = Vec::new();
        for row in &filed {
            let (seq, envelope): (i64, Vec<u8>) = (row.try_get(0)?, row.try_get(1)?);
            if let Ok(Some(word)) = Word::parse(&envelope) {
                words.push((seq, size(&envelope), word));
            }
        }
        let later = || words.iter().map(|(_, _, word)| word).chain([&latest]);
        let replaced = words
            .iter()
            .filter(|(_, _, word)| later().any(|later| word.is_replaced_by(later)));
        let replaced: Vec<(i64, i64)> = replaced.map(|(seq, size, _)| (*seq, *size)).collect();
        for (seq, size) in &replaced {
            self.unfile(*seq, *size, current).await?;
        }
        Ok(!replaced.is_empty())
    }

    async fn unfile(&mut self, statement: i64, size: i64, current: &Current) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM withdrawal_statements WHERE withdrawal = ? AND statement = ?")
            .bind(current.seq)
            .bind(statement)
            .execute(&mut *self.connection)
            .await?;
        sqlx::query(
            "UPDATE withdrawals SET statements = statements - 1, statement_bytes = statement_bytes - ? WHERE seq = ?",
        )
        .bind(size)
        .bind(current.seq)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }
}
