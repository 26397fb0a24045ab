-- The token that the current one took the place of, and when: for a short time it
-- gets the current one again. Both are ids; none of them is a credential.
ALTER TABLE token_families
    ADD COLUMN previous_token text COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN renewed_at     bigint;
