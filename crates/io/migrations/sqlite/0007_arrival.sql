-- Originals outside that were, or are being, brought in: files of a watched folder, objects of a bucket, paths that are
-- to go. source: the folder, the bucket, or path. mark: what the original was, so that it is taken once.
-- settled_ms: when its original was dealt with; such a row stays only as long as the original may be seen again.
CREATE TABLE arrival (
  upload_id   BLOB PRIMARY KEY,
  app_id      BLOB NOT NULL,
  video_id    BLOB NOT NULL,
  source      TEXT NOT NULL,
  name        TEXT NOT NULL,
  mark        TEXT NOT NULL,
  ending      TEXT NOT NULL,
  settled_ms  INTEGER,
  next_ms     INTEGER NOT NULL,
  UNIQUE (source, mark)
);
CREATE INDEX arrival_due ON arrival (next_ms) WHERE settled_ms IS NULL;
