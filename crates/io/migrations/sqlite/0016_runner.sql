-- Machines that work for this server over HTTP. Only hashes of secrets are kept: invite_hash of the registration token,
-- which is good for one runner, token_hash of the runner's own. kinds: the kinds of jobs it may have; report: what it
-- said of itself last; reason: why it gets no work, if that was not a person's wish.
CREATE TABLE runner (
  id              BLOB PRIMARY KEY,
  name            TEXT NOT NULL,
  state           TEXT NOT NULL,
  invite_hash     BLOB NOT NULL UNIQUE,
  invite_until_ms INTEGER NOT NULL,
  token_hash      BLOB UNIQUE,
  kinds           TEXT NOT NULL,
  report          TEXT NOT NULL,
  reason          TEXT,
  created_ms      INTEGER NOT NULL,
  registered_ms   INTEGER,
  seen_ms         INTEGER
);
