-- facts: a JSON object that the app or the way in knows of a video (a meeting's topic, a course number); never read by us.
-- external_id: the name that the app gave it; unique among the uploads of an app that live or became a video.
ALTER TABLE upload ADD COLUMN facts TEXT NOT NULL DEFAULT '{}';
ALTER TABLE upload ADD COLUMN external_id TEXT;
CREATE UNIQUE INDEX upload_external ON upload (app_id, external_id)
  WHERE external_id IS NOT NULL AND state IN ('open', 'finished');
ALTER TABLE video ADD COLUMN facts TEXT NOT NULL DEFAULT '{}';
