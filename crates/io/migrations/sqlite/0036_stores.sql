-- What is known of a store, more: facts (what it can do) as it was tried at tried_ms. lost_ms: since when it is known to be lost for
-- ever. scrub_holder reads it again until scrub_until_ms.
ALTER TABLE store_state ADD COLUMN facts TEXT;
ALTER TABLE store_state ADD COLUMN tried_ms INTEGER;
ALTER TABLE store_state ADD COLUMN lost_ms INTEGER;
ALTER TABLE store_state ADD COLUMN scrub_holder TEXT;
ALTER TABLE store_state ADD COLUMN scrub_until_ms INTEGER;
-- Copies wait in a queue for each store, as chunks do for each engine: a slow store keeps only its own waiting.
UPDATE job SET engine = payload ->> 'store' WHERE kind = 'copy';
