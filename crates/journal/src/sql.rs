//! SQL that is written once and understood by both databases: statements with `?` for every value, and rows that are read
//! by column name. What differs (connecting, locking, the schema, the names of errors) is not here.
//!
//! Both prepare statements and keep them, so there must be few texts. SQLite gets all statements in one call, because each
//! call costs more than what a statement does; PostgreSQL takes one statement a call, and changes that do not see each other
//! are made one.

use std::fmt;

use sqlx::{
    Arguments as _, AssertSqlSafe, Error, PgConnection, Row as _, SqliteConnection,
    postgres::{PgArguments, PgRow},
    sqlite::{SqliteArguments, SqliteRow},
};

use crate::given;

/// Longer texts are not kept prepared: the rows of a long list are one, and come once.
const MAX_KEPT_TEXT: usize = 64 * 1024;

/// A value that is bound, never written into the text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Value {
    Number(Option<i64>),
    Bytes(Option<Vec<u8>>),
    Text(Option<String>),
}

impl Value {
    /// About how many bytes it takes.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Number(_) | Self::Bytes(None) | Self::Text(None) => 8,
            Self::Bytes(Some(bytes)) => bytes.len(),
            Self::Text(Some(text)) => text.len(),
        }
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(Some(number))
    }
}
impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(Some(bytes))
    }
}
impl From<&[u8; 32]> for Value {
    fn from(bytes: &[u8; 32]) -> Self {
        Self::Bytes(Some(bytes.to_vec()))
    }
}
impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Some(text))
    }
}
impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}

/// What a statement is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Value(Value),
    Rows(Vec<Vec<Value>>),
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Statement {
    pieces: Vec<Piece>,
    /// Neither reads what the statement before it changes, nor changes what that one does.
    is_independent: bool,
}

/// Statements that run one after the other. No text of ours has a `?` that is not a value's place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sql {
    done: Vec<Statement>,
    open: Statement,
}

impl Sql {
    pub(crate) fn new(text: &str) -> Self {
        let mut sql = Self::default();
        sql.push(text);
        sql
    }

    /// Continues the open statement.
    pub(crate) fn push(&mut self, text: impl fmt::Display) -> &mut Self {
        match self.open.pieces.last_mut() {
            Some(Piece::Text(last)) => last.push_str(&text.to_string()),
            Some(Piece::Value(_) | Piece::Rows(_)) | None => self.open.pieces.push(Piece::Text(text.to_string())),
        }
        self
    }

    /// A value's place in the open statement, and the value.
    pub(crate) fn bind(&mut self, value: impl Into<Value>) -> &mut Self {
        self.open.pieces.push(Piece::Value(value.into()));
        self
    }

    /// Rows of values, at least one, as a table `given` with the columns `column1`, `column2`, …. Beside them there may be rows
    /// of nothing but nulls.
    pub(crate) fn given(&mut self, rows: Vec<Vec<Value>>) -> &mut Self {
        self.open.pieces.push(Piece::Rows(rows));
        self
    }

    /// The pieces of a query of its own, inside of this statement.
    pub(crate) fn nest(&mut self, query: Self) -> &mut Self {
        for statement in query.into_statements() {
            self.open.pieces.extend(statement.pieces);
        }
        self
    }

    /// The open statement may run together with the one before it, and with those that it may run together with.
    pub(crate) fn independent(&mut self) -> &mut Self {
        self.open.is_independent = true;
        self
    }

    /// The next text starts another statement.
    pub(crate) fn end(&mut self) -> &mut Self {
        if !self.open.pieces.is_empty() {
            self.done.push(std::mem::take(&mut self.open));
        }
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.done.is_empty() && self.open.pieces.is_empty()
    }

    /// As SQLite gets them.
    #[cfg(test)]
    pub(crate) fn texts(&self) -> Vec<String> {
        let one = |statement: &Statement| {
            let mut text = String::new();
            let mut arguments = SqliteArguments::default();
            statement.clone().for_sqlite(&mut text, &mut arguments).unwrap();
            text.trim_end_matches("; ").to_owned()
        };
        self.clone().into_statements().iter().map(one).collect()
    }

    /// Changes as PostgreSQL gets them.
    #[cfg(test)]
    pub(crate) fn changes(&self) -> Vec<String> {
        let changes = self.clone().into_changes().into_iter();
        changes.map(|statements| together(statements).unwrap().0).collect()
    }

    /// Each statement behind a prefix.
    #[cfg(test)]
    pub(crate) fn behind(self, prefix: &str) -> Self {
        let mut statements = self.into_statements();
        for statement in &mut statements {
            statement.pieces.insert(0, Piece::Text(prefix.to_owned()));
        }
        Self {
            done: statements,
            ..Self::default()
        }
    }

    fn for_sqlite(self) -> Result<(String, SqliteArguments), Error> {
        let (mut text, mut arguments) = (String::new(), SqliteArguments::default());
        for statement in self.into_statements() {
            statement.for_sqlite(&mut text, &mut arguments)?;
        }
        Ok((text, arguments))
    }

