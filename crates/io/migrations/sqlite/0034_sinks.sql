-- What pages and programs of Transloadit's protocol use. The secret of a key follows from the server's key and its id.
CREATE TABLE assembly_key (
  id         BLOB PRIMARY KEY,
  app_id     BLOB NOT NULL REFERENCES app (id),
  name       TEXT NOT NULL,
  created_ms INTEGER NOT NULL
);
CREATE INDEX assembly_key_app ON assembly_key (app_id, id);

-- body: as it was written. made: what it means. pipeline: by what its videos are made.
CREATE TABLE assembly_template (
  app_id     BLOB NOT NULL REFERENCES app (id),
  name       TEXT NOT NULL,
  body       TEXT NOT NULL,
  pipeline   TEXT NOT NULL,
  made       TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  PRIMARY KEY (app_id, name)
);

-- id: 32 digits, which are the right to look at it and to send its files. base: the address under which its sender reached us.
-- params: as they were signed. steps: what is read out of its videos. notice: where the notification is, sent by holder until held_ms.
CREATE TABLE assembly (
  id             TEXT PRIMARY KEY,
  app_id         BLOB NOT NULL REFERENCES app (id),
  key_id         BLOB NOT NULL,
  state          TEXT NOT NULL,
  problem        TEXT,
  base           TEXT NOT NULL,
  params         TEXT NOT NULL,
  fields         TEXT NOT NULL,
  nonce          TEXT,
  template       TEXT,
  steps          TEXT NOT NULL,
  pipeline       TEXT NOT NULL,
  expected       INTEGER NOT NULL,
  max_bytes      INTEGER,
  created_ms     INTEGER NOT NULL,
  expires_ms     INTEGER NOT NULL,
  executing_ms   INTEGER,
  ended_ms       INTEGER,
  notify_url     TEXT,
  notice         TEXT NOT NULL,
  notice_tries   INTEGER NOT NULL,
  notice_next_ms INTEGER,
  notice_status  INTEGER,
  notice_took_ms INTEGER,
  holder         TEXT,
  held_ms        INTEGER NOT NULL
);
CREATE INDEX assembly_app ON assembly (app_id, id);
CREATE INDEX assembly_open ON assembly (created_ms) WHERE ended_ms IS NULL;
CREATE INDEX assembly_ended ON assembly (ended_ms) WHERE ended_ms IS NOT NULL;
CREATE INDEX assembly_notice ON assembly (notice_next_ms) WHERE notice = 'waiting';
CREATE UNIQUE INDEX assembly_nonce ON assembly (key_id, nonce) WHERE nonce IS NOT NULL;

-- number: in the order in which its files were announced. place: in that in which they have arrived.
CREATE TABLE assembly_file (
  assembly_id TEXT NOT NULL REFERENCES assembly (id),
  number      INTEGER NOT NULL,
  place       INTEGER,
  upload_id   BLOB NOT NULL,
  video_id    BLOB NOT NULL,
  step        TEXT NOT NULL,
  field       TEXT NOT NULL,
  name        TEXT NOT NULL,
  meta        TEXT NOT NULL,
  bytes       INTEGER,
  PRIMARY KEY (assembly_id, number)
);
CREATE INDEX assembly_file_upload ON assembly_file (upload_id);

-- A broker has a row of its own here. Who sends to it until held_ms; when it took something last; since when it does not, and why.
ALTER TABLE outbox ADD COLUMN holder TEXT;
ALTER TABLE outbox ADD COLUMN held_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN sent_ms INTEGER;
ALTER TABLE outbox ADD COLUMN failing_ms INTEGER;
ALTER TABLE outbox ADD COLUMN error TEXT;
