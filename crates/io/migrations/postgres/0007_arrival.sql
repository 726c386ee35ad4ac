-- Originals outside that were, or are being, brought in: files of a watched folder, objects of a bucket, paths that are
-- to go. source: the folder, the bucket, or path. mark: what the original was, so that it is taken once.
-- settled_ms: when its original was dealt with; such a row stays only as long as the original may be seen again.
CREATE TABLE arrival (
  upload_id   uuid PRIMARY KEY,
  app_id      uuid NOT NULL,
  video_id    uuid NOT NULL,
  source      text NOT NULL,
  name        text NOT NULL,
  mark        text NOT NULL,
  ending      jsonb NOT NULL,
  settled_ms  bigint,
  next_ms     bigint NOT NULL,
  UNIQUE (source, mark)
);
CREATE INDEX arrival_due ON arrival (next_ms) WHERE settled_ms IS NULL;
