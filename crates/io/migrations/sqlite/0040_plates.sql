-- identity: the name of the plate that hangs in a store, by which it is known again. plate_ms: since when it is known to hang there.
-- elsewhere_ms: since when another place is found under the name of the store.
ALTER TABLE store_state ADD COLUMN identity TEXT;
ALTER TABLE store_state ADD COLUMN plate_ms INTEGER;
ALTER TABLE store_state ADD COLUMN elsewhere_ms INTEGER;
-- What the store said of these bytes when they were put; it changes when they do.
ALTER TABLE replica ADD COLUMN tag TEXT;
