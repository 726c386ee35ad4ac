-- background: a track that nobody waits for; it is offered when it is whole.
-- webm_id: the same pictures with their sound as WebM, when that was made.
ALTER TABLE rendition ADD COLUMN background boolean NOT NULL DEFAULT FALSE;
ALTER TABLE rendition ADD COLUMN webm_id uuid;
ALTER TABLE rendition ADD COLUMN webm_bytes bigint;
