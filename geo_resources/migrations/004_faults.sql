-- Why a file was refused, in one form with events and logs, and by which contract.

ALTER TABLE ops.ledger
    ADD COLUMN error jsonb,
    ADD COLUMN contract_digest text;
COMMENT ON COLUMN ops.ledger.error IS
    'The fault as a whole: type, category, code, where, message, evidence, '
    'suggested_action, retryable, attempt, correlation_id (run, container, blob).';
COMMENT ON COLUMN ops.ledger.contract_digest IS
    'Of the contract by which the last run judged it.';

-- A fault that is over has no code, and nothing else is left of it either.
CREATE FUNCTION ops.forget_error() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.error := NULL;
    RETURN NEW;
END
$$;
REVOKE ALL ON FUNCTION ops.forget_error() FROM PUBLIC;

CREATE TRIGGER error_goes_with_code BEFORE UPDATE OF code ON ops.ledger
    FOR EACH ROW WHEN (NEW.code IS NULL AND NEW.error IS NOT NULL)
    EXECUTE FUNCTION ops.forget_error();

-- What `failed` files are due again is asked at each tick of the janitor.
CREATE INDEX ledger_due ON ops.ledger (retry_after) WHERE status = 'failed';
