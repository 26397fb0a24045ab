-- The token that the current one took the place of, and when: for a short time it
-- gets the current one again. Successor is the current token of that time. A gateway
-- of an older release renews without these columns; then successor is not the current
-- one, and they say nothing. They hold ids and a time; none is a credential.
ALTER TABLE token_families
    ADD COLUMN previous_token text COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN successor      text COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN renewed_at     bigint;
