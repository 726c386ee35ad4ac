-- template: the key template by which the key of a copy was made. sha1, sha256: hashes of what the store of an archive gave back.
ALTER TABLE replica ADD COLUMN template TEXT;
ALTER TABLE replica ADD COLUMN sha1 TEXT;
ALTER TABLE replica ADD COLUMN sha256 TEXT;

-- distributing: somebody wants the video in an archive or at a host, and it was not told yet that it is there.
ALTER TABLE video ADD COLUMN distributing INTEGER NOT NULL DEFAULT 0;
ALTER TABLE video ADD COLUMN distributed_ms INTEGER;
CREATE INDEX video_distributing ON video (id) WHERE distributing = 1;
