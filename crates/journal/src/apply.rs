//! Writes as SQL. Uniqueness is the schema's; a write that names what does not exist changes fewer rows than it must.

use std::collections::BTreeSet;

use countersign_audit::MAX_ENTRY_BYTES;
use countersign_signer::{LastWord, LogEntry, Write};
use countersign_types::{
    ConflictKey, Destination, ListId, PaymentReference, PrincipalId, RequestDigest, StatementDigest, Timestamp,
};

use crate::{
    codec::{account_nonce, conflict_key_text, conflict_keys_text, signatures_bytes, to_sql},
    counters,
    error::StepError,
    sql::{Link, Sql, Value},
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
    counters::refuse_unwritable(writes)
}

/// EIP-2681 forbids it on chain as well.
fn is_last_nonce(key: &ConflictKey) -> bool {
    matches!(key, ConflictKey::AccountNonce { nonce: u64::MAX, .. })
}

/// Applies the writes of one proposal, in order; what they do to counters comes last.
pub(crate) async fn apply(link: &mut Link<'_>, writes: &[Write], at: Timestamp) -> Result<(), StepError> {
    let mut batch = Batch::default();
    for write in writes {
        batch.write(write, at)?;
    }
    counters::apply(link, &mut batch, writes, at).await?;
    batch.execute(link, true).await
}

/// Statements that run one after the other, with the number of rows that they must change.
#[derive(Default)]
pub(crate) struct Batch {
    sql: Sql,
    rows: u64,
}

impl Batch {
    /// Runs all of it. Shapes that depend on the number of proposals are better not cached.
    pub(crate) async fn execute(mut self, link: &mut Link<'_>, is_cached: bool) -> Result<(), StepError> {
        if self.sql.is_empty() {
            return Ok(());
        }
        if !is_cached {
            self.sql.uncached();
        }
        let changed = link.execute(self.sql).await?;
        if changed != self.rows {
            return Err(StepError::WrongRowCount {
                changed,
                expected: self.rows,
            });
        }
        Ok(())
    }

    /// `INSERT INTO …` with its rows.
    pub(crate) fn insert(&mut self, into: &str, rows: impl IntoIterator<Item = Vec<Value>>) {
        self.insert_or(into, rows, "");
    }

    /// The same with an `ON CONFLICT` clause.
    pub(crate) fn insert_or(&mut self, into: &str, rows: impl IntoIterator<Item = Vec<Value>>, conflict: &str) {
        let mut rows = rows.into_iter().peekable();
        while rows.peek().is_some() {
            self.sql.push("INSERT INTO ").push(into).push(" VALUES ");
            let mut separator = "";
            for row in rows.by_ref().take(MAX_ROWS) {
                self.sql.push(separator).list(row);
                separator = ", ";
                self.rows = self.rows.saturating_add(1);
            }
            self.sql.push(conflict).end();
        }
    }

    /// A statement that the caller completes; it must change one row.
    pub(crate) fn update(&mut self, text: &str) -> &mut Sql {
        self.rows = self.rows.saturating_add(1);
        self.sql.end().push(text)
    }

    fn write(&mut self, write: &Write, at: Timestamp) -> Result<(), StepError> {
        match write {
            Write::Statement { .. } => self.statement(write, at),
            Write::Subject { statement, request } => self.subject(*request, *statement),
            Write::Sequence {
                observer,
                network,
                sequence,
            } => {
                let row = vec![
                    observer.as_str().into(),
                    network.as_str().into(),
                    sequence.to_be_bytes().to_vec().into(),
                ];
                // The trigger refuses to go back.
                let further = " ON CONFLICT (observer, network) DO UPDATE SET sequence = excluded.sequence";
                self.insert_or("observer_sequences (observer, network, sequence)", [row], further);
            }
            Write::LastWord { service, matter, word } => self.last_word(service, matter, word),
            Write::Paid { request, destinations } => self.paid(*request, destinations),
            Write::Listed { lists, added } => self.listed(lists, added, at),
            Write::Withdrawal { .. } => self.withdrawal(write, at),
            Write::Ended { request, tag } => {
                // Assignments read the row as it was: the first end stays.
                self.update("UPDATE withdrawals SET ended_at = coalesce(ended_at, ")
                    .bind(at.unix_millis())
                    .push("), ended_by = coalesce(ended_by, ")
                    .bind(tag.as_str())
                    .push(")");
                self.of_withdrawal(*request);
            }
            Write::Decision { request, decision } => {
                self.update("UPDATE withdrawals SET decisions = decisions + 1, last_decision = ")
                    .bind(decision.as_bytes());
                self.of_withdrawal(*request);
            }
            Write::Attempt { .. } => self.attempt(write, at),
            Write::Signed { .. } => self.signed(write, at),
            Write::Freeze { freeze, scope, cause } => {
                let row = vec![
                    freeze.as_bytes().into(),
                    scope.to_string().into(),
                    cause.as_str().into(),
                    at.unix_millis().into(),
                ];
                self.insert("freezes (id, scope, cause, since)", [row]);
            }
            Write::Thaw { freeze, at } => {
                // The trigger refuses to set it twice.
                self.update("UPDATE freezes SET thaws_at = ").bind(at.unix_millis());
                self.sql.push(" WHERE id = ").bind(freeze.as_bytes()).end();
            }
            Write::Mark { topic, name } => {
                let now = at.unix_millis();
                let row = vec![topic.as_str().into(), name.as_str().into(), now.into(), now.into()];
                let again = " ON CONFLICT (topic, name) DO UPDATE SET last_at = excluded.last_at";
                self.insert_or("marks (topic, name, made_at, last_at)", [row], again);
            }
            Write::Bundle { .. } => self.bundle(write, at)?,
            Write::Spend { .. }
            | Write::Aged { .. }
            | Write::Failed { .. }
            | Write::Released { .. }
            | Write::Backfill { .. } => {}
        }
        Ok(())
    }

