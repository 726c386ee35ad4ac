-- What was found at a place outside and no row explains: since when it is seen, and when it was seen last. key: the intent that it
-- was made for. It is forgotten when it is not there any more, or is in the ledger.
CREATE TABLE unknown_thing (
  sort       TEXT NOT NULL,
  place      TEXT NOT NULL,
  name       TEXT NOT NULL,
  thing      TEXT NOT NULL,
  key        BLOB NOT NULL,
  size_bytes INTEGER,
  first_ms   INTEGER NOT NULL,
  last_ms    INTEGER NOT NULL,
  PRIMARY KEY (sort, place, name)
);

-- When each place outside is compared with its rows next, and what the last comparison has found.
CREATE TABLE inventory (
  sort    TEXT NOT NULL,
  place   TEXT NOT NULL,
  next_ms INTEGER NOT NULL,
  at_ms   INTEGER,
  found   TEXT,
  PRIMARY KEY (sort, place)
);
