-- How the bytes of a publication come to its host, once it was asked: hand_over is 'push' (we send them) or 'pull' (it fetches them).
-- pull_refused: why one that it was to fetch is sent after all. besides: what else is there of it (captions, downloads), compared with
-- what is wanted at besides_ms.
ALTER TABLE publication ADD COLUMN hand_over TEXT;
ALTER TABLE publication ADD COLUMN pull_refused TEXT;
ALTER TABLE publication ADD COLUMN besides TEXT;
ALTER TABLE publication ADD COLUMN besides_ms INTEGER;
CREATE INDEX publication_besides ON publication (host, besides_ms) WHERE besides_ms IS NOT NULL;
