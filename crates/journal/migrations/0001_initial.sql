-- Times are Unix milliseconds, digests and amounts 32-byte blobs, unsigned 64-bit nonces 8 big-endian bytes.
-- Nothing is ever deleted. What may not change is guarded by triggers, so that a bug above is an error and not a loss.

CREATE TABLE deployment (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    genesis    BLOB NOT NULL CHECK (length(genesis) = 32),
    log_origin TEXT NOT NULL,
    epoch      INTEGER NOT NULL CHECK (epoch >= 0)
) STRICT;

-- Whoever opens the journal takes the next generation; a writer that finds another one has been replaced.
CREATE TABLE fence (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    owner      TEXT NOT NULL,
    generation INTEGER NOT NULL CHECK (generation >= 1)
) STRICT;

-- The hash chain. `hash` covers every other column but the checkpoint, which covers `log_size` and `log_root` itself.
CREATE TABLE commits (
    number     INTEGER PRIMARY KEY CHECK (number >= 1),
    at         INTEGER NOT NULL,
    previous   BLOB NOT NULL CHECK (length(previous) = 32),
    content    BLOB NOT NULL CHECK (length(content) = 32),
    log_size   INTEGER NOT NULL CHECK (log_size >= 1),
    log_root   BLOB NOT NULL CHECK (length(log_root) = 32),
    checkpoint BLOB NOT NULL,
    hash       BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

CREATE TABLE statements (
    seq           INTEGER PRIMARY KEY,
    digest        BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
    signer        TEXT NOT NULL,
    nonce         TEXT NOT NULL,
    envelope      BLOB NOT NULL,
    first_seen_at INTEGER NOT NULL,
    UNIQUE (signer, nonce)
) STRICT;

-- Approvals name withdrawals that may not have been journaled yet, so `request` refers to nothing.
CREATE TABLE statement_subjects (
    request BLOB NOT NULL CHECK (length(request) = 32),
    seq     INTEGER NOT NULL REFERENCES statements (seq),
    PRIMARY KEY (request, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE bundles (
    version      INTEGER PRIMARY KEY CHECK (version >= 0),
    digest       BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
    activated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE bundle_files (
    version INTEGER NOT NULL REFERENCES bundles (version),
    path    TEXT NOT NULL,
    bytes   BLOB NOT NULL,
    PRIMARY KEY (version, path)
) STRICT;

CREATE TABLE bundle_statements (
    version   INTEGER NOT NULL REFERENCES bundles (version),
    position  INTEGER NOT NULL,
    statement BLOB NOT NULL REFERENCES statements (digest),
    PRIMARY KEY (version, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE withdrawals (
    request       BLOB PRIMARY KEY CHECK (length(request) = 32),
    statement     BLOB NOT NULL UNIQUE REFERENCES statements (digest),
    tenant        TEXT NOT NULL,
    reference     TEXT NOT NULL,
    bundle        BLOB NOT NULL REFERENCES bundles (digest),
    first_seen_at INTEGER NOT NULL,
    ended_at      INTEGER,
    ended_by      TEXT,
    last_decision BLOB CHECK (length(last_decision) = 32),
    decisions     INTEGER NOT NULL DEFAULT 0,
    CHECK ((ended_at IS NULL) = (ended_by IS NULL)),
    UNIQUE (tenant, reference)
) STRICT, WITHOUT ROWID;

CREATE TABLE payments (
    tenant    TEXT NOT NULL,
    reference TEXT NOT NULL,
    request   BLOB NOT NULL REFERENCES withdrawals (request),
    PRIMARY KEY (tenant, reference)
) STRICT, WITHOUT ROWID;

-- `seq` is the order of first authorization. The last four columns are null until the signatures are recorded.
CREATE TABLE attempts (
    seq                INTEGER PRIMARY KEY,
    request            BLOB NOT NULL REFERENCES withdrawals (request),
    number             INTEGER NOT NULL CHECK (number >= 1),
    transaction_digest BLOB NOT NULL CHECK (length(transaction_digest) = 32),
    unsigned           BLOB NOT NULL,
    conflict_keys      TEXT NOT NULL,
    fee_max            BLOB NOT NULL CHECK (length(fee_max) = 32),
    authorization_id   BLOB NOT NULL CHECK (length(authorization_id) = 32),
    authorized_at      INTEGER NOT NULL,
    sign_by            INTEGER NOT NULL,
    signatures         BLOB,
    signed             BLOB,
    txid               TEXT,
    recorded_at        INTEGER,
    CHECK ((signatures IS NULL) = (recorded_at IS NULL)),
    CHECK ((signed IS NULL) = (recorded_at IS NULL)),
    CHECK ((txid IS NULL) = (recorded_at IS NULL)),
    UNIQUE (request, number)
) STRICT;
CREATE INDEX unfinished_attempts ON attempts (seq) WHERE recorded_at IS NULL;

-- `account` and `nonce` are set for account nonces only: the next nonce of an account is read from them.
CREATE TABLE conflict_claims (
    key     TEXT PRIMARY KEY,
    request BLOB NOT NULL REFERENCES withdrawals (request),
    account TEXT,
    nonce   BLOB CHECK (length(nonce) = 8),
    CHECK ((account IS NULL) = (nonce IS NULL))
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX claimed_nonces ON conflict_claims (account, nonce) WHERE account IS NOT NULL;

-- The audit log: entries, completed Merkle nodes (RFC 6962 numbering by level), and whose receipts need an entry.
CREATE TABLE log_entries (
    position INTEGER PRIMARY KEY CHECK (position >= 0),
    bytes    BLOB NOT NULL,
    leaf     BLOB NOT NULL CHECK (length(leaf) = 32)
) STRICT;

CREATE TABLE log_nodes (
    level    INTEGER NOT NULL,
    position INTEGER NOT NULL,
    hash     BLOB NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (level, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE log_subjects (
    request  BLOB NOT NULL CHECK (length(request) = 32),
    position INTEGER NOT NULL REFERENCES log_entries (position),
    PRIMARY KEY (request, position)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER claims_are_final BEFORE UPDATE ON conflict_claims
WHEN NEW.request <> OLD.request
BEGIN SELECT RAISE(ABORT, 'the conflict key belongs to another withdrawal'); END;

CREATE TRIGGER payments_are_final BEFORE UPDATE ON payments
WHEN NEW.request <> OLD.request
BEGIN SELECT RAISE(ABORT, 'the payment reference belongs to another withdrawal'); END;

CREATE TRIGGER attempts_follow BEFORE INSERT ON attempts
WHEN NEW.number > 1 AND NOT EXISTS (SELECT 1 FROM attempts WHERE request = NEW.request AND number = NEW.number - 1)
BEGIN SELECT RAISE(ABORT, 'the attempt does not follow the last one'); END;

CREATE TRIGGER attempts_keep_their_bytes BEFORE UPDATE ON attempts
WHEN NEW.transaction_digest <> OLD.transaction_digest OR NEW.unsigned <> OLD.unsigned
    OR NEW.conflict_keys <> OLD.conflict_keys OR NEW.fee_max <> OLD.fee_max
BEGIN SELECT RAISE(ABORT, 'an authorized attempt cannot become another transaction'); END;

CREATE TRIGGER signatures_are_final BEFORE UPDATE ON attempts
WHEN OLD.recorded_at IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'the attempt is signed'); END;

CREATE TRIGGER bundle_versions_rise BEFORE INSERT ON bundles
WHEN EXISTS (SELECT 1 FROM bundles WHERE version >= NEW.version)
BEGIN SELECT RAISE(ABORT, 'the bundle version does not follow the one in force'); END;

CREATE TRIGGER ends_are_final BEFORE UPDATE ON withdrawals
WHEN OLD.ended_at IS NOT NULL AND (NEW.ended_at IS NOT OLD.ended_at OR NEW.ended_by IS NOT OLD.ended_by)
BEGIN SELECT RAISE(ABORT, 'an end is final'); END;

CREATE TRIGGER commits_stay BEFORE UPDATE ON commits BEGIN SELECT RAISE(ABORT, 'a commit is final'); END;
CREATE TRIGGER entries_stay BEFORE UPDATE ON log_entries BEGIN SELECT RAISE(ABORT, 'a log entry is final'); END;
CREATE TRIGGER nodes_stay BEFORE UPDATE ON log_nodes BEGIN SELECT RAISE(ABORT, 'a log node is final'); END;
CREATE TRIGGER statements_stay BEFORE UPDATE ON statements BEGIN SELECT RAISE(ABORT, 'a statement is final'); END;

CREATE TRIGGER commits_are_kept BEFORE DELETE ON commits BEGIN SELECT RAISE(ABORT, 'nothing is deleted'); END;
CREATE TRIGGER entries_are_kept BEFORE DELETE ON log_entries BEGIN SELECT RAISE(ABORT, 'nothing is deleted'); END;
CREATE TRIGGER nodes_are_kept BEFORE DELETE ON log_nodes BEGIN SELECT RAISE(ABORT, 'nothing is deleted'); END;
CREATE TRIGGER statements_are_kept BEFORE DELETE ON statements BEGIN SELECT RAISE(ABORT, 'nothing is deleted'); END;
CREATE TRIGGER withdrawals_are_kept BEFORE DELETE ON withdrawals BEGIN SELECT RAISE(ABORT, 'nothing is deleted'); END;
CREATE TRIGGER payments_are_kept BEFORE DELETE ON payments BEGIN SELECT RAISE(ABORT, 'nothing is deleted'); END;
CREATE TRIGGER attempts_are_kept BEFORE DELETE ON attempts BEGIN SELECT RAISE(ABORT, 'nothing is deleted'); END;
CREATE TRIGGER claims_are_kept BEFORE DELETE ON conflict_claims BEGIN SELECT RAISE(ABORT, 'nothing is deleted'); END;
CREATE TRIGGER bundles_are_kept BEFORE DELETE ON bundles BEGIN SELECT RAISE(ABORT, 'nothing is deleted'); END;
