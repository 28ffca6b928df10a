-- PostgreSQL. The same as the migrations for SQLite up to version 2; what those say of columns and tables holds here.

-- Times are Unix milliseconds, digests and amounts 32-byte strings, unsigned 64-bit nonces 8 big-endian bytes.
-- Nothing is ever deleted. What may not change is guarded by triggers, so that a bug above is an error and not a loss.

CREATE TABLE deployment (
    id         BIGINT PRIMARY KEY CHECK (id = 1),
    genesis    BYTEA NOT NULL CHECK (octet_length(genesis) = 32),
    log_origin TEXT NOT NULL,
    epoch      BIGINT NOT NULL CHECK (epoch >= 0)
);

-- Whoever opens the journal takes the next generation; a writer that finds another one has been replaced.
CREATE TABLE fence (
    id         BIGINT PRIMARY KEY CHECK (id = 1),
    owner      TEXT NOT NULL,
    generation BIGINT NOT NULL CHECK (generation >= 1)
);

-- The hash chain. `hash` covers every other column but the checkpoint, which covers `log_size` and `log_root` itself.
CREATE TABLE commits (
    number     BIGINT PRIMARY KEY CHECK (number >= 1),
    at         BIGINT NOT NULL,
    previous   BYTEA NOT NULL CHECK (octet_length(previous) = 32),
    content    BYTEA NOT NULL CHECK (octet_length(content) = 32),
    log_size   BIGINT NOT NULL CHECK (log_size >= 1),
    log_root   BYTEA NOT NULL CHECK (octet_length(log_root) = 32),
    checkpoint BYTEA NOT NULL,
    hash       BYTEA NOT NULL CHECK (octet_length(hash) = 32)
);

CREATE TABLE statements (
    seq           BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    digest        BYTEA NOT NULL UNIQUE CHECK (octet_length(digest) = 32),
    signer        TEXT NOT NULL,
    nonce         TEXT NOT NULL,
    envelope      BYTEA NOT NULL,
    first_seen_at BIGINT NOT NULL,
    UNIQUE (signer, nonce)
);

-- Approvals name withdrawals that may not have been journaled yet, so `request` refers to nothing.
CREATE TABLE statement_subjects (
    request BYTEA NOT NULL CHECK (octet_length(request) = 32),
    seq     BIGINT NOT NULL REFERENCES statements (seq),
    PRIMARY KEY (request, seq)
);

CREATE TABLE bundles (
    version      BIGINT PRIMARY KEY CHECK (version >= 0),
    digest       BYTEA NOT NULL UNIQUE CHECK (octet_length(digest) = 32),
    activated_at BIGINT NOT NULL
);

CREATE TABLE bundle_files (
    version BIGINT NOT NULL REFERENCES bundles (version),
    path    TEXT NOT NULL,
    bytes   BYTEA NOT NULL,
    PRIMARY KEY (version, path)
);

CREATE TABLE bundle_statements (
    version   BIGINT NOT NULL REFERENCES bundles (version),
    position  BIGINT NOT NULL,
    statement BYTEA NOT NULL REFERENCES statements (digest),
    PRIMARY KEY (version, position)
);

CREATE TABLE withdrawals (
    request       BYTEA PRIMARY KEY CHECK (octet_length(request) = 32),
    statement     BYTEA NOT NULL UNIQUE REFERENCES statements (digest),
    tenant        TEXT NOT NULL,
    reference     TEXT NOT NULL,
    bundle        BYTEA NOT NULL REFERENCES bundles (digest),
    first_seen_at BIGINT NOT NULL,
    ended_at      BIGINT,
    ended_by      TEXT,
    last_decision BYTEA CHECK (octet_length(last_decision) = 32),
    decisions     BIGINT NOT NULL DEFAULT 0,
    CHECK ((ended_at IS NULL) = (ended_by IS NULL)),
    UNIQUE (tenant, reference)
);

CREATE TABLE payments (
    tenant    TEXT NOT NULL,
    reference TEXT NOT NULL,
    request   BYTEA NOT NULL REFERENCES withdrawals (request),
    PRIMARY KEY (tenant, reference)
);

-- `seq` is the order of first authorization. The last four columns are null until the signatures are recorded.
CREATE TABLE attempts (
    seq                BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    request            BYTEA NOT NULL REFERENCES withdrawals (request),
    number             BIGINT NOT NULL CHECK (number >= 1),
    transaction_digest BYTEA NOT NULL CHECK (octet_length(transaction_digest) = 32),
    unsigned           BYTEA NOT NULL,
    conflict_keys      TEXT NOT NULL,
    fee_max            BYTEA NOT NULL CHECK (octet_length(fee_max) = 32),
    authorization_id   BYTEA NOT NULL CHECK (octet_length(authorization_id) = 32),
    authorized_at      BIGINT NOT NULL,
    sign_by            BIGINT NOT NULL,
    signatures         BYTEA,
    signed             BYTEA,
    txid               TEXT,
    recorded_at        BIGINT,
    CHECK ((signatures IS NULL) = (recorded_at IS NULL)),
    CHECK ((signed IS NULL) = (recorded_at IS NULL)),
    CHECK ((txid IS NULL) = (recorded_at IS NULL)),
    UNIQUE (request, number)
);
CREATE INDEX unfinished_attempts ON attempts (seq) WHERE recorded_at IS NULL;

