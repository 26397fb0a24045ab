CREATE TABLE revocations (
    id            text   COLLATE "C" NOT NULL PRIMARY KEY,
    kind          text   COLLATE "C" NOT NULL,
    issuer        text   COLLATE "C" NOT NULL,
    value         text   COLLATE "C" NOT NULL,
    issued_before bigint,
    created_at    bigint NOT NULL,
    expires_at    bigint,
    note          text   COLLATE "C" NOT NULL,
    UNIQUE (kind, issuer, value)
);

CREATE INDEX revocations_expiry ON revocations (expires_at) WHERE expires_at IS NOT NULL;

CREATE TRIGGER revocations_changed AFTER INSERT OR UPDATE OR DELETE ON revocations
    FOR EACH ROW EXECUTE FUNCTION portcullis_changed();

CREATE TRIGGER revocations_emptied AFTER TRUNCATE ON revocations
    FOR EACH STATEMENT EXECUTE FUNCTION portcullis_changed();
