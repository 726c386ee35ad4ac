-- What a job is expected to need: milliseconds of one core as our figures say, and resident bytes.
ALTER TABLE job ADD COLUMN cost_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE job ADD COLUMN memory_bytes INTEGER NOT NULL DEFAULT 0;

-- A job that must not begin yet is passed over inside the index; the lists of one app read only its rows.
DROP INDEX job_ready;
CREATE INDEX job_ready ON job (kind, app_id, prio, weight, id, run_at_ms) WHERE state = 1;
DROP INDEX job_blocked;
CREATE INDEX job_blocked ON job (app_id, kind) WHERE state = 0;
DROP INDEX job_dead;
CREATE INDEX job_dead ON job (app_id, kind) WHERE state = 4;

-- The programs that an attempt ran: arguments, last words, what they used.
ALTER TABLE job_attempt ADD COLUMN runs TEXT;

-- From when on no work of this app begins.
ALTER TABLE app ADD COLUMN paused_ms INTEGER;

-- Not before this moment is a video encoded.
ALTER TABLE upload ADD COLUMN run_after_ms INTEGER;
ALTER TABLE video ADD COLUMN run_after_ms INTEGER;

-- Nodes that work, or did. slots: how many jobs of each kind at once. drained_ms: from when on nothing begins there.
CREATE TABLE node (
  name         TEXT PRIMARY KEY,
  run          TEXT NOT NULL,
  version      TEXT NOT NULL,
  cores        INTEGER NOT NULL,
  memory_bytes INTEGER NOT NULL,
  slots        TEXT NOT NULL,
  facts        TEXT NOT NULL,
  drained_ms   INTEGER,
  started_ms   INTEGER NOT NULL,
  seen_ms      INTEGER NOT NULL,
  stopped_ms   INTEGER
);

-- What finished jobs of a kind took on a node against what they were expected to cost; older ones count less.
CREATE TABLE pace (
  node    TEXT NOT NULL,
  kind    TEXT NOT NULL,
  jobs    INTEGER NOT NULL,
  cost_ms INTEGER NOT NULL,
  took_ms INTEGER NOT NULL,
  PRIMARY KEY (node, kind)
);

-- Few renditions fail; what is kept of them is looked for now and then.
CREATE INDEX rendition_failed ON rendition (video_id) WHERE state = 'failed';