    fn last_word(&mut self, service: &PrincipalId, matter: &str, word: &LastWord) {
        let row = vec![
            service.as_str().into(),
            matter.into(),
            word.sequence.to_be_bytes().to_vec().into(),
            Value::Number(word.since.map(Timestamp::unix_millis)),
        ];
        // The trigger refuses to go back.
        let further =
            " ON CONFLICT (service, matter) DO UPDATE SET sequence = excluded.sequence, since = excluded.since";
        self.insert_or("last_words (service, matter, sequence, since)", [row], further);
    }

    fn paid(&mut self, request: RequestDigest, destinations: &BTreeSet<Destination>) {
        let rows = destinations.iter();
        let rows = rows.map(|destination| vec![destination.to_string().into(), request.as_bytes().into()]);
        let again = " ON CONFLICT (destination) DO UPDATE SET is_shared = CASE \
                     WHEN paid_destinations.request = excluded.request THEN paid_destinations.is_shared ELSE 1 END";
        self.insert_or("paid_destinations (destination, request)", rows, again);
    }

    fn listed(&mut self, lists: &BTreeSet<ListId>, destinations: &BTreeSet<Destination>, at: Timestamp) {
        // The triggers refuse to go back.
        let again = |key: &str| format!(" ON CONFLICT ({key}) DO UPDATE SET since = excluded.since");
        let rows = lists.iter().map(|id| vec![id.as_str().into(), at.unix_millis().into()]);
        self.insert_or("begun_lists (list, since)", rows, &again("list"));
        let rows = destinations.iter();
        let rows = rows.map(|destination| vec![destination.to_string().into(), at.unix_millis().into()]);
        self.insert_or("listed_destinations (destination, since)", rows, &again("destination"));
    }

    fn of_withdrawal(&mut self, request: RequestDigest) {
        self.sql.push(" WHERE request = ").bind(request.as_bytes()).end();
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
        let row = vec![
            digest.as_bytes().into(),
            signer.as_str().into(),
            nonce.to_string().into(),
            envelope.clone().into(),
            at.unix_millis().into(),
        ];
        self.insert("statements (digest, signer, nonce, envelope, first_seen_at)", [row]);
        let subjects: BTreeSet<RequestDigest> = subjects.iter().copied().collect();
        for request in subjects {
            self.subject(request, *digest);
        }
    }

    fn subject(&mut self, request: RequestDigest, statement: StatementDigest) {
        self.update("INSERT INTO statement_subjects (request, seq) SELECT ")
            .bind(request.as_bytes())
            .push(", seq FROM statements WHERE digest = ")
            .bind(statement.as_bytes())
            .end();
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
        let row = vec![
            request.as_bytes().into(),
            statement.as_bytes().into(),
            tenant.as_str().into(),
            reference.as_str().into(),
            bundle.as_bytes().into(),
            at.unix_millis().into(),
        ];
        self.insert(into, [row]);
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
        self.insert_or(into, [attempt_row(write, at)], renew);
        // A lineage claims its payments and its anchor again with every attempt; the triggers refuse another owner.
        let again = " ON CONFLICT (tenant, reference) DO UPDATE SET request = excluded.request";
        let claim = |payment: &PaymentReference| {
            vec![
                tenant.as_str().into(),
                payment.as_str().into(),
                request.as_bytes().into(),
            ]
        };
        let payments = payments.iter().map(claim);
        self.insert_or("payments (tenant, reference, request)", payments, again);
        let again = " ON CONFLICT (key) DO UPDATE SET request = excluded.request";
        let claim = |key: &ConflictKey| {
            let account = account_nonce(key);
            vec![
                conflict_key_text(key).into(),
                request.as_bytes().into(),
                Value::Text(account.map(|(account, _)| account.to_string())),
                Value::Bytes(account.map(|(_, nonce)| nonce.to_vec())),
            ]
        };
        let keys = conflict_keys.iter().map(claim);
        self.insert_or("conflict_claims (key, request, account, nonce)", keys, again);
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
            .bind(signatures_bytes(signatures))
            .push(", signed = ")
            .bind(transaction.bytes.clone())
            .push(", txid = ")
            .bind(transaction.txid.as_str())
            .push(", recorded_at = ")
            .bind(at.unix_millis())
            .push(" WHERE number = ")
            .bind(i64::from(*number))
            .push(" AND request = ")
            .bind(request.as_bytes())
            .end();
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
        let row = vec![version.into(), digest.as_bytes().into(), at.unix_millis().into()];
        self.insert("bundles (version, digest, activated_at)", [row]);
        let file =
            |(path, bytes): (&String, &Vec<u8>)| vec![version.into(), path.as_str().into(), bytes.clone().into()];
        self.insert("bundle_files (version, path, bytes)", files.iter().map(file));
        let statement = |(position, statement): (i64, &StatementDigest)| {
            vec![version.into(), position.into(), statement.as_bytes().into()]
        };
        let statements = (0i64..).zip(statements).map(statement);
        self.insert("bundle_statements (version, position, statement)", statements);
        Ok(())
    }
}

fn attempt_row(write: &Write, at: Timestamp) -> Vec<Value> {
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
        return Vec::new();
    };
    vec![
        request.as_bytes().into(),
        i64::from(*number).into(),
        transaction.as_bytes().into(),
        unsigned.clone().into(),
        conflict_keys_text(conflict_keys).into(),
        fee_max.to_be_bytes().to_vec().into(),
        authorization.as_bytes().into(),
        at.unix_millis().into(),
        sign_by.unix_millis().into(),
    ]
}
