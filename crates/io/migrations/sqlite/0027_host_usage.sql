-- What a host says that is used of what was paid for, where it tells, and when it is asked again.
ALTER TABLE host ADD COLUMN usage TEXT;
ALTER TABLE host ADD COLUMN usage_ms INTEGER NOT NULL DEFAULT 0;

-- Since when a host is being emptied, and to which other one what is there goes.
ALTER TABLE host ADD COLUMN draining_ms INTEGER;
ALTER TABLE host ADD COLUMN drain_to TEXT;
