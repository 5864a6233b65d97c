-- What lies in gold: made of whole tables, or by queries, and made anew when they change.

CREATE TABLE ops.exports (
    dataset text NOT NULL,
    kind text NOT NULL,
    subject text NOT NULL,
    href text NOT NULL,
    state text,
    tried text,
    attempts integer NOT NULL DEFAULT 0,
    retry_after timestamptz,
    message text,
    etag text,
    bytes bigint,
    rows bigint,
    facts jsonb NOT NULL DEFAULT '{}',
    made_at timestamptz,
    run_id text,

    PRIMARY KEY (dataset, kind, subject),
    CONSTRAINT kind_is_known CHECK (kind IN ('geoparquet', 'vector_tiles', 'query')),
    CONSTRAINT made_is_counted CHECK (
        (state IS NULL) = (made_at IS NULL) AND (state IS NULL) = (rows IS NULL)
    ),
    CONSTRAINT counts_are_counts CHECK (bytes >= 0 AND rows >= 0 AND attempts >= 0)
);
COMMENT ON TABLE ops.exports IS
    'Products in gold, each of a table in ops.tables or of a named query. Noted before '
    'they are written, so that a kill leaves no blob that nobody knows.';
COMMENT ON COLUMN ops.exports.subject IS 'Table in schema geo, or name of the query.';
COMMENT ON COLUMN ops.exports.state IS
    'What the blob shows: version of the table and recipe. NULL before there is one.';
COMMENT ON COLUMN ops.exports.tried IS 'The state that was last begun.';
COMMENT ON COLUMN ops.exports.bytes IS 'NULL when there was nothing to write.';
COMMENT ON COLUMN ops.exports.retry_after IS
    'Not begun again before, unless the table or the recipe change.';

GRANT SELECT, INSERT, UPDATE, DELETE ON ops.exports TO strata_loader;
GRANT SELECT ON ops.exports TO strata_reader;
