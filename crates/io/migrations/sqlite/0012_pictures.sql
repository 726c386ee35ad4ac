-- storyboard: what is on the sheets of a video, core::storyboard::Storyboard as JSON; none while there are no sheets.
-- preview_id: the short moving picture for cards.
ALTER TABLE video ADD COLUMN storyboard TEXT;
ALTER TABLE video ADD COLUMN preview_id BLOB;

-- The sheets of a storyboard in their order, from 1.
CREATE TABLE sheet (
  video_id   BLOB NOT NULL REFERENCES video (id) ON DELETE CASCADE,
  number     INTEGER NOT NULL,
  object_id  BLOB NOT NULL,
  PRIMARY KEY (video_id, number)
);
