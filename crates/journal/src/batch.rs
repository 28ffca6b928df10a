//! Rows and changes that go to the database together, each table's rows in one statement.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    error::StepError,
    sql::{Link, Sql, Value},
    table::Table,
};

/// Rows of one statement: SQLite takes 32 766 parameters, a row has at most nine.
const MAX_ROWS: usize = 2_048;

/// Rows, inserted in the order of [`Table`], then changes of rows in the order in which they were added; with the number of
/// rows that all of it must touch.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    inserts: BTreeMap<Table, Vec<Vec<Value>>>,
    /// The rows of [`Batch::insert_once`].
    once: BTreeSet<(Table, Vec<Value>)>,
    updates: Sql,
    rows: u64,
    bytes: usize,
}

impl Batch {
    /// Adds rows to a table.
    pub(crate) fn insert(&mut self, table: Table, rows: impl IntoIterator<Item = Vec<Value>>) {
        let inserts = self.inserts.entry(table).or_default();
        for row in rows {
            self.rows = self.rows.saturating_add(1);
            self.bytes = row.iter().map(Value::size).fold(self.bytes, usize::saturating_add);
            inserts.push(row);
        }
    }

    /// The same without a row that came this way before: PostgreSQL changes no row twice in one statement.
    pub(crate) fn insert_once(&mut self, table: Table, rows: impl IntoIterator<Item = Vec<Value>>) {
        for row in rows {
            if self.once.insert((table, row.clone())) {
                self.insert(table, [row]);
            }
        }
    }

    /// A statement that the caller completes; it must change one row.
    pub(crate) fn update(&mut self, text: &str) -> &mut Sql {
        self.rows = self.rows.saturating_add(1);
        self.updates.end().push(text)
    }

    /// Takes in what another one holds.
    pub(crate) fn append(&mut self, other: Self) {
        for (table, rows) in other.inserts {
            self.inserts.entry(table).or_default().extend(rows);
        }
        self.updates.append(other.updates);
        self.rows = self.rows.saturating_add(other.rows);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }

    /// About how many bytes it holds.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Runs all of it. Shapes that depend on the number of proposals are better not cached.
    pub(crate) async fn execute(self, link: &mut Link<'_>, is_cached: bool) -> Result<(), StepError> {
        if self.is_empty() {
            return Ok(());
        }
        let expected = self.rows;
        let mut sql = self.into_sql();
        if !is_cached {
            sql.uncached();
        }
        let changed = link.execute(sql).await?;
        if changed != expected {
            return Err(StepError::WrongRowCount { changed, expected });
        }
        Ok(())
    }

    fn into_sql(self) -> Sql {
        let mut sql = Sql::default();
        for (table, rows) in self.inserts {
            let (before, behind) = table.insert();
            let mut rows = rows.into_iter().peekable();
            while rows.peek().is_some() {
                sql.push(before);
                let mut separator = "";
                for row in rows.by_ref().take(MAX_ROWS) {
                    sql.push(separator).list(row);
                    separator = ", ";
                }
                sql.push(behind).end();
            }
        }
        sql.append(self.updates);
        sql
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_a_table_go_together_and_changes_come_last() {
        let mut first = Batch::default();
        first.update("UPDATE a SET b = ").bind(1).end();
        first.insert(Table::LogSubjects, [vec![1.into()]]);
        let mut second = Batch::default();
        second.insert(Table::LogEntries, [vec![2.into()]]);
        second.insert(Table::LogSubjects, [vec![3.into()]]);
        second.update("UPDATE c SET d = ").bind(4).end();
        first.append(second);
        assert_eq!(first.rows, 5);
        let sql = first.into_sql();
        let texts: Vec<&str> = sql.texts().collect();
        assert_eq!(
            texts,
            [
                "INSERT INTO log_entries (position, bytes, leaf) VALUES (?)",
                "INSERT INTO log_subjects (request, position) VALUES (?), (?)",
                "UPDATE a SET b = ?",
                "UPDATE c SET d = ?",
            ]
        );
    }

    #[test]
    fn many_rows_are_several_statements() {
        let mut batch = Batch::default();
        batch.insert(Table::LogSubjects, (0..2_049).map(|n| vec![n.into()]));
        batch.insert_once(Table::LogSubjects, [vec![7.into()], vec![7.into()]]);
        assert_eq!(batch.rows, 2_050);
        assert_eq!(batch.into_sql().texts().count(), 2);
    }
}
