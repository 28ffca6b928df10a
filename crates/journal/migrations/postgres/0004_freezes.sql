-- PostgreSQL. The same as the migration for SQLite of this number. A rolled back insert leaves a gap in `seq`: it counts up,
-- and that is all that is asked of it.
CREATE TABLE freezes (
    seq      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id       BYTEA NOT NULL UNIQUE CHECK (octet_length(id) = 32),
    scope    TEXT NOT NULL,
    cause    TEXT NOT NULL,
    since    BIGINT NOT NULL,
    thaws_at BIGINT NOT NULL DEFAULT 9223372036854775807
);
CREATE INDEX freezes_in_force ON freezes (thaws_at);

CREATE TRIGGER thaws_are_final BEFORE UPDATE ON freezes FOR EACH ROW
WHEN (OLD.thaws_at <> 9223372036854775807 OR NEW.seq <> OLD.seq OR NEW.id <> OLD.id OR NEW.scope <> OLD.scope
    OR NEW.cause <> OLD.cause OR NEW.since <> OLD.since)
EXECUTE FUNCTION refuse('a freeze ends once, and nothing else of it changes');

CREATE TRIGGER freezes_are_kept BEFORE DELETE OR TRUNCATE ON freezes EXECUTE FUNCTION refuse('nothing is deleted');

CREATE TABLE marks (
    topic   TEXT NOT NULL,
    name    TEXT NOT NULL,
    made_at BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    PRIMARY KEY (topic, name)
);

CREATE INDEX marks_by_first ON marks (topic, made_at);
CREATE INDEX marks_by_last ON marks (topic, last_at);

CREATE TRIGGER marks_are_final BEFORE UPDATE ON marks FOR EACH ROW
WHEN (NEW.topic <> OLD.topic OR NEW.name <> OLD.name OR NEW.made_at <> OLD.made_at OR NEW.last_at < OLD.last_at)
EXECUTE FUNCTION refuse('a mark keeps its first time and never goes back');

CREATE TRIGGER marks_are_kept BEFORE DELETE OR TRUNCATE ON marks EXECUTE FUNCTION refuse('nothing is deleted');
