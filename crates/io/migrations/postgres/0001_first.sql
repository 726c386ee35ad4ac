-- Times are whole milliseconds of Unix time. Ids are UUIDv7. Text of states is made and read only in matinee_io::db.

CREATE TABLE app (
  id          uuid PRIMARY KEY,
  name        text NOT NULL UNIQUE,
  created_ms  bigint NOT NULL
);

CREATE TABLE collection (
  id          uuid PRIMARY KEY,
  app_id      uuid NOT NULL REFERENCES app (id),
  name        text NOT NULL,
  created_ms  bigint NOT NULL,
  UNIQUE (app_id, name)
);

-- Only the hash of a secret is kept. kind: claim (the first administrator's link), session (a browser), api.
CREATE TABLE token (
  id          uuid PRIMARY KEY,
  app_id      uuid NOT NULL REFERENCES app (id),
  kind        text NOT NULL,
  name        text NOT NULL,
  hash        bytea NOT NULL UNIQUE,
  scopes      text NOT NULL,
  created_ms  bigint NOT NULL,
  expires_ms  bigint,
  used_ms     bigint
);

-- offset_bytes never exceeds what fdatasync has confirmed. epoch fences offset commits of an evicted connection.
CREATE TABLE upload (
  id            uuid PRIMARY KEY,
  app_id        uuid NOT NULL,
  collection_id uuid NOT NULL,
  video_id      uuid NOT NULL UNIQUE,
  object_id     uuid NOT NULL UNIQUE,
  url_key       text NOT NULL UNIQUE,
  way           text NOT NULL,
  state         text NOT NULL,
  title         text NOT NULL,
  metadata      text NOT NULL,
  size_bytes    bigint,
  offset_bytes  bigint NOT NULL,
  epoch         bigint NOT NULL,
  reason        jsonb,
  created_ms    bigint NOT NULL,
  updated_ms    bigint NOT NULL,
  expires_ms    bigint NOT NULL,
  finished_ms   bigint
);
CREATE INDEX upload_open ON upload (expires_ms) WHERE state = 'open';
CREATE INDEX upload_app ON upload (app_id, id);

-- generation is the set of renditions that is served: 0 none yet, 1 the virtual layout of the source, 2 the encoded ladder.
CREATE TABLE video (
  id            uuid PRIMARY KEY,
  app_id        uuid NOT NULL,
  collection_id uuid NOT NULL,
  upload_id     uuid NOT NULL,
  source_id     uuid NOT NULL,
  work_id       uuid,
  poster_id     uuid,
  title         text NOT NULL,
  external_id   text,
  policy        text NOT NULL,
  state         text NOT NULL,
  reason        jsonb,
  damaged       jsonb,
  generation    bigint NOT NULL,
  duration_ms   bigint,
  probe         jsonb,
  plan          jsonb,
  created_ms    bigint NOT NULL,
  updated_ms    bigint NOT NULL,
  playable_ms   bigint,
  ready_ms      bigint,
  deleted_ms    bigint,
  UNIQUE (app_id, external_id)
);
CREATE INDEX video_app ON video (app_id, id);

CREATE TABLE rendition (
  id          uuid PRIMARY KEY,
  app_id      uuid NOT NULL,
  video_id    uuid NOT NULL REFERENCES video (id),
  generation  bigint NOT NULL,
  name        text NOT NULL,
  media       text NOT NULL,
  place       bigint NOT NULL,
  state       text NOT NULL,
  reason      jsonb,
  codec       text,
  width       bigint,
  height      bigint,
  rate_num    bigint,
  rate_den    bigint,
  channels    bigint,
  language    text,
  timescale   bigint,
  init        bytea,
  entry_hash  bytea,
  file_id     uuid,
  file_bytes  bigint,
  created_ms  bigint NOT NULL,
  ready_ms    bigint,
  UNIQUE (video_id, generation, name)
);

-- The segment tables: a run of consecutive segments of one rendition. rows: core::media::segment::Row, encoded.
-- source_id is set when object_id is a sidecar whose segments gather ranges of that object.
CREATE TABLE part (
  rendition_id uuid NOT NULL REFERENCES rendition (id),
  first        bigint NOT NULL,
  segments     bigint NOT NULL,
  object_id    uuid NOT NULL,
  source_id    uuid,
  bytes        bigint NOT NULL,
  rows         bytea NOT NULL,
  PRIMARY KEY (rendition_id, first)
);
CREATE INDEX part_object ON part (object_id);
CREATE INDEX part_source ON part (source_id) WHERE source_id IS NOT NULL;

-- job_id and attempt: the attempt that writes the bytes; while it lives nobody else touches them.
CREATE TABLE object (
  id           uuid PRIMARY KEY,
  app_id       uuid NOT NULL,
  video_id     uuid NOT NULL,
  kind         text NOT NULL,
  size_bytes   bigint,
  blake3       bytea,
  job_id       uuid,
  attempt      bigint,
  created_ms   bigint NOT NULL
);
CREATE INDEX object_video ON object (video_id);

CREATE TABLE replica (
  object_id    uuid NOT NULL REFERENCES object (id),
  store        text NOT NULL,
  state        text NOT NULL,
  verified_ms  bigint,
  PRIMARY KEY (object_id, store)
);

-- One row for each thing outside that costs money, written before the thing exists, kept until it is proven gone.
CREATE TABLE ledger (
  id           uuid PRIMARY KEY,
  app_id       uuid NOT NULL,
  video_id     uuid NOT NULL,
  object_id    uuid NOT NULL,
  place        text NOT NULL,
  kind         text NOT NULL,
  state        text NOT NULL,
  reason       text,
  attempts     bigint NOT NULL,
  next_try_ms  bigint,
  last_error   text,
  proof        jsonb,
  created_ms   bigint NOT NULL,
  proven_ms    bigint
);
CREATE INDEX ledger_due ON ledger (next_try_ms) WHERE state = 'to_delete';
CREATE INDEX ledger_intended ON ledger (created_ms) WHERE state = 'intended';
CREATE INDEX ledger_object ON ledger (object_id);
CREATE INDEX ledger_video ON ledger (video_id);

-- state: 0 blocked 1 ready 2 leased 3 done 4 dead 5 cancelled. prio, weight: lower first.
-- attempt is the fencing number; failures count for the retry rules from the attempt after tries_from on.
CREATE TABLE job (
  id               uuid PRIMARY KEY,
  app_id           uuid NOT NULL,
  kind             text NOT NULL,
  state            bigint NOT NULL,
  prio             bigint NOT NULL,
  weight           bigint NOT NULL,
  video_id         uuid,
  needs            bigint NOT NULL,
  run_at_ms        bigint NOT NULL,
  attempt          bigint NOT NULL,
  tries_from       bigint NOT NULL,
  lease_until_ms   bigint,
  lease_token      bytea,
  holder           text,
  cancel_requested boolean NOT NULL,
  idem_key         text UNIQUE,
  payload          jsonb NOT NULL,
  progress         jsonb,
  result           jsonb,
  last_error       jsonb,
  created_ms       bigint NOT NULL,
  started_ms       bigint,
  finished_ms      bigint
);
CREATE INDEX job_ready ON job (kind, app_id, prio, weight, id) WHERE state = 1;
CREATE INDEX job_leased ON job (lease_until_ms) WHERE state = 2;
CREATE INDEX job_blocked ON job (kind) WHERE state = 0;
CREATE INDEX job_dead ON job (kind) WHERE state = 4;
CREATE INDEX job_video ON job (video_id);
CREATE INDEX job_over ON job (finished_ms) WHERE state >= 3;

-- on_death: what the death of the needed job does to the waiting one: kill or release.
CREATE TABLE job_dep (
  job_id   uuid NOT NULL REFERENCES job (id) ON DELETE CASCADE,
  needs_id uuid NOT NULL,
  on_death text NOT NULL,
  PRIMARY KEY (job_id, needs_id)
);
CREATE INDEX job_dep_needs ON job_dep (needs_id);

CREATE TABLE job_attempt (
  job_id     uuid NOT NULL REFERENCES job (id) ON DELETE CASCADE,
  attempt    bigint NOT NULL,
  holder     text NOT NULL,
  started_ms bigint NOT NULL,
  ended_ms   bigint,
  outcome    text,
  error      jsonb,
  PRIMARY KEY (job_id, attempt)
);

-- The outbox. seq grows in the order of commits: writers take a lock before they draw it (see db::event).
CREATE TABLE event (
  seq          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id           uuid NOT NULL UNIQUE,
  app_id       uuid NOT NULL,
  topic        text NOT NULL,
  subject      text NOT NULL,
  payload      jsonb NOT NULL,
  created_ms   bigint NOT NULL,
  published_ms bigint
);
CREATE INDEX event_subject ON event (subject, seq);
CREATE INDEX event_app ON event (app_id, seq);
