//! SQL that is written once and understood by both databases: statements with `?` for every value, and rows that are read
//! by column name. What differs (connecting, locking, the schema, the names of errors) is not here.
//!
//! SQLite gets all statements in one call, because each call costs more than what a statement does. PostgreSQL prepares one
//! reading statement at a time; what a proposal writes goes there as one text, in which a value is hexadecimal digits.

use std::fmt;

use data_encoding::HEXLOWER;
use sqlx::{
    Arguments as _, AssertSqlSafe, Error, PgConnection, Row as _, SqliteConnection,
    postgres::{PgArguments, PgRow},
    sqlite::{SqliteArguments, SqliteRow},
};

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

    /// For PostgreSQL. Nothing of the value is in it but digits, so no value can end it or become anything else, whatever
    /// the server's rules for quoting are.
    fn literal(&self) -> String {
        match self {
            Self::Number(Some(number)) => format!("CAST('{number}' AS BIGINT)"),
            Self::Bytes(Some(bytes)) => format!("decode('{}', 'hex')", HEXLOWER.encode(bytes)),
            Self::Text(Some(text)) => {
                let digits = HEXLOWER.encode(text.as_bytes());
                format!("convert_from(decode('{digits}', 'hex'), 'UTF8')")
            }
            Self::Number(None) => "CAST(NULL AS BIGINT)".to_owned(),
            Self::Bytes(None) => "CAST(NULL AS BYTEA)".to_owned(),
            Self::Text(None) => "CAST(NULL AS TEXT)".to_owned(),
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

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Statement {
    text: String,
    values: Vec<Value>,
}

/// Statements that run one after the other. No text of ours has a `?` that is not a value's place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sql {
    done: Vec<Statement>,
    open: Statement,
    is_uncached: bool,
}

impl Sql {
    pub(crate) fn new(text: &str) -> Self {
        let mut sql = Self::default();
        sql.push(text);
        sql
    }

    /// Continues the open statement.
    pub(crate) fn push(&mut self, text: impl fmt::Display) -> &mut Self {
        self.open.text.push_str(&text.to_string());
        self
    }

    /// A value's place in the open statement, and the value.
    pub(crate) fn bind(&mut self, value: impl Into<Value>) -> &mut Self {
        self.open.text.push('?');
        self.open.values.push(value.into());
        self
    }

    /// `(?, ?, …)`.
    pub(crate) fn list<V: Into<Value>>(&mut self, values: impl IntoIterator<Item = V>) -> &mut Self {
        self.push("(");
        let mut separator = "";
        for value in values {
            self.push(separator).bind(value);
            separator = ", ";
        }
        self.push(")")
    }

    /// The next text starts another statement.
    pub(crate) fn end(&mut self) -> &mut Self {
        if !self.open.text.is_empty() {
            self.done.push(std::mem::take(&mut self.open));
        }
        self
    }

    /// What the other one runs comes after it.
    pub(crate) fn append(&mut self, mut other: Self) {
        self.end();
        other.end();
        self.done.append(&mut other.done);
    }

    /// Shapes that depend on how many rows there are would crowd the statements out that come again and again.
    pub(crate) fn uncached(&mut self) {
        self.is_uncached = true;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.done.is_empty() && self.open.text.is_empty()
    }

    #[cfg(test)]
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        let open = Some(&self.open).filter(|open| !open.text.is_empty());
        self.done.iter().chain(open).map(|statement| statement.text.as_str())
    }

    fn for_sqlite(mut self) -> Result<(String, SqliteArguments), Error> {
        self.end();
        let mut text = String::new();
        let mut arguments = SqliteArguments::default();
        for statement in self.done {
            text.push_str(&statement.text);
            text.push_str("; ");
            for value in statement.values {
                let added = match value {
                    Value::Number(number) => arguments.add(number),
                    Value::Bytes(bytes) => arguments.add(bytes),
                    Value::Text(text) => arguments.add(text),
                };
                added.map_err(Error::Encode)?;
            }
        }
        Ok((text, arguments))
    }
}

