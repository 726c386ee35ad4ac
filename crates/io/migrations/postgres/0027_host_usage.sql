-- What a host says that is used of what was paid for, where it tells, and when it is asked again.
ALTER TABLE host ADD COLUMN usage jsonb;
ALTER TABLE host ADD COLUMN usage_ms bigint NOT NULL DEFAULT 0;

-- Since when a host is being emptied, and to which other one what is there goes.
ALTER TABLE host ADD COLUMN draining_ms bigint;
ALTER TABLE host ADD COLUMN drain_to text;
