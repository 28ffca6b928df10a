//! What each write does inside the batch's transaction. States come from the table in [`crate::states`], nowhere else.

use countersign_proto::limits::{MAX_STATEMENTS, MAX_STATEMENTS_TOTAL_BYTES};
use countersign_types::WithdrawalId;
use prost::Message as _;
use sqlx::{Row as _, SqliteConnection, sqlite::SqliteRow};

use super::{
    Answer, MAX_STATEMENTS_OF_ONE, NewStatement, NewWithdrawal, News, Outcome, StoreError, Wake, digest_key, key,
    reads, room::Replaced,
};
use crate::{
    advice::StatementKind,
    clock,
    states::{Event, State, Step, step},
};

/// One transaction of the writing task, and what to tell once it is durable.
pub(super) struct Batch<'c> {
    pub(super) connection: &'c mut SqliteConnection,
    pub(super) now_ms: i64,
    revision: i64,
    pub(super) news: Vec<News>,
    pub(super) wakes: Vec<Wake>,
}

/// The row as far as writes need it.
pub(super) struct Current {
    pub(super) seq: i64,
    id: WithdrawalId,
    pub(super) tenant: String,
    pub(super) state: State,
    pub(super) attempts: u32,
    statements: u32,
    statement_bytes: i64,
    inputs: i64,
    pub(super) expires_at_ms: i64,
    pub(super) due_at_ms: Option<i64>,
    pub(super) standing: Vec<u8>,
    pub(super) created_at_ms: i64,
    pub(super) updated_at_ms: i64,
}

const CURRENT: &str = "SELECT seq, id, tenant, state, attempts, statements, statement_bytes, inputs, expires_at_ms, \
                       due_at_ms, standing, created_at_ms, updated_at_ms FROM withdrawals WHERE ";

impl Current {
    fn parse(row: &SqliteRow) -> Result<Self, StoreError> {
        Ok(Self {
            seq: row.try_get(0)?,
            id: reads::parse_id(row.try_get(1)?)?,
            tenant: row.try_get(2)?,
            state: reads::parse_state(row.try_get(3)?)?,
            attempts: row.try_get(4)?,
            statements: row.try_get(5)?,
            statement_bytes: row.try_get(6)?,
            inputs: row.try_get(7)?,
            expires_at_ms: row.try_get(8)?,
            due_at_ms: row.try_get(9)?,
            standing: row.try_get(10)?,
            created_at_ms: row.try_get(11)?,
            updated_at_ms: row.try_get(12)?,
        })
    }

    /// Where an event leads, or that it may not happen.
    pub(super) fn after(&self, event: Event) -> Result<State, StoreError> {
        match step(self.state, event) {
            Step::To(next) => Ok(next),
            Step::Stay => Ok(self.state),
            Step::Refuse => Err(StoreError::WrongState { state: self.state }),
        }
    }
}

impl<'c> Batch<'c> {
    pub(super) async fn begin(connection: &'c mut SqliteConnection) -> Result<Self, StoreError> {
        let revision = sqlx::query_scalar("SELECT COALESCE(MAX(revision), 0) FROM withdrawals");
        let revision = revision.fetch_one(&mut *connection).await?;
        Ok(Self {
            connection,
            now_ms: clock::now().unix_millis(),
            revision,
            news: Vec::new(),
            wakes: Vec::new(),
        })
    }

    pub(super) async fn create(&mut self, new: NewWithdrawal) -> Result<(), StoreError> {
        let inserted = sqlx::query(
            "INSERT INTO withdrawals (id, tenant, reference, wallet, network, state, standing, attempts, statements, \
             statement_bytes, inputs, created_at_ms, updated_at_ms, expires_at_ms, due_at_ms, revision, request) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, x'', 1, 0, 0, 1, ?7, ?7, ?8, ?7, ?9, ?10) ON CONFLICT DO NOTHING",
        )
        .bind(key(&new.advice.id))
        .bind(new.advice.tenant.as_str())
        .bind(new.advice.reference.as_str())
        .bind(new.advice.wallet.as_str())
        .bind(new.advice.network.as_str())
        .bind(i32::from(State::Received.wire()))
        .bind(self.now_ms)
        .bind(new.advice.expires_at.unix_millis())
        .bind(self.revision.saturating_add(1))
        .bind(&new.request)
        .execute(&mut *self.connection)
        .await?;
        if inserted.rows_affected() == 0 {
            return self.create_again(new).await;
        }
        let seq = inserted.last_insert_rowid();
        self.insert_attempt(seq, 1, &new.unsigned, false).await?;
        self.revision = self.revision.saturating_add(1);
        self.changed(seq, new.advice.id, new.advice.tenant.as_str().to_owned());
        self.wake(seq, self.now_ms);
        Ok(())
    }

