//! Writes as SQL. Uniqueness is the schema's; a write that names what does not exist changes fewer rows than it must.

use std::collections::{BTreeMap, BTreeSet};

use countersign_audit::MAX_ENTRY_BYTES;
use countersign_signer::{LastWord, LogEntry, Write};
use countersign_types::{
    ConflictKey, Destination, ListId, PaymentReference, PrincipalId, RequestDigest, StatementDigest, Timestamp,
};

use crate::{
    batch::Batch,
    codec::{account_nonce, conflict_key_text, conflict_keys_text, signatures_bytes, to_sql},
    counters,
    error::StepError,
    sql::Value,
    table::{Change, Table},
};

/// What one proposal may log. One decision logs a handful.
pub const MAX_ENTRIES: usize = 256;

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

/// Destinations whose moment is now, and destinations with their own.
type Moments<'a> = (&'a BTreeSet<Destination>, &'a BTreeMap<Destination, Timestamp>);

impl Batch {
    /// Adds a write; what writes do to counters is not here.
    pub(crate) fn write(&mut self, write: &Write, at: Timestamp) -> Result<(), StepError> {
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
                self.insert(Table::ObserverSequences, [row]);
            }
            Write::LastWord { service, matter, word } => self.last_word(service, matter, word),
            Write::Paid { request, destinations } => self.paid(*request, destinations),
            Write::Listed { lists, added, kept } => self.listed(lists, (added, kept), at),
            Write::Withdrawal { .. } => self.withdrawal(write, at),
            Write::Ended { request, tag } => {
                let values = vec![request.as_bytes().into(), at.unix_millis().into(), tag.as_str().into()];
                self.change(Change::Ended, values);
            }
            Write::Decision { request, decision } => {
                let values = vec![request.as_bytes().into(), decision.as_bytes().into()];
                self.change(Change::Decided, values);
            }
            Write::Attempt { .. } => self.attempt(write, at),
            Write::Signed { .. } => self.signed(write, at),
            Write::GivenUp { request, keys } => {
                for key in keys {
                    let values = vec![
                        conflict_key_text(key).into(),
                        request.as_bytes().into(),
                        at.unix_millis().into(),
                    ];
                    self.change(Change::GivenUp, values);
                }
            }
            Write::Freeze { freeze, scope, cause } => {
                let row = vec![
                    freeze.as_bytes().into(),
                    scope.to_string().into(),
                    cause.as_str().into(),
                    at.unix_millis().into(),
                ];
                self.insert(Table::Freezes, [row]);
            }
            Write::Thaw { freeze, at } => {
                self.change(Change::Thaws, vec![freeze.as_bytes().into(), at.unix_millis().into()]);
            }
            Write::Mark { topic, name } => {
                let now = at.unix_millis();
                let row = vec![topic.as_str().into(), name.as_str().into(), now.into(), now.into()];
                // Several reasons of one decision may make one mark.
                self.insert_once(Table::Marks, [row]);
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
        self.insert(Table::LastWords, [row]);
    }

    fn paid(&mut self, request: RequestDigest, destinations: &BTreeSet<Destination>) {
        let rows = destinations.iter();
        let rows = rows.map(|destination| vec![destination.to_string().into(), request.as_bytes().into()]);
        self.insert(Table::PaidDestinations, rows);
    }

    fn listed(&mut self, lists: &BTreeSet<ListId>, (added, kept): Moments<'_>, at: Timestamp) {
        let rows = lists.iter().map(|id| vec![id.as_str().into(), at.unix_millis().into()]);
        self.insert(Table::BegunLists, rows);
        let added = added.iter().map(|destination| (destination, at));
        let kept = kept.iter().map(|(destination, since)| (destination, *since));
        let rows = added.chain(kept);
        let rows = rows.map(|(destination, since)| vec![destination.to_string().into(), since.unix_millis().into()]);
        self.insert(Table::ListedDestinations, rows);
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
        self.insert(Table::Statements, [row]);
        let subjects: BTreeSet<RequestDigest> = subjects.iter().copied().collect();
        for request in subjects {
            self.subject(request, *digest);
        }
    }

    fn subject(&mut self, request: RequestDigest, statement: StatementDigest) {
        let row = vec![request.as_bytes().into(), statement.as_bytes().into()];
        self.insert(Table::StatementSubjects, [row]);
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
        let row = vec![
            request.as_bytes().into(),
            statement.as_bytes().into(),
            tenant.as_str().into(),
            reference.as_str().into(),
            bundle.as_bytes().into(),
            at.unix_millis().into(),
        ];
        self.insert(Table::Withdrawals, [row]);
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
        self.insert(Table::Attempts, [attempt_row(write, at)]);
        let claim = |payment: &PaymentReference| {
            vec![
                tenant.as_str().into(),
                payment.as_str().into(),
                request.as_bytes().into(),
            ]
        };
        let payments = payments.iter().map(claim);
        self.insert_once(Table::Payments, payments);
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
        self.insert_once(Table::ConflictClaims, keys);
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
        let values = vec![
            request.as_bytes().into(),
            i64::from(*number).into(),
            signatures_bytes(signatures).into(),
            transaction.bytes.clone().into(),
            transaction.txid.as_str().into(),
            at.unix_millis().into(),
        ];
        self.change(Change::Signed, values);
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
        self.insert(Table::Bundles, [row]);
        let file =
            |(path, bytes): (&String, &Vec<u8>)| vec![version.into(), path.as_str().into(), bytes.clone().into()];
        self.insert(Table::BundleFiles, files.iter().map(file));
        let statement = |(position, statement): (i64, &StatementDigest)| {
            vec![version.into(), position.into(), statement.as_bytes().into()]
        };
        let statements = (0i64..).zip(statements).map(statement);
        self.insert(Table::BundleStatements, statements);
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
