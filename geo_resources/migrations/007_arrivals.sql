-- Thousands of rows come at once; the next statement is planned by what was known before.

-- Only the owner of a table may ANALYZE it (before PostgreSQL 17): it lends that right.
CREATE FUNCTION ops.analyze_ledger() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    ANALYZE ops.ledger;
END
$$;
REVOKE ALL ON FUNCTION ops.analyze_ledger() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.analyze_ledger() TO strata_loader;