    fn into_statements(mut self) -> Vec<Statement> {
        self.end();
        self.done
    }

    /// What may run together, in order.
    fn into_changes(self) -> Vec<Vec<Statement>> {
        let mut changes: Vec<Vec<Statement>> = Vec::new();
        for statement in self.into_statements() {
            match changes.last_mut().filter(|_| statement.is_independent) {
                Some(before) => before.push(statement),
                None => changes.push(vec![statement]),
            }
        }
        changes
    }
}

/// Changes as one statement, whose only row says how many rows they touched. All of them see the tables as they were before it;
/// references between what they insert are checked behind it.
fn together(statements: Vec<Statement>) -> Result<(String, PgArguments), Error> {
    let (mut text, mut arguments) = (String::from("WITH "), PgArguments::default());
    let mut counts = Vec::with_capacity(statements.len());
    for (number, statement) in statements.into_iter().enumerate() {
        let comma = if number == 0 { "" } else { ", " };
        text.push_str(&format!("{comma}change{number} AS ("));
        statement.for_postgres(&mut text, &mut arguments)?;
        text.push_str(" RETURNING 1)");
        counts.push(format!("(SELECT count(*) FROM change{number})"));
    }
    text.push_str(&format!(" SELECT {} AS changed", counts.join(" + ")));
    Ok((text, arguments))
}

impl Statement {
    fn for_sqlite(self, text: &mut String, arguments: &mut SqliteArguments) -> Result<(), Error> {
        for piece in self.pieces {
            match piece {
                Piece::Text(piece) => text.push_str(&piece),
                Piece::Value(value) => {
                    text.push('?');
                    given::add_sqlite(arguments, value)?;
                }
                Piece::Rows(rows) => text.push_str(&given::for_sqlite(rows, arguments)?),
            }
        }
        text.push_str("; ");
        Ok(())
    }

    fn alone(self) -> Result<(String, PgArguments), Error> {
        let (mut text, mut arguments) = (String::new(), PgArguments::default());
        self.for_postgres(&mut text, &mut arguments)?;
        Ok((text, arguments))
    }

    fn for_postgres(self, text: &mut String, arguments: &mut PgArguments) -> Result<(), Error> {
        for piece in self.pieces {
            match piece {
                Piece::Text(piece) => text.push_str(&piece),
                Piece::Value(value) => {
                    given::add_postgres(arguments, value)?;
                    text.push_str(&format!("${}", arguments.len()));
                }
                Piece::Rows(rows) => text.push_str(&given::for_postgres(rows, arguments)?),
            }
        }
        Ok(())
    }
}

/// A connection, lent.
pub(crate) enum Link<'c> {
    Sqlite(&'c mut SqliteConnection),
    Postgres(&'c mut PgConnection),
}

impl Link<'_> {
    /// The rows of all statements, in their order.
    pub(crate) async fn rows(&mut self, sql: Sql) -> Result<Vec<Row>, Error> {
        match self {
            Self::Sqlite(connection) => {
                let (text, arguments) = sql.for_sqlite()?;
                let is_kept = text.len() <= MAX_KEPT_TEXT;
                let query = sqlx::query_with(AssertSqlSafe(text), arguments).persistent(is_kept);
                let rows = query.fetch_all(&mut **connection).await?;
                Ok(rows.into_iter().map(Row::Sqlite).collect())
            }
            Self::Postgres(connection) => {
                let mut all = Vec::new();
                for statement in sql.into_statements() {
                    let (text, arguments) = statement.alone()?;
                    let query = sqlx::query_with(AssertSqlSafe(text), arguments);
                    let rows = query.fetch_all(&mut **connection).await?;
                    all.extend(rows.into_iter().map(Row::Postgres));
                }
                Ok(all)
            }
        }
    }

    /// The first row; [`Error::RowNotFound`] where there is none.
    pub(crate) async fn row(&mut self, sql: Sql) -> Result<Row, Error> {
        self.optional_row(sql).await?.ok_or(Error::RowNotFound)
    }

    /// The first row.
    pub(crate) async fn optional_row(&mut self, sql: Sql) -> Result<Option<Row>, Error> {
        Ok(self.rows(sql).await?.into_iter().next())
    }

    /// Runs the statements and counts the rows that they changed.
    pub(crate) async fn execute(&mut self, sql: Sql) -> Result<u64, Error> {
        match self {
            Self::Sqlite(connection) => {
                let (text, arguments) = sql.for_sqlite()?;
                let is_kept = text.len() <= MAX_KEPT_TEXT;
                let query = sqlx::query_with(AssertSqlSafe(text), arguments).persistent(is_kept);
                Ok(query.execute(&mut **connection).await?.rows_affected())
            }
            Self::Postgres(connection) => {
                let mut changed = 0_u64;
                for statements in sql.into_changes() {
                    changed = changed.saturating_add(change(connection, statements).await?);
                }
                Ok(changed)
            }
        }
    }

    /// Runs a script that binds nothing: the schema, or the end of a transaction.
    pub(crate) async fn script(&mut self, text: &'static str) -> Result<(), Error> {
        match self {
            Self::Sqlite(connection) => sqlx::raw_sql(text).execute(&mut **connection).await.map(drop),
            Self::Postgres(connection) => sqlx::raw_sql(text).execute(&mut **connection).await.map(drop),
        }
    }
}