-- `account` and `nonce` are set for account nonces only: the next nonce of an account is read from them.
CREATE TABLE conflict_claims (
    key     TEXT PRIMARY KEY,
    request BYTEA NOT NULL REFERENCES withdrawals (request),
    account TEXT,
    nonce   BYTEA CHECK (octet_length(nonce) = 8),
    CHECK ((account IS NULL) = (nonce IS NULL))
);
CREATE UNIQUE INDEX claimed_nonces ON conflict_claims (account, nonce) WHERE account IS NOT NULL;

-- The audit log: entries, completed Merkle nodes (RFC 6962 numbering by level), and whose receipts need an entry.
CREATE TABLE log_entries (
    position BIGINT PRIMARY KEY CHECK (position >= 0),
    bytes    BYTEA NOT NULL,
    leaf     BYTEA NOT NULL CHECK (octet_length(leaf) = 32)
);

CREATE TABLE log_nodes (
    level    BIGINT NOT NULL,
    position BIGINT NOT NULL,
    hash     BYTEA NOT NULL CHECK (octet_length(hash) = 32),
    PRIMARY KEY (level, position)
);

CREATE TABLE log_subjects (
    request  BYTEA NOT NULL CHECK (octet_length(request) = 32),
    position BIGINT NOT NULL REFERENCES log_entries (position),
    PRIMARY KEY (request, position)
);

-- What authorized attempts spend, and the counters that limits are held against. Amounts are 32-byte big-endian strings,
-- so they compare like numbers; they are added up in the program, never here.

-- A spend is outstanding, then aged or released for good. `seq` is the order of first authorization.
CREATE TABLE spends (
    seq         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    request     BYTEA NOT NULL,
    number      BIGINT NOT NULL,
    facts       BYTEA NOT NULL,
    charged_at  BIGINT NOT NULL,
    aged_at     BIGINT,
    released_at BIGINT,
    CHECK (aged_at IS NULL OR released_at IS NULL),
    UNIQUE (request, number),
    FOREIGN KEY (request, number) REFERENCES attempts (request, number)
);
CREATE INDEX spends_by_age ON spends (aged_at) WHERE released_at IS NULL;

CREATE TABLE charges (
    request BYTEA NOT NULL,
    counter BYTEA NOT NULL CHECK (octet_length(counter) = 32),
    number  BIGINT NOT NULL,
    amount  BYTEA NOT NULL CHECK (octet_length(amount) = 32),
    PRIMARY KEY (request, counter, number),
    FOREIGN KEY (request, number) REFERENCES spends (request, number)
);
CREATE INDEX charges_by_counter ON charges (counter);

-- `cum` is everything that ever aged, `pend` what has not aged yet: of each lineage the largest charge, once.
CREATE TABLE counters (
    counter BYTEA PRIMARY KEY CHECK (octet_length(counter) = 32),
    cum     BYTEA NOT NULL CHECK (octet_length(cum) = 32),
    pend    BYTEA NOT NULL CHECK (octet_length(pend) = 32)
);

-- `cum` after everything that aged at `at` or before. A window's sum is the difference of two of these.
CREATE TABLE counter_entries (
    counter   BYTEA NOT NULL REFERENCES counters (counter),
    at        BIGINT NOT NULL,
    cum_after BYTEA NOT NULL CHECK (octet_length(cum_after) = 32),
    PRIMARY KEY (counter, at)
);

-- A guard whose condition holds refuses; its argument says why.
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE TRIGGER claims_are_final BEFORE UPDATE ON conflict_claims FOR EACH ROW
WHEN (NEW.request <> OLD.request)
EXECUTE FUNCTION refuse('the conflict key belongs to another withdrawal');

CREATE TRIGGER payments_are_final BEFORE UPDATE ON payments FOR EACH ROW
WHEN (NEW.request <> OLD.request)
EXECUTE FUNCTION refuse('the payment reference belongs to another withdrawal');

CREATE FUNCTION attempts_follow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.number > 1 AND NOT EXISTS (SELECT 1 FROM attempts WHERE request = NEW.request AND number = NEW.number - 1) THEN
        RAISE EXCEPTION 'the attempt does not follow the last one' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER attempts_follow BEFORE INSERT ON attempts FOR EACH ROW EXECUTE FUNCTION attempts_follow();

CREATE TRIGGER attempts_keep_their_bytes BEFORE UPDATE ON attempts FOR EACH ROW
WHEN (NEW.transaction_digest <> OLD.transaction_digest OR NEW.unsigned <> OLD.unsigned
    OR NEW.conflict_keys <> OLD.conflict_keys OR NEW.fee_max <> OLD.fee_max)
