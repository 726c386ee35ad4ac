-- What was found at a place outside and no row explains: since when it is seen, and when it was seen last. key: the intent that it
-- was made for. It is forgotten when it is not there any more, or is in the ledger.
CREATE TABLE unknown_thing (
  sort       text NOT NULL,
  place      text NOT NULL,
  name       text NOT NULL,
  thing      text NOT NULL,
  key        uuid NOT NULL,
  size_bytes bigint,
  first_ms   bigint NOT NULL,
  last_ms    bigint NOT NULL,
  PRIMARY KEY (sort, place, name)
);

-- When each place outside is compared with its rows next, and what the last comparison has found.
CREATE TABLE inventory (
  sort    text NOT NULL,
  place   text NOT NULL,
  next_ms bigint NOT NULL,
  at_ms   bigint,
  found   jsonb,
  PRIMARY KEY (sort, place)
);
