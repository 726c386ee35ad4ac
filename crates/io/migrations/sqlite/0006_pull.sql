-- An upload whose bytes the server fetches itself, while it is open. url and bearer may hold secrets, so the row goes with
-- the upload's end. mark: the ETag or date of the file, so that a later connection continues the same one. place: where
-- a fresh address is asked for (JSON), when this one can grow old.
CREATE TABLE pull (
  upload_id  BLOB PRIMARY KEY,
  app_id     BLOB NOT NULL,
  video_id   BLOB NOT NULL UNIQUE,
  url        TEXT NOT NULL,
  bearer     TEXT,
  mark       TEXT,
  restarts   INTEGER NOT NULL,
  place      TEXT,
  created_ms INTEGER NOT NULL
);

-- Every event of Zoom about recordings that was taken, and every recording file once, whatever repeats.
CREATE TABLE zoom_event (
  account_id   TEXT NOT NULL,
  meeting_uuid TEXT NOT NULL,
  event        TEXT NOT NULL,
  event_ms     INTEGER NOT NULL,
  deliveries   INTEGER NOT NULL,
  created_ms   INTEGER NOT NULL,
  PRIMARY KEY (account_id, meeting_uuid, event, event_ms)
);
CREATE TABLE zoom_file (
  account_id   TEXT NOT NULL,
  meeting_uuid TEXT NOT NULL,
  file_key     TEXT NOT NULL,
  upload_id    BLOB NOT NULL,
  created_ms   INTEGER NOT NULL,
  PRIMARY KEY (account_id, meeting_uuid, file_key)
);
