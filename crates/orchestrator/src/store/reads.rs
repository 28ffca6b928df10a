//! What is read, through a pool that never waits for the writer.

use countersign_proto::{fields, limits::MAX_PAGE_BYTES, signer::v1::Pending, v1};
use countersign_types::{RequestDigest, WithdrawalId};
use prost::Message as _;
use sqlx::{Row as _, sqlite::SqliteRow};

use super::{Answer, Found, Scope, Store, StoreError, StoredStatement, Wake, Work, key};
use crate::{advice::StatementKind, states::State};

const ROW: &str = "SELECT seq, id, tenant, reference, wallet, network, state, standing, created_at_ms, \
                   updated_at_ms, revision FROM withdrawals WHERE ";

/// Which withdrawals a list holds.
#[derive(Debug, Clone)]
pub struct Filter {
    /// Whose.
    pub scope: Scope,
    /// Only these states; all if empty.
    pub states: Vec<State>,
    /// Only this withdrawal.
    pub id: Option<WithdrawalId>,
    /// Behind this row, in the order of the list.
    pub cursor: i64,
    /// The most rows.
    pub rows: u32,
}

/// One page.
#[derive(Debug, PartialEq)]
pub struct Page {
    /// In order.
    pub found: Vec<Found>,
    /// Whether there are more behind the last one.
    pub has_more: bool,
}

pub(super) fn parse_id(bytes: Vec<u8>) -> Result<WithdrawalId, StoreError> {
    let bytes: [u8; 32] = bytes.try_into().map_err(|_| StoreError::Corrupt("id"))?;
    Ok(WithdrawalId::of(RequestDigest::from_bytes(bytes)))
}

pub(super) fn parse_state(number: i32) -> Result<State, StoreError> {
    let wire = fields::parse_state(number).map_err(|_| StoreError::Corrupt("state"))?;
    State::from_wire(wire).ok_or(StoreError::Corrupt("state"))
}

fn parse_withdrawal(row: &SqliteRow) -> Result<Found, StoreError> {
    let standing: Vec<u8> = row.try_get(7)?;
    let standing = Pending::decode(standing.as_slice()).map_err(|_| StoreError::Corrupt("standing"))?;
    let revision: i64 = row.try_get(10)?;
    Ok(Found {
        seq: row.try_get(0)?,
        withdrawal: v1::Withdrawal {
            id: parse_id(row.try_get(1)?)?.to_string(),
            tenant: row.try_get(2)?,
            reference: row.try_get(3)?,
            wallet: row.try_get(4)?,
            network: row.try_get(5)?,
            state: parse_state(row.try_get(6)?)?.wire().into(),
            attempts: Vec::new(),
            reasons: standing.reasons,
            missing: standing.missing,
            created_at_ms: row.try_get(8)?,
            updated_at_ms: row.try_get(9)?,
            revision: u64::try_from(revision).map_err(|_| StoreError::Corrupt("revision"))?,
            not_before_ms: standing.not_before_ms,
        },
    })
}

fn parse_statement(row: &SqliteRow) -> Result<StoredStatement, StoreError> {
    let kind: String = row.try_get(1)?;
    let acknowledgement: Option<Vec<u8>> = row.try_get(3)?;
    let refusal_tag: Option<String> = row.try_get(4)?;
    let answer = match (acknowledgement, refusal_tag) {
        (Some(bytes), _) => Some(Answer::Acknowledged(bytes)),
        (None, Some(tag)) => Some(Answer::Refused {
            tag: tag.parse().map_err(|_| StoreError::Corrupt("refusal_tag"))?,
            message: row.try_get(5)?,
        }),
        (None, None) => None,
    };
    Ok(StoredStatement {
        seq: row.try_get(0)?,
        kind: StatementKind::parse(&kind).ok_or(StoreError::Corrupt("kind"))?,
        envelope: row.try_get(2)?,
        answer,
    })
}

impl Store {
    /// One withdrawal by its id.
    pub async fn find(&self, id: &WithdrawalId, scope: &Scope) -> Result<Option<Found>, StoreError> {
        let row = sqlx::query(sqlx::AssertSqlSafe(format!("{ROW} id = ?")));
        let row = row.bind(key(id)).fetch_optional(&self.readers).await?;
        self.found(row, scope).await
    }

    /// One withdrawal by its reference within a tenant.
    pub async fn find_reference(&self, tenant: &str, reference: &str) -> Result<Option<Found>, StoreError> {
        let row = sqlx::query(sqlx::AssertSqlSafe(format!("{ROW} tenant = ? AND reference = ?")));
        let row = row.bind(tenant).bind(reference).fetch_optional(&self.readers).await?;
        self.found(row, &Scope::All).await
    }

    async fn found(&self, row: Option<SqliteRow>, scope: &Scope) -> Result<Option<Found>, StoreError> {
        let Some(mut found) = row.as_ref().map(parse_withdrawal).transpose()? else {
            return Ok(None);
        };
        if !scope.covers(&found.withdrawal.tenant) {
            return Ok(None);
        }
        found.withdrawal.attempts = self.attempts(found.seq).await?;
        Ok(Some(found))
    }

