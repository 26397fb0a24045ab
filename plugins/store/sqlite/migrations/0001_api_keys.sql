-- Times are Unix seconds, NULL where there is none. Lists are JSON arrays of text.

CREATE TABLE changes (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    version INTEGER NOT NULL
) STRICT;

INSERT INTO changes (id, version) VALUES (1, 1);

CREATE TABLE api_keys (
    id             TEXT    NOT NULL PRIMARY KEY,
    owner          TEXT    NOT NULL,
    name           TEXT    NOT NULL,
    prefix         TEXT    NOT NULL,
    hash           BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32),
    pepper_version INTEGER NOT NULL,
    role           TEXT    NOT NULL,
    tier           TEXT    NOT NULL,
    scopes         TEXT    NOT NULL CHECK (json_valid(scopes)),
    ip_allow       TEXT    NOT NULL CHECK (json_valid(ip_allow)),
    limits         TEXT    NOT NULL CHECK (json_valid(limits)),
    created_at     INTEGER NOT NULL,
    expires_at     INTEGER,
    last_used_at   INTEGER,
    revoked_at     INTEGER,
    replaced_by    TEXT    NOT NULL
) STRICT;

CREATE INDEX api_keys_owner ON api_keys (owner, id);

-- The version is counted here and not in Go, so that no writer can forget it.
CREATE TRIGGER api_keys_inserted AFTER INSERT ON api_keys BEGIN
    UPDATE changes SET version = version + 1;
END;

CREATE TRIGGER api_keys_deleted AFTER DELETE ON api_keys BEGIN
    UPDATE changes SET version = version + 1;
END;

-- All columns but last_used_at, which changes all the time and decides nothing.
CREATE TRIGGER api_keys_updated AFTER UPDATE OF
    id, owner, name, prefix, hash, pepper_version, role, tier, scopes, ip_allow, limits,
    created_at, expires_at, revoked_at, replaced_by ON api_keys BEGIN
    UPDATE changes SET version = version + 1;
END;
