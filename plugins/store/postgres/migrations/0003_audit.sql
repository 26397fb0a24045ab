CREATE TABLE audit (
    id     bigint NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at     bigint NOT NULL,
    actor  text   COLLATE "C" NOT NULL,
    action text   COLLATE "C" NOT NULL,
    target text   COLLATE "C" NOT NULL,
    origin text   COLLATE "C" NOT NULL,
    result text   COLLATE "C" NOT NULL
);

CREATE INDEX audit_at ON audit (at);
CREATE INDEX audit_target ON audit (target, id);
