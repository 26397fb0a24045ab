-- Counts of rate limits that are in memory otherwise. Times are Unix microseconds,
-- the period is in milliseconds, events are a JSON array of [time, number].
CREATE TABLE counts (
    zone      TEXT    NOT NULL,
    key       BLOB    NOT NULL CHECK (length(key) = 16),
    period    INTEGER NOT NULL CHECK (period > 0),
    strict    INTEGER NOT NULL CHECK (strict IN (0, 1)),
    full_at   INTEGER NOT NULL,
    overdrawn INTEGER NOT NULL CHECK (overdrawn IN (0, 1)),
    events    TEXT    NOT NULL CHECK (json_valid(events)),
    PRIMARY KEY (zone, key, period, strict)
) STRICT, WITHOUT ROWID;

CREATE INDEX counts_full_at ON counts (full_at);

CREATE TABLE owner_limits (
    owner       TEXT    NOT NULL PRIMARY KEY,
    tier        TEXT    NOT NULL,
    limits      TEXT    NOT NULL CHECK (json_valid(limits)),
    concurrency INTEGER NOT NULL CHECK (concurrency >= 0),
    updated_at  INTEGER NOT NULL
) STRICT;

-- Counts change all the time and every process has its own; limits must be heard of.
CREATE TRIGGER owner_limits_inserted AFTER INSERT ON owner_limits BEGIN
    UPDATE changes SET version = version + 1;
END;

CREATE TRIGGER owner_limits_updated AFTER UPDATE ON owner_limits BEGIN
    UPDATE changes SET version = version + 1;
END;

CREATE TRIGGER owner_limits_deleted AFTER DELETE ON owner_limits BEGIN
    UPDATE changes SET version = version + 1;
END;
