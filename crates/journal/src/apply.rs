//! Writes as SQL. Uniqueness is the schema's; a write that names what does not exist changes fewer rows than it must.

use std::collections::BTreeSet;

use countersign_audit::MAX_ENTRY_BYTES;
use countersign_signer::{LogEntry, Write};
use countersign_types::{ConflictKey, PaymentReference, RequestDigest, StatementDigest, Timestamp};
use sqlx::{QueryBuilder, Sqlite, SqliteConnection, query_builder::Separated};

use crate::{
    codec::{account_nonce, conflict_key_text, conflict_keys_text, signatures_bytes, to_sql},
    error::StepError,
};

/// What one proposal may log. One decision logs a handful.
pub const MAX_ENTRIES: usize = 256;
/// Rows of one statement: SQLite takes 32 766 parameters, a row has at most nine.
const MAX_ROWS: usize = 2_048;

/// Refuses what cannot be written before anything is, so that the group need not be undone.
pub(crate) fn refuse_unwritable(entries: &[LogEntry], writes: &[Write]) -> Result<(), StepError> {
    let refuse = |reason: String| Err(StepError::Refused(reason));
    if entries.len() > MAX_ENTRIES {
        return refuse(format!(
            "{} log entries in one proposal; at most {MAX_ENTRIES}",
            entries.len()
        ));
    }
    if let Some(entry) = entries.iter().find(|entry| entry.bytes.len() > MAX_ENTRY_BYTES) {
        let length = entry.bytes.len();
        return refuse(format!("a log entry of {length} bytes; at most {MAX_ENTRY_BYTES}"));
    }
    for write in writes {
        let Write::Attempt { conflict_keys, .. } = write else {
            continue;
        };
        if let Some(key) = conflict_keys.iter().find(|key| is_last_nonce(key)) {
            return refuse(format!("`{key}` leaves no next nonce"));
        }
    }
    Ok(())
}

/// EIP-2681 forbids it on chain as well.
fn is_last_nonce(key: &ConflictKey) -> bool {
    matches!(key, ConflictKey::AccountNonce { nonce: u64::MAX, .. })
}

/// Applies the writes of one proposal, in order and in one round trip.
pub(crate) async fn apply(connection: &mut SqliteConnection, writes: &[Write], at: Timestamp) -> Result<(), StepError> {
    if writes.is_empty() {
        return Ok(());
    }
    let mut batch = Batch::new();
    for write in writes {
        batch.write(write, at)?;
    }
    batch.execute(connection, true).await
}

/// Statements that run one after the other, with the number of rows that they must change.
pub(crate) struct Batch {
    sql: QueryBuilder<Sqlite>,
    rows: u64,
}

/// The values of a row.
pub(crate) type Values<'a> = Separated<'a, Sqlite, &'static str>;

impl Batch {
    pub(crate) fn new() -> Self {
        Self {
            sql: QueryBuilder::new(""),
            rows: 0,
        }
    }

    /// Runs all of it. Shapes that depend on the number of proposals are better not cached.
    pub(crate) async fn execute(mut self, connection: &mut SqliteConnection, cached: bool) -> Result<(), StepError> {
        let query = self.sql.build().persistent(cached);
        let changed = query.execute(connection).await?.rows_affected();
        if changed != self.rows {
            return Err(StepError::WrongRowCount {
                changed,
                expected: self.rows,
            });
        }
        Ok(())
    }