/// Runs changes that do not see each other, and counts the rows that they touched.
async fn change(connection: &mut PgConnection, statements: Vec<Statement>) -> Result<u64, Error> {
    let (text, arguments) = match <[Statement; 1]>::try_from(statements) {
        Ok([statement]) => {
            let (text, arguments) = statement.alone()?;
            let query = sqlx::query_with(AssertSqlSafe(text), arguments);
            return Ok(query.execute(connection).await?.rows_affected());
        }
        Err(statements) => together(statements)?,
    };
    let row = sqlx::query_with(AssertSqlSafe(text), arguments)
        .fetch_one(connection)
        .await?;
    let changed: i64 = row.try_get("changed")?;
    u64::try_from(changed).map_err(|error| Error::Decode(error.into()))
}

/// A row of either database.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

macro_rules! columns {
    ($($(#[$doc:meta])* $name:ident -> $kind:ty;)+) => {$(
        $(#[$doc])*
        pub(crate) fn $name(&self, column: &str) -> Result<$kind, Error> {
            match self {
                Self::Sqlite(row) => row.try_get(column),
                Self::Postgres(row) => row.try_get(column),
            }
        }
    )+};
}

impl Row {
    columns! {
        /// A number column.
        number -> i64;
        /// A number column that may be null.
        optional_number -> Option<i64>;
        /// A text column.
        text -> &str;
        /// A text column that may be null.
        optional_text -> Option<&str>;
        /// A column of bytes.
        bytes -> &[u8];
        /// A column of bytes that may be null.
        optional_bytes -> Option<&[u8]>;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn postgres(sql: &Sql) -> Vec<String> {
        let statements = sql.clone().into_statements().into_iter();
        statements.map(|statement| statement.alone().unwrap().0).collect()
    }

    #[test]
    fn values_stay_with_their_statement() {
        let mut sql = Sql::new("SELECT 1 WHERE a = ");
        sql.bind(1)
            .end()
            .push("SELECT 2 WHERE b = ")
            .bind("x")
            .push(" AND c = ")
            .bind("y")
            .end()
            .end();
        assert_eq!(sql.texts(), ["SELECT 1 WHERE a = ?", "SELECT 2 WHERE b = ? AND c = ?"]);
        assert_eq!(
            postgres(&sql),
            ["SELECT 1 WHERE a = $1", "SELECT 2 WHERE b = $1 AND c = $2"]
        );
    }

    #[test]
    fn independent_changes_are_one_statement() {
        let mut sql = Sql::new("DELETE FROM a WHERE b = ");
        sql.bind(1).end();
        sql.push("DELETE FROM c WHERE d = ").bind(2).independent().end();
        sql.push("DELETE FROM e");
        assert_eq!(
            sql.changes(),
            [
                "WITH change0 AS (DELETE FROM a WHERE b = $1 RETURNING 1), change1 AS (DELETE FROM c WHERE d = $2 RETURNING 1) \
                 SELECT (SELECT count(*) FROM change0) + (SELECT count(*) FROM change1) AS changed",
                "WITH change0 AS (DELETE FROM e RETURNING 1) SELECT (SELECT count(*) FROM change0) AS changed",
            ]
        );
        assert_eq!(sql.texts().len(), 3, "SQLite gets all of them in one call");
    }

    #[test]
    fn few_texts_do_for_any_number_of_rows() {
        let of = |rows| {
            let mut sql = Sql::new("SELECT * FROM ");
            sql.given(vec![vec![1.into(), "x".into()]; rows])
                .push(" WHERE column1 > ")
                .bind(7);
            sql
        };
        let sqlite: std::collections::BTreeSet<String> = (1..=16).flat_map(|rows| of(rows).texts()).collect();
        assert_eq!(sqlite.len(), 5, "1, 2, 4, 8 and 16 rows");
        assert!(sqlite.contains("SELECT * FROM (VALUES (?, ?), (?, ?)) AS given WHERE column1 > ?"));
        let postgres: std::collections::BTreeSet<String> = (1..=16).flat_map(|rows| postgres(&of(rows))).collect();
        let text = "SELECT * FROM unnest($1::BIGINT[], $2::TEXT[]) AS given (column1, column2) WHERE column1 > $3";
        assert_eq!(Vec::from_iter(postgres), [text]);
    }

    #[test]
    fn a_column_has_one_type() {
        let rows = vec![vec![1.into()], vec![Value::Text(None)]];
        let refused = given::for_postgres(rows, &mut PgArguments::default());
        assert!(matches!(refused, Err(Error::Encode(_))));
    }
}
