-- Counters of sign-in attempts, and the end of device tokens. Every statement may be run again,
-- beside every schema of the sessions.
CREATE TABLE IF NOT EXISTS linqi_devices (
    owner text PRIMARY KEY,
    ended_at double precision NOT NULL
);
CREATE INDEX IF NOT EXISTS linqi_devices_by_end ON linqi_devices (ended_at);

-- Unlogged: a commit does not wait for the disk, and the table is empty after a crash.
CREATE UNLOGGED TABLE IF NOT EXISTS linqi_attempts (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    counter text NOT NULL,
    attempt text NOT NULL,
    at double precision NOT NULL,
    until double precision NOT NULL,
    UNIQUE (counter, attempt)
);
CREATE INDEX IF NOT EXISTS linqi_attempts_by_end ON linqi_attempts (until);

-- Applies linqi.sessions.attempts.full_counter: returns for each full counter its place and the
-- instant whose expiry frees it.
CREATE OR REPLACE FUNCTION linqi_full_counters(
    p_attempt text, p_counters text[], p_most integer[], p_seconds double precision[],
    p_now double precision
) RETURNS TABLE (place integer, leaves double precision) LANGUAGE sql VOLATILE AS $$
    SELECT n, (entries)[array_length(entries, 1) - p_most[n] + 1]
    FROM (
        SELECT n, array_agg(at ORDER BY at) AS entries
        FROM generate_subscripts(p_counters, 1) AS n
        JOIN linqi_attempts ON counter = p_counters[n] AND attempt <> p_attempt
            AND abs(p_now - at) < p_seconds[n]
        GROUP BY n
    ) AS counted
    WHERE array_length(entries, 1) >= p_most[n]
$$;

-- Counts an attempt in all counters or in none, and then returns the full ones. A refusal
-- neither locks nor writes. The advisory locks, always taken in one order, make attempts on one
-- counter wait for each other, so that none of them miscounts.
CREATE OR REPLACE FUNCTION linqi_reserve(
    p_attempt text, p_counters text[], p_most integer[], p_seconds double precision[],
    p_now double precision, p_most_entries bigint
) RETURNS TABLE (place integer, leaves double precision) LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    counter_lock bigint;
BEGIN
    RETURN QUERY SELECT * FROM linqi_full_counters(p_attempt, p_counters, p_most, p_seconds, p_now);
    IF FOUND THEN
        RETURN;
    END IF;
    FOR counter_lock IN
        SELECT DISTINCT hashtextextended('linqi attempt ' || c, 0) AS h
        FROM unnest(p_counters) AS c ORDER BY h
    LOOP
        PERFORM pg_advisory_xact_lock(counter_lock);
    END LOOP;
    RETURN QUERY SELECT * FROM linqi_full_counters(p_attempt, p_counters, p_most, p_seconds, p_now);
    IF FOUND THEN
        RETURN;
    END IF;
    DELETE FROM linqi_attempts USING generate_subscripts(p_counters, 1) AS n
        WHERE counter = p_counters[n] AND abs(p_now - at) >= p_seconds[n];
    INSERT INTO linqi_attempts (counter, attempt, at, until)
        SELECT p_counters[n], p_attempt, p_now, p_now + p_seconds[n]
        FROM generate_subscripts(p_counters, 1) AS n
        ON CONFLICT DO NOTHING;
    DELETE FROM linqi_attempts WHERE number IN (
        SELECT number FROM linqi_attempts WHERE until <= p_now
        ORDER BY until LIMIT 8 FOR UPDATE SKIP LOCKED);
    DELETE FROM linqi_attempts WHERE number IN (
        SELECT number FROM linqi_attempts
        WHERE number <= (SELECT max(number) FROM linqi_attempts) - p_most_entries
        ORDER BY number LIMIT 8 FOR UPDATE SKIP LOCKED);
END $$;
