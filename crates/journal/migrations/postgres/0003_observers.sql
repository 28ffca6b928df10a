-- PostgreSQL. The same as the migration for SQLite of this number.
CREATE TABLE observer_sequences (
    observer TEXT NOT NULL,
    network  TEXT NOT NULL,
    sequence BYTEA NOT NULL CHECK (octet_length(sequence) = 8),
    PRIMARY KEY (observer, network)
);

CREATE TRIGGER sequences_rise BEFORE UPDATE ON observer_sequences FOR EACH ROW
WHEN (NEW.sequence < OLD.sequence)
EXECUTE FUNCTION refuse('an observer never goes back');

CREATE TRIGGER sequences_are_kept BEFORE DELETE OR TRUNCATE ON observer_sequences EXECUTE FUNCTION refuse('nothing is deleted');
