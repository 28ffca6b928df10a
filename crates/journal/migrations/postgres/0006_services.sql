-- PostgreSQL. The same as the migration for SQLite of this number.
CREATE TABLE last_words (
    service  TEXT NOT NULL,
    matter   TEXT NOT NULL,
    sequence BYTEA NOT NULL CHECK (octet_length(sequence) = 8),
    since    BIGINT,
    PRIMARY KEY (service, matter)
);

CREATE TABLE paid_destinations (
    destination TEXT PRIMARY KEY,
    request     BYTEA NOT NULL CHECK (octet_length(request) = 32),
    is_shared   BIGINT NOT NULL DEFAULT 0 CHECK (is_shared IN (0, 1))
);

CREATE TABLE listed_destinations (
    destination TEXT PRIMARY KEY,
    since       BIGINT
);

CREATE TRIGGER words_rise BEFORE UPDATE ON last_words FOR EACH ROW
WHEN (NEW.sequence < OLD.sequence)
EXECUTE FUNCTION refuse('a service never goes back');

CREATE TRIGGER payments_were_made BEFORE UPDATE ON paid_destinations FOR EACH ROW
WHEN (NEW.request <> OLD.request OR NEW.is_shared < OLD.is_shared)
EXECUTE FUNCTION refuse('what was paid stays paid');

CREATE TRIGGER words_are_kept BEFORE DELETE OR TRUNCATE ON last_words EXECUTE FUNCTION refuse('nothing is deleted');
CREATE TRIGGER paid_are_kept BEFORE DELETE OR TRUNCATE ON paid_destinations EXECUTE FUNCTION refuse('nothing is deleted');
CREATE TRIGGER listed_are_kept BEFORE DELETE OR TRUNCATE ON listed_destinations EXECUTE FUNCTION refuse('nothing is deleted');
