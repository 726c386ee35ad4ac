-- The encoder in hardware that a job asks for; '' for none. Each is a queue of its own: only who has it claims from it.
ALTER TABLE job ADD COLUMN engine TEXT NOT NULL DEFAULT '';
DROP INDEX job_ready;
CREATE INDEX job_ready ON job (kind, engine, app_id, prio, weight, id, run_at_ms) WHERE state = 1;
