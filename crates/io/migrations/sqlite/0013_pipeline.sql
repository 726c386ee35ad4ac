-- pipeline: the name of the template by which it is encoded.
ALTER TABLE upload ADD COLUMN pipeline TEXT NOT NULL DEFAULT 'default';
ALTER TABLE video ADD COLUMN pipeline TEXT NOT NULL DEFAULT 'default';
