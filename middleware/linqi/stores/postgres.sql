-- The tables of schema 2, all in the schema that the search path names first.
CREATE TABLE linqi_sessions (
    session_id text PRIMARY KEY,
    subject text NOT NULL,
    counter bigint NOT NULL,
    parent bigint NOT NULL,
    rotated_at double precision NOT NULL,
    started_at double precision NOT NULL,
    expires_at double precision NOT NULL,
    ends_at double precision NOT NULL,
    revoked_at double precision NOT NULL,
    cause text NOT NULL,
    claims text NOT NULL,
    device text NOT NULL,
    first_rotated_at double precision NOT NULL
) WITH (fillfactor = 80);  -- room for the next version of a row beside it
-- A session that ended is found by no operation on the live ones of its subject.
CREATE INDEX linqi_sessions_by_state ON linqi_sessions (subject, revoked_at, started_at);
-- Not on expires_at, which every rotation changes: the new version of a row would need new entries
-- in all indexes.
CREATE INDEX linqi_sessions_by_end ON linqi_sessions (ends_at);

CREATE TABLE linqi_revocations (
    kind text NOT NULL,
    value text NOT NULL,
    at double precision NOT NULL,
    until double precision NOT NULL,
    spared text NOT NULL,
    PRIMARY KEY (kind, value, at, spared)
);
CREATE INDEX linqi_revocations_by_end ON linqi_revocations (until);

-- Numbers that are only raised, such as the longest life of an access token.
CREATE TABLE linqi_marks (name text PRIMARY KEY, value double precision NOT NULL);

CREATE TABLE linqi_schema (version integer PRIMARY KEY);
INSERT INTO linqi_schema VALUES (2);
