-- A copy of an object in a store, by the id of its ledger row. key: where it lies there (the local store goes by the object).
-- version: what the store calls exactly these bytes. begun_*: an upload in parts that was not finished yet.
-- job_id and attempt: who writes it. replaces: the copy that goes when this one is proven.
CREATE TABLE copy (
  id               BLOB PRIMARY KEY,
  object_id        BLOB NOT NULL REFERENCES object (id),
  store            TEXT NOT NULL,
  key              TEXT NOT NULL,
  state            TEXT NOT NULL,
  version          TEXT,
  begun_upload     TEXT,
  begun_part_bytes INTEGER,
  job_id           BLOB,
  attempt          INTEGER,
  replaces         BLOB,
  reason           TEXT,
  created_ms       INTEGER NOT NULL,
  verified_ms      INTEGER
);
INSERT INTO copy (id, object_id, store, key, state, created_ms, verified_ms)
  SELECT r.object_id, r.object_id, r.store, '', r.state, o.created_ms, r.verified_ms
  FROM replica r JOIN object o ON o.id = r.object_id;
DROP TABLE replica;
ALTER TABLE copy RENAME TO replica;
-- Nobody makes two copies for one.
CREATE UNIQUE INDEX replica_once ON replica (object_id, store) WHERE state IN ('intended', 'present');
CREATE INDEX replica_object ON replica (object_id);
CREATE INDEX replica_scrub ON replica (store, verified_ms) WHERE state = 'present';
CREATE INDEX replica_open ON replica (store, state) WHERE state <> 'present';

-- placed: the rules by which the copies of an object were looked at last; NULL when that is to be done.
ALTER TABLE object ADD COLUMN placed TEXT;
CREATE INDEX object_placed ON object (placed, id);

-- What is known of a store besides its configuration. away_ms: since when it does not answer. draining_ms: since when it is
-- being emptied.
CREATE TABLE store_state (
  name        TEXT PRIMARY KEY,
  draining_ms INTEGER,
  away_ms     INTEGER,
  retry_ms    INTEGER,
  error       TEXT,
  seen_ms     INTEGER
);
