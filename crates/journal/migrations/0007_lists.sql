-- Lists that bundles brought as a whole, since the last time that one did. Of what came into a list that was there already
-- `listed_destinations` has the moment; its nulls are from before this version.
CREATE TABLE begun_lists (
    list  TEXT PRIMARY KEY,
    since INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER lists_stay_young BEFORE UPDATE ON begun_lists
WHEN NEW.since < OLD.since
BEGIN SELECT RAISE(ABORT, 'a list never becomes older'); END;

CREATE TRIGGER entries_stay_young BEFORE UPDATE ON listed_destinations
WHEN NEW.since < OLD.since
BEGIN SELECT RAISE(ABORT, 'an entry never becomes older'); END;

CREATE TRIGGER lists_are_kept BEFORE DELETE ON begun_lists BEGIN SELECT RAISE(ABORT, 'nothing is deleted'); END;
