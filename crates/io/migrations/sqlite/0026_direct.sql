-- A video that came straight to a host has no source of ours: source_id is NULL. SQLite cannot make a column nullable, so another
-- one takes its place.
ALTER TABLE video ADD COLUMN source_26 BLOB;
UPDATE video SET source_26 = source_id;
ALTER TABLE video DROP COLUMN source_id;
ALTER TABLE video RENAME COLUMN source_26 TO source_id;
