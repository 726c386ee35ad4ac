-- What pages and programs of Transloadit's protocol use. The secret of a key follows from the server's key and its id.
CREATE TABLE assembly_key (
  id         uuid PRIMARY KEY,
  app_id     uuid NOT NULL REFERENCES app (id),
  name       text NOT NULL,
  created_ms bigint NOT NULL
);
CREATE INDEX assembly_key_app ON assembly_key (app_id, id);

-- body: as it was written. made: what it means. pipeline: by what its videos are made.
CREATE TABLE assembly_template (
  app_id     uuid NOT NULL REFERENCES app (id),
  name       text NOT NULL,
  body       jsonb NOT NULL,
  pipeline   text NOT NULL,
  made       jsonb NOT NULL,
  created_ms bigint NOT NULL,
  PRIMARY KEY (app_id, name)
);

-- id: 32 digits, which are the right to look at it and to send its files. base: the address under which its sender reached us.
-- params: as they were signed. steps: what is read out of its videos. notice: where the notification is, sent by holder until held_ms.
CREATE TABLE assembly (
  id             text PRIMARY KEY,
  app_id         uuid NOT NULL REFERENCES app (id),
  key_id         uuid NOT NULL,
  state          text NOT NULL,
  problem        jsonb,
  base           text NOT NULL,
  params         text NOT NULL,
  fields         jsonb NOT NULL,
  nonce          text,
  template       text,
  steps          jsonb NOT NULL,
  pipeline       text NOT NULL,
  expected       bigint NOT NULL,
  max_bytes      bigint,
  created_ms     bigint NOT NULL,
  expires_ms     bigint NOT NULL,
  executing_ms   bigint,
  ended_ms       bigint,
  notify_url     text,
  notice         text NOT NULL,
  notice_tries   bigint NOT NULL,
  notice_next_ms bigint,
  notice_status  bigint,
  notice_took_ms bigint,
  holder         text,
  held_ms        bigint NOT NULL
);
CREATE INDEX assembly_app ON assembly (app_id, id);
CREATE INDEX assembly_open ON assembly (created_ms) WHERE ended_ms IS NULL;
CREATE INDEX assembly_ended ON assembly (ended_ms) WHERE ended_ms IS NOT NULL;
CREATE INDEX assembly_notice ON assembly (notice_next_ms) WHERE notice = 'waiting';
CREATE UNIQUE INDEX assembly_nonce ON assembly (key_id, nonce) WHERE nonce IS NOT NULL;

-- number: in the order in which its files were announced. place: in that in which they have arrived.
CREATE TABLE assembly_file (
  assembly_id text NOT NULL REFERENCES assembly (id),
  number      bigint NOT NULL,
  place       bigint,
  upload_id   uuid NOT NULL,
  video_id    uuid NOT NULL,
  step        text NOT NULL,
  field       text NOT NULL,
  name        text NOT NULL,
  meta        jsonb NOT NULL,
  bytes       bigint,
  PRIMARY KEY (assembly_id, number)
);
CREATE INDEX assembly_file_upload ON assembly_file (upload_id);

-- A broker has a row of its own here. Who sends to it until held_ms; when it took something last; since when it does not, and why.
ALTER TABLE outbox ADD COLUMN holder text;
ALTER TABLE outbox ADD COLUMN held_ms bigint NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN sent_ms bigint;
ALTER TABLE outbox ADD COLUMN failing_ms bigint;
ALTER TABLE outbox ADD COLUMN error text;
