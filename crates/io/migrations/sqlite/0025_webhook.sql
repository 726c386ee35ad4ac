-- Where an app wants its events sent. Its secrets follow from the server's key and their number. from_seq: events up to here are
-- not its own. failures: calls in a row, since failing_ms. rests_ms: it is not called before. holder: who calls it, until held_ms.
CREATE TABLE webhook (
  id            BLOB PRIMARY KEY,
  app_id        BLOB NOT NULL REFERENCES app (id),
  url           TEXT NOT NULL,
  topics        TEXT NOT NULL,
  description   TEXT NOT NULL,
  state         TEXT NOT NULL,
  secret_number INTEGER NOT NULL,
  rotated_ms    INTEGER,
  from_seq      INTEGER NOT NULL,
  failures      INTEGER NOT NULL,
  failing_ms    INTEGER,
  rests_ms      INTEGER,
  holder        TEXT,
  held_ms       INTEGER NOT NULL,
  created_ms    INTEGER NOT NULL
);
CREATE INDEX webhook_app ON webhook (app_id, id);

-- One event for one endpoint, whatever repeats. tries: the last calls with their answers.
CREATE TABLE delivery (
  webhook_id BLOB NOT NULL REFERENCES webhook (id),
  event_id   BLOB NOT NULL,
  topic      TEXT NOT NULL,
  state      TEXT NOT NULL,
  attempts   INTEGER NOT NULL,
  next_ms    INTEGER NOT NULL,
  created_ms INTEGER NOT NULL,
  ended_ms   INTEGER,
  tries      TEXT NOT NULL,
  PRIMARY KEY (webhook_id, event_id)
);
CREATE INDEX delivery_due ON delivery (webhook_id, next_ms, event_id) WHERE state = 'waiting';
CREATE INDEX delivery_ended ON delivery (ended_ms) WHERE ended_ms IS NOT NULL;

-- How far events were handed on.
CREATE TABLE outbox (
  name TEXT PRIMARY KEY,
  seq  INTEGER NOT NULL
);
INSERT INTO outbox (name, seq) SELECT 'webhook', COALESCE(max(seq), 0) FROM event;
