-- An upload whose bytes the server fetches itself, while it is open. url and bearer may hold secrets, so the row goes with
-- the upload's end. mark: the ETag or date of the file, so that a later connection continues the same one. place: where
-- a fresh address is asked for (JSON), when this one can grow old.
CREATE TABLE pull (
  upload_id  uuid PRIMARY KEY,
  app_id     uuid NOT NULL,
  video_id   uuid NOT NULL UNIQUE,
  url        text NOT NULL,
  bearer     text,
  mark       text,
  restarts   bigint NOT NULL,
  place      jsonb,
  created_ms bigint NOT NULL
);

-- Every event of Zoom about recordings that was taken, and every recording file once, whatever repeats.
CREATE TABLE zoom_event (
  account_id   text NOT NULL,
  meeting_uuid text NOT NULL,
  event        text NOT NULL,
  event_ms     bigint NOT NULL,
  deliveries   bigint NOT NULL,
  created_ms   bigint NOT NULL,
  PRIMARY KEY (account_id, meeting_uuid, event, event_ms)
);
CREATE TABLE zoom_file (
  account_id   text NOT NULL,
  meeting_uuid text NOT NULL,
  file_key     text NOT NULL,
  upload_id    uuid NOT NULL,
  created_ms   bigint NOT NULL,
  PRIMARY KEY (account_id, meeting_uuid, file_key)
);