    async fn attempts(&self, seq: i64) -> Result<Vec<v1::Attempt>, StoreError> {
        let rows = sqlx::query(
            "SELECT number, unsigned, signed, txid, cancels FROM attempts WHERE withdrawal = ? ORDER BY number",
        );
        let rows = rows.bind(seq).fetch_all(&self.readers).await?;
        let parse = |row: &SqliteRow| {
            let signed: Option<Vec<u8>> = row.try_get(2)?;
            let txid: Option<String> = row.try_get(3)?;
            Ok(v1::Attempt {
                number: row.try_get(0)?,
                unsigned_transaction: row.try_get(1)?,
                signed_transaction: signed.unwrap_or_default(),
                txid: txid.unwrap_or_default(),
                cancels: row.try_get(4)?,
            })
        };
        rows.iter().map(parse).collect()
    }

    /// Newest first, behind a row.
    pub async fn list(&self, filter: &Filter) -> Result<Page, StoreError> {
        self.page(filter, "seq < ?4 ORDER BY seq DESC").await
    }

    /// Oldest first, behind a row.
    pub async fn list_oldest(&self, filter: &Filter) -> Result<Page, StoreError> {
        self.page(filter, "seq > ?4 ORDER BY seq").await
    }

    /// In the order of their revisions, behind a revision.
    pub async fn changes(&self, filter: &Filter) -> Result<Page, StoreError> {
        self.page(filter, "revision > ?4 ORDER BY revision").await
    }

    async fn page(&self, filter: &Filter, order: &str) -> Result<Page, StoreError> {
        let states: Vec<i32> = filter.states.iter().map(|state| state.wire().into()).collect();
        let states = (!states.is_empty()).then(|| serde_json::json!(states).to_string());
        let wanted = "(?1 IS NULL OR tenant = ?1) AND (?2 IS NULL OR id = ?2) \
                      AND (?3 IS NULL OR state IN (SELECT value FROM json_each(?3)))";
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!("{ROW} {wanted} AND {order} LIMIT ?5")))
            .bind(filter.scope.tenant())
            .bind(filter.id.as_ref().map(key))
            .bind(states)
            .bind(filter.cursor)
            .bind(i64::from(filter.rows).saturating_add(1))
            .fetch_all(&self.readers)
            .await?;
        self.fill(rows, filter.rows).await
    }

    /// A page ends early when its bytes pass a bound, so that a page of large transactions fits a message.
    async fn fill(&self, rows: Vec<SqliteRow>, most: u32) -> Result<Page, StoreError> {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let total = rows.len();
        let mut found = Vec::new();
        let mut bytes = 0_usize;
        for row in rows.iter().take(most) {
            let mut next = parse_withdrawal(row)?;
            next.withdrawal.attempts = self.attempts(next.seq).await?;
            bytes = bytes.saturating_add(next.withdrawal.encoded_len());
            if bytes > MAX_PAGE_BYTES && !found.is_empty() {
                break;
            }
            found.push(next);
        }
        let has_more = found.len() < total;
        Ok(Page { found, has_more })
    }

    /// Everything that the signer is given, or `None` for a row that is not there.
    pub async fn work(&self, seq: i64) -> Result<Option<Work>, StoreError> {
        let row = sqlx::query(
            "SELECT state, inputs, expires_at_ms, request, attempts, unsigned, statements, cancels \
             FROM withdrawals JOIN attempts ON withdrawal = seq AND number = attempts WHERE seq = ?",
        );
        let Some(row) = row.bind(seq).fetch_optional(&self.readers).await? else {
            return Ok(None);
        };
        let count: u32 = row.try_get(6)?;
        let statements = if count == 0 {
            Vec::new()
        } else {
            self.statements(seq).await?
        };
        Ok(Some(Work {
            seq,
            state: parse_state(row.try_get(0)?)?,
            inputs: row.try_get(1)?,
            expires_at_ms: row.try_get(2)?,
            request: row.try_get(3)?,
            attempt: row.try_get(4)?,
            unsigned: row.try_get(5)?,
            cancels: row.try_get(7)?,
            statements,
        }))
    }

    /// The statements filed under a withdrawal, oldest first.
    pub async fn statements(&self, seq: i64) -> Result<Vec<StoredStatement>, StoreError> {
        let rows = sqlx::query(
            "SELECT seq, kind, envelope, acknowledgement, refusal_tag, refusal \
             FROM withdrawal_statements JOIN statements ON seq = statement WHERE withdrawal = ? ORDER BY seq",
        );
        let rows = rows.bind(seq).fetch_all(&self.readers).await?;
        rows.iter().map(parse_statement).collect()
    }

    /// One statement.
    pub async fn statement(&self, seq: i64) -> Result<StoredStatement, StoreError> {
        let row = sqlx::query(
            "SELECT seq, kind, envelope, acknowledgement, refusal_tag, refusal FROM statements WHERE seq = ?",
        );
        parse_statement(&row.bind(seq).fetch_one(&self.readers).await?)
    }

    /// What is still to be driven, a page behind a row at a time.
    pub async fn unfinished(&self, after: i64, rows: u32) -> Result<Vec<Wake>, StoreError> {
        let found = sqlx::query(
            "SELECT seq, due_at_ms FROM withdrawals WHERE due_at_ms IS NOT NULL AND seq > ? ORDER BY seq LIMIT ?",
        );
        let found = found.bind(after).bind(rows).fetch_all(&self.readers).await?;
        let parse = |row: &SqliteRow| {
            Ok(Wake {
                seq: row.try_get(0)?,
                due_at_ms: row.try_get(1)?,
            })
        };
        found.iter().map(parse).collect()
    }
}