    /// The id or the reference is there: the same content is the same withdrawal, other content a conflict.
    async fn create_again(&mut self, new: NewWithdrawal) -> Result<(), StoreError> {
        let existing = new.advice.id;
        let Some(current) = self.current(&existing).await? else {
            return Err(self.conflict(&new).await?);
        };
        if self.find_attempt(current.seq, &new.unsigned, false).await?.is_none() {
            return Err(StoreError::OtherTransaction { existing });
        }
        let next = current.after(Event::Resigned)?;
        if next == current.state {
            return Ok(());
        }
        // The signer did not take the first signature, and nothing was journaled under it; or what it refused is asked for again, because
        // a limit's window has passed, say: exact bytes have no other attempt.
        sqlx::query("UPDATE withdrawals SET request = ?, inputs = inputs + 1 WHERE seq = ?")
            .bind(&new.request)
            .bind(current.seq)
            .execute(&mut *self.connection)
            .await?;
        self.advance(&current, next, &current.standing, Some(self.now_ms))
            .await?;
        self.wake(current.seq, self.now_ms);
        Ok(())
    }

    async fn conflict(&mut self, new: &NewWithdrawal) -> Result<StoreError, StoreError> {
        let existing = sqlx::query_scalar("SELECT id FROM withdrawals WHERE tenant = ? AND reference = ?");
        let existing: Vec<u8> = existing
            .bind(new.advice.tenant.as_str())
            .bind(new.advice.reference.as_str())
            .fetch_one(&mut *self.connection)
            .await?;
        let existing = reads::parse_id(existing)?;
        Ok(StoreError::ReferenceConflict { existing })
    }

    pub(super) async fn add_statement(&mut self, new: NewStatement) -> Result<i64, StoreError> {
        let event = match new.advice.kind {
            StatementKind::Approval
            | StatementKind::Rejection
            | StatementKind::Replace
            | StatementKind::Observation
            | StatementKind::Price
            | StatementKind::Screening
            | StatementKind::AddressBook => Event::StatementArrived,
            StatementKind::Cancel => Event::CancelArrived,
        };
        let (statement, filed) = self.add_statement_as(event, new).await?;
        for current in filed {
            let next = current.after(event)?;
            if next != current.state {
                self.advance(&current, next, &current.standing, Some(self.now_ms))
                    .await?;
            }
        }
        Ok(statement)
    }

    /// The same, where it counts as this event: what comes with an attempt is judged by the attempt, which moves the state. Returns where it was
    /// filed, too.
    pub(super) async fn add_statement_as(
        &mut self,
        event: Event,
        new: NewStatement,
    ) -> Result<(i64, Vec<Current>), StoreError> {
        let known = self.find_statement(&new).await?;
        if let Some(statement) = known
            && self.is_filed(statement, &new).await?
        {
            return Ok((statement, Vec::new()));
        }
        let mut open = Vec::new();
        let mut refusal = StoreError::NotFound;
        for id in &new.advice.withdrawals {
            match self.admit(id, event, &new).await {
                Ok(current) => open.push(current),
                Err(error @ StoreError::Database(_)) => return Err(error),
                Err(StoreError::NotFound) => {}
                Err(error) => refusal = error,
            }
        }
        if open.is_empty() {
            return Err(refusal);
        }
        let statement = match known {
            Some(statement) => statement,
            None => self.insert_statement(&new).await?,
        };
        for current in &open {
            self.file(statement, current, &new).await?;
        }
        Ok((statement, open))
    }

