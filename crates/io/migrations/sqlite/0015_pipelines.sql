-- The pipelines of an app. A version never changes; the newest one is what its name means. archived_ms, in the newest
-- one: no new video is made by it.
CREATE TABLE pipeline (
  app_id       BLOB NOT NULL REFERENCES app (id) ON DELETE CASCADE,
  name         TEXT NOT NULL,
  version      INTEGER NOT NULL,
  template     TEXT NOT NULL,
  created_ms   INTEGER NOT NULL,
  archived_ms  INTEGER,
  PRIMARY KEY (app_id, name, version)
);

-- What videos were made by: copies of pipelines, named by the hash of what is in them.
CREATE TABLE template (
  app_id       BLOB NOT NULL REFERENCES app (id) ON DELETE CASCADE,
  id           TEXT NOT NULL,
  pipeline     TEXT NOT NULL,
  created_ms   INTEGER NOT NULL,
  PRIMARY KEY (app_id, id)
);

-- made_by: the pipeline by which the video was made (core::pipeline::MadeBy); none before it was examined.
-- encoding: the generation that we encode or encoded last, while it is not a remake. remake: the last remake that is
-- not what the video is (core::remake::Remake).
ALTER TABLE video ADD COLUMN made_by TEXT;
ALTER TABLE video ADD COLUMN encoding INTEGER NOT NULL DEFAULT 2;
ALTER TABLE video ADD COLUMN remake TEXT;

-- The generation of its video that a job works for.
ALTER TABLE job ADD COLUMN generation INTEGER NOT NULL DEFAULT 2;

-- retired_ms: the rendition is not served any more, and from then on nobody can have an address of it.
ALTER TABLE rendition ADD COLUMN retired_ms INTEGER;
CREATE INDEX rendition_retired ON rendition (retired_ms) WHERE retired_ms IS NOT NULL;
