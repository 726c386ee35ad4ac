-- title: what the source calls a track, written by a stranger; the first sound of a generation plays unless another is chosen.
ALTER TABLE rendition ADD COLUMN title text;

-- The words of a video. name: s1, s2, ... for those of the source, and the language tag of those that somebody added.
-- object_id: the WebVTT file, when it is ready.
CREATE TABLE caption (
  video_id    uuid NOT NULL REFERENCES video (id),
  name        text NOT NULL,
  added       boolean NOT NULL,
  place       bigint NOT NULL,
  language    text NOT NULL,
  title       text NOT NULL,
  forced      boolean NOT NULL,
  state       text NOT NULL,
  reason      jsonb,
  object_id   uuid,
  created_ms  bigint NOT NULL,
  PRIMARY KEY (video_id, name)
);
CREATE INDEX caption_object ON caption (object_id) WHERE object_id IS NOT NULL;
