-- A copy of an object in a store, by the id of its ledger row. key: where it lies there (the local store goes by the object).
-- version: what the store calls exactly these bytes. begun_*: an upload in parts that was not finished yet.
-- job_id and attempt: who writes it. replaces: the copy that goes when this one is proven.
ALTER TABLE replica
  ADD COLUMN id               uuid,
  ADD COLUMN key              text NOT NULL DEFAULT '',
  ADD COLUMN version          text,
  ADD COLUMN begun_upload     text,
  ADD COLUMN begun_part_bytes bigint,
  ADD COLUMN job_id           uuid,
  ADD COLUMN attempt          bigint,
  ADD COLUMN replaces         uuid,
  ADD COLUMN reason           text,
  ADD COLUMN created_ms       bigint;
UPDATE replica SET id = object_id, created_ms = (SELECT created_ms FROM object WHERE object.id = replica.object_id);
ALTER TABLE replica ALTER COLUMN id SET NOT NULL;
ALTER TABLE replica ALTER COLUMN created_ms SET NOT NULL;
ALTER TABLE replica ALTER COLUMN key DROP DEFAULT;
ALTER TABLE replica DROP CONSTRAINT replica_pkey;
ALTER TABLE replica ADD PRIMARY KEY (id);
-- Nobody makes two copies for one.
CREATE UNIQUE INDEX replica_once ON replica (object_id, store) WHERE state IN ('intended', 'present');
CREATE INDEX replica_object ON replica (object_id);
CREATE INDEX replica_scrub ON replica (store, verified_ms) WHERE state = 'present';
CREATE INDEX replica_open ON replica (store, state) WHERE state <> 'present';

-- placed: the rules by which the copies of an object were looked at last; NULL when that is to be done.
ALTER TABLE object ADD COLUMN placed text;
CREATE INDEX object_placed ON object (placed, id);

-- What is known of a store besides its configuration. away_ms: since when it does not answer. draining_ms: since when it is
-- being emptied.
CREATE TABLE store_state (
  name        text PRIMARY KEY,
  draining_ms bigint,
  away_ms     bigint,
  retry_ms    bigint,
  error       text,
  seen_ms     bigint
);
