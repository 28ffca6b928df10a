//! What a decision sees: its reads, loaded inside the write transaction with few statements.

use std::collections::BTreeSet;

use countersign_signer::{ActiveBundle, LedgerView, Reads};
use countersign_types::{Destination, RequestDigest, StatementDigest, StatementNonce, Timestamp};
use sqlx::{QueryBuilder, Row as _, Sqlite, SqliteConnection, sqlite::SqliteRow};

use crate::{
    codec::{BadValue, account_nonce, bytes32, conflict_key_text, from_sql, parse_conflict_key},
    error::StepError,
    records::{push_record, record_of, statements_of},
};

/// Things that one proposal may look up: every input and every payment of the largest transaction, and room.
pub const MAX_READS: usize = 8_192;

/// The part of a view that the owner of the journal keeps in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) epoch: u64,
    pub(crate) bundle: Option<ActiveBundle>,
}

/// Loads the reads.
pub(crate) async fn load_view(
    connection: &mut SqliteConnection,
    standing: &Standing,
    reads: &Reads,
) -> Result<LedgerView, StepError> {
    refuse_too_many(reads)?;
    let mut view = LedgerView {
        epoch: standing.epoch,
        bundle: standing.bundle.clone(),
        withdrawal: None,
        reference_owner: None,
        payment_owners: Default::default(),
        conflict_owners: Default::default(),
        next_nonces: Default::default(),
        statements: Default::default(),
        nonce_owners: Default::default(),
        about: Vec::new(),
        voices: Default::default(),
    };
    let mut sql = query(reads);
    if sql.sql().as_str().is_empty() {
        return Ok(view);
    }
    let rows = sql.build().fetch_all(connection).await?;
    if let Some(request) = reads.request {
        view.withdrawal = record_of(request, &rows)?;
        view.about = statements_of(&rows)?;
    }
    for row in &rows {
        add_row(&mut view, row)?;
    }
    Ok(view)
}

/// Everything that the reads ask for, in one round trip.
fn query(reads: &Reads) -> QueryBuilder<Sqlite> {
    let mut sql = Lookups::default();
    if let Some(request) = reads.request {
        push_record(&mut sql.builder, request);
    }
    sql.lookups(reads);
    sql.builder
}

fn refuse_too_many(reads: &Reads) -> Result<(), StepError> {
    let counts = [
        reads.payments.len(),
        reads.conflict_keys.len(),
        reads.statements.len(),
        reads.nonces.len(),
        reads.voices.len(),
    ];
    let total = counts.into_iter().fold(0, usize::saturating_add);
    if total > MAX_READS {
        return Err(StepError::Refused(format!(
            "a proposal reads {total} things; at most {MAX_READS} are looked up"
        )));
    }
    Ok(())
}

const REFERENCE: i64 = 1;
const PAYMENT: i64 = 2;
const CONFLICT: i64 = 3;
const NONCE: i64 = 4;
const STATEMENT: i64 = 5;
const USED: i64 = 6;
const VOICE: i64 = 7;

struct Lookups {
    builder: QueryBuilder<Sqlite>,
    branches: u32,
}

impl Default for Lookups {
    fn default() -> Self {
        Self {
            builder: QueryBuilder::new(""),
            branches: 0,
        }
    }
}

