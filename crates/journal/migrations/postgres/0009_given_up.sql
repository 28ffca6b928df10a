-- What a withdrawal claimed that has ended without a signature is free for the next one: a gap in an account's nonces would hold up
-- everything behind it.

ALTER TABLE conflict_claims ADD COLUMN given_up_at BIGINT;
CREATE INDEX given_up_nonces ON conflict_claims (account, nonce) WHERE given_up_at IS NOT NULL;

DROP TRIGGER claims_are_final ON conflict_claims;
CREATE TRIGGER claims_are_final BEFORE UPDATE ON conflict_claims FOR EACH ROW
WHEN (NEW.key <> OLD.key OR (NEW.request <> OLD.request AND OLD.given_up_at IS NULL))
EXECUTE FUNCTION refuse('the conflict key belongs to another withdrawal');
