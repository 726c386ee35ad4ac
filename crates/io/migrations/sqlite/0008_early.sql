-- tail_id: the object with the last bytes of a source, sent before the others so that it can be played while it arrives.
-- It counts when its object has a size; it goes when the upload ends without a video, and when its source was probed.
ALTER TABLE upload ADD COLUMN tail_id BLOB;
CREATE INDEX upload_tail ON upload (tail_id) WHERE tail_id IS NOT NULL;
