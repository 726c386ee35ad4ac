-- quota_*: what an app or a collection may hold; NULL is no limit. deleting_ms: nothing of it is served or taken any more, and a
-- job empties it. deleted_by: the app of the administrator who asked for it, and who hears of the end.
ALTER TABLE app ADD COLUMN quota_bytes INTEGER;
ALTER TABLE app ADD COLUMN quota_uploads INTEGER;
ALTER TABLE app ADD COLUMN deleting_ms INTEGER;
ALTER TABLE app ADD COLUMN deleted_by BLOB;
ALTER TABLE collection ADD COLUMN quota_bytes INTEGER;
ALTER TABLE collection ADD COLUMN quota_uploads INTEGER;
ALTER TABLE collection ADD COLUMN deleting_ms INTEGER;
-- reserved_bytes: counted against the quotas while the upload is open. max_bytes, max_duration_ms, deadline_ms, origins: what the one
-- who announced it allows its sender. repeat_key: the Idempotency-Key, for a day.
ALTER TABLE upload ADD COLUMN reserved_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE upload ADD COLUMN max_bytes INTEGER;
ALTER TABLE upload ADD COLUMN max_duration_ms INTEGER;
ALTER TABLE upload ADD COLUMN deadline_ms INTEGER;
ALTER TABLE upload ADD COLUMN origins TEXT NOT NULL DEFAULT '[]';
ALTER TABLE upload ADD COLUMN repeat_key TEXT;
UPDATE upload SET reserved_bytes = COALESCE(size_bytes, 67108864) WHERE state = 'open';
CREATE UNIQUE INDEX upload_repeat ON upload (app_id, repeat_key) WHERE repeat_key IS NOT NULL;
CREATE INDEX upload_reserved ON upload (app_id, collection_id, reserved_bytes) WHERE state = 'open';
CREATE INDEX upload_collection ON upload (collection_id, id);
CREATE INDEX video_collection ON video (collection_id, id);
CREATE INDEX object_app ON object (app_id, size_bytes);
CREATE INDEX collection_deleting ON collection (id) WHERE deleting_ms IS NOT NULL;
CREATE INDEX app_deleting ON app (id) WHERE deleting_ms IS NOT NULL;