    /// `INSERT INTO …` with its rows.
    pub(crate) fn insert<T>(&mut self, into: &str, items: &[T], mut one: impl FnMut(&mut Values<'_>, &T)) {
        self.insert_or(into, items, &mut one, "");
    }

    /// The same with an `ON CONFLICT` clause.
    fn insert_or<T>(&mut self, into: &str, items: &[T], one: &mut impl FnMut(&mut Values<'_>, &T), conflict: &str) {
        for chunk in items.chunks(MAX_ROWS) {
            self.sql.push("INSERT INTO ").push(into).push(" ");
            self.sql.push_values(chunk, |mut row, item| one(&mut row, item));
            self.sql.push(conflict).push("; ");
            self.rows = self.rows.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        }
    }

    /// A statement that the caller completes; it must change one row.
    fn update(&mut self, sql: &str) -> &mut QueryBuilder<Sqlite> {
        self.rows = self.rows.saturating_add(1);
        self.sql.push(sql)
    }

    fn write(&mut self, write: &Write, at: Timestamp) -> Result<(), StepError> {
        match write {
            Write::Statement { .. } => self.statement(write, at),
            Write::Withdrawal { .. } => self.withdrawal(write, at),
            Write::Ended { request, tag } => {
                // Assignments read the row as it was: the first end stays.
                self.update("UPDATE withdrawals SET ended_at = coalesce(ended_at, ")
                    .push_bind(at.unix_millis())
                    .push("), ended_by = coalesce(ended_by, ")
                    .push_bind(tag.as_str())
                    .push(")");
                self.of_withdrawal(*request);
            }
            Write::Decision { request, decision } => {
                self.update("UPDATE withdrawals SET decisions = decisions + 1, last_decision = ")
                    .push_bind(decision.as_bytes().to_vec());
                self.of_withdrawal(*request);
            }
            Write::Attempt { .. } => self.attempt(write, at),
            Write::Signed { .. } => self.signed(write, at),
            Write::Bundle { .. } => self.bundle(write, at)?,
        }
        Ok(())
    }

    fn of_withdrawal(&mut self, request: RequestDigest) {
        self.sql
            .push(" WHERE request = ")
            .push_bind(request.as_bytes().to_vec())
            .push("; ");
    }

    fn statement(&mut self, write: &Write, at: Timestamp) {
        let Write::Statement {
            digest,
            signer,
            nonce,
            subjects,
            envelope,
        } = write
        else {
            return;
        };
        let into = "statements (digest, signer, nonce, envelope, first_seen_at)";
        self.insert(into, &[()], |row, ()| {
            row.push_bind(digest.as_bytes().to_vec())
                .push_bind(signer.as_str().to_owned())
                .push_bind(nonce.to_string())
                .push_bind(envelope.clone())
                .push_bind(at.unix_millis());
        });
        let subjects: BTreeSet<RequestDigest> = subjects.iter().copied().collect();
        let subjects: Vec<RequestDigest> = subjects.into_iter().collect();
        self.insert("statement_subjects (request, seq)", &subjects, |row, request| {
            row.push_bind(request.as_bytes().to_vec())
                .push("(SELECT seq FROM statements WHERE digest = ")
                .push_bind_unseparated(digest.as_bytes().to_vec())
                .push_unseparated(")");
        });
    }

    fn withdrawal(&mut self, write: &Write, at: Timestamp) {
        let Write::Withdrawal {
            request,
            statement,
            tenant,
            reference,
            bundle,
        } = write
        else {
            return;
        };
        let into = "withdrawals (request, statement, tenant, reference, bundle, first_seen_at)";
        self.insert(into, &[()], |row, ()| {
            row.push_bind(request.as_bytes().to_vec())
                .push_bind(statement.as_bytes().to_vec())
                .push_bind(tenant.as_str().to_owned())
                .push_bind(reference.as_str().to_owned())
                .push_bind(bundle.as_bytes().to_vec())
                .push_bind(at.unix_millis());
        });
    }

    fn attempt(&mut self, write: &Write, at: Timestamp) {
        let Write::Attempt {
            request,
            tenant,
            payments,
            conflict_keys,
            ..
        } = write
        else {
            return;
        };
        let into = "attempts (request, number, transaction_digest, unsigned, conflict_keys, fee_max, \
                    authorization_id, authorized_at, sign_by)";
        // The triggers refuse a renewal that changes the transaction or that comes after its signatures.
        let renew = " ON CONFLICT (request, number) DO UPDATE SET transaction_digest = excluded.transaction_digest, \
                     unsigned = excluded.unsigned, conflict_keys = excluded.conflict_keys, fee_max = excluded.fee_max, \
                     authorization_id = excluded.authorization_id, authorized_at = excluded.authorized_at, \
                     sign_by = excluded.sign_by";
        self.insert_or(into, &[()], &mut |row, ()| push_attempt(row, write, at), renew);
        // A lineage claims its payments and its anchor again with every attempt; the triggers refuse another owner.
        let again = " ON CONFLICT (tenant, reference) DO UPDATE SET request = excluded.request";
        let claim = &mut |row: &mut Values<'_>, payment: &PaymentReference| {
            row.push_bind(tenant.as_str().to_owned())
                .push_bind(payment.as_str().to_owned())
                .push_bind(request.as_bytes().to_vec());
        };
        self.insert_or("payments (tenant, reference, request)", payments, claim, again);
        let again = " ON CONFLICT (key) DO UPDATE SET request = excluded.request";
        let claim = &mut |row: &mut Values<'_>, key: &ConflictKey| {
            let account = account_nonce(key);
            row.push_bind(conflict_key_text(key))
                .push_bind(request.as_bytes().to_vec())
                .push_bind(account.map(|(account, _)| account.to_string()))
                .push_bind(account.map(|(_, nonce)| nonce.to_vec()));
        };
        self.insert_or(
            "conflict_claims (key, request, account, nonce)",
            conflict_keys,
            claim,
            again,
        );
    }