EXECUTE FUNCTION refuse('an authorized attempt cannot become another transaction');

CREATE TRIGGER signatures_are_final BEFORE UPDATE ON attempts FOR EACH ROW
WHEN (OLD.recorded_at IS NOT NULL)
EXECUTE FUNCTION refuse('the attempt is signed');

CREATE FUNCTION bundle_versions_rise() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM bundles WHERE version >= NEW.version) THEN
        RAISE EXCEPTION 'the bundle version does not follow the one in force' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER bundle_versions_rise BEFORE INSERT ON bundles FOR EACH ROW EXECUTE FUNCTION bundle_versions_rise();

CREATE TRIGGER ends_are_final BEFORE UPDATE ON withdrawals FOR EACH ROW
WHEN (OLD.ended_at IS NOT NULL AND (NEW.ended_at IS DISTINCT FROM OLD.ended_at OR NEW.ended_by IS DISTINCT FROM OLD.ended_by))
EXECUTE FUNCTION refuse('an end is final');

CREATE TRIGGER commits_stay BEFORE UPDATE ON commits FOR EACH ROW
EXECUTE FUNCTION refuse('a commit is final');

CREATE TRIGGER entries_stay BEFORE UPDATE ON log_entries FOR EACH ROW
EXECUTE FUNCTION refuse('a log entry is final');

CREATE TRIGGER nodes_stay BEFORE UPDATE ON log_nodes FOR EACH ROW
EXECUTE FUNCTION refuse('a log node is final');

CREATE TRIGGER statements_stay BEFORE UPDATE ON statements FOR EACH ROW
EXECUTE FUNCTION refuse('a statement is final');

CREATE TRIGGER spends_are_final BEFORE UPDATE ON spends FOR EACH ROW
WHEN (OLD.aged_at IS NOT NULL OR OLD.released_at IS NOT NULL
    OR NEW.request <> OLD.request OR NEW.number <> OLD.number OR NEW.charged_at <> OLD.charged_at)
EXECUTE FUNCTION refuse('the spend is final');

CREATE TRIGGER charges_rise BEFORE UPDATE ON charges FOR EACH ROW
WHEN (NEW.amount < OLD.amount)
EXECUTE FUNCTION refuse('a charge never falls');

CREATE TRIGGER counters_rise BEFORE UPDATE ON counters FOR EACH ROW
WHEN (NEW.cum < OLD.cum)
EXECUTE FUNCTION refuse('a counter never falls');

CREATE TRIGGER counter_entries_rise BEFORE UPDATE ON counter_entries FOR EACH ROW
WHEN (NEW.cum_after < OLD.cum_after)
EXECUTE FUNCTION refuse('a counter never falls');

CREATE TRIGGER commits_are_kept BEFORE DELETE OR TRUNCATE ON commits EXECUTE FUNCTION refuse('nothing is deleted');
CREATE TRIGGER entries_are_kept BEFORE DELETE OR TRUNCATE ON log_entries EXECUTE FUNCTION refuse('nothing is deleted');
CREATE TRIGGER nodes_are_kept BEFORE DELETE OR TRUNCATE ON log_nodes EXECUTE FUNCTION refuse('nothing is deleted');
CREATE TRIGGER statements_are_kept BEFORE DELETE OR TRUNCATE ON statements EXECUTE FUNCTION refuse('nothing is deleted');
CREATE TRIGGER withdrawals_are_kept BEFORE DELETE OR TRUNCATE ON withdrawals EXECUTE FUNCTION refuse('nothing is deleted');
CREATE TRIGGER payments_are_kept BEFORE DELETE OR TRUNCATE ON payments EXECUTE FUNCTION refuse('nothing is deleted');
CREATE TRIGGER attempts_are_kept BEFORE DELETE OR TRUNCATE ON attempts EXECUTE FUNCTION refuse('nothing is deleted');
CREATE TRIGGER claims_are_kept BEFORE DELETE OR TRUNCATE ON conflict_claims EXECUTE FUNCTION refuse('nothing is deleted');
CREATE TRIGGER bundles_are_kept BEFORE DELETE OR TRUNCATE ON bundles EXECUTE FUNCTION refuse('nothing is deleted');
CREATE TRIGGER spends_are_kept BEFORE DELETE OR TRUNCATE ON spends EXECUTE FUNCTION refuse('nothing is deleted');
CREATE TRIGGER charges_are_kept BEFORE DELETE OR TRUNCATE ON charges EXECUTE FUNCTION refuse('nothing is deleted');
CREATE TRIGGER counters_are_kept BEFORE DELETE OR TRUNCATE ON counters EXECUTE FUNCTION refuse('nothing is deleted');
CREATE TRIGGER counter_entries_are_kept BEFORE DELETE OR TRUNCATE ON counter_entries EXECUTE FUNCTION refuse('nothing is deleted');