impl Lookups {
    /// One statement for all lookups, of rows `(kind, a, b, owner)`.
    fn lookups(&mut self, reads: &Reads) {
        if let Some((tenant, reference)) = &reads.reference {
            self.branch(format_args!(
                "SELECT {REFERENCE} AS kind, NULL AS a, NULL AS b, request AS owner FROM withdrawals WHERE (tenant, reference) IN (VALUES "
            ));
            self.pairs(std::iter::once((tenant.as_str(), reference.as_str().to_owned())));
        }
        if !reads.payments.is_empty() {
            self.branch(format_args!(
                "SELECT {PAYMENT} AS kind, tenant AS a, reference AS b, request AS owner FROM payments WHERE (tenant, reference) IN (VALUES "
            ));
            let pairs = reads.payments.iter();
            self.pairs(pairs.map(|(tenant, reference)| (tenant.as_str(), reference.as_str().to_owned())));
        }
        self.conflict_keys(reads);
        if !reads.statements.is_empty() {
            self.branch(format_args!(
                "SELECT {STATEMENT} AS kind, digest AS a, first_seen_at AS b, NULL AS owner FROM statements WHERE digest IN ("
            ));
            self.values(reads.statements.iter().map(|digest| digest.as_bytes().to_vec()));
        }
        if !reads.nonces.is_empty() {
            self.branch(format_args!(
                "SELECT {USED} AS kind, signer AS a, nonce AS b, digest AS owner FROM statements WHERE (signer, nonce) IN (VALUES "
            ));
            let pairs = reads.nonces.iter();
            self.pairs(pairs.map(|(signer, nonce)| (signer.as_str(), nonce.to_string())));
        }
        self.voices(reads);
    }

    /// A withdrawal has few statements, so they are read and their signers compared.
    fn voices(&mut self, reads: &Reads) {
        for (request, signer) in &reads.voices {
            self.branch(format_args!(
                "SELECT {VOICE} AS kind, signer AS a, count(*) AS b, request AS owner FROM statement_subjects \
                 JOIN statements USING (seq) WHERE request = "
            ));
            self.builder.push_bind(request.as_bytes().to_vec());
            self.builder
                .push(" AND signer = ")
                .push_bind(signer.as_str().to_owned());
            self.builder.push(" GROUP BY request, signer");
        }
    }

    fn branch(&mut self, select: std::fmt::Arguments<'_>) {
        if self.branches > 0 {
            self.builder.push(" UNION ALL ");
        }
        self.branches = self.branches.saturating_add(1);
        self.builder.push(select);
    }

    fn values<T>(&mut self, values: impl Iterator<Item = T>)
    where
        T: for<'q> sqlx::Encode<'q, Sqlite> + sqlx::Type<Sqlite>,
    {
        let mut list = self.builder.separated(", ");
        for value in values {
            list.push_bind(value);
        }
        list.push_unseparated(")");
    }

    fn pairs<'a>(&mut self, pairs: impl Iterator<Item = (&'a str, String)>) {
        let mut list = self.builder.separated(", ");
        for (left, right) in pairs {
            list.push("(");
            list.push_bind_unseparated(left.to_owned());
            list.push_unseparated(", ");
            list.push_bind_unseparated(right);
            list.push_unseparated(")");
        }
        list.push_unseparated(")");
    }

    fn conflict_keys(&mut self, reads: &Reads) {
        if reads.conflict_keys.is_empty() {
            return;
        }
        self.branch(format_args!(
            "SELECT {CONFLICT} AS kind, key AS a, NULL AS b, request AS owner FROM conflict_claims WHERE key IN ("
        ));
        self.values(reads.conflict_keys.iter().map(conflict_key_text));
        let accounts = reads.conflict_keys.iter().filter_map(account_nonce);
        let accounts: BTreeSet<String> = accounts.map(|(account, _)| account.to_string()).collect();
        if accounts.is_empty() {
            return;
        }
        // `max` beside GROUP BY walks the index `claimed_nonces` once an account; blobs sort like the numbers.
        self.branch(format_args!(
            "SELECT {NONCE} AS kind, account AS a, max(nonce) AS b, NULL AS owner FROM conflict_claims WHERE account IN ("
        ));
        self.values(accounts.into_iter());
        self.builder.push(" GROUP BY account");
    }
}

