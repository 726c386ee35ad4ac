-- concat: the header Upload-Concat as it came: 'partial' for a part, 'final;...' for what parts are joined to, else null.
-- digest: the SHA-256 that the whole must have, when its sender said so (Repr-Digest).
-- closed_ms: its address answers no more (a finished upload was deleted by its sender); the video stays.
ALTER TABLE upload ADD COLUMN concat text;
ALTER TABLE upload ADD COLUMN digest bytea;
ALTER TABLE upload ADD COLUMN closed_ms bigint;
CREATE INDEX upload_part_idle ON upload (expires_ms) WHERE state = 'finished' AND concat = 'partial';

-- The parts of a final upload in their order; the rows go when their bytes have been joined.
CREATE TABLE upload_part (
  final_id uuid NOT NULL REFERENCES upload (id) ON DELETE CASCADE,
  place    bigint NOT NULL,
  part_id  uuid NOT NULL,
  PRIMARY KEY (final_id, place)
);
CREATE INDEX upload_part_of ON upload_part (part_id);
