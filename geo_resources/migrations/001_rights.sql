-- Who may do what: the loader writes rows and makes its own tables, the reader reads.

GRANT USAGE ON SCHEMA ops, geo, h3 TO strata_loader, strata_reader;
GRANT CREATE ON SCHEMA geo, h3 TO strata_loader;
GRANT SELECT ON ops.migrations TO strata_loader, strata_reader;

-- What the owner or the loader make later is readable without a second thought.
ALTER DEFAULT PRIVILEGES FOR ROLE strata_owner IN SCHEMA ops, geo, h3
    GRANT SELECT ON TABLES TO strata_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE strata_loader IN SCHEMA geo, h3
    GRANT SELECT ON TABLES TO strata_reader;
