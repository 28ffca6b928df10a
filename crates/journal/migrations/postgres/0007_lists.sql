-- PostgreSQL. The same as the migration for SQLite of this number.
CREATE TABLE begun_lists (
    list  TEXT PRIMARY KEY,
    since BIGINT NOT NULL
);

CREATE TRIGGER lists_stay_young BEFORE UPDATE ON begun_lists FOR EACH ROW
WHEN (NEW.since < OLD.since)
EXECUTE FUNCTION refuse('a list never becomes older');

CREATE TRIGGER entries_stay_young BEFORE UPDATE ON listed_destinations FOR EACH ROW
WHEN (NEW.since < OLD.since)
EXECUTE FUNCTION refuse('an entry never becomes older');

CREATE TRIGGER lists_are_kept BEFORE DELETE OR TRUNCATE ON begun_lists EXECUTE FUNCTION refuse('nothing is deleted');
