-- Each place works its own part of the ledger: what waits at one that is away is not read for the others.
DROP INDEX ledger_due;
CREATE INDEX ledger_due_place ON ledger (place, next_try_ms) WHERE state = 'to_delete';
