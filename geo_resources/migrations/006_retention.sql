-- Since when a version is gone: what follows from that has its time (retention).

ALTER TABLE ops.ledger ADD COLUMN gone_since timestamptz;
COMMENT ON COLUMN ops.ledger.gone_since IS
    'When the version was deleted or replaced; NULL while it is not gone.';
UPDATE ops.ledger SET gone_since = now() WHERE status = 'gone';

CREATE FUNCTION ops.note_departure() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.gone_since := CASE WHEN NEW.status = 'gone' THEN now() END;
    RETURN NEW;
END
$$;
REVOKE ALL ON FUNCTION ops.note_departure() FROM PUBLIC;

-- Whoever writes the status: no statement can forget it.
CREATE TRIGGER note_departure BEFORE UPDATE OF status ON ops.ledger
    FOR EACH ROW WHEN ((NEW.status = 'gone') <> (OLD.status = 'gone'))
    EXECUTE FUNCTION ops.note_departure();

CREATE INDEX ledger_gone ON ops.ledger (gone_since) WHERE status = 'gone';
