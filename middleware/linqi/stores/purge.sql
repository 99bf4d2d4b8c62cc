-- Deletes at most {most} rows that are over of each table, and returns how many in all. $1: now; $2: ends
-- of device tokens before this are over; $3: a lock, with which one worker deletes at a time, so that many
-- do not occupy the server together. A row that is locked waits for the next time. The limit is text: a
-- parameter would be planned as a tenth of the table.
WITH turn AS MATERIALIZED (SELECT pg_try_advisory_xact_lock($3) AS is_ours),
sessions AS (DELETE FROM linqi_sessions WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM linqi_sessions WHERE ends_at <= $1 AND (SELECT is_ours FROM turn)
    ORDER BY ends_at LIMIT {most} FOR UPDATE SKIP LOCKED)) RETURNING 1),
revocations AS (DELETE FROM linqi_revocations WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM linqi_revocations WHERE until <= $1 AND (SELECT is_ours FROM turn)
    ORDER BY until LIMIT {most} FOR UPDATE SKIP LOCKED)) RETURNING 1),
devices AS (DELETE FROM linqi_devices WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM linqi_devices WHERE ended_at <= $2 AND (SELECT is_ours FROM turn)
    ORDER BY ended_at LIMIT {most} FOR UPDATE SKIP LOCKED)) RETURNING 1)
SELECT (SELECT count(*) FROM sessions) + (SELECT count(*) FROM revocations)
    + (SELECT count(*) FROM devices)
