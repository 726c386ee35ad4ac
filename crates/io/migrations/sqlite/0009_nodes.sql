-- The node that writes the upload now, until when that is true without another word. NULL: nobody does, or there is
-- only one node.
ALTER TABLE upload ADD COLUMN holder TEXT;
ALTER TABLE upload ADD COLUMN hold_until_ms INTEGER;
