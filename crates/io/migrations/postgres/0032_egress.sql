-- What went out of each place of each video on a day, counted in days of Unix time: bytes and milliseconds of it that were sent, and
-- viewers that were sent there. At hosts nobody counts the bytes. No foreign key: it stays when the video is gone.
CREATE TABLE egress (
  day      bigint NOT NULL,
  place    text NOT NULL,
  video_id uuid NOT NULL,
  app_id   uuid NOT NULL,
  bytes    bigint NOT NULL,
  media_ms bigint NOT NULL,
  starts   bigint NOT NULL,
  PRIMARY KEY (day, place, video_id)
);
CREATE INDEX egress_app ON egress (app_id);

-- The last sum that a run of a node has added, so that none is added twice.
CREATE TABLE egress_mark (
  holder text PRIMARY KEY,
  seq    bigint NOT NULL,
  at_ms  bigint NOT NULL
);

-- Price cards that somebody has written over those that were there.
CREATE TABLE price_card (
  name       text PRIMARY KEY,
  card       text NOT NULL,
  updated_ms bigint NOT NULL
);
