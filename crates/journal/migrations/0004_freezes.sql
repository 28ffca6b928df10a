-- What is stopped. A freeze is never deleted; `thaws_at` is the end of time until a quorum thaws it, and is set once.
CREATE TABLE freezes (
    seq      INTEGER PRIMARY KEY,
    id       BLOB NOT NULL UNIQUE CHECK (length(id) = 32),
    scope    TEXT NOT NULL,
    cause    TEXT NOT NULL,
    since    INTEGER NOT NULL,
    thaws_at INTEGER NOT NULL DEFAULT 9223372036854775807
) STRICT;
CREATE INDEX freezes_in_force ON freezes (thaws_at);

CREATE TRIGGER thaws_are_final BEFORE UPDATE ON freezes
WHEN OLD.thaws_at <> 9223372036854775807 OR NEW.seq <> OLD.seq OR NEW.id <> OLD.id OR NEW.scope <> OLD.scope
    OR NEW.cause <> OLD.cause OR NEW.since <> OLD.since
BEGIN SELECT RAISE(ABORT, 'a freeze ends once, and nothing else of it changes'); END;

CREATE TRIGGER freezes_are_kept BEFORE DELETE ON freezes
BEGIN SELECT RAISE(ABORT, 'nothing is deleted'); END;

-- Who or what came up under a topic, when first and when last: admins on a thaw, observers on a spend.
CREATE TABLE marks (
    topic   TEXT NOT NULL,
    name    TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    PRIMARY KEY (topic, name)
) STRICT, WITHOUT ROWID;

CREATE INDEX marks_by_first ON marks (topic, made_at);
CREATE INDEX marks_by_last ON marks (topic, last_at);

CREATE TRIGGER marks_are_final BEFORE UPDATE ON marks
WHEN NEW.topic <> OLD.topic OR NEW.name <> OLD.name OR NEW.made_at <> OLD.made_at OR NEW.last_at < OLD.last_at
BEGIN SELECT RAISE(ABORT, 'a mark keeps its first time and never goes back'); END;

CREATE TRIGGER marks_are_kept BEFORE DELETE ON marks
BEGIN SELECT RAISE(ABORT, 'nothing is deleted'); END;
