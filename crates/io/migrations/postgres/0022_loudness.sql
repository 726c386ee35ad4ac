-- leveled: how loud a sound was and by how much it was changed, core::loudness::Leveled as JSON; none where it is as it was.
ALTER TABLE rendition ADD COLUMN leveled jsonb;
