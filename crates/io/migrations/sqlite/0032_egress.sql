-- What went out of each place of each video on a day, counted in days of Unix time: bytes and milliseconds of it that were sent, and
-- viewers that were sent there. At hosts nobody counts the bytes. No foreign key: it stays when the video is gone.
CREATE TABLE egress (
  day      INTEGER NOT NULL,
  place    TEXT NOT NULL,
  video_id BLOB NOT NULL,
  app_id   BLOB NOT NULL,
  bytes    INTEGER NOT NULL,
  media_ms INTEGER NOT NULL,
  starts   INTEGER NOT NULL,
  PRIMARY KEY (day, place, video_id)
);
CREATE INDEX egress_app ON egress (app_id);

-- The last sum that a run of a node has added, so that none is added twice.
CREATE TABLE egress_mark (
  holder TEXT PRIMARY KEY,
  seq    INTEGER NOT NULL,
  at_ms  INTEGER NOT NULL
);

-- Price cards that somebody has written over those that were there.
CREATE TABLE price_card (
  name       TEXT PRIMARY KEY,
  card       TEXT NOT NULL,
  updated_ms INTEGER NOT NULL
);
