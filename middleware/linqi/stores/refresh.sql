-- Applies linqi.sessions.refresh.decide_rotation to one session. It may be created again, beside every
-- schema: workers of an earlier release go on with linqi_present or linqi_refresh, on the same rows.
-- The row lock makes it one step. The clock is read when the lock is held: a command that waited for the
-- lock, or whose process was stopped before, sees how late it is. One that is stopped later holds the
-- lock, so that no other worker can go on before it. The row is written only if it changes.
CREATE OR REPLACE FUNCTION linqi_redeem(
    p_session text, p_counter bigint, p_deadline double precision, p_grace double precision,
    p_recover double precision, p_idle double precision, p_most_forgotten bigint,
    OUT kind text, OUT at double precision, OUT forgotten bigint, OUT after linqi_sessions
) LANGUAGE plpgsql AS $$
DECLARE
    is_known boolean;
BEGIN
    SELECT * INTO after FROM linqi_sessions WHERE session_id = p_session FOR UPDATE;
    is_known := FOUND;
    at := extract(epoch FROM clock_timestamp());
    forgotten := 0;
    IF at > p_deadline THEN
        kind := 'late';
    ELSIF NOT is_known THEN
        kind := 'unknown';
    ELSIF after.revoked_at <> 0 THEN
        kind := 'revoked';
    ELSIF at >= after.expires_at OR at >= after.ends_at THEN
        kind := 'expired';
    ELSIF p_counter = after.counter THEN
        kind := 'rotated';
    ELSIF p_counter > after.counter THEN
        -- More than the worker's setting for a while, after a backup was restored.
        SELECT greatest(p_most_forgotten, max(most.value)::bigint) INTO p_most_forgotten
            FROM linqi_marks AS most JOIN linqi_marks AS ends ON ends.name = 'most_forgotten_until'
            WHERE most.name = 'most_forgotten' AND at < ends.value;
        IF p_counter - after.counter <= p_most_forgotten THEN
            kind := 'recovered';
            forgotten := p_counter - after.counter;
        ELSE
            kind := 'reused';
        END IF;
    ELSIF p_counter = after.parent AND at - after.rotated_at <= p_grace
            AND at - after.first_rotated_at <= greatest(p_grace, p_recover) THEN
        kind := 'replayed';
    ELSIF p_counter = after.parent AND at - after.first_rotated_at <= p_recover THEN
        kind := 'recovered';
    ELSE
        kind := 'reused';
    END IF;
    IF kind IN ('rotated', 'recovered') THEN
        UPDATE linqi_sessions SET counter = greatest(counter, p_counter) + 1, parent = p_counter,
            rotated_at = at,
            first_rotated_at = CASE WHEN p_counter >= counter THEN at ELSE first_rotated_at END,
            expires_at = least(floor(at + p_idle), ends_at)
            WHERE session_id = p_session RETURNING * INTO after;
    ELSIF kind = 'reused' THEN
        UPDATE linqi_sessions SET revoked_at = at, cause = 'reuse'
            WHERE session_id = p_session RETURNING * INTO after;
    END IF;
END $$;

-- What workers of an earlier release call: a counter ahead of the row is reuse.
CREATE OR REPLACE FUNCTION linqi_refresh(
    p_session text, p_counter bigint, p_deadline double precision, p_grace double precision,
    p_recover double precision, p_idle double precision,
    OUT kind text, OUT at double precision, OUT after linqi_sessions
) LANGUAGE sql AS $$
    SELECT kind, at, after
    FROM linqi_redeem(p_session, p_counter, p_deadline, p_grace, p_recover, p_idle, 0)
$$;
