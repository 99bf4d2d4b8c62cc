-- Schema 1.
CREATE TABLE sessions (
    session_id TEXT PRIMARY KEY, subject TEXT NOT NULL, counter INTEGER NOT NULL,
    parent INTEGER NOT NULL, rotated_at REAL NOT NULL, started_at REAL NOT NULL,
    expires_at REAL NOT NULL, ends_at REAL NOT NULL, revoked_at REAL NOT NULL, cause TEXT NOT NULL,
    claims TEXT NOT NULL, device TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX sessions_by_subject ON sessions (subject, started_at);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);
CREATE TABLE revocations (
    number INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, value TEXT NOT NULL,
    at REAL NOT NULL, until REAL NOT NULL, spared TEXT NOT NULL
);
CREATE INDEX revocations_by_end ON revocations (until);
PRAGMA user_version = 1;
-- What a worker had kept in it: a session that was recovered once, one that is revoked, and a
-- revocation.
INSERT INTO sessions VALUES
    ('old-recovered', 'alice', 3, 1, 1800000500.25, 1800000000, 1800605300, 1802592000, 0, '',
        '{"scope":"read"}', 'phone'),
    ('old-revoked', 'alice', 1, 0, 1800000100, 1800000000, 1800604900, 1802592000, 1800000200.5,
        'logout', '{}', '');
INSERT INTO revocations (kind, value, at, until, spared)
    VALUES ('session', 'old-revoked', 1800000200.5, 1800001400.5, '');
