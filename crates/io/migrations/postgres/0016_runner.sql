-- Machines that work for this server over HTTP. Only hashes of secrets are kept: invite_hash of the registration token,
-- which is good for one runner, token_hash of the runner's own. kinds: the kinds of jobs it may have; report: what it
-- said of itself last; reason: why it gets no work, if that was not a person's wish.
CREATE TABLE runner (
  id              uuid PRIMARY KEY,
  name            text NOT NULL,
  state           text NOT NULL,
  invite_hash     bytea NOT NULL UNIQUE,
  invite_until_ms bigint NOT NULL,
  token_hash      bytea UNIQUE,
  kinds           jsonb NOT NULL,
  report          jsonb NOT NULL,
  reason          jsonb,
  created_ms      bigint NOT NULL,
  registered_ms   bigint,
  seen_ms         bigint
);
