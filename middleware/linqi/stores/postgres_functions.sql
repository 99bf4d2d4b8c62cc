-- Functions that may be created again, beside every schema: workers of an earlier release call them too.

-- Stores a new session, deletes some expired ones of its subject, more than it adds, and revokes the
-- oldest beyond p_most. The advisory lock makes sign-ins of one subject wait for each other, so that
-- none of them miscounts.
CREATE OR REPLACE FUNCTION linqi_create(p_row linqi_sessions, p_most integer) RETURNS SETOF text
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('linqi ' || p_row.subject, 0));
    INSERT INTO linqi_sessions SELECT p_row.* ON CONFLICT DO NOTHING;
    DELETE FROM linqi_sessions WHERE session_id IN (
        SELECT session_id FROM linqi_sessions
        WHERE subject = p_row.subject AND revoked_at = 0 AND expires_at <= p_row.rotated_at
            AND session_id <> p_row.session_id
        LIMIT 20 FOR UPDATE SKIP LOCKED
    );
    RETURN QUERY UPDATE linqi_sessions SET revoked_at = p_row.started_at, cause = 'limit'
        WHERE session_id IN (
            SELECT session_id FROM linqi_sessions
            WHERE subject = p_row.subject AND revoked_at = 0 AND expires_at > p_row.started_at
                AND session_id <> p_row.session_id
            ORDER BY started_at DESC, session_id DESC OFFSET p_most - 1
        ) RETURNING session_id;
END $$;
