-- The usual case of linqi_redeem for many sessions, in one commit. It waits for no lock, so it is part
-- of no deadlock, and a session that is being changed delays no other: it is left out, as is each one
-- whose current token was not presented. linqi_redeem then decides.
WITH found AS (
    SELECT session_id, deadline, idle
    FROM unnest($1::text[], $2::bigint[], $3::float8[], $4::float8[])
        AS presented (session_id, counter, deadline, idle)
    JOIN linqi_sessions AS s USING (session_id)
    WHERE s.counter = presented.counter AND s.revoked_at = 0
    FOR NO KEY UPDATE OF s SKIP LOCKED
), locked AS MATERIALIZED (
    SELECT *, extract(epoch FROM clock_timestamp())::float8 AS at FROM found
)
UPDATE linqi_sessions AS s SET counter = s.counter + 1, parent = s.counter, rotated_at = at,
    first_rotated_at = at, expires_at = least(floor(at + idle), s.ends_at)
FROM locked
WHERE s.session_id = locked.session_id AND at <= deadline AND at < s.expires_at AND at < s.ends_at
RETURNING s.*
