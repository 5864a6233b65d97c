-- Promotions: what went from a working database into this one, which serves.

-- Staged tables wait in geo_next, replaced ones are kept in geo_previous: a table moves
-- with its indexes and constraints, and readers have no right on either schema.
GRANT USAGE, CREATE ON SCHEMA geo_next, geo_previous TO strata_loader;

CREATE TABLE ops.promotions (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    dataset text NOT NULL,
    action text NOT NULL,
    state text NOT NULL DEFAULT 'running',
    engine text NOT NULL,
    who text NOT NULL,
    run_id text NOT NULL,
    began_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at timestamptz,
    source_state text,
    tables jsonb NOT NULL DEFAULT '[]',
    items jsonb,
    rows bigint,
    bytes bigint,
    checksum text,
    collection jsonb,
    replaced uuid REFERENCES ops.promotions,
    replaced_tables text[] NOT NULL DEFAULT '{}',
    message text,
    serial bigint GENERATED ALWAYS AS IDENTITY,

    CONSTRAINT action_is_known CHECK (action IN ('promote', 'reverse')),
    CONSTRAINT state_is_known CHECK (state IN ('running', 'done', 'failed')),
    CONSTRAINT ended_when_over CHECK ((state = 'running') = (ended_at IS NULL)),
    CONSTRAINT tables_are_a_list CHECK (jsonb_typeof(tables) = 'array')
);
COMMENT ON TABLE ops.promotions IS
    'Every attempt to bring a dataset into this database, or to take that back.';
COMMENT ON COLUMN ops.promotions.source_state IS
    'What the working database held then: tells whether there is anything new.';
COMMENT ON COLUMN ops.promotions.tables IS
    'List of {table, rows, checksum, extent, bytes, indexes}: what serves since.';
COMMENT ON COLUMN ops.promotions.items IS '{count, checksum, extent}; NULL without.';
COMMENT ON COLUMN ops.promotions.replaced IS
    'The promotion that served until then; its tables are kept in geo_previous.';
COMMENT ON COLUMN ops.promotions.collection IS
    'The STAC collection that serves since; NULL without.';

CREATE INDEX promotions_by_dataset ON ops.promotions (dataset, serial);

GRANT SELECT, INSERT, UPDATE ON ops.promotions TO strata_loader;
GRANT SELECT ON ops.promotions TO strata_reader;
