-- PostgreSQL. The same as the migration for SQLite of this number.

-- A long log takes longer than one statement of a signer may; until the end of this transaction nobody waits for it but us.
SET LOCAL statement_timeout = 0;

CREATE TABLE spends_in_order (
    attempt     BIGINT PRIMARY KEY REFERENCES attempts (seq),
    facts       BYTEA NOT NULL,
    charged_at  BIGINT NOT NULL,
    aged_at     BIGINT,
    released_at BIGINT,
    failed      BIGINT NOT NULL DEFAULT 0 CHECK (failed IN (0, 1)),
    CHECK (aged_at IS NULL OR released_at IS NULL)
);
INSERT INTO spends_in_order (attempt, facts, charged_at, aged_at, released_at, failed)
SELECT attempts.seq, facts, charged_at, aged_at, released_at, failed FROM spends JOIN attempts USING (request, number);

CREATE TABLE charges_in_order (
    attempt BIGINT NOT NULL REFERENCES spends_in_order (attempt),
    counter BYTEA NOT NULL CHECK (octet_length(counter) = 32),
    amount  BYTEA NOT NULL CHECK (octet_length(amount) = 32),
    PRIMARY KEY (attempt, counter)
);
INSERT INTO charges_in_order (attempt, counter, amount)
SELECT attempts.seq, counter, amount FROM charges JOIN attempts USING (request, number);

DROP TABLE charges;
DROP TABLE spends;
ALTER TABLE spends_in_order RENAME TO spends;
ALTER TABLE charges_in_order RENAME TO charges;
CREATE INDEX spends_by_age ON spends (aged_at) WHERE released_at IS NULL;
CREATE INDEX charges_by_counter ON charges (counter, attempt);

CREATE TRIGGER spends_are_final BEFORE UPDATE ON spends FOR EACH ROW
WHEN (OLD.aged_at IS NOT NULL OR OLD.released_at IS NOT NULL
    OR NEW.attempt <> OLD.attempt OR NEW.charged_at <> OLD.charged_at)
EXECUTE FUNCTION refuse('the spend is final');

CREATE TRIGGER charges_rise BEFORE UPDATE ON charges FOR EACH ROW
WHEN (NEW.amount < OLD.amount)
EXECUTE FUNCTION refuse('a charge never falls');

CREATE TRIGGER spends_are_kept BEFORE DELETE OR TRUNCATE ON spends EXECUTE FUNCTION refuse('nothing is deleted');
CREATE TRIGGER charges_are_kept BEFORE DELETE OR TRUNCATE ON charges EXECUTE FUNCTION refuse('nothing is deleted');

-- i + i/2 + i/4 + … is 2i minus the ones in i.
CREATE TABLE log_nodes_in_order (
    place BIGINT PRIMARY KEY CHECK (place >= 0),
    hash  BYTEA NOT NULL CHECK (octet_length(hash) = 32)
);
INSERT INTO log_nodes_in_order (place, hash)
SELECT level + 2 * last - bit_count(CAST(last AS BIT(64))), hash
FROM (SELECT level, hash, ((position + 1) << CAST(level AS INTEGER)) - 1 AS last FROM log_nodes) AS nodes;

DROP TABLE log_nodes;
ALTER TABLE log_nodes_in_order RENAME TO log_nodes;

CREATE TRIGGER nodes_stay BEFORE UPDATE ON log_nodes FOR EACH ROW
EXECUTE FUNCTION refuse('a log node is final');
CREATE TRIGGER nodes_are_kept BEFORE DELETE OR TRUNCATE ON log_nodes EXECUTE FUNCTION refuse('nothing is deleted');
