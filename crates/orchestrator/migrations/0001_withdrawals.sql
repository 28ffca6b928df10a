-- Advice, not truth: what the signer journaled is in the signer's own database. Times are Unix milliseconds.
CREATE TABLE withdrawals (
    seq           INTEGER PRIMARY KEY AUTOINCREMENT,
    id            BLOB    NOT NULL UNIQUE CHECK (length(id) = 32), -- the request digest
    tenant        TEXT    NOT NULL,
    reference     TEXT    NOT NULL,
    wallet        TEXT    NOT NULL,
    network       TEXT    NOT NULL,
    state         INTEGER NOT NULL,                                -- number of countersign.v1.WithdrawalState
    standing      BLOB    NOT NULL,                                -- countersign.signer.v1.Pending: reasons, missing, not before
    attempts      INTEGER NOT NULL,
    statements    INTEGER NOT NULL,
    statement_bytes INTEGER NOT NULL,
    inputs        INTEGER NOT NULL,                                -- grows with every attempt, statement or new envelope
    created_at_ms INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER NOT NULL,
    due_at_ms     INTEGER,                                         -- when the signer is asked next; null when nothing is left
    revision      INTEGER NOT NULL UNIQUE,
    request       BLOB    NOT NULL,                                -- the envelope
    UNIQUE (tenant, reference)
) STRICT;

CREATE INDEX withdrawals_by_tenant ON withdrawals (tenant, seq);
CREATE INDEX withdrawals_by_state ON withdrawals (state, seq);
CREATE INDEX withdrawals_due ON withdrawals (seq) WHERE due_at_ms IS NOT NULL;

CREATE TABLE attempts (
    withdrawal    INTEGER NOT NULL REFERENCES withdrawals (seq),
    number        INTEGER NOT NULL CHECK (number > 0),
    unsigned      BLOB    NOT NULL,
    signed        BLOB,
    txid          TEXT,
    created_at_ms INTEGER NOT NULL,
    PRIMARY KEY (withdrawal, number)
) STRICT;

CREATE TABLE statements (
    seq             INTEGER PRIMARY KEY AUTOINCREMENT,
    digest          BLOB    NOT NULL CHECK (length(digest) = 32),
    kind            TEXT    NOT NULL,
    envelope        BLOB    NOT NULL,
    submitted_by    TEXT    NOT NULL,
    received_at_ms  INTEGER NOT NULL,
    acknowledgement BLOB,                                          -- of the signer
    refusal_tag     TEXT,                                          -- or why it did not take the statement
    refusal         TEXT
) STRICT;

-- Not unique: the digest does not cover signatures, and a bad copy must not keep the good one out.
CREATE INDEX statements_by_digest ON statements (digest);

CREATE TABLE withdrawal_statements (
    withdrawal INTEGER NOT NULL REFERENCES withdrawals (seq),
    statement  INTEGER NOT NULL REFERENCES statements (seq),
    PRIMARY KEY (withdrawal, statement)
) STRICT, WITHOUT ROWID;
