-- title: what the source calls a track, written by a stranger; the first sound of a generation plays unless another is chosen.
ALTER TABLE rendition ADD COLUMN title TEXT;

-- The words of a video. name: s1, s2, ... for those of the source, and the language tag of those that somebody added.
-- object_id: the WebVTT file, when it is ready.
CREATE TABLE caption (
  video_id    BLOB NOT NULL REFERENCES video (id),
  name        TEXT NOT NULL,
  added       INTEGER NOT NULL,
  place       INTEGER NOT NULL,
  language    TEXT NOT NULL,
  title       TEXT NOT NULL,
  forced      INTEGER NOT NULL,
  state       TEXT NOT NULL,
  reason      TEXT,
  object_id   BLOB,
  created_ms  INTEGER NOT NULL,
  PRIMARY KEY (video_id, name)
);
CREATE INDEX caption_object ON caption (object_id) WHERE object_id IS NOT NULL;
