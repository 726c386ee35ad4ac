-- Times are whole milliseconds of Unix time. Ids are UUIDv7. Text of states is made and read only in matinee_io::db.

CREATE TABLE app (
  id          BLOB PRIMARY KEY,
  name        TEXT NOT NULL UNIQUE,
  created_ms  INTEGER NOT NULL
);

CREATE TABLE collection (
  id          BLOB PRIMARY KEY,
  app_id      BLOB NOT NULL REFERENCES app (id),
  name        TEXT NOT NULL,
  created_ms  INTEGER NOT NULL,
  UNIQUE (app_id, name)
);

-- Only the hash of a secret is kept. kind: claim (the first administrator's link), session (a browser), api.
CREATE TABLE token (
  id          BLOB PRIMARY KEY,
  app_id      BLOB NOT NULL REFERENCES app (id),
  kind        TEXT NOT NULL,
  name        TEXT NOT NULL,
  hash        BLOB NOT NULL UNIQUE,
  scopes      TEXT NOT NULL,
  created_ms  INTEGER NOT NULL,
  expires_ms  INTEGER,
  used_ms     INTEGER
);

-- offset_bytes never exceeds what fdatasync has confirmed. epoch fences offset commits of an evicted connection.
CREATE TABLE upload (
  id            BLOB PRIMARY KEY,
  app_id        BLOB NOT NULL,
  collection_id BLOB NOT NULL,
  video_id      BLOB NOT NULL UNIQUE,
  object_id     BLOB NOT NULL UNIQUE,
  url_key       TEXT NOT NULL UNIQUE,
  way           TEXT NOT NULL,
  state         TEXT NOT NULL,
  title         TEXT NOT NULL,
  metadata      TEXT NOT NULL,
  size_bytes    INTEGER,
  offset_bytes  INTEGER NOT NULL,
  epoch         INTEGER NOT NULL,
  reason        TEXT,
  created_ms    INTEGER NOT NULL,
  updated_ms    INTEGER NOT NULL,
  expires_ms    INTEGER NOT NULL,
  finished_ms   INTEGER
);
CREATE INDEX upload_open ON upload (expires_ms) WHERE state = 'open';
CREATE INDEX upload_app ON upload (app_id, id);

-- generation is the set of renditions that is served: 0 none yet, 1 the virtual layout of the source, 2 the encoded ladder.
CREATE TABLE video (
  id            BLOB PRIMARY KEY,
  app_id        BLOB NOT NULL,
  collection_id BLOB NOT NULL,
  upload_id     BLOB NOT NULL,
  source_id     BLOB NOT NULL,
  work_id       BLOB,
  poster_id     BLOB,
  title         TEXT NOT NULL,
  external_id   TEXT,
  policy        TEXT NOT NULL,
  state         TEXT NOT NULL,
  reason        TEXT,
  damaged       TEXT,
  generation    INTEGER NOT NULL,
  duration_ms   INTEGER,
  probe         TEXT,
  plan          TEXT,
  created_ms    INTEGER NOT NULL,
  updated_ms    INTEGER NOT NULL,
  playable_ms   INTEGER,
  ready_ms      INTEGER,
  deleted_ms    INTEGER,
  UNIQUE (app_id, external_id)
);
CREATE INDEX video_app ON video (app_id, id);

CREATE TABLE rendition (
  id          BLOB PRIMARY KEY,
  app_id      BLOB NOT NULL,
  video_id    BLOB NOT NULL REFERENCES video (id),
  generation  INTEGER NOT NULL,
  name        TEXT NOT NULL,
  media       TEXT NOT NULL,
  place       INTEGER NOT NULL,
  state       TEXT NOT NULL,
  reason      TEXT,
  codec       TEXT,
  width       INTEGER,
  height      INTEGER,
  rate_num    INTEGER,
  rate_den    INTEGER,
  channels    INTEGER,
  language    TEXT,
  timescale   INTEGER,
  init        BLOB,
  entry_hash  BLOB,
  file_id     BLOB,
  file_bytes  INTEGER,
  created_ms  INTEGER NOT NULL,
  ready_ms    INTEGER,
  UNIQUE (video_id, generation, name)
);

-- The segment tables: a run of consecutive segments of one rendition. rows: core::media::segment::Row, encoded.
-- source_id is set when object_id is a sidecar whose segments gather ranges of that object.
CREATE TABLE part (
  rendition_id BLOB NOT NULL REFERENCES rendition (id),
  first        INTEGER NOT NULL,
  segments     INTEGER NOT NULL,
  object_id    BLOB NOT NULL,
  source_id    BLOB,
  bytes        INTEGER NOT NULL,
  rows         BLOB NOT NULL,
  PRIMARY KEY (rendition_id, first)
);
CREATE INDEX part_object ON part (object_id);
CREATE INDEX part_source ON part (source_id) WHERE source_id IS NOT NULL;

-- job_id and attempt: the attempt that writes the bytes; while it lives nobody else touches them.
CREATE TABLE object (
  id           BLOB PRIMARY KEY,
  app_id       BLOB NOT NULL,
  video_id     BLOB NOT NULL,
  kind         TEXT NOT NULL,
  size_bytes   INTEGER,
  blake3       BLOB,
  job_id       BLOB,
  attempt      INTEGER,
  created_ms   INTEGER NOT NULL
);
CREATE INDEX object_video ON object (video_id);

CREATE TABLE replica (
  object_id    BLOB NOT NULL REFERENCES object (id),
  store        TEXT NOT NULL,
  state        TEXT NOT NULL,
  verified_ms  INTEGER,
  PRIMARY KEY (object_id, store)
);

-- One row for each thing outside that costs money, written before the thing exists, kept until it is proven gone.
CREATE TABLE ledger (
  id           BLOB PRIMARY KEY,
  app_id       BLOB NOT NULL,
  video_id     BLOB NOT NULL,
  object_id    BLOB NOT NULL,
  place        TEXT NOT NULL,
  kind         TEXT NOT NULL,
  state        TEXT NOT NULL,
  reason       TEXT,
  attempts     INTEGER NOT NULL,
  next_try_ms  INTEGER,
  last_error   TEXT,
  proof        TEXT,
  created_ms   INTEGER NOT NULL,
  proven_ms    INTEGER
);
CREATE INDEX ledger_due ON ledger (next_try_ms) WHERE state = 'to_delete';
CREATE INDEX ledger_intended ON ledger (created_ms) WHERE state = 'intended';
CREATE INDEX ledger_object ON ledger (object_id);
CREATE INDEX ledger_video ON ledger (video_id);

-- state: 0 blocked 1 ready 2 leased 3 done 4 dead 5 cancelled. prio, weight: lower first.
-- attempt is the fencing number; failures count for the retry rules from the attempt after tries_from on.
CREATE TABLE job (
  id               BLOB PRIMARY KEY,
  app_id           BLOB NOT NULL,
  kind             TEXT NOT NULL,
  state            INTEGER NOT NULL,
  prio             INTEGER NOT NULL,
  weight           INTEGER NOT NULL,
  video_id         BLOB,
  needs            INTEGER NOT NULL,
  run_at_ms        INTEGER NOT NULL,
  attempt          INTEGER NOT NULL,
  tries_from       INTEGER NOT NULL,
  lease_until_ms   INTEGER,
  lease_token      BLOB,
  holder           TEXT,
  cancel_requested INTEGER NOT NULL,
  idem_key         TEXT UNIQUE,
  payload          TEXT NOT NULL,
  progress         TEXT,
  result           TEXT,
  last_error       TEXT,
  created_ms       INTEGER NOT NULL,
  started_ms       INTEGER,
  finished_ms      INTEGER
);
CREATE INDEX job_ready ON job (kind, app_id, prio, weight, id) WHERE state = 1;
CREATE INDEX job_leased ON job (lease_until_ms) WHERE state = 2;
CREATE INDEX job_blocked ON job (kind) WHERE state = 0;
CREATE INDEX job_dead ON job (kind) WHERE state = 4;
CREATE INDEX job_video ON job (video_id);
CREATE INDEX job_over ON job (finished_ms) WHERE state >= 3;

-- on_death: what the death of the needed job does to the waiting one: kill or release.
CREATE TABLE job_dep (
  job_id   BLOB NOT NULL REFERENCES job (id) ON DELETE CASCADE,
  needs_id BLOB NOT NULL,
  on_death TEXT NOT NULL,
  PRIMARY KEY (job_id, needs_id)
);
CREATE INDEX job_dep_needs ON job_dep (needs_id);

CREATE TABLE job_attempt (
  job_id     BLOB NOT NULL REFERENCES job (id) ON DELETE CASCADE,
  attempt    INTEGER NOT NULL,
  holder     TEXT NOT NULL,
  started_ms INTEGER NOT NULL,
  ended_ms   INTEGER,
  outcome    TEXT,
  error      TEXT,
  PRIMARY KEY (job_id, attempt)
);

-- The outbox. seq grows in the order of commits: writers take a lock before they draw it (see db::event).
CREATE TABLE event (
  seq          INTEGER PRIMARY KEY AUTOINCREMENT,
  id           BLOB NOT NULL UNIQUE,
  app_id       BLOB NOT NULL,
  topic        TEXT NOT NULL,
  subject      TEXT NOT NULL,
  payload      TEXT NOT NULL,
  created_ms   INTEGER NOT NULL,
  published_ms INTEGER
);
CREATE INDEX event_subject ON event (subject, seq);
CREATE INDEX event_app ON event (app_id, seq);
