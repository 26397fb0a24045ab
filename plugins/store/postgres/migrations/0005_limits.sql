-- Counts of rate limits that are in memory otherwise. Times are Unix microseconds,
-- the period is in milliseconds, events are a JSON array of [time, number].
CREATE TABLE counts (
    zone      text    COLLATE "C" NOT NULL,
    key       bytea   NOT NULL CHECK (octet_length(key) = 16),
    period    bigint  NOT NULL CHECK (period > 0),
    strict    boolean NOT NULL,
    full_at   bigint  NOT NULL,
    overdrawn boolean NOT NULL,
    events    text    NOT NULL CHECK (json_typeof(events::json) = 'array'),
    PRIMARY KEY (zone, key, period, strict)
);

CREATE INDEX counts_full_at ON counts (full_at);

CREATE TABLE owner_limits (
    owner       text   COLLATE "C" NOT NULL PRIMARY KEY,
    tier        text   COLLATE "C" NOT NULL,
    limits      text   NOT NULL CHECK (json_typeof(limits::json) = 'array'),
    concurrency bigint NOT NULL CHECK (concurrency >= 0),
    updated_at  bigint NOT NULL
);

-- Counts change all the time and every process has its own; limits must be heard of.
CREATE TRIGGER owner_limits_changed AFTER INSERT OR UPDATE OR DELETE ON owner_limits
    FOR EACH ROW EXECUTE FUNCTION portcullis_changed();

CREATE TRIGGER owner_limits_emptied AFTER TRUNCATE ON owner_limits
    FOR EACH STATEMENT EXECUTE FUNCTION portcullis_changed();
