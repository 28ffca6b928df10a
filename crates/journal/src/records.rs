//! Rows as the records that decisions and readers see.

use countersign_signer::{AttemptRecord, SignedAttempt, SpendStage, WithdrawalRecord};
use countersign_types::{
    Amount, AuthorizationId, BundleDigest, EntryDigest, RequestDigest, SignedTransaction, Tag, Timestamp,
    TransactionDigest,
};

use crate::{
    charged::Stage,
    codec::{BadValue, bytes32, from_sql, parse_conflict_keys, parse_signatures},
    error::StepError,
    sql::Row,
};

/// A 32-byte column.
pub(crate) fn column32(row: &Row, column: &str) -> Result<[u8; 32], StepError> {
    Ok(bytes32(row.bytes(column)?)?)
}

/// A time column.
pub(crate) fn column_time(row: &Row, column: &str) -> Result<Timestamp, StepError> {
    Ok(Timestamp::from_unix_millis(row.number(column)?))
}

/// The attempt in a row.
pub(crate) fn attempt_number(row: &Row) -> Result<u32, StepError> {
    Ok(u32::try_from(row.number("number")?).map_err(|_| BadValue("attempt number"))?)
}

/// What ended a withdrawal.
pub(crate) fn ending(row: &Row, column: &str) -> Result<Option<Tag>, StepError> {
    let tag = row.optional_text(column)?;
    Ok(tag.map(|tag| tag.parse().map_err(|_| BadValue("ending"))).transpose()?)
}

/// A withdrawal that was looked up, without its attempts.
pub(crate) fn withdrawal(row: &Row) -> Result<WithdrawalRecord, StepError> {
    let last_decision = row.optional_bytes("bytes3")?.map(bytes32).transpose()?;
    Ok(WithdrawalRecord {
        request: RequestDigest::from_bytes(column32(row, "bytes")?),
        first_seen_at: column_time(row, "number")?,
        first_bundle: BundleDigest::from_bytes(column32(row, "bytes2")?),
        ended: ending(row, "text")?,
        last_decision: last_decision.map(EntryDigest::from_bytes),
        decisions: from_sql(row.number("number2")?)?,
        attempts: Vec::new(),
    })
}

/// A row with every column of `attempts`, and those of its spend.
pub(crate) fn attempt(row: &Row) -> Result<AttemptRecord, StepError> {
    Ok(AttemptRecord {
        number: attempt_number(row)?,
        transaction: TransactionDigest::from_bytes(column32(row, "transaction_digest")?),
        unsigned: row.bytes("unsigned")?.to_vec(),
        conflict_keys: parse_conflict_keys(row.text("conflict_keys")?)?,
        fee_max: Amount::from_be_bytes(column32(row, "fee_max")?),
        authorization: AuthorizationId::from_bytes(column32(row, "authorization_id")?),
        authorized_at: column_time(row, "authorized_at")?,
        sign_by: column_time(row, "sign_by")?,
        signed: signed_attempt(row)?,
        spend: spend_stage(row)?,
    })
}

fn spend_stage(row: &Row) -> Result<Option<SpendStage>, StepError> {
    if row.optional_number("charged_at")?.is_none() {
        return Ok(None);
    }
    Ok(Some(match Stage::of(row)? {
        Stage::Outstanding => SpendStage::Outstanding,
        Stage::Aged(_) => SpendStage::Aged,
        Stage::Failed(_) => SpendStage::Failed,
        Stage::Released => SpendStage::Released,
    }))
}

fn signed_attempt(row: &Row) -> Result<Option<SignedAttempt>, StepError> {
    let Some(recorded_at) = row.optional_number("recorded_at")? else {
        return Ok(None);
    };
    Ok(Some(SignedAttempt {
        signatures: parse_signatures(row.bytes("signatures")?)?,
        transaction: SignedTransaction {
            bytes: row.bytes("signed")?.to_vec(),
            txid: row.text("txid")?.to_owned(),
        },
        recorded_at: Timestamp::from_unix_millis(recorded_at),
    }))
}
