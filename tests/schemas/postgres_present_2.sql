-- The function of schema 2 that judged by the clock of the worker, beside the tables of postgres.sql.
CREATE FUNCTION linqi_present(
    p_session text, p_counter bigint, p_now double precision, p_grace double precision,
    p_recover double precision, p_idle double precision, OUT kind text, OUT after linqi_sessions
) LANGUAGE plpgsql AS $$
BEGIN
    -- The usual case in one statement.
    UPDATE linqi_sessions SET counter = counter + 1, parent = p_counter, rotated_at = p_now,
        first_rotated_at = p_now, expires_at = least(floor(p_now + p_idle), ends_at)
        WHERE session_id = p_session AND counter = p_counter AND revoked_at = 0
            AND p_now < expires_at AND p_now < ends_at
        RETURNING * INTO after;
    IF FOUND THEN
        kind := 'rotated';
        RETURN;
    END IF;
    SELECT * INTO after FROM linqi_sessions WHERE session_id = p_session FOR UPDATE;
    IF NOT FOUND THEN
        kind := 'unknown';
    ELSIF after.revoked_at <> 0 THEN
        kind := 'revoked';
    ELSIF p_now >= after.expires_at OR p_now >= after.ends_at THEN
        kind := 'expired';
    ELSIF p_counter = after.counter THEN
        kind := 'rotated';
    ELSIF p_counter = after.parent AND p_now - after.rotated_at <= p_grace
            AND p_now - after.first_rotated_at <= greatest(p_grace, p_recover) THEN
        kind := 'replayed';
    ELSIF p_counter = after.parent AND p_now - after.first_rotated_at <= p_recover THEN
        kind := 'recovered';
    ELSE
        kind := 'reused';
    END IF;
    IF kind IN ('rotated', 'recovered') THEN
        UPDATE linqi_sessions SET counter = counter + 1, parent = p_counter, rotated_at = p_now,
            first_rotated_at = CASE WHEN kind = 'rotated' THEN p_now ELSE first_rotated_at END,
            expires_at = least(floor(p_now + p_idle), ends_at)
            WHERE session_id = p_session RETURNING * INTO after;
    ELSIF kind = 'reused' THEN
        UPDATE linqi_sessions SET revoked_at = p_now, cause = 'reuse'
            WHERE session_id = p_session RETURNING * INTO after;
    END IF;
END $$;
