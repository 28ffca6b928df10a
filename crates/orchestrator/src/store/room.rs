//! Room for what observers and attesters bring.

use sqlx::Row as _;

use super::{
    MAX_ATTESTATION_BYTES, MAX_ATTESTATIONS, MAX_OBSERVATION_BYTES, MAX_OBSERVATION_BYTES_OF_ONE, MAX_OBSERVATIONS,
    NewStatement, StoreError,
    apply::{Batch, Current, size},
};
use crate::advice::StatementKind;

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
}
