-- The node that writes the upload now, until when that is true without another word. NULL: nobody does, or there is
-- only one node.
ALTER TABLE upload ADD COLUMN holder TEXT;
ALTER TABLE upload ADD COLUMN hold_until_ms INTEGER;

-- The node that looks through a source outside, until when that is true without another word.
CREATE TABLE look (
  source   TEXT PRIMARY KEY,
  holder   TEXT NOT NULL,
  until_ms INTEGER NOT NULL
);
