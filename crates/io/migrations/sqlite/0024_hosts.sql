-- A thing outside is an object in a store, or a video at a host: the one has object_id, the other publication_id. SQLite cannot
-- make a column nullable, so the table is made anew with all of its rows.
-- asked_ms: when a host was last asked to make it; looks: looks for it by its key since then that found nothing; remote_id: its
-- name there; control_ms: when something that was proven gone is looked for once more.
CREATE TABLE ledger_24 (
  id             BLOB PRIMARY KEY,
  app_id         BLOB NOT NULL,
  video_id       BLOB NOT NULL,
  object_id      BLOB,
  place          TEXT NOT NULL,
  kind           TEXT NOT NULL,
  state          TEXT NOT NULL,
  reason         TEXT,
  attempts       INTEGER NOT NULL,
  next_try_ms    INTEGER,
  last_error     TEXT,
  proof          TEXT,
  created_ms     INTEGER NOT NULL,
  proven_ms      INTEGER,
  publication_id BLOB,
  remote_id      TEXT,
  asked_ms       INTEGER,
  looks          INTEGER NOT NULL DEFAULT 0,
  control_ms     INTEGER
);
INSERT INTO ledger_24 (id, app_id, video_id, object_id, place, kind, state, reason, attempts, next_try_ms, last_error, proof,
    created_ms, proven_ms)
  SELECT id, app_id, video_id, object_id, place, kind, state, reason, attempts, next_try_ms, last_error, proof, created_ms,
    proven_ms FROM ledger;
DROP TABLE ledger;
ALTER TABLE ledger_24 RENAME TO ledger;
CREATE INDEX ledger_due ON ledger (next_try_ms) WHERE state = 'to_delete';
CREATE INDEX ledger_intended ON ledger (created_ms) WHERE state = 'intended';
CREATE INDEX ledger_object ON ledger (object_id);
CREATE INDEX ledger_video ON ledger (video_id);
CREATE INDEX ledger_publication ON ledger (publication_id) WHERE publication_id IS NOT NULL;
CREATE UNIQUE INDEX ledger_remote ON ledger (place, remote_id) WHERE remote_id IS NOT NULL;
CREATE INDEX ledger_control ON ledger (control_ms) WHERE control_ms IS NOT NULL;

-- A video at a host. Its id is the create key, which travels into the remote video. No foreign key: what is deleted here goes on
-- in the ledger. target: where bytes go, sealed.
CREATE TABLE publication (
  id           BLOB PRIMARY KEY,
  app_id       BLOB NOT NULL,
  video_id     BLOB NOT NULL,
  host         TEXT NOT NULL,
  phase        TEXT NOT NULL,
  percent      INTEGER,
  remote_id    TEXT,
  target       BLOB,
  offset_bytes INTEGER NOT NULL,
  size_bytes   INTEGER,
  duration_ms  INTEGER,
  stored_bytes INTEGER,
  facts        TEXT,
  reason       TEXT,
  unchanged    INTEGER NOT NULL,
  failures     INTEGER NOT NULL,
  hinted_ms    INTEGER,
  seen_ms      INTEGER,
  next_ask_ms  INTEGER,
  created_ms   INTEGER NOT NULL,
  updated_ms   INTEGER NOT NULL,
  UNIQUE (video_id, host)
);
CREATE UNIQUE INDEX publication_remote ON publication (host, remote_id) WHERE remote_id IS NOT NULL;
CREATE INDEX publication_ask ON publication (host, next_ask_ms) WHERE next_ask_ms IS NOT NULL;
CREATE INDEX publication_hint ON publication (host) WHERE hinted_ms IS NOT NULL;

-- What all nodes share of a host: its circuit breaker (open since open_ms), its token bucket, when it is listed next, and when
-- all of it is compared with the ledger.
CREATE TABLE host (
  name       TEXT PRIMARY KEY,
  identity   TEXT NOT NULL,
  open_ms    INTEGER,
  probe_ms   INTEGER,
  failures   INTEGER NOT NULL,
  left_milli INTEGER NOT NULL,
  left_ms    INTEGER NOT NULL,
  poll_ms    INTEGER NOT NULL,
  scan_ms    INTEGER NOT NULL,
  spoke_ms   INTEGER,
  error      TEXT,
  error_ms   INTEGER
);

-- Which node does a duty of a host, until when.
CREATE TABLE host_turn (
  host     TEXT NOT NULL,
  duty     TEXT NOT NULL,
  holder   TEXT NOT NULL,
  until_ms INTEGER NOT NULL,
  PRIMARY KEY (host, duty)
);

-- The last calls of each host.
CREATE TABLE host_call (
  seq     INTEGER PRIMARY KEY AUTOINCREMENT,
  host    TEXT NOT NULL,
  name    TEXT NOT NULL,
  error   TEXT,
  took_ms INTEGER NOT NULL,
  at_ms   INTEGER NOT NULL
);
CREATE INDEX host_call_host ON host_call (host, seq);
