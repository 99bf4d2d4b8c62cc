-- Short texts that the workers share, such as the key ids that each of them has. Every statement may
-- be run again, beside every schema of the sessions. Unlogged: a commit does not wait for the disk,
-- and the table is empty after a crash or a failover.
CREATE UNLOGGED TABLE IF NOT EXISTS linqi_notes (
    kind text NOT NULL,
    name text NOT NULL,
    text text NOT NULL,
    at double precision NOT NULL,
    until double precision NOT NULL,
    PRIMARY KEY (kind, name)
);
