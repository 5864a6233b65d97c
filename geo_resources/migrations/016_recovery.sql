-- What was judged counts its attempts anew; what cannot be deleted waits; what another
-- version wrote over is known.

-- First, as every sweep takes the two.
ALTER TABLE ops.deletions
    ADD COLUMN retry_after timestamptz,
    ADD COLUMN fault text;
COMMENT ON COLUMN ops.deletions.fault IS
    'Why the blob could not be deleted: a lease, a legal hold, a storage that was. Not '
    'tried again before retry_after.';

-- A file may be made anew for years: only attempts since its last verdict say that it
-- may be what kills its runs. Of rows as they are, what is open counts on.
ALTER TABLE ops.ledger ADD COLUMN judged boolean NOT NULL DEFAULT true;
COMMENT ON COLUMN ops.ledger.judged IS
    'No run was at work on it since its last verdict (accepted, rejected, duplicate), or '
    'ever: the next counts attempts from 1.';
UPDATE ops.ledger SET judged = false
WHERE status IN ('pending', 'running', 'failed') AND attempts > 0;

-- A changed file's products take the names of those before, one after the other, before
-- they are accepted. If that comes to nothing, the version before must not pass for whole.
ALTER TABLE ops.ledger ADD COLUMN overwritten_by text;
COMMENT ON COLUMN ops.ledger.overwritten_by IS
    'Etag of a version that began to write over these products, until one of the two is '
    'accepted.';
CREATE INDEX ledger_overwritten ON ops.ledger (container)
    WHERE overwritten_by IS NOT NULL;
