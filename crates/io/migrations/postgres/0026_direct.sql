-- A video that came straight to a host has no source of ours: source_id is NULL.
ALTER TABLE video ALTER COLUMN source_id DROP NOT NULL;