    /// Whether a known statement has been filed where it belongs. What people state names its withdrawals itself and was filed
    /// when it came; one observation is brought for several, one at a time.
    async fn is_filed(&mut self, statement: i64, new: &NewStatement) -> Result<bool, StoreError> {
        match new.advice.kind {
            StatementKind::Approval | StatementKind::Rejection | StatementKind::Cancel | StatementKind::Replace => {
                return Ok(true);
            }
            StatementKind::Observation
            | StatementKind::Price
            | StatementKind::Screening
            | StatementKind::AddressBook => {}
        }
        for id in &new.advice.withdrawals {
            let filed = sqlx::query_scalar(
                "SELECT COUNT(*) FROM withdrawal_statements JOIN withdrawals ON seq = withdrawal \
                 WHERE statement = ? AND id = ?",
            );
            let filed: u32 = filed
                .bind(statement)
                .bind(key(id))
                .fetch_one(&mut *self.connection)
                .await?;
            if filed == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The withdrawal, where a statement may be filed under it.
    async fn admit(&mut self, id: &WithdrawalId, event: Event, new: &NewStatement) -> Result<Current, StoreError> {
        let current = self.current(id).await?;
        let current = current.filter(|current| new.scope.covers(&current.tenant));
        let mut current = current.ok_or(StoreError::NotFound)?;
        current.after(event)?;
        if self.has_room(&current, new, &[]).await? {
            return Ok(current);
        }
        // Nothing is taken away for what is refused all the same.
        let replaced = self.replaced(&current, new).await?;
        if replaced.is_empty() || !self.has_room(&current, new, &replaced).await? {
            return Err(StoreError::TooManyStatements);
        }
        self.unfile(&replaced, &current).await?;
        current = self.current_at(current.seq).await?;
        Ok(current)
    }

    /// Whether there is room for one more once these are taken away.
    async fn has_room(
        &mut self,
        current: &Current,
        new: &NewStatement,
        replaced: &[Replaced],
    ) -> Result<bool, StoreError> {
        let of_one = sqlx::query_scalar(
            "SELECT COUNT(*) FROM withdrawal_statements JOIN statements ON seq = statement \
             WHERE withdrawal = ? AND submitted_by = ?",
        );
        let of_one: u32 = of_one
            .bind(current.seq)
            .bind(&new.submitted_by)
            .fetch_one(&mut *self.connection)
            .await?;
        let freed = replaced.iter().map(|one| one.size).fold(0, i64::saturating_add);
        let bytes = current
            .statement_bytes
            .saturating_add(size(&new.envelope))
            .saturating_sub(freed);
        let count = usize::try_from(current.statements).unwrap_or(usize::MAX);
        let full = count.saturating_sub(replaced.len()) >= MAX_STATEMENTS
            || (of_one >= MAX_STATEMENTS_OF_ONE && !StatementKind::ATTESTED.contains(&new.advice.kind))
            || usize::try_from(bytes).is_ok_and(|bytes| bytes > MAX_STATEMENTS_TOTAL_BYTES);
        let has_room = match new.advice.kind {
            StatementKind::Approval | StatementKind::Rejection | StatementKind::Cancel | StatementKind::Replace => true,
            StatementKind::Observation => self.has_room_for_observation(current, new).await?,
            StatementKind::Price | StatementKind::Screening | StatementKind::AddressBook => {
                self.has_room_for_attestation(current, new, replaced).await?
            }
        };
        Ok(has_room && !full)
    }

    async fn insert_statement(&mut self, new: &NewStatement) -> Result<i64, StoreError> {
        let inserted = sqlx::query(
            "INSERT INTO statements (digest, kind, envelope, submitted_by, received_at_ms) VALUES (?, ?, ?, ?, ?)",
        )
        .bind(digest_key(&new.advice.digest))
        .bind(new.advice.kind.as_str())
        .bind(&new.envelope)
        .bind(&new.submitted_by)
        .bind(self.now_ms)
        .execute(&mut *self.connection)
        .await?;
        Ok(inserted.last_insert_rowid())
    }

    async fn file(&mut self, statement: i64, current: &Current, new: &NewStatement) -> Result<(), StoreError> {
        sqlx::query("INSERT INTO withdrawal_statements (withdrawal, statement) VALUES (?, ?)")
            .bind(current.seq)
            .bind(statement)
            .execute(&mut *self.connection)
            .await?;
        sqlx::query(
            "UPDATE withdrawals SET statements = statements + 1, statement_bytes = statement_bytes + ?, \
             inputs = inputs + 1, due_at_ms = ? WHERE seq = ?",
        )
        .bind(size(&new.envelope))
        .bind(self.now_ms)
        .bind(current.seq)
        .execute(&mut *self.connection)
        .await?;
        self.wake(current.seq, self.now_ms);
        Ok(())
    }

    /// A later input makes most outcomes stale: the signer is asked again anyway. Not so a signature, nor a final no to what has none: a
    /// no to an earlier replacement says nothing of the later one, and a no to a payment nothing of a later cancel attempt.
    pub(super) async fn apply(&mut self, outcome: Outcome) -> Result<Option<i64>, StoreError> {
        let current = self.current_at(outcome.seq).await?;
        let is_stale = current.inputs != outcome.inputs;
        let is_final = outcome.event == Event::Denied && !current.state.is_signed();
        let is_kept = is_final || outcome.event == Event::Signed;
        if is_stale && (!is_kept || (is_final && self.ends_in_a_cancel_attempt(&current).await?)) {
            return Ok(current.due_at_ms);
        }
        let is_earlier = |signed: &super::SignedAttempt| signed.number < current.attempts;
        let event = match outcome.signed.as_ref().is_some_and(is_earlier) {
            true => Event::SignedEarlier,
            false => outcome.event,
        };
        let next = current.after(event)?;
        let due_at_ms = if is_stale && (next.is_open() || next.is_signed()) {
            current.due_at_ms
        } else {
            self.due_after(&current, next, &outcome)
        };
        let news = match &outcome.signed {
            Some(signed) => self.sign_attempt(current.seq, signed).await?,
            None => false,
        };
        let standing = outcome.standing.encode_to_vec();
        if news || next != current.state || standing != current.standing {
            self.advance(&current, next, &standing, due_at_ms).await?;
        } else if due_at_ms != current.due_at_ms {
            self.postpone(current.seq, due_at_ms).await?;
        }
        Ok(due_at_ms)
    }

    /// Nothing that a caller sees has changed.
    async fn postpone(&mut self, seq: i64, due_at_ms: Option<i64>) -> Result<(), StoreError> {
        let update = sqlx::query("UPDATE withdrawals SET due_at_ms = ? WHERE seq = ?");
        update.bind(due_at_ms).bind(seq).execute(&mut *self.connection).await?;
        Ok(())
    }

    async fn sign_attempt(&mut self, seq: i64, signed: &super::SignedAttempt) -> Result<bool, StoreError> {
        let updated = sqlx::query(
            "UPDATE attempts SET signed = ?1, txid = ?2 \
             WHERE withdrawal = ?3 AND number = ?4 AND (signed IS NOT ?1 OR txid IS NOT ?2)",
        )
        .bind(&signed.transaction)
        .bind(&signed.txid)
        .bind(seq)
        .bind(signed.number)
        .execute(&mut *self.connection)
        .await?;
        Ok(updated.rows_affected() > 0)
    }

    pub(super) async fn answer(&mut self, statement: i64, answer: Answer) -> Result<(), StoreError> {
        let (acknowledgement, tag, message) = match answer {
            Answer::Acknowledged(bytes) => (Some(bytes), None, None),
            Answer::Refused { tag, message } => (None, Some(tag.as_str()), Some(message)),
        };
        sqlx::query("UPDATE statements SET acknowledgement = ?, refusal_tag = ?, refusal = ? WHERE seq = ?")
            .bind(acknowledgement)
            .bind(tag)
            .bind(message)
            .bind(statement)
            .execute(&mut *self.connection)
            .await?;
        self.news.push(News::Answered { statement });
        Ok(())
    }

    pub(super) async fn current(&mut self, id: &WithdrawalId) -> Result<Option<Current>, StoreError> {
        let row = sqlx::query(sqlx::AssertSqlSafe(format!("{CURRENT} id = ?")));
        let row = row.bind(key(id)).fetch_optional(&mut *self.connection).await?;
        row.as_ref().map(Current::parse).transpose()
    }

    pub(super) async fn current_at(&mut self, seq: i64) -> Result<Current, StoreError> {
        let row = sqlx::query(sqlx::AssertSqlSafe(format!("{CURRENT} seq = ?")));
        Current::parse(&row.bind(seq).fetch_one(&mut *self.connection).await?)
    }

    pub(super) async fn find_statement(&mut self, new: &NewStatement) -> Result<Option<i64>, StoreError> {
        // Of an attestation everybody has their own copy: a later one of theirs takes its place, and nobody else's.
        let is_own = StatementKind::ATTESTED.contains(&new.advice.kind);
        let seq = sqlx::query_scalar(
            "SELECT seq FROM statements WHERE digest = ? AND envelope = ? AND (NOT ? OR submitted_by = ?)",
        );
        let seq = seq
            .bind(digest_key(&new.advice.digest))
            .bind(&new.envelope)
            .bind(is_own)
            .bind(&new.submitted_by);
        Ok(seq.fetch_optional(&mut *self.connection).await?)
    }

    /// The one place where a stored state changes, and with it the revision.
    pub(super) async fn advance(
        &mut self,
        current: &Current,
        next: State,
        standing: &[u8],
        due_at_ms: Option<i64>,
    ) -> Result<(), StoreError> {
        self.revision = self.revision.saturating_add(1);
        sqlx::query(
            "UPDATE withdrawals SET state = ?, standing = ?, due_at_ms = ?, updated_at_ms = ?, revision = ? \
             WHERE seq = ?",
        )
        .bind(i32::from(next.wire()))
        .bind(standing)
        .bind(due_at_ms)
        .bind(self.now_ms)
        .bind(self.revision)
        .bind(current.seq)
        .execute(&mut *self.connection)
        .await?;
        self.changed(current.seq, current.id, current.tenant.clone());
        Ok(())
    }

    fn changed(&mut self, seq: i64, id: WithdrawalId, tenant: String) {
        let revision = u64::try_from(self.revision).unwrap_or_default();
        self.news.push(News::Changed {
            seq,
            id,
            tenant,
            revision,
        });
    }

    pub(super) fn wake(&mut self, seq: i64, due_at_ms: i64) {
        let wake = Wake { seq, due_at_ms };
        // An attempt and its statement are one question.
        if self.wakes.last() != Some(&wake) {
            self.wakes.push(wake);
        }
    }
}

pub(super) fn size(bytes: &[u8]) -> i64 {
    i64::try_from(bytes.len()).unwrap_or(i64::MAX)
}
