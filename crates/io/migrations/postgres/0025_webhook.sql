-- Where an app wants its events sent. Its secrets follow from the server's key and their number. from_seq: events up to here are
-- not its own. failures: calls in a row, since failing_ms. rests_ms: it is not called before. holder: who calls it, until held_ms.
CREATE TABLE webhook (
  id            uuid PRIMARY KEY,
  app_id        uuid NOT NULL REFERENCES app (id),
  url           text NOT NULL,
  topics        jsonb NOT NULL,
  description   text NOT NULL,
  state         text NOT NULL,
  secret_number bigint NOT NULL,
  rotated_ms    bigint,
  from_seq      bigint NOT NULL,
  failures      bigint NOT NULL,
  failing_ms    bigint,
  rests_ms      bigint,
  holder        text,
  held_ms       bigint NOT NULL,
  created_ms    bigint NOT NULL
);
CREATE INDEX webhook_app ON webhook (app_id, id);

-- One event for one endpoint, whatever repeats. tries: the last calls with their answers.
CREATE TABLE delivery (
  webhook_id uuid NOT NULL REFERENCES webhook (id),
  event_id   uuid NOT NULL,
  topic      text NOT NULL,
  state      text NOT NULL,
  attempts   bigint NOT NULL,
  next_ms    bigint NOT NULL,
  created_ms bigint NOT NULL,
  ended_ms   bigint,
  tries      jsonb NOT NULL,
  PRIMARY KEY (webhook_id, event_id)
);
CREATE INDEX delivery_due ON delivery (webhook_id, next_ms, event_id) WHERE state = 'waiting';
CREATE INDEX delivery_ended ON delivery (ended_ms) WHERE ended_ms IS NOT NULL;

-- How far events were handed on.
CREATE TABLE outbox (
  name text PRIMARY KEY,
  seq  bigint NOT NULL
);
INSERT INTO outbox (name, seq) SELECT 'webhook', COALESCE(max(seq), 0) FROM event;
