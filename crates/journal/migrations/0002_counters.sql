-- What authorized attempts spend, and the counters that limits are held against. Amounts are 32-byte big-endian blobs,
-- so they compare like numbers; they are added up in the program, never here.

-- A spend is outstanding, then aged or released for good. `seq` is the order of first authorization.
CREATE TABLE spends (
    seq         INTEGER PRIMARY KEY,
    request     BLOB NOT NULL,
    number      INTEGER NOT NULL,
    facts       BLOB NOT NULL,
    charged_at  INTEGER NOT NULL,
    aged_at     INTEGER,
    released_at INTEGER,
    CHECK (aged_at IS NULL OR released_at IS NULL),
    UNIQUE (request, number),
    FOREIGN KEY (request, number) REFERENCES attempts (request, number)
) STRICT;
CREATE INDEX spends_by_age ON spends (aged_at) WHERE released_at IS NULL;

CREATE TABLE charges (
    request BLOB NOT NULL,
    counter BLOB NOT NULL CHECK (length(counter) = 32),
    number  INTEGER NOT NULL,
    amount  BLOB NOT NULL CHECK (length(amount) = 32),
    PRIMARY KEY (request, counter, number),
    FOREIGN KEY (request, number) REFERENCES spends (request, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX charges_by_counter ON charges (counter);

-- `cum` is everything that ever aged, `pend` what has not aged yet: of each lineage the largest charge, once.
CREATE TABLE counters (
    counter BLOB PRIMARY KEY CHECK (length(counter) = 32),
    cum     BLOB NOT NULL CHECK (length(cum) = 32),
    pend    BLOB NOT NULL CHECK (length(pend) = 32)
) STRICT, WITHOUT ROWID;

-- `cum` after everything that aged at `at` or before. A window's sum is the difference of two of these.
CREATE TABLE counter_entries (
    counter   BLOB NOT NULL REFERENCES counters (counter),
    at        INTEGER NOT NULL,
    cum_after BLOB NOT NULL CHECK (length(cum_after) = 32),
    PRIMARY KEY (counter, at)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER spends_are_final BEFORE UPDATE ON spends
WHEN OLD.aged_at IS NOT NULL OR OLD.released_at IS NOT NULL
    OR NEW.request <> OLD.request OR NEW.number <> OLD.number OR NEW.charged_at <> OLD.charged_at
BEGIN SELECT RAISE(ABORT, 'the spend is final'); END;

CREATE TRIGGER charges_rise BEFORE UPDATE ON charges
WHEN NEW.amount < OLD.amount
BEGIN SELECT RAISE(ABORT, 'a charge never falls'); END;

CREATE TRIGGER counters_rise BEFORE UPDATE ON counters
WHEN NEW.cum < OLD.cum
BEGIN SELECT RAISE(ABORT, 'a counter never falls'); END;

CREATE TRIGGER counter_entries_rise BEFORE UPDATE ON counter_entries
WHEN NEW.cum_after < OLD.cum_after
BEGIN SELECT RAISE(ABORT, 'a counter never falls'); END;

CREATE TRIGGER spends_are_kept BEFORE DELETE ON spends BEGIN SELECT RAISE(ABORT, 'nothing is deleted'); END;
CREATE TRIGGER charges_are_kept BEFORE DELETE ON charges BEGIN SELECT RAISE(ABORT, 'nothing is deleted'); END;
CREATE TRIGGER counters_are_kept BEFORE DELETE ON counters BEGIN SELECT RAISE(ABORT, 'nothing is deleted'); END;
CREATE TRIGGER counter_entries_are_kept BEFORE DELETE ON counter_entries
BEGIN SELECT RAISE(ABORT, 'nothing is deleted'); END;
