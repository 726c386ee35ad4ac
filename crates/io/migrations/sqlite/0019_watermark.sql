-- The pictures that are laid over videos, each in the size in which it is laid on: `id` names picture and size, so
-- all videos of an app that show the same mark share one row. Small and of one app, so they need no object.
CREATE TABLE watermark (
  app_id      BLOB NOT NULL REFERENCES app (id) ON DELETE CASCADE,
  id          TEXT NOT NULL,
  png         BLOB NOT NULL,
  created_ms  INTEGER NOT NULL,
  PRIMARY KEY (app_id, id)
);
