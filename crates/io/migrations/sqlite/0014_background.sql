-- background: a track that nobody waits for; it is offered when it is whole.
-- webm_id: the same pictures with their sound as WebM, when that was made.
ALTER TABLE rendition ADD COLUMN background INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rendition ADD COLUMN webm_id BLOB;
ALTER TABLE rendition ADD COLUMN webm_bytes INTEGER;
