-- Tables made of vector files: which there are, of which files, in which version.

CREATE TABLE ops.tables (
    table_name text PRIMARY KEY,
    dataset text NOT NULL,
    mode text NOT NULL,
    shared boolean NOT NULL,
    container text,
    blob text,
    etag text,
    layer text,
    ledger_id bigint REFERENCES ops.ledger,
    source_modified timestamptz,
    source_crs text,
    srid integer,
    crs_wkt text,
    geometry_type text,
    rows bigint NOT NULL,
    extent float8[],
    extent_wgs84 float8[],
    columns jsonb NOT NULL,
    comment text NOT NULL,
    bytes bigint NOT NULL,
    loaded_at timestamptz NOT NULL,
    run_id text,
    version integer NOT NULL,

    CONSTRAINT mode_is_known CHECK (
        mode IN ('own', 'replace_source', 'replace_table', 'append_only')
    ),
    CONSTRAINT counts_are_counts CHECK (rows >= 0 AND bytes >= 0 AND version > 0),
    CONSTRAINT columns_are_a_list CHECK (jsonb_typeof(columns) = 'array'),
    CONSTRAINT extents_have_four_sides CHECK (
        coalesce(cardinality(extent), 4) = 4
        AND coalesce(cardinality(extent_wgs84), 4) = 4
    )
);
COMMENT ON TABLE ops.tables IS 'Tables in schema geo that Strata made and keeps.';
COMMENT ON COLUMN ops.tables.blob IS
    'File the table was last loaded from; of one that holds several, see table_sources.';
COMMENT ON COLUMN ops.tables.extent IS 'west, south, east, north in the CRS of the table.';
COMMENT ON COLUMN ops.tables.extent_wgs84 IS
    'west, south, east, north in degrees; west > east when it crosses 180 degrees.';
COMMENT ON COLUMN ops.tables.columns IS
    'List of {name, type, source}: source is the name of the field in the file.';
COMMENT ON COLUMN ops.tables.version IS 'Counts what was published under this name.';

CREATE TABLE ops.table_sources (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    table_name text NOT NULL,
    container text NOT NULL,
    blob text NOT NULL,
    etag text,
    layer text,
    ledger_id bigint REFERENCES ops.ledger,
    source_modified timestamptz,
    rows bigint,
    extent float8[],
    extent_wgs84 float8[],
    loaded_at timestamptz,
    run_id text,

    CONSTRAINT loaded_is_counted CHECK ((loaded_at IS NULL) = (rows IS NULL))
);
COMMENT ON TABLE ops.table_sources IS
    'Files whose rows lie, or lay, in a table of several: id is source_id in the table.';
COMMENT ON COLUMN ops.table_sources.loaded_at IS 'NULL when none of its rows is there.';

CREATE UNIQUE INDEX one_id_per_source ON ops.table_sources
    (table_name, container, ops.digest(blob));

GRANT SELECT, INSERT, UPDATE, DELETE ON ops.tables, ops.table_sources TO strata_loader;
GRANT SELECT ON ops.tables, ops.table_sources TO strata_reader;

-- In a table of several files each owns its rows: {"table": ..., "source": ...}.
CREATE OR REPLACE FUNCTION ops.product_uri(product jsonb) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN coalesce(
    product ->> 'href',
    'table:' || (product ->> 'table') || coalesce('#' || (product ->> 'source'), ''),
    'item:' || (product ->> 'collection') || '/' || (product ->> 'item')
);