fn add_row(view: &mut LedgerView, row: &SqliteRow) -> Result<(), StepError> {
    let owner =
        || -> Result<RequestDigest, StepError> { Ok(RequestDigest::from_bytes(bytes32(row.try_get("owner")?)?)) };
    let damaged = |what| move |_| BadValue(what);
    match row.try_get::<i64, _>("kind")? {
        REFERENCE => view.reference_owner = Some(owner()?),
        PAYMENT => {
            let tenant = text(row, "a")?.parse().map_err(|_| BadValue("tenant"))?;
            let reference = text(row, "b")?.parse().map_err(|_| BadValue("payment reference"))?;
            view.payment_owners.insert((tenant, reference), owner()?);
        }
        CONFLICT => {
            view.conflict_owners
                .insert(parse_conflict_key(text(row, "a")?)?, owner()?);
        }
        NONCE => {
            let (account, next) = next_nonce(row)?;
            view.next_nonces.insert(account, next);
        }
        STATEMENT => {
            let digest = StatementDigest::from_bytes(bytes32(row.try_get("a")?)?);
            view.statements
                .insert(digest, Timestamp::from_unix_millis(row.try_get("b")?));
        }
        USED => {
            let signer = text(row, "a")?.parse().map_err(|_| BadValue("signer"))?;
            let nonce: StatementNonce = text(row, "b")?.parse().map_err(damaged("statement nonce"))?;
            let digest = StatementDigest::from_bytes(*owner()?.as_bytes());
            view.nonce_owners.insert((signer, nonce), digest);
        }
        VOICE => {
            let signer = text(row, "a")?.parse().map_err(|_| BadValue("signer"))?;
            view.voices.insert((owner()?, signer), from_sql(row.try_get("b")?)?);
        }
        // The rows of the withdrawal's record.
        _ => {}
    }
    Ok(())
}

fn text<'r>(row: &'r SqliteRow, column: &str) -> Result<&'r str, StepError> {
    Ok(row.try_get(column)?)
}

fn next_nonce(row: &SqliteRow) -> Result<(Destination, u64), StepError> {
    let account = text(row, "a")?.parse().map_err(|_| BadValue("account"))?;
    let bytes: &[u8] = row.try_get("b")?;
    let highest = u64::from_be_bytes(bytes.try_into().map_err(|_| BadValue("account nonce"))?);
    // The last nonce is refused when it is claimed.
    let next = highest.checked_add(1).ok_or(BadValue("account nonce"))?;
    Ok((account, next))
}

#[cfg(test)]
mod tests {
    use countersign_types::ConflictKey;
    use sqlx::AssertSqlSafe;

    use super::*;
    use crate::tests::{Place, account_nonce, nonce_of, payment, reference, request, signer, statement_digest, tenant};

    /// Every lookup of a decision is a search in an index, however large the journal has become.
    #[tokio::test]
    async fn a_decision_scans_no_table() {
        let place = Place::new();
        place.create().await.close().await;
        let mut connection = crate::schema::connect_writer(&place.database()).await.unwrap();
        let outpoint = ConflictKey::Outpoint {
            chain: "eip155:1".parse().unwrap(),
            txid: [9; 32],
            index: 1,
        };
        let sql = query(&Reads {
            request: Some(request("a")),
            reference: Some((tenant(), reference("a"))),
            payments: vec![(tenant(), payment("a")), (tenant(), payment("b"))],
            conflict_keys: vec![account_nonce(7), account_nonce(8), outpoint],
            statements: vec![statement_digest("a"), statement_digest("b")],
            nonces: vec![(signer(), nonce_of("a")), (signer(), nonce_of("b"))],
            voices: vec![(request("a"), signer()), (request("b"), signer())],
        });
        let mut searches = 0;
        for statement in sql.sql().as_str().split("; ") {
            let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
            for row in sqlx::query(explain).fetch_all(&mut connection).await.unwrap() {
                let detail: String = row.try_get("detail").unwrap();
                assert!(
                    !detail.starts_with("SCAN") || detail.contains("ROW"),
                    "{detail} in {statement}"
                );
                searches += u32::from(detail.starts_with("SEARCH"));
            }
        }
        assert!(searches >= 9, "{searches}");
    }
}
