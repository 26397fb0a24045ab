CREATE TABLE users (
    id              text   COLLATE "C" NOT NULL PRIMARY KEY,
    email           text   COLLATE "C" NOT NULL UNIQUE,
    address         text   COLLATE "C" NOT NULL,
    full_name       text   COLLATE "C" NOT NULL,
    password_hash   text   COLLATE "C" NOT NULL,
    role            text   COLLATE "C" NOT NULL,
    tier            text   COLLATE "C" NOT NULL,
    scopes          text   NOT NULL CHECK (json_typeof(scopes::json) = 'array'),
    created_at      bigint NOT NULL,
    password_set_at bigint,
    disabled_at     bigint,
    epoch           bigint NOT NULL,
    tokens_ended_at bigint
);

CREATE TABLE token_families (
    id            text   COLLATE "C" NOT NULL PRIMARY KEY,
    user_id       text   COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    issuer        text   COLLATE "C" NOT NULL,
    current_token text   COLLATE "C" NOT NULL,
    created_at    bigint NOT NULL,
    expires_at    bigint NOT NULL,
    revoked_at    bigint
);

CREATE INDEX token_families_user ON token_families (user_id, expires_at);
