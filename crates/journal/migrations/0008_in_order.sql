-- What grows with every withdrawal grows at one end: spends and charges by the attempt's number, and the log's nodes in the order
-- in which they are completed. By digests, each of them touched a page of its own.

CREATE TABLE spends_in_order (
    attempt     INTEGER PRIMARY KEY REFERENCES attempts (seq),
    facts       BLOB NOT NULL,
    charged_at  INTEGER NOT NULL,
    aged_at     INTEGER,
    released_at INTEGER,
    failed      INTEGER NOT NULL DEFAULT 0 CHECK (failed IN (0, 1)),
    CHECK (aged_at IS NULL OR released_at IS NULL)
) STRICT;
INSERT INTO spends_in_order (attempt, facts, charged_at, aged_at, released_at, failed)
SELECT attempts.seq, facts, charged_at, aged_at, released_at, failed FROM spends JOIN attempts USING (request, number);

CREATE TABLE charges_in_order (
    attempt INTEGER NOT NULL REFERENCES spends_in_order (attempt),
    counter BLOB NOT NULL CHECK (length(counter) = 32),
    amount  BLOB NOT NULL CHECK (length(amount) = 32),
    PRIMARY KEY (attempt, counter)
) STRICT, WITHOUT ROWID;
INSERT INTO charges_in_order (attempt, counter, amount)
SELECT attempts.seq, counter, amount FROM charges JOIN attempts USING (request, number);

DROP TABLE charges;
DROP TABLE spends;
ALTER TABLE spends_in_order RENAME TO spends;
ALTER TABLE charges_in_order RENAME TO charges;
CREATE INDEX spends_by_age ON spends (aged_at) WHERE released_at IS NULL;
CREATE INDEX charges_by_counter ON charges (counter);

CREATE TRIGGER spends_are_final BEFORE UPDATE ON spends
WHEN OLD.aged_at IS NOT NULL OR OLD.released_at IS NOT NULL
    OR NEW.attempt <> OLD.attempt OR NEW.charged_at <> OLD.charged_at
BEGIN SELECT RAISE(ABORT, 'the spend is final'); END;

CREATE TRIGGER charges_rise BEFORE UPDATE ON charges
WHEN NEW.amount < OLD.amount
BEGIN SELECT RAISE(ABORT, 'a charge never falls'); END;

CREATE TRIGGER spends_are_kept BEFORE DELETE ON spends BEGIN SELECT RAISE(ABORT, 'nothing is deleted'); END;
CREATE TRIGGER charges_are_kept BEFORE DELETE ON charges BEGIN SELECT RAISE(ABORT, 'nothing is deleted'); END;

-- Before leaf i is appended, i + i/2 + i/4 + … nodes are complete; those that it completes follow by level (RFC 6962 numbering).
CREATE TABLE log_nodes_in_order (
    place INTEGER PRIMARY KEY CHECK (place >= 0),
    hash  BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;
INSERT INTO log_nodes_in_order (place, hash)
SELECT level + (
    WITH RECURSIVE halves (half) AS (
        SELECT ((position + 1) << level) - 1
        UNION ALL
        SELECT half >> 1 FROM halves WHERE half > 0
    )
    SELECT sum(half) FROM halves
), hash FROM log_nodes;

DROP TABLE log_nodes;
ALTER TABLE log_nodes_in_order RENAME TO log_nodes;

CREATE TRIGGER nodes_stay BEFORE UPDATE ON log_nodes BEGIN SELECT RAISE(ABORT, 'a log node is final'); END;
CREATE TRIGGER nodes_are_kept BEFORE DELETE ON log_nodes BEGIN SELECT RAISE(ABORT, 'nothing is deleted'); END;
