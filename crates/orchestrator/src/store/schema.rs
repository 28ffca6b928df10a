//! The schema of the orchestrator's database.

use sqlx::{
    SqlSafeStr as _,
    migrate::{Migration, MigrationType, Migrator},
};

/// The schema's versions. A migration that was released never changes: the database keeps its checksum. (The macro that reads the
/// folder would have the whole of sqlx compiled a second time, for itself.)
pub(super) fn migrator() -> Migrator {
    Migrator::with_migrations(vec![
        migration(1, "withdrawals", include_str!("../../migrations/0001_withdrawals.sql")),
        migration(
            2,
            "cancel attempts",
            include_str!("../../migrations/0002_cancel_attempts.sql"),
        ),
    ])
}

fn migration(version: i64, description: &'static str, text: &'static str) -> Migration {
    let simple = MigrationType::Simple;
    Migration::new(version, description.into(), simple, text.into_sql_str(), false)
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    /// A file that is not in the list would never be applied.
    #[test]
    fn every_migration_of_the_folder_is_applied() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
        let files = fs::read_dir(folder).unwrap();
        let mut texts: Vec<String> = files
            .map(|file| fs::read_to_string(file.unwrap().path()).unwrap())
            .collect();
        texts.sort();
        let migrator = migrator();
        let mut applied: Vec<&str> = migrator.iter().map(|migration| migration.sql.as_str()).collect();
        applied.sort_unstable();
        assert_eq!(applied, texts);
    }
}
