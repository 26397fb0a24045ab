CREATE TABLE users (
    id              TEXT    NOT NULL PRIMARY KEY,
    email           TEXT    NOT NULL UNIQUE,
    address         TEXT    NOT NULL,
    full_name       TEXT    NOT NULL,
    password_hash   TEXT    NOT NULL,
    role            TEXT    NOT NULL,
    tier            TEXT    NOT NULL,
    scopes          TEXT    NOT NULL CHECK (json_valid(scopes)),
    created_at      INTEGER NOT NULL,
    password_set_at INTEGER,
    disabled_at     INTEGER,
    epoch           INTEGER NOT NULL,
    tokens_ended_at INTEGER
) STRICT;

CREATE TABLE token_families (
    id            TEXT    NOT NULL PRIMARY KEY,
    user_id       TEXT    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    issuer        TEXT    NOT NULL,
    current_token TEXT    NOT NULL,
    created_at    INTEGER NOT NULL,
    expires_at    INTEGER NOT NULL,
    revoked_at    INTEGER
) STRICT;

CREATE INDEX token_families_user ON token_families (user_id, expires_at);
