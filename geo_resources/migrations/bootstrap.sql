-- Roles, schemas and the list of migrations. Runs before every migration, not once:
-- roles belong to the cluster, so a database restored elsewhere comes without them.
-- Writes only what is missing: two databases may do this at the same moment.

DO $$
DECLARE
    -- From PostgreSQL 16 on, who creates a role administers it but may not act as it
    -- until it grants itself the role; before, MEMBER says both.
    act constant text := CASE
        WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET'
        ELSE 'MEMBER'
    END;
    role_name text;
BEGIN
    FOREACH role_name IN ARRAY ARRAY[
        'strata_owner', 'strata_loader', 'strata_reader',
        'pgstac_admin', 'pgstac_ingest', 'pgstac_read' -- pgSTAC acts as each of its own
    ] LOOP
        IF to_regrole(role_name) IS NULL THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL; -- another database of the cluster was quicker
            END;
        END IF;
        IF NOT pg_has_role(current_user, role_name, act)
            OR NOT pg_has_role(current_user, role_name, 'USAGE') THEN
            EXECUTE format('GRANT %I TO %I', role_name, current_user);
        END IF;
    END LOOP;
    -- The owner may whatever the loader may; each of ours has its part of pgSTAC.
    IF NOT pg_has_role('strata_owner', 'strata_loader', 'USAGE') THEN
        GRANT strata_loader TO strata_owner;
    END IF;
    IF NOT pg_has_role('strata_loader', 'pgstac_ingest', 'USAGE') THEN
        GRANT pgstac_ingest TO strata_loader;
    END IF;
    IF NOT pg_has_role('strata_reader', 'pgstac_read', 'USAGE') THEN
        GRANT pgstac_read TO strata_reader;
    END IF;
END
$$;

DO $$
DECLARE
    schema_name text;
BEGIN
    FOREACH schema_name IN ARRAY ARRAY[
        'ops', 'geo', 'h3', 'geo_next', 'geo_previous'
    ] LOOP
        IF to_regnamespace(schema_name) IS NULL THEN
            EXECUTE format('CREATE SCHEMA %I AUTHORIZATION strata_owner', schema_name);
        END IF;
    END LOOP;
    -- Listings are compared in temporary tables. PUBLIC may make them unless forbidden.
    IF NOT has_database_privilege('strata_loader', current_database(), 'TEMP') THEN
        EXECUTE format(
            'GRANT TEMPORARY ON DATABASE %I TO strata_loader', current_database()
        );
    END IF;
    -- Clients of pgSTAC call its functions by bare names. After public, where Dagster
    -- makes its tables; only the owner of the database may say so.
    IF pg_has_role(current_user, (
        SELECT datdba FROM pg_database WHERE datname = current_database()
    ), 'USAGE') THEN
        EXECUTE format(
            'ALTER DATABASE %I SET search_path TO "$user", public, pgstac',
            current_database()
        );
    END IF;
    IF to_regclass('ops.migrations') IS NULL THEN
        SET LOCAL ROLE strata_owner;
        CREATE TABLE ops.migrations (
            name text PRIMARY KEY,
            sha256 text NOT NULL,
            applied_at timestamptz NOT NULL DEFAULT now()
        );
        RESET ROLE;
    END IF;
END
$$;
