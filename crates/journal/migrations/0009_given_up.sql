-- What a withdrawal claimed that has ended without a signature is free for the next one: a gap in an account's nonces would hold up
-- everything behind it.

ALTER TABLE conflict_claims ADD COLUMN given_up_at INTEGER;
CREATE INDEX given_up_nonces ON conflict_claims (account, nonce) WHERE given_up_at IS NOT NULL;

DROP TRIGGER claims_are_final;
CREATE TRIGGER claims_are_final BEFORE UPDATE ON conflict_claims
WHEN NEW.key <> OLD.key OR (NEW.request <> OLD.request AND OLD.given_up_at IS NULL)
BEGIN SELECT RAISE(ABORT, 'the conflict key belongs to another withdrawal'); END;
