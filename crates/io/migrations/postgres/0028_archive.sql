-- template: the key template by which the key of a copy was made. sha1, sha256: hashes of what the store of an archive gave back.
ALTER TABLE replica
  ADD COLUMN template text,
  ADD COLUMN sha1     text,
  ADD COLUMN sha256   text;

-- distributing: somebody wants the video in an archive or at a host, and it was not told yet that it is there.
ALTER TABLE video
  ADD COLUMN distributing   boolean NOT NULL DEFAULT FALSE,
  ADD COLUMN distributed_ms bigint;
CREATE INDEX video_distributing ON video (id) WHERE distributing;
