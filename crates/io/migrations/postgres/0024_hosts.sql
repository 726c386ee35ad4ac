-- A thing outside is an object in a store, or a video at a host: the one has object_id, the other publication_id.
-- asked_ms: when a host was last asked to make it; looks: looks for it by its key since then that found nothing; remote_id: its
-- name there; control_ms: when something that was proven gone is looked for once more.
ALTER TABLE ledger ALTER COLUMN object_id DROP NOT NULL;
ALTER TABLE ledger ADD COLUMN publication_id uuid;
ALTER TABLE ledger ADD COLUMN remote_id text;
ALTER TABLE ledger ADD COLUMN asked_ms bigint;
ALTER TABLE ledger ADD COLUMN looks bigint NOT NULL DEFAULT 0;
ALTER TABLE ledger ADD COLUMN control_ms bigint;
CREATE INDEX ledger_publication ON ledger (publication_id) WHERE publication_id IS NOT NULL;
CREATE UNIQUE INDEX ledger_remote ON ledger (place, remote_id) WHERE remote_id IS NOT NULL;
CREATE INDEX ledger_control ON ledger (control_ms) WHERE control_ms IS NOT NULL;

-- A video at a host. Its id is the create key, which travels into the remote video. No foreign key: what is deleted here goes on
-- in the ledger. target: where bytes go, sealed.
CREATE TABLE publication (
  id           uuid PRIMARY KEY,
  app_id       uuid NOT NULL,
  video_id     uuid NOT NULL,
  host         text NOT NULL,
  phase        text NOT NULL,
  percent      bigint,
  remote_id    text,
  target       bytea,
  offset_bytes bigint NOT NULL,
  size_bytes   bigint,
  duration_ms  bigint,
  stored_bytes bigint,
  facts        jsonb,
  reason       jsonb,
  unchanged    bigint NOT NULL,
  failures     bigint NOT NULL,
  hinted_ms    bigint,
  seen_ms      bigint,
  next_ask_ms  bigint,
  created_ms   bigint NOT NULL,
  updated_ms   bigint NOT NULL,
  UNIQUE (video_id, host)
);
CREATE UNIQUE INDEX publication_remote ON publication (host, remote_id) WHERE remote_id IS NOT NULL;
CREATE INDEX publication_ask ON publication (host, next_ask_ms) WHERE next_ask_ms IS NOT NULL;
CREATE INDEX publication_hint ON publication (host) WHERE hinted_ms IS NOT NULL;

-- What all nodes share of a host: its circuit breaker (open since open_ms), its token bucket, when it is listed next, and when
-- all of it is compared with the ledger.
CREATE TABLE host (
  name       text PRIMARY KEY,
  identity   text NOT NULL,
  open_ms    bigint,
  probe_ms   bigint,
  failures   bigint NOT NULL,
  left_milli bigint NOT NULL,
  left_ms    bigint NOT NULL,
  poll_ms    bigint NOT NULL,
  scan_ms    bigint NOT NULL,
  spoke_ms   bigint,
  error      text,
  error_ms   bigint
);

-- Which node does a duty of a host, until when.
CREATE TABLE host_turn (
  host     text NOT NULL,
  duty     text NOT NULL,
  holder   text NOT NULL,
  until_ms bigint NOT NULL,
  PRIMARY KEY (host, duty)
);

-- The last calls of each host.
CREATE TABLE host_call (
  seq     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  host    text NOT NULL,
  name    text NOT NULL,
  error   text,
  took_ms bigint NOT NULL,
  at_ms   bigint NOT NULL
);
CREATE INDEX host_call_host ON host_call (host, seq);