impl Statement {
    /// With its values in the text.
    fn written_out(&self) -> String {
        let mut text = String::new();
        let mut values = self.values.iter();
        for (number, piece) in self.text.split('?').enumerate() {
            if number > 0 {
                text.push_str(&values.next().map(Value::literal).unwrap_or_default());
            }
            text.push_str(piece);
        }
        text.push_str("; ");
        text
    }

    fn for_postgres(self) -> Result<(String, PgArguments), Error> {
        let mut arguments = PgArguments::default();
        for value in self.values {
            let added = match value {
                Value::Number(number) => arguments.add(number),
                Value::Bytes(bytes) => arguments.add(bytes),
                Value::Text(text) => arguments.add(text),
            };
            added.map_err(Error::Encode)?;
        }
        Ok((numbered(&self.text), arguments))
    }
}

/// `$1`, `$2`, … for each `?`.
fn numbered(text: &str) -> String {
    let mut numbered = String::with_capacity(text.len().saturating_add(16));
    for (number, piece) in text.split('?').enumerate() {
        if number > 0 {
            numbered.push_str(&format!("${number}"));
        }
        numbered.push_str(piece);
    }
    numbered
}

/// A connection, lent.
pub(crate) enum Link<'c> {
    Sqlite(&'c mut SqliteConnection),
    Postgres(&'c mut PgConnection),
}

impl Link<'_> {
    /// The rows of all statements, in their order.
    pub(crate) async fn rows(&mut self, sql: Sql) -> Result<Vec<Row>, Error> {
        let is_cached = !sql.is_uncached;
        match self {
            Self::Sqlite(connection) => {
                let (text, arguments) = sql.for_sqlite()?;
                let query = sqlx::query_with(AssertSqlSafe(text), arguments).persistent(is_cached);
                let rows = query.fetch_all(&mut **connection).await?;
                Ok(rows.into_iter().map(Row::Sqlite).collect())
            }
            Self::Postgres(connection) => {
                let mut all = Vec::new();
                for statement in sql.into_statements() {
                    let (text, arguments) = statement.for_postgres()?;
                    let query = sqlx::query_with(AssertSqlSafe(text), arguments).persistent(is_cached);
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
                let is_cached = !sql.is_uncached;
                let (text, arguments) = sql.for_sqlite()?;
                let query = sqlx::query_with(AssertSqlSafe(text), arguments).persistent(is_cached);
                Ok(query.execute(&mut **connection).await?.rows_affected())
            }
            Self::Postgres(connection) => {
                let text: String = sql.into_statements().iter().map(Statement::written_out).collect();
                let done = sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut **connection).await?;
                Ok(done.rows_affected())
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

impl Sql {
    fn into_statements(mut self) -> Vec<Statement> {
        self.end();
        self.done
    }
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

    #[test]
    fn each_value_has_a_number() {
        assert_eq!(numbered("a = ? AND b IN (?, ?)"), "a = $1 AND b IN ($2, $3)");
        assert_eq!(numbered("nothing"), "nothing");
    }

    #[test]
    fn a_value_in_a_text_is_digits() {
        let hostile = "'); DROP TABLE commits; -- \\?$1";
        let mut sql = Sql::new("VALUES ");
        sql.list([
            Value::from(hostile),
            Value::from(-5),
            Value::from(vec![0x27]),
            Value::Text(None),
        ]);
        let text = sql.into_statements()[0].written_out();
        let digits = HEXLOWER.encode(hostile.as_bytes());
        assert_eq!(
            text,
            format!(
                "VALUES (convert_from(decode('{digits}', 'hex'), 'UTF8'), CAST('-5' AS BIGINT), decode('27', 'hex'), \
                 CAST(NULL AS TEXT)); "
            )
        );
    }

    #[test]
    fn values_stay_with_their_statement() {
        let mut sql = Sql::new("SELECT 1 WHERE a = ");
        sql.bind(1)
            .end()
            .push("SELECT 2 WHERE b IN ")
            .list(["x", "y"])
            .end()
            .end();
        let texts: Vec<&str> = sql.texts().collect();
        assert_eq!(texts, ["SELECT 1 WHERE a = ?", "SELECT 2 WHERE b IN (?, ?)"]);
        let values: Vec<usize> = sql
            .into_statements()
            .iter()
            .map(|statement| statement.values.len())
            .collect();
        assert_eq!(values, [1, 2]);
    }
}
