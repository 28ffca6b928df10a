-- How far each observer is in its order on each network: an observation behind it is refused. Unsigned 64-bit numbers are
-- 8 big-endian bytes, so they compare like numbers.
CREATE TABLE observer_sequences (
    observer TEXT NOT NULL,
    network  TEXT NOT NULL,
    sequence BLOB NOT NULL CHECK (length(sequence) = 8),
    PRIMARY KEY (observer, network)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER sequences_rise BEFORE UPDATE ON observer_sequences
WHEN NEW.sequence < OLD.sequence
BEGIN SELECT RAISE(ABORT, 'an observer never goes back'); END;

CREATE TRIGGER sequences_are_kept BEFORE DELETE ON observer_sequences
BEGIN SELECT RAISE(ABORT, 'nothing is deleted'); END;
