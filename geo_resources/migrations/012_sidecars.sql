-- Sidecars: blobs that no dataset claims, and that tell of the raster they lie beside.

-- A raster wants stems, a sidecar has one: whoever comes first, they find each other.
-- ASCII alone is lowered, as in geo_assets/sensing/names.py, whatever the locale.
CREATE FUNCTION ops.stem(blob text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN lower(regexp_replace(blob, '\.[^./]*$', '') COLLATE "C");

CREATE FUNCTION ops.may_tell(blob text) RETURNS boolean
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN lower(blob COLLATE "C") ~ '\.(imd|xml|dim|txt|json)$';

CREATE TABLE ops.sidecar_stems (
    ledger_id bigint NOT NULL REFERENCES ops.ledger,
    container text NOT NULL,
    stem bytea NOT NULL,
    PRIMARY KEY (ledger_id, stem)
);
COMMENT ON TABLE ops.sidecar_stems IS
    'Digests of the stems that a raster looked for when it was last made.';
CREATE INDEX sidecar_stems_by_stem ON ops.sidecar_stems (container, stem);

ALTER TABLE ops.ledger ADD COLUMN told_etag text;
COMMENT ON COLUMN ops.ledger.told_etag IS
    'Of a sidecar: the version of which the rasters that want it have been told.';

CREATE INDEX ledger_sidecars ON ops.ledger (container, ops.digest(ops.stem(blob)))
    WHERE status = 'ignored' AND dataset IS NULL AND ops.may_tell(blob);
CREATE INDEX ledger_untold ON ops.ledger (container, id)
    WHERE status = 'ignored' AND dataset IS NULL AND present AND settled
        AND told_etag IS DISTINCT FROM etag AND ops.may_tell(blob);

GRANT SELECT, INSERT, DELETE ON ops.sidecar_stems TO strata_loader;
