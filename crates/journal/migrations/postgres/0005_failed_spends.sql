-- PostgreSQL. The same as the migration for SQLite of this number.
ALTER TABLE spends ADD COLUMN failed BIGINT NOT NULL DEFAULT 0 CHECK (failed IN (0, 1));
