-- What each service said last on each matter: a statement behind it is refused. `since` is null where the service says that
-- something is not so any more. Unsigned 64-bit numbers are 8 big-endian bytes, so they compare like numbers.
CREATE TABLE last_words (
    service  TEXT NOT NULL,
    matter   TEXT NOT NULL,
    sequence BLOB NOT NULL CHECK (length(sequence) = 8),
    since    INTEGER,
    PRIMARY KEY (service, matter)
) STRICT, WITHOUT ROWID;

-- Destinations that signed transactions pay: by which withdrawal first, and whether by another one as well.
CREATE TABLE paid_destinations (
    destination TEXT PRIMARY KEY,
    request     BLOB NOT NULL CHECK (length(request) = 32),
    is_shared   INTEGER NOT NULL DEFAULT 0 CHECK (is_shared IN (0, 1))
) STRICT, WITHOUT ROWID;

-- Destinations that lists of the bundle in force name, since their youngest entry; null where no list names them any more.
CREATE TABLE listed_destinations (
    destination TEXT PRIMARY KEY,
    since       INTEGER
) STRICT, WITHOUT ROWID;

CREATE TRIGGER words_rise BEFORE UPDATE ON last_words
WHEN NEW.sequence < OLD.sequence
BEGIN SELECT RAISE(ABORT, 'a service never goes back'); END;

CREATE TRIGGER payments_were_made BEFORE UPDATE ON paid_destinations
WHEN NEW.request <> OLD.request OR NEW.is_shared < OLD.is_shared
BEGIN SELECT RAISE(ABORT, 'what was paid stays paid'); END;

CREATE TRIGGER words_are_kept BEFORE DELETE ON last_words BEGIN SELECT RAISE(ABORT, 'nothing is deleted'); END;
CREATE TRIGGER paid_are_kept BEFORE DELETE ON paid_destinations BEGIN SELECT RAISE(ABORT, 'nothing is deleted'); END;
CREATE TRIGGER listed_are_kept BEFORE DELETE ON listed_destinations BEGIN SELECT RAISE(ABORT, 'nothing is deleted'); END;
