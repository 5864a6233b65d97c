-- Statistics per H3 cell: products in the database, each of one file, noted as exports are.

ALTER TABLE ops.exports
    ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    DROP CONSTRAINT kind_is_known,
    ADD CONSTRAINT kind_is_known CHECK (
        kind IN ('geoparquet', 'vector_tiles', 'query', 'h3_statistics')
    );
COMMENT ON COLUMN ops.exports.id IS
    'What the rows of statistics bear as source: of which file they are.';
COMMENT ON COLUMN ops.exports.subject IS
    'Table in schema geo, name of the query, or partition key of the file.';
COMMENT ON TABLE ops.exports IS
    'Products of a table in ops.tables, of a named query, or statistics of a file. Noted '
    'before they are written, so that a kill leaves nothing that nobody knows.';

-- Whatever dataset tells of a cell: it is drawn once, whether or not a grid has it.
CREATE TABLE h3.places (
    cell bigint PRIMARY KEY,
    area_m2 double precision NOT NULL,
    boundary public.geometry(Geometry, 4326) NOT NULL
);
CREATE INDEX places_boundary ON h3.places USING gist (boundary);
COMMENT ON TABLE h3.places IS
    'Cells that any dataset has statistics of; the same as in h3.cells, where that is.';
GRANT SELECT, INSERT ON h3.places TO strata_loader;
GRANT SELECT ON h3.places TO strata_reader;
