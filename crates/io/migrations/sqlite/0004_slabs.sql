-- boot: the start of the kernel under which bytes behind the offset lie in its page cache and may count after a crash
-- of the process alone. NULL: they may not.
ALTER TABLE upload ADD COLUMN boot TEXT;

-- The nodes of a source's BLAKE3 tree, one for each 64 MiB, written with the offset commits. A source of one slab
-- has none: object.blake3 says it all.
CREATE TABLE slab (
  object_id  BLOB NOT NULL REFERENCES object (id) ON DELETE CASCADE,
  number     INTEGER NOT NULL,
  blake3     BLOB NOT NULL,
  PRIMARY KEY (object_id, number)
);
