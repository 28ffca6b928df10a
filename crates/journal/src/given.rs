//! Rows of values in a statement. A prepared statement is kept by its text, so there are few texts for any number of rows.

use sqlx::{Arguments as _, Error, postgres::PgArguments, sqlite::SqliteArguments};

use crate::sql::Value;

/// The rows as values of the text, and rows of nulls up to the next power of two.
pub(crate) fn for_sqlite(rows: Vec<Vec<Value>>, arguments: &mut SqliteArguments) -> Result<String, Error> {
    let width = rows.first().map_or(0, Vec::len);
    let row = format!("({})", vec!["?"; width].join(", "));
    let height = rows.len().next_power_of_two();
    let nulls = height.saturating_sub(rows.len()).saturating_mul(width);
    for value in rows.into_iter().flatten() {
        add_sqlite(arguments, value)?;
    }
    for _ in 0..nulls {
        add_sqlite(arguments, Value::Number(None))?;
    }
    Ok(format!("(VALUES {}) AS given", vec![row; height].join(", ")))
}

/// The columns of the rows as arrays.
pub(crate) fn for_postgres(rows: Vec<Vec<Value>>, arguments: &mut PgArguments) -> Result<String, Error> {
    let mut columns: Vec<Column> = Vec::new();
    for row in rows {
        if columns.is_empty() {
            columns = row.iter().map(Column::of).collect();
        }
        for (column, value) in columns.iter_mut().zip(row) {
            column.push(value)?;
        }
    }
    let (mut arrays, mut names) = (Vec::new(), Vec::new());
    for (number, column) in (1..).zip(columns) {
        let kind = column.kind();
        column.add(arguments)?;
        arrays.push(format!("${}::{kind}", arguments.len()));
        names.push(format!("column{number}"));
    }
    Ok(format!("unnest({}) AS given ({})", arrays.join(", "), names.join(", ")))
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

/// One value.
pub(crate) fn add_sqlite(arguments: &mut SqliteArguments, value: Value) -> Result<(), Error> {
    match value {
        Value::Number(number) => arguments.add(number),
        Value::Bytes(bytes) => arguments.add(bytes),
        Value::Text(text) => arguments.add(text),
    }
    .map_err(Error::Encode)
}

/// One value.
pub(crate) fn add_postgres(arguments: &mut PgArguments, value: Value) -> Result<(), Error> {
    match value {
        Value::Number(number) => arguments.add(number),
        Value::Bytes(bytes) => arguments.add(bytes),
        Value::Text(text) => arguments.add(text),
    }
    .map_err(Error::Encode)
}
