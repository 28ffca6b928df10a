//! Rows and changes that go to the database together: all of one kind in one statement.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    error::StepError,
    sql::{Link, Sql, Value},
    table::{Change, Table, Target},
};

/// Rows of one statement: SQLite takes 32 766 parameters, a row has at most nine.
const MAX_ROWS: usize = 2_048;

/// Rows, inserted in the order of [`Table`] within each [`crate::table::Step`], then changes of rows in the order of [`Change`]; with the number of
/// rows that all of it must touch.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    rows: BTreeMap<Target, Vec<Vec<Value>>>,
    /// The rows of [`Batch::insert_once`].
    once: BTreeSet<(Table, Vec<Value>)>,
    count: u64,
    bytes: usize,
}

impl Batch {
    /// Adds rows to a table.
    pub(crate) fn insert(&mut self, table: Table, rows: impl IntoIterator<Item = Vec<Value>>) {
        for row in rows {
            self.add(Target::Into(table), row);
        }
    }

    /// The same without a row that came this way before: PostgreSQL changes no row twice in one statement.
    pub(crate) fn insert_once(&mut self, table: Table, rows: impl IntoIterator<Item = Vec<Value>>) {
        for row in rows {
            if self.once.insert((table, row.clone())) {
                self.add(Target::Into(table), row);
            }
        }
    }

    /// Changes one row that is there, or comes with this batch. The same row is changed once in the same way.
    pub(crate) fn change(&mut self, change: Change, values: Vec<Value>) {
        self.add(Target::By(change), values);
    }

    fn add(&mut self, target: Target, row: Vec<Value>) {
        self.count = self.count.saturating_add(1);
        self.bytes = row.iter().map(Value::size).fold(self.bytes, usize::saturating_add);
        self.rows.entry(target).or_default().push(row);
    }

    /// Takes in what another one holds.
    pub(crate) fn append(&mut self, other: Self) {
        for (target, rows) in other.rows {
            self.rows.entry(target).or_default().extend(rows);
        }
        self.count = self.count.saturating_add(other.count);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }

    /// About how many bytes it holds.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Runs all of it.
    pub(crate) async fn execute(self, link: &mut Link<'_>) -> Result<(), StepError> {
        if self.count == 0 {
            return Ok(());
        }
        let expected = self.count;
        let changed = link.execute(self.into_sql()).await?;
        if changed != expected {
            return Err(StepError::WrongRowCount { changed, expected });
        }
        Ok(())
    }

    pub(crate) fn into_sql(self) -> Sql {
        let mut rows: Vec<_> = self.rows.into_iter().collect();
        rows.sort_by_key(|(target, _)| target.step());
        let (mut sql, mut step) = (Sql::default(), None);
        for (target, rows) in rows {
            let (before, behind) = target.text();
            let mut is_independent = step.replace(target.step()) == Some(target.step());
            let mut rows = rows.into_iter().peekable();
            while rows.peek().is_some() {
                let some = rows.by_ref().take(MAX_ROWS).collect();
                sql.push(&before).given(some).push(&behind);
                // What did not fit comes behind it: it is of the same table.
                if std::mem::take(&mut is_independent) {
                    sql.independent();
                }
                sql.end();
            }
        }
        sql
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_a_kind_go_together_and_changes_come_last() {
        let mut first = Batch::default();
        first.change(Change::Decided, vec![1.into()]);
        first.insert(Table::LogSubjects, [vec![1.into()]]);
        let mut second = Batch::default();
        second.insert(Table::LogEntries, [vec![2.into()]]);
        second.insert(Table::LogSubjects, [vec![3.into()]]);
        second.change(Change::Ended, vec![4.into()]);
        second.change(Change::Decided, vec![4.into()]);
        first.append(second);
        assert_eq!(first.count, 6);
        let texts = first.into_sql().texts();
        let tables: Vec<&str> = texts.iter().map(|text| text.split(" FROM ").next().unwrap()).collect();
        assert_eq!(
            tables,
            [
                "INSERT INTO log_entries (position, bytes, leaf) SELECT *",
                "INSERT INTO log_subjects (request, position) SELECT *",
                "UPDATE withdrawals SET ended_at = coalesce(ended_at, column2), ended_by = coalesce(ended_by, column3)",
                "UPDATE withdrawals SET decisions = decisions + 1, last_decision = column2",
            ]
        );
        assert_eq!(texts[1].matches("(?)").count(), 2);
    }

    #[test]
    fn postgres_takes_a_step_at_once() {
        let mut batch = Batch::default();
        batch.insert(Table::Attempts, [vec![1.into()]]);
        batch.insert(Table::Spends, [vec![1.into()]]);
        batch.insert(Table::Charges, [vec![1.into()]]);
        batch.insert(Table::LogEntries, (0..2_049).map(|n| vec![n.into()]));
        batch.insert(Table::Commits, [vec![1.into()]]);
        batch.change(Change::Ended, vec![1.into()]);
        batch.change(Change::Aged, vec![1.into()]);
        batch.change(Change::Decided, vec![1.into()]);
        let texts = batch.into_sql().changes();
        let of = |text: &String| -> Vec<String> {
            let targets = text.split(['(', ' ']).zip(text.split(['(', ' ']).skip(1));
            let words = targets.filter(|(verb, _)| matches!(*verb, "INTO" | "UPDATE"));
            words
                .map(|(_, table)| table.to_owned())
                .filter(|table| table != "SET")
                .collect()
        };
        let steps: Vec<Vec<String>> = texts.iter().map(of).collect();
        assert_eq!(
            steps,
            [
                vec!["attempts", "log_entries"],
                vec!["log_entries", "commits"],
                vec!["spends", "charges"],
                vec!["withdrawals", "spends"],
                vec!["withdrawals"],
            ]
        );
    }

    #[test]
    fn many_rows_are_several_statements() {
        let mut batch = Batch::default();
        batch.insert(Table::LogSubjects, (0..2_049).map(|n| vec![n.into()]));
        batch.insert_once(Table::LogSubjects, [vec![7.into()], vec![7.into()]]);
        assert_eq!(batch.count, 2_050);
        assert_eq!(batch.into_sql().texts().len(), 2);
    }
}
