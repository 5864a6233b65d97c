-- A file is accepted in one transaction, and Dagster is told of it afterwards. A run that
-- dies between the two leaves partitions that look as if nothing was made of them.
ALTER TABLE ops.ledger ADD COLUMN told boolean NOT NULL DEFAULT true;

CREATE INDEX ledger_accepted_untold ON ops.ledger (run_id) WHERE NOT told;
