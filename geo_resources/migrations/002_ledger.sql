-- What became of every blob version ever seen, and what it owns.

-- Names of blobs and products may be longer than a B-tree entry: digests are indexed.
CREATE FUNCTION ops.digest(name text) RETURNS bytea
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN sha256(decode(replace(name, E'\\', E'\\\\'), 'escape'));

CREATE TABLE ops.ledger (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    dataset text,
    container text NOT NULL,
    blob text NOT NULL,
    etag text NOT NULL,
    bytes bigint NOT NULL,
    sha256 text,
    status text NOT NULL,
    code text,
    message text,
    evidence jsonb,
    products jsonb NOT NULL DEFAULT '[]',
    rows_read bigint,
    rows_loaded bigint,
    rows_rejected bigint,
    layers jsonb,
    run_id text,
    attempts integer NOT NULL DEFAULT 0,
    first_seen timestamptz NOT NULL,
    started timestamptz,
    finished timestamptz,
    last_modified timestamptz NOT NULL,
    present boolean NOT NULL,
    settled boolean NOT NULL,
    partition_key text,
    run_key text,
    requested_at timestamptz,
    retry_after timestamptz,
    facts jsonb NOT NULL DEFAULT '{}',
    suggested_action text,
    duplicate_of bigint REFERENCES ops.ledger,

    CONSTRAINT sizes_are_counts CHECK (
        bytes >= 0 AND rows_read >= 0 AND rows_loaded >= 0 AND rows_rejected >= 0
    ),
    CONSTRAINT sha256_is_hexadecimal CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    CONSTRAINT products_are_a_list CHECK (jsonb_typeof(products) = 'array'),
    CONSTRAINT status_is_known CHECK (status IN (
        'pending', 'running', 'accepted', 'rejected',
        'failed', 'duplicate', 'ignored', 'gone'
    )),
    CONSTRAINT every_row_but_ignored_has_a_dataset CHECK (
        status IN ('ignored', 'gone') OR (dataset IS NOT NULL AND partition_key IS NOT NULL)
    ),
    CONSTRAINT running_has_a_run CHECK (
        status <> 'running' OR (run_id IS NOT NULL AND started IS NOT NULL)
    ),
    CONSTRAINT accepted_has_products CHECK (
        status <> 'accepted' OR (
            products <> '[]' AND sha256 IS NOT NULL AND finished IS NOT NULL
            AND code IS NULL
        )
    ),
    CONSTRAINT refused_says_why CHECK (
        status NOT IN ('rejected', 'failed')
        OR (code IS NOT NULL AND message IS NOT NULL)
    ),
    CONSTRAINT duplicate_names_the_first CHECK (
        status <> 'duplicate'
        OR (duplicate_of IS NOT NULL AND coalesce(evidence ? 'duplicate_of', false))
    ),
    CONSTRAINT ignored_says_why CHECK (status <> 'ignored' OR message IS NOT NULL),
    -- While an accepted blob is made anew its products stay claimed (running, failed,
    -- pending); when the blob is deleted they stay published (gone).
    CONSTRAINT refused_has_no_products CHECK (
        status NOT IN ('rejected', 'duplicate', 'ignored') OR products = '[]'
    ),
    CONSTRAINT gone_is_not_present CHECK (status <> 'gone' OR NOT present)
);

COMMENT ON COLUMN ops.ledger.present IS
    'This version is what the container held when it was last listed.';
COMMENT ON COLUMN ops.ledger.settled IS
    'Seen twice with one etag, or older than the settle time: not half-written.';
COMMENT ON COLUMN ops.ledger.facts IS
    'What stages found out, for later stages.';

CREATE UNIQUE INDEX one_row_per_version ON ops.ledger
    (container, ops.digest(blob), etag);
CREATE UNIQUE INDEX one_version_is_present ON ops.ledger
    (container, ops.digest(blob)) WHERE present;
CREATE INDEX ledger_by_key ON ops.ledger (dataset, partition_key);
CREATE INDEX ledger_by_content ON ops.ledger (dataset, sha256) WHERE sha256 IS NOT NULL;
CREATE INDEX ledger_open ON ops.ledger (id) WHERE status IN ('pending', 'running', 'failed');
CREATE INDEX ledger_by_first ON ops.ledger (duplicate_of) WHERE status = 'duplicate';

-- Every product has one owner: two rows can never claim the same.
CREATE TABLE ops.product_owners (
    uri text NOT NULL,
    digest bytea PRIMARY KEY GENERATED ALWAYS AS (ops.digest(uri)) STORED,
    ledger_id bigint NOT NULL REFERENCES ops.ledger
);
CREATE INDEX product_owners_by_row ON ops.product_owners (ledger_id);

CREATE FUNCTION ops.product_uri(product jsonb) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN coalesce(
    product ->> 'href',
    'table:' || (product ->> 'table'),
    'item:' || (product ->> 'collection') || '/' || (product ->> 'item')
);

-- Runs as its owner: nobody else writes ownership, so it cannot differ from the ledger.
CREATE FUNCTION ops.own_products() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM ops.product_owners
    WHERE ledger_id = NEW.id AND uri NOT IN (
        SELECT ops.product_uri(product) FROM jsonb_array_elements(NEW.products) AS product
    );
    INSERT INTO ops.product_owners (uri, ledger_id)
    SELECT ops.product_uri(product), NEW.id
    FROM jsonb_array_elements(NEW.products) AS product
    WHERE NOT EXISTS (
        SELECT FROM ops.product_owners
        WHERE ledger_id = NEW.id AND uri = ops.product_uri(product)
    );
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION ops.own_products() FROM PUBLIC;

CREATE TRIGGER own_first_products AFTER INSERT ON ops.ledger
    FOR EACH ROW WHEN (NEW.products <> '[]') EXECUTE FUNCTION ops.own_products();
CREATE TRIGGER own_changed_products AFTER UPDATE OF products ON ops.ledger
    FOR EACH ROW WHEN (NEW.products <> OLD.products) EXECUTE FUNCTION ops.own_products();

-- Blobs in silver that nobody owns, or that a run is about to write: noted before they
-- exist, deleted after nobody owns them any more, so that a kill at any point leaves a
-- note, never a blob without one or a published product without its blob.
CREATE TABLE ops.deletions (
    href text NOT NULL,
    digest bytea PRIMARY KEY GENERATED ALWAYS AS (ops.digest(href)) STORED,
    container text NOT NULL,
    blob text NOT NULL,
    reason text NOT NULL,
    requested_at timestamptz NOT NULL
);
COMMENT ON COLUMN ops.deletions.blob IS 'Source that made the product.';
CREATE INDEX deletions_by_source ON ops.deletions (container, ops.digest(blob));

-- A version once seen is never forgotten: nobody may delete a row of the ledger.
GRANT SELECT, INSERT, UPDATE ON ops.ledger TO strata_loader;
GRANT SELECT, INSERT, UPDATE, DELETE ON ops.deletions TO strata_loader;
GRANT SELECT ON ops.product_owners TO strata_loader;
