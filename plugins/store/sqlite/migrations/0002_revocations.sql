CREATE TABLE revocations (
    id            TEXT    NOT NULL PRIMARY KEY,
    kind          TEXT    NOT NULL,
    issuer        TEXT    NOT NULL,
    value         TEXT    NOT NULL,
    issued_before INTEGER,
    created_at    INTEGER NOT NULL,
    expires_at    INTEGER,
    note          TEXT    NOT NULL,
    UNIQUE (kind, issuer, value)
) STRICT;

CREATE INDEX revocations_expiry ON revocations (expires_at) WHERE expires_at IS NOT NULL;

CREATE TRIGGER revocations_inserted AFTER INSERT ON revocations BEGIN
    UPDATE changes SET version = version + 1;
END;

CREATE TRIGGER revocations_updated AFTER UPDATE ON revocations BEGIN
    UPDATE changes SET version = version + 1;
END;

CREATE TRIGGER revocations_deleted AFTER DELETE ON revocations BEGIN
    UPDATE changes SET version = version + 1;
END;
