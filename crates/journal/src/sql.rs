//! SQL that is written once and understood by both databases: statements with `?` for every value, and rows that are read
//! by column name. What differs (connecting, locking, the schema, the names of errors) is not here.
//!
//! Both prepare statements and keep them, so there must be few texts. SQLite gets all statements in one call, because each
//! call costs more than what a statement does; PostgreSQL gets one at a time.

use std::fmt;

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

/// A statement over rows: its text before them, and behind them.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) before: String,
    pub(crate) rows: Vec<Vec<Value>>,
    pub(crate) behind: String,
}

impl Given {
    /// The rows as values of the text, and rows of nulls up to the next power of two: a handful of texts for any number of rows.
    fn for_sqlite(self, text: &mut String, arguments: &mut SqliteArguments) -> Result<(), Error> {
        let width = self.rows.first().map_or(0, Vec::len);
        let row = format!("({})", vec!["?"; width].join(", "));
        let height = self.rows.len().next_power_of_two();
        text.push_str(&self.before);
        text.push_str(&format!("(VALUES {}) AS given", vec![row; height].join(", ")));
        text.push_str(&self.behind);
        text.push_str("; ");
        let nulls = height.saturating_sub(self.rows.len()).saturating_mul(width);
        for value in self.rows.into_iter().flatten() {
            add_sqlite(arguments, value)?;
        }
        for _ in 0..nulls {
            add_sqlite(arguments, Value::Number(None))?;
        }
        Ok(())
    }

    /// The columns of the rows as arrays: one text for any number of rows.
    fn for_postgres(self) -> Result<(String, PgArguments), Error> {
        let mut columns: Vec<Column> = Vec::new();
        for row in self.rows {
            if columns.is_empty() {
                columns = row.iter().map(Column::of).collect();
            }
            for (column, value) in columns.iter_mut().zip(row) {
                column.push(value)?;
            }
        }
        let mut arguments = PgArguments::default();
        let (mut arrays, mut names) = (Vec::new(), Vec::new());
        for (number, column) in (1..).zip(columns) {
            arrays.push(format!("${number}::{}", column.kind()));
            names.push(format!("column{number}"));
            column.add(&mut arguments)?;
        }
        let given = format!("unnest({}) AS given ({})", arrays.join(", "), names.join(", "));
        Ok((format!("{}{given}{}", self.before, self.behind), arguments))
    }
}

/// One column of rows.
enum Column {
    Numbers(Vec<Option<i64>>),
    Bytes(Vec<Option<Vec<u8>>>),
    Texts(Vec<Option<String>>),
}

impl Column {
    fn of(value: &Value) -> Self {
        match value {
            Value::Number(_) => Self::Numbers(Vec::new()),
            Value::Bytes(_) => Self::Bytes(Vec::new()),
            Value::Text(_) => Self::Texts(Vec::new()),
        }
    }

    fn push(&mut self, value: Value) -> Result<(), Error> {
        match (self, value) {
            (Self::Numbers(all), Value::Number(number)) => all.push(number),
            (Self::Bytes(all), Value::Bytes(bytes)) => all.push(bytes),
            (Self::Texts(all), Value::Text(text)) => all.push(text),
            (Self::Numbers(_) | Self::Bytes(_) | Self::Texts(_), _) => {
                return Err(Error::Encode("a column has values of two types".into()));
            }
        }
        Ok(())
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Numbers(_) => "BIGINT[]",
            Self::Bytes(_) => "BYTEA[]",
            Self::Texts(_) => "TEXT[]",
        }
    }

    fn add(self, arguments: &mut PgArguments) -> Result<(), Error> {
        match self {
            Self::Numbers(all) => arguments.add(all),
            Self::Bytes(all) => arguments.add(all),
            Self::Texts(all) => arguments.add(all),
        }
        .map_err(Error::Encode)
    }
}

fn add_sqlite(arguments: &mut SqliteArguments, value: Value) -> Result<(), Error> {
    match value {
        Value::Number(number) => arguments.add(number),
        Value::Bytes(bytes) => arguments.add(bytes),
        Value::Text(text) => arguments.add(text),
    }
    .map_err(Error::Encode)
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
                add_sqlite(&mut arguments, value)?;
            }
        }
        Ok((text, arguments))
    }
}

impl Statement {
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

    /// Runs the statements.
    pub(crate) async fn execute(&mut self, sql: Sql) -> Result<(), Error> {
        self.rows(sql).await.map(drop)
    }

    /// Runs statements over rows and counts the rows that they changed.
    pub(crate) async fn put(&mut self, all: Vec<Given>) -> Result<u64, Error> {
        match self {
            Self::Sqlite(connection) => {
                let (mut text, mut arguments) = (String::new(), SqliteArguments::default());
                for given in all {
                    given.for_sqlite(&mut text, &mut arguments)?;
                }
                let query = sqlx::query_with(AssertSqlSafe(text), arguments);
                Ok(query.execute(&mut **connection).await?.rows_affected())
            }
            Self::Postgres(connection) => {
                let mut changed = 0_u64;
                for given in all {
                    let (text, arguments) = given.for_postgres()?;
                    let query = sqlx::query_with(AssertSqlSafe(text), arguments);
                    changed = changed.saturating_add(query.execute(&mut **connection).await?.rows_affected());
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

    fn given(rows: usize) -> Given {
        Given {
            before: "INSERT INTO t SELECT * FROM ".to_owned(),
            rows: vec![vec![1.into(), "x".into()]; rows],
            behind: " WHERE column1 IS NOT NULL".to_owned(),
        }
    }

    #[test]
    fn few_texts_do_for_any_number_of_rows() {
        let sqlite: std::collections::BTreeSet<String> = (1..=16)
            .map(|rows| {
                let mut text = String::new();
                given(rows)
                    .for_sqlite(&mut text, &mut SqliteArguments::default())
                    .unwrap();
                text
            })
            .collect();
        assert_eq!(sqlite.len(), 5, "1, 2, 4, 8 and 16 rows");
        assert!(
            sqlite.contains("INSERT INTO t SELECT * FROM (VALUES (?, ?), (?, ?)) AS given WHERE column1 IS NOT NULL; ")
        );
        let postgres: std::collections::BTreeSet<String> =
            (1..=16).map(|rows| given(rows).for_postgres().unwrap().0).collect();
        let text = "INSERT INTO t SELECT * FROM unnest($1::BIGINT[], $2::TEXT[]) AS given (column1, column2) \
                    WHERE column1 IS NOT NULL";
        assert_eq!(Vec::from_iter(postgres), [text]);
    }

    #[test]
    fn a_column_has_one_type() {
        let mut given = given(2);
        given.rows[1][0] = Value::Text(None);
        assert!(matches!(given.for_postgres(), Err(Error::Encode(_))));
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
