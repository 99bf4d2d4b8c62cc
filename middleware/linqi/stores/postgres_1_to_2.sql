-- From schema 1 to 2. A row of schema 1 lacks the time of the parent's first rotation; that of the
-- last one takes its place: such a row can be recovered for longer, once.
ALTER TABLE linqi_sessions ADD COLUMN first_rotated_at double precision;
UPDATE linqi_sessions SET first_rotated_at = rotated_at;
ALTER TABLE linqi_sessions ALTER COLUMN first_rotated_at SET NOT NULL;
CREATE TABLE linqi_marks (name text PRIMARY KEY, value double precision NOT NULL);
DROP FUNCTION linqi_present;
DROP FUNCTION linqi_create;
INSERT INTO linqi_schema VALUES (2);
