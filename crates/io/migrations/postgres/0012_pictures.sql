-- storyboard: what is on the sheets of a video, core::storyboard::Storyboard as JSON; none while there are no sheets.
-- preview_id: the short moving picture for cards.
ALTER TABLE video ADD COLUMN storyboard jsonb;
ALTER TABLE video ADD COLUMN preview_id uuid;

-- The sheets of a storyboard in their order, from 1.
CREATE TABLE sheet (
  video_id   uuid NOT NULL REFERENCES video (id) ON DELETE CASCADE,
  number     bigint NOT NULL,
  object_id  uuid NOT NULL,
  PRIMARY KEY (video_id, number)
);