    fn signed(&mut self, write: &Write, at: Timestamp) {
        let Write::Signed {
            request,
            number,
            signatures,
            transaction,
        } = write
        else {
            return;
        };
        self.update("UPDATE attempts SET signatures = ")
            .push_bind(signatures_bytes(signatures))
            .push(", signed = ")
            .push_bind(transaction.bytes.clone())
            .push(", txid = ")
            .push_bind(transaction.txid.clone())
            .push(", recorded_at = ")
            .push_bind(at.unix_millis())
            .push(" WHERE number = ")
            .push_bind(i64::from(*number))
            .push(" AND request = ")
            .push_bind(request.as_bytes().to_vec())
            .push("; ");
    }

    fn bundle(&mut self, write: &Write, at: Timestamp) -> Result<(), StepError> {
        let Write::Bundle {
            version,
            digest,
            files,
            statements,
        } = write
        else {
            return Ok(());
        };
        let version = to_sql(*version).map_err(|_| StepError::Refused("a bundle version over 63 bits".to_owned()))?;
        self.insert("bundles (version, digest, activated_at)", &[()], |row, ()| {
            row.push_bind(version)
                .push_bind(digest.as_bytes().to_vec())
                .push_bind(at.unix_millis());
        });
        let files: Vec<(&String, &Vec<u8>)> = files.iter().collect();
        self.insert("bundle_files (version, path, bytes)", &files, |row, (path, bytes)| {
            row.push_bind(version)
                .push_bind((*path).clone())
                .push_bind((*bytes).clone());
        });
        let statements: Vec<(i64, &StatementDigest)> = (0..).zip(statements).collect();
        let into = "bundle_statements (version, position, statement)";
        self.insert(into, &statements, |row, (position, statement)| {
            row.push_bind(version)
                .push_bind(*position)
                .push_bind(statement.as_bytes().to_vec());
        });
        Ok(())
    }
}

fn push_attempt(row: &mut Values<'_>, write: &Write, at: Timestamp) {
    let Write::Attempt {
        request,
        number,
        transaction,
        unsigned,
        conflict_keys,
        fee_max,
        authorization,
        sign_by,
        ..
    } = write
    else {
        return;
    };
    row.push_bind(request.as_bytes().to_vec())
        .push_bind(i64::from(*number))
        .push_bind(transaction.as_bytes().to_vec())
        .push_bind(unsigned.clone())
        .push_bind(conflict_keys_text(conflict_keys))
        .push_bind(fee_max.to_be_bytes().to_vec())
        .push_bind(authorization.as_bytes().to_vec())
        .push_bind(at.unix_millis())
        .push_bind(sign_by.unix_millis());
}
