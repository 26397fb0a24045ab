-- Times are Unix seconds, NULL where there is none. Lists are JSON arrays of text.
-- Text is compared byte by byte, whatever the database's own collation is.

CREATE TABLE changes (
    id      integer NOT NULL PRIMARY KEY CHECK (id = 1),
    version bigint  NOT NULL
);

INSERT INTO changes (id, version) VALUES (1, 1);

-- The version is counted here and not in Go, so that no writer can forget it. It is
-- a row and no sequence: others see a new version only together with the change that
-- it stands for. It is counted once in a transaction, however many rows change.
CREATE FUNCTION portcullis_changed() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF coalesce(current_setting('portcullis.counted', true), '') = '' THEN
        UPDATE changes SET version = version + 1 WHERE id = 1;
        PERFORM set_config('portcullis.counted', '1', true);
    END IF;
    RETURN NULL;
END
$$;

-- Room in the pages, so that a new last use needs no new entry in an index.
CREATE TABLE api_keys (
    id             text    COLLATE "C" NOT NULL PRIMARY KEY,
    owner          text    COLLATE "C" NOT NULL,
    name           text    COLLATE "C" NOT NULL,
    prefix         text    COLLATE "C" NOT NULL,
    hash           bytea   NOT NULL UNIQUE CHECK (octet_length(hash) = 32),
    pepper_version bigint  NOT NULL,
    role           text    COLLATE "C" NOT NULL,
    tier           text    COLLATE "C" NOT NULL,
    scopes         text    NOT NULL CHECK (json_typeof(scopes::json) = 'array'),
    ip_allow       text    NOT NULL CHECK (json_typeof(ip_allow::json) = 'array'),
    limits         text    NOT NULL CHECK (json_typeof(limits::json) = 'array'),
    created_at     bigint  NOT NULL,
    expires_at     bigint,
    last_used_at   bigint,
    revoked_at     bigint,
    replaced_by    text    COLLATE "C" NOT NULL
) WITH (fillfactor = 85);

CREATE INDEX api_keys_owner ON api_keys (owner, id);

CREATE TRIGGER api_keys_inserted_or_deleted AFTER INSERT OR DELETE ON api_keys
    FOR EACH ROW EXECUTE FUNCTION portcullis_changed();

-- All columns but last_used_at, which changes all the time and decides nothing.
CREATE TRIGGER api_keys_updated AFTER UPDATE OF
    id, owner, name, prefix, hash, pepper_version, role, tier, scopes, ip_allow, limits,
    created_at, expires_at, revoked_at, replaced_by ON api_keys
    FOR EACH ROW EXECUTE FUNCTION portcullis_changed();

CREATE TRIGGER api_keys_emptied AFTER TRUNCATE ON api_keys
    FOR EACH STATEMENT EXECUTE FUNCTION portcullis_changed();
